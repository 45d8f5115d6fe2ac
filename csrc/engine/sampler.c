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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "peer.h"
#include "session.h"
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
/* glibc's own limit at the start of a process. */
#define LARGE_BLOCK_BYTES (128 << 10)

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

/* One batch of the whole team; worker 0's window is returned. */
static uint64_t team_window(struct session *session, struct worker *worker, uint64_t operations)
{
    struct window *window = &session->windows[worker->index];

    worker->done = operations;
    if (worker->index == 0)
        __atomic_store_n(&session->team.leader_end, 0,
                         __ATOMIC_RELAXED); /* passed on by the meetings before the start */
    peer_endable(&session->trial, 1);
    team_start(worker);
    *window = timed(session->trial.run, worker, operations);
    peer_endable(&session->trial, 0);
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

/* Whether a case can have quiet batches: a single thread that nothing disturbs by design. */
static int can_be_quiet(const struct session *session)
{
    const struct trial *trial = &session->trial;

    return session->team.size == 1 && session->settings.width_limit > 0 && !trial->kernel->batches &&
           !(trial->kernel->flags & KERNEL_ONCE) && !session->team.loads;
}

/* How many batches a case may come to while too few were quiet. */
static uint64_t most_batches(const struct session *session)
{
    const uint64_t planned = session->trial.batches, most = session->settings.most_batches;

    return can_be_quiet(session) && most > planned ? most : planned;
}

/* As many with the kernel's loop as with an empty one, which is taken off. */
#define COUNTED_WINDOWS 4

/* Windows that nobody times, in which the hardware counts for worker 0. The whole team takes part. */
static void count_windows(struct session *session, struct worker *worker, uint64_t operations)
{
    struct trial *trial = &session->trial;
    void (*const run)(struct worker *, uint64_t) = trial->run;
    uint64_t done = 0;

    if (worker->index == 0)
        hardware_open(&session->hardware, session->settings.counter_turn);
    for (int i = 0; i < 2 * COUNTED_WINDOWS; i++) {
        if (worker->index == 0) { /* passed on by the meetings before the start */
            trial->run = i % 2 ? run_empty : run;
            hardware_begin(&session->hardware);
        }
        team_window(session, worker, operations);
        if (worker->index == 0)
            hardware_end(&session->hardware, i % 2 ? -1 : 1);
        done += i % 2 ? 0 : worker->done;
        team_meet(&session->team); /* all have left their window: the loop may be another one */
    }
    if (worker->index == 0) {
        trial->run = run;
        hardware_conclude(&session->hardware, (double)done, session->outcome->hardware);
        hardware_close(&session->hardware);
    }
}

/* A busy neighbour pauses now and then, for long enough to leave both witnesses of one batch alone, and hardly those of three. The analysis
   takes the same batches (analysis/runs/witnesses.py). */
#define FREE_IN_A_ROW 3

static void loop_batches(struct session *session, struct worker *worker)
{
    struct trial *trial = &session->trial;
    const unsigned size = session->team.size, measured = trial->measured;
    /* Where threads take turns on a CPU, nothing stays warm over a turn, and a window may have to wait for several. */
    const uint64_t warmups =
        trial->oversubscribed && session->settings.warmup_batches ? 1 : session->settings.warmup_batches;
    const uint64_t most = most_batches(session);
    struct surroundings after;
    uint64_t operations, batch = 0, quiet = 0, free_in_a_row = 0;
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
    after = look_around(session, worker, 0);
    /* More than planned only where one thread decides for itself: the witness says when to stop, never the value. A neighbour that is there
       stays for a tenth of a second, so that waiting for its end is dearer than another visit (bench/worker.py). */
    for (; batch < trial->batches || (free_in_a_row && quiet < session->settings.quiet_batches && batch < most);
         batch++) {
        const struct surroundings before = after;
        struct sample sample;
        const struct window *window = &session->windows[worker->index];
        double net;

        if (worker->index == 0)
            loads_window_begins(&session->team);
        team_window(session, worker, operations);
        if (worker->index == 0)
            loads_window_ended(&session->team);
        after = look_around(session, worker, batch + 1);
        sample = make_sample(worker, batch, &before, &after);
        sample.ticks = (int64_t)(window->end - window->begin);
        sample.operations = (int64_t)worker->done;
        sample.begin_ticks = (int64_t)(window->begin - session->began_ticks);
        net = (double)sample.ticks - trial->overhead_ticks;
        if (net < MIN_QUANTA * (double)trial->quantum_ticks || net < MIN_BATCH_NS * trial->tick_hz / 1e9)
            sample.flags |= FLAG_SHORT;
        if (size > 1) {
            sample.overlap = team_overlap(session);
            if (sample.overlap < LOW_OVERLAP && !(trial->subject & FLAG_LOW_OVERLAP))
                sample.flags |= FLAG_LOW_OVERLAP;
        }
        if (worker->index < measured)
            session->samples[batch * measured + worker->index] = sample;
        free_in_a_row = was_quiet(session, &sample) ? free_in_a_row + 1 : 0;
        quiet += free_in_a_row >= FREE_IN_A_ROW; /* the one in the middle */
        team_meet(&session->team);               /* the windows are read: the next batch may write them */
    }
    if (worker->index == 0) {
        session->outcome->samples = (int64_t)(batch * measured);
        session->outcome->quiet_batches = can_be_quiet(session) ? (int64_t)quiet : -1;
        trial->samples = session->samples;
        trial->sample_count = batch * measured;
        trial->misses_per_operation = (branch_misses(trial) - misses) / (double)(batch * operations);
    }
    if (session->counts_hardware)
        count_windows(session, worker, operations);
}

/* Each member writes its own samples: processes can do so only in memory that they share. 0 or -ENOMEM. */
static int share_samples(struct session *session)
{
    struct trial *trial = &session->trial;
    void *state = trial->state;

    if (!trial->processes || !trial->kernel->run)
        return 0;
    session->samples = trial_alloc_shared(trial, trial->batches * trial->measured * sizeof *session->samples);
    trial->state = state; /* not what came first here, where setup needed nothing */
    return session->samples ? 0 : -ENOMEM;
}

static void prepare(struct session *session, struct worker *worker)
{
    struct trial *trial = &session->trial;
    int status = 0;

    read_clock_before(worker, &session->before);
    trial->core_hz = isnan(session->before.mul_hz) ? 0 : core_hz(&session->before);
    trial->overhead_ticks = measure_empty(worker);
    session->witness = witness_prepare(session->before.mul_hz, trial->overhead_ticks);
    if (trial->kernel->setup)
        status = trial->kernel->setup(trial);
    if (status)
        fail_from(session, status, "setup");
    else if (share_samples(session))
        team_fail(&session->team, -ENOMEM, "no memory for the samples of %u processes", trial->team_size);
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
        conclude_events(session);
    status = trial->kernel->check(trial);
    if (!status)
        status = loads_check(trial);
    if (!status)
        status = counts_check(trial);
    memcpy(session->outcome->count, trial->count, sizeof trial->count); /* those of a failed case too */
    overwritten = allocations_fault(trial);
    if (overwritten)
        team_fail(&session->team, -EFAULT, "the kernel %s", overwritten);
    else if (status)
        fail_from(session, status, "check");
}

static void work_once(struct session *session, struct worker *worker)
{
    int status;

    if (worker->index == 0)
        loads_window_begins(&session->team);
    peer_endable(&session->trial, 1);
    status = session->trial.kernel->work(worker);
    peer_endable(&session->trial, 0);
    if (worker->index == 0)
        loads_window_ended(&session->team);
    if (status)
        fail_from(session, status, "counting");
}

/* All of the team's measuring, scheduled as setup asked for. */
static void measure(struct session *session, struct worker *worker)
{
    struct manners found;

    if (worker->index == 0)
        loads_prepare(&session->team);
    schedule_begin(worker, &found);
    /* Before anybody measures, all are scheduled as they are to be; before anybody is what it was, all have measured. */
    if (all_well(session) && worker->index == 0)
        loads_start(&session->team);
    if (all_well(session)) {
        if (session->trial.kernel->run)
            loop_batches(session, worker);
        else if (session->trial.kernel->events)
            event_batches(session, worker);
        else
            work_once(session, worker);
    }
    all_well(session);
    if (worker->index == 0)
        loads_stop(&session->team); /* before any worker is one again that a load could stop */
    all_well(session);
    schedule_end(worker, &found);
}

/* Between setup and check, each member's part in the measurement: a thread's, or a process's. */
static void take_part(struct worker *worker, void *context)
{
    struct session *session = context;
    const double before = raw_round_trip(session, worker);
    const struct energy_mark began = energy_mark();
    double after;

    measure(session, worker);
    if (worker->index == 0)
        session->outcome->package_w = energy_watts(&began);
    after = raw_round_trip(session, worker);
    if (worker->index == 0) {
        session->raw_before_ticks = before;
        session->raw_after_ticks = after;
    }
    if (all_well(session) && worker->index == 0)
        finish(session, worker);
}

/* What setup opened is closed in any case, also where worker 0 is ended in the middle. */
static void put_away(void *context)
{
    struct session *session = context;
    struct trial *trial = &session->trial;

    peer_left();
    loads_stop(&session->team); /* at the priority that a real-time load leaves room for */
    if (trial->kernel->teardown)
        trial->kernel->teardown(trial);
    if (trial->miss_counter)
        close(trial->miss_counter);
    hardware_close(&session->hardware);
}

static void lead(struct session *session, struct worker *worker)
{
    struct trial *trial = &session->trial;

    pthread_cleanup_push(put_away, session);
    if (trial->kernel->flags & KERNEL_MISSES)
        trial->miss_counter = branch_misses_open();
    prepare(session, worker);
    if (all_well(session)) {
        peers_await(&session->team);
        take_part(worker, session);
    }
    pthread_cleanup_pop(1);
}

static void body(struct worker *worker, void *context)
{
    struct session *session = context;

    if (worker->index == 0)
        lead(session, worker);
    else if (all_well(session)) {
        if (session->trial.processes)
            peer_run(worker, take_part, session);
        else
            take_part(worker, session);
    }
}

static double mean_of_two(double a, double b)
{
    return (a + b) / 2;
}

static void conclude(struct session *session)
{
    struct outcome *outcome = session->outcome;
    struct sample *samples = session->callers_samples;
    const double add_hz = mean_of_two(session->before.add_hz, session->after.add_hz);

    outcome->core_hz_before = core_hz(&session->before);
    outcome->core_hz_after = core_hz(&session->after);
    outcome->core_hz = mean_of_two(outcome->core_hz_before, outcome->core_hz_after);
    outcome->chain_ratio = add_hz / mean_of_two(session->before.mul_hz, session->after.mul_hz);
    outcome->overhead_ticks = session->trial.kernel->run ? session->trial.overhead_ticks : 0;
    memcpy(outcome->metric, session->trial.metric, sizeof outcome->metric);
    outcome->loaded_pct = loaded_pct(&session->team);
    outcome->raw_before_ticks = session->raw_before_ticks;
    outcome->raw_after_ticks = session->raw_after_ticks;
    if (session->samples != samples)
        memcpy(samples, session->samples, (size_t)outcome->samples * sizeof *samples);
    if (hand_over_drifted(session->raw_before_ticks, session->raw_after_ticks))
        for (int64_t i = 0; i < outcome->samples; i++)
            samples[i].flags |= FLAG_HAND_OVER_DRIFT;
}

/* 0, or -errno with the reason why this case cannot be measured. */
static int check_arguments(const struct session *session, uint64_t sample_capacity)
{
    const struct trial *trial = &session->trial;
    const struct kernel *kernel = trial->kernel;
    const unsigned missing = kernel->needs & ~capabilities();
    const uint64_t wanted = trial_samples(kernel, trial->team_size, &session->settings);
    char *reason = session->outcome->reason;

    if (missing) {
        snprintf(reason, REASON_BYTES, "needs %s", capability_text(missing & -missing));
        return -ENOTSUP;
    }
    if (trial->team_size < kernel->threads.min || trial->team_size > kernel->threads.max) {
        snprintf(reason, REASON_BYTES, "%u threads asked for, the kernel takes %u to %u", trial->team_size,
                 kernel->threads.min, kernel->threads.max);
        return -EINVAL;
    }
    for (unsigned i = 0; i < MAX_PARAMETERS && kernel->parameters[i].name; i++) {
        const struct parameter *parameter = &kernel->parameters[i];
        const int labels = parameter->labels ? labels_in(parameter->labels) : 0;

        if (parameter->labels && (trial->value[i] < 0 || trial->value[i] >= labels)) {
            snprintf(reason, REASON_BYTES, "parameter %s has %d labels, there is no number %lld", parameter->name,
                     labels, (long long)trial->value[i]);
            return -EINVAL;
        }
    }
    if (sample_capacity < wanted) {
        snprintf(reason, REASON_BYTES, "room for %llu samples, %llu are needed", (unsigned long long)sample_capacity,
                 (unsigned long long)wanted);
        return -ENOSPC;
    }
    return 0;
}

/* The team does its work. 0, or -errno with a reason. */
static int run_session(struct session *session)
{
    struct trial *trial = &session->trial;
    const struct kernel *kernel = trial->kernel;
    struct sigaction sigchld;
    int status;

#if defined(__GLIBC__)
    /* Large blocks always come from the system and go back to it. Left alone, glibc raises this limit with each that is freed, and keeps up to
       32 MiB in the arena of a thread that is gone: memory that one case leaves to the next, and that a fork copies. */
    mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES);
#endif
    trial->oversubscribed = oversubscribed(trial);
    trial->subject = subject_of(trial);
    /* Where threads of a loop take turns on a CPU, a window is long and holds more waiting than work. */
    session->counts_hardware =
        !(trial->oversubscribed && kernel->run) && hardware_counts(session->settings.counter_turn);
    trial->batches = kernel->batches ? kernel->batches : session->settings.batches;
    if (trial->oversubscribed && kernel->run && trial->batches > OVERSUBSCRIBED_BATCHES)
        trial->batches = OVERSUBSCRIBED_BATCHES;
    trial->tick_hz = session->outcome->tick_hz = process_clock()->tick_hz;
    trial->quantum_ticks = process_clock()->quantum_ticks;
    children_begin(&sigchld);
    session->began_ticks = tick_now();
    status = team_run(&session->team, body, session);
    children_end(&sigchld);
    if (status == 0)
        conclude(session);
    else
        memcpy(session->outcome->reason, session->reason, REASON_BYTES);
    return status;
}

