/* A ring under a lock, as adapters for ring/trial.h: mutex_spin, spin_lock, mutex_condvar. See ring/locked.c. */
#ifndef FENCEPOST_RING_LOCKED_H
#define FENCEPOST_RING_LOCKED_H

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "lib/ring/ring.h"

/* Which lock it is, and whether who is refused sleeps. */
enum locked_how { LOCKED_MUTEX, LOCKED_SPIN, LOCKED_SLEEPS };

struct locked {
    pthread_mutex_t mutex;
    pthread_spinlock_t spin;
    pthread_cond_t not_full, not_empty;
    size_t capacity, count, head, tail;
    char *data;
};

RING_INLINE int locked_create(void **ring, size_t capacity, size_t item_bytes)
{
    struct locked *made = ring_memory(sizeof *made);

    if (!made)
        return -ENOMEM;
    *ring = made;
    pthread_mutex_init(&made->mutex, NULL);
    pthread_spin_init(&made->spin, PTHREAD_PROCESS_PRIVATE);
    pthread_cond_init(&made->not_full, NULL);
    pthread_cond_init(&made->not_empty, NULL);
    made->capacity = capacity;
    made->data = ring_memory(capacity * item_bytes);
    return made->data ? 0 : -ENOMEM;
}

RING_INLINE void locked_destroy(void *ring)
{
    struct locked *locked = ring;

    pthread_cond_destroy(&locked->not_full);
    pthread_cond_destroy(&locked->not_empty);
    pthread_spin_destroy(&locked->spin);
    pthread_mutex_destroy(&locked->mutex);
    free(locked->data);
    free(locked);
}

RING_INLINE void locked_enter(struct locked *locked, enum locked_how how)
{
    if (how == LOCKED_SPIN)
        pthread_spin_lock(&locked->spin);
    else
        pthread_mutex_lock(&locked->mutex);
}

RING_INLINE void locked_leave(struct locked *locked, enum locked_how how)
{
    if (how == LOCKED_SPIN)
        pthread_spin_unlock(&locked->spin);
    else
        pthread_mutex_unlock(&locked->mutex);
}

RING_INLINE bool locked_push(struct locked *locked, const void *item, size_t item_bytes, enum locked_how how)
{
    bool room;

    locked_enter(locked, how);
    while (how == LOCKED_SLEEPS && locked->count == locked->capacity)
        pthread_cond_wait(&locked->not_full, &locked->mutex);
    room = locked->count < locked->capacity;
    if (room) {
        memcpy(locked->data + locked->tail * item_bytes, item, item_bytes);
        locked->tail = locked->tail + 1 == locked->capacity ? 0 : locked->tail + 1;
        if (locked->count++ == 0 && how == LOCKED_SLEEPS)
            pthread_cond_signal(&locked->not_empty);
    }
    locked_leave(locked, how);
    return room;
}

RING_INLINE bool locked_pop(struct locked *locked, void *item, size_t item_bytes, enum locked_how how)
{
    bool there;

    locked_enter(locked, how);
    while (how == LOCKED_SLEEPS && locked->count == 0)
        pthread_cond_wait(&locked->not_empty, &locked->mutex);
    there = locked->count > 0;
    if (there) {
        memcpy(item, locked->data + locked->head * item_bytes, item_bytes);
        locked->head = locked->head + 1 == locked->capacity ? 0 : locked->head + 1;
        if (locked->count-- == locked->capacity && how == LOCKED_SLEEPS)
            pthread_cond_signal(&locked->not_full);
    }
    locked_leave(locked, how);
    return there;
}

#define MAKE_LOCKED(name, how)                                                                                         \
    RING_INLINE int name##_create(void **ring, size_t capacity, size_t item_bytes)                                     \
    {                                                                                                                  \
        return locked_create(ring, capacity, item_bytes);                                                              \
    }                                                                                                                  \
    RING_INLINE void name##_destroy(void *ring)                                                                        \
    {                                                                                                                  \
        locked_destroy(ring);                                                                                          \
    }                                                                                                                  \
    RING_INLINE bool name##_try_push(void *ring, const void *item, size_t item_bytes)                                  \
    {                                                                                                                  \
        return locked_push(ring, item, item_bytes, how);                                                               \
    }                                                                                                                  \
    RING_INLINE bool name##_try_pop(void *ring, void *item, size_t item_bytes)                                         \
    {                                                                                                                  \
        return locked_pop(ring, item, item_bytes, how);                                                                \
    }

MAKE_LOCKED(mutex_spin, LOCKED_MUTEX)
MAKE_LOCKED(spin_lock, LOCKED_SPIN)
MAKE_LOCKED(mutex_condvar, LOCKED_SLEEPS)

#endif
