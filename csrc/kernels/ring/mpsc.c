/*
 * ring/mpsc, ring/mpsc_oversubscribed: how fast does one thread collect the items of several others?
 *
 * One operation is one item. Worker 0 pops, the others push. Each producer moves its fixed share of a window's items,
 * and worker 0's window is timed. After a refusal a thread tries again, with or without a spin hint between. Where
 * threads share a CPU (ring/mpsc_oversubscribed) it gives its CPU away instead.
 * Excluded:  making the ring, and the team's start.
 * Expect:    with one producer near ring/mpmc, less the exchange of the consumer's counter. With several, the
 *            producers' exchange on one line bounds it (30-100 ns an item, line/contended).
 * Hazards:   single items are bistable (see the regime).
 * Not shown: fairness among producers, since shares are fixed.
 */
#include "lib/ring/mpsc.h"

#include "many.h"

static int mpsc_create(void **ring, size_t capacity, size_t item_bytes)
{
    return ring_mpsc_create((struct ring_mpsc **)ring, capacity, item_bytes, 0);
}

static void mpsc_destroy(void *ring)
{
    ring_mpsc_destroy((struct ring_mpsc *)ring);
}

RING_INLINE bool mpsc_try_push(void *ring, const void *item, size_t item_bytes)
{
    return ring_mpsc_try_push_sized((struct ring_mpsc *)ring, item, item_bytes);
}

RING_INLINE bool mpsc_try_pop(void *ring, void *item, size_t item_bytes)
{
    return ring_mpsc_try_pop_sized((struct ring_mpsc *)ring, item, item_bytes);
}

RING_INLINE size_t mpsc_push_bulk(void *ring, const void *items, size_t count, size_t item_bytes)
{
    return ring_mpsc_push_bulk_sized((struct ring_mpsc *)ring, items, count, item_bytes);
}

RING_INLINE size_t mpsc_pop_bulk(void *ring, void *items, size_t count, size_t item_bytes)
{
    return ring_mpsc_pop_bulk_sized((struct ring_mpsc *)ring, items, count, item_bytes);
}

#define RING mpsc
#define RING_HAS_BULK
#include "many.h"

/* With a CPU for each thread. */
KERNEL(mpsc,
    .name       = "ring/mpsc",
    .summary    = "several threads hand items to one through the library's ring",
    .unit       = "item",
    .threads    = { .min = 2, .max = MAX_TEAM },
    .place      = PLACE_SWEEP,
    .parameters = { RING_MANY_PARAMETERS("16 1024 65536", NULL, "1 32", "no yes") },
    .metrics    = RING_MANY_METRICS,
    .setup      = mpsc_single_setup,
    .run        = mpsc_many_8,
    .check      = ring_many_check,
    .teardown   = mpsc_many_teardown);

/* A separate row, because each oversubscribed case costs as much as ten others. */
KERNEL(mpsc_oversubscribed,
    .name       = "ring/mpsc_oversubscribed",
    .summary    = "several threads hand items to one, with one, two or four of them on each CPU",
    .unit       = "item",
    .threads    = { .min = 2, .max = MAX_TEAM },
    .place      = PLACE_SWEEP,
    .flags      = KERNEL_OVERSUBSCRIBE,
    .parameters = { RING_CROWD_PARAMETERS },
    .metrics    = RING_MANY_METRICS,
    .setup      = mpsc_single_setup,
    .run        = mpsc_many_8,
    .check      = ring_many_check,
    .teardown   = mpsc_many_teardown);
