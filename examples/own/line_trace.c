/*
 * own/line_trace: where does a producer stand, and where its consumer, each time a line of the ring changes hands?
 *
 *   fencepost run own/line_trace --kernel examples/own/line_trace.c -p capacity=64,1024,65536 -p every=0,1,8
 *
 * Both threads read the tick counter each time they have come to the end of so many lines. One operation is one item, as in ring/spsc.
 * every=0 reads no counter, and is the control: what the trace itself costs is the difference of the two rows.
 * The file includes the ring beside it, or else that of the library, as handover.c does.
 *
 * The counters of two CPUs differ by what clock/offset shows. The distance in lines takes that error. The times of a line do not.
 * A bare read of the counter may come before a load that still waits, so one stamp may be early by some ten ns.
 */
#include "lib/ring/ring.c"
#include "lib/ring/spsc.c"

#include <stdlib.h>

#include "kernels/ring/trial.h"

enum { CAPACITY, PAUSE, EVERY };
enum { PRODUCER_LINE, PRODUCER_SLOW, CONSUMER_LINE, CONSUMER_SLOW, AHEAD_10, AHEAD_50, AHEAD_90, CLOSE, FULL, EMPTY };

#define ITEM_BYTES sizeof(uint64_t)
#define MOST_STAMPS ((uint64_t)1 << 16) /* of each side, so half a MiB. Later lines leave no stamp */

/* Worker 0 consumes. Each side writes its own half while windows run, and check reads both. */
struct side {
    __attribute__((aligned(128))) uint64_t number; /* items up to now */
    uint64_t refused, disorder, stamps;
    int64_t *stamp;
};

struct line_trace {
    struct ring_spsc *ring;
    uint64_t items_per_stamp; /* 0: none */
    unsigned wait;
    struct side side[2];
};

/* Not ordered: an ordered read would wait for the loads of the lines that the consumer fetches ahead. */
static inline int64_t stamp(void)
{
#ifdef HAS_X86_64
    return (int64_t)__builtin_ia32_rdtsc();
#else
    return (int64_t)tick_now();
#endif
}

static int setup(struct trial *trial)
{
    struct line_trace *state = trial_alloc(trial, sizeof *state);
    const int64_t capacity = trial->value[CAPACITY], lines = trial->value[EVERY];

    if (!state)
        return -ENOMEM;
    if (capacity < 1 || capacity > RING_LARGEST_CAPACITY)
        return trial_fault(trial, "capacity=%" PRId64 " is not from 1 to %" PRId64, capacity, RING_LARGEST_CAPACITY);
    if (lines < 0 || lines > 1024)
        return trial_fault(trial, "every=%" PRId64 " is not from 0 to 1024", lines);
    state->items_per_stamp = (uint64_t)lines * ring_spsc_per_block(ITEM_BYTES);
    state->wait = trial->value[PAUSE] ? (unsigned)RING_RELAX : (unsigned)RING_SPIN;
    for (unsigned i = 0; i < 2; i++) {
        state->side[i].stamp = trial_alloc(trial, MOST_STAMPS * sizeof(int64_t));
        if (!state->side[i].stamp)
            return -ENOMEM;
    }
    /* Windows end where lines do, so that a stretch of lines is of one window. */
    trial->granule = ring_spsc_per_block(ITEM_BYTES) * (uint64_t)(lines ? lines : 1);
    trial->measured = 1;
    return ring_spsc_create(&state->ring, (size_t)capacity, ITEM_BYTES, 0);
}

static inline __attribute__((always_inline)) void move(struct line_trace *state, struct side *side, bool produce,
                                                       uint64_t operations, bool traced)
{
    struct ring_spsc *const ring = state->ring;
    const unsigned wait = state->wait;
    const uint64_t end = side->number + operations, step = state->items_per_stamp;
    uint64_t refused = 0, disorder = 0, next = traced ? side->number + step : 0;

    for (uint64_t number = side->number; number != end; number++) {
        uint64_t item = number;

        while (!(produce ? ring_spsc_try_push_sized(ring, &item, ITEM_BYTES)
                         : ring_spsc_try_pop_sized(ring, &item, ITEM_BYTES))) {
            refused++;
            ring_trial_wait(wait);
        }
        disorder |= item ^ number;
        if (traced && number + 1 == next) {
            next += step;
            if (side->stamps < MOST_STAMPS)
                side->stamp[side->stamps++] = stamp();
        }
    }
    side->number = end;
    side->refused += refused;
    side->disorder |= disorder;
}

