/*
 * schedule/range: which nice values and priorities are there, and who may have them?
 *
 * One operation is to ask once, in a child that ends afterwards. It asks for nice -100 and nice 100 and looks at what it got. It asks which
 * priorities SCHED_FIFO has. Then it asks for SCHED_FIFO twice: without the capability CAP_SYS_NICE, and with it again.
 * Excluded:  all times.
 * Expect:    -20, 19, 1, 99; EPERM without the capability, and no error with it.
 * Hazards:   a limit of the user (ulimit -r) allows SCHED_FIFO as well. The child sets its own to 0 before.
 * Not shown: control groups that give no real-time to their tasks (RT_GROUP_SCHED): there the row says that it needs the permission.
 */
#define _GNU_SOURCE
#include <linux/capability.h>
#include <sched.h>
#include <sys/syscall.h>

#include "kernels/process/other.h"

enum { NICE_LEAST, NICE_MOST, PRIORITY_LEAST, PRIORITY_MOST, WITHOUT, WITH, ANSWERS };

#define BEYOND 100

struct answers {
    int64_t of[ANSWERS];
    int error; /* of getting and setting capabilities, as errno */
};

static const int64_t expected[] = {
    [NICE_LEAST] = -20, [NICE_MOST] = 19, [PRIORITY_LEAST] = 1, [PRIORITY_MOST] = 99, [WITHOUT] = EPERM, [WITH] = 0};

static int64_t nice_after(int nice)
{
    setpriority(PRIO_PROCESS, 0, nice);
    return getpriority(PRIO_PROCESS, 0);
}

/* The capability that allows to be scheduled otherwise, taken away or put back. 0 or errno. */
static int set_capability(int have)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];

    if (syscall(SYS_capget, &header, data))
        return errno;
    if (have && !(data[0].permitted & 1U << CAP_SYS_NICE))
        return EPERM;
    data[0].effective = have ? data[0].effective | 1U << CAP_SYS_NICE : data[0].effective & ~(1U << CAP_SYS_NICE);
    return syscall(SYS_capset, &header, data) ? errno : 0;
}

static int ask_for_fifo(void)
{
    const struct sched_param param = {.sched_priority = 1}, none = {.sched_priority = 0};
    const int error = syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &param) ? errno : 0;

    if (!error)
        syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &none);
    return error;
}

/* The child, which ends. */
static __attribute__((noreturn)) void ask(struct answers *answers)
{
    const struct rlimit none = {0, 0};

    answers->error = set_capability(1);
    answers->of[NICE_MOST] = nice_after(BEYOND);
    answers->of[NICE_LEAST] = nice_after(-BEYOND);
    answers->of[PRIORITY_LEAST] = sched_get_priority_min(SCHED_FIFO);
    answers->of[PRIORITY_MOST] = sched_get_priority_max(SCHED_FIFO);
    if (!answers->error)
        answers->error = setrlimit(RLIMIT_RTPRIO, &none) ? errno : set_capability(0);
    answers->of[WITHOUT] = ask_for_fifo();
    if (!answers->error)
        answers->error = set_capability(1);
    answers->of[WITH] = ask_for_fifo();
    _exit(0);
}

static int setup(struct trial *trial)
{
    return trial_alloc_shared(trial, sizeof(struct answers)) ? 0 : -ENOMEM;
}

static int work(struct worker *worker)
{
    struct trial *trial = worker->trial;
    struct answers *answers = trial->state;
    const int child = other_start(trial);
    int ended;

    if (child == 0)
        ask(answers);
    if (child < 0)
        return child;
    ended = wait_for_child(child);
    if (answers->error)
        return trial_needs(trial, "the capability CAP_SYS_NICE, and permission to give it up (capset)");
    return ended;
}

static int check(struct trial *trial)
{
    const struct answers *answers = trial->state;

    for (unsigned i = 0; i < ANSWERS; i++)
        trial_count(trial, i, answers->of[i], expected[i]);
    return 0;
}

KERNEL(range,
    .name    = "schedule/range",
    .summary = "a process asks for nice values, for priorities, and for SCHED_FIFO with and without permission",
    .unit    = "process",
    .threads = { .min = 1, .max = 1 },
    .needs   = NEED_FIFO | NEED_NICE,
    .counts  = { [NICE_LEAST]     = { "nice_least", "nice", "what nice -100 gives" },
                 [NICE_MOST]      = { "nice_most", "nice", "what nice 100 gives" },
                 [PRIORITY_LEAST] = { "priority_least", "priority", "of SCHED_FIFO" },
                 [PRIORITY_MOST]  = { "priority_most", "priority", "of SCHED_FIFO" },
                 [WITHOUT]        = { "without", "errno", "of asking for SCHED_FIFO without CAP_SYS_NICE" },
                 [WITH]           = { "with", "errno", "of asking for it with CAP_SYS_NICE" } },
    .setup   = setup,
    .work    = work,
    .check   = check);
