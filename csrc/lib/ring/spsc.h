/*
 * ring_spsc: one producer thread, one consumer thread, bounded. Conventions of all functions: ring.h.
 *
 *   block     | word | item | item | … |
 *
 * The word is the number of items pushed when the last item of this block was published, counted from the creation of
 * the ring. A line contains a word and as many items as fit beside it (seven of 8 bytes). Larger items come in blocks
 * of about 2 KiB after a line with the word. So the consumer learns of an item by the line that brings it. One line
 * crosses for one hand-over. A ring with two indices moves the index's line and the item's. A word of an earlier lap is
 * a smaller number, so nothing has to be cleared and no value of an item is reserved. The consumer publishes the number
 * of items that it has taken on a separate line. The producer reads that line only if the ring is full by its last
 * look.
 *
 * To a line that it has emptied the consumer writes a byte that nobody reads. So the consumer's cache owns the line.
 * Otherwise both caches would keep a copy. That would cost the producer's next lap far more than a line that has to
 * come (ring_spsc_disown, docs/topics/ring.md).
 *
 * try_push, try_pop and the bulk forms are wait-free: a bounded number of steps, whatever the other side does. If the
 * other side is preempted, the answer is "full" (or "empty") once there is no room (or nothing published). Full and
 * empty are exact. try_push fails only if at some time during the call `capacity` items were in the ring. try_pop fails
 * only if at some time every item pushed had been popped.
 *
 * With RING_SPSC_LAZY at creation both sides speak less often. The producer publishes by groups, when it finds the ring
 * full, and in ring_spsc_flush. A group is 8 KiB of items, but no more than a quarter of the capacity, to the next end
 * of a line. If that is less than 256 bytes, a group is a line. The consumer gives places back by quarters of a group,
 * to the next end of a line, and when nothing published is left. Four things change:
 *   - Items pushed since the last publication are not seen by the consumer. Flush when no more is to come soon, and
 *     before waiting for the consumer. A flush left out loses nothing. The items become visible with the next
 *     publication, and stay in the ring as long as there is none. ring_spsc_destroy drops them like all others.
 *   - try_pop answers "empty" when all published items have been popped. try_push answers "full" when `capacity` items
 *     were pushed and not given back.
 *   - The consumer has fewer places that are not given back than a quarter of a group and a line's items. It has none
 *     once it has popped all published items. A push refused, or a bulk refused in part, has published everything. So
 *     no full ring waits for a consumer that sees nothing, at any capacity.
 *   - push is try_push until it succeeds. It publishes when it has to wait, and not when it returns. pop waits for a
 *     publication.
 */
#ifndef RING_SPSC_H
#define RING_SPSC_H

#include <string.h>

#include "ring.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Before the items of a block. Eight bytes for every ring_index, so that items of 8 bytes are aligned. */
#define RING_SPSC_WORD 8
/*
 * Bytes of items in a block, if an item does not fit into a line beside its word. A larger item has a block to
 * itself. Measured in batches of 32: 21 million items of 64 bytes a second with 7 items in a block, 30 million with
 * 31 (raw round trip 315 ns).
 */
#define RING_SPSC_BLOCK 2048

/* A flag of ring_spsc_create: see above. */
#define RING_SPSC_LAZY 1u
/*
 * The group of a lazy producer: 128 lines, a quarter of a first-level cache of 32 KiB. So the cache has room for the
 * group that is filled and the one that is emptied. Each publication takes a line away while the consumer looks at
 * it. Measured with single items of 64 bytes: 11.6 ns with 16 lines, 9.7 with 64, 3.8-5.0 with 128, 4.1 with 256.
 * The raw round trip was 75-93 ns. In a small ring a group is a quarter of the ring, so that both sides have room.
 */
#define RING_SPSC_GROUP (128 * RING_LINE)
/*
 * If that quarter is fewer than 4 lines of small items, each line is published. Measured with items of 8 bytes: 4.3
 * ns instead of 5.4 at capacity 32, 2.8 instead of 4.0 at 48, 2.7 instead of 2.9 at 64. From 112 on groups are as
 * fast or faster (raw round trip 85 ns).
 */
#define RING_SPSC_GROUP_LEAST (4 * RING_LINE)
/*
 * A lazy consumer gives back a group in this number of parts. Each part takes a line from a producer that looks for
 * room. 2, 4 and 8 parts were the same within 15 %. At capacity 4096 an item of 8 bytes took 2.3 ns. It took 5.3 ns
 * where each block was given back by itself.
 */
