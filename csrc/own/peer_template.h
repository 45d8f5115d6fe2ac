/*
 * For queues that are C++ templates over the type of an item. PEER_TEMPLATE(name, Queue) gives the functions of ring/trial.h for
 * `template <class T> struct Queue` with a constructor from the capacity, bool try_push(const T &) and bool try_pop(T &).
 */
#ifndef FENCEPOST_OWN_PEER_TEMPLATE_H
#define FENCEPOST_OWN_PEER_TEMPLATE_H

#include <cstddef>
#include <cstdint>
#include <new>

#include "own/peer.h"

template <size_t Bytes> struct Item {
    uint64_t word[Bytes / 8];
};

/* What a ring of the harness is here: the queue, and how to end it, for items of every size. */
struct Made {
    void *queue;
    void (*end)(void *queue);
};

template <class Queue> int make(void **ring, size_t capacity)
try {
    Queue *const queue = new Queue(capacity);

    *ring = new Made{queue, [](void *old) { delete static_cast<Queue *>(old); }};
    return 0;
} catch (const std::bad_alloc &) {
    return -ENOMEM;
}

static inline void end(void *ring)
{
    Made *const made = static_cast<Made *>(ring);

    made->end(made->queue);
    delete made;
}

/* The pointer to the queue never changes, so it is read outside of the loops. */
template <class Queue> inline __attribute__((always_inline)) Queue &queue_of(void *ring)
{
    return *static_cast<Queue *>(static_cast<const Made *>(ring)->queue);
}

/* 8 bytes are a plain number, which is what such queues are made for. item_bytes is a constant where these are inlined. */
#define PEER_TEMPLATE(name, Queue)                                                                                     \
    static int name##_create(void **ring, size_t capacity, size_t item_bytes)                                          \
    {                                                                                                                  \
        return item_bytes == 8    ? make<Queue<uint64_t>>(ring, capacity)                                              \
               : item_bytes == 64 ? make<Queue<Item<64>>>(ring, capacity)                                              \
                                  : make<Queue<Item<256>>>(ring, capacity);                                            \
    }                                                                                                                  \
    static void name##_destroy(void *ring)                                                                             \
    {                                                                                                                  \
        end(ring);                                                                                                     \
    }                                                                                                                  \
    static inline bool name##_try_push(void *ring, const void *item, size_t item_bytes)                                \
    {                                                                                                                  \
        if (item_bytes == 8)                                                                                           \
            return queue_of<Queue<uint64_t>>(ring).try_push(*static_cast<const uint64_t *>(item));                     \
        if (item_bytes == 64)                                                                                          \
            return queue_of<Queue<Item<64>>>(ring).try_push(*static_cast<const Item<64> *>(item));                     \
        return queue_of<Queue<Item<256>>>(ring).try_push(*static_cast<const Item<256> *>(item));                       \
    }                                                                                                                  \
    static inline bool name##_try_pop(void *ring, void *item, size_t item_bytes)                                       \
    {                                                                                                                  \
        if (item_bytes == 8)                                                                                           \
            return queue_of<Queue<uint64_t>>(ring).try_pop(*static_cast<uint64_t *>(item));                            \
        if (item_bytes == 64)                                                                                          \
            return queue_of<Queue<Item<64>>>(ring).try_pop(*static_cast<Item<64> *>(item));                            \
        return queue_of<Queue<Item<256>>>(ring).try_pop(*static_cast<Item<256> *>(item));                              \
    }

/* Where Queue also has size_t push_bulk(const T *, size_t) and pop_bulk(T *, size_t). */
#define PEER_TEMPLATE_BULK(name, Queue)                                                                                \
    static inline size_t name##_push_bulk(void *ring, const void *items, size_t count, size_t item_bytes)              \
    {                                                                                                                  \
        if (item_bytes == 8)                                                                                           \
            return queue_of<Queue<uint64_t>>(ring).push_bulk(static_cast<const uint64_t *>(items), count);             \
        if (item_bytes == 64)                                                                                          \
            return queue_of<Queue<Item<64>>>(ring).push_bulk(static_cast<const Item<64> *>(items), count);             \
        return queue_of<Queue<Item<256>>>(ring).push_bulk(static_cast<const Item<256> *>(items), count);               \
    }                                                                                                                  \
    static inline size_t name##_pop_bulk(void *ring, void *items, size_t count, size_t item_bytes)                     \
    {                                                                                                                  \
        if (item_bytes == 8)                                                                                           \
            return queue_of<Queue<uint64_t>>(ring).pop_bulk(static_cast<uint64_t *>(items), count);                    \
        if (item_bytes == 64)                                                                                          \
            return queue_of<Queue<Item<64>>>(ring).pop_bulk(static_cast<Item<64> *>(items), count);                    \
        return queue_of<Queue<Item<256>>>(ring).pop_bulk(static_cast<Item<256> *>(items), count);                      \
    }

#endif
