/*
 * ring/naive, ring/cached, ring/seq_cst, ring/shared_line, ring/cached_round_trip, ring/naive_round_trip: what makes a ring with two
 * indices fast or slow?
 *
 * One operation is one item, or one item there and back. Four rings that differ in one thing each from the first:
 *   naive        head and tail on lines of their own; every push reads the other's index, and so does every pop
 *   cached       each side remembers the other's index and reads it anew only when by it there is nothing to do
 *   seq_cst      naive, with sequentially consistent loads and stores: a locked exchange for every item on x86
 *   shared_line  naive, with both indices on one line: each store takes it away from the other
 * Excluded:  making the rings; the team's start.
 * Expect:    reference guest, 1024 items of 8 bytes, ns an item: naive 53, cached 3.8, seq_cst 194.
 * Hazards:   bistable, like all single items: see ring/spsc.
 * Not shown: rings whose publication lies beside the item (ring/spsc), and batches.
 */
#include <stdlib.h>

#include "ring/ring.h"
#include "ring_trial.h"

struct apart {
    size_t slots; /* one more than the capacity: full and empty look different */
    char *data;
    struct {
        RING_APART_ALIGNED size_t index, other; /* `other`: the other side's index when last looked at */
    } tail, head;
};

struct together {
    size_t slots;
    char *data;
    struct {
        size_t index, other;
    } tail, head;
};

#define MAKE_CREATE(name, type)                                                                                        \
    static int name##_create(void **ring, size_t capacity, size_t item_bytes)                                          \
    {                                                                                                                  \
        struct type *made = ring_memory(sizeof *made);                                                                 \
        if (!made)                                                                                                     \
            return -ENOMEM;                                                                                            \
        made->slots = capacity + 1;                                                                                    \
        made->data = ring_memory(made->slots * item_bytes);                                                            \
        *ring = made;                                                                                                  \
        return made->data ? 0 : -ENOMEM;                                                                               \
    }                                                                                                                  \
    static void name##_destroy(void *ring)                                                                             \
    {                                                                                                                  \
        free(((struct type *)ring)->data);                                                                             \
        free(ring);                                                                                                    \
    }

/*
 * A: the release store of an index pairs with the acquire load B of it on the other side: the item is in place before the tail says so,
 * and was read before the head says so. `look` is whether the other index is read every time or only when the remembered one says no.
 */
#define MAKE_RING(name, type, load_order, store_order, look)                                                           \
    MAKE_CREATE(name, type)                                                                                            \
    RING_INLINE bool name##_try_push(void *ring, const void *item, size_t item_bytes)                                  \
    {                                                                                                                  \
        struct type *r = ring;                                                                                         \
        const size_t tail = __atomic_load_n(&r->tail.index, __ATOMIC_RELAXED); /* our own */                           \
        const size_t next = tail + 1 == r->slots ? 0 : tail + 1;                                                       \
        if ((look) || next == r->tail.other) {                                                                         \
            r->tail.other = __atomic_load_n(&r->head.index, load_order); /* B */                                       \
            if (next == r->tail.other)                                                                                 \
                return false;                                                                                          \
        }                                                                                                              \
        ring_copy_in(r->data + tail * item_bytes, item, item_bytes);                                                   \
        __atomic_store_n(&r->tail.index, next, store_order); /* A */                                                   \
        return true;                                                                                                   \
    }                                                                                                                  \
    RING_INLINE bool name##_try_pop(void *ring, void *item, size_t item_bytes)                                         \
    {                                                                                                                  \
        struct type *r = ring;                                                                                         \
        const size_t head = __atomic_load_n(&r->head.index, __ATOMIC_RELAXED); /* our own */                           \
        if ((look) || head == r->head.other) {                                                                         \
            r->head.other = __atomic_load_n(&r->tail.index, load_order); /* B */                                       \
            if (head == r->head.other)                                                                                 \
                return false;                                                                                          \
        }                                                                                                              \
        memcpy(item, r->data + head * item_bytes, item_bytes);                                                         \
        __atomic_store_n(&r->head.index, head + 1 == r->slots ? 0 : head + 1, store_order); /* A */                    \
        return true;                                                                                                   \
    }

MAKE_RING(naive, apart, __ATOMIC_ACQUIRE, __ATOMIC_RELEASE, true)
#define RING naive
#include "ring_trial.h"

MAKE_RING(cached, apart, __ATOMIC_ACQUIRE, __ATOMIC_RELEASE, false)
#define RING cached
#include "ring_trial.h"

MAKE_RING(seq_cst, apart, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST, true)
#define RING seq_cst
#include "ring_trial.h"

MAKE_RING(shared_line, together, __ATOMIC_ACQUIRE, __ATOMIC_RELEASE, true)
#define RING shared_line
#include "ring_trial.h"

KERNEL(naive,
    .name    = "ring/naive",
    .summary = "items through a ring that reads both indices every time",
    RING_TRIAL_THROUGHPUT(naive));
KERNEL(naive_round_trip,
    .name    = "ring/naive_round_trip",
    .summary = "an item there and back over two such rings",
    RING_TRIAL_ROUND_TRIP(naive));
KERNEL(cached,
    .name    = "ring/cached",
    .summary = "items through a ring whose sides remember each other's index",
    RING_TRIAL_THROUGHPUT(cached));
KERNEL(cached_round_trip,
    .name    = "ring/cached_round_trip",
    .summary = "an item there and back over two such rings",
    RING_TRIAL_ROUND_TRIP(cached));
KERNEL(seq_cst,
    .name    = "ring/seq_cst",
    .summary = "the naive ring with sequentially consistent indices",
    RING_TRIAL_THROUGHPUT(seq_cst));
KERNEL(shared_line,
    .name    = "ring/shared_line",
    .summary = "the naive ring with both indices on one line",
    RING_TRIAL_THROUGHPUT(shared_line));
