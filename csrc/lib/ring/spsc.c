/* Making and freeing of ring_spsc. Its fast paths are inline, in spsc.h. */
#include "spsc.h"

#include <errno.h>
#include <stdlib.h>

void ring_spsc_start_at(struct ring_spsc *ring, ring_index start)
{
    const ring_index first_end = start + (ring_index)ring_spsc_per_block(ring->item_bytes);

    /* No word may announce an item that is not there. At `start` all of them say that nothing was published. */
    for (unsigned char *block = ring->first; block != ring->end; block += ring_spsc_stride(ring->item_bytes))
        ring_spsc_publish(block, start);
    ring->producer.tail = ring->producer.shown = ring->consumer.head = ring->consumer.known = ring->consumer.looked =
        ring->taken = start;
    ring->producer.limit = start + ring->capacity;
    ring->producer.block = ring->producer.shown_block = ring->consumer.block = ring->first;
    ring->producer.block_end = ring->consumer.block_end = first_end;
    ring->consumer.guesses = 0;
}

int ring_spsc_create(struct ring_spsc **ring, size_t capacity, size_t item_bytes, unsigned flags)
{
    struct ring_spsc *made;
    size_t full, part, blocks, bytes;

    *ring = NULL;
    /* Counters of a lap, with the rest of a block, must be told from those of the last. */
    if (capacity == 0 || item_bytes == 0 || (flags & ~RING_SPSC_LAZY) || capacity > RING_INDEX_HALF - RING_LINE ||
        item_bytes > SIZE_MAX / 16)
        return -EINVAL;
    /* At least one block more than the items need. The producer is at most `capacity` ahead. So it never comes to
       the block that the consumer is in. Otherwise the consumer could find the word of the next lap there, which
       counts items of other blocks. */
    full = (capacity - 1) / ring_spsc_per_block(item_bytes) + 1;
    blocks = full + (ring_spsc_is_small(item_bytes) ? RING_SPSC_SPARE : 1);
    if (__builtin_mul_overflow(blocks, ring_spsc_stride(item_bytes), &bytes))
        return -ENOMEM;
    made = (struct ring_spsc *)ring_memory(sizeof *made);
    if (!made)
        return -ENOMEM;
    made->first = (unsigned char *)ring_memory(bytes);
    if (!made->first) {
        free(made);
        return -ENOMEM;
    }
    made->end = made->first + bytes;
    made->capacity = (ring_index)capacity;
    made->item_bytes = item_bytes;
    made->per_block = (ring_index)ring_spsc_per_block(item_bytes);
    made->stride = ring_spsc_stride(item_bytes);
    part = full / RING_SPSC_GUESS_PART;
    made->consumer.most_guesses = (ring_index)(part > RING_SPSC_GUESSES ? RING_SPSC_GUESSES : part ? part : 1);
    if (flags & RING_SPSC_LAZY) {
        const size_t items = item_bytes < RING_SPSC_GROUP ? RING_SPSC_GROUP / item_bytes : 1;
        const size_t most = capacity < 4 ? 1 : capacity / 4;

        made->group = (ring_index)(items < most ? items : most);
        if (ring_spsc_is_small(item_bytes) && made->group * item_bytes < RING_SPSC_GROUP_LEAST)
            made->group = 1;
        made->share = made->group / RING_SPSC_SHARES;
    }
    ring_spsc_start_at(made, 0);
    *ring = made;
    return 0;
}

void ring_spsc_destroy(struct ring_spsc *ring)
{
    if (ring)
        free(ring->first);
    free(ring);
}
