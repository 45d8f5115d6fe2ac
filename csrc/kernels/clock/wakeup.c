/*
 * clock/wakeup: a thread asks to be woken at a given time. How late does it wake?
 *
 * One event is one clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME): the time read after it returns, less the deadline.
 * Deadlines are absolute and one period apart, so a late wake-up does not move the next. A deadline that has already
 * passed is skipped and counted (missed). Latencies are taken in nanoseconds and stored as ticks by the process's own
 * rate.
 * Excluded:  the first wake-up of all (cold code and timer), and reading the clock (some 20 ns).
 * Variants:  other is SCHED_OTHER with the usual timer slack of 50 us, other_slack1 the same with 1 ns. The kernel may
 *            put off a timer by the slack, to serve several at once. Variant fifo is SCHED_FIFO at priority 50, for
 *            which there is no slack.
 * Expect:    reference guest, period 1 ms, p50 (min, p99, max) in us: other 102 (73, 340, 4003), fifo 55.8 (23.5, 146,
 *            292). The slack of 50 us is the difference. On bare metal 3-5 and, with slack, 53-55.
 * Hazards:   the idle CPU has to leave its C-state first. In a guest the hypervisor also has to run the vCPU again. So
 *            a long period reads longer than a short one.
 * Not shown: latency under load on the same CPU, and the deadline scheduler.
 */
#define _GNU_SOURCE
#include <sched.h>

#include "kernels/wakeups.h"

/* The profile's batches then make 24 wake-ups a process in quick, 40 in standard, 80 in rigorous. */
#define WAKEUPS_PER_BATCH 2

enum { POLICY_OTHER, POLICY_OTHER_SLACK1, POLICY_FIFO };

static const struct schedule schedules[] = {
    [POLICY_OTHER] = {.policy = SCHED_OTHER, .slack_ns = DEFAULT_SLACK_NS},
    [POLICY_OTHER_SLACK1] = {.policy = SCHED_OTHER, .slack_ns = 1}, /* the least that can be asked for */
    [POLICY_FIFO] = {.policy = SCHED_FIFO, .priority = WAKEUP_PRIORITY},
};

static int setup(struct trial *trial)
{
    if (trial->value[1] < LEAST_PERIOD_US || trial->value[1] > MOST_PERIOD_US) {
        trial_fault(trial, "period_us must be 10 to 1000000");
        return -EINVAL;
    }
    if (!trial_alloc(trial, sizeof(struct wakeups)))
        return -ENOMEM;
    return trial_schedule(trial, 0, &schedules[trial->value[0]]);
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    return wakeup_events(worker, ticks, count, worker->trial->value[1] * 1000);
}

static int check(struct trial *trial)
{
    const struct wakeups *wakeups = trial->state;

    trial->metric[0] = (double)wakeups->missed;
    return check_wakeups(trial);
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
