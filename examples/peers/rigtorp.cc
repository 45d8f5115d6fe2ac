/*
 * Erik Rigtorp's SPSCQueue, beside the suite's own rings.
 *
 * peer: header rigtorp/SPSCQueue.h from github.com/rigtorp/SPSCQueue
 *
 * Filled by try_push, and emptied by front and pop, as its page shows. It has no bulk form. Its asserts are left out: the one in pop
 * would load the producer's index for each item.
 */
#define NDEBUG
#include <rigtorp/SPSCQueue.h>

#include "own/peer_template.h"

template <class T> struct Rigtorp {
    rigtorp::SPSCQueue<T> queue;

    explicit Rigtorp(size_t capacity) : queue(capacity)
    {
    }
    bool try_push(const T &item)
    {
        return queue.try_push(item);
    }
    bool try_pop(T &item)
    {
        const T *const first = queue.front();

        if (!first)
            return false;
        item = *first;
        queue.pop();
        return true;
    }
};

PEER_TEMPLATE(rigtorp_spsc, Rigtorp)
#define RING rigtorp_spsc
#include "kernels/ring/trial.h"
PEER_SPSC(rigtorp_spsc, "rigtorp::SPSCQueue")
