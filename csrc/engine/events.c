/* Event kernels, which fill in one tick count an event: their batches, and all events of a case as a histogram. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"
#include "session.h"

/* Touched now: the page fault of a first store would be an event of our own making. */
static void *touched(uint64_t bytes)
{
    void *buffer = malloc(bytes);

    if (buffer)
        memset(buffer, 0xff, bytes); /* not zeros: gcc makes calloc of that */
    return buffer;
}

static int make_room(struct session *session)
{
    const struct kernel *kernel = session->trial.kernel;
    const uint64_t most = session->trial.batches * kernel->events_per_batch;

    session->events = touched(most * sizeof *session->events);
    for (int side = 0; kernel->control && side < 2; side++) {
        session->sides[side] = touched(most * sizeof *session->sides[side]);
        if (!session->sides[side])
            return 0;
    }
    return session->events != NULL;
}

/* Workers other than 0 take part, but their count is not kept: they get a buffer of length 0. */
static int64_t take_events(struct session *session, struct worker *worker, int64_t *ticks, uint64_t count)
{
    int64_t got;

    peer_endable(&session->trial, 1);
    if (worker->index == 0 && session->counting)
        hardware_begin(&session->hardware);
    got = session->trial.kernel->events(worker, ticks, worker->index == 0 ? count : 0);
    if (worker->index == 0 && session->counting)
        hardware_end(&session->hardware, 1);
    peer_endable(&session->trial, 0);
    return got;
}

/* Operation and control in turn, `count` times: their differences are in `ticks`. Returns how many. */
static int64_t take_pairs(struct session *session, struct worker *worker, int64_t *ticks, uint64_t count)
{
    const struct kernel *kernel = session->trial.kernel;
    int64_t pairs = 0;

    for (uint64_t i = 0; i < count; i++) {
        int64_t sides[2] = {0, 0}, got[2] = {0, 0};

        for (int side = 0; side < 2; side++) {
            /* All meet before each side: where one has failed, the others leave too, and wait for nobody. */
            if (!all_well(session))
                return pairs;
            peer_endable(&session->trial, 1);
            if (ticks && session->counting)
                hardware_begin(&session->hardware);
            got[side] = (side ? kernel->control : kernel->events)(worker, ticks ? &sides[side] : NULL, ticks != NULL);
            if (ticks && session->counting)
                hardware_end(&session->hardware, side ? -1 : 1);
            peer_endable(&session->trial, 0);
            if (got[side] < 0)
                fail_from(session, (int)got[side], side ? "measuring the control" : "measuring");
        }
        if (ticks && got[0] == 1 && got[1] == 1) { /* either may have had nothing to measure */
            for (int side = 0; side < 2; side++)
                session->sides[side][session->event_count + (uint64_t)pairs] = (double)sides[side];
            ticks[pairs++] = sides[0] - sides[1];
        }
    }
    return pairs;
}

/* The last batch alone is counted, so that no other has the price of it. */
static void begin_counting(struct session *session, const struct worker *worker, uint64_t batch)
{
    session->counting = worker->index == 0 && session->counts_hardware && batch + 1 == session->trial.batches;
    if (session->counting)
        hardware_open(&session->hardware, session->settings.counter_turn);
}

static void end_counting(struct session *session, int64_t events)
{
    if (!session->trial.kernel->control) { /* which has the cost of reading the counters on both sides */
        hardware_begin(&session->hardware);
        hardware_end(&session->hardware, -1);
    }
    hardware_conclude(&session->hardware, (double)events, session->outcome->hardware);
    hardware_close(&session->hardware);
    session->counting = 0;
}

void event_batches(struct session *session, struct worker *worker)
{
    const struct kernel *kernel = session->trial.kernel;
    const uint64_t per_batch = kernel->events_per_batch;
    struct surroundings after;
    int64_t filled = 0;

    if (worker->index == 0) {
        session->scratch = malloc(per_batch * sizeof *session->scratch);
        if (!session->scratch || !make_room(session))
            team_fail(&session->team, -ENOMEM, "no memory for %llu events",
                      (unsigned long long)(session->trial.batches * per_batch));
    }
    if (!all_well(session))
        return;
    after = look_around(session, worker, 0);
    for (uint64_t batch = 0; all_well(session) && batch < session->trial.batches; batch++) {
        int64_t *ticks = worker->index == 0 ? session->events + session->event_count : NULL;
        const struct surroundings before = after;
        const uint64_t begin = tick_now();
        int64_t got;

        if (worker->index == 0) {
            begin_counting(session, worker, batch);
            loads_window_begins(&session->team);
        }
        got = (kernel->control ? take_pairs : take_events)(session, worker, ticks, per_batch);
        if (worker->index == 0) {
            loads_window_ended(&session->team);
            if (session->counting)
                end_counting(session, got);
        }
        after = look_around(session, worker, batch + 1);
        if (got < 0) {
            fail_from(session, (int)got, "measuring");
        } else if (worker->index == 0 && got > 0) {
            struct sample sample = make_sample(worker, batch, &before, &after);

            for (int64_t i = 0; i < got; i++)
                session->scratch[i] = (double)ticks[i];
            sample.ticks = (int64_t)llround(median_of(session->scratch, (size_t)got));
            sample.operations = 1;
            sample.begin_ticks = (int64_t)(begin - session->began_ticks);
            session->samples[filled++] = sample;
            session->event_count += (uint64_t)got;
        }
    }
    if (worker->index == 0)
        session->outcome->samples = filled;
}

/* Down to a multiple of 1/256 to 1/128 of its size: the leading 8 bits stay. Down for negative values too, which keeps the order. */
static int64_t rounded_down(int64_t value)
{
    const uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value;

    return size < 256 ? value : value & ~(((int64_t)1 << (56 - __builtin_clzll(size))) - 1);
}

/* Sort, and count equal values. If there are more than fit, count them in steps of 1/128 of their size. */
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
            const int64_t value = coarse ? rounded_down(events[i]) : events[i];

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

void conclude_events(struct session *session)
{
    make_histogram(session);
    if (session->trial.kernel->control) {
        session->outcome->operation_ticks = median_of(session->sides[0], session->event_count);
        session->outcome->control_ticks = median_of(session->sides[1], session->event_count);
    }
}
