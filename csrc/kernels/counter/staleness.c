/*
 * counter/staleness: how far behind is an eventually consistent counter, by how often it is collected?
 *
 * All threads but the first count, each in a separate word, until the first is done. One operation of the first is a
 * comparison: the exact sum now, less the sum that was collected last. When `period_us` of counting have gone by, the
 * sum is collected anew. So the error is everything that was counted since. It has no bound but rate x period. So both
 * are shown beside it.
 * Excluded:  the time between two windows, in which nobody counts. The period is one of counting.
 * Expect:    errors evenly spread from 0 to rate x period. At 1 ms and an increment of 0.3-1 ns, that is one to three
 *            million (arithmetic, no source). The model is perfbook's count_stat_eventual, which publishes no error.
 * Hazards:   a gap in the reader lets the others count on. So a gap decides the largest error, and the rule the median.
 * Not shown: the counting threads' own time (counter/increment, kind eventual). Errors of counters that flush by number
 *            (counter/error). Linux's percpu_counter is one, with a threshold of its batch, max(32, 2 x CPUs).
 */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>

#include "errors.h"

#define MAX_PERIOD_US INT64_C(1000000)

enum { PERIOD_US };
enum { MAX_ERROR, P99_ERROR, MEDIAN_ERROR, RATE_TIMES_PERIOD, READS, COLLECTIONS };

struct eventual {
    _Alignas(128) uint64_t collected, age_ticks, period_ticks, counting_ticks; /* the reader's, like all of this line */
    uint64_t reads, collections, largest, backwards;
    uint64_t *errors;
    struct {
        _Alignas(128) _Atomic uint64_t made;
    } sides[];
};

static uint64_t sum_made(const struct eventual *eventual, unsigned team_size)
{
    uint64_t sum = 0;

    for (unsigned i = 1; i < team_size; i++)
        /* Relaxed: one number of each thread, and nothing else is passed. A thread's own numbers are never seen to
           fall. */
        sum += atomic_load_explicit(&eventual->sides[i].made, memory_order_relaxed);
    return sum;
}

static void compare(struct worker *worker, uint64_t operations)
{
    struct eventual *eventual = worker->trial->state;
    uint64_t last = tick_now();

    for (uint64_t i = 0; i < operations; i++) {
        const uint64_t now = tick_now(), sum = sum_made(eventual, worker->team_size);
        const uint64_t error = sum - eventual->collected;

        eventual->backwards += sum < eventual->collected;
        eventual->largest = error > eventual->largest ? error : eventual->largest;
        eventual->errors[eventual->reads++ % KEPT] = error;
        eventual->age_ticks += now - last;
        eventual->counting_ticks += now - last;
        last = now;
        if (eventual->age_ticks >= eventual->period_ticks) {
            eventual->collected = sum;
            eventual->collections++;
            eventual->age_ticks = 0;
        }
    }
}

static void count(struct worker *worker)
{
    struct eventual *eventual = worker->trial->state;
    _Atomic uint64_t *mine = &eventual->sides[worker->index].made;
    uint64_t made = atomic_load_explicit(mine, memory_order_relaxed); /* only this thread writes it */

    do /* once at least: a thread that comes to its CPU when all is over has counted too */
        atomic_store_explicit(mine, ++made, memory_order_relaxed); /* a number on its own: see sum_made() */
    while (!leader_has_ended(worker));
}

static void run(struct worker *worker, uint64_t operations)
{
    if (worker->index == 0)
        compare(worker, operations);
    else
        count(worker);
}

static int setup(struct trial *trial)
{
    const int64_t period_us = trial->value[PERIOD_US];
    struct eventual *eventual;

    if (period_us < 1 || period_us > MAX_PERIOD_US)
        return trial_fault(trial, "period_us=%" PRId64 " is not between 1 and 1000000", period_us);
    eventual = trial_alloc(trial, sizeof *eventual + trial->team_size * sizeof *eventual->sides);
    if (!eventual)
        return -ENOMEM;
    eventual->period_ticks = (uint64_t)((double)period_us * trial->tick_hz / 1e6);
    trial->measured = 1;
    eventual->errors = trial_alloc(trial, KEPT * sizeof *eventual->errors);
    return eventual->errors ? 0 : -ENOMEM;
}

/* The sum never fell below what was collected, and at rest nothing is missing: collected and not yet collected make the whole. */
static int check(struct trial *trial)
{
    struct eventual *eventual = trial->state;
    const uint64_t total = sum_made(eventual, trial->team_size);

    if (eventual->backwards || total < eventual->collected)
        return trial_fault(trial, "the exact sum fell below the collected one %" PRIu64 " times", eventual->backwards);
    if (eventual->reads == 0 || total == 0)
        return trial_fault(trial, "%" PRIu64 " comparisons of %" PRIu64 " increments were made", eventual->reads,
                           total);
    trial->metric[MAX_ERROR] = (double)eventual->largest;
    trial->metric[P99_ERROR] = kept_quantile(eventual->errors, eventual->reads, 99);
    trial->metric[MEDIAN_ERROR] = kept_quantile(eventual->errors, eventual->reads, 50);
    trial->metric[RATE_TIMES_PERIOD] = (double)total * (double)eventual->period_ticks /
                                       (double)(eventual->counting_ticks ? eventual->counting_ticks : 1);
    trial->metric[READS] = (double)eventual->reads;
    trial->metric[COLLECTIONS] = (double)eventual->collections;
    return 0;
}

KERNEL(staleness,
    .name       = "counter/staleness",
    .summary    = "a thread compares the sum that was collected last with the exact one, while others count",
    .unit       = "comparison",
    .threads    = { .min = 2, .max = MAX_TEAM },
    .place      = PLACE_SWEEP,
    .parameters = {
        [PERIOD_US] = { .name = "period_us", .unit = "us", .summary = "of counting between two collections",
                        .initial = 100, .quick = "100", .standard = "10 100 1000", .rigorous = "10 100 1000 10000" },
    },
    .metrics    = {
        [MAX_ERROR]         = { "max_error", "increments", "largest that the collected sum lacked" },
        [P99_ERROR]         = { "p99_error", "increments", "99 % of the readings lacked no more" },
        [MEDIAN_ERROR]      = { "median_error", "increments", "that a reading lacked" },
        [RATE_TIMES_PERIOD] = { "rate_times_period", "increments", "made in one period at the rate seen: what stands in for a bound" },
        [READS]             = { "reads", "readings", "compared, all while the others were counting" },
        [COLLECTIONS]       = { "collections", "sums", "collected" },
    },
    .setup      = setup,
    .run        = run,
    .check      = check);
