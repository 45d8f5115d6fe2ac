/*
 * ring/latency: how long does an item take from one thread to another while the ring is far from full?
 *
 * One event is one item, from the time at which it was due to be sent to the time at which the receiver has it. Items of 8 bytes are due
 * every gap_ns, by the tick counter and from a common start: an open loop, which does not wait for the receiver. A sender that is late
 * does not move what is due next, and what it sends late counts from when it was due, so that no delay is left out ("coordinated
 * omission"). The designs are those of ring/spsc, ring/naive and so on; who is refused spins with a hint, those that sleep sleep.
 * Excluded:  the first 16 items of each batch, which meet cold lines. Nothing is subtracted: one reading of the counter is in each event.
 * Expect:    spinning, about half a round trip (ring/spsc_round_trip) at any rate well below saturation, since the receiver finds the
 *            ring empty; sleeping, a wake-up, unless items come so fast that nobody gets to sleep.
 * Hazards:   the two ends read two counters. What CPU 1's counter is ahead of CPU 0's adds to every event as it stands: clock/offset
 *            has the bounds of that, an interval as wide as a round trip. An event can even come out negative. Differences between
 *            designs on the same CPUs have none of it. late_pct says how often the sender itself was late by more than a gap: high, and
 *            the rate is above saturation, or the sender lost its CPU.
 * Not shown: rates near saturation, where the queue decides; bursts.
 */
#define _GNU_SOURCE
#include "designs.h"

#define EVENTS 256 /* a batch */
#define WARM 16
#define LONGEST_NS 8e6 /* of a case in one process: all batches at 1 us, 3 at 10 us */

enum { DESIGN, GAP_NS, CAPACITY };
enum { P50, P99, P99_9, LATE, LOWEST };

struct latency {
    struct ring_trial common; /* first: its ring, its sides and what looks at them */
    uint64_t gap_ticks;
    _Alignas(128) uint64_t late; /* the sender's */
    _Alignas(128) uint64_t kept; /* the receiver's */
    int64_t *events;             /* all of them, for the quantiles */
};

