/*
 * selfcheck/mutex: does a comparison find two per cent of locking where there are two, and none where there are none?
 *
 * One operation is `pairs` pairs of pthread_mutex_lock and pthread_mutex_unlock, with one addition between them. Nobody
 * else wants the lock. All of a batch are in one loop, so 102 of them are exactly 2 % more than 100. `fencepost
 * selfcheck` compares its verdicts with this truth.
 * Excluded:  nothing. The loop is part of the pair.
 * Expect:    40-60 cycles a pair with glibc on x86-64: two locked instructions of some 20 cycles each (lock/hold).
 * Hazards:   the C library decides the work of a pair. Both sides have the same one.
 * Not shown: anything but that. lock/hold is about locks, also contended ones.
 */
#define _GNU_SOURCE
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>

#define MAX_PAIRS 100000

struct guarded {
    pthread_mutex_t mutex;
    uint64_t inside; /* written under the lock only */
    uint64_t pairs;
    uint64_t failures; /* calls that did not return 0 */
};

static int setup(struct trial *trial)
{
    struct guarded *guarded;

    if (trial->value[0] < 1 || trial->value[0] > MAX_PAIRS) {
        trial_fault(trial, "pairs=%" PRId64 " is not 1 to %d", trial->value[0], MAX_PAIRS);
        return -EINVAL;
    }
    guarded = trial_alloc(trial, sizeof *guarded);
    return guarded ? -pthread_mutex_init(&guarded->mutex, NULL) : -ENOMEM;
}

static void run(struct worker *worker, uint64_t operations)
{
    struct guarded *guarded = worker->trial->state;
    const uint64_t pairs = (uint64_t)worker->trial->value[0] * operations;
    uint64_t failures = 0;

    for (uint64_t left = pairs; left > 0; left--) {
        failures += pthread_mutex_lock(&guarded->mutex) != 0;
        guarded->inside++;
        failures += pthread_mutex_unlock(&guarded->mutex) != 0;
    }
    guarded->pairs += pairs;
    guarded->failures += failures;
}

/* Each pair locked, added and unlocked: the lock can be had now. */
static int check(struct trial *trial)
{
    struct guarded *guarded = trial->state;

    if (guarded->failures || guarded->inside != guarded->pairs)
        return trial_fault(trial, "%" PRIu64 " pairs added %" PRIu64 " times, %" PRIu64 " calls failed", guarded->pairs,
                           guarded->inside, guarded->failures);
    if (pthread_mutex_trylock(&guarded->mutex))
        return trial_fault(trial, "after %" PRIu64 " pairs the lock is still held", guarded->pairs);
    pthread_mutex_unlock(&guarded->mutex);
    return 0;
}

KERNEL(mutex,
    .name       = "selfcheck/mutex",
    .summary    = "a loop takes and gives back a free mutex as often as asked for, so 102 pairs take 2 % longer than 100",
    .unit       = "block",
    .threads    = { .min = 1, .max = 1 },
    .flags      = KERNEL_OPT_IN,
    .parameters = {
        { .name = "pairs", .unit = "pairs", .summary = "of lock and unlock in a block", .initial = 100 },
    },
    .setup      = setup,
    .run        = run,
    .check      = check);
