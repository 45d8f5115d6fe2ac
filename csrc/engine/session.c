/*
 * The work around a batch: whether anybody has failed and why, the activity of the system meanwhile, and the resulting
 * flags.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "session.h"

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

void trial_count(struct trial *trial, unsigned which, int64_t found, int64_t expected)
{
    if (which < MAX_COUNTS)
        trial->count[which] = (struct counted){found, expected, 1};
}

int counts_check(struct trial *trial)
{
    for (unsigned i = 0; i < MAX_COUNTS && trial->kernel->counts[i].name; i++) {
        const struct metric *about = &trial->kernel->counts[i];
        const struct counted *count = &trial->count[i];

        if (!count->taken)
            return trial_fault(trial, "count %s was not taken", about->name);
        if (count->found != count->expected)
            return trial_fault(trial, "count %s: %" PRId64 " %s instead of %" PRId64, about->name, count->found,
                               about->unit, count->expected);
    }
    return 0;
}

int all_well(struct session *session)
{
    return team_meet(&session->team) == 0;
}

void fail_from(struct session *session, int status, const char *stage)
{
    const struct trial *trial = &session->trial;

    if (status == -ENOTSUP)
        team_fail(&session->team, status, "needs %s", trial->need ? trial->need : "something this machine lacks");
    else if ((status == -EMFILE || status == -ENFILE) && !trial->explanation[0])
        team_fail(&session->team, -ENOTSUP, "needs permission for more open files (ulimit -n, fs.file-max)");
    else
        team_fail(&session->team, status, "%s failed: %s", stage,
                  trial->explanation[0] ? trial->explanation : strerror(-status));
}

unsigned subject_of(const struct trial *trial)
{
    const struct kernel *kernel = trial->kernel;

    if (kernel->events) /* an event that sleeps or waits switches context by its nature */
        return kernel->subject | FLAG_SWITCHED;
    if (trial->oversubscribed) /* taking turns is what such a case is about */
        return kernel->subject | FLAG_SWITCHED | FLAG_LOW_OVERLAP;
    return kernel->subject;
}

/* A witness speaks for the time around it. Of what happens in a longer window it has seen too little. */
#define WITNESS_HOLDS_NS 1e6

struct surroundings look_around(struct session *session, const struct worker *worker, uint64_t turn)
{
    struct surroundings here;

    getrusage(RUSAGE_THREAD, &here.usage);
    here.cpu = sched_getcpu();
    here.distance_ticks = line_distance(session, worker, turn);
    /* Last: what the calls above did to the core is over, and nothing comes between the witness and the window. */
    here.witnessed = witness(&session->witness);
    return here;
}

struct sample make_sample(const struct worker *worker, uint64_t batch, const struct surroundings *before,
                          const struct surroundings *after)
{
    const double apart_ns =
        (double)(after->witnessed.begin_ticks - before->witnessed.begin_ticks) * 1e9 / worker->trial->tick_hz;
    const int seen = apart_ns <= WITNESS_HOLDS_NS;
    const struct witnessed *longer =
        before->witnessed.width_ticks > after->witnessed.width_ticks ? &before->witnessed : &after->witnessed;
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
        .width_ticks = seen ? longer->width_ticks : NAN,
        .additions_ticks = seen ? longer->additions_ticks : NAN,
        .clock_ticks = seen ? fmaxf(before->witnessed.clock_ticks, after->witnessed.clock_ticks) : NAN,
        .distance_ticks = (float)(before->distance_ticks + after->distance_ticks) / 2,
    };

    if (before->cpu != worker->cpu || after->cpu != worker->cpu)
        sample.flags |= FLAG_MIGRATED;
    if (sample.voluntary || sample.involuntary)
        sample.flags |= FLAG_SWITCHED;
    if (sample.minor_faults || sample.major_faults)
        sample.flags |= FLAG_FAULTED;
    sample.flags &= ~worker->trial->subject;
    return sample;
}

int was_quiet(const struct session *session, const struct sample *sample)
{
    const double clock_ticks = 1000 * session->trial.tick_hz / session->before.mul_hz;

    /* All false for NaN. */
    return sample->width_ticks <= session->settings.width_limit * clock_ticks &&
           sample->clock_ticks <= QUIET_CLOCK_HIGH * clock_ticks &&
           sample->clock_ticks >= QUIET_CLOCK_LOW * clock_ticks;
}

float team_overlap(const struct session *session)
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
