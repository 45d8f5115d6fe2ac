/*
 * perf/tracepoint: does a tracepoint count each time that Linux passes it?
 *
 * A thread makes 100 files, and Linux counts how often its slab allocator was asked for memory meanwhile: tracepoint
 * kmem:kmem_cache_alloc. One operation is one such look. Nothing is timed.
 *   made  100 files of events (eventfd), each of which takes at least one block
 *   none  100 turns of the same loop, with a system call that allocates nothing: the control
 * Excluded:  closing the files.
 * Expect:    at least one block for each file, and none without. A few blocks may come from interrupts that allocate.
 * Hazards:   Linux decides how many blocks a file takes (seen: 3).
 * Not shown: other users of the allocator.
 */
#define _GNU_SOURCE
#include "kernels/tracepoints.h"

#include <sys/eventfd.h>

enum { MADE, NONE };
enum { BLOCKS_PER_FILE };

#define FILES 100

struct slabs {
    struct tracepoints tracepoints;
    int event; /* -1: none */
    int files[FILES];
    int64_t blocks, failed;
};

static const char *const names[] = {"kmem/kmem_cache_alloc"};

static int setup(struct trial *trial)
{
    struct slabs *slabs = trial_alloc_shared(trial, sizeof *slabs);
    int status;

    if (!slabs)
        return -ENOMEM;
    slabs->event = -1;
    status = tracepoints_find(trial, &slabs->tracepoints, names, 1);
    if (status)
        return status;
    if (slabs->tracepoints.number[0] < 0)
        return trial_needs(trial, "a Linux with this tracepoint (kmem:kmem_cache_alloc)");
    return 0;
}

static int work(struct worker *worker)
{
    struct trial *trial = worker->trial;
    struct slabs *slabs = trial->state;

    slabs->event = event_open(PERF_TYPE_TRACEPOINT, (uint64_t)slabs->tracepoints.number[0], IN_LINUX_TOO);
    if (slabs->event < 0)
        return event_refused(trial, slabs->event);
    event_start(slabs->event);
    for (int i = 0; i < FILES; i++)
        slabs->files[i] = trial->value[0] == MADE ? eventfd(0, EFD_CLOEXEC) : (int)syscall(SYS_getppid);
    slabs->blocks = event_stop(slabs->event);
    for (int i = 0; i < FILES; i++)
        slabs->failed += slabs->files[i] < 0 || (trial->value[0] == MADE && close(slabs->files[i]));
    return slabs->blocks < 0 ? (int)slabs->blocks : 0;
}

static int check(struct trial *trial)
{
    const struct slabs *slabs = trial->state;

    if (slabs->failed)
        return trial_needs(trial, "permission for more open files (ulimit -n)");
    trial->metric[BLOCKS_PER_FILE] = (double)slabs->blocks / FILES;
    /* Of blocks beyond one for each file it is not known whose they are: interrupts allocate, too. */
    if (trial->value[0] == MADE)
        trial_count(trial, 0, slabs->blocks < FILES ? slabs->blocks : FILES, FILES);
    else
        trial_count(trial, 0, slabs->blocks / FILES, 0);
    return 0;
}

static void teardown(struct trial *trial)
{
    const struct slabs *slabs = trial->state;

    if (slabs && slabs->event >= 0)
        close(slabs->event);
}

/* A fork of the interpreter, and a namespace. */
static uint64_t cost_ns(const struct trial *trial)
{
    (void)trial;
    return 40000000;
}

KERNEL(tracepoint,
    .name       = "perf/tracepoint",
    .summary    = "Linux counts how often its slab allocator is asked for memory while files are made",
    .unit       = "look",
    .threads    = { .min = 1, .max = 1 },
    .parameters = { { .name = "files", .summary = "whether any are made", .labels = "made none", .initial = MADE,
                      .quick = "made", .standard = "*", .rigorous = "*" } },
    .metrics    = { [BLOCKS_PER_FILE] = { "blocks_per_file", "1", "asked for, by each turn of the loop" } },
    .counts     = { { "counted", "files", "of 100 whose block was counted" } },
    .setup      = setup,
    .work       = work,
    .check      = check,
    .teardown   = teardown,
    .cost_ns    = cost_ns);
