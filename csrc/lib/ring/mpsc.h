/*
 * ring_mpsc: several producers, one consumer thread, bounded, one order for all. Conventions of all functions: ring.h.
 *
 *   slot      | stamp | item |      position + 1: contains the item pushed there. A smaller number: of an earlier lap
 *
 * Positions are an index below the capacity and, above it, a lap, as in mpmc.h. Producers claim a position by moving
 * `tail`. The one consumer writes no slot. It publishes its position in `head`. Producers look at `head` only if the
 * ring is full by their last common look (`limit`).
 *
 * Full is exact. A push is refused only if at some time during the call `capacity` positions were claimed and not
 * popped. Pushes are lock-free. A claim fails only because another succeeded, and no state of a peer refuses or delays
 * them. Empty is exact as well. If the slot at `head` has no item although its position is claimed, its producer is
 * between claim and stamp. The forms of ring.h wait for it. ring_mpsc_attempt_pop says RING_MPSC_BUSY instead and is
 * wait-free. A producer preempted there blocks the consumer at its position. It blocks no producer before the ring is
 * full.
 */
#ifndef RING_MPSC_H
#define RING_MPSC_H

#include <string.h>

#include "ring.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Before the item. Eight bytes for every ring_index, so that items of 8 bytes are aligned. */
#define RING_MPSC_STAMP 8
/* As in mpmc.h. */
#define RING_MPSC_AHEAD (2 * RING_LINE)
#define RING_MPSC_LOOKS 2
#define RING_MPSC_BACKOFF 16

#ifndef RING_TEST_POINT
#define RING_TEST_POINT(name) ((void)0)
#endif

enum ring_mpsc_answer { RING_MPSC_DONE, RING_MPSC_REFUSED, RING_MPSC_BUSY };

struct ring_mpsc {
    /* Written at creation only. */
    unsigned char *slots;
    size_t slots_bytes, item_bytes;
    ring_index capacity, lap;
    /* Producers. */
    RING_APART_ALIGNED ring_index tail; /* next position to be claimed */
    ring_index limit;                   /* no position from here on is free, as of some look at head */
    /* The consumer. */
    RING_APART_ALIGNED ring_index head; /* next position to be popped */
};

int ring_mpsc_create(struct ring_mpsc **ring, size_t capacity, size_t item_bytes, unsigned flags);
void ring_mpsc_destroy(struct ring_mpsc *ring);
/* For tests: an empty ring that has made `laps` laps, which may be near their wrap. Nobody else may be using it. */
void ring_mpsc_start_at(struct ring_mpsc *ring, ring_index laps);

RING_INLINE size_t ring_mpsc_stride(size_t item_bytes)
{
    return RING_MPSC_STAMP + (item_bytes + RING_MPSC_STAMP - 1) / RING_MPSC_STAMP * RING_MPSC_STAMP;
}

RING_INLINE unsigned char *ring_mpsc_slot(const struct ring_mpsc *ring, ring_index position, size_t item_bytes)
{
    return ring->slots + (size_t)(position & (ring->lap - 1)) * ring_mpsc_stride(item_bytes);
}

/* The position `count` further, which is at most the capacity. */
RING_INLINE ring_index ring_mpsc_after(const struct ring_mpsc *ring, ring_index position, ring_index count)
{
    const ring_index index = position & (ring->lap - 1), to_end = (ring_index)(ring->capacity - index);

    return count < to_end ? (ring_index)(position + count)
                          : (ring_index)(position - index + ring->lap + (ring_index)(count - to_end));
}

/* Positions from `from` to `to`, which is not before it and at most a lap after it. */
RING_INLINE ring_index ring_mpsc_between(const struct ring_mpsc *ring, ring_index from, ring_index to)
{
    const ring_index difference = (ring_index)(to - from), a = from & (ring->lap - 1), b = to & (ring->lap - 1);

    return difference < ring->lap && b >= a ? difference : (ring_index)(ring->capacity - a + b);
}

