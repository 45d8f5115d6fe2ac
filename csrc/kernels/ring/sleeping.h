/*
 * Rings that the kernel offers, as adapters for ring/trial.h: pipe, and eventfd as the doorbell of a ring. See
 * ring/sleeping.c.
 */
#ifndef FENCEPOST_RING_SLEEPING_H
#define FENCEPOST_RING_SLEEPING_H

#ifndef _GNU_SOURCE
#error "_GNU_SOURCE first: for pipe2 and F_SETPIPE_SZ"
#endif
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/ring/ring.h"
#include "lib/ring/spsc.h"

struct pipe_ring {
    int ends[2];
};

/* The kernel decides its real size: full pages, a power of two, at most fs.pipe-max-size without privilege. */
RING_INLINE int pipe_create(void **ring, size_t capacity, size_t item_bytes)
{
    /* A page is given back only when all of it was read: one more, and `capacity` items fit wherever the oldest of them begins. */
    const size_t bytes = capacity * item_bytes + (size_t)sysconf(_SC_PAGESIZE);
    struct pipe_ring *made = ring_memory(sizeof *made);

    if (!made)
        return -ENOMEM;
    if (pipe2(made->ends, O_CLOEXEC)) {
        free(made);
        return -errno;
    }
    /* Refused where it is too much: then it stays as it was, which costs some switches and breaks nothing. */
    (void)!fcntl(made->ends[1], F_SETPIPE_SZ, bytes < 1 << 30 ? (int)bytes : 1 << 30);
    *ring = made;
    return 0;
}

RING_INLINE void pipe_destroy(void *ring)
{
    struct pipe_ring *pipe_ring = ring;

    close(pipe_ring->ends[0]);
    close(pipe_ring->ends[1]);
    free(pipe_ring);
}

/* Blocking, as pipes are used. All of `bytes` but for an error, which shows as an item that is missing. */
RING_INLINE size_t pipe_push_bulk(void *ring, const void *items, size_t count, size_t item_bytes)
{
    struct pipe_ring *pipe_ring = ring;
    size_t done = 0;

    while (done < count * item_bytes) {
        const ssize_t wrote = write(pipe_ring->ends[1], (const char *)items + done, count * item_bytes - done);

        if (wrote > 0)
            done += (size_t)wrote;
        else if (errno != EINTR)
            break;
    }
    return done / item_bytes;
}

/* Read all that is there, but only complete items. A write of more than PIPE_BUF may come in pieces. */
RING_INLINE size_t pipe_pop_bulk(void *ring, void *items, size_t count, size_t item_bytes)
{
    struct pipe_ring *pipe_ring = ring;
    size_t done = 0;

    do {
        const ssize_t got = read(pipe_ring->ends[0], (char *)items + done, count * item_bytes - done);

        if (got > 0)
            done += (size_t)got;
        else if (got == 0 || errno != EINTR)
            break;
    } while (done == 0 || done % item_bytes);
    return done / item_bytes;
}

RING_INLINE bool pipe_try_push(void *ring, const void *item, size_t item_bytes)
{
    return pipe_push_bulk(ring, item, 1, item_bytes) == 1;
}

RING_INLINE bool pipe_try_pop(void *ring, void *item, size_t item_bytes)
{
    return pipe_pop_bulk(ring, item, 1, item_bytes) == 1;
}

/* Nobody spins before going to sleep: what is measured is the eventfd. */
struct doorbell {
    RING_APART_ALIGNED unsigned asleep; /* the waiter's word: ring me */
    int fd;
};

struct eventfd_ring {
    struct ring_spsc *ring;
    struct doorbell items, room;
};

RING_INLINE void eventfd_destroy(void *ring)
{
    struct eventfd_ring *belled = ring;

    if (belled->items.fd >= 0)
        close(belled->items.fd);
    if (belled->room.fd >= 0)
        close(belled->room.fd);
    ring_spsc_destroy(belled->ring);
    free(belled);
}

RING_INLINE int eventfd_create(void **ring, size_t capacity, size_t item_bytes)
{
    struct eventfd_ring *made = ring_memory(sizeof *made);
    int status;

    if (!made)
        return -ENOMEM;
    made->items.fd = eventfd(0, EFD_CLOEXEC);
    made->room.fd = eventfd(0, EFD_CLOEXEC);
    status = made->items.fd < 0 || made->room.fd < 0 ? -errno : 0;
    if (!status)
        status = ring_spsc_create(&made->ring, capacity, item_bytes, 0);
    if (status)
        eventfd_destroy(made);
    else
        *ring = made;
    return status;
}

/*
 * A side that waits says so, fences, looks once more and sleeps. A side that has given something fences and looks
 * whether somebody sleeps. Each side stores and then loads the word that the other stores. Without both fences F either
 * load may come before the store (SB). Then both see the old value, and the waiter sleeps with work in the ring. That
 * fence is the price of being able to sleep, for every item.
 */
RING_INLINE void doorbell_ring(struct doorbell *bell)
{
    const uint64_t one = 1;

    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* F, partner: doorbell_announce */
    /* Relaxed: which of the two sees the other, the fences decide. */
    if (RING_UNLIKELY(__atomic_load_n(&bell->asleep, __ATOMIC_RELAXED))) {
        __atomic_store_n(&bell->asleep, 0, __ATOMIC_RELAXED);
        (void)!write(bell->fd, &one, sizeof one);
    }
}

RING_INLINE void doorbell_announce(struct doorbell *bell)
{
    __atomic_store_n(&bell->asleep, 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* F, partner: doorbell_ring */
}

/* A ring for nothing (the waiter found something after all) only makes the next sleep a short one. */
RING_INLINE void doorbell_sleep(struct doorbell *bell)
{
    uint64_t rung;

    while (read(bell->fd, &rung, sizeof rung) < 0 && errno == EINTR)
        ;
}

RING_INLINE bool eventfd_try_push(void *ring, const void *item, size_t item_bytes)
{
    struct eventfd_ring *belled = ring;

    while (!ring_spsc_try_push_sized(belled->ring, item, item_bytes)) {
        doorbell_announce(&belled->room);
        if (ring_spsc_try_push_sized(belled->ring, item, item_bytes)) {
            __atomic_store_n(&belled->room.asleep, 0, __ATOMIC_RELAXED);
            break;
        }
        doorbell_sleep(&belled->room);
    }
    doorbell_ring(&belled->items);
    return true;
}

RING_INLINE bool eventfd_try_pop(void *ring, void *item, size_t item_bytes)
{
    struct eventfd_ring *belled = ring;

    while (!ring_spsc_try_pop_sized(belled->ring, item, item_bytes)) {
        doorbell_announce(&belled->items);
        if (ring_spsc_try_pop_sized(belled->ring, item, item_bytes)) {
            __atomic_store_n(&belled->items.asleep, 0, __ATOMIC_RELAXED);
            break;
        }
        doorbell_sleep(&belled->items);
    }
    doorbell_ring(&belled->room);
    return true;
}

#endif
