/*
 * Kernels for the tests of the runtime: one that works in each way there is, and one for each way in which a case can go wrong.
 * Linked with the real engine into an extension of its own, never into the suite's.
 */
#include "kernel.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static void spin(struct worker *worker, uint64_t operations)
{
    (void)worker;
    for (uint64_t i = 0; i < operations; i++)
        OPAQUE(i);
}

static int fine(struct trial *trial)
{
    trial->metric[0] = (double)trial->value[0];
    return 0;
}

KERNEL(steady,
    .name       = "good/steady",
    .summary    = "a loop of nothing",
    .unit       = "turn",
    .threads    = { .min = 1, .max = 1 },
    .flags      = KERNEL_TWIN,
    .parameters = {
        { .name = "size", .unit = "bytes", .summary = "only echoed", .initial = 4096, .quick = "4KiB 2MiB" },
        { .name = "mode", .unit = "", .summary = "which way", .labels = "plain fancy", .rigorous = "*" },
    },
    .metrics    = { { .name = "echo_bytes", .unit = "bytes", .summary = "the parameter size" } },
    .run        = spin,
    .check      = fine)

static int64_t count_up(struct worker *worker, int64_t *ticks, uint64_t count)
{
    (void)worker;
    for (uint64_t i = 0; i < count; i++)
        ticks[i] = 100 + (int64_t)(i % 3);
    return (int64_t)count;
}

KERNEL(events,
    .name             = "good/events",
    .summary          = "events of known length",
    .unit             = "event",
    .threads          = { .min = 1, .max = 1 },
    .events           = count_up,
    .events_per_batch = 30,
    .check            = fine)

KERNEL(once,
    .name    = "good/once",
    .summary = "measured in the first round only",
    .unit    = "turn",
    .threads = { .min = 1, .max = 1 },
    .flags   = KERNEL_ONCE,
    .run     = spin,
    .check   = fine)

KERNEL(pair,
    .name    = "good/pair",
    .summary = "two threads beside each other",
    .unit    = "turn",
    .threads = { .min = 2, .max = 2 },
    .place   = PLACE_PAIRS,
    .run     = spin,
    .check   = fine)

KERNEL(sweep,
    .name    = "many/sweep",
    .summary = "any number of threads",
    .unit    = "turn",
    .threads = { .min = 1, .max = MAX_TEAM },
    .place   = PLACE_SWEEP,
    .flags   = KERNEL_OVERSUBSCRIBE,
    .run     = spin,
    .check   = fine)

/* Operation and control of known length. Their order is part of what they do: the check fails where they are not taken in turn. */
struct turns {
    int64_t operations, controls, disorder;
};

static int turns_setup(struct trial *trial)
{
    return trial_alloc(trial, sizeof(struct turns)) ? 0 : -ENOMEM;
}

static int64_t operation_of(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct turns *turns = worker->trial->state;

    turns->disorder += count != 1 || turns->operations++ != turns->controls;
    *ticks = 1000 + turns->operations % 3; /* 1001, 1002, 1000 ... */
    return 1;
}

static int64_t control_of(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct turns *turns = worker->trial->state;

    turns->disorder += count != 1 || ++turns->controls != turns->operations;
    *ticks = worker->trial->value[0];
    return 1;
}

static int turns_check(struct trial *trial)
{
    const struct turns *turns = trial->state;

    if (turns->disorder || turns->operations == 0)
        return trial_fault(trial, "operation and control were not taken in turn");
    return 0;
}

KERNEL(paired,
    .name             = "pair/event",
    .summary          = "an operation of some 1000 ticks less a control",
    .unit             = "event",
    .threads          = { .min = 1, .max = 1 },
    .parameters       = { { .name = "control", .unit = "ticks", .summary = "length of the control", .initial = 400,
                            .quick = "400 1700" } },
    .setup            = turns_setup,
    .events           = operation_of,
    .control          = control_of,
    .events_per_batch = 9,
    .check            = turns_check)

/* Counts without a time; what is found is a parameter. */
static int seen;

static int count_work(struct worker *worker)
{
    seen = worker->index == 0;
    return 0;
}

static int count_check(struct trial *trial)
{
    if (!seen)
        return trial_fault(trial, "nothing was done");
    trial_count(trial, 0, trial->value[0], 1024);
    if (trial->value[1])
        trial_count(trial, 1, -1, -1);
    return 0;
}

KERNEL(counts,
    .name       = "count/pages",
    .summary    = "finds as many faults as it is told to",
    .unit       = "page",
    .threads    = { .min = 1, .max = 1 },
    .parameters = { { .name = "found", .unit = "faults", .summary = "how many are found", .initial = 1024 },
                    { .name = "both", .summary = "whether both counts are taken", .labels = "no yes", .initial = 1 } },
    .counts     = { { .name = "faults", .unit = "faults", .summary = "minor faults of 1024 pages" },
                    { .name = "other", .unit = "things", .summary = "less than nothing" } },
    .check      = count_check,
    .work       = count_work)

