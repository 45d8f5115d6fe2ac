/*
 * The rings for several threads as functions that Python can call, one thread at a time. At a test point Python may act as another thread
 * would. Who would wait for ever comes back with STUCK instead.
 */
#include <setjmp.h>
#include <stdint.h>
#include <string.h>

static void (*test_point)(const char *name);
#define RING_TEST_POINT(name)                                                                                          \
    do {                                                                                                               \
        if (test_point)                                                                                                \
            test_point(name);                                                                                          \
    } while (0)

/* The library calls the one below; its own gets another name. */
#include "lib/ring/ring.h"
#define ring_wait_longer ring_wait_longer_unused
#include "lib/ring/ring.c"
#undef ring_wait_longer
#include "lib/ring/mpmc.c"
#include "lib/ring/mpsc.c"
#include "lib/ring/overwrite.c"

#define STUCK (-1L)
static jmp_buf *innermost;

void ring_wait_longer(struct ring_wait *wait)
{
    (void)wait;
    longjmp(*innermost, 1);
}

/* Calls may stand inside each other, by way of a test point: each comes back to its own caller. */
#define GUARDED(call)                                                                                                  \
    jmp_buf here, *const outer = innermost;                                                                            \
    long answer = STUCK;                                                                                               \
    if (setjmp(here) == 0) {                                                                                           \
        innermost = &here;                                                                                             \
        answer = (long)(call);                                                                                         \
    }                                                                                                                  \
    innermost = outer;                                                                                                 \
    return answer;

void set_test_point(void (*function)(const char *))
{
    test_point = function;
}

#define QUEUE(name)                                                                                                    \
    void *name##_create(unsigned long capacity, unsigned long item_bytes, unsigned flags, int *status)                 \
    {                                                                                                                  \
        struct ring_##name *ring = NULL;                                                                               \
        *status = ring_##name##_create(&ring, capacity, item_bytes, flags);                                            \
        return ring;                                                                                                   \
    }                                                                                                                  \
    void name##_destroy(void *ring)                                                                                    \
    {                                                                                                                  \
        ring_##name##_destroy(ring);                                                                                   \
    }                                                                                                                  \
    void name##_start_before_wrap(void *ring, unsigned long laps)                                                      \
    {                                                                                                                  \
        ring_##name##_start_at(ring, (ring_index)(0 - laps));                                                          \
    }                                                                                                                  \
    long name##_push(void *ring, const void *items, unsigned long count)                                               \
    {                                                                                                                  \
        GUARDED(ring_##name##_push_bulk(ring, items, count))                                                           \
    }                                                                                                                  \
    long name##_pop(void *ring, void *items, unsigned long count)                                                      \
    {                                                                                                                  \
        GUARDED(ring_##name##_pop_bulk(ring, items, count))                                                            \
    }                                                                                                                  \
    long name##_try_push(void *ring, const void *item)                                                                 \
    {                                                                                                                  \
        GUARDED(ring_##name##_try_push(ring, item))                                                                    \
    }                                                                                                                  \
    long name##_try_pop(void *ring, void *item)                                                                        \
    {                                                                                                                  \
        GUARDED(ring_##name##_try_pop(ring, item))                                                                     \
    }                                                                                                                  \
    long name##_attempt_pop(void *ring, void *item)                                                                    \
    {                                                                                                                  \
        GUARDED(ring_##name##_attempt_pop(ring, item))                                                                 \
    }                                                                                                                  \
    void name##_push_blocking(void *ring, const void *item)                                                            \
    {                                                                                                                  \
        ring_##name##_push(ring, item);                                                                                \
    }                                                                                                                  \
    void name##_pop_blocking(void *ring, void *item)                                                                   \
    {                                                                                                                  \
        ring_##name##_pop(ring, item);                                                                                 \
    }
QUEUE(mpmc)
QUEUE(mpsc)

long mpmc_attempt_push(void *ring, const void *item)
{
    GUARDED(ring_mpmc_attempt_push(ring, item))
}

/* Its pushes never meet a peer. */
long mpsc_attempt_push(void *ring, const void *item)
{
    GUARDED(!ring_mpsc_try_push(ring, item))
}

void *log_create(unsigned long capacity, unsigned long item_bytes, unsigned flags, int *status)
{
    struct ring_overwrite *ring = NULL;

    *status = ring_overwrite_create(&ring, capacity, item_bytes, flags);
    return ring;
}

void log_destroy(void *ring)
{
    ring_overwrite_destroy(ring);
}

void log_start_before_wrap(void *ring, unsigned long records)
{
    ring_overwrite_start_at(ring, (ring_index)(0 - records));
}

int log_write(void *ring, const void *record, unsigned long bytes)
{
    return ring_overwrite_write(ring, record, bytes);
}

void *log_reader(void *ring)
{
    struct ring_overwrite_reader *reader = ring_memory(sizeof *reader);

    ring_overwrite_reader_init(reader, ring);
    return reader;
}

void log_skip(void *reader)
{
    ring_overwrite_reader_skip(reader);
}

void log_reader_end(void *reader)
{
    free(reader);
}

/* Length of the record, or -1. */
long log_read(void *reader, void *record, unsigned long room, unsigned long *lost)
{
    ring_index some = 0;
    size_t bytes = 0;
    const int found = ring_overwrite_read(reader, record, room, &bytes, &some);

    *lost = some;
    return found ? (long)bytes : -1;
}
