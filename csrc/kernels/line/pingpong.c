/*
 * line/pingpong: how long does a cache line take from one CPU to another and back?
 *
 * One operation is a round trip: worker 0 writes, worker 1 sees it and answers, worker 0 sees the answer. One way is
 * half a round trip, by definition. The clocks of two CPUs cannot be compared closely enough to time one way
 * (clock/offset).
 *   load_store  one line: each polls it with loads, then stores its answer
 *   cas         one line: each tries compare-and-swap until the number before is there. Trying takes the line away from
 *               the other
 *   two_lines   a line for each direction, each written by one CPU only
 * Excluded:  the team's start, and the first trip of a batch among thousands.
 * Expect:    one way 35-65 ns between cores that share an L3, 15-25 in a small complex (Zen), 80-110 across complexes.
 *            Across sockets 100-450 (nviennot's gallery, and perfbook for a Xeon 8176). Two lines cost more where one
 *            line is a migratory pattern that the protocol knows (reference guest: one 149 ns, CAS 159, two lines 346).
 * Hazards:   the hand-over cost of a machine drifts (115-450 ns in an hour were seen). See raw_before and raw_after of
 *            every team. PAUSE is 10-140 cycles long by model, and the answer may come within it. Where both threads
 *            are on one CPU (only when asked for) they yield, and the figure is the scheduler's.
 * Not shown: bandwidth. Lines that are handed over in a stream overlap and cost a fraction of this.
 */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdatomic.h>

enum { VARIANT, PAUSE };
enum { LOAD_STORE, CAS, TWO_LINES };

struct table {
    /* Each alone on its pair of lines: the spatial prefetcher of recent Intel cores brings in pairs. */
    _Alignas(128) _Atomic uint64_t there;
    _Alignas(128) _Atomic uint64_t back;
    struct {
        _Alignas(128) uint64_t trips; /* in all batches: they go on where the last one stopped */
        uint64_t disorder;            /* bits by which numbers were not the next ones */
    } side[2];
};

/*
 * A thread waits while the last number is there. The check of the next number comes later, outside of the timed way. So
 * a wrong number is a fault in the report. Waiting for the right one would never end. A: release, pairs with B on the
 * other side. Only the number itself is handed over here. A real hand-over needs release and acquire for the work that
 * goes with it. On x86 they cost nothing beyond the plain instructions.
 */
#define SEND(line, number) atomic_store_explicit(&(line), number, memory_order_release)
/* B: acquire, pairs with A. */
#define AWAIT(line, last, relax)                                                                                       \
    while ((seen = atomic_load_explicit(&(line), memory_order_acquire)) == (last))                                     \
    relax

#define ONE_LINE(name, relax)                                                                                          \
    static void name(struct worker *worker, uint64_t trips)                                                            \
    {                                                                                                                  \
        struct table *table = worker->trial->state;                                                                    \
        uint64_t number = 2 * table->side[worker->index].trips, disorder = 0, seen;                                    \
        if (worker->index == 0)                                                                                        \
            for (uint64_t i = trips; i; i--, number += 2) {                                                            \
                SEND(table->there, number + 1);                                                                        \
                AWAIT(table->there, number + 1, relax);                                                                \
                disorder |= seen ^ (number + 2);                                                                       \
            }                                                                                                          \
        else                                                                                                           \
            for (uint64_t i = trips; i; i--, number += 2) {                                                            \
                AWAIT(table->there, number, relax);                                                                    \
                disorder |= seen ^ (number + 1);                                                                       \
                SEND(table->there, number + 2);                                                                        \
            }                                                                                                          \
        table->side[worker->index].trips += trips;                                                                     \
        table->side[worker->index].disorder |= disorder;                                                               \
    }

#define TWO_LINES_RUN(name, relax)                                                                                     \
    static void name(struct worker *worker, uint64_t trips)                                                            \
    {                                                                                                                  \
        struct table *table = worker->trial->state;                                                                    \
        uint64_t number = table->side[worker->index].trips, disorder = 0, seen;                                        \
        if (worker->index == 0)                                                                                        \
            for (uint64_t i = trips; i; i--, number++) {                                                               \
                SEND(table->there, number + 1);                                                                        \
                AWAIT(table->back, number, relax);                                                                     \
                disorder |= seen ^ (number + 1);                                                                       \
            }                                                                                                          \
        else                                                                                                           \
            for (uint64_t i = trips; i; i--, number++) {                                                               \
                AWAIT(table->there, number, relax);                                                                    \
                disorder |= seen ^ (number + 1);                                                                       \
                SEND(table->back, number + 1);                                                                         \
            }                                                                                                          \
        table->side[worker->index].trips += trips;                                                                     \
        table->side[worker->index].disorder |= disorder;                                                               \
    }

