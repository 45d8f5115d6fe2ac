/*
 * own/one_thread: what do the instructions of push and pop cost where no line changes its owner?
 *
 *   fencepost run own/one_thread --kernel examples/own/one_thread.c -p lazy=no,yes -p capacity=64,1024,65536
 *
 * One thread fills the ring and empties it again. One operation is one item, pushed and popped.
 * Between two threads the two sides work at the same time. So the larger half of this figure is a floor of ring/spsc on two cores. Two
 * threads of one core share its units, and there the whole figure is one.
 */
#include "lib/ring/ring.c"
#include "lib/ring/spsc.c"

#include <errno.h>
#include <inttypes.h>

#include "kernel.h"

#define LARGEST_CAPACITY (INT64_C(1) << 20)

struct one_thread {
    struct ring_spsc *ring;
    uint64_t number, disorder;
};

static int setup(struct trial *trial)
{
    struct one_thread *state = trial_alloc(trial, sizeof *state);
    const int64_t capacity = trial->value[0];

    if (!state)
        return -ENOMEM;
    if (capacity < 1 || capacity > LARGEST_CAPACITY)
        return trial_fault(trial, "capacity=%" PRId64 " is not from 1 to %" PRId64, capacity, LARGEST_CAPACITY);
    trial->granule = (uint64_t)capacity;
    return ring_spsc_create(&state->ring, (size_t)capacity, 8, trial->value[1] ? RING_SPSC_LAZY : 0);
}

static void run(struct worker *worker, uint64_t operations)
{
    struct one_thread *const state = worker->trial->state;
    struct ring_spsc *const ring = state->ring;
    const uint64_t lap = (uint64_t)worker->trial->value[0], end = state->number + operations;
    uint64_t number = state->number, disorder = 0, item = 0;

    while (number != end) {
        for (uint64_t i = number; i != number + lap; i++)
            disorder |= !ring_spsc_try_push_sized(ring, &i, sizeof i);
        ring_spsc_flush(ring);
        for (const uint64_t next = number + lap; number != next; number++) {
            disorder |= !ring_spsc_try_pop_sized(ring, &item, sizeof item);
            disorder |= item ^ number;
        }
    }
    state->number = number;
    state->disorder |= disorder;
}

static int check(struct trial *trial)
{
    const struct one_thread *state = trial->state;

    if (state->disorder || state->number == 0)
        return trial_fault(trial, "items came out of order, or were refused (bits %" PRIx64 ")", state->disorder);
    return 0;
}

static void teardown(struct trial *trial)
{
    const struct one_thread *state = trial->state;

    if (state)
        ring_spsc_destroy(state->ring);
}

KERNEL(one_thread,
    .name       = "own/one_thread",
    .summary    = "one thread pushes items into the library's ring and pops them",
    .unit       = "item",
    .threads    = {1, 1},
    .parameters = {{"capacity", "items", "of the ring", NULL, 1024, NULL, "64 1024 65536", NULL},
                   {"lazy", "", "published by groups", "no yes", 0, NULL, "no yes", NULL}},
    .setup = setup, .run = run, .check = check, .teardown = teardown);
