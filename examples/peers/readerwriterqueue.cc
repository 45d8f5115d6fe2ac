/*
 * readerwriterqueue (moodycamel), beside the suite's own rings.
 *
 * peer: header readerwriterqueue/readerwriterqueue.h package libreaderwriterqueue-dev
 *
 * Made for the capacity asked for, and filled by try_enqueue, which never allocates. It has no bulk form.
 */
#include <readerwriterqueue/readerwriterqueue.h>

#include "own/peer_template.h"

template <class T> struct Rwq {
    moodycamel::ReaderWriterQueue<T> queue;

    explicit Rwq(size_t capacity) : queue(capacity)
    {
    }
    bool try_push(const T &item)
    {
        return queue.try_enqueue(item);
    }
    bool try_pop(T &item)
    {
        return queue.try_dequeue(item);
    }
};

PEER_TEMPLATE(rwq_spsc, Rwq)
#define RING rwq_spsc
#include "kernels/ring/trial.h"
PEER_SPSC(rwq_spsc, "readerwriterqueue")
