/*
 * selfcheck/walk: does a comparison find two per cent of walking through memory where there are two, and none where
 * there are none?
 *
 * One operation is a walk of `steps` dependent loads along a closed chain of 8192 cache lines in random order. The
 * chain is 512 KiB: beyond any L1, within most L2. The next walk begins where this one ended. 2040 steps take 2 %
 * longer than 2000. `fencepost selfcheck` compares its verdicts with this truth. Each case has its own chain, in its
 * own memory.
 * Excluded:  building the chain, and one walk round all of it, which warms the caches.
 * Expect:    12-18 cycles a step from an L2 of 1-2 MiB, 35-70 where the chain must come from the L3 (memory/chase has
 *            sources). The ratio of two walks is that of their steps.
 * Hazards:   the place of memory differs from process to process. On small pages the chain may fall on few sets of a
 *            cache. That is why the unit of a comparison is a process.
 * Not shown: anything but that. memory/chase is about memory.
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
