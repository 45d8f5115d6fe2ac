/*
 * lock/hold, lock/oversubscribed: what does it cost to take a lock, do something under it, and give it back, by the kind of lock and the number of
 * threads that want it?
 *
 * One operation is acquire + section + release; a thread asks for the lock again at once. The section adds one to a plain counter (on
 * a line of its own) and stays for section_ns. The number that the counter shows tells who had it in between: it costs no store, and
 * a number that does not follow the thread's own last one is a change of owner.
 * The first thread makes the operations of the batch, the others go on until it is done: all want the lock all the time.
 * Excluded:  the first batches (calibration, warm-up), the wait for the start.
 * Expect:    alone 5-25 ns (an atomic instruction or two). With two threads 50-60 ns where the holder often gets it again, five times
 *            that where each operation is a hand-over (ticket, MCS): reference guest, section 0, ns per operation alone and with two
 *            threads: test-and-set 9 and 49, ticket 9 and 263, pthread mutex 22 and 41.
 * Hazards:   a lock that is fast because one thread keeps it: see changes_per_operation, longest_run and fairness beside each figure.
 *            Oversubscribed, a queue (ticket, MCS) waits for a thread that does not run, and each hand-over is a context switch.
 *            SPINS_BEFORE_YIELD in lock_algorithms.h bounds that; yields_per_operation says how often it was needed.
 * Not shown: work between two sections, which takes contention away; readers; priorities; more than one lock.
 */
#define _GNU_SOURCE
#include "lock_algorithms.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#define MAX_SECTION_NS 1000000
/* To time a turn of the section's loop: some 10 us, the shortest of five. */
#define TIMED_TURNS 32768

enum { LOCK, SECTION };
enum { TAS, TTAS, TICKET, MCS, PTHREAD_SPIN, PTHREAD_MUTEX, FUTEX };
enum { CHANGES, LONGEST, FAIRNESS, YIELDS, SECTION_TOOK };

/* One thread's side. Written after its loop only, except `taker`. */
struct holder {
    _Alignas(128) struct taker taker;
    uint64_t total;
    /* Of batches with as many operations as the latest: those of the search for that number do not count. */
    uint64_t operations, held, changes, longest;
};

struct hold {
    struct locks locks;
    _Alignas(128) uint64_t count; /* of sections: written by the holder alone */
    _Alignas(128) uint64_t turns;
    struct holder holders[];
};

/* Time under the lock: one cycle a turn, in registers only. */
static inline void stay(uint64_t turns)
{
    for (; turns > 0; turns--)
        OPAQUE(turns);
}

static double ticks_per_turn(void)
{
    uint64_t shortest = UINT64_MAX;

    for (int i = 0; i < 5; i++) {
        const uint64_t begin = tick_begin();
        uint64_t ticks;

        stay(TIMED_TURNS);
        ticks = tick_end() - begin;
        shortest = ticks < shortest ? ticks : shortest;
    }
    return (double)shortest / TIMED_TURNS;
}

static void keep(struct holder *me, uint64_t operations, uint64_t held, uint64_t changes, uint64_t longest)
{
    if (operations != me->operations) {
        me->operations = operations;
        me->held = me->changes = me->longest = 0;
    }
    me->total += held;
    me->held += held;
    me->changes += changes;
    me->longest = longest > me->longest ? longest : me->longest;
}

