/*
 * Andrew Drogalis's SPSCQueue, beside the suite's own rings.
 *
 * peer: header dro/spsc-queue.hpp from github.com/drogalis/SPSC-Queue
 *
 * Its form on the heap, which takes the capacity at run time as the harness needs it; filled by try_push and emptied by try_pop. It has
 * no bulk form.
 */
#include <dro/spsc-queue.hpp>

#include "own/peer_template.h"

template <class T> struct Dro {
    dro::SPSCQueue<T> queue;

    explicit Dro(size_t capacity) : queue(capacity)
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

PEER_TEMPLATE(dro_spsc, Dro)
#define RING dro_spsc
#include "kernels/ring/trial.h"
PEER_SPSC(dro_spsc, "dro::SPSCQueue")
