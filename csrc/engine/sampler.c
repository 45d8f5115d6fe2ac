/*
 * One case, measured: everything that opens and closes a timed window.
 *
 *   capabilities -> threads pinned -> setup -> core clock -> empty window -> operations per batch -> warm-up -> batches
 *   -> core clock again -> check -> teardown
 *
 * A window holds nothing but one call of the kernel's loop. What surrounds it (context switches, faults, the CPU number) is read
 * outside, and the empty window of the same shape is handed on for subtraction.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <math.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine.h"
#include "window_mean.h"

/* A batch is at least this many steps of the counter, so that reading it costs at most one part in a thousand ... */
#define MIN_QUANTA 1000
/* ... and at least this long (measurement rule: 20-200 us, short enough to dodge most gaps). */
#define MIN_BATCH_NS 20000
/* Seen with steps of 26 ticks: the mean of so many windows is good to half a tick. */
#define EMPTY_WINDOWS 512
/* Windows tried at one number of operations: the shortest counts, the others may have met a gap. */
#define CALIBRATION_TRIES 3
/* Two that differ by no more met no gap, and a third would say the same. */
#define AGREEMENT 0.01
/* From one number of operations tried to the next, at most: a first window with cold code says little about the thousandth. */
#define MOST_GROWTH 16
#define MAX_OPERATIONS ((uint64_t)1 << 40)
/* A team that ran together for less than half of the window measured something else. */
#define LOW_OVERLAP 0.5f
/* Expected times, here and in the kernels' cost_ns, are fitted to stored runs: two of the profile standard in calm hours (972 cases, 20
   rounds) and one of quick, on a guest of an AMD EPYC with two CPUs. A case beside its batches: the core-clock probes, the empty windows and
   the first steps of the search, seen 0.35-0.5 ms; and the windows of the search that are as long as a batch. */
#define CASE_OVERHEAD_NS 430000
#define SEARCH_BATCHES 3
/* A team beside that: threads that are started, pinned and meet before and after each window; 0.5 to 0.7 ms with the raw ping-pong. */
#define TEAM_OVERHEAD_NS 300000
#define SERIES_BATCHES 2048
/* glibc's own limit at the start of a process. */
#define LARGE_BLOCK_BYTES (128 << 10)
/* With more threads than CPUs a window has to hold several turns of the scheduler (3-4 ms each): so much of worker 0's own time, in so
   many batches. A case of this kind costs as much as ten others. */
#define OVERSUBSCRIBED_NS UINT64_C(6000000)
#define OVERSUBSCRIBED_BATCHES 2

/* So long a reading of the core clock stands for the present: the time of a check, of a record and of the next team's threads. A clock
   wanders over seconds (seen 2.7-3.0 GHz in 30 s), and a governor looks every few milliseconds at best. */
#define SAME_CLOCK_NS 1e6

/* The raw ping-pong beside each case of a team: 5 x 200 round trips, some 0.2 ms; the median of the five dodges gaps. */
#define RAW_TRIPS 200
#define RAW_COST_NS 200000
#define RAW_REPEATS 5
/* The machine's hand-over cost drifts (seen 115-450 ns within an hour). By more than this between before and after: flagged. */
#define RAW_DRIFT 1.35

struct window {
    uint64_t begin, end;
};

struct session {
    struct team team;
    struct trial trial;
    struct settings settings;
    struct sample *samples;
    struct bucket *buckets;
    uint64_t bucket_capacity;
    struct outcome *outcome;
    struct window *windows; /* one per worker, of the batch under way */
    int64_t *events;
    uint64_t event_count;
    uint64_t operations;
    uint64_t began_ticks;
    struct chains before, after;
    double raw_before_ticks, raw_after_ticks;
    _Alignas(128) _Atomic uint64_t raw_line; /* alone on its pair of lines */
};

int trial_needs(struct trial *trial, const char *need)
{
    trial->need = need;
    return -ENOTSUP;
}

int trial_fault(struct trial *trial, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(trial->explanation, sizeof trial->explanation, format, arguments);
    va_end(arguments);
    return -EILSEQ;
}

