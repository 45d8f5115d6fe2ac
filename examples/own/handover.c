/*
 * own/handover: what does one part of the ring cost where two threads hand items over?
 *
 *   mkdir -p /tmp/without/lib
 *   cp -r csrc/lib/ring /tmp/without/lib
 *   cp examples/own/handover.c /tmp/without
 *   # leave one thing out in /tmp/without/lib/ring/spsc.h, then
 *   fencepost ab examples/own/handover.c /tmp/without/handover.c -p capacity=64,1024,65536
 *
 * One operation is one item, as in ring/spsc. The file includes the ring beside it, or else that of the library. So two copies of the
 * ring take turns in the same processes.
 */
#include "lib/ring/ring.c"
#include "lib/ring/spsc.c"

#include "kernels/ring/trial.h"

static int handover_create(void **ring, size_t capacity, size_t item_bytes)
{
    return ring_spsc_create((struct ring_spsc **)ring, capacity, item_bytes, 0);
}

static void handover_destroy(void *ring)
{
    ring_spsc_destroy(ring);
}

RING_INLINE bool handover_try_push(void *ring, const void *item, size_t item_bytes)
{
    return ring_spsc_try_push_sized(ring, item, item_bytes);
}

RING_INLINE bool handover_try_pop(void *ring, void *item, size_t item_bytes)
{
    return ring_spsc_try_pop_sized(ring, item, item_bytes);
}

RING_INLINE size_t handover_push_bulk(void *ring, const void *items, size_t count, size_t item_bytes)
{
    return ring_spsc_push_bulk_sized(ring, items, count, item_bytes);
}

RING_INLINE size_t handover_pop_bulk(void *ring, void *items, size_t count, size_t item_bytes)
{
    return ring_spsc_pop_bulk_sized(ring, items, count, item_bytes);
}

/* Nothing to do in the default form. A ring that keeps items back shows them here. */
RING_INLINE void handover_flush(void *ring)
{
    ring_spsc_flush(ring);
}

#define RING_HAS_BULK
#define RING_HAS_FLUSH
#define RING handover
#include "kernels/ring/trial.h"

KERNEL(handover,
    .name    = "own/handover",
    .summary = "one thread hands items to another through the ring beside this file",
    RING_TRIAL_THROUGHPUT(handover));
