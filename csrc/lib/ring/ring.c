/* The slow parts that all rings share: memory, and waiting for long. */
#define _POSIX_C_SOURCE 200809L
#include "ring.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * First nap of a waiter, about as long as waking up takes anyway. The last nap is the most by which a waiter may be
 * late.
 */
#define FIRST_NAP_NS 50000L
#define LAST_NAP_NS 1000000L

void *ring_memory(size_t bytes)
{
    void *memory;

    /* Half of the address space: beyond it, sums of sizes might have wrapped. */
    if (bytes > SIZE_MAX / 2 || posix_memalign(&memory, RING_APART, bytes))
        return NULL;
    return memset(memory, 0, bytes);
}

ring_index ring_lap(size_t capacity, size_t item_bytes, size_t stride)
{
    ring_index lap = 1;

    /* A quarter of the counters' range. A position and one a lap later stay less than half of it apart, however the lap
       is rounded. The size of all slots must not wrap either. The stride of one slot is right once the item is known to
       be no larger. */
    if (capacity == 0 || item_bytes == 0 || capacity > RING_INDEX_HALF / 4 || item_bytes > SIZE_MAX / 4 ||
        capacity > SIZE_MAX / 4 / stride)
        return 0;
    while (lap <= capacity)
        lap *= 2;
    return lap;
}

void ring_wait_longer(struct ring_wait *wait)
{
    const unsigned naps = wait->looks - RING_SPINS - RING_YIELDS;
    struct timespec nap = {0, LAST_NAP_NS};

    if (wait->looks < RING_SPINS + RING_YIELDS) {
        sched_yield();
        return;
    }
    if (naps < 4)
        nap.tv_nsec = FIRST_NAP_NS << naps;
    else
        wait->looks--; /* stays where it is: the count must not wrap into spinning */
    nanosleep(&nap, NULL);
}
