/*
 * counter/error: how far is the quick reading of a sloppy counter from the truth, while others count?
 *
 * All threads but the first count as in counter/sloppy, until the first is done. One operation of the first is a
 * comparison. It reads the sum of all that each thread has counted, then the common counter, then the sum again. The
 * common counter was read between the two sums, so the truth at that moment also lay between them. The error is at
 * least (first sum - common). This lower bound is recorded, so a recorded error is never too large. It is too small by
 * at most the increments between the two sums (during_comparison).
 * Excluded:  nothing. The time is that of the whole comparison, and not the cost of a quick reading (one load).
 * Expect:    errors anywhere from 0 to the bound (T - 1) x n of n counting threads, evenly spread for one. With T = 1:
 *            none.
 * Hazards:   look for errors while the threads count. After they have stopped, the error is just what they happened to
 *            keep back. Readings are many per flush when T is large. Neighbours among them are alike, and the largest
 *            of a short run is below that of a long one.
 * Not shown: the counting threads' own time (they run as long as the first). See counter/sloppy.
 */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>

#include "errors.h"

#define MAX_THRESHOLD ((int64_t)1 << 32)

enum { THRESHOLD };
enum { MAX_ERROR, P99_ERROR, MEDIAN_ERROR, BOUND, READS, DURING };

struct sloppy {
    _Alignas(128) _Atomic uint64_t common;
    _Alignas(128) uint64_t threshold;
    _Alignas(128) uint64_t reads, during, largest; /* the reader's */
    uint64_t *errors;
    struct {
        _Alignas(128) _Atomic uint64_t made; /* in all, whether in common or not */
    } sides[];
};

static uint64_t sum_made(const struct sloppy *sloppy, unsigned team_size)
{
    uint64_t sum = 0;

    for (unsigned i = 1; i < team_size; i++)
        /* A: acquire, pairs with B. A thread that sees a number of increments sees those of them that were flushed. Without it a flush
           could seem to be missing, and the error be larger than its bound. */
        sum += atomic_load_explicit(&sloppy->sides[i].made, memory_order_acquire);
    return sum;
}

static void compare(struct worker *worker, uint64_t operations)
{
    struct sloppy *sloppy = worker->trial->state;
    uint64_t during = 0, largest = sloppy->largest;

    for (uint64_t i = 0; i < operations; i++) {
        const uint64_t before = sum_made(sloppy, worker->team_size);
        /* Acquire: the second sum is not read before it (it pairs with nothing else). */
        const uint64_t common = atomic_load_explicit(&sloppy->common, memory_order_acquire);
        const uint64_t after = sum_made(sloppy, worker->team_size);
        /* A flush between the first sum and the reading may have overtaken the sum. */
        const uint64_t error = before > common ? before - common : 0;

        largest = error > largest ? error : largest;
        during += after - before;
        sloppy->errors[(sloppy->reads + i) % KEPT] = error;
    }
    sloppy->largest = largest;
    sloppy->during += during;
    sloppy->reads += operations;
}

static void count(struct worker *worker)
{
    struct sloppy *sloppy = worker->trial->state;
    _Atomic uint64_t *mine = &sloppy->sides[worker->index].made;
    const uint64_t threshold = sloppy->threshold;
    /* Relaxed: only this thread writes it. */
    uint64_t made = atomic_load_explicit(mine, memory_order_relaxed), own = made % threshold;

    do { /* once at least, as in all kernels whose followers go on until the first thread has ended */
        if (++own == threshold) {
            /* Relaxed: published by B. */
            atomic_fetch_add_explicit(&sloppy->common, threshold, memory_order_relaxed);
            own = 0;
        }
        /* B: release, pairs with A. */
        atomic_store_explicit(mine, ++made, memory_order_release);
    } while (!leader_has_ended(worker));
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
    const int64_t threshold = trial->value[THRESHOLD];
    struct sloppy *sloppy;

    if (threshold < 1 || threshold > MAX_THRESHOLD)
        return trial_fault(trial, "threshold=%" PRId64 " is not between 1 and 2^32", threshold);
    sloppy = trial_alloc(trial, sizeof *sloppy + trial->team_size * sizeof *sloppy->sides);
    if (!sloppy)
        return -ENOMEM;
    sloppy->threshold = (uint64_t)threshold;
    trial->measured = 1;
    sloppy->errors = trial_alloc(trial, KEPT * sizeof *sloppy->errors);
    return sloppy->errors ? 0 : -ENOMEM;
}

/* No error was beyond the bound, the common counter holds whole flushes, and lacks only what is below the threshold of each thread. */
static int check(struct trial *trial)
{
    struct sloppy *sloppy = trial->state;
    const uint64_t bound = (sloppy->threshold - 1) * (trial->team_size - 1);
    const uint64_t common = atomic_load_explicit(&sloppy->common, memory_order_relaxed);
    uint64_t flushed = 0;

    for (unsigned i = 1; i < trial->team_size; i++) {
        const uint64_t made = atomic_load_explicit(&sloppy->sides[i].made, memory_order_relaxed);

        flushed += made - made % sloppy->threshold;
    }
    if (common != flushed)
        return trial_fault(trial, "the common counter holds %" PRIu64 " of %" PRIu64 " increments that were flushed",
                           common, flushed);
    if (sloppy->largest > bound)
        return trial_fault(trial, "a reading lacked %" PRIu64 " increments, the bound is %" PRIu64, sloppy->largest,
                           bound);
    trial->metric[MAX_ERROR] = (double)sloppy->largest;
    if (sloppy->reads) {
        trial->metric[P99_ERROR] = kept_quantile(sloppy->errors, sloppy->reads, 99);
        trial->metric[MEDIAN_ERROR] = kept_quantile(sloppy->errors, sloppy->reads, 50);
    }
    trial->metric[BOUND] = (double)bound;
    trial->metric[READS] = (double)sloppy->reads;
    trial->metric[DURING] = (double)sloppy->during / (double)sloppy->reads;
    return 0;
}

KERNEL(error,
    .name       = "counter/error",
    .summary    = "a thread compares a sloppy counter's quick reading with the exact sum, while others count",
    .unit       = "comparison",
    .threads    = { .min = 2, .max = MAX_TEAM },
    .place      = PLACE_SWEEP,
    .parameters = {
        [THRESHOLD] = { .name = "threshold", .unit = "increments", .summary = "at which a thread's count goes to the common one",
                        .initial = 256, .quick = "1 256", .standard = "1 16 32 256 1024 4096 65536",
                        .rigorous = "1 2 4 8 16 32 64 128 256 512 1024 2048 4096 8192 16384 32768 65536" },
    },
    .metrics    = {
        [MAX_ERROR]    = { "max_error", "increments", "largest that a reading lacked, at least" },
        [P99_ERROR]    = { "p99_error", "increments", "99 % of the readings lacked no more" },
        [MEDIAN_ERROR] = { "median_error", "increments", "that a reading lacked" },
        [BOUND]        = { "bound", "increments", "that a reading can lack: (T - 1) x counting threads" },
        [READS]        = { "reads", "readings", "compared, all while the others were counting" },
        [DURING]       = { "during_comparison", "increments", "made between the two sums, on average" },
    },
    .setup      = setup,
    .run        = run,
    .check      = check);