#define RING_SPSC_SHARES 4
/* Blocks known to be complete that a lazy consumer fetches ahead: 4, 8 and 16 were the same. */
#define RING_SPSC_AHEAD 8
/*
 * Blocks that the consumer fetches ahead on a guess. It guesses if the ring is not lazy, or if the groups of a lazy
 * ring are single lines. Measured with 32 items of 8 bytes at a time: 2.0 ns an item without, 1.7 with 2, 1.4 with 5
 * and with 9. Single items in a lazy ring of capacity 64: 6.5 ns without and 4.5 with guesses. At 32 it was 6.8 and
 * 6.9, at 16 it was 9.6 and 10.4 (raw round trip 104 ns).
 */
#define RING_SPSC_GUESSES 5
/*
 * And no more than a quarter of the lines that `capacity` items fill, but one at least. In a small ring a farther guess
 * is a line that the producer writes. Measured with single items of 8 bytes as ratios to a ring that always guesses up to
 * 5. Capacity 32: 0.77 to 0.84, 40: 0.69, 64: 0.81 to 0.96, lazy 0.73 to 0.77, 0.63 and 0.82 to 0.85. Half of the lines
 * instead of a quarter: 0.85 at 40, 0.93 at 64 (raw round trip 112-120 ns).
 */
#define RING_SPSC_GUESS_PART 4
/*
 * Blocks of small items that stay free between producer and consumer. One would be enough for the words (spsc.c).
 * But in a full ring the producer is close behind the consumer. Each line that one CPU fetches ahead, by hint or by
 * itself, is taken from the other. Measured with single items of 8 bytes, with 1, 8, 16 and 32 blocks. Capacity
 * 4096, raw round trip 330 ns: 30, 21, 16 and 12 ns. Capacity 4096, raw round trip 90 ns: 5.9, 5.6, 5.4 and 5.3 ns.
 * Capacity 64: 13.9, 13.2, 14.5 and 16.5 ns. It is more than RING_SPSC_GUESSES, so that a guess stays in the ring.
 */
#define RING_SPSC_SPARE 16

struct ring_spsc {
    /* Written at creation only. */
    unsigned char *first, *end; /* blocks */
    ring_index capacity;
    ring_index per_block;
    size_t item_bytes, stride;
    ring_index group; /* items that a lazy producer keeps to itself, 0 if every push is published */
    ring_index share; /* places that a lazy consumer keeps to itself */
    struct {
        RING_APART_ALIGNED ring_index tail; /* items pushed */
        ring_index limit;                   /* full at this tail, as of the last look at `taken` */
        ring_index block_end;               /* tail at the end of the block */
        unsigned char *block;
        /* Lazy only: tail as last published, and the block of that tail: there the consumer looks next. */
        ring_index shown;
        unsigned char *shown_block;
    } producer;
    struct {
        RING_APART_ALIGNED ring_index head; /* items popped */
        ring_index known;                   /* tail, as of the last look at a word */
        ring_index block_end;
        unsigned char *block;
        ring_index looked;       /* head at the last look */
        ring_index guesses;      /* blocks fetched ahead on a guess */
        ring_index most_guesses; /* written at creation only. Here because the consumer has this line */
    } consumer;
    RING_APART_ALIGNED ring_index taken; /* items popped, for the producer: written by the consumer alone */
};

int ring_spsc_create(struct ring_spsc **ring, size_t capacity, size_t item_bytes, unsigned flags);
void ring_spsc_destroy(struct ring_spsc *ring);
/* For tests: an empty ring whose counters are at `start`, near their wrap. Nobody else may be using it. */
void ring_spsc_start_at(struct ring_spsc *ring, ring_index start);

/* Whether items are in the line of their word. */
RING_INLINE bool ring_spsc_is_small(size_t item_bytes)
{
    return item_bytes <= RING_LINE - RING_SPSC_WORD;
}

/* Items of a block. */
RING_INLINE size_t ring_spsc_per_block(size_t item_bytes)
{
    if (ring_spsc_is_small(item_bytes))
        return (RING_LINE - RING_SPSC_WORD) / item_bytes;
    return item_bytes < RING_SPSC_BLOCK ? RING_SPSC_BLOCK / item_bytes : 1;
}

/*
 * Bytes before the items of a block. They are the word, or a whole line for it. Then a look at the word takes no
 * line of items from the producer.
 */
