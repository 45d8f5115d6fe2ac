/*
 * How the threads of a trial are scheduled. During the batches it is as setup asked with trial_schedule(). Otherwise it
 * is as they were found.
 *
 * System calls are made directly. A C library may refuse them because they mean one thread (musl), or not have them
 * (glibc before 2.41).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine.h"

/* struct sched_attr of the system call, which not every <sched.h> has. */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns, deadline_ns, period_ns;
};

const char *policy_name(int policy)
{
    switch (policy) {
    case SCHED_OTHER:
        return "SCHED_OTHER";
    case SCHED_FIFO:
        return "SCHED_FIFO";
    case SCHED_RR:
        return "SCHED_RR";
    case SCHED_BATCH:
        return "SCHED_BATCH";
    case SCHED_IDLE:
        return "SCHED_IDLE";
    case SCHED_DEADLINE:
        return "SCHED_DEADLINE";
    }
    return "an unknown policy";
}

unsigned schedule_needs(const struct schedule *schedule)
{
    switch (schedule->policy) {
    case SCHED_FIFO:
    case SCHED_RR:
        return NEED_FIFO;
    case SCHED_DEADLINE:
        return NEED_DEADLINE;
    }
    return schedule->nice < 0 ? NEED_NICE : 0;
}

/* 0 or -errno. */
static int read_manners(struct manners *found)
{
    struct sched_param param = {.sched_priority = 0};

    found->policy = (int)syscall(SYS_sched_getscheduler, 0);
    if (found->policy < 0 || syscall(SYS_sched_getparam, 0, &param))
        return -errno;
    found->priority = param.sched_priority;
    errno = 0; /* -1 is a nice value like any other */
    found->nice = getpriority(PRIO_PROCESS, 0);
    if (errno)
        return -errno;
    found->slack_ns = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
    return found->slack_ns < 0 ? -errno : 0;
}

/* SCHED_DEADLINE is refused to a thread that may not run on all CPUs of its cpuset. */
static int unpin(void)
{
    const size_t bytes = CPU_ALLOC_SIZE(MAX_CPUS);
    cpu_set_t *set = CPU_ALLOC(MAX_CPUS);
    int status;

    if (!set)
        return -ENOMEM;
    memset(set, 0xff, bytes);
    status = sched_setaffinity(0, bytes, set) ? -errno : 0;
    CPU_FREE(set);
    return status;
}

static int set_policy(const struct schedule *wanted)
{
    const struct sched_param param = {.sched_priority = wanted->priority};
    const struct attributes deadline = {.size = sizeof deadline,
                                        .policy = SCHED_DEADLINE,
                                        .runtime_ns = wanted->runtime_ns,
                                        .deadline_ns = wanted->deadline_ns ? wanted->deadline_ns : wanted->period_ns,
                                        .period_ns = wanted->period_ns};

    if (wanted->policy != SCHED_DEADLINE)
        return syscall(SYS_sched_setscheduler, 0, wanted->policy, &param) ? -errno : 0;
    if (unpin())
        return -EPERM;
    return syscall(SYS_sched_setattr, 0, &deadline, 0) ? -errno : 0;
}

int schedule_apply(const struct schedule *wanted)
{
    struct manners found = {.nice = 0};
    int status = read_manners(&found);

    if (!status && wanted->nice && setpriority(PRIO_PROCESS, 0, found.nice + wanted->nice))
        status = -errno;
    if (!status)
        status = set_policy(wanted);
    /* Last: newer kernels take the slack away with a real-time policy. */
    if (!status && wanted->slack_ns && prctl(PR_SET_TIMERSLACK, wanted->slack_ns, 0, 0, 0))
        status = -errno;
    return status;
}

static void *try_schedule(void *argument)
{
    return schedule_apply(argument) ? NULL : argument;
}

int schedule_allowed(const struct schedule *schedule)
{
    struct schedule tried = *schedule;
    void *allowed = NULL;
    pthread_t thread;

    /* A thread that ends needs no way back. */
    if (pthread_create(&thread, NULL, try_schedule, &tried))
        return 0;
    pthread_join(thread, &allowed);
    return allowed != NULL;
}

/* NULL: the worker stays as it is. */
static const struct schedule *wanted_for(const struct worker *worker)
{
    const struct team *team = worker->trial->team;
    const struct schedule *wanted = team->schedules ? &team->schedules[worker->index] : NULL;

    return wanted && wanted->policy >= 0 ? wanted : NULL;
}

int trial_schedule(struct trial *trial, unsigned index, const struct schedule *schedule)
{
    struct team *team = trial->team;
    const unsigned missing = schedule_needs(schedule) & ~capabilities();

    if (index >= team->size) {
        trial_fault(trial, "there is no worker %u to be scheduled", index);
        return -EINVAL;
    }
    if (missing)
        return trial_needs(trial, capability_text(missing & -missing));
    if (!team->schedules) {
        team->schedules = malloc(team->size * sizeof *team->schedules);
        if (!team->schedules)
            return -ENOMEM;
        for (unsigned i = 0; i < team->size; i++)
            team->schedules[i].policy = -1;
    }
    team->schedules[index] = *schedule;
    if (schedule->policy == SCHED_DEADLINE) /* it goes where the kernel puts it */
        trial->subject |= FLAG_MIGRATED;
    atomic_store_explicit(&team->naps, 1, memory_order_relaxed); /* pairs with team_meet() */
    return 0;
}

void schedule_begin(const struct worker *worker, struct manners *found)
{
    const struct schedule *wanted = wanted_for(worker);
    int status;

    if (read_manners(found))
        found->policy = -1; /* not to be read here: nothing to compare with afterwards */
    status = wanted ? schedule_apply(wanted) : 0;
    if (status)
        team_fail(worker->trial->team, status, "cannot run worker %u with %s (%s)", worker->index,
                  policy_name(wanted->policy), strerror(-status));
}

void schedule_end(const struct worker *worker, const struct manners *found)
{
    const struct schedule *wanted = wanted_for(worker);
    const struct sched_param param = {.sched_priority = found->priority};
    struct manners now;

    if (found->policy < 0)
        return;
    if (wanted) {
        syscall(SYS_sched_setscheduler, 0, found->policy, &param);
        setpriority(PRIO_PROCESS, 0, found->nice);
        if (found->slack_ns > 0) /* a real-time thread has none, and 0 would mean the default */
            prctl(PR_SET_TIMERSLACK, found->slack_ns, 0, 0, 0);
        if (wanted->policy == SCHED_DEADLINE)
            pin_thread(worker->cpu);
        /* Without that permission there is no way back from a higher nice value, nor from SCHED_IDLE. The thread ends with its case. */
        if (!(capabilities() & NEED_NICE))
            return;
    }
    if (read_manners(&now) == 0 && memcmp(&now, found, sizeof now) != 0)
        team_fail(
            worker->trial->team, -EILSEQ,
            "worker %u was left with %s, priority %d, nice %d and a timer slack of %d ns, and had %s, %d, %d and %d ns",
            worker->index, policy_name(now.policy), now.priority, now.nice, now.slack_ns, policy_name(found->policy),
            found->priority, found->nice, found->slack_ns);
}

void schedules_free(struct team *team)
{
    free(team->schedules);
    team->schedules = NULL;
}
