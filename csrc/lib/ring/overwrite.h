/*
 * ring_overwrite: a log in the manner of printk's buffer. Writers never wait, not even for room. The newest records
 * stay, the oldest go, and each reader learns exactly how many it has lost. Several writers, several readers (each
 * reads all records). It departs from the conventions of ring.h where it has to. Records are of any length up to
 * item_bytes, and a reader cannot refuse a push.
 *
 *   slot      | state | dropped | length | words of the record … |
 *
 * A writer takes the next number from `head`. The number modulo slots is its slot. The state says which number the slot
 * is for, and whether its record is being written or complete. A reader copies the record and looks at the state again.
 * If the slot was written to meanwhile, the record is not delivered. There are more slots than `capacity` (a power of
 * two, so that numbers wrap). Still a record is lost, exactly, as soon as `capacity` newer ones have their numbers. So
 * a burst of b records into an idle log loses b - capacity, the oldest.
 *
 * A writer may find the writer of an earlier lap still inside its slot (preempted there for a whole lap). It does not
 * wait. Its record is dropped, marked so, and lost to all readers. So read + lost == written for every reader that has
 * read to the end.
 *
 * ring_overwrite_write is lock-free. It is also wait-free but for the retries against others in the same slot, a lap
 * apart. Readers change nothing that others see, and are obstruction-free. A reader may be overtaken again and again,
 * and then counts its losses. A reader may come to a record whose writer is preempted in it. It then finds nothing to
 * read, though later records are complete, since order is kept. This lasts until the record is completed or `capacity`
 * newer numbers are taken. In the second case the record is lost.
 *
 * The words are copied by atomics, release and acquire. A reader that has read a newer writer's word therefore sees the
 * newer state, too. (The usual seqlock has relaxed copies between fences, but ThreadSanitizer does not know fences. On
 * x86 both are plain moves.)
 */
#ifndef RING_OVERWRITE_H
#define RING_OVERWRITE_H

#include <errno.h>
#include <string.h>

#include "ring.h"

