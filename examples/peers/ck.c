/*
 * Concurrency Kit's ck_ring, beside the suite's own rings.
 *
 * peer: header ck_ring.h package libck-dev
 *
 * Used as its manual says. The number of entries is a power of two, and one of them stays empty. Pointers go by the plain functions.
 * Larger items go by CK_RING_PROTOTYPE, which copies them in place. It has no bulk form. Several consumers use trydequeue, which does
 * not wait.
 */
#include <ck_ring.h>
#include <stdlib.h>

#include "own/peer.h"

struct item64 {
    uint64_t word[8];
};
struct item256 {
    uint64_t word[32];
};
CK_RING_PROTOTYPE(item64, item64)
CK_RING_PROTOTYPE(item256, item256)

struct ck {
    ck_ring_t ring;
    void *entries;
};

static int ck_create(void **made, size_t capacity, size_t item_bytes)
{
    unsigned size = 4; /* the smallest that ck_ring_init takes */
    struct ck *ck;

    while (size < capacity)
        size *= 2;
    ck = aligned_alloc(128, (sizeof *ck + 127) / 128 * 128);
    if (!ck)
        return -ENOMEM;
    ck->entries = aligned_alloc(128, (size * item_bytes + 127) / 128 * 128);
    if (!ck->entries) {
        free(ck);
        return -ENOMEM;
    }
    memset(ck->entries, 0, size * item_bytes);
    ck_ring_init(&ck->ring, size);
    *made = ck;
    return 0;
}

static void ck_destroy(void *made)
{
    struct ck *ck = made;

    free(ck->entries);
    free(ck);
}

/* item_bytes is a constant where this is inlined. */
#define CK_ADAPTER(kind, pop)                                                                                          \
    static inline bool ck_##kind##_try_push(void *made, const void *item, size_t item_bytes)                           \
    {                                                                                                                  \
        struct ck *ck = made;                                                                                          \
                                                                                                                       \
        if (item_bytes == 8)                                                                                           \
            return ck_ring_enqueue_##kind(&ck->ring, ck->entries, *(void *const *)item);                               \
        if (item_bytes == 64)                                                                                          \
            return ck_ring_enqueue_##kind##_item64(&ck->ring, ck->entries, (struct item64 *)(uintptr_t)item);          \
        return ck_ring_enqueue_##kind##_item256(&ck->ring, ck->entries, (struct item256 *)(uintptr_t)item);            \
    }                                                                                                                  \
    static inline bool ck_##kind##_try_pop(void *made, void *item, size_t item_bytes)                                  \
    {                                                                                                                  \
        struct ck *ck = made;                                                                                          \
                                                                                                                       \
        if (item_bytes == 8)                                                                                           \
            return ck_ring_##pop(&ck->ring, ck->entries, item);                                                        \
        if (item_bytes == 64)                                                                                          \
            return ck_ring_##pop##_item64(&ck->ring, ck->entries, item);                                               \
        return ck_ring_##pop##_item256(&ck->ring, ck->entries, item);                                                  \
    }

CK_ADAPTER(spsc, dequeue_spsc)
CK_ADAPTER(mpmc, trydequeue_mpmc)
#define ck_spsc_create ck_create
#define ck_spsc_destroy ck_destroy
#define ck_mpmc_create ck_create
#define ck_mpmc_destroy ck_destroy

#define RING ck_spsc
#include "kernels/ring/trial.h"
PEER_SPSC(ck_spsc, "ck_ring")

#define RING ck_mpmc
#include "kernels/ring/many.h"
PEER_MPMC(ck_mpmc, "ck_ring")