/* Worker 1 sends: by its number each item is due at a time that both know. */
#define MAKE_ENDS(name)                                                                                                \
    static void send_##name(struct latency *latency, uint64_t start)                                                   \
    {                                                                                                                  \
        struct ring_trial *const common = &latency->common;                                                            \
        uint64_t number = common->side[1].number, due = start;                                                         \
        for (unsigned i = 0; i < WARM + EVENTS; i++, due += latency->gap_ticks) {                                      \
            uint64_t now;                                                                                              \
            while ((now = tick_now()) < due)                                                                           \
                ring_trial_wait(common->wait);                                                                         \
            latency->late += i >= WARM && now - due > latency->gap_ticks;                                              \
            while (!name##_try_push(common->ring[0], &number, sizeof number))                                          \
                ring_trial_wait(common->wait);                                                                         \
            number++;                                                                                                  \
        }                                                                                                              \
        common->side[1].number = number;                                                                               \
        /* Release, pairs with ring_trial_is_lost: whoever sees it could see the items. */                             \
        __atomic_store_n(&common->sent, number, __ATOMIC_RELEASE);                                                     \
    }                                                                                                                  \
    static void receive_##name(struct latency *latency, uint64_t start, int64_t *ticks)                                \
    {                                                                                                                  \
        struct ring_trial *const common = &latency->common;                                                            \
        uint64_t number = common->side[0].number, due = start, item = 0, disorder = 0, in_vain = 0, questions = 0;     \
        const uint64_t end = number + WARM + EVENTS;                                                                   \
        for (unsigned i = 0; i < WARM + EVENTS; i++, due += latency->gap_ticks) {                                      \
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
            if (i >= WARM)                                                                                             \
                ticks[i - WARM] = (int64_t)(now - due);                                                                \
        }                                                                                                              \
    out:                                                                                                               \
        common->side[0].number = end;                                                                                  \
        common->side[0].disorder |= disorder;                                                                          \
    }
RING_DESIGNS(MAKE_ENDS)

static const struct {
    void (*send)(struct latency *latency, uint64_t start);
    void (*receive)(struct latency *latency, uint64_t start, int64_t *ticks);
} ends[RING_DESIGN_COUNT] = {
#define MAKE_ROW(name) {send_##name, receive_##name},
    RING_DESIGNS(MAKE_ROW)
#undef MAKE_ROW
};

static int setup(struct trial *trial)
{
    const int64_t gap_ns = trial->value[GAP_NS], capacity = trial->value[CAPACITY];
    const double batch_ns = (double)gap_ns * (WARM + EVENTS);
    struct latency *latency;

    if (gap_ns < 100 || gap_ns > 1000000)
        return trial_fault(trial, "gap_ns=%" PRId64 " is not from 100 to 1000000", gap_ns);
    if (capacity < 1 || capacity > RING_LARGEST_CAPACITY)
        return trial_fault(trial, "capacity=%" PRId64 " is not from 1 to %" PRId64, capacity, RING_LARGEST_CAPACITY);
    latency = trial_alloc(trial, sizeof *latency);
    if (!latency)
        return -ENOMEM;
    trial->batches = (uint64_t)fmin((double)trial->batches, fmax(1, ceil(LONGEST_NS / batch_ns)));
    latency->events = trial_alloc(trial, trial->batches * EVENTS * sizeof *latency->events);
    if (!latency->events)
        return -ENOMEM;
    latency->gap_ticks = (uint64_t)((double)gap_ns * trial->tick_hz / 1e9);
    latency->common.wait = trial->oversubscribed ? (unsigned)RING_YIELD : (unsigned)RING_RELAX;
    return ring_designs[trial->value[DESIGN]].create(&latency->common.ring[0], (size_t)capacity, sizeof(uint64_t));
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    const struct trial *trial = worker->trial;
    struct latency *latency = trial->state;
    const uint64_t start = team_start(worker);

    (void)count; /* only worker 0 is told; both make the same number */
    if (worker->index) {
        ends[trial->value[DESIGN]].send(latency, start);
        return 0;
    }
    ends[trial->value[DESIGN]].receive(latency, start, ticks);
    memcpy(latency->events + latency->kept, ticks, EVENTS * sizeof *ticks);
    latency->kept += EVENTS;
    return EVENTS;
}

static int compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* The least value that so many of 1000 events do not exceed. */
static double quantile(const int64_t *sorted, uint64_t count, unsigned of_1000)
{
    return (double)sorted[(count * of_1000 + 999) / 1000 - 1];
}

/* Every item came, once and in order. */
static int check(struct trial *trial)
{
    struct latency *latency = trial->state;
    const uint64_t count = latency->kept;
    const int status = ring_trial_check(trial);

    if (status || count == 0)
        return status ? status : trial_fault(trial, "no item came");
    qsort(latency->events, count, sizeof *latency->events, compare);
    trial->metric[P50] = quantile(latency->events, count, 500);
    trial->metric[P99] = quantile(latency->events, count, 990);
    trial->metric[P99_9] = quantile(latency->events, count, 999);
    trial->metric[LATE] = 100.0 * (double)latency->late / (double)count;
    trial->metric[LOWEST] = (double)latency->events[0];
    return 0;
}

static void teardown(struct trial *trial)
{
    ring_trial_teardown(trial, ring_designs[trial->value[DESIGN]].destroy);
}

static uint64_t cost_ns(const struct trial *trial)
{
    const double batch_ns = (double)trial->value[GAP_NS] * (WARM + EVENTS);

    return (uint64_t)(batch_ns * fmin((double)trial->batches, fmax(1, ceil(LONGEST_NS / batch_ns))));
}

KERNEL(latency,
    .name             = "ring/latency",
    .summary          = "one thread sends items at a fixed rate, each timed from when it is due until it arrives",
    .unit             = "item",
    .threads          = { .min = 2, .max = 2 },
    .place            = PLACE_ANY,
    .needs            = NEED_TICKS,
    .parameters       = {
        [DESIGN]   = { .name = "design", .summary = "which ring", .labels = RING_DESIGN_LABELS, .initial = RING_DESIGN_spsc,
                       .quick = "spsc naive mutex_spin mutex_condvar", .standard = "*", .rigorous = "*" },
        [GAP_NS]   = { .name = "gap_ns", .unit = "ns", .summary = "from one item to the next", .initial = 1000,
                       .quick = "1000", .standard = "1000 10000", .rigorous = "1000 10000 100000" },
        [CAPACITY] = { .name = "capacity", .unit = "items", .summary = "of the ring", .initial = 1024 },
    },
    .metrics          = {
        [P50]    = { "p50_ticks", "ticks", "half of the items took no longer" },
        [P99]    = { "p99_ticks", "ticks", "99 % of the items took no longer" },
        [P99_9]  = { "p99_9_ticks", "ticks", "99.9 % of the items of a process took no longer" },
        [LATE]   = { "late_pct", "%", "items whose sender was late by more than the gap" },
        [LOWEST] = { "lowest_ticks", "ticks", "fastest item" },
    },
    .setup            = setup,
    .events           = events,
    .events_per_batch = EVENTS,
    .check            = check,
    .teardown         = teardown,
    .cost_ns          = cost_ns);