static void run(struct worker *worker, uint64_t operations)
{
    struct line_trace *const state = worker->trial->state;
    struct side *const side = &state->side[worker->index];

    if (worker->index == 0 && state->items_per_stamp)
        move(state, side, false, operations, true);
    else if (worker->index == 0)
        move(state, side, false, operations, false);
    else if (state->items_per_stamp)
        move(state, side, true, operations, true);
    else
        move(state, side, true, operations, false);
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The value that this share of the values does not exceed. It sorts them. */
static double quantile(double *values, uint64_t count, double share)
{
    qsort(values, count, sizeof *values, by_size);
    return values[(uint64_t)((double)(count - 1) * share)];
}

/* Of the lines of one side: the median time, and the share of all time that went into lines of more than twice that. */
static void line_times(struct trial *trial, unsigned metric, const struct side *side, uint64_t stamps, double *values)
{
    double all = 0, slow = 0, median;

    for (uint64_t i = 1; i < stamps; i++)
        values[i - 1] = (double)(side->stamp[i] - side->stamp[i - 1]) / (double)trial->value[EVERY];
    median = quantile(values, stamps - 1, 0.5);
    for (uint64_t i = 0; i < stamps - 1; i++) {
        all += values[i];
        slow += values[i] > 2 * median ? values[i] : 0;
    }
    trial->metric[metric] = median;
    trial->metric[metric + 1] = 100 * slow / all;
}

static int check(struct trial *trial)
{
    struct line_trace *state = trial->state;
    const struct side *consumer = &state->side[0], *producer = &state->side[1];
    const double lines = (double)trial->value[EVERY], items = (double)consumer->number;
    const uint64_t stamps = consumer->stamps < producer->stamps ? consumer->stamps : producer->stamps;
    double *values;
    uint64_t at = 0, close = 0;

    if (consumer->disorder || consumer->number == 0 || consumer->number != producer->number)
        return trial_fault(trial, "items came out of order, or not at all (bits %" PRIx64 ")", consumer->disorder);
    trial->metric[FULL] = (double)producer->refused / items;
    trial->metric[EMPTY] = (double)consumer->refused / items;
    if (stamps < 2)
        return 0;
    values = trial_alloc(trial, stamps * sizeof *values);
    if (!values)
        return -ENOMEM;
    line_times(trial, PRODUCER_LINE, producer, stamps, values);
    line_times(trial, CONSUMER_LINE, consumer, stamps, values);
    /* How many lines the producer had filled when the consumer had emptied its i-th. */
    for (uint64_t i = 0; i < stamps; i++) {
        while (at < stamps && producer->stamp[at] <= consumer->stamp[i])
            at++;
        values[i] = ((double)at - (double)(i + 1)) * lines;
        close += values[i] < 2;
    }
    trial->metric[AHEAD_50] = quantile(values, stamps, 0.5);
    trial->metric[AHEAD_10] = quantile(values, stamps, 0.1);
    trial->metric[AHEAD_90] = quantile(values, stamps, 0.9);
    trial->metric[CLOSE] = 100.0 * (double)close / (double)stamps;
    return 0;
}

static void teardown(struct trial *trial)
{
    const struct line_trace *state = trial->state;

    if (state)
        ring_spsc_destroy(state->ring);
}

KERNEL(line_trace,
    .name       = "own/line_trace",
    .summary    = "how far a producer is ahead of its consumer, and what each of them takes for a line",
    .unit       = "item",
    .threads    = {2, 2},
    .place      = PLACE_ANY,
    .parameters = {{"capacity", "items", "of the ring", NULL, 1024, NULL, "64 1024 65536", NULL},
                   {"pause", "", "a spin hint after a refusal", "no yes", 1, NULL, "no yes", NULL},
                   {"every", "", "lines from one stamp to the next, 0: no stamps", NULL, 8, NULL, "0 8", NULL}},
    .metrics    = {{"producer_line_ticks", "ticks", "a line of the producer, the median"},
                   {"producer_slow_pct", "%", "its time in lines of more than twice the median"},
                   {"consumer_line_ticks", "ticks", "a line of the consumer, the median"},
                   {"consumer_slow_pct", "%", "its time in lines of more than twice the median"},
                   {"ahead_10_lines", "lines", "that the producer is ahead, exceeded 9 times in 10"},
                   {"ahead_50_lines", "lines", "that the producer is ahead, the median"},
                   {"ahead_90_lines", "lines", "that the producer is ahead, exceeded once in 10 times"},
                   {"close_pct", "%", "times that the producer was less than two lines ahead"},
                   {"full_per_item", "refusals", "pushes that met a full ring, for each item"},
                   {"empty_per_item", "refusals", "pops that met an empty ring, for each item"}},
    .setup = setup, .run = run, .check = check, .teardown = teardown);