/* 0: full. */
RING_INLINE size_t ring_mpsc_claim(struct ring_mpsc *ring, size_t wanted, ring_index *from)
{
    unsigned backoff = 1;

    if (wanted > ring->capacity)
        wanted = ring->capacity;
    while (wanted) {
        /* Relaxed: this is a guess. The exchange tests it. */
        ring_index at = __atomic_load_n(&ring->tail, __ATOMIC_RELAXED);
        /* F: acquire, pairs with E. Another producer has looked at `head`. Its look serves this thread only together
           with what it saw. */
        ring_index limit = __atomic_load_n(&ring->limit, __ATOMIC_ACQUIRE), room;

        room = ring_before(at, limit) ? ring_mpsc_between(ring, at, limit) : 0;
        if (RING_UNLIKELY(room < wanted)) {
            RING_TEST_POINT("mpsc: looks for room");
            /* D: acquire, pairs with C: the items up to there were read and may be overwritten. */
            limit = (ring_index)(__atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) + ring->lap);
            room = ring_before(at, limit) ? ring_mpsc_between(ring, at, limit) : 0;
            if (room == 0)
                return 0;
            /* E: release, pairs with F. A producer that was delayed here may set the limit back. That costs one more
               look. */
            __atomic_store_n(&ring->limit, limit, __ATOMIC_RELEASE);
        }
        room = room < wanted ? room : (ring_index)wanted;
        /* Relaxed: items are passed on by their stamps, room by `limit`. */
        if (RING_LIKELY(__atomic_compare_exchange_n(&ring->tail, &at, ring_mpsc_after(ring, at, room), false,
                                                    __ATOMIC_RELAXED, __ATOMIC_RELAXED))) {
            *from = at;
            return room;
        }
        for (unsigned i = 0; i < backoff; i++)
            ring_relax();
        backoff = backoff < RING_MPSC_BACKOFF ? 2 * backoff : backoff;
    }
    return 0;
}

RING_INLINE size_t ring_mpsc_push_bulk_sized(struct ring_mpsc *ring, const void *items, size_t count, size_t item_bytes)
{
    const unsigned char *from = (const unsigned char *)items;
    ring_index at = 0;
    const size_t claimed = ring_mpsc_claim(ring, count, &at);

    for (size_t i = 0; i < claimed; i++, from += item_bytes, at = ring_mpsc_after(ring, at, 1)) {
        unsigned char *slot = ring_mpsc_slot(ring, at, item_bytes);
        const size_t ahead = (size_t)(slot - ring->slots) + RING_MPSC_AHEAD;

        RING_TEST_POINT("mpsc: claimed for push");
        memcpy(slot + RING_MPSC_STAMP, from, item_bytes);
        /* A: release, pairs with B. If this were relaxed, the consumer could read bytes of an earlier item. */
        __atomic_store_n((ring_index *)(void *)slot, (ring_index)(at + 1), __ATOMIC_RELEASE);
        ring_prefetch_write(ring->slots + (ahead < ring->slots_bytes ? ahead : 0));
    }
    return claimed;
}

/* Up to `count` items. If none, *answer says why. */
RING_INLINE size_t ring_mpsc_attempt_pop_bulk_sized(struct ring_mpsc *ring, void *items, size_t count,
                                                    size_t item_bytes, enum ring_mpsc_answer *answer)
{
    unsigned char *to = (unsigned char *)items;
    /* Only this thread writes it. */
    const ring_index head = __atomic_load_n(&ring->head, __ATOMIC_RELAXED);
    ring_index at = head;
    unsigned looks = 0;
    size_t done = 0;

    *answer = RING_MPSC_DONE;
    while (done < count) {
        const unsigned char *slot = ring_mpsc_slot(ring, at, item_bytes);

        /* B: acquire, pairs with A: the item is in place. */
        if (__atomic_load_n((const ring_index *)(const void *)slot, __ATOMIC_ACQUIRE) == (ring_index)(at + 1)) {
            memcpy(to, slot + RING_MPSC_STAMP, item_bytes);
            at = ring_mpsc_after(ring, at, 1);
            to += item_bytes;
            done++;
            continue;
        }
        if (done)
            break;
        if (looks++ < RING_MPSC_LOOKS) { /* before the producers' line is taken from them */
            ring_relax();
            continue;
        }
        /* Acquire: another thread may have told this one of its push. Then this thread sees that push. */
        *answer = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE) == head ? RING_MPSC_REFUSED : RING_MPSC_BUSY;
        return 0;
    }
    if (done) {
        RING_TEST_POINT("mpsc: read");
        /* C: release, pairs with D: the items were read before their places are given back. */
        __atomic_store_n(&ring->head, at, __ATOMIC_RELEASE);
    }
    return done;
}

