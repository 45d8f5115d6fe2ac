/*
 * lock/hold, lock/oversubscribed: what does it cost to take a lock, keep it for a while, and give it back?
 *
 * One operation is acquire + section + release. A thread asks for the lock again at once. The section adds one to a
 * plain counter (on its own line) and stays for section_ns. The number in the counter tells who had the lock in
 * between, at the cost of no store. A number that does not follow the thread's own last one is a change of owner. A
 * batch ends for all threads together, when the team has made as many sections as were asked of all its threads. Where
 * threads share CPUs, it ends after a time that gives each a turn. So no thread leaves the others alone early, and none
 * can keep the rest from ending. Time is that of the first thread's window divided by the mean share of a thread. That
 * is threads x time per section, whoever got the sections.
 * Excluded:  the first batches (calibration, warm-up), and the wait for the start.
 * Expect:    alone 5-25 ns (an atomic instruction or two). With two threads 50-60 ns where the holder often gets it
 *            again, five times that where each operation is a hand-over (ticket, MCS). Reference guest, section 0, ns
 *            per operation alone and with two threads: test-and-set 9 and 49, ticket 9 and 263, pthread mutex 22 and
 *            41.
 * Hazards:   a lock may be fast because one thread keeps it. See changes_per_operation, longest_run and fairness beside
 *            each figure. Oversubscribed, a queue (ticket, MCS) waits for a thread that does not run, and each
 *            hand-over is a context switch. SPINS_BEFORE_YIELD in lock/algorithms.h bounds that. The metric
 *            yields_per_operation says how often it was needed.
 * Not shown: work between two sections, which takes contention away. Readers, priorities, and more than one lock.
 */
#define _GNU_SOURCE
#include "algorithms.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>

#define MAX_SECTION_NS 1000000
/* To time a turn of the section's loop: some 10 us, the shortest of five. */
#define TIMED_TURNS 32768

/* The last batches are remembered. A profile has up to 43 of equal length. */
#define MAX_BATCHES 64
/* Where time decides: reading the clock is dearer than some locks. */
#define SECTIONS_PER_LOOK 16

enum { LOCK, SECTION };
enum { TAS, TTAS, TICKET, MCS, PTHREAD_SPIN, PTHREAD_MUTEX, FUTEX };
enum { CHANGES, LONGEST, FAIRNESS, YIELDS, SECTION_TOOK };

/* One thread's side. Written after its loop only, except `taker`. */
struct holder {
    _Alignas(128) struct taker taker;
    uint64_t total, batch, end, seen;
    /* Of batches with as many operations as the latest: those of the search for that number do not count. */
    uint64_t operations, held, changes, longest, batches;
    uint64_t share[MAX_BATCHES];
};

struct hold {
    struct locks locks;
    _Alignas(128) uint64_t count; /* of sections: written by the holder alone */
    /* The number of the latest batch whose time is over. */
    _Alignas(128) _Atomic uint64_t stopped;
    _Alignas(128) uint64_t turns;
    uint64_t ticks_per_operation; /* where time decides */
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
        me->held = me->changes = me->longest = me->batches = 0;
    }
    me->total += held;
    me->held += held;
    me->changes += changes;
    me->longest = longest > me->longest ? longest : me->longest;
    me->share[me->batches++ % MAX_BATCHES] = held;
}

/* Whether a batch goes on, at every SECTIONS_PER_LOOK-th section of a thread: the first that finds its time over stops all. */
static int in_time(struct hold *hold, uint64_t batch, uint64_t deadline)
{
    if (tick_now() < deadline)
        return 1;
    /* Relaxed: the others only stop because of it. */
    atomic_store_explicit(&hold->stopped, batch, memory_order_relaxed);
    return 0;
}

/*
 * The counter is read when the section begins and written when it ends, so two threads inside at once lose a number.
 * Threads end a batch by the number that they see. So each makes one section at least, and up to one too many, which
 * `end` takes back in the next batch. The mean share (worker->done) is the number asked for. Where time decides, it is
 * the number in the counter.
 */
#define RUN(name, lock, STAY, GO_ON, SHARE)                                                                            \
    static void name(struct worker *worker, uint64_t operations)                                                       \
    {                                                                                                                  \
        struct hold *hold = worker->trial->state;                                                                      \
        struct holder *me = &hold->holders[worker->index];                                                             \
        const uint64_t turns = hold->turns, batch = ++me->batch, end = me->end += operations * worker->team_size;      \
        const uint64_t deadline = tick_now() + operations * hold->ticks_per_operation;                                 \
        uint64_t number, held = 0, next = UINT64_MAX, run_began = UINT64_MAX, longest = 0, changes = 0;                \
                                                                                                                       \
        do {                                                                                                           \
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
            held++;                                                                                                    \
        } while (GO_ON);                                                                                               \
        longest = next - run_began > longest ? next - run_began : longest;                                             \
        keep(me, operations, held, changes - 1, longest); /* the first run of a batch is not a change */               \
        worker->done = SHARE;                                                                                          \
        me->seen = next;                                                                                               \
        (void)turns, (void)batch, (void)end, (void)deadline;                                                           \
    }

#define MADE next < end
/* Relaxed: only a hint to stop. */
#define TIME                                                                                                           \
    atomic_load_explicit(&hold->stopped, memory_order_relaxed) < batch &&                                              \
        (held % SECTIONS_PER_LOOK || in_time(hold, batch, deadline))