static void no_hardware(struct outcome *outcome)
{
    outcome->package_w = NAN;
    for (unsigned i = 0; i < HARDWARE_COUNTERS; i++)
        outcome->hardware[i] = NAN;
}

/* Nothing of this case stays behind, and no figure of one that failed. */
static void tidy_up(struct session *session, int status)
{
    struct outcome *outcome = session->outcome;

    if (status) {
        outcome->samples = outcome->buckets = outcome->events = 0;
        no_hardware(outcome);
    }
    allocations_free(&session->trial, session->settings.keep_memory != 0);
    loads_free(&session->team);
    schedules_free(&session->team);
    free(session->events);
    free(session->scratch);
    free(session->sides[0]);
    free(session->sides[1]);
}

int trial_measure(const struct kernel *kernel, const int64_t *values, const int *cpus, unsigned team_size,
                  const struct settings *settings, struct sample *samples, uint64_t sample_capacity,
                  struct bucket *buckets, uint64_t bucket_capacity, struct outcome *outcome)
{
    const uint64_t began_ns = now_ns();
    const size_t session_bytes = sizeof(struct session) + team_size * sizeof(struct window);
    struct session *session = shared_memory(session_bytes);

    memset(outcome, 0, sizeof *outcome);
    outcome->tick_hz = outcome->core_hz = outcome->core_hz_before = outcome->core_hz_after = outcome->chain_ratio = NAN;
    outcome->raw_before_ticks = outcome->raw_after_ticks = NAN;
    outcome->operation_ticks = outcome->control_ticks = outcome->loaded_pct = NAN;
    outcome->quiet_batches = -1;
    for (unsigned i = 0; i < MAX_METRICS; i++)
        outcome->metric[i] = NAN;
    no_hardware(outcome);
    if (!session) {
        snprintf(outcome->reason, REASON_BYTES, "no memory for a team of %u", team_size);
        return outcome->status = -ENOMEM;
    }
    *session = (struct session){
        .team = {.size = team_size, .reason = session->reason, .trial = &session->trial},
        .trial = {.kernel = kernel,
                  .team_size = team_size,
                  .cpus = cpus,
                  .batch_ns = settings->batch_ns,
                  .granule = 1,
                  .misses_per_operation = NAN,
                  .measured = team_size,
                  .team = &session->team},
        .settings = *settings,
        .samples = samples,
        .callers_samples = samples,
        .buckets = buckets,
        .bucket_capacity = bucket_capacity,
        .outcome = outcome,
    };
    memcpy(session->trial.metric, outcome->metric, sizeof outcome->metric);
    memcpy(session->trial.value, values, sizeof session->trial.value);
    outcome->status = check_arguments(session, sample_capacity);
    if (outcome->status == 0) {
        outcome->status = run_session(session);
        tidy_up(session, outcome->status);
        outcome->elapsed_ns = (int64_t)(now_ns() - began_ns);
    }
    munmap(session, session_bytes);
    return outcome->status;
}
