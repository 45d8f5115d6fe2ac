/* Kernels for test_turns.py: each writes down when its loop is called, in one log for all. */
#define _GNU_SOURCE
#include "kernel.h"

#include <errno.h>
#include <sched.h>

#define LOG 4096
int turns_log[LOG], turns_logged, turns_set_up, turns_deepest;

enum { MARK, BYTES, HOW };
enum { WELL, NO_SETUP, WRONG, LOADED };

struct marked {
    uint64_t operations;
};

static int setup(struct trial *trial)
{
    const struct schedule idle = {.policy = SCHED_IDLE};
    struct marked *marked = trial_alloc(trial, (size_t)trial->value[BYTES]);

    turns_set_up++;
    turns_deepest = turns_set_up > turns_deepest ? turns_set_up : turns_deepest;
    if (!marked)
        return -ENOMEM;
    if (trial->value[HOW] == NO_SETUP)
        return trial_needs(trial, "a unicorn");
    return trial->value[HOW] == LOADED ? trial_load(trial, trial->cpus[0], &idle) : 0;
}

static void run(struct worker *worker, uint64_t operations)
{
    struct marked *marked = worker->trial->state;

    if (worker->index == 0) {
        if (turns_logged < LOG)
            turns_log[turns_logged++] = (int)worker->trial->value[MARK];
        marked->operations += operations;
    }
    for (uint64_t i = 0; i < operations; i++)
        OPAQUE(i);
}

static int check(struct trial *trial)
{
    return trial->value[HOW] == WRONG ? trial_fault(trial, "two and two are five") : 0;
}

static void teardown(struct trial *trial)
{
    (void)trial;
    turns_log[turns_logged++] = -(int)trial->value[MARK];
    turns_set_up--;
}

#define PARAMETERS                                                                                                     \
    {{.name = "mark", .summary = "s", .initial = 1},                                                                   \
     {.name = "bytes", .unit = "bytes", .summary = "s", .initial = 64},                                                \
     {.name = "how", .summary = "s", .labels = "well no_setup wrong loaded"}}

KERNEL(marked, .name = "test/marked", .summary = "s", .unit = "u", .threads = {1, 2}, .parameters = PARAMETERS,
       .setup = setup, .run = run, .check = check, .teardown = teardown)

KERNEL(sole, .name = "test/sole", .summary = "s", .unit = "u", .threads = {1, 2}, .flags = KERNEL_SOLE,
       .parameters = PARAMETERS, .setup = setup, .run = run, .check = check, .teardown = teardown)