/* The sections since the thread last looked, divided by the threads. At least one. */
#define SEEN (next - me->seen) / worker->team_size + (next - me->seen < worker->team_size)

/* OPAQUE keeps the load of the number before the stay: the two are then in the order of the source. */
#define LONG                                                                                                           \
    OPAQUE(number);                                                                                                    \
    stay(turns)

#define RUNS(lock)                                                                                                     \
    RUN(run_##lock##_empty, lock, , MADE, operations)                                                                  \
    RUN(run_##lock##_long, lock, LONG, MADE, operations)
#define TIMED_RUNS(lock)                                                                                               \
    RUN(timed_##lock##_empty, lock, , TIME, SEEN)                                                                      \
    RUN(timed_##lock##_long, lock, LONG, TIME, SEEN)

RUNS(tas)
RUNS(ttas)
RUNS(ticket)
RUNS(mcs)
RUNS(pthread_spin)
RUNS(pthread_mutex)
RUNS(futex)
TIMED_RUNS(tas)
TIMED_RUNS(ttas)
TIMED_RUNS(ticket)
TIMED_RUNS(mcs)
TIMED_RUNS(pthread_spin_shared)
TIMED_RUNS(pthread_mutex)
TIMED_RUNS(futex)

/* How many of the threads have to share the first one's CPU. */
static unsigned threads_per_cpu(const struct trial *trial)
{
    unsigned count = 0;

    for (unsigned i = 0; i < trial->team_size; i++)
        count += trial->cpus[i] == trial->cpus[0];
    return count;
}

static int setup(struct trial *trial)
{
#define FUNCTIONS(lock, shared)                                                                                        \
    {                                                                                                                  \
        {run_##lock##_empty, run_##lock##_long},                                                                       \
        {                                                                                                              \
            timed_##shared##_empty, timed_##shared##_long                                                              \
        }                                                                                                              \
    }
    static void (*const runs[][2][2])(struct worker *, uint64_t) = {
        [TAS] = FUNCTIONS(tas, tas),
        [TTAS] = FUNCTIONS(ttas, ttas),
        [TICKET] = FUNCTIONS(ticket, ticket),
        [MCS] = FUNCTIONS(mcs, mcs),
        [PTHREAD_SPIN] = FUNCTIONS(pthread_spin, pthread_spin_shared),
        [PTHREAD_MUTEX] = FUNCTIONS(pthread_mutex, pthread_mutex),
        [FUTEX] = FUNCTIONS(futex, futex),
    };
    const int64_t section_ns = trial->value[SECTION];
    struct hold *hold;

    if (section_ns < 0 || section_ns > MAX_SECTION_NS)
        return trial_fault(trial, "section_ns=%" PRId64 " is not between 0 and %d", section_ns, MAX_SECTION_NS);
    hold = trial_alloc(trial, sizeof *hold + trial->team_size * sizeof *hold->holders);
    if (!hold)
        return -ENOMEM;
    trial->run = runs[trial->value[LOCK]][trial->oversubscribed != 0][section_ns > 0];
    trial->measured = 1;
    if (section_ns > 0)
        hold->turns = (uint64_t)ceil((double)section_ns * trial->tick_hz / 1e9 / ticks_per_turn());
    /* An operation is as long as a batch of other cases, for each thread of a CPU. The engine asks for more than one of
       them, so that there are several turns of the scheduler in a batch. */
    hold->ticks_per_operation = (uint64_t)((double)trial->batch_ns * trial->tick_hz / 1e9 * threads_per_cpu(trial));
    return locks_open(&hold->locks);
}

/* The smallest share of a batch over its largest, as the median of all batches. */
static double fairness(const struct trial *trial, const struct hold *hold)
{
    const uint64_t batches = hold->holders[0].batches < MAX_BATCHES ? hold->holders[0].batches : MAX_BATCHES;
    double quotients[MAX_BATCHES];

    for (uint64_t batch = 0; batch < batches; batch++) {
        uint64_t smallest = UINT64_MAX, largest = 0;

        for (unsigned i = 0; i < trial->team_size; i++) {
            const uint64_t share = hold->holders[i].share[batch];

            smallest = share < smallest ? share : smallest;
            largest = share > largest ? share : largest;
        }
        quotients[batch] = (double)smallest / (double)largest;
    }
    return median_of(quotients, batches);
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
    trial->metric[FAIRNESS] = fairness(trial, hold);
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
    .summary    = "threads take a lock of some kind, hold it for a set time, and give it back",
    .unit       = "section",
    .threads    = { .min = 1, .max = MAX_TEAM },
    .place      = PLACE_SWEEP,
    .flags      = KERNEL_TWIN,
    .parameters = {
        [LOCK]    = LOCKS("tas ticket pthread_mutex", "*"),
        [SECTION] = { .name = "section_ns", .unit = "ns", .summary = "time under the lock beside adding one",
                      .initial = 0, .standard = "0 100 1000", .rigorous = "0 100 1000 10000" },
    },
    .metrics    = METRICS,
    .setup      = setup,
    .run        = run_ttas_empty,
    .check      = check);

/* A separate row, because each oversubscribed case costs as much as ten others. */
KERNEL(oversubscribed,
    .name       = "lock/oversubscribed",
    .summary    = "threads take a lock and give it back, with one, two or four of them on each CPU",
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