static void run_empty(struct worker *worker, uint64_t operations)
{
    (void)worker;
    (void)operations;
}

/* The window. Not inlined, so that the empty window and every kernel's have the same shape: one indirect call between two reads. */
static __attribute__((noinline)) struct window timed(void (*run)(struct worker *, uint64_t), struct worker *worker,
                                                     uint64_t operations)
{
    struct window window;

    window.begin = tick_begin();
    run(worker, operations);
    window.end = tick_end();
    return window;
}

/*
 * The mean of windows that begin at random within a step of the counter. Not the median: where the counter moves in steps of many
 * ticks, that is a whole number of steps, and off by up to half of one (seen: 10 ticks of 26).
 */
static double measure_empty(struct worker *worker)
{
    void (*run)(struct worker *, uint64_t) = run_empty;
    int64_t windows[EMPTY_WINDOWS];
    uint64_t random = tick_now() | 1, kept;

    OPAQUE(run); /* a call through a pointer, like the kernel's */
    for (int i = 0; i < EMPTY_WINDOWS; i++) {
        struct window window;

        random_pause(&random);
        window = timed(run, worker, 1);
        windows[i] = (int64_t)(window.end - window.begin);
    }
    return mean_without_gaps(windows, EMPTY_WINDOWS, worker->trial->quantum_ticks, &kept);
}

/*
 * The core clock from the multiply chain, three cycles an instruction: it has slack, so that a busy sibling thread of the host
 * disturbs it less than the add chain (seen: 3 % on the add, nothing on the multiply). The add chain is the control: only where
 * the two stand 1 to 3 is this figure cycles.
 */
static double core_hz(const struct chains *chains)
{
    return 3 * chains->mul_hz;
}

/* Whether nobody has failed: the same answer to the whole team. */
static int all_well(struct session *session)
{
    return team_meet(&session->team) == 0;
}

static void fail_from(struct session *session, int status, const char *stage)
{
    const struct trial *trial = &session->trial;

    if (status == -ENOTSUP)
        team_fail(&session->team, status, "needs %s", trial->need ? trial->need : "something this machine lacks");
    else
        team_fail(&session->team, status, "%s failed: %s", stage,
                  trial->explanation[0] ? trial->explanation : strerror(-status));
}

/* One batch of the whole team; worker 0's window is returned. */
static uint64_t team_window(struct session *session, struct worker *worker, uint64_t operations)
{
    struct window *window = &session->windows[worker->index];

    worker->done = operations;
    if (worker->index == 0)
        __atomic_store_n(&session->team.leader_end, 0,
                         __ATOMIC_RELAXED); /* passed on by the meetings before the start */
    team_start(worker);
    *window = timed(session->trial.run, worker, operations);
    if (worker->index == 0)
        /* Relaxed, pairs with leader_has_ended(): it carries nothing but itself. */
        __atomic_store_n(&session->team.leader_end, 1, __ATOMIC_RELAXED);
    team_meet(&session->team);
    return session->windows[0].end - session->windows[0].begin;
}

/* At least so many operations, in whole granules. */
static uint64_t granules(const struct trial *trial, double operations)
{
    return trial->granule * (uint64_t)fmax(1, ceil(operations / (double)trial->granule));
}

/* Operations such that worker 0's window lasts the target. Every worker computes the same from the same windows. */
static uint64_t calibrate(struct session *session, struct worker *worker)
{
    const struct trial *trial = &session->trial;
    const double target =
        fmax((double)trial->batch_ns * trial->tick_hz / 1e9, 1.1 * MIN_QUANTA * (double)trial->quantum_ticks);
    uint64_t operations = trial->granule;

    for (;;) {
        double shortest = INFINITY, factor;

        for (int i = 0; i < CALIBRATION_TRIES; i++) {
            const double ticks = (double)team_window(session, worker, operations) - trial->overhead_ticks;
            const int agree = i > 0 && fabs(ticks - shortest) <= AGREEMENT * shortest;

            team_meet(&session->team); /* the windows are read: the next batch may write them */
            shortest = fmin(shortest, ticks);
            /* Gaps do not agree; or the step is the largest already, and a shorter window could only ask for more. */
            if (agree || shortest * MOST_GROWTH <= target)
                break;
        }
        /* Close enough when half of the target is reached: one more step in proportion. Below that the overhead still disturbs. */
        factor = target / fmax(shortest, 1);
        if (factor <= 2 || operations >= MAX_OPERATIONS)
            return granules(trial, (double)operations * factor);
        operations = granules(trial, (double)operations * fmin(factor, MOST_GROWTH));
    }
}

