/*
 * Boost.Lockfree's spsc_queue and queue, beside the suite's own rings.
 *
 * peer: header boost/lockfree/spsc_queue.hpp package libboost-dev
 *
 * spsc_queue with its capacity given at run time, as the harness needs it, and with its own forms for several items; queue with
 * fixed_sized, so that it never allocates and has no more nodes than the capacity (at most 65534, by its documentation).
 */
#include <boost/lockfree/queue.hpp>
#include <boost/lockfree/spsc_queue.hpp>

#include "own/peer_template.h"

template <class T> struct BoostSpsc {
    boost::lockfree::spsc_queue<T> queue;

    explicit BoostSpsc(size_t capacity) : queue(capacity)
    {
    }
    bool try_push(const T &item)
    {
        return queue.push(item);
    }
    bool try_pop(T &item)
    {
        return queue.pop(item);
    }
    size_t push_bulk(const T *items, size_t count)
    {
        return queue.push(items, count);
    }
    size_t pop_bulk(T *items, size_t count)
    {
        return queue.pop(items, count);
    }
};

template <class T> struct BoostMpmc {
    boost::lockfree::queue<T, boost::lockfree::fixed_sized<true>> queue;

    explicit BoostMpmc(size_t capacity) : queue(capacity < 65534 ? capacity : 65534)
    {
    }
    bool try_push(const T &item)
    {
        return queue.push(item);
    }
    bool try_pop(T &item)
    {
        return queue.pop(item);
    }
};

PEER_TEMPLATE(boost_spsc, BoostSpsc)
PEER_TEMPLATE_BULK(boost_spsc, BoostSpsc)
PEER_TEMPLATE(boost_mpmc, BoostMpmc)

#define RING boost_spsc
#define RING_HAS_BULK
#include "kernels/ring/trial.h"
PEER_SPSC(boost_spsc, "boost::lockfree::spsc_queue")

#define RING boost_mpmc
#include "kernels/ring/many.h"
PEER_MPMC(boost_mpmc, "boost::lockfree::queue")
