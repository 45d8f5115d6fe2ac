/*
 * Deaod's spsc_queue, beside the suite's own rings.
 *
 * peer: header deaod/spsc_queue.hpp from github.com/Deaod/spsc_queue
 *
 * Its capacity is fixed at compile time. So there is one instance for each capacity of the tables, and the setup of a case chooses one:
 * the loop of each knows its capacity. The queue keeps one slot free. It gets powers of two, for which it needs no comparison at the
 * end, and so contains one item less. It has forms of its own for several items.
 */
#include <cstring> // the header uses memset, and includes nothing that declares it

#include <deaod/spsc_queue.hpp>

#include "own/peer_template.h"

template <class T, size_t Slots> struct Deaod {
    deaod::spsc_queue<T, Slots> queue;

    explicit Deaod(size_t capacity)
    {
        (void)capacity;
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
        return queue.write(count, items);
    }
    size_t pop_bulk(T *items, size_t count)
    {
        return queue.read(count, items);
    }
};
template <class T> using Deaod64 = Deaod<T, 64>;
template <class T> using Deaod1024 = Deaod<T, 1024>;
template <class T> using Deaod65536 = Deaod<T, 65536>;

PEER_TEMPLATE(deaod_64, Deaod64)
PEER_TEMPLATE_BULK(deaod_64, Deaod64)
#define RING deaod_64
#define RING_HAS_BULK
#include "kernels/ring/trial.h"

PEER_TEMPLATE(deaod_65536, Deaod65536)
PEER_TEMPLATE_BULK(deaod_65536, Deaod65536)
#define RING deaod_65536
#define RING_HAS_BULK
#include "kernels/ring/trial.h"

/* The instance of the rows of latency, whose capacity is 1024. */
PEER_TEMPLATE(deaod_1024, Deaod1024)
PEER_TEMPLATE_BULK(deaod_1024, Deaod1024)
#define RING deaod_1024
#define RING_HAS_BULK
#include "kernels/ring/trial.h"

static int deaod_setup(struct trial *trial, int (*of_64)(struct trial *), int (*of_1024)(struct trial *),
                       int (*of_65536)(struct trial *))
{
    switch (trial->value[RING_CAPACITY]) {
    case 64:
        return of_64(trial);
    case 1024:
        return of_1024(trial);
    case 65536:
        return of_65536(trial);
    default:
        return trial_needs(trial, "capacity=64, 1024 or 65536, which this queue was compiled for");
    }
}

static int deaod_spsc_throughput_setup(struct trial *trial)
{
    return deaod_setup(trial, deaod_64_throughput_setup, deaod_1024_throughput_setup, deaod_65536_throughput_setup);
}

static int deaod_spsc_round_trip_setup(struct trial *trial)
{
    return deaod_setup(trial, deaod_64_round_trip_setup, deaod_1024_round_trip_setup, deaod_65536_round_trip_setup);
}

static int deaod_spsc_create(void **ring, size_t capacity, size_t item_bytes)
{
    return capacity == 1024 ? deaod_1024_create(ring, capacity, item_bytes) : -EINVAL;
}

/* A setup that succeeds names the loop of its instance. A queue knows by itself how it is destroyed. */
#define deaod_spsc_throughput_8 deaod_1024_throughput_8
#define deaod_spsc_round_trip_8 deaod_1024_round_trip_8
#define deaod_spsc_teardown deaod_1024_teardown
#define deaod_spsc_try_push deaod_1024_try_push
#define deaod_spsc_try_pop deaod_1024_try_pop
#define deaod_spsc_flush deaod_1024_flush
PEER_SPSC(deaod_spsc, "deaod::spsc_queue")
