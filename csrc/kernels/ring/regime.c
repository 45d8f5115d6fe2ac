/*
 * ring/regime: what does an item cost beside work, when it is known which side waits?
 *
 * One operation is one item of 8 bytes and the work beside it. The work is a chain of multiplications that takes
 * work_ns, by one side (slowed) or by both. With slowed=producer the ring begins and stays empty, and each item is
 * waited for. With slowed=consumer it begins and stays full. With slowed=both, which work alike, it begins half full,
 * and either side has room to fall behind. Without work, the cost of single items depends on the state that the two
 * threads happen to fall into (ring/spsc, regime). Here the state is set.
 * Excluded:  making the ring, and the team's start. The time of the work alone is measured in setup and is a metric.
 *            The metric beyond_ticks is the time that an item takes longer than its work.
 * Expect:    with slowed=consumer and both, near nothing for rings that seldom look at the other side's index, a line's
 *            transfer or two for the naive one. With slowed=producer, the hand-over of a line, for all.
 * Hazards:   work hides everything that can overlap with it. So beyond_ticks is less than the cost of the same
 *            instructions alone. It can be negative by the error of the work's own time.
 * Not shown: bursts, and work that itself uses the cache.
 */
#define _GNU_SOURCE
#include "designs.h"

enum { DESIGN, SLOWED, WORK_NS, CAPACITY };
enum { FULL, EMPTY, REGIME, WORK, BEYOND };
enum { BY_PRODUCER, BY_CONSUMER, BY_BOTH };

#define WORK_TRIES 7
#define WORK_ITEMS 1000
/*
 * The capacity of a pipe of at least two pages, wherever the oldest item begins. More could block for ever, with nobody
 * there to read.
 */
#define PIPE_ITEMS (4096 / (int64_t)sizeof(uint64_t))

struct regime {
    struct ring_trial common; /* first: its ring, its sides and what looks at them */
    uint64_t steps[2];        /* of work for each item, by side */
    uint64_t held;            /* items in the ring between windows */
    double work_ticks;        /* of one item, alone */
};

/* A chain that nothing can shorten: each product needs the one before. */
static inline __attribute__((always_inline)) void work(uint64_t steps)
{
    uint64_t product = steps;

    for (uint64_t i = 0; i < steps; i++) {
        product *= 3;
        OPAQUE(product);
    }
}

/* As the loops of ring/trial.h, with work beside each item. */
#define MAKE_ENDS(name)                                                                                                \
    static void produce_##name(struct ring_trial *common, uint64_t steps, uint64_t count)                              \
    {                                                                                                                  \
        uint64_t number = common->side[1].number, refused = 0;                                                         \
        for (const uint64_t end = number + count; number != end; number++) {                                           \
            work(steps);                                                                                               \
            while (!name##_try_push(common->ring[0], &number, sizeof number)) {                                        \
                refused++;                                                                                             \
                ring_trial_wait(common->wait);                                                                         \
            }                                                                                                          \
        }                                                                                                              \
        common->side[1].number = number;                                                                               \
        common->side[1].refused += refused;                                                                            \
        /* Release, pairs with ring_trial_is_lost: whoever sees it could see the items. */                             \
        __atomic_store_n(&common->sent, number, __ATOMIC_RELEASE);                                                     \
    }                                                                                                                  \
    static void consume_##name(struct ring_trial *common, uint64_t steps, uint64_t count)                              \
    {                                                                                                                  \
        uint64_t number = common->side[0].number, refused = 0, disorder = 0, item = 0, in_vain = 0, questions = 0;     \
        const uint64_t end = number + count;                                                                           \
        for (; number != end; number++) {                                                                              \
            while (!name##_try_pop(common->ring[0], &item, sizeof item)) {                                             \
                refused++;                                                                                             \
                ring_trial_wait(common->wait);                                                                         \
                if (__builtin_expect(++in_vain % RING_PATIENCE == 0, 0) &&                                             \
                    ring_trial_is_lost(common, end, &questions)) {                                                     \
                    common->side[0].missing += end - number;                                                           \
                    goto out;                                                                                          \
                }                                                                                                      \
            }                                                                                                          \
            disorder |= item ^ number;                                                                                 \
            work(steps);                                                                                               \
        }                                                                                                              \
    out:                                                                                                               \
        common->side[0].number = end;                                                                                  \
        common->side[0].refused += refused;                                                                            \
        common->side[0].disorder |= disorder;                                                                          \
    }                                                                                                                  \
    static void fill_##name(struct ring_trial *common, uint64_t count)                                                 \
    {                                                                                                                  \
        for (uint64_t number = 0; number < count; number++)                                                            \
            common->side[1].number += name##_try_push(common->ring[0], &number, sizeof number);                        \
    }
RING_DESIGNS(MAKE_ENDS)

static const struct {
    void (*produce)(struct ring_trial *common, uint64_t steps, uint64_t count);
    void (*consume)(struct ring_trial *common, uint64_t steps, uint64_t count);
    void (*fill)(struct ring_trial *common, uint64_t count);
} ends[RING_DESIGN_COUNT] = {
#define MAKE_ROW(name) {produce_##name, consume_##name, fill_##name},
    RING_DESIGNS(MAKE_ROW)
#undef MAKE_ROW
};

