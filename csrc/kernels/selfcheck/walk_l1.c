/*
 * selfcheck/walk_l1: does a comparison find two per cent of walking through the first cache where there are two, and
 * none where there are none?
 *
 * One operation is a walk of `steps` dependent loads along a closed chain of 256 cache lines in random order (16 KiB:
 * within any L1). The next walk begins where this one ended. 2040 steps take 2 % longer than 2000. `fencepost
 * selfcheck` compares its verdicts with this truth.
 * Excluded:  building the chain, and one walk round all of it, which warms the caches.
 * Expect:    4-5 cycles a step (memory/chase has sources). The ratio of two walks is that of their steps.
 * Hazards:   a neighbour on the same core shares this cache and may push lines out of it.
 * Not shown: anything but that. memory/chase is about memory.
 */
#define LINES 256
#include "ring.h"

KERNEL(walk_l1,
    .name       = "selfcheck/walk_l1",
    .summary    = "a walk along a ring of 16 KiB goes as far as asked for, so 2040 steps take 2 % longer than 2000",
    .unit       = "walk",
    .threads    = { .min = 1, .max = 1 },
    .flags      = KERNEL_OPT_IN,
    .parameters = WALK_PARAMETERS(2000),
    .metrics    = WALK_METRICS,
    .setup      = setup,
    .run        = run,
    .check      = check);
