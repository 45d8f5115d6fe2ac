/*
 * How long an item takes between two threads while the ring is far from full. This is the loop of ring/latency, for any
 * ring of the harness (ring/trial.h lists the functions of a ring). It can be C11 or C++ (GNU C++17).
 *
 * RING_LATENCY(name, flush) makes name_latency_ends, and RING_LATENCY_EVENTS(name) the functions of a kernel for one
 * ring. flush is the function that publishes items which a producer may keep back. It is called after every item.
 *
 * The loop is open. Items are due every gap_ticks from a common start, and a sender that is late does not move later
 * items.
 */
#ifndef FENCEPOST_RING_LATENCY_H
#define FENCEPOST_RING_LATENCY_H

#include <stdlib.h>

#include "kernels/ring/trial.h"

#define RING_LATENCY_EVENTS_PER_BATCH 256
#define RING_LATENCY_WARM 16        /* items of each batch that meet cold lines, and do not count as events */
#define RING_LATENCY_LONGEST_NS 8e6 /* of a case in one process: all batches at 1 us, 3 at 10 us */

/* Metrics. */
enum { RING_P50, RING_P99, RING_P99_9, RING_LATE, RING_LOWEST };

#define RING_LATENCY_METRICS                                                                                           \
    {                                                                                                                  \
        {"p50_ticks", "ticks", "half of the items took no longer"},                                                    \
            {"p99_ticks", "ticks", "99 % of the items took no longer"},                                                \
            {"p99_9_ticks", "ticks", "99.9 % of the items of a process took no longer"},                               \
            {"late_pct", "%", "items whose sender was late by more than the gap"},                                     \
        {                                                                                                              \
            "lowest_ticks", "ticks", "fastest item"                                                                    \
        }                                                                                                              \
    }

struct ring_latency {
    struct ring_trial common; /* first: its ring, its sides and what looks at them */
    uint64_t gap_ticks;
    __attribute__((aligned(128))) uint64_t late; /* the sender's */
    __attribute__((aligned(128))) uint64_t kept; /* the receiver's */
    int64_t *events;                             /* all of them, for the quantiles */
};

struct ring_latency_ends {
    void (*send)(struct ring_latency *latency, uint64_t start);
    void (*receive)(struct ring_latency *latency, uint64_t start, int64_t *ticks);
};

static inline void ring_no_flush(void *ring)
{
    (void)ring;
}