RING_INLINE size_t ring_spsc_header(size_t item_bytes)
{
    return ring_spsc_is_small(item_bytes) ? RING_SPSC_WORD : RING_LINE;
}

/* From block to block, in whole lines. */
RING_INLINE size_t ring_spsc_stride(size_t item_bytes)
{
    const size_t items = ring_spsc_per_block(item_bytes) * item_bytes;

    return ring_spsc_is_small(item_bytes) ? RING_LINE : RING_LINE + (items + RING_LINE - 1) / RING_LINE * RING_LINE;
}

/* The same at run time without a division, for sizes that are not constants. */
RING_INLINE ring_index ring_spsc_items(const struct ring_spsc *ring, size_t item_bytes)
{
    return __builtin_constant_p(item_bytes) ? (ring_index)ring_spsc_per_block(item_bytes) : ring->per_block;
}

/* The place of the item that has `left` items of its block from it on. */
RING_INLINE unsigned char *ring_spsc_slot(const struct ring_spsc *ring, unsigned char *block, ring_index left,
                                          size_t item_bytes)
{
    return block + ring_spsc_header(item_bytes) + (ring_spsc_items(ring, item_bytes) - left) * item_bytes;
}

RING_INLINE unsigned char *ring_spsc_next(const struct ring_spsc *ring, unsigned char *block, size_t item_bytes)
{
    block += __builtin_constant_p(item_bytes) ? ring_spsc_stride(item_bytes) : ring->stride;
    return RING_UNLIKELY(block == ring->end) ? ring->first : block;
}

/* Room as of now, after a look at what the consumer says. */
RING_INLINE ring_index ring_spsc_look_for_room(struct ring_spsc *ring)
{
    /* D: acquire, pairs with C. An item may be overwritten only after it was read. If this were relaxed, the loads
       of the old item could see the stores of the new one. */
    const ring_index taken = __atomic_load_n(&ring->taken, __ATOMIC_ACQUIRE);

    ring->producer.limit = taken + ring->capacity;
    return ring->producer.limit - ring->producer.tail;
}

RING_INLINE void ring_spsc_publish(unsigned char *block, ring_index tail)
{
    /* A: release, pairs with B. The items up to tail are in place before the word says so. If this were relaxed, the
       consumer could read the bytes that were there before. */
    __atomic_store_n((ring_index *)(void *)block, tail, __ATOMIC_RELEASE);
}

/*
 * A block was filled before any of it was published. Nobody looks at its word in this lap. It is written all the
 * same. Otherwise it could fall back by half of the range of ring_index, and look like a word of the future. No
 * order is needed.
 */
RING_INLINE void ring_spsc_pass_over(unsigned char *block, ring_index tail)
{
    __atomic_store_n((ring_index *)(void *)block, tail, __ATOMIC_RELAXED);
}

/* Publish all items pushed. Only for the producer. Without RING_SPSC_LAZY there is never anything to do. */
RING_INLINE void ring_spsc_flush(struct ring_spsc *ring)
{
    if (ring->group == 0 || ring->producer.shown == ring->producer.tail)
        return;
    /* The word of the first block that is new to the consumer, after the items of all of them. */
    ring_spsc_publish(ring->producer.shown_block, ring->producer.tail);
    ring->producer.shown = ring->producer.tail;
    ring->producer.shown_block = ring->producer.block;
}

RING_INLINE void ring_spsc_flush_group(struct ring_spsc *ring)
{
    if ((ring_index)(ring->producer.tail - ring->producer.shown) >= ring->group)
        ring_spsc_flush(ring);
}

/* The block this many further on, at most as many as there are. */
RING_INLINE unsigned char *ring_spsc_further(const struct ring_spsc *ring, unsigned char *block, size_t blocks,
                                             size_t item_bytes)
{
    const size_t bytes = blocks * (__builtin_constant_p(item_bytes) ? ring_spsc_stride(item_bytes) : ring->stride);

    return (size_t)(ring->end - block) > bytes ? block + bytes : block + bytes - (ring->end - ring->first);
}

/* Whether the block that the consumer has come to the end of was complete at the first look. */
RING_INLINE bool ring_spsc_was_whole(const struct ring_spsc *ring, size_t item_bytes)
{
    return (ring_index)(ring->consumer.block_end - ring->consumer.looked) >= ring_spsc_items(ring, item_bytes);
}

/*
 * A look has shown blocks beyond this one. Fetch the first of them. They are complete, so nothing is taken from the
 * producer. The fetch is for writing, because ring_spsc_disown will write.
 */
