/*
 * selfcheck/walk: does a comparison find two per cent of walking through memory where there are two, and none where
 * there are none?
 *
 * One operation is a walk of `steps` dependent loads along a ring of 8192 cache lines in random order (512 KiB: beyond any
 * L1, within most L2); the next walk begins where this one ended. 2040 steps take 2 % longer than 2000: the truth that
 * `fencepost selfcheck` holds its verdicts against. Each case has its own ring, in its own memory.
 * Excluded:  building the ring, and one walk round all of it, which warms the caches.
 * Expect:    12-18 cycles a step from an L2 of 1-2 MiB, 35-70 where the ring must come from the L3 (memory/chase has
 *            sources); the ratio of two walks is that of their steps.
 * Hazards:   where memory lies differs from process to process: on small pages the ring may fall on few sets of a cache.
 *            That is why the unit of a comparison is a process.
 * Not shown: anything but that; memory/chase is about memory.
 */
#define LINES 8192
#include "ring.h"

KERNEL(walk,
    .name       = "selfcheck/walk",
    .summary    = "a walk along a ring of 512 KiB goes as far as asked for, so 2040 steps take 2 % longer than 2000",
    .unit       = "walk",
    .threads    = { .min = 1, .max = 1 },
    .flags      = KERNEL_OPT_IN,
    .parameters = WALK_PARAMETERS(2000),
    .metrics    = WALK_METRICS,
    .setup      = setup,
    .run        = run,
    .check      = check);
