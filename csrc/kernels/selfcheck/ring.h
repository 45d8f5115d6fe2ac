/*
 * Shared by the walks of the self-check: a closed chain of cache lines in random order, and the walk along it. The
 * kernel that includes this defines LINES, a power of two, before.
 *
 * All steps of a batch are in one loop, eight to a turn, so that 2 % more steps are exactly 2 % more loads.
 */
#ifndef FENCEPOST_SELFCHECK_RING_H
#define FENCEPOST_SELFCHECK_RING_H

#include "kernel.h"

#include <errno.h>
#include <inttypes.h>

#define LINE_BYTES 64
/* In a turn of the loop. 400, 408, 2000 and 2040 are multiples of it. */
#define LOADS 8
#define MAX_STEPS 1000000

enum { STEPS, PAGES };
enum { HUGE_PAGES, SMALL_PAGES };

struct line {
    struct line *next;
    uint64_t number; /* its place in the ring */
    uint64_t unused[LINE_BYTES / 8 - 2];
};

struct walk {
    struct line *at;
    uint64_t steps;
    uint32_t order[LINES];
};

static int setup(struct trial *trial)
{
    struct walk *walk;
    struct line *lines;
    uint64_t random = 1;

    if (trial->value[STEPS] < LOADS || trial->value[STEPS] > MAX_STEPS || trial->value[STEPS] % LOADS) {
        trial_fault(trial, "steps=%" PRId64 " is not a multiple of %d up to %d", trial->value[STEPS], LOADS, MAX_STEPS);
        return -EINVAL;
    }
    walk = trial_alloc(trial, sizeof *walk);
    lines = trial_alloc_pages(trial, (size_t)LINES * LINE_BYTES, trial->value[PAGES] == HUGE_PAGES);
    if (!walk || !lines)
        return -ENOMEM;
    for (uint32_t i = 0; i < LINES; i++)
        walk->order[i] = i;
    /* Fisher and Yates. The order is the same in each process and on each side. Only the place of the buffer differs. */
    for (uint32_t i = LINES - 1; i > 0; i--) {
        uint32_t j, swapped;

        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407); /* Knuth, MMIX */
        j = (uint32_t)((random >> 33) % (i + 1));
        swapped = walk->order[i];
        walk->order[i] = walk->order[j];
        walk->order[j] = swapped;
    }
    for (uint32_t i = 0; i < LINES; i++) {
        lines[walk->order[i]].next = &lines[walk->order[(i + 1) % LINES]];
        lines[walk->order[i]].number = i;
    }
    walk->at = &lines[walk->order[0]];
    for (uint32_t i = 0; i < LINES; i++)
        walk->at = walk->at->next;
    return 0;
}

static void run(struct worker *worker, uint64_t operations)
{
    struct walk *walk = worker->trial->state;
    const uint64_t steps = (uint64_t)worker->trial->value[STEPS] * operations;
    struct line *at = walk->at;

    for (uint64_t left = steps; left > 0; left -= LOADS)
        at = at->next->next->next->next->next->next->next->next;
    walk->at = at;
    walk->steps += steps;
}

/* The walk stands where so many steps lead. */
static int check(struct trial *trial)
{
    const struct walk *walk = trial->state;

    trial->metric[0] = (double)LINES * LINE_BYTES;
    if (walk->at->number != walk->steps % LINES)
        return trial_fault(trial, "after %" PRIu64 " steps the walk stands at line %" PRIu64, walk->steps,
                           walk->at->number);
    return 0;
}

#define WALK_PARAMETERS(default_steps)                                                                                 \
    {                                                                                                                  \
        [STEPS] = {.name = "steps",                                                                                    \
                   .unit = "loads",                                                                                    \
                   .summary = "of a walk, a multiple of 8",                                                            \
                   .initial = (default_steps)},                                                                        \
        [PAGES] = {.name = "pages",                                                                                    \
                   .summary = "asked of the kernel for the ring",                                                      \
                   .labels = "huge small",                                                                             \
                   .initial = HUGE_PAGES},                                                                             \
    }

#define WALK_METRICS                                                                                                   \
    {                                                                                                                  \
        {"footprint_bytes", "bytes", "memory that the walk goes through"},                                             \
    }

#endif
