/*
 * The harness in which every ring is measured, ours and others': throughput between two threads, and the round trip
 * over two rings. A ring comes with an adapter: a few functions named after it, then `#define RING name` and this
 * header, as often as there are rings. It can be C11 or C++ (GNU C++17).
 *
 *   static inline int  name_create(void **ring, size_t capacity, size_t item_bytes);   0 or -errno. On worker 0's CPU.
 *   static inline void name_destroy(void *ring);
 *   static inline bool name_try_push(void *ring, const void *item, size_t item_bytes);
 *   static inline bool name_try_pop(void *ring, void *item, size_t item_bytes);
 *
 * item_bytes is a constant in every call, one of 8, 64 and 256. Blocking rings wait inside and return true. Optional:
 *
 *   #define RING_HAS_BULK    size_t name_push_bulk(void *ring, const void *items, size_t count, size_t item_bytes) and
 *                            name_pop_bulk: how many went through. Without it a batch is sent as single items.
 *   #define RING_HAS_FLUSH   void name_flush(void *ring): the producer publishes items that it may keep back. Called
 *                            at the end of a window, and after every message of a round trip.
 *
 * Then KERNEL(id, .name = "ring/name", .summary = "…", RING_TRIAL_THROUGHPUT(name)) and the same with
 * RING_TRIAL_ROUND_TRIP(name).
 *
 * Every item carries its number in its first word and, if it has more words, the complement in its last. The receiver
 * compares each item with the one that is due. So loss, doubling, disorder and torn items fail the check. All of an
 * item is written and read.
 */
#ifndef FENCEPOST_RING_TRIAL_H
#define FENCEPOST_RING_TRIAL_H

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>

#include "kernel.h"

/* Parameters, in this order. */
enum { RING_CAPACITY, RING_BYTES, RING_BATCH, RING_PAUSE };
/* Metrics of throughput. */
enum { RING_FULL, RING_EMPTY, RING_REGIME };
/* The behaviour of a thread when its ring refuses. */
enum { RING_SPIN, RING_RELAX, RING_YIELD };

#define RING_LARGEST_BYTES 256
#define RING_LARGEST_BATCH 32
#define RING_LARGEST_CAPACITY (INT64_C(1) << 24)
/* Looks at an empty ring between two questions whether the producer has ended: the question costs a line. */
#define RING_PATIENCE 65536
/* After the producer has ended, an item that does not come within this many tries is lost. */
#define RING_LAST_QUESTIONS 4

struct ring_trial_side {
    __attribute__((aligned(128))) uint64_t number; /* items of all windows up to now */
    uint64_t refused, disorder, missing;
};

struct ring_trial {
    void *ring[2];
    unsigned wait;
    size_t batch;
    /* A: number of items sent when the producer's last window ended. Only a consumer in despair reads it. */
    __attribute__((aligned(128))) uint64_t sent;
    struct ring_trial_side side[2];
};

static inline __attribute__((always_inline)) void ring_trial_wait(unsigned wait)
{
    if (wait == RING_RELAX)
        cpu_relax();
    else if (wait == RING_YIELD)
        sched_yield();
}

/* After a long time of nothing: whether the producer has ended and what it sent will not come any more. */
static __attribute__((noinline, unused)) bool ring_trial_is_lost(struct ring_trial *trial, uint64_t expected,
                                                                 uint64_t *questions)
{
    /* Acquire, pairs with the release at the end of produce: whoever sees the number could see the items. */
    return __atomic_load_n(&trial->sent, __ATOMIC_ACQUIRE) >= expected && ++*questions > RING_LAST_QUESTIONS;
}

/* The items could be looked at or changed here: makes a copy of all of their bytes necessary. */
#define RING_ALL_BYTES(items) __asm__ volatile("" : : "r"(items) : "memory")

