/*
 * selfcheck/pingpong: does a comparison find two per cent of hand-overs where there are two, and none where there are
 * none?
 *
 * One operation is `trips` round trips of a cache line between two CPUs. All of a batch are in one loop, so 102 of them
 * are exactly 2 % more than 100. `fencepost selfcheck` compares its verdicts with this truth.
 * Excluded:  the team's start, once in a batch.
 * Expect:    as line/pingpong, which has sources: 70-450 ns a trip.
 * Hazards:   a host may move the two CPUs between cores that share a cache and cores that do not. A round in which that
 *            changes says nothing. Anything else on either CPU stops both.
 * Not shown: anything but that. line/pingpong is about hand-overs.
 */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdatomic.h>

#define MAX_TRIPS 100000

struct table {
    _Alignas(128) _Atomic uint64_t ball;
    struct {
        _Alignas(128) uint64_t trips;
        uint64_t disorder; /* bits by which numbers were not the next ones */
    } side[2];
};

static int setup(struct trial *trial)
{
    if (trial->value[0] < 1 || trial->value[0] > MAX_TRIPS) {
        trial_fault(trial, "trips=%" PRId64 " is not 1 to %d", trial->value[0], MAX_TRIPS);
        return -EINVAL;
    }
    return trial_alloc(trial, sizeof(struct table)) ? 0 : -ENOMEM;
}

/* Waits until the number is no longer `last`. Whether the next one is right is checked afterwards, so a wrong one does not hang. */
static inline uint64_t await_change(_Atomic uint64_t *ball, uint64_t last, int yields)
{
    uint64_t seen;

    /* Acquire, pairs with the release of the other side in run(): it takes over what the number stands for. */
    while ((seen = atomic_load_explicit(ball, memory_order_acquire)) == last)
        if (yields)
            sched_yield(); /* the other thread has no CPU of its own */
    return seen;
}

static void run(struct worker *worker, uint64_t operations)
{
    struct trial *trial = worker->trial;
    struct table *table = trial->state;
    const uint64_t trips = (uint64_t)trial->value[0] * operations;
    const int yields = trial->oversubscribed, serves = worker->index == 0;
    uint64_t number = 2 * table->side[worker->index].trips, disorder = 0;

    for (uint64_t left = trips; left > 0; left--, number += 2)
        if (serves) {
            /* Both releases pair with the acquire in await_change(). */
            atomic_store_explicit(&table->ball, number + 1, memory_order_release);
            disorder |= await_change(&table->ball, number + 1, yields) ^ (number + 2);
        } else {
            disorder |= await_change(&table->ball, number, yields) ^ (number + 1);
            atomic_store_explicit(&table->ball, number + 2, memory_order_release);
        }
    table->side[worker->index].trips += trips;
    table->side[worker->index].disorder |= disorder;
}

/* Each number was handed over once and in order, and the last one is there. */
static int check(struct trial *trial)
{
    struct table *table = trial->state;
    const uint64_t there = atomic_load_explicit(&table->ball, memory_order_relaxed); /* the threads have met since */
    const uint64_t trips = table->side[0].trips;

    if (table->side[0].disorder || table->side[1].disorder)
        return trial_fault(trial, "numbers came out of order (bits %" PRIx64 " and %" PRIx64 ")",
                           table->side[0].disorder, table->side[1].disorder);
    if (trips != table->side[1].trips || there != 2 * trips)
        return trial_fault(trial, "%" PRIu64 " and %" PRIu64 " trips left the number %" PRIu64, trips,
                           table->side[1].trips, there);
    return 0;
}

KERNEL(pingpong,
    .name       = "selfcheck/pingpong",
    .summary    = "two CPUs hand a line to and fro as often as asked for, so 102 trips take 2 % longer than 100",
    .unit       = "block",
    .threads    = { .min = 2, .max = 2 },
    .flags      = KERNEL_OPT_IN,
    .parameters = {
        { .name = "trips", .unit = "trips", .summary = "there and back in a block", .initial = 100 },
    },
    .setup      = setup,
    .run        = run,
    .check      = check);
