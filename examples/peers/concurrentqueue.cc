/*
 * concurrentqueue (moodycamel), beside the suite's own rings.
 *
 * peer: header concurrentqueue/concurrentqueue.h package libconcurrentqueue-dev
 *
 * A token for each thread, as its documentation recommends; try_enqueue, which never allocates; its own bulk forms. It keeps the
 * order of each producer, not one order for all: that is less than the other rings promise.
 */
#include <atomic>
#include <concurrentqueue/concurrentqueue.h>
#include <memory>
#include <mutex>
#include <vector>

#include "own/peer_template.h"

/* Numbers the queues, so that a thread knows whether its tokens are of this one: an address may come back. */
static std::atomic<uint64_t> queues_made;

template <class T> struct Camel {
    using Queue = moodycamel::ConcurrentQueue<T>;
    struct Tokens {
        moodycamel::ProducerToken producer;
        moodycamel::ConsumerToken consumer;
        explicit Tokens(Queue &queue) : producer(queue), consumer(queue)
        {
        }
    };

    Queue queue;
    const uint64_t id = ++queues_made;
    std::mutex mutex;
    std::vector<std::unique_ptr<Tokens>> all; /* ended before the queue: declared after it */

    explicit Camel(size_t capacity) : queue(capacity, 64, 0)
    {
    }
    Tokens &tokens()
    {
        /* Initial exec: a load, where an object loaded late otherwise calls a function for each access. */
        static thread_local __attribute__((tls_model("initial-exec"))) uint64_t of;
        static thread_local __attribute__((tls_model("initial-exec"))) Tokens *mine;

        if (__builtin_expect(of != id, 0)) {
            const std::lock_guard<std::mutex> guard(mutex);

            all.push_back(std::make_unique<Tokens>(queue));
            mine = all.back().get();
            of = id;
        }
        return *mine;
    }
    bool try_push(const T &item)
    {
        return queue.try_enqueue(tokens().producer, item);
    }
    bool try_pop(T &item)
    {
        return queue.try_dequeue(tokens().consumer, item);
    }
    size_t push_bulk(const T *items, size_t count)
    {
        return queue.try_enqueue_bulk(tokens().producer, items, count) ? count : 0;
    }
    size_t pop_bulk(T *items, size_t count)
    {
        return queue.try_dequeue_bulk(tokens().consumer, items, count);
    }
};

PEER_TEMPLATE(concurrentqueue_mpmc, Camel)
PEER_TEMPLATE_BULK(concurrentqueue_mpmc, Camel)
#define RING concurrentqueue_mpmc
#define RING_HAS_BULK
#include "kernels/ring/many.h"
PEER_MPMC(concurrentqueue_mpmc, "concurrentqueue")
