/*
 * DPDK's rte_ring, beside the suite's own rings.
 *
 * peer: header rte_ring_elem.h package libdpdk-dev
 * fencepost: cflags -I/usr/include/dpdk -I/usr/include/x86_64-linux-gnu/dpdk -I/usr/include/aarch64-linux-gnu/dpdk -include rte_config.h -lrte_ring
 *
 * Used as its guide says. Elements are in place (rte_ring_elem.h). The number of slots is a power of two, and RING_F_EXACT_SZ gives it the
 * capacity that was asked for. Several items use the burst forms. One producer and one consumer use the functions for one. For several
 * there are three modes, and each is a row. They are the default, and RTS and HTS, which the guide recommends where threads may be preempted.
 * The inline code does not need the -march of pkg-config's flags.
 */
#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <stdlib.h>

#include "own/peer.h"

static int rte_create_with(void **made, size_t capacity, size_t item_bytes, unsigned flags)
{
    unsigned slots = 1;
    ssize_t bytes;
    struct rte_ring *ring;

    /* One slot stays free: the exact size asked for takes the next power of two. */
    while (slots < capacity + 1)
        slots *= 2;
    bytes = rte_ring_get_memsize_elem((unsigned)item_bytes, slots);
    if (bytes < 0)
        return (int)bytes;
    ring = aligned_alloc(128, ((size_t)bytes + 127) / 128 * 128);
    if (!ring)
        return -ENOMEM;
    memset(ring, 0, (size_t)bytes);
    if (rte_ring_init(ring, "peer", (unsigned)capacity, flags | RING_F_EXACT_SZ)) {
        free(ring);
        return -EINVAL;
    }
    *made = ring;
    return 0;
}

#define RTE_ADAPTER(name, put, get, flags)                                                                             \
    static int name##_create(void **made, size_t capacity, size_t item_bytes)                                          \
    {                                                                                                                  \
        return rte_create_with(made, capacity, item_bytes, flags);                                                     \
    }                                                                                                                  \
    static void name##_destroy(void *made)                                                                             \
    {                                                                                                                  \
        free(made);                                                                                                    \
    }                                                                                                                  \
    static inline bool name##_try_push(void *made, const void *item, size_t item_bytes)                                \
    {                                                                                                                  \
        return rte_ring_##put##_bulk_elem(made, item, (unsigned)item_bytes, 1, NULL) != 0;                             \
    }                                                                                                                  \
    static inline bool name##_try_pop(void *made, void *item, size_t item_bytes)                                       \
    {                                                                                                                  \
        return rte_ring_##get##_bulk_elem(made, item, (unsigned)item_bytes, 1, NULL) != 0;                             \
    }                                                                                                                  \
    static inline size_t name##_push_bulk(void *made, const void *items, size_t count, size_t item_bytes)              \
    {                                                                                                                  \
        return rte_ring_##put##_burst_elem(made, items, (unsigned)item_bytes, (unsigned)count, NULL);                  \
    }                                                                                                                  \
    static inline size_t name##_pop_bulk(void *made, void *items, size_t count, size_t item_bytes)                     \
    {                                                                                                                  \
        return rte_ring_##get##_burst_elem(made, items, (unsigned)item_bytes, (unsigned)count, NULL);                  \
    }

RTE_ADAPTER(rte_spsc, sp_enqueue, sc_dequeue, RING_F_SP_ENQ | RING_F_SC_DEQ)
RTE_ADAPTER(rte_mpmc, mp_enqueue, mc_dequeue, 0)
RTE_ADAPTER(rte_rts_mpmc, mp_rts_enqueue, mc_rts_dequeue, RING_F_MP_RTS_ENQ | RING_F_MC_RTS_DEQ)
RTE_ADAPTER(rte_hts_mpmc, mp_hts_enqueue, mc_hts_dequeue, RING_F_MP_HTS_ENQ | RING_F_MC_HTS_DEQ)

#define RING rte_spsc
#define RING_HAS_BULK
#include "kernels/ring/trial.h"
PEER_SPSC(rte_spsc, "rte_ring")

#define RING rte_mpmc
#define RING_HAS_BULK
#include "kernels/ring/many.h"
PEER_MPMC(rte_mpmc, "rte_ring")

#define RING rte_rts_mpmc
#define RING_HAS_BULK
#include "kernels/ring/many.h"
PEER_MPMC(rte_rts_mpmc, "rte_ring with relaxed tail sync")

#define RING rte_hts_mpmc
#define RING_HAS_BULK
#include "kernels/ring/many.h"
PEER_MPMC(rte_hts_mpmc, "rte_ring with head/tail sync")
