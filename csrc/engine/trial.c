/*
 * A trial from its arguments to its outcome: one case, or two whose batches take turns.
 *
 *   capabilities -> threads pinned -> setup -> core clock -> empty window -> batches (sampler.c, events.c)
 *   -> core clock again -> check -> teardown
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

/* glibc's own limit at the start of a process. */
#define LARGE_BLOCK_BYTES (128 << 10)

/* More threads than CPUs: whatever waits for another thread may wait for the scheduler, and a hand-over says nothing about lines. */
static int oversubscribed(const struct trial *trial)
{
    for (unsigned i = 0; i < trial->team_size; i++)
        for (unsigned j = 0; j < i; j++)
            if (trial->cpus[i] == trial->cpus[j])
                return 1;
    return 0;
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
    /* All are scheduled as they must be before anybody measures. All have measured before anybody goes back to what it was. */
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

static void open_and_prepare(struct session *session, struct worker *worker)
{
    if (session->trial.kernel->flags & KERNEL_MISSES)
        session->trial.miss_counter = branch_misses_open();
    prepare(session, worker);
}

static void lead(struct session *session, struct worker *worker)
{
    pthread_cleanup_push(put_away, session);
    open_and_prepare(session, worker);
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

/* Two sessions on the same threads, whose batches take turns. */
struct turns {
    struct session *sessions[2];
    int taken; /* written by worker 0 before a meeting */
};

/* What one side does to threads, CPUs and time would be done to the other as well. */
static int has_threads_as_they_are(const struct session *session)
{
    const struct trial *trial = &session->trial;

    return !trial->oversubscribed && !trial->processes && !session->team.loads && !session->team.schedules;
}

static int may_take_turns(struct session *const sessions[2])
{
    uint64_t bytes = 0;

    for (int side = 0; side < 2; side++) {
        /* Relaxed: worker 0 is the only one at work, and wrote it. */
        if (atomic_load_explicit(&sessions[side]->team.status, memory_order_relaxed) ||
            !has_threads_as_they_are(sessions[side]))
            return 0;
        bytes += allocations_bytes(&sessions[side]->trial);
    }
    return bytes <= sessions[0]->settings.most_turn_bytes;
}

/* Between both setups and both checks, each thread's part. */
static void take_part_in_turns(struct turns *turns, struct worker *const workers[2])
{
    double before[2];

    for (int side = 0; side < 2; side++)
        all_well(turns->sessions[side]); /* passes on what worker 0 has prepared, `taken` too */
    if (!turns->taken)
        return;
    for (int side = 0; side < 2; side++)
        before[side] = raw_round_trip(turns->sessions[side], workers[side]);
    loops_in_turns(turns->sessions, workers);
    for (int side = 0; side < 2; side++) {
        struct session *session = turns->sessions[side];
        const double after = raw_round_trip(session, workers[side]);

        if (workers[side]->index == 0) {
            session->raw_before_ticks = before[side];
            session->raw_after_ticks = after;
        }
        if (all_well(session) && workers[side]->index == 0)
            finish(session, workers[side]);
    }
}

static void lead_in_turns(struct turns *turns, struct worker *const workers[2])
{
    struct session *const *sessions = turns->sessions;

    /* The second is put away first: what it found, as of a signal's handler, the first had left. */
    pthread_cleanup_push(put_away, sessions[0]);
    pthread_cleanup_push(put_away, sessions[1]);
    sessions[1]->team.spins_before_yield = sessions[0]->team.spins_before_yield;
    for (int side = 0; side < 2; side++)
        open_and_prepare(sessions[side], workers[side]);
    turns->taken = may_take_turns(sessions);
    take_part_in_turns(turns, workers);
    pthread_cleanup_pop(1);
    pthread_cleanup_pop(1);
}

static void body_in_turns(struct worker *worker, void *context)
{
    struct turns *turns = context;
    struct session *second = turns->sessions[1];
    struct worker beside = {.trial = &second->trial,
                            .index = worker->index,
                            .team_size = worker->team_size,
                            .cpu = worker->cpu,
                            .leader_end = &second->team.leader_end};
    struct worker *const workers[2] = {worker, &beside};

    if (worker->index == 0)
        lead_in_turns(turns, workers);
    else
        take_part_in_turns(turns, workers);
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

/* What is known of a case before it has threads. */
static void begin(struct session *session)
{
    struct trial *trial = &session->trial;
    const struct kernel *kernel = trial->kernel;

#if defined(__GLIBC__)
    /* Large blocks always come from the system and go back to it. Otherwise glibc raises this limit with each block that is freed. It keeps up
       to 32 MiB in the arena of a thread that is gone. One case would leave this memory to the next, and a fork would copy it. */
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
    session->began_ticks = tick_now();
}

/* A team does its work: of one session, or of several with the same threads. 0, or -errno with a reason. */
static int run_team(struct team *team, void (*body_of)(struct worker *, void *), void *context)
{
    struct sigaction sigchld;
    int status;

    children_begin(&sigchld);
    status = team_run(team, body_of, context);
    children_end(&sigchld);
    return status;
}

static size_t session_bytes(unsigned team_size)
{
    return sizeof(struct session) + team_size * sizeof(struct window);
}

static void no_hardware(struct outcome *outcome)
{
    outcome->package_w = NAN; /* of sides in turns it stays so: whose energy it was is not known */
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

/* The outcome of a session whose threads are gone, and nothing of it left behind. */
static int end(struct session *session, int status)
{
    if (status == 0)
        conclude(session);
    else
        memcpy(session->outcome->reason, session->reason, REASON_BYTES);
    tidy_up(session, status);
    return session->outcome->status = status;
}

/* A session with its arguments checked: what is wrong with them stands in its outcome. NULL without memory, as its outcome says. */
static struct session *session_of(const struct kernel *kernel, const int64_t *values, const int *cpus,
                                  unsigned team_size, const struct settings *settings, struct sample *samples,
                                  uint64_t sample_capacity, struct outcome *outcome)
{
    struct session *session = shared_memory(session_bytes(team_size));

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
        outcome->status = -ENOMEM;
        return NULL;
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
        .outcome = outcome,
    };
    memcpy(session->trial.metric, outcome->metric, sizeof outcome->metric);
    memcpy(session->trial.value, values, sizeof session->trial.value);
    outcome->status = check_arguments(session, sample_capacity);
    return session;
}

int trial_measure(const struct kernel *kernel, const int64_t *values, const int *cpus, unsigned team_size,
                  const struct settings *settings, struct sample *samples, uint64_t sample_capacity,
                  struct bucket *buckets, uint64_t bucket_capacity, struct outcome *outcome)
{
    const uint64_t began_ns = now_ns();
    struct session *session = session_of(kernel, values, cpus, team_size, settings, samples, sample_capacity, outcome);

    if (!session)
        return outcome->status;
    session->buckets = buckets;
    session->bucket_capacity = bucket_capacity;
    if (outcome->status == 0) {
        begin(session);
        end(session, run_team(&session->team, body, session));
        outcome->elapsed_ns = (int64_t)(now_ns() - began_ns);
    }
    munmap(session, session_bytes(team_size));
    return outcome->status;
}

/* Both at once, where this can be. Not 0 if it was done: then both outcomes are complete. */
static int measured_in_turns(struct turns *turns)
{
    struct session *const *sessions = turns->sessions;
    int status;

    if (!sessions[0] || !sessions[1] || sessions[0]->outcome->status || sessions[1]->outcome->status)
        return 0;
    for (int side = 0; side < 2; side++)
        begin(sessions[side]);
    status = run_team(&sessions[0]->team, body_in_turns, turns);
    /* Joined: any order will do. */
    end(sessions[1], atomic_load_explicit(&sessions[1]->team.status, memory_order_relaxed));
    end(sessions[0], status);
    return turns->taken;
}

int trial_takes_turns(const struct kernel *kernel)
{
    return kernel->run && !kernel->batches && !(kernel->flags & (KERNEL_ONCE | KERNEL_SOLE));
}

void trial_measure_in_turns(const struct kernel *const *kernels, const int64_t *const *values, const int *cpus,
                            unsigned team_size, const struct settings *settings, struct sample *const *samples,
                            uint64_t sample_capacity, struct outcome *const *outcomes)
{
    const uint64_t began_ns = now_ns();
    struct turns turns = {.taken = 0};
    int done;

    for (int side = 0; side < 2; side++)
        turns.sessions[side] = session_of(kernels[side], values[side], cpus, team_size, settings, samples[side],
                                          sample_capacity, outcomes[side]);
    done = measured_in_turns(&turns);
    for (int side = 0; side < 2; side++) {
        outcomes[side]->elapsed_ns = (int64_t)(now_ns() - began_ns) / 2;
        if (turns.sessions[side])
            munmap(turns.sessions[side], session_bytes(team_size));
    }
    /* One cannot be measured here, or does something to threads and time: each by itself, so that each says why. */
    for (int side = 0; side < 2 && !done; side++)
        trial_measure(kernels[side], values[side], cpus, team_size, settings, samples[side], sample_capacity, NULL, 0,
                      outcomes[side]);
}
