#include "overwrite.h"

#include <stdlib.h>

int ring_overwrite_create(struct ring_overwrite **ring, size_t capacity, size_t item_bytes, unsigned flags)
{
    struct ring_overwrite *made;
    ring_index slots = 2; /* the state gives its lowest bit away */

    /* A quarter of the counters' range: numbers that can meet stay less than half of it apart. */
    if (flags || capacity == 0 || item_bytes == 0 || capacity > RING_INDEX_HALF / 4 || item_bytes > SIZE_MAX / 4)
        return -EINVAL;
    while (slots < capacity)
        slots *= 2;
    made = (struct ring_overwrite *)ring_memory(sizeof *made);
    if (!made)
        return -ENOMEM;
    made->item_bytes = item_bytes;
    made->stride = sizeof(struct ring_overwrite_slot) + (item_bytes + sizeof(ring_overwrite_word) - 1) /
                                                            sizeof(ring_overwrite_word) * sizeof(ring_overwrite_word);
    made->capacity = (ring_index)capacity;
    made->mask = (ring_index)(slots - 1);
    made->slots = slots > SIZE_MAX / made->stride ? NULL : (unsigned char *)ring_memory(slots * made->stride);
    if (!made->slots) {
        free(made);
        return -ENOMEM;
    }
    ring_overwrite_start_at(made, 0);
    *ring = made;
    return 0;
}

void ring_overwrite_destroy(struct ring_overwrite *ring)
{
    if (ring)
        free(ring->slots);
    free(ring);
}

void ring_overwrite_start_at(struct ring_overwrite *ring, ring_index start)
{
    /* As if the lap before had been written. */
    for (ring_index i = 0; i <= ring->mask; i++) {
        const ring_index number = (ring_index)(start - 1 - i);
        struct ring_overwrite_slot *slot = ring_overwrite_find(ring, number);

        slot->state = ring_overwrite_complete(number);
        slot->dropped = number;
        slot->bytes = 0;
    }
    ring->head = ring->first = start;
}

void ring_overwrite_reader_init(struct ring_overwrite_reader *reader, struct ring_overwrite *ring)
{
    reader->ring = ring;
    reader->next = ring->first;
}

void ring_overwrite_reader_skip(struct ring_overwrite_reader *reader)
{
    /* Acquire: as in ring_overwrite_read. */
    reader->next = __atomic_load_n(&reader->ring->head, __ATOMIC_ACQUIRE);
}