#ifdef __cplusplus
extern "C" {
#endif

#ifndef RING_TEST_POINT
#define RING_TEST_POINT(name) ((void)0)
#endif

/* Records are copied in words of this type. */
typedef size_t ring_overwrite_word;

struct ring_overwrite_slot {
    ring_index
        state; /* the record's number with its lowest bit replaced: 0 while it is written, 1 when it is complete */
    ring_index dropped; /* the latest number of this slot whose record was dropped */
    size_t bytes;       /* length of the record */
};

struct ring_overwrite {
    /* Written at creation only. */
    unsigned char *slots;
    size_t stride, item_bytes;
    ring_index capacity, mask;
    ring_index first; /* number of the first record ever */
    /* The next number. */
    RING_APART_ALIGNED ring_index head;
};

/* The place of one reader. Readers do not share it. */
struct ring_overwrite_reader {
    struct ring_overwrite *ring;
    ring_index next;
};

/*
 * As in ring.h. `item_bytes` is the length of the longest record. `capacity` is the number of newest records that
 * are kept, whatever their length.
 */
int ring_overwrite_create(struct ring_overwrite **ring, size_t capacity, size_t item_bytes, unsigned flags);
void ring_overwrite_destroy(struct ring_overwrite *ring);
/* For tests: an empty ring whose next number is `start`, near its wrap. Nobody else may be using it. */
void ring_overwrite_start_at(struct ring_overwrite *ring, ring_index start);
/*
 * The reader begins at the first record. If that one is gone, it gets the oldest that is left, and the others count
 * as lost.
 */
void ring_overwrite_reader_init(struct ring_overwrite_reader *reader, struct ring_overwrite *ring);
/* Skip to the records that are written from now on. The skipped ones do not count as lost. */
void ring_overwrite_reader_skip(struct ring_overwrite_reader *reader);

RING_INLINE struct ring_overwrite_slot *ring_overwrite_find(const struct ring_overwrite *ring, ring_index number)
{
    return (struct ring_overwrite_slot *)(void *)(ring->slots + (size_t)(number & ring->mask) * ring->stride);
}

RING_INLINE ring_index ring_overwrite_writing(ring_index number)
{
    return number & ~(ring_index)1;
}

RING_INLINE ring_index ring_overwrite_complete(ring_index number)
{
    return number | (ring_index)1;
}

/*
 * Two numbers of one slot differ by a multiple of the number of slots, which is at least two. So the lowest bit
 * tells no number from another.
 */
RING_INLINE bool ring_overwrite_is_before(ring_index state, ring_index number)
{
    return ring_before(ring_overwrite_writing(state), ring_overwrite_writing(number));
}

RING_INLINE void ring_overwrite_drop(struct ring_overwrite_slot *slot, ring_index number)
{
    /* Relaxed: nothing else is passed on with the mark. It never goes back. Otherwise a reader would wait for a
       record that was dropped. */
    ring_index marked = __atomic_load_n(&slot->dropped, __ATOMIC_RELAXED);

    while (ring_before(marked, number) &&
           !__atomic_compare_exchange_n(&slot->dropped, &marked, number, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

/*
 * 0: written. -EMSGSIZE: the record is longer than item_bytes. Nothing was written, and no number was taken. -EBUSY:
 * the record was dropped. An earlier writer is still inside the slot, or this thread was preempted for a lap and a
 * later writer came first. The record counts as written, and as lost.
 */
RING_INLINE int ring_overwrite_write(struct ring_overwrite *ring, const void *record, size_t bytes)
{
    const unsigned char *from = (const unsigned char *)record;
    struct ring_overwrite_slot *slot;
    ring_index number, state;

    if (bytes > ring->item_bytes)
        return -EMSGSIZE;
    /* Release and acquire: numbers follow what happened before, so that a reader who was told of a record finds it
       below `head`. */
    number = __atomic_fetch_add(&ring->head, 1, __ATOMIC_ACQ_REL);
    slot = ring_overwrite_find(ring, number);
    RING_TEST_POINT("overwrite: has a number");
    state = __atomic_load_n(&slot->state, __ATOMIC_RELAXED);
    do {
        if (!ring_overwrite_is_before(state, number))
            return -EBUSY; /* the state itself says to readers that this record is lost */
        if (!(state & 1)) {
            ring_overwrite_drop(slot, number);
            return -EBUSY;
        }
        /* B: acquire, pairs with A of the record before. So our stores come after the stores of its words. If this
           were relaxed, its last words could overwrite ours. */
    } while (!__atomic_compare_exchange_n(&slot->state, &state, ring_overwrite_writing(number), false, __ATOMIC_ACQUIRE,
                                          __ATOMIC_RELAXED));
    /* W: release, pairs with R. So does each store of a word. A reader that sees one of them also sees that the
       state has changed. */
    __atomic_store_n(&slot->bytes, bytes, __ATOMIC_RELEASE);
    for (ring_overwrite_word *to = (ring_overwrite_word *)(void *)(slot + 1); bytes; to++) {
        const size_t some = bytes < sizeof *to ? bytes : sizeof *to;
        ring_overwrite_word word = 0;

        RING_TEST_POINT("overwrite: writes a word");
        memcpy(&word, from, some);
        __atomic_store_n(to, word, __ATOMIC_RELEASE);
        from += some;
        bytes -= some;
    }
    RING_TEST_POINT("overwrite: has written");
    /* A: release, pairs with B and C: the record is in place. A plain store: nobody else changes the state while it
       says "writing". */
    __atomic_store_n(&slot->state, ring_overwrite_complete(number), __ATOMIC_RELEASE);
    return 0;
}

/* Copies the record with this number if it is complete. The copy is cut to `room`, and *bytes is the full length. */
RING_INLINE bool ring_overwrite_copy(const struct ring_overwrite *ring, ring_index number, void *record, size_t room,
                                     size_t *bytes)
{
    struct ring_overwrite_slot *slot = ring_overwrite_find(ring, number);
    const ring_overwrite_word *from = (const ring_overwrite_word *)(const void *)(slot + 1);
    unsigned char *to = (unsigned char *)record;
    size_t length, left;

    /* C: acquire, pairs with A: nothing older than this record is read. */
    if (__atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) != ring_overwrite_complete(number))
        return false;
    /* R: acquire, pairs with W, here and for each word. */
    length = __atomic_load_n(&slot->bytes, __ATOMIC_ACQUIRE);
    if (length > ring->item_bytes) /* no length that was ever written */
        return false;
    for (left = length < room ? length : room; left;) {
        const ring_overwrite_word word = __atomic_load_n(from++, __ATOMIC_ACQUIRE);
        const size_t some = left < sizeof word ? left : sizeof word;

        RING_TEST_POINT("overwrite: reads a word");
        memcpy(to, &word, some);
        to += some;
        left -= some;
    }
    *bytes = length;
    RING_TEST_POINT("overwrite: has read");
    /* Relaxed: if a word came from a newer record, reading it was an acquire, and the newer state is visible by now.
       Without this look a reader would deliver torn records. */
    return __atomic_load_n(&slot->state, __ATOMIC_RELAXED) == ring_overwrite_complete(number);
}

/*
 * The next record in order. True: there is one, and *bytes is its length. False: there is none yet, or its writer is
 * not done. In both cases *lost is the number of records before it that were lost since the last call.
 */
RING_INLINE bool ring_overwrite_read(struct ring_overwrite_reader *reader, void *record, size_t room, size_t *bytes,
                                     ring_index *lost)
{
    const struct ring_overwrite *ring = reader->ring;
    const ring_index first = reader->next;
    bool found = false;

    for (;;) {
        /* Acquire: the reader sees everything that the writers saw when they took these numbers. */
        const ring_index head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
        const struct ring_overwrite_slot *slot;
        ring_index state;

        if ((ring_index)(head - reader->next) > ring->capacity)
            reader->next = (ring_index)(head - ring->capacity);
        if (reader->next == head)
            break;
        if (ring_overwrite_copy(ring, reader->next, record, room, bytes)) {
            found = true;
            break;
        }
        slot = ring_overwrite_find(ring, reader->next);
        state = __atomic_load_n(&slot->state, __ATOMIC_RELAXED);
        if (state == ring_overwrite_complete(reader->next))
            continue; /* completed just now */
        if (!ring_before(ring_overwrite_writing(reader->next), ring_overwrite_writing(state)) &&
            ring_before(__atomic_load_n(&slot->dropped, __ATOMIC_RELAXED), reader->next))
            break;      /* its writer is in the middle of it */
        reader->next++; /* dropped, or written over */
    }
    *lost = (ring_index)(reader->next - first);
    reader->next += found;
    return found;
}

#ifdef __cplusplus
}
#endif

#endif
