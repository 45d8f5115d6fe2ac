/*
 * ring/one_cpu, ring/one_cpu_spin: what is a lockless ring worth when both threads share one CPU?
 *
 * One operation is one item of 8 bytes. Producer and consumer are pinned to the same CPU, so that only one of them runs
 * at a time. In ring/one_cpu a thread that is refused gives the CPU away (or sleeps, by design). In ring/one_cpu_spin
 * it goes on trying, and the other runs only when the scheduler ends its slice.
 * Excluded:  making the ring, and the team's start.
 * Expect:    in ring/one_cpu the ring is filled and emptied in turn. An item costs its copying plus 1/capacity of a
 *            switch. Designs then differ by the cost of an uncontended lock. In ring/one_cpu_spin each lap of the ring
 *            costs a slice of the scheduler (3-4 ms), whatever the design. That is 3-8 us an item at 1024 (arithmetic,
 *            since perfbook and the notes have no figure).
 * Hazards:   the cost of spinning is the scheduler's slice, not the ring's. Windows are two laps of the ring, because a
 *            shorter one might contain no switch at all.
 * Not shown: other threads on the same CPU, and real-time priorities, under which a spinning thread waits for ever.
 */
#define _GNU_SOURCE
#include "designs.h"

enum { DESIGN = RING_PAUSE + 1 };

#define SPIN_BATCHES 2         /* of several slices each */
#define LONG_ENOUGH_NS 6000000 /* two slices or more of a scheduler's usual 2-4 ms */

#define RING spsc
#include "trial.h"
#define RING naive
#include "trial.h"
#define RING cached
#include "trial.h"
#define RING seq_cst
#include "trial.h"
#define RING mutex_spin
#include "trial.h"
#define RING mutex_condvar
#include "trial.h"
#define RING pipe
#define RING_HAS_BULK
#include "trial.h"
#define RING eventfd
#include "trial.h"

static int (*const setups[RING_DESIGN_COUNT])(struct trial *trial) = {
#define MAKE_ROW(name) name##_throughput_setup,
    RING_DESIGNS(MAKE_ROW)
#undef MAKE_ROW
};

/* Two laps: at least one hand-over of the CPU lies within a window, however it begins. */
static int one_cpu_setup(struct trial *trial)
{
    const int status = setups[trial->value[DESIGN]](trial);
    struct ring_trial *state = trial->state;

    if (status)
        return status;
    state->wait = RING_YIELD;
    trial->granule = 2 * (uint64_t)trial->value[RING_CAPACITY];
    return 0;
}

static int spin_setup(struct trial *trial)
{
    const int status = one_cpu_setup(trial);
    struct ring_trial *state = trial->state;

    if (status)
        return status;
    state->wait = RING_RELAX;
    /* The lap is long already: the engine's stretch of windows on shared CPUs is for rings that give way. */
    trial->batch_ns = LONG_ENOUGH_NS;
    return 0;
}

static void teardown(struct trial *trial)
{
    ring_trial_teardown(trial, ring_designs[trial->value[DESIGN]].destroy);
}

/* Two windows, the warm-up and the engine's search, of 6 ms each with both threads on the CPU: seen 15 and 16 ms in all. */
static uint64_t one_cpu_cost_ns(const struct trial *trial)
{
    (void)trial;
    return UINT64_C(5) * LONG_ENOUGH_NS / 2;
}

/* Windows, warm-up and the three tries of the search, each some slices of 3 ms: seen 17 ms a window. */
static uint64_t spin_cost_ns(const struct trial *trial)
{
    (void)trial;
    return (SPIN_BATCHES + 1 + 3) * UINT64_C(17000000);
}

#define ONE_CPU_PARAMETERS(designs, capacities, all)                                                                   \
    {"capacity", "items", "of the ring", NULL, 1024, NULL, capacities, all},                                           \
        {"bytes", "bytes", "size of an item", NULL, 8, NULL, NULL, NULL},                                              \
        {"batch", "items", "pushed and popped by one call", NULL, 1, NULL, NULL, NULL},                                \
        {"pause", "", "a spin hint after a refusal, where one spins", "no yes", 1, NULL, NULL, NULL},                  \
    {                                                                                                                  \
        "design", "", "which ring", RING_DESIGN_LABELS, RING_DESIGN_spsc, NULL, designs, "*"                           \
    }

KERNEL(one_cpu,
    .name       = "ring/one_cpu",
    .summary    = "two threads on one CPU hand items over, and yield when refused",
    .unit       = "item",
    .threads    = { .min = 2, .max = 2 },
    .place      = PLACE_ONE_CPU,
    .parameters = { ONE_CPU_PARAMETERS("spsc seq_cst mutex_spin mutex_condvar", NULL, "16 1024") },
    .metrics    = RING_TRIAL_METRICS,
    .setup      = one_cpu_setup,
    .run        = spsc_throughput_8,
    .check      = ring_trial_throughput_check,
    .teardown   = teardown,
    .cost_ns    = one_cpu_cost_ns);
KERNEL(one_cpu_spin,
    .name       = "ring/one_cpu_spin",
    .summary    = "two threads on one CPU hand items over, and spin when refused",
    .unit       = "item",
    .threads    = { .min = 2, .max = 2 },
    .place      = PLACE_ONE_CPU,
    .parameters = { ONE_CPU_PARAMETERS("spsc", NULL, NULL) },
    .metrics    = RING_TRIAL_METRICS,
    .batches    = SPIN_BATCHES,
    .setup      = spin_setup,
    .run        = spsc_throughput_8,
    .check      = ring_trial_throughput_check,
    .teardown   = teardown,
    .cost_ns    = spin_cost_ns);