static inline int ring_trial_bad_value(struct trial *trial)
{
    const int64_t capacity = trial->value[RING_CAPACITY], bytes = trial->value[RING_BYTES],
                  batch = trial->value[RING_BATCH];

    if (capacity < 1 || capacity > RING_LARGEST_CAPACITY || bytes * capacity > INT64_C(1) << 30)
        return trial_fault(trial,
                           "capacity=%" PRId64 " of %" PRId64 " bytes: not from 1 to %" PRId64 " items and 1 GiB",
                           capacity, bytes, RING_LARGEST_CAPACITY);
    if (bytes != 8 && bytes != 64 && bytes != 256)
        return trial_fault(trial, "bytes=%" PRId64 ": the loops are made for items of 8, 64 and 256 bytes", bytes);
    if (batch < 1 || batch > RING_LARGEST_BATCH)
        return trial_fault(trial, "batch=%" PRId64 " is not from 1 to %d", batch, RING_LARGEST_BATCH);
    return 0;
}

static inline int ring_trial_setup(struct trial *trial, unsigned rings, int (*create)(void **, size_t, size_t))
{
    struct ring_trial *state;

    if (ring_trial_bad_value(trial))
        return -EINVAL;
    state = (struct ring_trial *)trial_alloc(trial, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->wait = trial->oversubscribed      ? (unsigned)RING_YIELD
                  : trial->value[RING_PAUSE] ? (unsigned)RING_RELAX
                                             : (unsigned)RING_SPIN;
    state->batch = (size_t)trial->value[RING_BATCH];
    for (unsigned i = 0; i < rings; i++) {
        const int status =
            create(&state->ring[i], (size_t)trial->value[RING_CAPACITY], (size_t)trial->value[RING_BYTES]);

        if (status)
            return status;
    }
    return 0;
}

static inline void ring_trial_teardown(struct trial *trial, void (*destroy)(void *))
{
    struct ring_trial *state = (struct ring_trial *)trial->state;

    for (unsigned i = 0; state && i < 2; i++)
        if (state->ring[i])
            destroy(state->ring[i]);
}

/* Every number came, once, in order. */
static inline int ring_trial_check(struct trial *trial)
{
    const struct ring_trial *state = (const struct ring_trial *)trial->state;

    for (unsigned i = 0; i < 2; i++) {
        if (state->side[i].missing)
            return trial_fault(trial, "%" PRIu64 " items that were pushed never came out", state->side[i].missing);
        if (state->side[i].disorder)
            return trial_fault(trial, "items came out of order, twice or torn (bits %" PRIx64 ")",
                               state->side[i].disorder);
    }
    if (state->side[0].number != state->side[1].number || state->side[0].number == 0)
        return trial_fault(trial, "%" PRIu64 " items came of %" PRIu64, state->side[0].number, state->side[1].number);
    return 0;
}

static inline int ring_trial_throughput_check(struct trial *trial)
{
    const struct ring_trial *state = (const struct ring_trial *)trial->state;
    const double items = (double)state->side[0].number, empty = (double)state->side[0].refused,
                 full = (double)state->side[1].refused;

    trial->metric[RING_FULL] = full / items;
    trial->metric[RING_EMPTY] = empty / items;
    trial->metric[RING_REGIME] = empty + full > 0 ? (full - empty) / (full + empty) : 0;
    return ring_trial_check(trial);
}

/* The fields of a KERNEL in the order of the struct, as C++ wants them. Name and summary come before. */
#define RING_TRIAL_PARAMETERS(capacities, all_capacities, sizes, batches)                                              \
    {                                                                                                                  \
        {"capacity", "items", "of the ring", NULL, 1024, NULL, capacities, all_capacities},                            \
            {"bytes", "bytes", "size of an item", NULL, 8, NULL, sizes, "8 64 256"},                                   \
            {"batch", "items", "pushed and popped by one call", NULL, 1, NULL, batches, "1 8 32"},                     \
        {                                                                                                              \
            "pause", "", "a spin hint after a refusal", "no yes", 1, NULL, "no yes", "no yes"                          \
        }                                                                                                              \
    }

#define RING_TRIAL_THROUGHPUT(ring)                                                                                    \
    RING_TRIAL_THROUGHPUT_OF(ring, NULL, "16 64 256 1024 4096 16384 65536 262144 1048576", NULL, NULL)

#define RING_TRIAL_METRICS                                                                                             \
    {                                                                                                                  \
        {"full_per_item", "refusals", "pushes that met a full ring, per item"},                                        \
            {"empty_per_item", "refusals", "pops that met an empty ring, per item"},                                   \
        {                                                                                                              \
            "regime", "1", "-1: all refusals met an empty ring, 1: all a full one"                                     \
        }                                                                                                              \
    }

/* Touching the memory and giving it back: seen 0.63 ns a byte where pages are small, half of that and more where they are huge. */
static __attribute__((unused)) uint64_t ring_trial_cost_ns(const struct trial *trial)
{
    return (uint64_t)(trial->value[RING_CAPACITY] * trial->value[RING_BYTES]) * 6 / 10;
}

/* The same with the swept capacities, sizes and batches of the standard profile: each a text as in struct parameter. */
#define RING_TRIAL_THROUGHPUT_OF(ring, capacities, all_capacities, sizes, batches)                                     \
    .unit = "item", .threads = {2, 2}, .place = PLACE_ANY,                                                             \
    .parameters = RING_TRIAL_PARAMETERS(capacities, all_capacities, sizes, batches), .metrics = RING_TRIAL_METRICS,    \
    .setup = ring##_throughput_setup, .run = ring##_throughput_8, .check = ring_trial_throughput_check,                \
    .teardown = ring##_teardown, .cost_ns = ring_trial_cost_ns

#define RING_TRIAL_ROUND_TRIP(ring)                                                                                    \
    .unit = "round trip", .threads = {2, 2}, .place = PLACE_ANY,                                                       \
    .parameters = {{"capacity", "items", "of each of the two rings", NULL, 1024, NULL, NULL, "1 64 1024 65536"},       \
                   {"bytes", "bytes", "size of an item", NULL, 8, NULL, NULL, "8 64 256"},                             \
                   {"batch", "items", "under way at once", NULL, 1, NULL, NULL, NULL},                                 \
                   {"pause", "", "a spin hint after a refusal", "no yes", 0, NULL, "no yes", "no yes"}},               \
    .setup = ring##_round_trip_setup, .run = ring##_round_trip_8, .check = ring_trial_check,                           \
    .teardown = ring##_teardown

#define RING_TRIAL_JOIN_(a, b) a##b
#define RING_TRIAL_JOIN(a, b) RING_TRIAL_JOIN_(a, b)
#define RING_TRIAL_INLINE static inline __attribute__((always_inline))

#endif

/* From here on once for every ring. */
#ifdef RING
#define RING_FN(name) RING_TRIAL_JOIN(RING, name)

#ifndef RING_HAS_BULK
RING_TRIAL_INLINE size_t RING_FN(_push_bulk)(void *ring, const void *items, size_t count, size_t item_bytes)
{
    size_t done = 0;

    while (done < count && RING_FN(_try_push)(ring, (const char *)items + done * item_bytes, item_bytes))
        done++;
    return done;
}

RING_TRIAL_INLINE size_t RING_FN(_pop_bulk)(void *ring, void *items, size_t count, size_t item_bytes)
{
    size_t done = 0;

    while (done < count && RING_FN(_try_pop)(ring, (char *)items + done * item_bytes, item_bytes))
        done++;
    return done;
}
#endif
#ifndef RING_HAS_FLUSH
RING_TRIAL_INLINE void RING_FN(_flush)(void *ring)
{
    (void)ring;
}
#endif

RING_TRIAL_INLINE void RING_FN(_produce_one)(struct ring_trial *trial, struct ring_trial_side *side, uint64_t count,
                                             size_t bytes)
{
    void *const ring = trial->ring[0];
    const unsigned wait = trial->wait;
    uint64_t item[RING_LARGEST_BYTES / 8] = {0}, number = side->number, refused = 0;

    for (const uint64_t end = number + count; number != end; number++) {
        item[bytes / 8 - 1] = ~number;
        item[0] = number;
        if (bytes > 8)
            RING_ALL_BYTES(item);
        while (!RING_FN(_try_push)(ring, item, bytes)) {
            refused++;
            ring_trial_wait(wait);
        }
    }
    side->refused += refused;
}

RING_TRIAL_INLINE void RING_FN(_produce_bulk)(struct ring_trial *trial, struct ring_trial_side *side, uint64_t count,
                                              size_t bytes)
{
    void *const ring = trial->ring[0];
    const unsigned wait = trial->wait;
    const size_t batch = trial->batch;
    uint64_t items[RING_LARGEST_BATCH * RING_LARGEST_BYTES / 8] = {0}, number = side->number, refused = 0;

    for (const uint64_t end = number + count; number != end;) {
        for (size_t i = 0; i < batch; i++, number++) {
            items[(i + 1) * bytes / 8 - 1] = ~number;
            items[i * bytes / 8] = number;
        }
        RING_ALL_BYTES(items);
        for (size_t done = 0; done < batch;) {
            const size_t pushed = RING_FN(_push_bulk)(ring, &items[done * bytes / 8], batch - done, bytes);

            done += pushed;
            if (pushed == 0) {
                refused++;
                ring_trial_wait(wait);
            }
        }
    }
    side->refused += refused;
}

RING_TRIAL_INLINE void RING_FN(_consume_one)(struct ring_trial *trial, struct ring_trial_side *side, uint64_t count,
                                             size_t bytes)
{
    void *const ring = trial->ring[0];
    const unsigned wait = trial->wait;
    uint64_t item[RING_LARGEST_BYTES / 8], number = side->number, refused = 0, disorder = 0, in_vain = 0, questions = 0;
    const uint64_t end = number + count;

    for (; number != end; number++) {
        while (!RING_FN(_try_pop)(ring, item, bytes)) {
            refused++;
            ring_trial_wait(wait);
            if (__builtin_expect(++in_vain % RING_PATIENCE == 0, 0) && ring_trial_is_lost(trial, end, &questions)) {
                side->missing += end - number;
                goto out;
            }
        }
        if (bytes > 8)
            RING_ALL_BYTES(item);
        disorder |= item[0] ^ number;
        if (bytes > 8)
            disorder |= item[bytes / 8 - 1] ^ ~number;
    }
out:
    side->refused += refused;
    side->disorder |= disorder;
}

RING_TRIAL_INLINE void RING_FN(_consume_bulk)(struct ring_trial *trial, struct ring_trial_side *side, uint64_t count,
                                              size_t bytes)
{
    void *const ring = trial->ring[0];
    const unsigned wait = trial->wait;
    const size_t batch = trial->batch;
    uint64_t items[RING_LARGEST_BATCH * RING_LARGEST_BYTES / 8], number = side->number, refused = 0, disorder = 0,
                                                                 in_vain = 0;
    uint64_t questions = 0;
    const uint64_t end = number + count;

    while (number != end) {
        /* Never beyond the window: what comes next is the next window's. */
        const size_t wanted = end - number < batch ? (size_t)(end - number) : batch;
        const size_t popped = RING_FN(_pop_bulk)(ring, items, wanted, bytes);

        RING_ALL_BYTES(items);
        for (size_t i = 0; i < popped; i++, number++) {
            disorder |= items[i * bytes / 8] ^ number;
            if (bytes > 8)
                disorder |= items[(i + 1) * bytes / 8 - 1] ^ ~number;
        }
        if (popped == 0) {
            refused++;
            ring_trial_wait(wait);
            if (__builtin_expect(++in_vain % RING_PATIENCE == 0, 0) && ring_trial_is_lost(trial, end, &questions)) {
                side->missing += end - number;
                break;
            }
        }
    }
    side->refused += refused;
    side->disorder |= disorder;
}

/* Worker 0 consumes: its window ends when the last item has come, and is the one that counts. */
#define RING_THROUGHPUT(bytes)                                                                                         \
    static void RING_FN(_throughput_##bytes)(struct worker * worker, uint64_t operations)                              \
    {                                                                                                                  \
        struct ring_trial *const trial = (struct ring_trial *)worker->trial->state;                                    \
        struct ring_trial_side *const side = &trial->side[worker->index];                                              \
        if (worker->index == 0) {                                                                                      \
            if (trial->batch == 1)                                                                                     \
                RING_FN(_consume_one)(trial, side, operations, bytes);                                                 \
            else                                                                                                       \
                RING_FN(_consume_bulk)(trial, side, operations, bytes);                                                \
        } else {                                                                                                       \
            if (trial->batch == 1)                                                                                     \
                RING_FN(_produce_one)(trial, side, operations, bytes);                                                 \
            else                                                                                                       \
                RING_FN(_produce_bulk)(trial, side, operations, bytes);                                                \
            RING_FN(_flush)(trial->ring[0]);                                                                           \
            __atomic_store_n(&trial->sent, side->number + operations, __ATOMIC_RELEASE);                               \
        }                                                                                                              \
        side->number += operations;                                                                                    \
    }

/*
 * Worker 0 sends and waits for the answer. Worker 1 answers with the item that it got. So an item that worker 0
 * compares went both ways.
 */
#define RING_ROUND_TRIP(bytes)                                                                                         \
    static void RING_FN(_round_trip_##bytes)(struct worker * worker, uint64_t operations)                              \
    {                                                                                                                  \
        struct ring_trial *const trial = (struct ring_trial *)worker->trial->state;                                    \
        struct ring_trial_side *const side = &trial->side[worker->index];                                              \
        void *const out = trial->ring[worker->index], *const in = trial->ring[!worker->index];                         \
        const unsigned wait = trial->wait;                                                                             \
        const bool first = worker->index == 0;                                                                         \
        uint64_t item[(bytes) / 8] = {0}, disorder = 0, number = side->number;                                         \
        for (uint64_t i = 0; i < operations; i++, number++) {                                                          \
            if (first) {                                                                                               \
                item[(bytes) / 8 - 1] = ~number;                                                                       \
                item[0] = number;                                                                                      \
                while (!RING_FN(_try_push)(out, item, bytes))                                                          \
                    ring_trial_wait(wait);                                                                             \
                RING_FN(_flush)(out);                                                                                  \
            }                                                                                                          \
            while (!RING_FN(_try_pop)(in, item, bytes))                                                                \
                ring_trial_wait(wait);                                                                                 \
            RING_ALL_BYTES(item);                                                                                      \
            disorder |= item[0] ^ number;                                                                              \
            if ((bytes) > 8)                                                                                           \
                disorder |= item[(bytes) / 8 - 1] ^ ~number;                                                           \
            if (!first) {                                                                                              \
                while (!RING_FN(_try_push)(out, item, bytes))                                                          \
                    ring_trial_wait(wait);                                                                             \
                RING_FN(_flush)(out);                                                                                  \
            }                                                                                                          \
        }                                                                                                              \
        side->number = number;                                                                                         \
        side->disorder |= disorder;                                                                                    \
    }

RING_THROUGHPUT(8)
RING_THROUGHPUT(64)
RING_THROUGHPUT(256)
RING_ROUND_TRIP(8)
RING_ROUND_TRIP(64)
RING_ROUND_TRIP(256)
#undef RING_THROUGHPUT
#undef RING_ROUND_TRIP

static inline int RING_FN(_throughput_setup)(struct trial *trial)
{
    const int status = ring_trial_setup(trial, 1, RING_FN(_create));

    trial->granule = (uint64_t)(trial->value[RING_BATCH] > 0 ? trial->value[RING_BATCH] : 1);
    trial->measured = 1;
    trial->run = trial->value[RING_BYTES] == 8    ? RING_FN(_throughput_8)
                 : trial->value[RING_BYTES] == 64 ? RING_FN(_throughput_64)
                                                  : RING_FN(_throughput_256);
    return status;
}

static inline int RING_FN(_round_trip_setup)(struct trial *trial)
{
    const int status = ring_trial_setup(trial, 2, RING_FN(_create));

    trial->measured = 1;
    trial->run = trial->value[RING_BYTES] == 8    ? RING_FN(_round_trip_8)
                 : trial->value[RING_BYTES] == 64 ? RING_FN(_round_trip_64)
                                                  : RING_FN(_round_trip_256);
    return status;
}

static inline void RING_FN(_teardown)(struct trial *trial)
{
    ring_trial_teardown(trial, RING_FN(_destroy));
}

#undef RING_FN
#undef RING
#undef RING_HAS_BULK
#undef RING_HAS_FLUSH
#endif
