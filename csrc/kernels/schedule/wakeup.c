/*
 * schedule/wakeup: how late does a thread wake at its deadline, by how it is scheduled, on an idle CPU and beside a
 * spinner?
 *
 * One event is one clock_nanosleep until an absolute time: the time read after it, less that deadline.
 *   other           SCHED_OTHER, whose timers may be put off by 50 us (timer slack)
 *   other_slack1    the same with a slack of 1 ns
 *   batch idle      SCHED_BATCH and SCHED_IDLE, with a slack of 1 ns
 *   minus20         SCHED_OTHER at the least nice value, with a slack of 1 ns
 *   fifo rr         real-time, which has no slack
 *   deadline        SCHED_DEADLINE, with its deadline at the end of each period
 *   deadline_early  the same with periods of ten wake-ups, and its deadline in the middle of each
 * The spinner is of SCHED_OTHER and on the same CPU.
 * Excluded:  the first wake-up of all, and reading the clock (some 20 ns).
 * Expect:    guest of an AMD EPYC, Linux 6.18, p50 in us. Idle and beside the spinner: other 117 and 41, fifo 62 and
 *            32, deadline 67 and 39. Idle alone: other_slack1 62, rr 42, minus20 37. Beside the spinner alone: idle
 *            7015.
 * Hazards:   an idle CPU of a guest has halted, and its host has to start it again. So it wakes later than a busy one.
 *            A figure under load says nothing without the idle one. SCHED_DEADLINE may not be pinned, so its thread may
 *            wake on a CPU without the spinner. A thread that has used up its runtime waits for its next period. So
 *            does one that wakes between its deadline and that period. `missed` counts deadlines that passed so.
 * Not shown: interrupts that have their own threads, and isolated CPUs.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <sched.h>

#include "kernels/schedule/quota.h"
#include "kernels/wakeups.h"

enum { POLICY, BESIDE, PERIOD_US };
enum { OTHER, OTHER_SLACK1, BATCH, IDLE, MINUS20, FIFO, RR, DEADLINE, DEADLINE_EARLY };
enum { NOBODY, SPINNER };
enum { MISSED };

/* The profile's batches then make 12, 20 or 40 wake-ups a process. */
#define WAKEUPS_PER_BATCH 1
/* The least that can be asked for. */
#define LEAST_SLACK_NS 1
/* Of each period: hundreds of times what a wake-up takes, and little enough for a kernel that admits 95 % of a CPU. */
#define DEADLINE_PART 4
/* Wake-ups in a period whose deadline comes early. */
#define EARLY_WAKEUPS 10

static const struct schedule schedules[] = {
    [OTHER] = {.slack_ns = DEFAULT_SLACK_NS},
    [OTHER_SLACK1] = {.slack_ns = LEAST_SLACK_NS},
    [BATCH] = {.policy = SCHED_BATCH, .slack_ns = LEAST_SLACK_NS},
    [IDLE] = {.policy = SCHED_IDLE, .slack_ns = LEAST_SLACK_NS},
    [MINUS20] = {.nice = -20, .slack_ns = LEAST_SLACK_NS},
    [FIFO] = {.policy = SCHED_FIFO, .priority = WAKEUP_PRIORITY},
    [RR] = {.policy = SCHED_RR, .priority = WAKEUP_PRIORITY},
    [DEADLINE] = {.policy = SCHED_DEADLINE},
    [DEADLINE_EARLY] = {.policy = SCHED_DEADLINE},
};

static int setup(struct trial *trial)
{
    static const struct schedule spinner; /* SCHED_OTHER */
    const int64_t period_us = trial->value[PERIOD_US];
    struct schedule wanted = schedules[trial->value[POLICY]];
    int status;

    if (period_us < LEAST_PERIOD_US || period_us > MOST_PERIOD_US) {
        trial_fault(trial, "period_us=%" PRId64 " is not %d to %d", period_us, LEAST_PERIOD_US, MOST_PERIOD_US);
        return -EINVAL;
    }
    if (has_cpu_quota())
        return trial_needs(trial, NO_QUOTA);
    if (!trial_alloc(trial, sizeof(struct wakeups)))
        return -ENOMEM;
    if (wanted.policy == SCHED_DEADLINE) {
        wanted.period_ns = (uint64_t)period_us * 1000 * (trial->value[POLICY] == DEADLINE ? 1 : EARLY_WAKEUPS);
        wanted.runtime_ns = wanted.period_ns / DEADLINE_PART;
        wanted.deadline_ns = trial->value[POLICY] == DEADLINE ? 0 : wanted.period_ns / 2;
    }
    status = trial_schedule(trial, 0, &wanted);
    return status || trial->value[BESIDE] == NOBODY ? status : trial_load(trial, trial->cpus[0], &spinner);
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    return wakeup_events(worker, ticks, count, worker->trial->value[PERIOD_US] * 1000);
}

static int check(struct trial *trial)
{
    const struct wakeups *wakeups = trial->state;

    trial->metric[MISSED] = (double)wakeups->missed;
    return check_wakeups(trial);
}

/* One of SCHED_IDLE waits for the spinner's slices, some 8 ms. */
static uint64_t cost_ns(const struct trial *trial)
{
    const uint64_t slices = trial->value[POLICY] == IDLE && trial->value[BESIDE] == SPINNER ? 8000000 : 10000;

    return (trial->batches * WAKEUPS_PER_BATCH + 1) * ((uint64_t)trial->value[PERIOD_US] * 1000 + slices);
}

KERNEL(schedule_wakeup,
    .name             = "schedule/wakeup",
    .summary          = "a thread sleeps until a deadline and wakes some time after it, alone on its CPU or beside a spinner",
    .unit             = "wake-up",
    .threads          = { .min = 1, .max = 1 },
    .parameters       = {
        [POLICY]    = { .name = "policy", .summary = "how the thread is scheduled", .initial = OTHER,
                        .labels = "other other_slack1 batch idle minus20 fifo rr deadline deadline_early",
                        .quick = "fifo", .standard = "fifo", .rigorous = "*" },
        [BESIDE]    = { .name = "beside", .summary = "who else is on its CPU", .labels = "nobody spinner", .initial = NOBODY,
                        .quick = "*", .standard = "*", .rigorous = "*" },
        [PERIOD_US] = { .name = "period_us", .unit = "us", .summary = "distance of the deadlines", .initial = 1000,
                        .quick = "1000", .standard = "1000", .rigorous = "1000" },
    },
    .metrics          = { [MISSED] = { "missed", "deadlines", "that had passed before they could be waited for" } },
    .setup            = setup,
    .events           = events,
    .events_per_batch = WAKEUPS_PER_BATCH,
    .check            = check,
    .cost_ns          = cost_ns);
