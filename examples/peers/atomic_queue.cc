/*
 * atomic_queue, beside the suite's own rings.
 *
 * peer: header atomic_queue/atomic_queue.h package libatomic-queue-dev
 *
 * The classes whose capacity is given at run time. Numbers of 8 bytes: AtomicQueueB, whose slots are the items, with a reserved value
 * that is never pushed here; larger items: AtomicQueueB2, with a state beside each. SPSC where there is one of each. try_push and
 * try_pop: its waiting forms (the "optimist" ones) are no answer to a full ring. It has no bulk form.
 *
 * MPMC keeps no order by producer where threads are preempted, and the check of the row says so. try_push and try_pop claim a position by
 * moving head_ or tail_. Only then do they wait for its slot, a push until it is empty and a pop until it is full. The slot does not
 * say which lap it is in. Consumer C claims position p, whose producer was preempted between its claim and its store. Others go on, and
 * tail_ has passed p, so a lap later another producer claims p plus the capacity, which is the same slot. It finds the slot empty and
 * stores. C takes this item, and afterwards older ones of the same producer. Nothing is lost, doubled or torn.
 */
#include <atomic_queue/atomic_queue.h>
#include <memory>
#include <type_traits>

#include "own/peer_template.h"

template <class T, bool Spsc>
using Of =
    std::conditional_t<std::is_same_v<T, uint64_t>,
                       atomic_queue::AtomicQueueB<uint64_t, std::allocator<uint64_t>, ~UINT64_C(0), true, false, Spsc>,
                       atomic_queue::AtomicQueueB2<T, std::allocator<T>, true, false, Spsc>>;

template <class T, bool Spsc> struct Atomic {
    Of<T, Spsc> queue;

    explicit Atomic(size_t capacity) : queue(static_cast<unsigned>(capacity))
    {
    }
    bool try_push(const T &item)
    {
        return queue.try_push(item);
    }
    bool try_pop(T &item)
    {
        return queue.try_pop(item);
    }
};
template <class T> using AtomicSpsc = Atomic<T, true>;
template <class T> using AtomicMpmc = Atomic<T, false>;

PEER_TEMPLATE(atomic_queue_spsc, AtomicSpsc)
PEER_TEMPLATE(atomic_queue_mpmc, AtomicMpmc)
#define RING atomic_queue_spsc
#include "kernels/ring/trial.h"
PEER_SPSC(atomic_queue_spsc, "atomic_queue")

#define RING atomic_queue_mpmc
#include "kernels/ring/many.h"
PEER_MPMC(atomic_queue_mpmc, "atomic_queue")
