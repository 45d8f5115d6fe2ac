/*
 * ring_mpmc: several producers, several consumers, bounded, one order for all. Conventions of all functions: ring.h.
 *
 *   slot      | stamp | item |      p: free, for the push at position p. p + 1: contains the item pushed there
 *
 * A position is an index below the capacity in the low bits and a lap above them. A lap is the power of two beyond the
 * capacity. So positions of any capacity wrap with their type, and no index is computed by a division. The stamp
 * "contains p" never equals "free for the successor of p", even in a ring of one slot. A producer whose slot is free
 * claims the position by moving `tail`, writes, and stamps. A consumer does the same by `head`. Order is that of the
 * claims.
 *
 * Full and empty are exact. A push is refused only if at some time during the call `capacity` positions were claimed by
 * producers and not by consumers. A pop is refused only if there were none. A slot may not be ready although the other
 * counter says that it ought to be. Then a peer is between claim and stamp. The forms of ring.h wait for it
 * (ring_wait). ring_mpmc_attempt_push and _pop say RING_MPMC_BUSY instead, and have changed nothing.
 *
 * So attempt_ is lock-free (a claim fails only because another succeeded). try_ and bulk are not. A peer preempted
 * between claim and stamp lets the others pass on to as many further positions as are ready. It blocks those on its own
 * side at the next lap, and the other side at its position. A peer that is preempted anywhere else blocks nobody.
 *
 * The slot two lines ahead is fetched for writing beside each operation. So neighbours in the ring come to this CPU for
 * the next claims while this one goes on. A claim that loses to another waits a little longer each time.
 */
#ifndef RING_MPMC_H
#define RING_MPMC_H

#include <string.h>

#include "ring.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Before the item. Eight bytes for every ring_index, so that items of 8 bytes are aligned. */
#define RING_MPMC_STAMP 8
/*
 * How far ahead a thread fetches. With items of 8 bytes, one line ahead came too late. Four were taken back before
 * they were used.
 */
#define RING_MPMC_AHEAD (2 * RING_LINE)
/*
 * How often a thread looks at a slot that is not ready. After that it reads the counter of the other side, which
 * takes that line away from the other side.
 */
#define RING_MPMC_LOOKS 2
/* Most spin hints between two claims of a thread. */
#define RING_MPMC_BACKOFF 16

/* Where a test may act as another thread would, in the middle of an operation. */
#ifndef RING_TEST_POINT
#define RING_TEST_POINT(name) ((void)0)
#endif

enum ring_mpmc_answer { RING_MPMC_DONE, RING_MPMC_REFUSED, RING_MPMC_BUSY };

struct ring_mpmc {
    /* Written at creation only. */
    unsigned char *slots;
    size_t slots_bytes, item_bytes;
    ring_index capacity, lap;
    /* Next position to be claimed by a producer, and by a consumer. */
    RING_APART_ALIGNED ring_index tail;
    RING_APART_ALIGNED ring_index head;
};

int ring_mpmc_create(struct ring_mpmc **ring, size_t capacity, size_t item_bytes, unsigned flags);
void ring_mpmc_destroy(struct ring_mpmc *ring);
/* For tests: an empty ring that has made `laps` laps, which may be near their wrap. Nobody else may be using it. */
void ring_mpmc_start_at(struct ring_mpmc *ring, ring_index laps);

RING_INLINE size_t ring_mpmc_stride(size_t item_bytes)
{
    return RING_MPMC_STAMP + (item_bytes + RING_MPMC_STAMP - 1) / RING_MPMC_STAMP * RING_MPMC_STAMP;
}

RING_INLINE unsigned char *ring_mpmc_slot(const struct ring_mpmc *ring, ring_index position, size_t item_bytes)
{
    return ring->slots + (size_t)(position & (ring->lap - 1)) * ring_mpmc_stride(item_bytes);
}

RING_INLINE ring_index ring_mpmc_next(const struct ring_mpmc *ring, ring_index position)
{
    const ring_index index = position & (ring->lap - 1);

    return index + 1 < ring->capacity ? (ring_index)(position + 1) : (ring_index)(position - index + ring->lap);
}

RING_INLINE void ring_mpmc_look_ahead(const struct ring_mpmc *ring, const unsigned char *slot)
{
    const size_t ahead = (size_t)(slot - ring->slots) + RING_MPMC_AHEAD;

    ring_prefetch_write(ring->slots + (ahead < ring->slots_bytes ? ahead : 0));
}

/*
 * Claim up to `wanted` positions in a row from `own` (tail or head) whose stamps are the position plus `held` (0: free,
 * 1: an item). Returns how many. If none, *answer says why.
 */
