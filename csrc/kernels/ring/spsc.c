/*
 * ring/spsc, ring/spsc_round_trip, ring/spsc_lazy, ring/spsc_lazy_round_trip: how fast does one thread hand items to
 * another, if it publishes each item or (lazy) groups of items?
 *
 * One operation is one item (ring/spsc), or one item sent over one ring and back over another (ring/spsc_round_trip).
 * Worker 1 pushes, worker 0 pops and is timed from the common start to its last item. After a refusal a thread tries
 * again, with or without a spin hint between. The lazy producer flushes where its window ends, and after each item of a
 * round trip. It flushes nowhere else.
 * Excluded:  making the rings, and the team's start.
 * Expect:    one hand-over is one line. So a round trip takes 2.0-2.3 xraw, while two indices and a slot take 3-4.5.
 * Hazards:   single items are bistable. A side that finds the ring empty (or full) waits for one line per item. A side
 *            that does not works on many lines at once. The regime says which it was. A spin hint moves the border.
 * Not shown: latency under load. It does not follow from the throughput (ring/latency).
 */
#include "lib/ring/spsc.h"
#include "trial.h"

static int spsc_create(void **ring, size_t capacity, size_t item_bytes)
{
    return ring_spsc_create((struct ring_spsc **)ring, capacity, item_bytes, 0);
}

static void spsc_destroy(void *ring)
{
    ring_spsc_destroy(ring);
}

RING_INLINE bool spsc_try_push(void *ring, const void *item, size_t item_bytes)
{
    return ring_spsc_try_push_sized(ring, item, item_bytes);
}

RING_INLINE bool spsc_try_pop(void *ring, void *item, size_t item_bytes)
{
    return ring_spsc_try_pop_sized(ring, item, item_bytes);
}

RING_INLINE size_t spsc_push_bulk(void *ring, const void *items, size_t count, size_t item_bytes)
{
    return ring_spsc_push_bulk_sized(ring, items, count, item_bytes);
}

RING_INLINE size_t spsc_pop_bulk(void *ring, void *items, size_t count, size_t item_bytes)
{
    return ring_spsc_pop_bulk_sized(ring, items, count, item_bytes);
}

static int spsc_lazy_create(void **ring, size_t capacity, size_t item_bytes)
{
    return ring_spsc_create((struct ring_spsc **)ring, capacity, item_bytes, RING_SPSC_LAZY);
}

RING_INLINE void spsc_lazy_flush(void *ring)
{
    ring_spsc_flush(ring);
}

#define RING spsc
#define RING_HAS_BULK
#include "trial.h"

#define spsc_lazy_destroy spsc_destroy
#define spsc_lazy_try_push spsc_try_push
#define spsc_lazy_try_pop spsc_try_pop
#define spsc_lazy_push_bulk spsc_push_bulk
#define spsc_lazy_pop_bulk spsc_pop_bulk
#define RING spsc_lazy
#define RING_HAS_BULK
#define RING_HAS_FLUSH
#include "trial.h"

KERNEL(spsc,
    .name    = "ring/spsc",
    .summary = "one thread hands items to another through the library's ring",
    .flags   = KERNEL_TWIN,
    RING_TRIAL_THROUGHPUT_OF(spsc, "16 64 1024 65536",
                             "16 64 256 1024 4096 16384 65536 262144 1048576", "8 64 256", "1 8 32"));
KERNEL(spsc_round_trip,
    .name    = "ring/spsc_round_trip",
    .summary = "an item goes to another thread and back over two of the library's rings",
    RING_TRIAL_ROUND_TRIP(spsc));
KERNEL(spsc_lazy,
    .name    = "ring/spsc_lazy",
    .summary = "one thread hands items to another through the library's ring, which publishes them by groups",
    RING_TRIAL_THROUGHPUT(spsc_lazy));
KERNEL(spsc_lazy_round_trip,
    .name    = "ring/spsc_lazy_round_trip",
    .summary = "an item goes to another thread and back over two of the library's rings, flushed each way",
    RING_TRIAL_ROUND_TRIP(spsc_lazy));
