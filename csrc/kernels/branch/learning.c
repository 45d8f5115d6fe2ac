/*
 * branch/learning: how fast does the predictor learn an array that it meets again?
 *
 * An event is one pass over an array of n random outcomes with branch/pattern's loop. The row shows the first pass. The
 * metrics show the cost of one element at each later pass. This is the beginner's error as an experiment: a benchmark
 * that repeats a small array measures a machine that knows the array by heart.
 * Excluded:  building the array, and reading the clock (the median empty window is subtracted).
 * Expect:    with n = 1000, 14.5 cycles an element at the first pass, 6.6 at the second, 2.8 by the tenth. With n =
 *            4000 it is learnt by the twentieth, with n = 16000 never (Intel family 6 model 207).
 * Hazards:   every array is new, but the predictor's tables are not empty. They still contain traces of earlier arrays.
 * Not shown: how long it remembers.
 */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>

#include "outcomes.h"

enum { N };

#define PASSES 100
/* Fresh arrays a process: enough for a median at each pass. */
#define ARRAYS 15
#define SHOWN 8
static const int shown_pass[SHOWN] = {1, 2, 3, 5, 10, 20, 50, 100};

struct lessons {
    uint64_t seed, zeros, expected;
    unsigned array;
    double cost_ticks[SHOWN][ARRAYS], first_misses[ARRAYS];
    uint8_t outcomes[];
};

#if defined(HAS_BRANCH_LOOP)

static int setup(struct trial *trial)
{
    struct lessons *lessons;

    if (trial->value[N] < 100 || trial->value[N] > 1 << 20) {
        trial_fault(trial, "n is %" PRId64 ", it goes from 100 to 2^20", trial->value[N]);
        return -EINVAL;
    }
    lessons = trial_alloc(trial, sizeof *lessons + (size_t)trial->value[N]);
    if (!lessons)
        return -ENOMEM;
    lessons->seed = fresh_seed();
    trial->batches = ARRAYS;
    return 0;
}

/* Not inlined: a compiler that made a copy of its own for the first pass would let the predictor learn two jumps. */
static __attribute__((noinline)) uint64_t walk_once(const uint8_t *outcomes, uint64_t n)
{
    return count_zeros_branch(outcomes, n);
}

/* One batch: a new array, met a hundred times. The events are the first passes' costs: the row's own value is first sight. */
static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    const struct trial *trial = worker->trial;
    struct lessons *lessons = trial->state;
    const uint64_t n = (uint64_t)trial->value[N];
    uint64_t zeros = 0;
    int next = 0;

    (void)count;
    for (uint64_t i = 0; i < n; i++) {
        lessons->outcomes[i] = next_random(&lessons->seed) >> 63;
        zeros += !lessons->outcomes[i];
    }
    lessons->expected += zeros * PASSES;
    for (int pass = 1; pass <= PASSES; pass++) {
        const double misses = pass == 1 ? branch_misses(trial) : 0;
        const uint64_t begin = tick_begin();
        const uint64_t counted = walk_once(lessons->outcomes, n);
        const double net = net_ticks(trial, begin, tick_end());

        lessons->zeros += counted;
        if (pass == shown_pass[next])
            lessons->cost_ticks[next++][lessons->array] = net / (double)n;
        if (pass == 1) {
            ticks[0] = (int64_t)net;
            lessons->first_misses[lessons->array] = (branch_misses(trial) - misses) / (double)n;
        }
    }
    lessons->array++;
    return 1;
}

#else

static int setup(struct trial *trial)
{
    return trial_needs(trial, "an x86-64, AArch64 or 64-bit RISC-V CPU");
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    (void)worker;
    (void)ticks;
    (void)count;
    return -ENOTSUP;
}

#endif

/* Every pass counted the zeros of its array. */
static int check(struct trial *trial)
{
    struct lessons *lessons = trial->state;

    if (lessons->zeros != lessons->expected)
        return trial_fault(trial, "counted %" PRIu64 " zeros where %" PRIu64 " are", lessons->zeros, lessons->expected);
    for (int i = 0; i < SHOWN; i++) {
        double sorted[ARRAYS];

        for (unsigned j = 0; j < lessons->array; j++)
            sorted[j] = lessons->cost_ticks[i][j];
        trial->metric[i] = median_of(sorted, lessons->array);
    }
    trial->metric[SHOWN] = median_of(lessons->first_misses, lessons->array);
    return 0;
}

static uint64_t cost_ns(const struct trial *trial)
{
    return (uint64_t)trial->value[N] * ARRAYS * PASSES; /* seen 0.9-1.1 ns an element */
}

KERNEL(learning,
    .name       = "branch/learning",
    .summary    = "a loop branches on the same random array again and again, and each pass is timed",
    .unit       = "first pass",
    .threads    = { 1, 1 },
    .flags      = KERNEL_MISSES,
    .parameters = {
        { "n", "outcomes", "length of the array", NULL, 1000, "1000", "1000 4000 16000", "1000 2000 4000 8000 16000 32000" },
    },
    .metrics    = {
        { "pass1_ticks", "ticks", "one element at pass 1: never seen before" },
        { "pass2_ticks", "ticks", "one element at pass 2" },
        { "pass3_ticks", "ticks", "one element at pass 3" },
        { "pass5_ticks", "ticks", "one element at pass 5" },
        { "pass10_ticks", "ticks", "one element at pass 10" },
        { "pass20_ticks", "ticks", "one element at pass 20" },
        { "pass50_ticks", "ticks", "one element at pass 50" },
        { "pass100_ticks", "ticks", "one element at pass 100" },
        { "misses_per_branch", "1", "mispredictions per element of the first pass, as the hardware counted them" },
    },
    .setup      = setup,
    .events     = events,
    .events_per_batch = 1,
    .batches    = ARRAYS,
    .check      = check,
    .cost_ns    = cost_ns);