/* Worker 1 sends: by its number each item is due at a time that both know. */
#define RING_LATENCY(name, flush)                                                                                      \
    static void name##_latency_send(struct ring_latency *latency, uint64_t start)                                      \
    {                                                                                                                  \
        struct ring_trial *const common = &latency->common;                                                            \
        uint64_t number = common->side[1].number, due = start;                                                         \
        for (unsigned i = 0; i < RING_LATENCY_WARM + RING_LATENCY_EVENTS_PER_BATCH; i++, due += latency->gap_ticks) {  \
            uint64_t now;                                                                                              \
            while ((now = tick_now()) < due)                                                                           \
                ring_trial_wait(common->wait);                                                                         \
            latency->late += i >= RING_LATENCY_WARM && now - due > latency->gap_ticks;                                 \
            while (!name##_try_push(common->ring[0], &number, sizeof number))                                          \
                ring_trial_wait(common->wait);                                                                         \
            flush(common->ring[0]);                                                                                    \
            number++;                                                                                                  \
        }                                                                                                              \
        common->side[1].number = number;                                                                               \
        /* Release, pairs with ring_trial_is_lost: whoever sees it could see the items. */                             \
        __atomic_store_n(&common->sent, number, __ATOMIC_RELEASE);                                                     \
    }                                                                                                                  \
    static void name##_latency_receive(struct ring_latency *latency, uint64_t start, int64_t *ticks)                   \
    {                                                                                                                  \
        struct ring_trial *const common = &latency->common;                                                            \
        uint64_t number = common->side[0].number, due = start, item = 0, disorder = 0, in_vain = 0, questions = 0;     \
        const uint64_t end = number + RING_LATENCY_WARM + RING_LATENCY_EVENTS_PER_BATCH;                               \
        for (unsigned i = 0; i < RING_LATENCY_WARM + RING_LATENCY_EVENTS_PER_BATCH; i++, due += latency->gap_ticks) {  \
            uint64_t now;                                                                                              \
            while (!name##_try_pop(common->ring[0], &item, sizeof item)) {                                             \
                ring_trial_wait(common->wait);                                                                         \
                if (__builtin_expect(++in_vain % RING_PATIENCE == 0, 0) &&                                             \
                    ring_trial_is_lost(common, end, &questions)) {                                                     \
                    common->side[0].missing += end - number;                                                           \
                    goto out;                                                                                          \
                }                                                                                                      \
            }                                                                                                          \
            now = tick_now();                                                                                          \
            disorder |= item ^ number++;                                                                               \
            if (i >= RING_LATENCY_WARM)                                                                                \
                ticks[i - RING_LATENCY_WARM] = (int64_t)(now - due);                                                   \
        }                                                                                                              \
    out:                                                                                                               \
        common->side[0].number = end;                                                                                  \
        common->side[0].disorder |= disorder;                                                                          \
    }                                                                                                                  \
    static const struct ring_latency_ends name##_latency_ends = {name##_latency_send, name##_latency_receive};

/* Time of a case in one process: as many batches as fit, one at least. */
static inline uint64_t ring_latency_batches(uint64_t batches, int64_t gap_ns)
{
    const double batch_ns = (double)gap_ns * (RING_LATENCY_WARM + RING_LATENCY_EVENTS_PER_BATCH);

    return (uint64_t)fmin((double)batches, fmax(1, ceil(RING_LATENCY_LONGEST_NS / batch_ns)));
}

static inline uint64_t ring_latency_cost_ns(uint64_t batches, int64_t gap_ns)
{
    return ring_latency_batches(batches, gap_ns) * (uint64_t)gap_ns *
           (RING_LATENCY_WARM + RING_LATENCY_EVENTS_PER_BATCH);
}

static inline int ring_latency_setup(struct trial *trial, int64_t gap_ns, int64_t capacity,
                                     int (*create)(void **, size_t, size_t))
{
    struct ring_latency *latency;

    if (gap_ns < 100 || gap_ns > 1000000)
        return trial_fault(trial, "gap_ns=%" PRId64 " is not from 100 to 1000000", gap_ns);
    if (capacity < 1 || capacity > RING_LARGEST_CAPACITY)
        return trial_fault(trial, "capacity=%" PRId64 " is not from 1 to %" PRId64, capacity, RING_LARGEST_CAPACITY);
    latency = (struct ring_latency *)trial_alloc(trial, sizeof *latency);
    if (!latency)
        return -ENOMEM;
    trial->batches = ring_latency_batches(trial->batches, gap_ns);
    latency->events = (int64_t *)trial_alloc(trial, trial->batches * RING_LATENCY_EVENTS_PER_BATCH * sizeof(int64_t));
    if (!latency->events)
        return -ENOMEM;
    latency->gap_ticks = (uint64_t)((double)gap_ns * trial->tick_hz / 1e9);
    latency->common.wait = trial->oversubscribed ? (unsigned)RING_YIELD : (unsigned)RING_RELAX;
    return create(&latency->common.ring[0], (size_t)capacity, sizeof(uint64_t));
}

static inline int64_t ring_latency_events(struct worker *worker, int64_t *ticks, const struct ring_latency_ends *ends)
{
    struct ring_latency *latency = (struct ring_latency *)worker->trial->state;
    const uint64_t start = team_start(worker);

    if (worker->index) {
        ends->send(latency, start);
        return 0;
    }
    ends->receive(latency, start, ticks);
    memcpy(latency->events + latency->kept, ticks, RING_LATENCY_EVENTS_PER_BATCH * sizeof *ticks);
    latency->kept += RING_LATENCY_EVENTS_PER_BATCH;
    return RING_LATENCY_EVENTS_PER_BATCH;
}

static inline int ring_latency_compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* The least value that this many of 1000 events do not exceed. */
static inline double ring_latency_quantile(const int64_t *sorted, uint64_t count, unsigned of_1000)
{
    return (double)sorted[(count * of_1000 + 999) / 1000 - 1];
}

/* Every item came, once and in order. */
static inline int ring_latency_check(struct trial *trial)
{
    struct ring_latency *latency = (struct ring_latency *)trial->state;
    const uint64_t count = latency->kept;
    const int status = ring_trial_check(trial);

    if (status || count == 0)
        return status ? status : trial_fault(trial, "no item came");
    qsort(latency->events, count, sizeof *latency->events, ring_latency_compare);
    trial->metric[RING_P50] = ring_latency_quantile(latency->events, count, 500);
    trial->metric[RING_P99] = ring_latency_quantile(latency->events, count, 990);
    trial->metric[RING_P99_9] = ring_latency_quantile(latency->events, count, 999);
    trial->metric[RING_LATE] = 100.0 * (double)latency->late / (double)count;
    trial->metric[RING_LOWEST] = (double)latency->events[0];
    return 0;
}

/* The functions of a kernel whose parameters are gap_ns and capacity, in this order, after RING_LATENCY(name, ...). */
#define RING_LATENCY_EVENTS(name)                                                                                      \
    static int name##_latency_setup(struct trial *trial)                                                               \
    {                                                                                                                  \
        return ring_latency_setup(trial, trial->value[0], trial->value[1], name##_create);                             \
    }                                                                                                                  \
    static int64_t name##_latency_batch(struct worker *worker, int64_t *ticks, uint64_t count)                         \
    {                                                                                                                  \
        (void)count; /* both ends make the same number */                                                              \
        return ring_latency_events(worker, ticks, &name##_latency_ends);                                               \
    }                                                                                                                  \
    static uint64_t name##_latency_cost_ns(const struct trial *trial)                                                  \
    {                                                                                                                  \
        return ring_latency_cost_ns(trial->batches, trial->value[0]);                                                  \
    }

#endif