RING_INLINE void ring_spsc_fetch_known(struct ring_spsc *ring, size_t item_bytes)
{
    const ring_index items = ring_spsc_items(ring, item_bytes);
    unsigned char *block = ring->consumer.block;
    ring_index at = ring->consumer.block_end;

    for (unsigned i = 0; i < RING_SPSC_AHEAD && ring_before(at, ring->consumer.known); i++, at += items) {
        block = ring_spsc_next(ring, block, item_bytes);
        ring_prefetch_write(block);
    }
}

/*
 * The consumer has come to a block from one that was complete at the first look. If every push is published, or
 * every line, a word speaks of its own block only. But after a complete block the next are likely to be complete. A
 * wrong guess takes a line from the producer that is writing it. So guesses go one block farther after each complete
 * one. After an incomplete block there is no guess.
 */
RING_INLINE void ring_spsc_guess(struct ring_spsc *ring, size_t item_bytes)
{
    ring_index blocks = ring->consumer.guesses;

    /* The constant first: a large ring, which has come to it, loads nothing. */
    if (blocks < RING_SPSC_GUESSES && blocks < ring->consumer.most_guesses) {
        if (blocks)
            ring_prefetch_write(ring_spsc_further(ring, ring->consumer.block, blocks, item_bytes));
        ring->consumer.guesses = ++blocks;
    }
    if (blocks)
        ring_prefetch_write(ring_spsc_further(ring, ring->consumer.block, blocks, item_bytes));
}

/* Whether an item is there at `head`, the first that is not known. */
RING_INLINE bool ring_spsc_look_for_items(struct ring_spsc *ring, ring_index head, size_t item_bytes)
{
    /* B: acquire, pairs with A. */
    const ring_index word = __atomic_load_n((ring_index *)(void *)ring->consumer.block, __ATOMIC_ACQUIRE);

    if (!ring_before(head, word))
        return false;
    ring->consumer.known = word;
    ring->consumer.looked = head;
    if (ring->group && ring_spsc_is_small(item_bytes))
        ring_spsc_fetch_known(ring, item_bytes);
    return true;
}

/*
 * Write to a line that was read and will not be read again. Its last byte belongs to an item that was popped, or to
 * nobody. Its place is given back later (C), so the items of the producer come after this store. The reason: a line
 * that was only read stays in both caches, shared. The producer then has it, but may not write to it. It has to ask
 * for it, one or two lines at a time. No prefetch helps once the copy has left the first-level cache. If the
 * consumer has written to the line, the producer misses it and fetches it ahead. Measured with seven stores of 8
 * bytes (Zen 4, raw round trip 75 ns): 34 ns a line without this store, 4 ns with it. The line was fetched for
 * writing, so the store costs the consumer nothing. It is left out where nothing else is known to follow. There the
 * answer of a round trip would wait for it.
 */
RING_INLINE void ring_spsc_disown(unsigned char *line)
{
    line[RING_LINE - 1] = 0;
}

/* The same for large items: each of their lines. */
RING_INLINE void ring_spsc_disown_items(unsigned char *items, size_t bytes)
{
    for (size_t i = 0; i < bytes / RING_LINE; i++)
        ring_spsc_disown(items + i * RING_LINE);
}

RING_INLINE void ring_spsc_give_back(struct ring_spsc *ring, ring_index head)
{
    ring->consumer.head = head;
    /* C: release, pairs with D: the items were read before their places are given back. */
    __atomic_store_n(&ring->taken, head, __ATOMIC_RELEASE);
}

/* The consumer is through with its block, up to `head`. */
RING_INLINE void ring_spsc_leave(struct ring_spsc *ring, ring_index head, size_t item_bytes)
{
    const ring_index items = ring_spsc_items(ring, item_bytes);
    const bool whole = ring_spsc_was_whole(ring, item_bytes);

    ring->consumer.block = ring_spsc_next(ring, ring->consumer.block, item_bytes);
    ring->consumer.block_end = head + items;
    if (!ring_spsc_is_small(item_bytes))
        return;
    /* A group of one line tells the consumer of one line, like a push that is published. */
    if (ring->group > 1) {
        if (ring_before(head + RING_SPSC_AHEAD * items, ring->consumer.known))
            ring_prefetch_write(ring_spsc_further(ring, ring->consumer.block, RING_SPSC_AHEAD, item_bytes));
    } else if (whole)
        ring_spsc_guess(ring, item_bytes);
    else
        ring->consumer.guesses = 0;
}

