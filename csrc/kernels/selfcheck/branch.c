/*
 * selfcheck/branch: does a comparison find two per cent of mispredicted branches where there are two, and none where
 * there are none?
 *
 * One operation is `branches` turns of a loop. Each draws a random number and branches on one of its bits, so every
 * second branch is mispredicted on average. All turns of a batch are in one loop, so 102 of them are 2 % more than 100.
 * `fencepost selfcheck` compares its verdicts with this truth.
 * Excluded:  nothing. Drawing is part of the turn.
 * Expect:    15-25 cycles a turn: 6-8 for the number, half of a misprediction of 15-20 (branch/penalty).
 * Hazards:   chance decides how many branches of a batch go wrong: 1 % more or less among some 3000 of them. The rounds
 *            average that. Each trial draws different numbers.
 * Not shown: anything but that. branch/pattern and branch/penalty are about branches.
 */
#include "kernel.h"
#include "kernels/random.h"

#include <errno.h>
#include <inttypes.h>

#define MAX_BRANCHES 100000

struct drawn {
    uint64_t seed, random, branches, taken;
};

static int setup(struct trial *trial)
{
    struct drawn *drawn;

    if (trial->value[0] < 1 || trial->value[0] > MAX_BRANCHES) {
        trial_fault(trial, "branches=%" PRId64 " is not 1 to %d", trial->value[0], MAX_BRANCHES);
        return -EINVAL;
    }
    drawn = trial_alloc(trial, sizeof *drawn);
    if (!drawn)
        return -ENOMEM;
    /* Two trials side by side may not draw the same numbers: the predictor would learn from one what the other does next. */
    drawn->seed = drawn->random = fresh_seed();
    return 0;
}

static void run(struct worker *worker, uint64_t operations)
{
    struct drawn *drawn = worker->trial->state;
    const uint64_t branches = (uint64_t)worker->trial->value[0] * operations;
    uint64_t random = drawn->random, taken = drawn->taken;

    for (uint64_t left = branches; left > 0; left--)
        if (next_random(&random) >> 63) {
            taken++;
            OPAQUE(taken); /* may not be done without the branch: it stays a branch */
        }
    drawn->random = random;
    drawn->taken = taken;
    drawn->branches += branches;
}

/* The same numbers, drawn again and counted without a branch. */
static int check(struct trial *trial)
{
    const struct drawn *drawn = trial->state;
    uint64_t random = drawn->seed, taken = 0;

    for (uint64_t left = drawn->branches; left > 0; left--)
        taken += next_random(&random) >> 63;
    if (taken != drawn->taken || random != drawn->random)
        return trial_fault(trial, "%" PRIu64 " branches: %" PRIu64 " instead of %" PRIu64 " were taken",
                           drawn->branches, drawn->taken, taken);
    return 0;
}

KERNEL(branch,
    .name       = "selfcheck/branch",
    .summary    = "a loop branches on random bits as often as asked for, so 102 branches take 2 % longer than 100",
    .unit       = "block",
    .threads    = { .min = 1, .max = 1 },
    .flags      = KERNEL_OPT_IN,
    .parameters = {
        { .name = "branches", .unit = "branches", .summary = "in a block", .initial = 100 },
    },
    .setup      = setup,
    .run        = run,
    .check      = check);
