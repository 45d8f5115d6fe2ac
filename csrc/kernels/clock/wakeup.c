/*
 * clock/wakeup: how late does a thread wake that asked to be woken at a given time?
 *
 * One event is one clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME): the time read after it returns, less the deadline.
 * Deadlines are absolute, one period apart from each other: a late wake-up does not move the next. A deadline that has
 * already passed is skipped and counted (missed). Latencies are taken in nanoseconds and stored as ticks by the
 * process's own rate.
 * Excluded:  the first wake-up of all (cold code and timer); reading the clock (some 20 ns).
 * Variants:  other is SCHED_OTHER with the usual timer slack of 50 us, other_slack1 the same with 1 ns: the kernel may
 *            put off a timer by the slack to serve several at once. fifo is SCHED_FIFO at priority 50, for which there
 *            is no slack.
 * Expect:    reference guest, period 1 ms, p50 (min, p99, max) in us: other 102 (73, 340, 4003), fifo 55.8 (23.5, 146,
 *            292); the slack of 50 us is the difference. On bare metal 3-5 and, with slack, 53-55.
 * Hazards:   the idle CPU has to leave its C-state first, and in a guest the hypervisor has to run the vCPU again: a
 *            long period reads longer than a short one.
 * Not shown: latency under load on the same CPU; the deadline scheduler.
 */
#define _GNU_SOURCE
#include "kernel.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <time.h>

/* The profile's batches then make 24 wake-ups a process in quick, 40 in standard, 80 in rigorous. */
#define WAKEUPS_PER_BATCH 2
#define DEFAULT_SLACK_NS 50000 /* the kernel's default; set anew, since ours may have been inherited otherwise */
#define FIFO_PRIORITY 50       /* above timer threads of ordinary programs, below the kernel's own interrupt threads */

enum { POLICY_OTHER, POLICY_OTHER_SLACK1, POLICY_FIFO };

static const struct schedule schedules[] = {
    [POLICY_OTHER] = {.policy = SCHED_OTHER, .slack_ns = DEFAULT_SLACK_NS},
    [POLICY_OTHER_SLACK1] = {.policy = SCHED_OTHER, .slack_ns = 1}, /* the least that can be asked for */
    [POLICY_FIFO] = {.policy = SCHED_FIFO, .priority = FIFO_PRIORITY},
};

struct wakeups {
    int64_t deadline_ns; /* the last one; batches go on where the one before stopped */
    int64_t count, early, missed;
};

static int setup(struct trial *trial)
{
    if (trial->value[1] < 10 || trial->value[1] > 1000000) {
        trial_fault(trial, "period_us must be 10 to 1000000");
        return -EINVAL;
    }
    if (!trial_alloc(trial, sizeof(struct wakeups)))
        return -ENOMEM;
    return trial_schedule(trial, 0, &schedules[trial->value[0]]);
}

static int64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Sleep until the next deadline that has not passed; how late it came, in nanoseconds. */
static int64_t next_wakeup(struct wakeups *wakeups, int64_t period_ns)
{
    const int64_t now_ns = clock_ns();
    struct timespec deadline;
    int64_t late_ns;

    wakeups->deadline_ns += period_ns;
    for (; wakeups->deadline_ns <= now_ns; wakeups->deadline_ns += period_ns)
        wakeups->missed++;
    deadline = (struct timespec){wakeups->deadline_ns / 1000000000, wakeups->deadline_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL) == EINTR)
        ;
    late_ns = clock_ns() - wakeups->deadline_ns;
    wakeups->early += late_ns < 0;
    wakeups->count++;
    return late_ns;
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;
    struct wakeups *wakeups = trial->state;
    const int64_t period_ns = trial->value[1] * 1000;

    if (wakeups->count == 0) {
        wakeups->deadline_ns = clock_ns();
        next_wakeup(wakeups, period_ns);
    }
    for (uint64_t i = 0; i < count; i++)
        ticks[i] = (int64_t)llround((double)next_wakeup(wakeups, period_ns) * trial->tick_hz / 1e9);
    return (int64_t)count;
}

/* No wake-up came before its deadline. */
static int check(struct trial *trial)
{
    const struct wakeups *wakeups = trial->state;

    if (wakeups->count == 0 || wakeups->early)
        return trial_fault(trial, "%lld of %lld wake-ups came before their deadline", (long long)wakeups->early,
                           (long long)wakeups->count);
    trial->metric[0] = (double)wakeups->missed;
    return 0;
}

static uint64_t cost_ns(const struct trial *trial)
{
    return (trial->batches * WAKEUPS_PER_BATCH + 1) * ((uint64_t)trial->value[1] * 1000 + 10000);
}

KERNEL(wakeup,
    .name             = "clock/wakeup",
    .summary          = "a thread sleeps until an absolute deadline and wakes some time after it",
    .unit             = "wake-up",
    .threads          = { .min = 1, .max = 1 },
    .parameters       = { { .name = "policy", .unit = "policy", .summary = "scheduling policy and timer slack",
                            .labels = "other other_slack1 fifo", .initial = POLICY_OTHER,
                            .quick = "*", .standard = "*", .rigorous = "*" },
                          { .name = "period_us", .unit = "us", .summary = "distance of the deadlines",
                            .initial = 1000, .quick = "1000", .standard = "1000", .rigorous = "50 100 1000 10000" } },
    .metrics          = { { "missed", "deadlines", "deadlines that had passed before they could be waited for" } },
    .setup            = setup,
    .events           = events,
    .events_per_batch = WAKEUPS_PER_BATCH,
    .check            = check,
    .cost_ns          = cost_ns);