static int also_counts(struct trial *trial)
{
    trial_count(trial, 0, trial->value[0], 7);
    return 0;
}

KERNEL(timed_counts,
    .name       = "count/beside",
    .summary    = "a loop of nothing, and a count beside its time",
    .unit       = "turn",
    .threads    = { .min = 1, .max = 1 },
    .parameters = { { .name = "found", .unit = "things", .summary = "how many are found", .initial = 7 } },
    .counts     = { { .name = "things", .unit = "things", .summary = "seven of them" } },
    .run        = spin,
    .check      = also_counts)

static int64_t control_fails(struct worker *worker, int64_t *ticks, uint64_t count)
{
    (void)worker;
    (void)ticks;
    (void)count;
    return -EIO;
}

KERNEL(broken_control,
    .name             = "pair/broken",
    .summary          = "its control fails",
    .unit             = "event",
    .threads          = { .min = 1, .max = 1 },
    .events           = count_up,
    .control          = control_fails,
    .events_per_batch = 9,
    .check            = fine)

static void crash(struct worker *worker, uint64_t operations)
{
    (void)worker;
    (void)operations;
    abort();
}

KERNEL(crash,
    .name    = "bad/crash",
    .summary = "dies of SIGABRT",
    .unit    = "turn",
    .threads = { .min = 1, .max = 1 },
    .run     = crash,
    .check   = fine)

static void hang(struct worker *worker, uint64_t operations)
{
    (void)operations;
    for (;;)
        OPAQUE(worker);
}

KERNEL(hang,
    .name    = "bad/hang",
    .summary = "never returns",
    .unit    = "turn",
    .threads = { .min = 1, .max = 1 },
    .run     = hang,
    .check   = fine)

static int wrong(struct trial *trial)
{
    (void)trial;
    return -EILSEQ;
}

KERNEL(wrong,
    .name    = "bad/wrong",
    .summary = "fails its own check",
    .unit    = "turn",
    .threads = { .min = 1, .max = 1 },
    .run     = spin,
    .check   = wrong)

static int lacking(struct trial *trial)
{
    return trial_needs(trial, "a unicorn");
}

KERNEL(lacking,
    .name    = "bad/lacking",
    .summary = "finds out in setup that it cannot run",
    .unit    = "turn",
    .threads = { .min = 1, .max = 1 },
    .setup   = lacking,
    .run     = spin,
    .check   = fine)

KERNEL(foreign,
    .name    = "bad/foreign",
    .summary = "needs another architecture",
    .unit    = "turn",
    .threads = { .min = 1, .max = 1 },
#if HAS_RISCV64
    .needs   = NEED_X86_64,
#else
    .needs   = NEED_RISCV64,
#endif
    .run     = spin,
    .check   = fine)

KERNEL(crowd,
    .name    = "bad/crowd",
    .summary = "needs more CPUs than there are",
    .unit    = "turn",
    .threads = { .min = MAX_TEAM, .max = MAX_TEAM },
    .run     = spin,
    .check   = fine)

/* What a kernel does to the process around it. */
static void close_all(struct worker *worker, uint64_t operations)
{
    (void)worker;
    (void)operations;
    for (int file = 3; file < 256; file++)
        close(file);
}

KERNEL(close_all, .name = "astray/closes", .summary = "closes every file of its process", .unit = "turn",
       .threads = {.min = 1, .max = 1}, .run = close_all, .check = fine)

static void write_all(struct worker *worker, uint64_t operations)
{
    (void)worker;
    (void)operations;
    for (int file = 3; file < 256; file++)
        if (write(file, "{]\n", 3) < 0)
            continue;
}

KERNEL(write_all, .name = "astray/writes", .summary = "writes into every file of its process", .unit = "turn",
       .threads = {.min = 1, .max = 1}, .run = write_all, .check = fine)

static void print_all(struct worker *worker, uint64_t operations)
{
    static const char words[1 << 16];

    (void)worker;
    (void)operations;
    while (write(1, words, sizeof(words)) > 0)
        ;
}

KERNEL(print_all, .name = "astray/prints", .summary = "prints without end", .unit = "turn",
       .threads = {.min = 1, .max = 1}, .run = print_all, .check = fine)

/* One child in the group of the worker, one in a session of its own that has lost its parent. */
static int leave_children(struct trial *trial)
{
    (void)trial;
    for (int apart = 0; apart < 2; apart++) {
        const pid_t child = fork();

        if (child < 0)
            return -errno;
        if (child == 0 && apart) {
            setsid();
            if (fork())
                _exit(0);
        }
        if (child == 0) {
            signal(SIGTERM, SIG_IGN);
            for (;;)
                pause();
        }
    }
    return 0;
}

KERNEL(leave_children, .name = "astray/starts", .summary = "leaves two processes behind", .unit = "turn",
       .threads = {.min = 1, .max = 1}, .flags = KERNEL_ONCE, .run = spin, .check = leave_children)
