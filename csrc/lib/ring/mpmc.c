#include "mpmc.h"

#include <errno.h>
#include <stdlib.h>

int ring_mpmc_create(struct ring_mpmc **ring, size_t capacity, size_t item_bytes, unsigned flags)
{
    const ring_index lap = ring_lap(capacity, item_bytes, ring_mpmc_stride(item_bytes));
    struct ring_mpmc *made;

    if (flags || lap == 0)
        return -EINVAL;
    made = (struct ring_mpmc *)ring_memory(sizeof *made);
    if (!made)
        return -ENOMEM;
    made->slots_bytes = capacity * ring_mpmc_stride(item_bytes);
    made->slots = (unsigned char *)ring_memory(made->slots_bytes);
    if (!made->slots) {
        free(made);
        return -ENOMEM;
    }
    made->item_bytes = item_bytes;
    made->capacity = (ring_index)capacity;
    made->lap = lap;
    ring_mpmc_start_at(made, 0);
    *ring = made;
    return 0;
}

void ring_mpmc_destroy(struct ring_mpmc *ring)
{
    if (ring)
        free(ring->slots);
    free(ring);
}

void ring_mpmc_start_at(struct ring_mpmc *ring, ring_index laps)
{
    const ring_index start = (ring_index)(laps * ring->lap);

    for (ring_index i = 0; i < ring->capacity; i++)
        *(ring_index *)(void *)ring_mpmc_slot(ring, i, ring->item_bytes) = (ring_index)(start + i);
    ring->tail = ring->head = start;
}