/* More threads than CPUs: whatever waits for another thread may wait for the scheduler, and a hand-over says nothing about lines. */
static int oversubscribed(const struct trial *trial)
{
    for (unsigned i = 0; i < trial->team_size; i++)
        for (unsigned j = 0; j < i; j++)
            if (trial->cpus[i] == trial->cpus[j])
                return 1;
    return 0;
}

/*
 * One line between workers 0 and 1, by load and store: what every figure with several CPUs is divided by, so that it can be compared
 * with one taken in another hour. Round trip in ticks, for worker 0; NaN for a single thread and where CPUs are shared.
 */
static double raw_round_trip(struct session *session, struct worker *worker)
{
    _Atomic uint64_t *line = &session->raw_line;
    double repeats[RAW_REPEATS];

    if (session->team.size < 2 || session->trial.oversubscribed)
        return NAN;
    for (int repeat = 0; repeat < RAW_REPEATS; repeat++) {
        uint64_t begin;

        if (worker->index == 0)
            atomic_store_explicit(line, 0, memory_order_relaxed); /* published by the meeting in team_start */
        team_start(worker);
        begin = tick_begin();
        if (worker->index == 0)
            for (uint64_t i = 1; i < 2 * RAW_TRIPS; i += 2) {
                atomic_store_explicit(line, i,
                                      memory_order_release); /* A: pairs with B; nothing but the number is passed */
                while (atomic_load_explicit(line, memory_order_acquire) != i + 1) /* D: pairs with C */
                    ;
            }
        else if (worker->index == 1)
            for (uint64_t i = 1; i < 2 * RAW_TRIPS; i += 2) {
                while (atomic_load_explicit(line, memory_order_acquire) != i) /* B: pairs with A */
                    ;
                atomic_store_explicit(line, i + 1,
                                      memory_order_release); /* C: pairs with D; without it both wait for ever */
            }
        repeats[repeat] = (double)(tick_end() - begin) / RAW_TRIPS;
        team_meet(&session->team);
    }
    return median_of(repeats, RAW_REPEATS);
}

static float team_overlap(const struct session *session)
{
    uint64_t first = UINT64_MAX, last = 0, latest_begin = 0, earliest_end = UINT64_MAX;

    for (unsigned i = 0; i < session->team.size; i++) {
        const struct window *w = &session->windows[i];

        first = w->begin < first ? w->begin : first;
        last = w->end > last ? w->end : last;
        latest_begin = w->begin > latest_begin ? w->begin : latest_begin;
        earliest_end = w->end < earliest_end ? w->end : earliest_end;
    }
    return earliest_end > latest_begin ? (float)(earliest_end - latest_begin) / (float)(last - first) : 0;
}

/* What is read around a window, never in it. */
struct surroundings {
    struct rusage usage;
    int cpu;
};

static struct surroundings look_around(void)
{
    struct surroundings here;

    getrusage(RUSAGE_THREAD, &here.usage);
    here.cpu = sched_getcpu();
    return here;
}

static struct sample make_sample(const struct worker *worker, uint64_t batch, const struct surroundings *before,
                                 const struct surroundings *after)
{
    struct sample sample = {
        .batch = (int32_t)batch,
        .thread = (int32_t)worker->index,
        .cpu_begin = before->cpu,
        .cpu_end = after->cpu,
        .voluntary = (int32_t)(after->usage.ru_nvcsw - before->usage.ru_nvcsw),
        .involuntary = (int32_t)(after->usage.ru_nivcsw - before->usage.ru_nivcsw),
        .minor_faults = (int32_t)(after->usage.ru_minflt - before->usage.ru_minflt),
        .major_faults = (int32_t)(after->usage.ru_majflt - before->usage.ru_majflt),
        .overlap = 1,
    };

    if (before->cpu != worker->cpu || after->cpu != worker->cpu)
        sample.flags |= FLAG_MIGRATED;
    if (sample.voluntary || sample.involuntary)
        sample.flags |= FLAG_SWITCHED;
    if ((sample.minor_faults || sample.major_faults) && !(worker->trial->kernel->flags & KERNEL_FAULTS))
        sample.flags |= FLAG_FAULTED;
    return sample;
}

