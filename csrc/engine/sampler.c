/*
 * The batches of a loop: everything that opens and closes a timed window.
 *
 *   empty window -> operations per batch -> warm-up -> batches
 *
 * A window contains only one call of the kernel's loop. Its surroundings (context switches, faults, the CPU number) are
 * read outside. The empty window of the same shape is handed on for subtraction.
 */
#define _GNU_SOURCE
#include <math.h>

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
 * The mean of windows that begin at random within a step of the counter. The median would be a whole number of steps. If steps have
 * many ticks, it is off by up to half of one (seen: 10 ticks of 26).
 */
double measure_empty(struct worker *worker)
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

/* One batch of the whole team. Returns the window of worker 0. */
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
            /* Two windows with gaps do not agree. Or the step is the largest already, and a shorter window could only ask for more. */
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

/* One member's part in the batches of a loop, from one to the next. */
struct looping {
    struct session *session;
    struct worker *worker;
    uint64_t operations;
    uint64_t batch; /* how many are measured */
    uint64_t looks; /* around: the same number in the whole team */
    uint64_t quiet, free_in_a_row;
    struct surroundings after; /* as the last window left it */
    double misses;
};

/* Calibrated and warm, and nothing measured yet. */
static struct looping loop_begin(struct session *session, struct worker *worker)
{
    struct trial *trial = &session->trial;
    /* Where threads take turns on a CPU, nothing stays warm over a turn, and a window may have to wait for several. */
    const uint64_t warmups =
        trial->oversubscribed && session->settings.warmup_batches ? 1 : session->settings.warmup_batches;
    struct looping loop = {.session = session, .worker = worker, .misses = NAN};

    loop.operations = calibrate(session, worker);
    if (worker->index == 0)
        session->operations = loop.operations;
    for (uint64_t i = 0; i < warmups; i++)
        team_window(session, worker, loop.operations);
    if (trial->oversubscribed)
        loop.operations =
            granules(trial, (double)loop.operations * fmax(1, (double)OVERSUBSCRIBED_NS / (double)trial->batch_ns));
    if (worker->index == 0)
        loop.misses = branch_misses(trial);
    loop.after = look_around(session, worker, loop.looks++);
    return loop;
}

/* One window of the whole team, measured. */
static void loop_batch(struct looping *loop)
{
    struct session *session = loop->session;
    struct worker *worker = loop->worker;
    const struct trial *trial = &session->trial;
    const unsigned measured = trial->measured;
    const struct surroundings before = loop->after;
    const struct window *window = &session->windows[worker->index];
    struct sample sample;
    double net;

    if (worker->index == 0)
        loads_window_begins(&session->team);
    team_window(session, worker, loop->operations);
    if (worker->index == 0)
        loads_window_ended(&session->team);
    loop->after = look_around(session, worker, loop->looks++);
    sample = make_sample(worker, loop->batch, &before, &loop->after);
    sample.ticks = (int64_t)(window->end - window->begin);
    sample.operations = (int64_t)worker->done;
    sample.begin_ticks = (int64_t)(window->begin - session->began_ticks);
    net = (double)sample.ticks - trial->overhead_ticks;
    if (net < MIN_QUANTA * (double)trial->quantum_ticks || net < MIN_BATCH_NS * trial->tick_hz / 1e9)
        sample.flags |= FLAG_SHORT;
    if (session->team.size > 1) {
        sample.overlap = team_overlap(session);
        if (sample.overlap < LOW_OVERLAP && !(trial->subject & FLAG_LOW_OVERLAP))
            sample.flags |= FLAG_LOW_OVERLAP;
    }
    if (worker->index < measured)
        session->samples[loop->batch * measured + worker->index] = sample;
    loop->free_in_a_row = was_quiet(session, &sample) ? loop->free_in_a_row + 1 : 0;
    loop->quiet += loop->free_in_a_row >= FREE_IN_A_ROW; /* the one in the middle */
    loop->batch++;
    team_meet(&session->team); /* the windows are read: the next batch may write them */
}

/* Whether a batch more is wanted. More than planned only where one thread decides for itself: the witness says when to stop, never the
   value. A neighbour that is there stays for a tenth of a second, so that waiting for its end is dearer than another visit (bench/worker.py). */
static int loop_goes_on(const struct looping *loop)
{
    const struct session *session = loop->session;

    return loop->batch < session->trial.batches ||
           (loop->free_in_a_row && loop->quiet < session->settings.quiet_batches &&
            loop->batch < most_batches(session));
}

static void loop_end(const struct looping *loop)
{
    struct session *session = loop->session;
    struct trial *trial = &session->trial;

    if (loop->worker->index == 0) {
        session->outcome->samples = (int64_t)(loop->batch * trial->measured);
        session->outcome->quiet_batches = can_be_quiet(session) ? (int64_t)loop->quiet : -1;
        trial->samples = session->samples;
        trial->sample_count = loop->batch * trial->measured;
        trial->misses_per_operation = (branch_misses(trial) - loop->misses) / (double)(loop->batch * loop->operations);
    }
    if (session->counts_hardware)
        count_windows(session, loop->worker, loop->operations);
}

void loop_batches(struct session *session, struct worker *worker)
{
    struct looping loop = loop_begin(session, worker);

    while (loop_goes_on(&loop))
        loop_batch(&loop);
    loop_end(&loop);
}

/*
 * A turn of one of two sides: a window that nobody times and that finds its caches and branches again, then two batches. A neighbour's mood
 * lasts for some 0.1 ms to seconds, so two sides 0.1 ms apart meet the same. Batches 0.3 ms apart differed three to six times as much
 * (docs/experiments.md).
 */
#define TURN_WARMUPS 1
#define TURN_BATCHES 2

static void loop_turn(struct looping *loop)
{
    for (int i = 0; i < TURN_WARMUPS; i++)
        team_window(loop->session, loop->worker, loop->operations);
    loop->after = look_around(loop->session, loop->worker, loop->looks++);
    for (int i = 0; i < TURN_BATCHES && loop->batch < most_batches(loop->session); i++)
        loop_batch(loop);
}

void loops_in_turns(struct session *const sessions[2], struct worker *const workers[2])
{
    struct looping loops[2];

    for (int side = 0; side < 2; side++)
        loops[side] = loop_begin(sessions[side], workers[side]);
    while (loop_goes_on(&loops[0]) || loop_goes_on(&loops[1]))
        for (int side = 0; side < 2; side++)
            loop_turn(&loops[side]);
    for (int side = 0; side < 2; side++) {
        loop_end(&loops[side]);
        if (workers[side]->index == 0)
            sessions[side]->outcome->turn_batches = TURN_BATCHES;
    }
}