RING_INLINE bool ring_spsc_try_push_sized(struct ring_spsc *ring, const void *item, size_t item_bytes)
{
    const ring_index tail = ring->producer.tail;
    unsigned char *block = ring->producer.block;

    if (RING_UNLIKELY(tail == ring->producer.limit) && ring_spsc_look_for_room(ring) == 0) {
        ring_spsc_flush(ring);
        return false;
    }
    ring_copy_in(ring_spsc_slot(ring, block, ring->producer.block_end - tail, item_bytes), item, item_bytes);
    if (!ring->group)
        ring_spsc_publish(block, tail + 1);
    ring->producer.tail = tail + 1;
    if (tail + 1 == ring->producer.block_end) {
        ring->producer.block = ring_spsc_next(ring, block, item_bytes);
        ring->producer.block_end = tail + 1 + ring_spsc_items(ring, item_bytes);
        if (ring->group) {
            if (block != ring->producer.shown_block)
                ring_spsc_pass_over(block, tail + 1);
            ring_spsc_flush_group(ring);
        }
    } else if (!ring_spsc_is_small(item_bytes) && ring->group)
        ring_spsc_flush_group(ring); /* small items are looked at by the line only */
    return true;
}

RING_INLINE bool ring_spsc_try_pop_sized(struct ring_spsc *ring, void *item, size_t item_bytes)
{
    const ring_index head = ring->consumer.head;
    unsigned char *const block = ring->consumer.block, *slot;
    ring_index at;
    bool ends;

    if (head == ring->consumer.known && !ring_spsc_look_for_items(ring, head, item_bytes))
        return false;
    slot = ring_spsc_slot(ring, block, ring->consumer.block_end - head, item_bytes);
    memcpy(item, slot, item_bytes);
    at = head + 1;
    ends = at == ring->consumer.block_end;
    if (!ring_spsc_is_small(item_bytes)) {
        if (at != ring->consumer.known)
            ring_spsc_disown_items(slot, item_bytes);
    } else if (ends && ring_spsc_was_whole(ring, item_bytes))
        ring_spsc_disown(block);
    ring->consumer.head = at;
    if (!ring->group || at == ring->consumer.known ||
        ((ends || !ring_spsc_is_small(item_bytes)) && (ring_index)(at - ring->taken) >= ring->share))
        ring_spsc_give_back(ring, at);
    if (ends)
        ring_spsc_leave(ring, at, item_bytes);
    return true;
}

/* At most seven items of 8 bytes: three moves, where memcpy of an unknown number of bytes would be a call. */
#define RING_SPSC_COPY_8(copy, to, from, count)                                                                        \
    do {                                                                                                               \
        if ((count)&4) {                                                                                               \
            copy(to, from, 32);                                                                                        \
            to += 32, from += 32;                                                                                      \
        }                                                                                                              \
        if ((count)&2) {                                                                                               \
            copy(to, from, 16);                                                                                        \
            to += 16, from += 16;                                                                                      \
        }                                                                                                              \
        if ((count)&1)                                                                                                 \
            memcpy(to, from, 8);                                                                                       \
    } while (0)

RING_INLINE void ring_spsc_copy_in(unsigned char *to, const unsigned char *from, size_t count, size_t item_bytes)
{
    if (__builtin_constant_p(item_bytes) && item_bytes == 8)
        RING_SPSC_COPY_8(ring_copy_in, to, from, count);
    else if (__builtin_constant_p(item_bytes) && item_bytes % 8 == 0)
        for (; count; count--, to += item_bytes, from += item_bytes)
            ring_copy_in(to, from, item_bytes);
    else
        memcpy(to, from, count * item_bytes);
}

RING_INLINE void ring_spsc_copy_out(unsigned char *to, const unsigned char *from, size_t count, size_t item_bytes)
{
    if (__builtin_constant_p(item_bytes) && item_bytes == 8)
        RING_SPSC_COPY_8(memcpy, to, from, count);
    else if (__builtin_constant_p(item_bytes))
        for (; count; count--, to += item_bytes, from += item_bytes)
            memcpy(to, from, item_bytes);
    else
        memcpy(to, from, count * item_bytes);
}

