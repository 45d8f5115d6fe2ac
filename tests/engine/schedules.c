/* Kernels for test_schedule.py: workers scheduled as setup asks for, and some that leave them otherwise. */
#define _GNU_SOURCE
#include "kernel.h"

#include <errno.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { OTHER, BATCH, IDLE, NICER, FIFO, RR, DEADLINE };

static const struct schedule asked[] = {
    [OTHER] = {.policy = SCHED_OTHER, .slack_ns = 1000},
    [BATCH] = {.policy = SCHED_BATCH},
    [IDLE] = {.policy = SCHED_IDLE},
    [NICER] = {.policy = SCHED_OTHER, .nice = -3},
    [FIFO] = {.policy = SCHED_FIFO, .priority = 7},
    [RR] = {.policy = SCHED_RR, .priority = 8},
    [DEADLINE] = {.policy = SCHED_DEADLINE, .runtime_ns = 1000000, .period_ns = 10000000},
};

/* As seen during the batches, for the metrics. */
static struct {
    int policy, nice, priority, slack, cpus;
} seen;

static int cpus_of_mask(void)
{
    static cpu_set_t set;

    return sched_getaffinity(0, sizeof set, &set) ? -1 : CPU_COUNT(&set);
}

static void look(void)
{
    struct sched_param param = {0};

    seen.policy = (int)syscall(SYS_sched_getscheduler, 0);
    syscall(SYS_sched_getparam, 0, &param);
    seen.priority = param.sched_priority;
    seen.nice = getpriority(PRIO_PROCESS, 0);
    seen.slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
    seen.cpus = cpus_of_mask();
}

/* Found like this, which no process is by chance: who does not restore it is seen. */
#define FOUND_SLACK 43210

static int ask(struct trial *trial)
{
    prctl(PR_SET_TIMERSLACK, FOUND_SLACK, 0, 0, 0);
    return trial_schedule(trial, 0, &asked[trial->value[0]]);
}

static int64_t one(struct worker *worker, int64_t *ticks, uint64_t count)
{
    (void)worker;
    look();
    if (count)
        *ticks = 1;
    return 1;
}

/* Runs after the batches, in the thread that was scheduled. */
static int restored(struct trial *trial)
{
    const int nice_value = getpriority(PRIO_PROCESS, 0);

    trial->metric[0] = seen.policy;
    trial->metric[1] = seen.nice - nice_value;
    trial->metric[2] = seen.priority;
    trial->metric[3] = seen.slack;
    trial->metric[4] = seen.cpus;
    if (syscall(SYS_sched_getscheduler, 0) != SCHED_OTHER || prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0) != FOUND_SLACK ||
        cpus_of_mask() != 1)
        return trial_fault(trial, "policy %ld, slack %d, %d CPUs", syscall(SYS_sched_getscheduler, 0),
                           prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0), cpus_of_mask());
    return 0;
}

KERNEL(asked, .name = "schedule/asked", .summary = "s", .unit = "u", .threads = {1, 1},
       .parameters = {{.name = "how", .summary = "s", .labels = "other batch idle nicer fifo rr deadline"}},
       .metrics = {{"policy", "1", "s"},
                   {"nice", "1", "s"},
                   {"priority", "1", "s"},
                   {"slack_ns", "ns", "s"},
                   {"cpus", "1", "s"}},
       .setup = ask, .events = one, .events_per_batch = 2, .check = restored)

static int fine(struct trial *trial)
{
    (void)trial;
    return 0;
}

static int nobody(struct trial *trial)
{
    return trial_schedule(trial, 1, &asked[OTHER]);
}
KERNEL(nobody, .name = "schedule/nobody", .summary = "s", .unit = "u", .threads = {1, 1}, .setup = nobody,
       .events = one, .events_per_batch = 1, .check = fine)

static int impossible(struct trial *trial)
{
    return trial_schedule(trial, 0, &(struct schedule){.policy = SCHED_FIFO, .priority = 1000});
}
KERNEL(impossible, .name = "schedule/impossible", .summary = "s", .unit = "u", .threads = {1, 1}, .setup = impossible,
       .events = one, .events_per_batch = 1, .check = fine)

/* Changes its own scheduling, in three ways, and leaves it so. */
static int64_t leave(struct worker *worker, int64_t *ticks, uint64_t count)
{
    const struct sched_param param = {0};

    if (worker->trial->value[0] == 0)
        syscall(SYS_sched_setscheduler, 0, SCHED_BATCH, &param);
    else if (worker->trial->value[0] == 1)
        setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + 1);
    else
        prctl(PR_SET_TIMERSLACK, 1234, 0, 0, 0);
    if (count)
        *ticks = 1;
    return 1;
}
KERNEL(leaver, .name = "schedule/leaver", .summary = "s", .unit = "u", .threads = {1, 1},
       .parameters = {{.name = "what", .summary = "s", .labels = "policy nice slack"}}, .events = leave,
       .events_per_batch = 1, .check = fine)

/* Two workers, on one CPU if the test wants it: a real-time one, which meets the other in each event and could starve it. */
static int only_first(struct trial *trial)
{
    return trial_schedule(trial, 0, &asked[FIFO]);
}
static int64_t meet(struct worker *worker, int64_t *ticks, uint64_t count)
{
    team_start(worker);
    if (count)
        *ticks = 1;
    return 1;
}
KERNEL(mixed, .name = "schedule/mixed", .summary = "s", .unit = "u", .threads = {2, 2}, .setup = only_first,
       .events = meet, .events_per_batch = 1, .check = fine)