/* C: acquire and release on success, with itself on the other side. Each takes over from the other by the same instruction. A failed try
   is relaxed, because it uses nothing that it learns. */
#define CAS_RUN(name, relax)                                                                                           \
    static void name(struct worker *worker, uint64_t trips)                                                            \
    {                                                                                                                  \
        struct table *table = worker->trial->state;                                                                    \
        uint64_t number = 2 * table->side[worker->index].trips + worker->index, disorder = 0;                          \
        for (uint64_t i = trips; i; i--, number += 2) {                                                                \
            uint64_t seen = number;                                                                                    \
            while (!atomic_compare_exchange_weak_explicit(&table->there, &seen, number + 1, memory_order_acq_rel,      \
                                                          memory_order_relaxed)) {                                     \
                disorder |= seen > number; /* the other cannot be ahead of us */                                       \
                seen = number;                                                                                         \
                relax;                                                                                                 \
            }                                                                                                          \
        }                                                                                                              \
        table->side[worker->index].trips += trips;                                                                     \
        table->side[worker->index].disorder |= disorder;                                                               \
    }

#define NOTHING ((void)0)

ONE_LINE(load_store_bare, NOTHING)
ONE_LINE(load_store_pause, cpu_relax())
ONE_LINE(load_store_yield, sched_yield())
CAS_RUN(cas_bare, NOTHING)
CAS_RUN(cas_pause, cpu_relax())
CAS_RUN(cas_yield, sched_yield())
TWO_LINES_RUN(two_lines_bare, NOTHING)
TWO_LINES_RUN(two_lines_pause, cpu_relax())
TWO_LINES_RUN(two_lines_yield, sched_yield())

static void (*const loops[][3])(struct worker *, uint64_t) = {
    [LOAD_STORE] = {load_store_bare, load_store_pause, load_store_yield},
    [CAS] = {cas_bare, cas_pause, cas_yield},
    [TWO_LINES] = {two_lines_bare, two_lines_pause, two_lines_yield},
};

static int setup(struct trial *trial)
{
    if (!trial_alloc(trial, sizeof(struct table)))
        return -ENOMEM;
    /* On one CPU the other can only answer once we have left it. */
    trial->run = loops[trial->value[VARIANT]][trial->oversubscribed ? 2 : trial->value[PAUSE]];
    return 0;
}

/* Each number was handed over once and in order, and the last one is there. */
static int check(struct trial *trial)
{
    const struct table *table = trial->state;
    const uint64_t trips = table->side[0].trips, factor = trial->value[VARIANT] == TWO_LINES ? 1 : 2;
    /* Relaxed: the threads have met since. */
    const uint64_t there = atomic_load_explicit(&table->there, memory_order_relaxed);
    const uint64_t back = atomic_load_explicit(&table->back, memory_order_relaxed);

    if (table->side[0].disorder || table->side[1].disorder)
        return trial_fault(trial, "numbers came out of order (bits %" PRIx64 " and %" PRIx64 ")",
                           table->side[0].disorder, table->side[1].disorder);
    if (trips != table->side[1].trips || there != factor * trips || back != (factor == 1 ? trips : 0))
        return trial_fault(trial, "%" PRIu64 " and %" PRIu64 " trips left the numbers %" PRIu64 " and %" PRIu64, trips,
                           table->side[1].trips, there, back);
    return 0;
}

KERNEL(pingpong,
    .name       = "line/pingpong",
    .summary    = "one CPU hands a cache line to another and gets it back (one way is half of it)",
    .unit       = "round trip",
    .threads    = { .min = 2, .max = 2 },
    .place      = PLACE_PAIRS,
    .flags      = KERNEL_TWIN,
    .parameters = {
        { "variant", "", "who writes where", "load_store cas two_lines", LOAD_STORE, "load_store cas", "*", "*" },
        { "pause", "", "a spin hint between two looks", "no yes", 0, "no", "*", "*" },
    },
    .setup      = setup,
    .run        = load_store_bare,
    .check      = check);
