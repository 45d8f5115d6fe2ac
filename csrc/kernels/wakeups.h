/*
 * Wake-ups at absolute deadlines, one period apart from each other, so that a late one does not move the next. A
 * deadline that has passed before it could be waited for is skipped and counted.
 */
#ifndef FENCEPOST_WAKEUPS_H
#define FENCEPOST_WAKEUPS_H

#include <errno.h>
#include <math.h>
#include <time.h>

#include "kernel.h"

#define DEFAULT_SLACK_NS 50000 /* the default of Linux, set anew, since ours may be inherited */
#define WAKEUP_PRIORITY 50     /* above timer threads of ordinary programs, below the kernel's own interrupt threads */
#define LEAST_PERIOD_US 10
#define MOST_PERIOD_US 1000000

struct wakeups {
    int64_t deadline_ns; /* the last one. Batches go on where the one before stopped */
    int64_t count, early, missed;
};

/* Sleep until the next deadline that has not passed. Returns how late it came, in nanoseconds. */
static inline int64_t next_wakeup(struct wakeups *wakeups, int64_t period_ns)
{
    const int64_t began_ns = (int64_t)now_ns();
    struct timespec deadline;
    int64_t late_ns;

    wakeups->deadline_ns += period_ns;
    for (; wakeups->deadline_ns <= began_ns; wakeups->deadline_ns += period_ns)
        wakeups->missed++;
    deadline = (struct timespec){wakeups->deadline_ns / 1000000000, wakeups->deadline_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL) == EINTR)
        ;
    late_ns = (int64_t)now_ns() - wakeups->deadline_ns;
    wakeups->early += late_ns < 0;
    wakeups->count++;
    return late_ns;
}

/* The events of a kernel whose state begins with its wake-ups. The first of all is not measured: cold code and timer. */
static inline int64_t wakeup_events(struct worker *worker, int64_t *ticks, uint64_t count, int64_t period_ns)
{
    const struct trial *trial = worker->trial;
    struct wakeups *wakeups = trial->state;

    if (wakeups->count == 0) {
        wakeups->deadline_ns = (int64_t)now_ns();
        next_wakeup(wakeups, period_ns);
    }
    for (uint64_t i = 0; i < count; i++)
        ticks[i] = (int64_t)llround((double)next_wakeup(wakeups, period_ns) * trial->tick_hz / 1e9);
    return (int64_t)count;
}

/* No wake-up came before its deadline. */
static inline int check_wakeups(struct trial *trial)
{
    const struct wakeups *wakeups = trial->state;

    if (wakeups->count == 0 || wakeups->early)
        return trial_fault(trial, "%lld of %lld wake-ups came before their deadline", (long long)wakeups->early,
                           (long long)wakeups->count);
    return 0;
}

#endif