static void loop_batches(struct session *session, struct worker *worker)
{
    struct trial *trial = &session->trial;
    const unsigned size = session->team.size, measured = trial->measured;
    /* Where threads take turns on a CPU, nothing stays warm over a turn, and a window may have to wait for several. */
    const uint64_t warmups =
        trial->oversubscribed && session->settings.warmup_batches ? 1 : session->settings.warmup_batches;
    uint64_t operations;
    double misses = NAN;

    operations = calibrate(session, worker);
    if (worker->index == 0)
        session->operations = operations;
    for (uint64_t i = 0; i < warmups; i++)
        team_window(session, worker, operations);
    if (trial->oversubscribed)
        operations = granules(trial, (double)operations * fmax(1, (double)OVERSUBSCRIBED_NS / (double)trial->batch_ns));
    if (worker->index == 0)
        misses = branch_misses(trial);
    for (uint64_t batch = 0; batch < trial->batches; batch++) {
        const struct surroundings before = look_around();
        struct surroundings after;
        struct sample sample;
        const struct window *window = &session->windows[worker->index];
        double net;

        team_window(session, worker, operations);
        after = look_around();
        sample = make_sample(worker, batch, &before, &after);
        sample.ticks = (int64_t)(window->end - window->begin);
        sample.operations = (int64_t)worker->done;
        sample.begin_ticks = (int64_t)(window->begin - session->began_ticks);
        net = (double)sample.ticks - trial->overhead_ticks;
        if (net < MIN_QUANTA * (double)trial->quantum_ticks || net < MIN_BATCH_NS * trial->tick_hz / 1e9)
            sample.flags |= FLAG_SHORT;
        if (size > 1) {
            sample.overlap = team_overlap(session);
            if (sample.overlap < LOW_OVERLAP)
                sample.flags |= FLAG_LOW_OVERLAP;
        }
        if (trial->oversubscribed) /* taking turns is what such a case is about */
            sample.flags &= ~(FLAG_SWITCHED | FLAG_LOW_OVERLAP);
        if (worker->index < measured)
            session->samples[batch * measured + worker->index] = sample;
        team_meet(&session->team); /* the windows are read: the next batch may write them */
    }
    if (worker->index == 0) {
        session->outcome->samples = (int64_t)(trial->batches * measured);
        trial->samples = session->samples;
        trial->sample_count = trial->batches * measured;
        trial->misses_per_operation = (branch_misses(trial) - misses) / (double)(trial->batches * operations);
    }
}

static void event_batches(struct session *session, struct worker *worker)
{
    const struct kernel *kernel = session->trial.kernel;
    const uint64_t per_batch = kernel->events_per_batch;
    double *scratch = NULL;
    int64_t filled = 0;

    if (worker->index == 0) {
        scratch = malloc(per_batch * sizeof *scratch);
        session->events = malloc(session->trial.batches * per_batch * sizeof *session->events);
        if (!scratch || !session->events)
            team_fail(&session->team, -ENOMEM, "no memory for %llu events",
                      (unsigned long long)(session->trial.batches * per_batch));
        else /* touched now: the page fault of a first store would be an event of our own making (not zeros: gcc makes calloc of that) */
            memset(session->events, 0xff, session->trial.batches * per_batch * sizeof *session->events);
    }
    for (uint64_t batch = 0; all_well(session) && batch < session->trial.batches; batch++) {
        /* Workers other than 0 take part, but their count is not kept: they get a buffer of length 0. */
        int64_t *ticks = worker->index == 0 ? session->events + session->event_count : NULL;
        const struct surroundings before = look_around();
        const uint64_t begin = tick_now();
        const int64_t got = kernel->events(worker, ticks, worker->index == 0 ? per_batch : 0);
        const struct surroundings after = look_around();

        if (got < 0) {
            fail_from(session, (int)got, "measuring");
        } else if (worker->index == 0 && got > 0) {
            struct sample sample = make_sample(worker, batch, &before, &after);

            /* A sleeping or waiting event switches context by its nature: no reason to flag it. */
            sample.flags &= ~FLAG_SWITCHED;
            for (int64_t i = 0; i < got; i++)
                scratch[i] = (double)ticks[i];
            sample.ticks = (int64_t)llround(median_of(scratch, (size_t)got));
            sample.operations = 1;
            sample.begin_ticks = (int64_t)(begin - session->began_ticks);
            session->samples[filled++] = sample;
            session->event_count += (uint64_t)got;
        }
    }
    free(scratch);
    if (worker->index == 0)
        session->outcome->samples = filled;
}

