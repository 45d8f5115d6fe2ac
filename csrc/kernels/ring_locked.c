/*
 * ring/mutex, ring/mutex_condvar, ring/mutex_round_trip: what does a ring under a lock cost?
 *
 * One operation is one item, or one item there and back. The same ring twice, a mutex of the C library around it:
 *   mutex          a refusal is told to the caller, who tries again at once
 *   mutex_condvar  who is refused sleeps until the other side signals
 * Excluded:  making the rings; the team's start.
 * Expect:    reference guest, 1024 items of 8 bytes, ns an item: 260 with retries, 195 with condition variables; a round trip with
 *            condition variables 82 us.
 * Hazards:   the lock is unfair: a thread that has it may fill or empty the ring in one go.
 * Not shown: sleeping as such (the wake-up of an idle CPU); many threads.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>

#include "ring/ring.h"
#include "ring_trial.h"

struct locked {
    pthread_mutex_t mutex;
    pthread_cond_t not_full, not_empty;
    size_t capacity, count, head, tail;
    char *data;
};

static int locked_create(void **ring, size_t capacity, size_t item_bytes)
{
    struct locked *made = ring_memory(sizeof *made);

    if (!made)
        return -ENOMEM;
    *ring = made;
    pthread_mutex_init(&made->mutex, NULL);
    pthread_cond_init(&made->not_full, NULL);
    pthread_cond_init(&made->not_empty, NULL);
    made->capacity = capacity;
    made->data = ring_memory(capacity * item_bytes);
    return made->data ? 0 : -ENOMEM;
}

static void locked_destroy(void *ring)
{
    struct locked *locked = ring;

    pthread_cond_destroy(&locked->not_full);
    pthread_cond_destroy(&locked->not_empty);
    pthread_mutex_destroy(&locked->mutex);
    free(locked->data);
    free(locked);
}

RING_INLINE bool locked_push(struct locked *locked, const void *item, size_t item_bytes, bool sleeps)
{
    bool room;

    pthread_mutex_lock(&locked->mutex);
    while (sleeps && locked->count == locked->capacity)
        pthread_cond_wait(&locked->not_full, &locked->mutex);
    room = locked->count < locked->capacity;
    if (room) {
        memcpy(locked->data + locked->tail * item_bytes, item, item_bytes);
        locked->tail = locked->tail + 1 == locked->capacity ? 0 : locked->tail + 1;
        if (locked->count++ == 0 && sleeps)
            pthread_cond_signal(&locked->not_empty);
    }
    pthread_mutex_unlock(&locked->mutex);
    return room;
}

RING_INLINE bool locked_pop(struct locked *locked, void *item, size_t item_bytes, bool sleeps)
{
    bool there;

    pthread_mutex_lock(&locked->mutex);
    while (sleeps && locked->count == 0)
        pthread_cond_wait(&locked->not_empty, &locked->mutex);
    there = locked->count > 0;
    if (there) {
        memcpy(item, locked->data + locked->head * item_bytes, item_bytes);
        locked->head = locked->head + 1 == locked->capacity ? 0 : locked->head + 1;
        if (locked->count-- == locked->capacity && sleeps)
            pthread_cond_signal(&locked->not_full);
    }
    pthread_mutex_unlock(&locked->mutex);
    return there;
}

#define MAKE_ADAPTER(name, sleeps)                                                                                     \
    static int name##_create(void **ring, size_t capacity, size_t item_bytes)                                          \
    {                                                                                                                  \
        return locked_create(ring, capacity, item_bytes);                                                              \
    }                                                                                                                  \
    static void name##_destroy(void *ring)                                                                             \
    {                                                                                                                  \
        locked_destroy(ring);                                                                                          \
    }                                                                                                                  \
    RING_INLINE bool name##_try_push(void *ring, const void *item, size_t item_bytes)                                  \
    {                                                                                                                  \
        return locked_push(ring, item, item_bytes, sleeps);                                                            \
    }                                                                                                                  \
    RING_INLINE bool name##_try_pop(void *ring, void *item, size_t item_bytes)                                         \
    {                                                                                                                  \
        return locked_pop(ring, item, item_bytes, sleeps);                                                             \
    }

MAKE_ADAPTER(mutex, false)
#define RING mutex
#include "ring_trial.h"

MAKE_ADAPTER(mutex_condvar, true)
#define RING mutex_condvar
#include "ring_trial.h"

KERNEL(mutex,
    .name    = "ring/mutex",
    .summary = "items through a ring under a mutex, retried when refused",
    RING_TRIAL_THROUGHPUT(mutex));
KERNEL(mutex_round_trip,
    .name    = "ring/mutex_round_trip",
    .summary = "an item there and back over two such rings",
    RING_TRIAL_ROUND_TRIP(mutex));
KERNEL(mutex_condvar,
    .name    = "ring/mutex_condvar",
    .summary = "items through a ring under a mutex, asleep while refused",
    RING_TRIAL_THROUGHPUT(mutex_condvar));
