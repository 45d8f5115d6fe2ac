/* Event kernels, which fill in one tick count an event: their batches, and all events of a case as a histogram. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

void event_batches(struct session *session, struct worker *worker)
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

void make_histogram(struct session *session)
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