/* Sort, count equal values; if there are more than fit, count them in steps of 1/128 of their size. */
static void make_histogram(struct session *session)
{
    const uint64_t count = session->event_count;
    int64_t *events = session->events;
    struct outcome *outcome = session->outcome;

    outcome->events = (int64_t)count;
    qsort(events, count, sizeof *events, compare_int64);
    for (int coarse = 0; coarse < 2; coarse++) {
        uint64_t buckets = 0;

        for (uint64_t i = 0; i < count && buckets <= session->bucket_capacity; i++) {
            int64_t value = events[i];

            if (coarse && value >= 256)
                value &= ~(((int64_t)1 << (56 - __builtin_clzll((unsigned long long)value))) -
                           1); /* keep the leading 8 bits */
            if (buckets && session->buckets[buckets - 1].ticks == value)
                session->buckets[buckets - 1].count++;
            else if (buckets++ < session->bucket_capacity)
                session->buckets[buckets - 1] = (struct bucket){value, 1};
        }
        outcome->buckets = (int64_t)buckets;
        if (buckets <= session->bucket_capacity)
            return;
    }
    outcome->buckets = (int64_t)session->bucket_capacity;
}

/* The latest reading of the core clock in this process; written by worker 0 of one team after the other. */
static struct {
    struct chains chains;
    uint64_t ticks; /* 0: none yet */
    int cpu;
} latest_clock;

static void read_clock(const struct worker *worker, struct chains *chains)
{
    probe_chains(worker->trial->tick_hz, chains);
    latest_clock.chains = *chains;
    latest_clock.cpu = worker->cpu;
    latest_clock.ticks = tick_now();
}

/* The reading after one case is the one before the next, where that follows on the same CPU at once: they would stand side by side. */
static void read_clock_before(const struct worker *worker, struct chains *chains)
{
    const double since_ns = (double)(tick_now() - latest_clock.ticks) * 1e9 / worker->trial->tick_hz;

    if (latest_clock.ticks && latest_clock.cpu == worker->cpu && since_ns <= SAME_CLOCK_NS)
        *chains = latest_clock.chains;
    else
        read_clock(worker, chains);
}

static void prepare(struct session *session, struct worker *worker)
{
    struct trial *trial = &session->trial;
    int status = 0;

    read_clock_before(worker, &session->before);
    trial->core_hz = isnan(session->before.mul_hz) ? 0 : core_hz(&session->before);
    trial->overhead_ticks = measure_empty(worker);
    if (trial->kernel->setup)
        status = trial->kernel->setup(trial);
    if (status)
        fail_from(session, status, "setup");
    else if (trial->kernel->run && !trial->run)
        trial->run = trial->kernel->run;
}

static void finish(struct session *session, const struct worker *worker)
{
    struct trial *trial = &session->trial;
    const char *overwritten;
    int status;

    read_clock(worker, &session->after);
    if (session->events)
        make_histogram(session);
    status = trial->kernel->check(trial);
    overwritten = allocations_fault(trial);
    if (overwritten)
        team_fail(&session->team, -EFAULT, "the kernel %s", overwritten);
    else if (status)
        fail_from(session, status, "check");
}

