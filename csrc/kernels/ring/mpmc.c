/*
 * ring/mpmc, ring/mpmc_oversubscribed: how fast do several threads hand items to several others?
 *
 * One operation is one item. Half of the team pushes, half pops. Each thread moves its fixed share of a window's items.
 * Worker 0 is a consumer, and its window is timed. After a refusal a thread tries again, with or without a spin hint
 * between. Where threads share a CPU (ring/mpmc_oversubscribed) it gives its CPU away instead.
 * Excluded:  making the ring, and the team's start.
 * Variants:  roles matters where threads share CPUs. With apart, each CPU has threads of one role, with mixed, of both.
 * Expect:    reference guest, two producers and two consumers on two CPUs: 63 ns an item for Vyukov's cells, 97 for
 *            rte_ring.
 * Hazards:   a thread preempted between claim and stamp blocks the other side (csrc/lib/ring/mpmc.h). Single items are
 *            bistable (see the regime).
 * Not shown: fairness among threads of a role, since shares are fixed.
 */
#include "lib/ring/mpmc.h"

#include "many.h"

static int mpmc_create(void **ring, size_t capacity, size_t item_bytes)
{
    return ring_mpmc_create((struct ring_mpmc **)ring, capacity, item_bytes, 0);
}

static void mpmc_destroy(void *ring)
{
    ring_mpmc_destroy((struct ring_mpmc *)ring);
}

RING_INLINE bool mpmc_try_push(void *ring, const void *item, size_t item_bytes)
{
    return ring_mpmc_try_push_sized((struct ring_mpmc *)ring, item, item_bytes);
}

RING_INLINE bool mpmc_try_pop(void *ring, void *item, size_t item_bytes)
{
    return ring_mpmc_try_pop_sized((struct ring_mpmc *)ring, item, item_bytes);
}

RING_INLINE size_t mpmc_push_bulk(void *ring, const void *items, size_t count, size_t item_bytes)
{
    return ring_mpmc_push_bulk_sized((struct ring_mpmc *)ring, items, count, item_bytes);
}

RING_INLINE size_t mpmc_pop_bulk(void *ring, void *items, size_t count, size_t item_bytes)
{
    return ring_mpmc_pop_bulk_sized((struct ring_mpmc *)ring, items, count, item_bytes);
}

#define RING mpmc
#define RING_HAS_BULK
#include "many.h"

/* With a CPU for each thread. */
KERNEL(mpmc,
    .name       = "ring/mpmc",
    .summary    = "several threads hand items to several others through the library's ring",
    .unit       = "item",
    .threads    = { .min = 2, .max = MAX_TEAM },
    .place      = PLACE_SWEEP,
    .parameters = { RING_MANY_PARAMETERS("16 1024 65536", NULL, "1 32", "no yes"), RING_MANY_ROLES(NULL) },
    .metrics    = RING_MANY_METRICS,
    .setup      = mpmc_many_setup,
    .run        = mpmc_many_8,
    .check      = ring_many_check,
    .teardown   = mpmc_many_teardown);

/* A separate row, because each oversubscribed case costs as much as ten others. */
KERNEL(mpmc_oversubscribed,
    .name       = "ring/mpmc_oversubscribed",
    .summary    = "several threads hand items to several others, with one, two or four of them on each CPU",
    .unit       = "item",
    .threads    = { .min = 2, .max = MAX_TEAM },
    .place      = PLACE_SWEEP,
    .flags      = KERNEL_OVERSUBSCRIBE,
    .parameters = { RING_CROWD_PARAMETERS, RING_MANY_ROLES("*") },
    .metrics    = RING_MANY_METRICS,
    .setup      = mpmc_many_setup,
    .run        = mpmc_many_8,
    .check      = ring_many_check,
    .teardown   = mpmc_many_teardown);
