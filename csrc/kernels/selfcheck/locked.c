/*
 * selfcheck/locked: does a comparison find two per cent of locked additions where there are two, and none where there
 * are none?
 *
 * One operation is `adds` atomic additions to one number of this thread. All of a batch are in one loop, so 102 of them
 * are exactly 2 % more than 100. `fencepost selfcheck` compares its verdicts with this truth.
 * Excluded:  nothing. The loop of three instructions is part of the addition, which hides it.
 * Expect:    18-25 cycles an addition on x86-64 (uops.info, lock add), less on Arm with LSE.
 * Hazards:   a neighbour on the same core hardly slows a locked addition, which waits for the one before.
 * Not shown: anything but that. counter/increment and fence/cost are about locked operations.
 */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>

#define MAX_ADDS 100000

struct sum {
    _Alignas(128) _Atomic uint64_t value;
    _Alignas(128) uint64_t adds;
};

static int setup(struct trial *trial)
{
    if (trial->value[0] < 1 || trial->value[0] > MAX_ADDS) {
        trial_fault(trial, "adds=%" PRId64 " is not 1 to %d", trial->value[0], MAX_ADDS);
        return -EINVAL;
    }
    return trial_alloc(trial, sizeof(struct sum)) ? 0 : -ENOMEM;
}

static void run(struct worker *worker, uint64_t operations)
{
    struct sum *sum = worker->trial->state;
    const uint64_t adds = (uint64_t)worker->trial->value[0] * operations;

    for (uint64_t left = adds; left > 0; left--)
        /* Sequentially consistent: the strongest there is. It orders nothing here, and its cost is what is asked about. */
        atomic_fetch_add_explicit(&sum->value, 1, memory_order_seq_cst);
    sum->adds += adds;
}

/* No addition was left out. */
static int check(struct trial *trial)
{
    struct sum *sum = trial->state;
    const uint64_t found = atomic_load_explicit(&sum->value, memory_order_relaxed); /* no other thread has it */

    if (found != sum->adds)
        return trial_fault(trial, "%" PRIu64 " additions left the number %" PRIu64, sum->adds, found);
    return 0;
}

KERNEL(locked,
    .name       = "selfcheck/locked",
    .summary    = "a loop adds to a number under a lock prefix as often as asked for, so 102 additions take 2 % longer than 100",
    .unit       = "block",
    .threads    = { .min = 1, .max = 1 },
    .flags      = KERNEL_OPT_IN,
    .parameters = {
        { .name = "adds", .unit = "additions", .summary = "in a block", .initial = 100 },
    },
    .setup      = setup,
    .run        = run,
    .check      = check);
