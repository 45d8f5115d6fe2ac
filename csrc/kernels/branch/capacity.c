/*
 * branch/capacity: how long a pattern can the branch predictor remember?
 *
 * One operation is one element of branch/pattern's loop, over a random pattern of `period` outcomes that repeats for
 * ever. While the predictor remembers the pattern, an element costs as much as in the sorted array. Beyond the
 * predictor's capacity it costs as much as in the random one.
 * Excluded:  the learning. The loop has gone over the pattern many times before the first batch (branch/learning shows
 *            that part).
 * Expect:    flat up to about 4096 outcomes, a knee at 8-16 thousand, random's full price from 65 536 on (Intel family
 *            6 model 207).
 * Hazards:   each process has a fresh pattern. Capacity depends on the pattern too, hence the spread near the knee.
 * Not shown: how many different branches it can remember (branch/footprint).
 */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>

#include "outcomes.h"

enum { PERIOD };

/* Whole passes before the first batch. Twenty are enough for what can be learnt at all ([n = 4000] was learnt by pass 20). */
#define WARM_PASSES 20
/* ... but no more elements than this, about 10 ms: what is not learnt by then is beyond capacity. */
#define WARM_ELEMENTS ((uint64_t)1 << 21)

#if defined(HAS_BRANCH_LOOP)

WALK(step, count_zeros_branch)

static void run(struct worker *worker, uint64_t elements)
{
    step(worker->trial->state, elements);
}

static int setup(struct trial *trial)
{
    const int64_t period = trial->value[PERIOD];
    uint64_t seed = fresh_seed();
    struct walk *walk;
    uint64_t warm;

    if (period < 2 || period > (int64_t)1 << 26) {
        trial_fault(trial, "period is %" PRId64 ", it goes from 2 to 2^26", period);
        return -EINVAL;
    }
    walk = trial_alloc(trial, sizeof *walk + (size_t)period);
    if (!walk)
        return -ENOMEM;
    walk->size = (uint64_t)period;
    fill_with_coins(walk->outcomes, walk->size, &seed);
    warm = WARM_PASSES * walk->size;
    step(walk, warm < WARM_ELEMENTS ? warm : WARM_ELEMENTS);
    return 0;
}

#else

static void run(struct worker *worker, uint64_t elements)
{
    (void)worker;
    (void)elements;
}

static int setup(struct trial *trial)
{
    return trial_needs(trial, "an x86-64, AArch64 or 64-bit RISC-V CPU");
}

#endif

static int check(struct trial *trial)
{
    trial->metric[0] = trial->misses_per_operation;
    return check_walk(trial, trial->state);
}

static uint64_t cost_ns(const struct trial *trial)
{
    const uint64_t warm = WARM_PASSES * (uint64_t)trial->value[PERIOD];

    return 3 * (warm < WARM_ELEMENTS ? warm : WARM_ELEMENTS); /* seen: 15 cycles an element if nothing is learnt */
}

KERNEL(capacity,
    .name       = "branch/capacity",
    .summary    = "a loop branches on a random pattern that repeats after a set number of outcomes",
    .unit       = "element",
    .threads    = { 1, 1 },
    .flags      = KERNEL_MISSES,
    .parameters = {
        { "period", "outcomes", "length of the repeated random pattern", NULL, 1 << 10, "16 4096 65536",
          "16 64 256 1024 2048 4096 8192 16384 32768 65536 262144 1048576",
          "16 32 64 128 256 512 1024 2048 4096 8192 16384 32768 65536 131072 262144 524288 1048576" },
    },
    .metrics    = { MISSES_PER_BRANCH },
    .setup      = setup,
    .run        = run,
    .check      = check,
    .cost_ns    = cost_ns);
