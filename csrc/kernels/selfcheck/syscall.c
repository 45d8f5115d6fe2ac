/*
 * selfcheck/syscall: does a comparison find two per cent of system calls where there are two, and none where there are
 * none?
 *
 * One operation is `calls` calls of syscall(SYS_getpid). 102 of them take 2 % longer than 100. `fencepost selfcheck`
 * compares its verdicts with this truth. The added work must be serialised. Two multiplications behind each call were
 * seen to vanish in its shadow. A call waits for the one before it, since entering and leaving the kernel (syscall,
 * swapgs, sysret) drains the pipeline.
 * Excluded:  nothing. The loop of three instructions is part of the block.
 * Expect:    40-250 ns a call, by the mitigations of the machine (clock/null_syscall).
 * Hazards:   the cost of a call changes by the hour (seen: 101, then 107-122 ns). So only sides that were measured in
 *            turn can be compared.
 * Not shown: anything but that. clock/null_syscall is about the call.
 */
#define _GNU_SOURCE
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_CALLS 100000

struct calls {
    uint64_t calls;
    uint64_t sum; /* of what they returned, modulo 2^64 */
};

static int setup(struct trial *trial)
{
    if (trial->value[0] < 1 || trial->value[0] > MAX_CALLS) {
        trial_fault(trial, "calls=%" PRId64 " is not 1 to %d", trial->value[0], MAX_CALLS);
        return -EINVAL;
    }
    return trial_alloc(trial, sizeof(struct calls)) ? 0 : -ENOMEM;
}

static void run(struct worker *worker, uint64_t operations)
{
    struct calls *state = worker->trial->state;
    const uint64_t calls = (uint64_t)worker->trial->value[0];
    uint64_t sum = 0;

    for (uint64_t i = operations; i > 0; i--)
        for (uint64_t left = calls; left > 0; left--)
            sum += (uint64_t)syscall(SYS_getpid);
    state->sum += sum;
    state->calls += calls * operations;
}

/* Every call returned this process's number. */
static int check(struct trial *trial)
{
    const struct calls *state = trial->state;

    if (state->sum != state->calls * (uint64_t)getpid())
        return trial_fault(trial, "%" PRIu64 " calls did not all return the number of this process", state->calls);
    return 0;
}

KERNEL(syscall,
    .name       = "selfcheck/syscall",
    .summary    = "a loop calls getpid as often as asked for, so 102 calls take 2 % longer than 100",
    .unit       = "block",
    .threads    = { .min = 1, .max = 1 },
    .flags      = KERNEL_OPT_IN,
    .parameters = {
        { .name = "calls", .unit = "calls", .summary = "in a block", .initial = 100 },
    },
    .setup      = setup,
    .run        = run,
    .check      = check);