RING_INLINE size_t ring_mpmc_claim(struct ring_mpmc *ring, ring_index *own, const ring_index *other, ring_index held,
                                   size_t wanted, size_t item_bytes, ring_index *from, enum ring_mpmc_answer *answer)
{
    /* Relaxed: this is a guess. The exchange tests it. */
    ring_index at = __atomic_load_n(own, __ATOMIC_RELAXED);
    unsigned backoff = 1, looks = 0;

    if (wanted == 0) {
        *answer = RING_MPMC_DONE;
        return 0;
    }
    for (;;) {
        ring_index next = at, stamp, opposite;
        size_t ready = 0;

        do {
            /* B: acquire, pairs with A. For a consumer: the item is in place. For a producer: the item of the lap
               before was read. */
            stamp = __atomic_load_n((ring_index *)(void *)ring_mpmc_slot(ring, next, item_bytes), __ATOMIC_ACQUIRE);
            if (stamp != (ring_index)(next + held))
                break;
            next = ring_mpmc_next(ring, next);
        } while (++ready < wanted);
        if (RING_LIKELY(ready)) {
            /* Relaxed: the stamp of a position passes its item on. A slot seen ready stays so until its position is
               claimed. */
            if (RING_LIKELY(__atomic_compare_exchange_n(own, &at, next, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))) {
                *from = at;
                return ready;
            }
            for (unsigned i = 0; i < backoff; i++)
                ring_relax();
            backoff = backoff < RING_MPMC_BACKOFF ? 2 * backoff : backoff;
            at = __atomic_load_n(own, __ATOMIC_RELAXED);
            continue;
        }
        if (!ring_before(stamp, (ring_index)(at + held))) { /* of a later position: another thread has been here */
            at = __atomic_load_n(own, __ATOMIC_RELAXED);
            continue;
        }
        if (looks++ < RING_MPMC_LOOKS) {
            ring_relax();
            continue;
        }
        RING_TEST_POINT("mpmc: not ready");
        /* Acquire: another thread may have told this one of its push or pop. Then this thread sees that push or pop.
           `own` is at least `at`. So if the opposite counter is at the same place, the ring is empty (or full). */
        opposite = __atomic_load_n(other, __ATOMIC_ACQUIRE);
        if (opposite == (ring_index)(held ? at : at - ring->lap)) {
            *answer = RING_MPMC_REFUSED;
            return 0;
        }
        if (__atomic_load_n(own, __ATOMIC_RELAXED) == at) {
            *answer = RING_MPMC_BUSY;
            return 0;
        }
        at = __atomic_load_n(own, __ATOMIC_RELAXED);
        looks = 0;
    }
}

/* The item of each claimed position, then its stamp. Returns the last slot. */
RING_INLINE void ring_mpmc_put(struct ring_mpmc *ring, ring_index at, const void *items, size_t count,
                               size_t item_bytes)
{
    const unsigned char *from = (const unsigned char *)items;

    for (; count; count--, from += item_bytes, at = ring_mpmc_next(ring, at)) {
        unsigned char *slot = ring_mpmc_slot(ring, at, item_bytes);

        RING_TEST_POINT("mpmc: claimed for push");
        memcpy(slot + RING_MPMC_STAMP, from, item_bytes);
        /* A: release, pairs with B. If this were relaxed, a consumer could read the bytes that were there before. */
        __atomic_store_n((ring_index *)(void *)slot, (ring_index)(at + 1), __ATOMIC_RELEASE);
        ring_mpmc_look_ahead(ring, slot);
    }
}

RING_INLINE void ring_mpmc_take(struct ring_mpmc *ring, ring_index at, void *items, size_t count, size_t item_bytes)
{
    unsigned char *to = (unsigned char *)items;

    for (; count; count--, to += item_bytes, at = ring_mpmc_next(ring, at)) {
        unsigned char *slot = ring_mpmc_slot(ring, at, item_bytes);

        RING_TEST_POINT("mpmc: claimed for pop");
        memcpy(to, slot + RING_MPMC_STAMP, item_bytes);
        /* A: release, pairs with B. If this were relaxed, the producer of the next lap could write before the item
           is read. */
        __atomic_store_n((ring_index *)(void *)slot, (ring_index)(at + ring->lap), __ATOMIC_RELEASE);
        ring_mpmc_look_ahead(ring, slot);
    }
}

RING_INLINE enum ring_mpmc_answer ring_mpmc_attempt_push_sized(struct ring_mpmc *ring, const void *item,
                                                               size_t item_bytes)
{
    enum ring_mpmc_answer answer = RING_MPMC_DONE;
    ring_index at = 0;

    if (ring_mpmc_claim(ring, &ring->tail, &ring->head, 0, 1, item_bytes, &at, &answer))
        ring_mpmc_put(ring, at, item, 1, item_bytes);
    return answer;
}

