/*
 * selfcheck/walk_l3: does a comparison find two per cent of walking through a shared cache where there are two, and
 * none where there are none?
 *
 * One operation is a walk of `steps` dependent loads along a closed chain of 65536 cache lines in random order. The
 * chain is 4 MiB: beyond most L2, within most L3. The next walk begins where this one ended. 408 steps take 2 % longer
 * than 400. `fencepost selfcheck` compares its verdicts with this truth.
 * Excluded:  building the chain, and one walk round all of it, which warms the caches.
 * Expect:    35-150 cycles a step (memory/chase has sources). The ratio of two walks is that of their steps.
 * Hazards:   all cores of a socket share this cache. Other guests slow the walk, and no witness of the core sees it.
 * Not shown: anything but that. memory/chase is about memory.
 */
#define LINES 65536
#include "ring.h"

KERNEL(walk_l3,
    .name       = "selfcheck/walk_l3",
    .summary    = "a walk along a ring of 4 MiB goes as far as asked for, so 408 steps take 2 % longer than 400",
    .unit       = "walk",
    .threads    = { .min = 1, .max = 1 },
    .flags      = KERNEL_OPT_IN,
    .parameters = WALK_PARAMETERS(400),
    .metrics    = WALK_METRICS,
    .setup      = setup,
    .run        = run,
    .check      = check);
