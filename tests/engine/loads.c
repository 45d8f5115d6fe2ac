/* Kernels for test_load.py: cases with a background load, and loads that cannot run. */
#define _GNU_SOURCE
#include "kernel.h"

#include <errno.h>
#include <sched.h>
#include <time.h>

static const struct schedule policies[] = {
    {.policy = SCHED_OTHER}, {.policy = SCHED_IDLE}, {.policy = SCHED_FIFO, .priority = 1}, {.policy = SCHED_DEADLINE}};
static const struct schedule above = {.policy = SCHED_FIFO, .priority = 50};

/* Value 0: the policy; 1: the worker on whose CPU the load is (9: on none); 2: whether worker 0 is of a real-time priority above it. */
static int load(struct trial *trial)
{
    const int64_t where = trial->value[1];
    const int status = trial->value[2] ? trial_schedule(trial, 0, &above) : 0;

    return status ? status : trial_load(trial, where == 9 ? 1 << 12 : trial->cpus[where], &policies[trial->value[0]]);
}

static int fine(struct trial *trial)
{
    (void)trial;
    return 0;
}

/* Sleeps until the load has had a turn, as long as that takes: the turns themselves are the engine's to see. */
static int64_t sleeping(struct worker *worker, int64_t *ticks, uint64_t count)
{
    const struct timespec moment = {0, 5000000};

    (void)worker;
    nanosleep(&moment, NULL);
    if (count)
        *ticks = 1;
    return 1;
}

/* Keeps its CPU for 10 us, or as many milliseconds as value 3 says: nobody of a lower class runs there. */
static int64_t busy(struct worker *worker, int64_t *ticks, uint64_t count)
{
    const int64_t ms = worker->trial->value[3];
    const uint64_t end = tick_now() + (uint64_t)(worker->trial->tick_hz * (ms ? (double)ms / 1e3 : 1e-5));

    while (tick_now() < end)
        ;
    if (count)
        *ticks = 1;
    return 1;
}

#define PARAMETERS                                                                                                     \
    {                                                                                                                  \
        {.name = "policy", .unit = "1", .summary = "s"}, {.name = "where", .unit = "1", .summary = "s"},               \
            {.name = "above", .unit = "1", .summary = "s"},                                                            \
        {                                                                                                              \
            .name = "ms", .unit = "1", .summary = "s"                                                                  \
        }                                                                                                              \
    }

KERNEL(asleep, .name = "load/asleep", .summary = "s", .unit = "u", .threads = {1, 2}, .parameters = PARAMETERS,
       .setup = load, .events = sleeping, .events_per_batch = 1, .check = fine)
KERNEL(awake, .name = "load/awake", .summary = "s", .unit = "u", .threads = {1, 2}, .parameters = PARAMETERS,
       .setup = load, .events = busy, .events_per_batch = 1, .check = fine)

KERNEL(bare, .name = "load/bare", .summary = "s", .unit = "u", .threads = {1, 1}, .events = busy, .events_per_batch = 1,
       .check = fine)

static void spin(struct worker *worker, uint64_t operations)
{
    (void)worker;
    for (uint64_t i = 0; i < operations; i++)
        OPAQUE(i);
}
KERNEL(loop, .name = "load/loop", .summary = "s", .unit = "u", .threads = {1, 2}, .parameters = PARAMETERS,
       .setup = load, .run = spin, .check = fine)

static int failing(struct trial *trial)
{
    const int status = load(trial);

    return status ? status : trial_fault(trial, "after the load was asked for");
}
KERNEL(failing, .name = "load/failing", .summary = "s", .unit = "u", .threads = {1, 1}, .parameters = PARAMETERS,
       .setup = failing, .events = sleeping, .events_per_batch = 1, .check = fine)

/* For as long as nobody ends the process. */
static int64_t endless(struct worker *worker, int64_t *ticks, uint64_t count)
{
    for (;;)
        sleeping(worker, ticks, count);
    return 0;
}
KERNEL(endless, .name = "load/endless", .summary = "s", .unit = "u", .threads = {1, 1}, .parameters = PARAMETERS,
       .setup = load, .events = endless, .events_per_batch = 1, .check = fine)
