/*
 * selfcheck/walk: does a comparison find two per cent of walking through memory where there are two, and none where
 * there are none?
 *
 * One operation is a walk of `steps` dependent loads along a ring of 8192 cache lines in random order (512 KiB: beyond any
 * L1, within most L2); the next walk begins where this one ended. 2040 steps take 2 % longer than 2000: the truth that
 * `fencepost selfcheck` holds its verdicts against. Each case has its own ring, in its own memory.
 * Excluded:  building the ring, and one walk round all of it, which warms the caches.
 * Expect:    12-18 cycles a step from an L2 of 1-2 MiB, 35-70 where the ring must come from the L3 (memory/chase has
 *            sources); the ratio of two walks that of their steps, less some 20 cycles of a mispredicted end in 30 000.
 * Hazards:   where memory lies differs from process to process: on small pages the ring may fall on few sets of a cache.
 *            That is why the unit of a comparison is a process.
 * Not shown: anything but that; memory/chase is about memory.
 */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>

#define LINES 8192
#define LINE_BYTES 64
/* In a turn of the loop; 2000 and 2040 are multiples of it. */
#define LOADS 8
#define MAX_STEPS 1000000

enum { STEPS, PAGES };
enum { HUGE, SMALL };

struct line {
    struct line *next;
    uint64_t number; /* its place in the ring */
    uint64_t unused[LINE_BYTES / 8 - 2];
};

struct walk {
    struct line *at;
    uint64_t steps;
};

static int setup(struct trial *trial)
{
    struct walk *walk;
    struct line *lines;
    uint64_t random = 1;
    uint32_t order[LINES];

    if (trial->value[STEPS] < LOADS || trial->value[STEPS] > MAX_STEPS || trial->value[STEPS] % LOADS) {
        trial_fault(trial, "steps=%" PRId64 " is not a multiple of %d up to %d", trial->value[STEPS], LOADS, MAX_STEPS);
        return -EINVAL;
    }
    walk = trial_alloc(trial, sizeof *walk);
    lines = trial_alloc_pages(trial, LINES * LINE_BYTES, trial->value[PAGES] == HUGE);
    if (!walk || !lines)
        return -ENOMEM;
    for (uint32_t i = 0; i < LINES; i++)
        order[i] = i;
    /* Fisher and Yates; the same order in each process and on each side: only where the ring lies differs. */
    for (uint32_t i = LINES - 1; i > 0; i--) {
        uint32_t j, swapped;

        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407); /* Knuth, MMIX */
        j = (uint32_t)((random >> 33) % (i + 1));
        swapped = order[i];
        order[i] = order[j];
        order[j] = swapped;
    }
    for (uint32_t i = 0; i < LINES; i++) {
        lines[order[i]].next = &lines[order[(i + 1) % LINES]];
        lines[order[i]].number = i;
    }
    walk->at = &lines[order[0]];
    for (uint32_t i = 0; i < LINES; i++)
        walk->at = walk->at->next;
    return 0;
}

static void run(struct worker *worker, uint64_t operations)
{
    struct walk *walk = worker->trial->state;
    const uint64_t steps = (uint64_t)worker->trial->value[STEPS];
    struct line *at = walk->at;

    for (uint64_t i = operations; i > 0; i--)
        for (uint64_t left = steps; left > 0; left -= LOADS)
            at = at->next->next->next->next->next->next->next->next;
    walk->at = at;
    walk->steps += steps * operations;
}

/* The walk stands where so many steps lead. */
static int check(struct trial *trial)
{
    const struct walk *walk = trial->state;

    if (walk->at->number != walk->steps % LINES)
        return trial_fault(trial, "after %" PRIu64 " steps the walk stands at line %" PRIu64, walk->steps,
                           walk->at->number);
    return 0;
}

KERNEL(walk,
    .name       = "selfcheck/walk",
    .summary    = "a walk along a ring of 512 KiB goes as far as asked for, so 2040 steps take 2 % longer than 2000",
    .unit       = "walk",
    .threads    = { .min = 1, .max = 1 },
    .flags      = KERNEL_OPT_IN,
    .parameters = {
        [STEPS] = { .name = "steps", .unit = "loads", .summary = "of a walk, a multiple of 8", .initial = 2000 },
        [PAGES] = { .name = "pages", .summary = "asked of the kernel for the ring", .labels = "huge small",
                    .initial = HUGE },
    },
    .setup      = setup,
    .run        = run,
    .check      = check);