/* The counter is read when the section begins and written when it ends: two threads inside at once lose a number. */
#define RUN(lock, length, STAY)                                                                                        \
    static void run_##lock##_##length(struct worker *worker, uint64_t operations)                                      \
    {                                                                                                                  \
        struct hold *hold = worker->trial->state;                                                                      \
        struct holder *me = &hold->holders[worker->index];                                                             \
        /* The others have no number to make: they are told when to stop. */                                           \
        const uint64_t turns = hold->turns, most = worker->index == 0 ? operations : UINT64_MAX;                       \
        uint64_t held = 0, next = UINT64_MAX, run_began = UINT64_MAX, longest = 0, changes = 0;                        \
                                                                                                                       \
        (void)turns;                                                                                                   \
        do {                                                                                                           \
            uint64_t number;                                                                                           \
                                                                                                                       \
            acquire_##lock(&hold->locks, &me->taker);                                                                  \
            number = hold->count;                                                                                      \
            STAY;                                                                                                      \
            hold->count = number + 1;                                                                                  \
            release_##lock(&hold->locks, &me->taker);                                                                  \
            if (number != next) { /* somebody else had it: a run of ours begins */                                     \
                longest = next - run_began > longest ? next - run_began : longest;                                     \
                run_began = number;                                                                                    \
                changes++;                                                                                             \
            }                                                                                                          \
            next = number + 1;                                                                                         \
        } while (++held < most && !leader_has_ended(worker));                                                          \
        longest = next - run_began > longest ? next - run_began : longest;                                             \
        keep(me, operations, held, changes - 1, longest); /* the first run of a batch is no change */                  \
        worker->done = held;                                                                                           \
    }

/* OPAQUE keeps the load of the number before the stay: the two are then in the order of the source. */
#define RUNS(lock)                                                                                                     \
    RUN(lock, empty, (void)0)                                                                                          \
    RUN(lock, long, OPAQUE(number); stay(turns))

RUNS(tas)
RUNS(ttas)
RUNS(ticket)
RUNS(mcs)
RUNS(pthread_spin)
RUNS(pthread_spin_shared)
RUNS(pthread_mutex)
RUNS(futex)

static int setup(struct trial *trial)
{
    static void (*const runs[][2])(struct worker *, uint64_t) = {
        [TAS] = {run_tas_empty, run_tas_long},
        [TTAS] = {run_ttas_empty, run_ttas_long},
        [TICKET] = {run_ticket_empty, run_ticket_long},
        [MCS] = {run_mcs_empty, run_mcs_long},
        [PTHREAD_SPIN] = {run_pthread_spin_empty, run_pthread_spin_long},
        [PTHREAD_MUTEX] = {run_pthread_mutex_empty, run_pthread_mutex_long},
        [FUTEX] = {run_futex_empty, run_futex_long},
    };
    const int64_t section_ns = trial->value[SECTION];
    struct hold *hold;

    if (section_ns < 0 || section_ns > MAX_SECTION_NS)
        return trial_fault(trial, "section_ns=%" PRId64 " is not between 0 and %d", section_ns, MAX_SECTION_NS);
    hold = trial_alloc(trial, sizeof *hold + trial->team_size * sizeof *hold->holders);
    if (!hold)
        return -ENOMEM;
    trial->run = runs[trial->value[LOCK]][section_ns > 0];
    if (trial->value[LOCK] == PTHREAD_SPIN && trial->oversubscribed)
        trial->run = section_ns > 0 ? run_pthread_spin_shared_long : run_pthread_spin_shared_empty;
    if (section_ns > 0)
        hold->turns = (uint64_t)ceil((double)section_ns * trial->tick_hz / 1e9 / ticks_per_turn());
    return locks_open(&hold->locks);
}

/* A batch's smallest share of the operations over its largest; the median of the batches. */
static double fairness(const struct trial *trial)
{
    const uint64_t batches = trial->sample_count / trial->team_size;
    double *quotients = batches ? malloc(batches * sizeof *quotients) : NULL, median = NAN;

    for (uint64_t batch = 0; quotients && batch < batches; batch++) {
        const struct sample *samples = &trial->samples[batch * trial->team_size];
        int64_t smallest = INT64_MAX, largest = 1;

        for (unsigned i = 0; i < trial->team_size; i++) {
            smallest = samples[i].operations < smallest ? samples[i].operations : smallest;
            largest = samples[i].operations > largest ? samples[i].operations : largest;
        }
        quotients[batch] = (double)smallest / (double)largest;
    }
    if (quotients)
        median = median_of(quotients, batches);
    free(quotients);
    return median;
}