static void body(struct worker *worker, void *context)
{
    struct session *session = context;
    struct trial *trial = &session->trial;

    if (worker->index == 0) {
        if (trial->kernel->flags & KERNEL_MISSES)
            trial->miss_counter = branch_misses_open();
        prepare(session, worker);
    }
    if (all_well(session)) {
        const double before = raw_round_trip(session, worker);
        double after;

        if (trial->kernel->run)
            loop_batches(session, worker);
        else
            event_batches(session, worker);
        after = raw_round_trip(session, worker);
        if (worker->index == 0) {
            session->raw_before_ticks = before;
            session->raw_after_ticks = after;
        }
        if (all_well(session) && worker->index == 0)
            finish(session, worker);
    }
    if (worker->index == 0 && trial->kernel->teardown)
        trial->kernel->teardown(trial);
    if (worker->index == 0 && trial->miss_counter)
        close(trial->miss_counter);
}

uint64_t trial_samples(const struct kernel *kernel, unsigned team_size, const struct settings *settings)
{
    const uint64_t batches = kernel->batches ? kernel->batches : settings->batches;

    return (kernel->flags & KERNEL_ONCE && batches < SERIES_BATCHES ? SERIES_BATCHES : batches) * team_size;
}

/* How many CPUs this process may use; 1 where that cannot be read. */
static unsigned mask_size(void)
{
    const size_t bytes = CPU_ALLOC_SIZE(MAX_CPUS);
    cpu_set_t *mask = CPU_ALLOC(MAX_CPUS);
    const int known = mask && sched_getaffinity(0, bytes, mask) == 0;
    const unsigned count = known ? (unsigned)CPU_COUNT_S(bytes, mask) : 1;

    CPU_FREE(mask);
    return count;
}

uint64_t trial_cost_ns(const struct kernel *kernel, const int64_t *values, unsigned team_size,
                       const struct settings *settings)
{
    struct trial trial = {.kernel = kernel, .team_size = team_size, .batch_ns = settings->batch_ns};
    const unsigned cpus = mask_size();
    uint64_t cost = CASE_OVERHEAD_NS + (team_size > 1 ? 2 * RAW_COST_NS + TEAM_OVERHEAD_NS * team_size / 2 : 0);

    memcpy(trial.value, values, sizeof trial.value);
    trial.batches = kernel->batches ? kernel->batches : settings->batches;
    if (kernel->run)
        cost += (trial.batches + settings->warmup_batches + SEARCH_BATCHES) * settings->batch_ns;
    if (kernel->run && kernel->flags & KERNEL_OVERSUBSCRIBE && team_size > cpus)
        cost +=
            (OVERSUBSCRIBED_BATCHES + 2) * OVERSUBSCRIBED_NS * team_size / cpus; /* and warming up, and the search */
    return cost + (kernel->cost_ns ? kernel->cost_ns(&trial) : 0);
}

static double mean_of_two(double a, double b)
{
    return (a + b) / 2;
}

static void conclude(struct session *session)
{
    struct outcome *outcome = session->outcome;
    const double raw_drift = session->raw_after_ticks / session->raw_before_ticks;
    const double add_hz = mean_of_two(session->before.add_hz, session->after.add_hz);

    outcome->core_hz_before = core_hz(&session->before);
    outcome->core_hz_after = core_hz(&session->after);
    outcome->core_hz = mean_of_two(outcome->core_hz_before, outcome->core_hz_after);
    outcome->chain_ratio = add_hz / mean_of_two(session->before.mul_hz, session->after.mul_hz);
    outcome->overhead_ticks = session->trial.kernel->run ? session->trial.overhead_ticks : 0;
    memcpy(outcome->metric, session->trial.metric, sizeof outcome->metric);
    outcome->raw_before_ticks = session->raw_before_ticks;
    outcome->raw_after_ticks = session->raw_after_ticks;
    if (raw_drift > RAW_DRIFT || raw_drift < 1 / RAW_DRIFT) /* false for NaN */
        for (int64_t i = 0; i < outcome->samples; i++)
            session->samples[i].flags |= FLAG_HAND_OVER_DRIFT;
}

