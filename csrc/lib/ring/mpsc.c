#include "mpsc.h"

#include <errno.h>
#include <stdlib.h>

int ring_mpsc_create(struct ring_mpsc **ring, size_t capacity, size_t item_bytes, unsigned flags)
{
    const ring_index lap = ring_lap(capacity, item_bytes, ring_mpsc_stride(item_bytes));
    struct ring_mpsc *made;

    if (flags || lap == 0)
        return -EINVAL;
    made = (struct ring_mpsc *)ring_memory(sizeof *made);
    if (!made)
        return -ENOMEM;
    made->slots_bytes = capacity * ring_mpsc_stride(item_bytes);
    made->slots = (unsigned char *)ring_memory(made->slots_bytes);
    if (!made->slots) {
        free(made);
        return -ENOMEM;
    }
    made->item_bytes = item_bytes;
    made->capacity = (ring_index)capacity;
    made->lap = lap;
    ring_mpsc_start_at(made, 0);
    *ring = made;
    return 0;
}

void ring_mpsc_destroy(struct ring_mpsc *ring)
{
    if (ring)
        free(ring->slots);
    free(ring);
}

void ring_mpsc_start_at(struct ring_mpsc *ring, ring_index laps)
{
    const ring_index start = (ring_index)(laps * ring->lap);

    /* As after a pop of each in the lap before. */
    for (ring_index i = 0; i < ring->capacity; i++)
        *(ring_index *)(void *)ring_mpsc_slot(ring, i, ring->item_bytes) = (ring_index)(start - ring->lap + i + 1);
    ring->tail = ring->head = start;
    ring->limit = (ring_index)(start + ring->lap);
}
