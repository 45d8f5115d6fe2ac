/*
 * selfcheck/malloc: does a comparison find two per cent of allocating where there are two, and none where there are
 * none?
 *
 * One operation is `pairs` pairs of malloc(64) and free, with one write and one read of the memory between them. All of
 * a batch are in one loop, so 102 of them are exactly 2 % more than 100. `fencepost selfcheck` compares its verdicts
 * with this truth.
 * Excluded:  nothing. The loop is part of the pair.
 * Expect:    15-25 ns a pair with glibc since 2.26, which gives back the last piece from a cache of the thread.
 * Hazards:   the C library decides the work of a pair. Both sides have the same one.
 * Not shown: anything but that. The topic alloc is about allocators.
 */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define MAX_PAIRS 100000
#define PIECE_BYTES 64

struct pieces {
    uint64_t pairs;
    uint64_t sum; /* of what was read, modulo 2^64 */
};

static int setup(struct trial *trial)
{
    if (trial->value[0] < 1 || trial->value[0] > MAX_PAIRS) {
        trial_fault(trial, "pairs=%" PRId64 " is not 1 to %d", trial->value[0], MAX_PAIRS);
        return -EINVAL;
    }
    return trial_alloc(trial, sizeof(struct pieces)) ? 0 : -ENOMEM;
}

static void run(struct worker *worker, uint64_t operations)
{
    struct pieces *pieces = worker->trial->state;
    const uint64_t pairs = (uint64_t)worker->trial->value[0] * operations;
    uint64_t sum = 0;

    for (uint64_t left = pairs; left > 0; left--) {
        volatile uint64_t *piece = malloc(PIECE_BYTES);

        OPAQUE(piece); /* or the pair could be left out */
        if (!piece)
            continue; /* the sum tells */
        *piece = left;
        sum += *piece;
        free((void *)piece);
    }
    pieces->sum += sum - (pairs % 2 ? (pairs + 1) / 2 * pairs : pairs / 2 * (pairs + 1));
    pieces->pairs += pairs;
}

/* What was written into each piece was read from it: `sum` is the difference to that. */
static int check(struct trial *trial)
{
    const struct pieces *pieces = trial->state;

    if (pieces->sum)
        return trial_fault(trial, "%" PRIu64 " pieces of memory did not all hold what was written to them",
                           pieces->pairs);
    return 0;
}

KERNEL(malloc,
    .name       = "selfcheck/malloc",
    .summary    = "a loop allocates and frees 64 bytes as often as asked for, so 102 pairs take 2 % longer than 100",
    .unit       = "block",
    .threads    = { .min = 1, .max = 1 },
    .flags      = KERNEL_OPT_IN,
    .parameters = {
        { .name = "pairs", .unit = "pairs", .summary = "of malloc and free in a block", .initial = 100 },
    },
    .setup      = setup,
    .run        = run,
    .check      = check);