/* Ticks of one item's work: the middle of some tries. */
static double time_work(uint64_t steps)
{
    double tries[WORK_TRIES];

    for (unsigned i = 0; i < WORK_TRIES; i++) {
        const uint64_t begin = tick_begin();

        for (unsigned j = 0; j < WORK_ITEMS; j++)
            work(steps);
        tries[i] = (double)(tick_end() - begin) / WORK_ITEMS;
    }
    return median_of(tries, WORK_TRIES);
}

static int setup(struct trial *trial)
{
    const int64_t capacity = trial->value[CAPACITY], work_ns = trial->value[WORK_NS], slowed = trial->value[SLOWED];
    const uint64_t guess = 100;
    struct regime *regime;
    uint64_t steps;
    int64_t fill;
    int status;

    if (work_ns < 1 || work_ns > 100000)
        return trial_fault(trial, "work_ns=%" PRId64 " is not from 1 to 100000", work_ns);
    if (capacity < 1 || capacity > RING_LARGEST_CAPACITY)
        return trial_fault(trial, "capacity=%" PRId64 " is not from 1 to %" PRId64, capacity, RING_LARGEST_CAPACITY);
    regime = trial_alloc(trial, sizeof *regime);
    if (!regime)
        return -ENOMEM;
    trial->measured = 1;
    steps = (uint64_t)fmax(1, (double)guess * (double)work_ns * trial->tick_hz / 1e9 / time_work(guess));
    regime->work_ticks = time_work(steps);
    regime->steps[0] = slowed == BY_PRODUCER ? 0 : steps;
    regime->steps[1] = slowed == BY_CONSUMER ? 0 : steps;
    regime->common.wait = trial->oversubscribed ? (unsigned)RING_YIELD : (unsigned)RING_RELAX;
    status = ring_designs[trial->value[DESIGN]].create(&regime->common.ring[0], (size_t)capacity, sizeof(uint64_t));
    fill = slowed == BY_CONSUMER ? capacity : slowed == BY_BOTH ? capacity / 2 : 0;
    if (trial->value[DESIGN] == RING_DESIGN_pipe && fill > PIPE_ITEMS)
        fill = PIPE_ITEMS;
    if (!status)
        ends[trial->value[DESIGN]].fill(&regime->common, (uint64_t)fill);
    regime->held = regime->common.side[1].number;
    return status;
}

static void run(struct worker *worker, uint64_t operations)
{
    struct regime *regime = worker->trial->state;
    const int64_t design = worker->trial->value[DESIGN];

    if (worker->index == 0)
        ends[design].consume(&regime->common, regime->steps[0], operations);
    else
        ends[design].produce(&regime->common, regime->steps[1], operations);
}

/* Every number came, once, in order. The items that were put in beforehand are still in there. */
static int check(struct trial *trial)
{
    struct regime *regime = trial->state;
    const double items = (double)regime->common.side[0].number, empty = (double)regime->common.side[0].refused,
                 full = (double)regime->common.side[1].refused;
    double *ticks = malloc((trial->sample_count + 1) * sizeof *ticks);

    if (!ticks)
        return -ENOMEM;
    for (uint64_t i = 0; i < trial->sample_count; i++)
        ticks[i] = ((double)trial->samples[i].ticks - trial->overhead_ticks) / (double)trial->samples[i].operations;
    trial->metric[FULL] = full / items;
    trial->metric[EMPTY] = empty / items;
    trial->metric[REGIME] = empty + full > 0 ? (full - empty) / (full + empty) : 0;
    trial->metric[WORK] = regime->work_ticks;
    trial->metric[BEYOND] = median_of(ticks, trial->sample_count) - regime->work_ticks;
    free(ticks);
    regime->common.side[1].number -= regime->held;
    return ring_trial_check(trial);
}

static void teardown(struct trial *trial)
{
    ring_trial_teardown(trial, ring_designs[trial->value[DESIGN]].destroy);
}

KERNEL(regime,
    .name       = "ring/regime",
    .summary    = "two threads do work beside each item that they hand over, so that a known side waits",
    .unit       = "item",
    .threads    = { .min = 2, .max = 2 },
    .place      = PLACE_ANY,
    .parameters = {
        [DESIGN]   = { .name = "design", .summary = "which ring", .labels = RING_DESIGN_LABELS, .initial = RING_DESIGN_spsc,
                       .quick = NULL, .standard = "spsc naive mutex_spin", .rigorous = "*" },
        [SLOWED]   = { .name = "slowed", .summary = "who works beside each item: ring mostly empty, mostly full, half full",
                       .labels = "producer consumer both", .initial = BY_BOTH, .quick = "*", .standard = "*", .rigorous = "*" },
        [WORK_NS]  = { .name = "work_ns", .unit = "ns", .summary = "beside each item", .initial = 200 },
        [CAPACITY] = { .name = "capacity", .unit = "items", .summary = "of the ring", .initial = 1024 },
    },
    .metrics    = {
        [FULL]   = { "full_per_item", "refusals", "pushes that met a full ring, per item" },
        [EMPTY]  = { "empty_per_item", "refusals", "pops that met an empty ring, per item" },
        [REGIME] = { "regime", "1", "-1: all refusals met an empty ring, 1: all a full one" },
        [WORK]   = { "work_ticks", "ticks", "the work of one item, alone" },
        [BEYOND] = { "beyond_ticks", "ticks", "what an item took longer than its work" },
    },
    .setup      = setup,
    .run        = run,
    .check      = check,
    .teardown   = teardown);