RING_INLINE size_t ring_spsc_push_bulk_sized(struct ring_spsc *ring, const void *items, size_t count, size_t item_bytes)
{
    const unsigned char *from = (const unsigned char *)items;
    ring_index tail = ring->producer.tail, block_end = ring->producer.block_end, room = ring->producer.limit - tail;
    unsigned char *block = ring->producer.block;
    bool refused = false;

    if (RING_UNLIKELY(room < count))
        room = ring_spsc_look_for_room(ring);
    if (count > room) {
        count = room;
        refused = true;
    }
    for (size_t left = count; left;) {
        const size_t in_block = block_end - tail, some = left < in_block ? left : in_block;

        ring_spsc_copy_in(ring_spsc_slot(ring, block, (ring_index)in_block, item_bytes), from, some, item_bytes);
        tail += (ring_index)some;
        if (!ring->group)
            ring_spsc_publish(block, tail);
        else if (tail == block_end && block != ring->producer.shown_block)
            ring_spsc_pass_over(block, tail);
        from += some * item_bytes;
        left -= some;
        if (tail == block_end) {
            block = ring_spsc_next(ring, block, item_bytes);
            block_end += ring_spsc_items(ring, item_bytes);
        }
    }
    ring->producer.tail = tail;
    ring->producer.block = block;
    ring->producer.block_end = block_end;
    if (refused)
        ring_spsc_flush(ring);
    else if (ring->group)
        ring_spsc_flush_group(ring);
    return count;
}

RING_INLINE size_t ring_spsc_pop_bulk_sized(struct ring_spsc *ring, void *items, size_t count, size_t item_bytes)
{
    unsigned char *to = (unsigned char *)items;
    const ring_index head = ring->consumer.head;
    ring_index at = head;

    while ((ring_index)(at - head) < count) {
        const size_t in_block = ring->consumer.block_end - at;
        size_t some = count - (ring_index)(at - head);
        unsigned char *slot;

        if (at == ring->consumer.known && !ring_spsc_look_for_items(ring, at, item_bytes))
            break;
        if (some > (ring_index)(ring->consumer.known - at))
            some = (ring_index)(ring->consumer.known - at);
        if (some > in_block)
            some = in_block;
        slot = ring_spsc_slot(ring, ring->consumer.block, (ring_index)in_block, item_bytes);
        ring_spsc_copy_out(to, slot, some, item_bytes);
        to += some * item_bytes;
        at += (ring_index)some;
        if (!ring_spsc_is_small(item_bytes)) {
            if (some > 1 || at != ring->consumer.known)
                ring_spsc_disown_items(slot, some * item_bytes);
        } else if (some == in_block && ring_spsc_was_whole(ring, item_bytes))
            ring_spsc_disown(ring->consumer.block);
        if (some == in_block)
            ring_spsc_leave(ring, at, item_bytes);
    }
    if (at != head)
        ring_spsc_give_back(ring, at);
    return (ring_index)(at - head);
}

RING_INLINE void ring_spsc_push_sized(struct ring_spsc *ring, const void *item, size_t item_bytes)
{
    struct ring_wait wait = {0};

    while (!ring_spsc_try_push_sized(ring, item, item_bytes))
        ring_wait_on(&wait);
}

RING_INLINE void ring_spsc_pop_sized(struct ring_spsc *ring, void *item, size_t item_bytes)
{
    struct ring_wait wait = {0};

    while (!ring_spsc_try_pop_sized(ring, item, item_bytes))
        ring_wait_on(&wait);
}

RING_INLINE bool ring_spsc_try_push(struct ring_spsc *ring, const void *item)
{
    return ring_spsc_try_push_sized(ring, item, ring->item_bytes);
}

RING_INLINE bool ring_spsc_try_pop(struct ring_spsc *ring, void *item)
{
    return ring_spsc_try_pop_sized(ring, item, ring->item_bytes);
}

RING_INLINE size_t ring_spsc_push_bulk(struct ring_spsc *ring, const void *items, size_t count)
{
    return ring_spsc_push_bulk_sized(ring, items, count, ring->item_bytes);
}

RING_INLINE size_t ring_spsc_pop_bulk(struct ring_spsc *ring, void *items, size_t count)
{
    return ring_spsc_pop_bulk_sized(ring, items, count, ring->item_bytes);
}

RING_INLINE void ring_spsc_push(struct ring_spsc *ring, const void *item)
{
    ring_spsc_push_sized(ring, item, ring->item_bytes);
}

RING_INLINE void ring_spsc_pop(struct ring_spsc *ring, void *item)
{
    ring_spsc_pop_sized(ring, item, ring->item_bytes);
}

#ifdef __cplusplus
}
#endif

#endif
