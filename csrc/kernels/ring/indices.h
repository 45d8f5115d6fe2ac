/*
 * Rings with two indices, as adapters for ring/trial.h: naive, cached, batched, seq_cst, shared_line. See
 * ring/indices.c.
 */
#ifndef FENCEPOST_RING_INDICES_H
#define FENCEPOST_RING_INDICES_H

#include <errno.h>
#include <stdlib.h>

#include "lib/ring/ring.h"

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
    RING_INLINE int name##_create(void **ring, size_t capacity, size_t item_bytes)                                     \
    {                                                                                                                  \
        struct type *made = ring_memory(sizeof *made);                                                                 \
        if (!made)                                                                                                     \
            return -ENOMEM;                                                                                            \
        made->slots = capacity + 1;                                                                                    \
        made->data = ring_memory(made->slots * item_bytes);                                                            \
        *ring = made;                                                                                                  \
        return made->data ? 0 : -ENOMEM;                                                                               \
    }                                                                                                                  \
    RING_INLINE void name##_destroy(void *ring)                                                                        \
    {                                                                                                                  \
        free(((struct type *)ring)->data);                                                                             \
        free(ring);                                                                                                    \
    }

/*
 * A: the release store of an index pairs with the acquire load B of it on the other side. So the item is in place
 * before the tail says so, and was read before the head says so. `look` says whether the other index is read every
 * time, or only when the remembered one leaves nothing to do.
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
MAKE_RING(cached, apart, __ATOMIC_ACQUIRE, __ATOMIC_RELEASE, false)
MAKE_RING(seq_cst, apart, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST, true)
MAKE_RING(shared_line, together, __ATOMIC_ACQUIRE, __ATOMIC_RELEASE, true)

/* Items between two publications of an index: a line of 8-byte items. Beyond it nothing more is gained (reference guest: 4.8 ns at 8, 4.4 at 64). */
#define BATCHED_EVERY 8

struct batched {
    size_t slots;
    char *data;
    struct {
        RING_APART_ALIGNED size_t index; /* as told to the other side */
        size_t own, held, other; /* where this side is, items not told yet, the other's index when last looked at */
    } tail, head;
};

MAKE_CREATE(batched, batched)

/* A, as in MAKE_RING: all items up to `own` are in place (or read) before the other side is told so. */
#define batched_tell(side)                                                                                             \
    do {                                                                                                               \
        __atomic_store_n(&(side)->index, (side)->own, __ATOMIC_RELEASE);                                               \
        (side)->held = 0;                                                                                              \
    } while (0)

RING_INLINE bool batched_try_push(void *ring, const void *item, size_t item_bytes)
{
    struct batched *r = ring;
    const size_t next = r->tail.own + 1 == r->slots ? 0 : r->tail.own + 1;

    if (next == r->tail.other) {
        r->tail.other = __atomic_load_n(&r->head.index, __ATOMIC_ACQUIRE); /* B */
        if (next == r->tail.other) {
            /* A thread that waits publishes everything first. Otherwise both sides of a small ring wait for ever. */
            if (r->tail.held)
                batched_tell(&r->tail);
            return false;
        }
    }
    ring_copy_in(r->data + r->tail.own * item_bytes, item, item_bytes);
    r->tail.own = next;
    if (++r->tail.held == BATCHED_EVERY)
        batched_tell(&r->tail);
    return true;
}

RING_INLINE bool batched_try_pop(void *ring, void *item, size_t item_bytes)
{
    struct batched *r = ring;

    if (r->head.own == r->head.other) {
        r->head.other = __atomic_load_n(&r->tail.index, __ATOMIC_ACQUIRE); /* B */
        if (r->head.own == r->head.other) {
            if (r->head.held)
                batched_tell(&r->head);
            return false;
        }
    }
    memcpy(item, r->data + r->head.own * item_bytes, item_bytes);
    r->head.own = r->head.own + 1 == r->slots ? 0 : r->head.own + 1;
    if (++r->head.held == BATCHED_EVERY)
        batched_tell(&r->head);
    return true;
}

RING_INLINE void batched_flush(void *ring)
{
    struct batched *r = ring;

    batched_tell(&r->tail);
}

#endif