int trial_measure(const struct kernel *kernel, const int64_t *values, const int *cpus, unsigned team_size,
                  const struct settings *settings, struct sample *samples, uint64_t sample_capacity,
                  struct bucket *buckets, uint64_t bucket_capacity, struct outcome *outcome)
{
    const unsigned missing = kernel->needs & ~capabilities();
    const uint64_t began_ns = now_ns();
    struct session session = {
        .team = {.size = team_size, .reason = outcome->reason},
        .trial = {.kernel = kernel,
                  .team_size = team_size,
                  .cpus = cpus,
                  .batch_ns = settings->batch_ns,
                  .granule = 1,
                  .misses_per_operation = NAN},
        .settings = *settings,
        .samples = samples,
        .buckets = buckets,
        .bucket_capacity = bucket_capacity,
        .outcome = outcome,
    };
    struct trial *trial = &session.trial;
    int status;

    memset(outcome, 0, sizeof *outcome);
    outcome->tick_hz = outcome->core_hz = outcome->core_hz_before = outcome->core_hz_after = outcome->chain_ratio = NAN;
    outcome->raw_before_ticks = outcome->raw_after_ticks = NAN;
    for (unsigned i = 0; i < MAX_METRICS; i++)
        trial->metric[i] = outcome->metric[i] = NAN;
    if (missing) {
        snprintf(outcome->reason, REASON_BYTES, "needs %s", capability_text(missing & -missing));
        return outcome->status = -ENOTSUP;
    }
    if (team_size < kernel->threads.min || team_size > kernel->threads.max) {
        snprintf(outcome->reason, REASON_BYTES, "%u threads asked for, the kernel takes %u to %u", team_size,
                 kernel->threads.min, kernel->threads.max);
        return outcome->status = -EINVAL;
    }
    memcpy(trial->value, values, sizeof trial->value);
    for (unsigned i = 0; i < MAX_PARAMETERS && kernel->parameters[i].name; i++) {
        int labels = 0;

        if (!kernel->parameters[i].labels)
            continue;
        for (const char *c = kernel->parameters[i].labels; *c; c++)
            labels += *c != ' ' && (c[1] == ' ' || c[1] == '\0');
        if (values[i] < 0 || values[i] >= labels) {
            snprintf(outcome->reason, REASON_BYTES, "parameter %s has %d labels, there is no number %lld",
                     kernel->parameters[i].name, labels, (long long)values[i]);
            return outcome->status = -EINVAL;
        }
    }
    trial->oversubscribed = oversubscribed(trial);
    trial->measured = team_size;
    trial->team = &session.team;
    session.team.trial = trial;
    trial->batches = kernel->batches ? kernel->batches : settings->batches;
    if (trial->oversubscribed && kernel->run && trial->batches > OVERSUBSCRIBED_BATCHES)
        trial->batches = OVERSUBSCRIBED_BATCHES;
    if (sample_capacity < trial_samples(kernel, team_size, settings)) {
        snprintf(outcome->reason, REASON_BYTES, "room for %llu samples, %llu are needed",
                 (unsigned long long)sample_capacity, (unsigned long long)trial_samples(kernel, team_size, settings));
        return outcome->status = -ENOSPC;
    }
#if defined(__GLIBC__)
    /* Large blocks always come from the system and go back to it. Left alone, glibc raises this limit with each that is freed, and keeps up to
       32 MiB in the arena of a thread that is gone: memory that one case leaves to the next, and that a fork copies. */
    mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES);
#endif
    trial->tick_hz = outcome->tick_hz = process_clock()->tick_hz;
    trial->quantum_ticks = process_clock()->quantum_ticks;
    session.windows = calloc(team_size, sizeof *session.windows);
    if (!session.windows) {
        snprintf(outcome->reason, REASON_BYTES, "no memory for the windows of %u threads", team_size);
        return outcome->status = -ENOMEM;
    }
    session.began_ticks = tick_now();
    status = team_run(&session.team, body, &session);
    if (status == 0)
        conclude(&session);
    else
        outcome->samples = outcome->buckets = outcome->events = 0;
    allocations_free(trial, settings->keep_memory != 0);
    free(session.windows);
    free(session.events);
    outcome->elapsed_ns = (int64_t)(now_ns() - began_ns);
    return outcome->status = status;
}