/* Mutual exclusion: no number was given out twice, so that the count is the sum of all sections. */
static int check(struct trial *trial)
{
    const struct hold *hold = trial->state;
    uint64_t total = 0, held = 0, changes = 0, longest = 0, yields = 0;

    for (unsigned i = 0; i < trial->team_size; i++) {
        const struct holder *holder = &hold->holders[i];

        total += holder->total;
        held += holder->held;
        changes += holder->changes;
        longest = holder->longest > longest ? holder->longest : longest;
        yields += holder->taker.yields;
    }
    if (hold->count != total)
        return trial_fault(trial, "the counter under the lock shows %" PRIu64 " after %" PRIu64 " sections",
                           hold->count, total);
    trial->metric[CHANGES] = (double)changes / (double)held;
    trial->metric[LONGEST] = (double)longest;
    trial->metric[FAIRNESS] = fairness(trial);
    trial->metric[YIELDS] = (double)yields / (double)total;
    trial->metric[SECTION_TOOK] = hold->turns ? (double)hold->turns * ticks_per_turn() * 1e9 / trial->tick_hz : 0;
    return 0;
}

#define LOCKS(quick_sweep, standard_sweep)                                                                             \
    {                                                                                                                  \
        .name = "lock", .summary = "kind of lock", .labels = "tas ttas ticket mcs pthread_spin pthread_mutex futex",   \
        .initial = TTAS, .quick = quick_sweep, .standard = standard_sweep, .rigorous = "*"                             \
    }

#define METRICS                                                                                                        \
    {                                                                                                                  \
        [CHANGES] = {"changes_per_operation", "per operation", "changes of owner: 0 one keeps it, 1 hand-overs only"}, \
        [LONGEST] = {"longest_run", "operations", "of one thread in a row, in one batch"},                             \
        [FAIRNESS] = {"fairness", "share", "smallest share of a batch over the largest; median of batches"},           \
        [YIELDS] = {"yields_per_operation", "per operation", "times that a waiter gave its CPU away"},                 \
        [SECTION_TOOK] = {"section_took_ns", "ns", "time under the lock as timed afterwards, without adding one"},     \
    }

KERNEL(hold,
    .name       = "lock/hold",
    .summary    = "take a lock, stay, give it back: by kind of lock, length of section and number of threads",
    .unit       = "section",
    .threads    = { .min = 1, .max = MAX_TEAM },
    .place      = PLACE_SWEEP,
    .parameters = {
        [LOCK]    = LOCKS("tas ticket pthread_mutex", "*"),
        [SECTION] = { .name = "section_ns", .unit = "ns", .summary = "time under the lock beside adding one",
                      .initial = 0, .standard = "0 100 1000", .rigorous = "0 100 1000 10000" },
    },
    .metrics    = METRICS,
    .setup      = setup,
    .run        = run_ttas_empty,
    .check      = check);

/* A row of its own, because each oversubscribed case costs as much as ten others. */
KERNEL(oversubscribed,
    .name       = "lock/oversubscribed",
    .summary    = "the same with 2 and 4 times as many threads as CPUs, beside as many as CPUs",
    .unit       = "section",
    .threads    = { .min = 1, .max = MAX_TEAM },
    .place      = PLACE_SWEEP,
    .flags      = KERNEL_OVERSUBSCRIBE,
    .parameters = {
        [LOCK]    = LOCKS("pthread_mutex", "ttas ticket pthread_mutex"),
        [SECTION] = { .name = "section_ns", .unit = "ns", .summary = "time under the lock beside adding one",
                      .initial = 0, .rigorous = "0 1000" },
    },
    .metrics    = METRICS,
    .setup      = setup,
    .run        = run_ttas_empty,
    .check      = check);