/* A short count does not say that the ring is empty: a producer may be in the middle of the next slot. 0 says it. */
RING_INLINE size_t ring_mpsc_pop_bulk_sized(struct ring_mpsc *ring, void *items, size_t count, size_t item_bytes)
{
    struct ring_wait wait = {0};
    enum ring_mpsc_answer answer;
    size_t done = ring_mpsc_attempt_pop_bulk_sized(ring, items, count, item_bytes, &answer);

    while (RING_UNLIKELY(answer == RING_MPSC_BUSY)) {
        ring_wait_on(&wait);
        done = ring_mpsc_attempt_pop_bulk_sized(ring, items, count, item_bytes, &answer);
    }
    return done;
}

RING_INLINE bool ring_mpsc_try_push_sized(struct ring_mpsc *ring, const void *item, size_t item_bytes)
{
    return ring_mpsc_push_bulk_sized(ring, item, 1, item_bytes) == 1;
}

RING_INLINE bool ring_mpsc_try_pop_sized(struct ring_mpsc *ring, void *item, size_t item_bytes)
{
    return ring_mpsc_pop_bulk_sized(ring, item, 1, item_bytes) == 1;
}

RING_INLINE enum ring_mpsc_answer ring_mpsc_attempt_pop_sized(struct ring_mpsc *ring, void *item, size_t item_bytes)
{
    enum ring_mpsc_answer answer;

    ring_mpsc_attempt_pop_bulk_sized(ring, item, 1, item_bytes, &answer);
    return answer;
}

RING_INLINE void ring_mpsc_push_sized(struct ring_mpsc *ring, const void *item, size_t item_bytes)
{
    struct ring_wait wait = {0};

    while (!ring_mpsc_try_push_sized(ring, item, item_bytes))
        ring_wait_on(&wait);
}

RING_INLINE void ring_mpsc_pop_sized(struct ring_mpsc *ring, void *item, size_t item_bytes)
{
    struct ring_wait wait = {0};

    while (ring_mpsc_attempt_pop_sized(ring, item, item_bytes) != RING_MPSC_DONE)
        ring_wait_on(&wait);
}

RING_INLINE enum ring_mpsc_answer ring_mpsc_attempt_pop(struct ring_mpsc *ring, void *item)
{
    return ring_mpsc_attempt_pop_sized(ring, item, ring->item_bytes);
}

RING_INLINE bool ring_mpsc_try_push(struct ring_mpsc *ring, const void *item)
{
    return ring_mpsc_try_push_sized(ring, item, ring->item_bytes);
}

RING_INLINE bool ring_mpsc_try_pop(struct ring_mpsc *ring, void *item)
{
    return ring_mpsc_try_pop_sized(ring, item, ring->item_bytes);
}

RING_INLINE size_t ring_mpsc_push_bulk(struct ring_mpsc *ring, const void *items, size_t count)
{
    return ring_mpsc_push_bulk_sized(ring, items, count, ring->item_bytes);
}

RING_INLINE size_t ring_mpsc_pop_bulk(struct ring_mpsc *ring, void *items, size_t count)
{
    return ring_mpsc_pop_bulk_sized(ring, items, count, ring->item_bytes);
}

RING_INLINE void ring_mpsc_push(struct ring_mpsc *ring, const void *item)
{
    ring_mpsc_push_sized(ring, item, ring->item_bytes);
}

RING_INLINE void ring_mpsc_pop(struct ring_mpsc *ring, void *item)
{
    ring_mpsc_pop_sized(ring, item, ring->item_bytes);
}

#ifdef __cplusplus
}
#endif

#endif