RING_INLINE enum ring_mpmc_answer ring_mpmc_attempt_pop_sized(struct ring_mpmc *ring, void *item, size_t item_bytes)
{
    enum ring_mpmc_answer answer = RING_MPMC_DONE;
    ring_index at = 0;

    if (ring_mpmc_claim(ring, &ring->head, &ring->tail, 1, 1, item_bytes, &at, &answer))
        ring_mpmc_take(ring, at, item, 1, item_bytes);
    return answer;
}

/* A short count does not say that the ring is full: a peer may be in the middle of a later slot. 0 says it. */
RING_INLINE size_t ring_mpmc_push_bulk_sized(struct ring_mpmc *ring, const void *items, size_t count, size_t item_bytes)
{
    struct ring_wait wait = {0};
    enum ring_mpmc_answer answer = RING_MPMC_DONE;
    ring_index at = 0;

    do {
        const size_t done = ring_mpmc_claim(ring, &ring->tail, &ring->head, 0, count, item_bytes, &at, &answer);

        if (done) {
            ring_mpmc_put(ring, at, items, done, item_bytes);
            return done;
        }
        if (answer == RING_MPMC_BUSY)
            ring_wait_on(&wait);
    } while (answer == RING_MPMC_BUSY);
    return 0;
}

RING_INLINE size_t ring_mpmc_pop_bulk_sized(struct ring_mpmc *ring, void *items, size_t count, size_t item_bytes)
{
    struct ring_wait wait = {0};
    enum ring_mpmc_answer answer = RING_MPMC_DONE;
    ring_index at = 0;

    do {
        const size_t done = ring_mpmc_claim(ring, &ring->head, &ring->tail, 1, count, item_bytes, &at, &answer);

        if (done) {
            ring_mpmc_take(ring, at, items, done, item_bytes);
            return done;
        }
        if (answer == RING_MPMC_BUSY)
            ring_wait_on(&wait);
    } while (answer == RING_MPMC_BUSY);
    return 0;
}

RING_INLINE bool ring_mpmc_try_push_sized(struct ring_mpmc *ring, const void *item, size_t item_bytes)
{
    return ring_mpmc_push_bulk_sized(ring, item, 1, item_bytes) == 1;
}

RING_INLINE bool ring_mpmc_try_pop_sized(struct ring_mpmc *ring, void *item, size_t item_bytes)
{
    return ring_mpmc_pop_bulk_sized(ring, item, 1, item_bytes) == 1;
}

RING_INLINE void ring_mpmc_push_sized(struct ring_mpmc *ring, const void *item, size_t item_bytes)
{
    struct ring_wait wait = {0};

    while (ring_mpmc_attempt_push_sized(ring, item, item_bytes) != RING_MPMC_DONE)
        ring_wait_on(&wait);
}

RING_INLINE void ring_mpmc_pop_sized(struct ring_mpmc *ring, void *item, size_t item_bytes)
{
    struct ring_wait wait = {0};

    while (ring_mpmc_attempt_pop_sized(ring, item, item_bytes) != RING_MPMC_DONE)
        ring_wait_on(&wait);
}

RING_INLINE enum ring_mpmc_answer ring_mpmc_attempt_push(struct ring_mpmc *ring, const void *item)
{
    return ring_mpmc_attempt_push_sized(ring, item, ring->item_bytes);
}

RING_INLINE enum ring_mpmc_answer ring_mpmc_attempt_pop(struct ring_mpmc *ring, void *item)
{
    return ring_mpmc_attempt_pop_sized(ring, item, ring->item_bytes);
}

RING_INLINE bool ring_mpmc_try_push(struct ring_mpmc *ring, const void *item)
{
    return ring_mpmc_try_push_sized(ring, item, ring->item_bytes);
}

RING_INLINE bool ring_mpmc_try_pop(struct ring_mpmc *ring, void *item)
{
    return ring_mpmc_try_pop_sized(ring, item, ring->item_bytes);
}

RING_INLINE size_t ring_mpmc_push_bulk(struct ring_mpmc *ring, const void *items, size_t count)
{
    return ring_mpmc_push_bulk_sized(ring, items, count, ring->item_bytes);
}

RING_INLINE size_t ring_mpmc_pop_bulk(struct ring_mpmc *ring, void *items, size_t count)
{
    return ring_mpmc_pop_bulk_sized(ring, items, count, ring->item_bytes);
}

RING_INLINE void ring_mpmc_push(struct ring_mpmc *ring, const void *item)
{
    ring_mpmc_push_sized(ring, item, ring->item_bytes);
}

RING_INLINE void ring_mpmc_pop(struct ring_mpmc *ring, void *item)
{
    ring_mpmc_pop_sized(ring, item, ring->item_bytes);
}

#ifdef __cplusplus
}
#endif

#endif
