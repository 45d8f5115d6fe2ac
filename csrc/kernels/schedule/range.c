/*
 * schedule/range: which nice values and which real-time priorities are there?
 *
 * One operation is to ask once, in a child that ends afterwards. It asks for nice -100 and nice 100 and looks at the
 * values that it got. It also asks for the least and the highest priority of SCHED_FIFO.
 * Excluded:  all times.
 * Expect:    -20, 19, 1, 99.
 * Hazards:   a process may lower its nice value only with permission. Without it the row says so.
 * Not shown: who may have them, which namespace/capability shows.
 */
#define _GNU_SOURCE
#include <sched.h>

#include "kernels/other_process.h"

enum { NICE_LEAST, NICE_MOST, PRIORITY_LEAST, PRIORITY_MOST, ANSWERS };

#define BEYOND 100

struct answers {
    int64_t of[ANSWERS];
};

static const int64_t expected[] = {[NICE_LEAST] = -20, [NICE_MOST] = 19, [PRIORITY_LEAST] = 1, [PRIORITY_MOST] = 99};

static int64_t nice_after(int nice)
{
    setpriority(PRIO_PROCESS, 0, nice);
    return getpriority(PRIO_PROCESS, 0);
}

/* The child, which ends. */
static __attribute__((noreturn)) void ask(struct answers *answers)
{
    answers->of[NICE_MOST] = nice_after(BEYOND);
    answers->of[NICE_LEAST] = nice_after(-BEYOND);
    answers->of[PRIORITY_LEAST] = sched_get_priority_min(SCHED_FIFO);
    answers->of[PRIORITY_MOST] = sched_get_priority_max(SCHED_FIFO);
    _exit(0);
}

static int setup(struct trial *trial)
{
    return trial_alloc_shared(trial, sizeof(struct answers)) ? 0 : -ENOMEM;
}

static int work(struct worker *worker)
{
    struct trial *trial = worker->trial;
    const int child = other_start(trial);

    if (child == 0)
        ask(trial->state);
    return child < 0 ? child : wait_for_child(child);
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
    .summary = "a process asks for nice values beyond all, and for the priorities of SCHED_FIFO",
    .unit    = "process",
    .threads = { .min = 1, .max = 1 },
    .needs   = NEED_NICE,
    .counts  = { [NICE_LEAST]     = { "nice_least", "nice", "what nice -100 gives" },
                 [NICE_MOST]      = { "nice_most", "nice", "what nice 100 gives" },
                 [PRIORITY_LEAST] = { "priority_least", "priority", "of SCHED_FIFO" },
                 [PRIORITY_MOST]  = { "priority_most", "priority", "of SCHED_FIFO" } },
    .setup   = setup,
    .work    = work,
    .check   = check);
