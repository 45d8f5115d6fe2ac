/*
 * ring/latency: how long does an item take from one thread to another while the ring is far from full?
 *
 * One event is one item, from the time at which it was due to be sent to the time at which the receiver has it. Items
 * of 8 bytes are due every gap_ns, by the tick counter and from a common start. So the loop is open and does not wait
 * for the receiver. A sender that is late does not move the next due times. An item that it sends late counts from its
 * due time, so no delay is left out ("coordinated omission"). The designs are those of ring/spsc, ring/naive and so on.
 * After a refusal a thread spins with a hint. In the designs that sleep, it sleeps.
 * Excluded:  the first 16 items of each batch, which meet cold lines. Nothing is subtracted. One reading of the counter
 *            is in each event.
 * Expect:    for designs that spin, about half a round trip (ring/spsc_round_trip) at any rate well below saturation,
 *            since the receiver finds the ring empty. For designs that sleep, a wake-up, unless items come so fast that
 *            nobody gets to sleep.
 * Hazards:   the two ends read two counters. The offset between the counters of the two CPUs adds to every event in
 *            full. clock/offset has its bounds, an interval as wide as a round trip. An event can even come out
 *            negative. Differences between designs on the same CPUs are free of it. The metric late_pct says how often
 *            the sender itself was late by more than a gap. A high value means that the rate is above saturation, or
 *            that the sender lost its CPU.
 * Not shown: rates near saturation, where the queue decides, and bursts.
 */
#define _GNU_SOURCE
#include "latency.h"
#include "designs.h"

enum { DESIGN, GAP_NS, CAPACITY };

#define MAKE_ENDS(name) RING_LATENCY(name, ring_no_flush)
RING_DESIGNS(MAKE_ENDS)
#undef MAKE_ENDS

static const struct ring_latency_ends *const ends[RING_DESIGN_COUNT] = {
#define MAKE_ROW(name) &name##_latency_ends,
    RING_DESIGNS(MAKE_ROW)
#undef MAKE_ROW
};

static int setup(struct trial *trial)
{
    return ring_latency_setup(trial, trial->value[GAP_NS], trial->value[CAPACITY],
                              ring_designs[trial->value[DESIGN]].create);
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    (void)count; /* only worker 0 is told, and both make the same number */
    return ring_latency_events(worker, ticks, ends[worker->trial->value[DESIGN]]);
}

static void teardown(struct trial *trial)
{
    ring_trial_teardown(trial, ring_designs[trial->value[DESIGN]].destroy);
}

static uint64_t cost_ns(const struct trial *trial)
{
    return ring_latency_cost_ns(trial->batches, trial->value[GAP_NS]);
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
    .metrics          = RING_LATENCY_METRICS,
    .setup            = setup,
    .events           = events,
    .events_per_batch = RING_LATENCY_EVENTS_PER_BATCH,
    .check            = ring_latency_check,
    .teardown         = teardown,
    .cost_ns          = cost_ns);
