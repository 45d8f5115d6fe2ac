/*
 * process/spawn: what does it cost to have a child do something, and how much of that is the parent's memory?
 *
 * One event is one child from the call that makes it to the end of waiting for it: fork and waitpid, vfork and waitpid, or
 * pthread_create and pthread_join. The child notes the time and ends with a status of its own (_exit of a process, a thread's result).
 * With `touched`, so much memory more has been written to before, on small pages: a fork copies the tables of all pages that are there,
 * a vfork borrows them, a thread shares them.
 * Excluded:  touching that memory; the first child of all (cold code). The child inherits the parent's one CPU, so nobody is woken elsewhere.
 * Expect:    reference guest: fork 88 us, with 64 MiB 1175; vfork 18 and 25; a thread 10.3. A slope of 17 us/MiB for fork, none for the others.
 * Hazards:   a fork copies what this process has in memory anyway (resident_mib, mostly the interpreter). After it the parent's next write
 *            to each page is a fault: those of the parent's stack are part of the figure, and its batches are not flagged for them.
 *            Whoever follows the process (strace, a debugger) makes it ten times dearer.
 * Not shown: exec; copying pages when they are written to; a child on another CPU; memory on huge pages, whose tables are 512 times smaller.
 */
#define _GNU_SOURCE
#include "kernels/system.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

enum { HOW, TOUCHED };
enum { FORK, VFORK, THREAD };
enum { WAITED, RETURNED, RESIDENT };

/* Each a process or a thread of 10 us to 1 ms: what a median wants, and no more. */
#define CHILDREN_A_ROUND 10
#define MAX_TOUCHED ((int64_t)1 << 30)
/* The status of child n is n % STATUSES + 1: never 0, and another than that of the child before. */
#define STATUSES 100

/* In memory that a child of fork shares with its parent. */
struct desk {
    _Atomic uint64_t ended_ticks; /* 0: the child has not come so far yet */
};

struct children {
    struct desk *desk;
    uint64_t made, wrong, waited, kept;
    double returned_ticks[CHILDREN_A_ROUND];
};

struct order {
    struct desk *desk;
    int status;
};

/* All that a child does: nothing here allocates, locks or prints, since it may hold a copy of somebody's lock. */
static void work(struct desk *desk)
{
    /* Relaxed, read by the parent after its call has returned: only the number counts, and waiting for the child orders the rest. */
    atomic_store_explicit(&desk->ended_ticks, tick_now(), memory_order_relaxed);
}

static void *thread_main(void *argument)
{
    struct order *order = argument;

    work(order->desk);
    return (void *)(intptr_t)order->status;
}

/* Each in a function of its own: the child of a vfork stands on its parent's stack, and leaves without returning. */
static __attribute__((noinline)) pid_t make_fork(struct desk *desk, int status)
{
    const pid_t child = fork();

    if (child == 0) {
        work(desk);
        _exit(status);
    }
    return child;
}

static __attribute__((noinline)) pid_t make_vfork(struct desk *desk, int status)
{
    const pid_t child = vfork();

    if (child == 0) {
        work(desk);
        _exit(status);
    }
    return child;
}

/* One child, waited for. 0, or -errno where none could be made; what it ended with, and when the call that made it returned. */
static int one_child(int how, struct desk *desk, int status, int *ended_with, uint64_t *returned)
{
    struct order order = {desk, status};
    pthread_t thread;
    void *result;
    pid_t child;
    int error;

    if (how == THREAD) {
        error = pthread_create(&thread, NULL, thread_main, &order);
        *returned = tick_end();
        if (error)
            return -error;
        error = pthread_join(thread, &result);
        *ended_with = (int)(intptr_t)result;
        return -error;
    }
    child = how == FORK ? make_fork(desk, status) : make_vfork(desk, status);
    *returned = tick_end();
    if (child < 0)
        return -errno;
    *ended_with = wait_for_child(child);
    return *ended_with < 0 ? *ended_with : 0;
}

/* How long the child took, in ticks; -errno. */
static int64_t child_ticks(struct trial *trial)
{
    struct children *children = trial->state;
    const int status = (int)(children->made % STATUSES) + 1;
    uint64_t begin, returned = 0, ended, at;
    int error, ended_with = -1;

    atomic_store_explicit(&children->desk->ended_ticks, 0, memory_order_relaxed); /* no child yet: nobody reads it */
    begin = tick_begin();
    error = one_child((int)trial->value[HOW], children->desk, status, &ended_with, &returned);
    ended = tick_end();
    if (error == -EAGAIN || error == -EPERM || error == -ENOSYS)
        return trial_needs(trial, "permission for one more process or thread (ulimit -u, pids.max of the cgroup)");
    if (error)
        return error;
    at = atomic_load_explicit(&children->desk->ended_ticks, memory_order_relaxed); /* see work() */
    children->made++;
    children->wrong += ended_with != status;
    children->waited += at != 0 && at <= returned;
    if (children->kept < CHILDREN_A_ROUND)
        children->returned_ticks[children->kept++] = (double)(returned - begin);
    return (int64_t)fmax(0, net_ticks(trial, begin, ended));
}

static int setup(struct trial *trial)
{
    const int64_t touched = trial->value[TOUCHED];
    struct children *children;
    int64_t first;

    if (touched < 0 || touched > MAX_TOUCHED) {
        trial_fault(trial, "touched=%" PRId64 " is not a number of bytes up to 1 GiB", touched);
        return -EINVAL;
    }
    /* What cases before this one left in the allocator would be copied as well: seen a fork three times as dear for it. */
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
    children = trial_alloc(trial, sizeof *children);
    if (!children || (touched && !trial_alloc_pages(trial, (size_t)touched, 0)))
        return -ENOMEM;
    children->desk = trial_alloc_shared(trial, sizeof *children->desk);
    if (!children->desk)
        return -ENOMEM;
    first = child_ticks(trial);
    children->waited = children->kept = 0;
    return first < 0 ? (int)first : 0;
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        ticks[i] = child_ticks(worker->trial);
        if (ticks[i] < 0)
            return ticks[i];
    }
    return (int64_t)count;
}

/* Every child ended with the status that it was given. */
static int check(struct trial *trial)
{
    struct children *children = trial->state;

    if (children->made == 0 || children->wrong)
        return trial_fault(trial, "%" PRIu64 " of %" PRIu64 " children did not end with their own status",
                           children->wrong, children->made);
    trial->metric[WAITED] = 100.0 * (double)children->waited / (double)children->kept;
    trial->metric[RETURNED] = median_of(children->returned_ticks, children->kept) / trial->tick_hz * 1e9;
    trial->metric[RESIDENT] = resident_bytes() / (1 << 20);
    return 0;
}

/* Seen 0.1 ms a fork, and 20 us more for each MiB; touching 0.3 ms/MiB. */
static uint64_t cost_ns(const struct trial *trial)
{
    const uint64_t mib = (uint64_t)trial->value[TOUCHED] >> 20;

    return 500000 * mib + CHILDREN_A_ROUND * (trial->value[HOW] == FORK ? 350000 + 60000 * mib : 60000);
}

KERNEL(spawn,
    .name             = "process/spawn",
    .summary          = "a parent starts a child that does nothing, and waits until it has ended",
    .unit             = "child",
    .threads          = { .min = 1, .max = 1 },
    .subject          = FLAG_FAULTED,
    .parameters       = {
        [HOW]     = { .name = "how", .summary = "the call that makes the child", .labels = "fork vfork thread", .initial = FORK,
                      .quick = "*", .standard = "*", .rigorous = "*" },
        [TOUCHED] = { .name = "touched", .unit = "bytes", .summary = "memory written to before, beyond what the process has",
                      .initial = 0, .quick = "0", .standard = "0 16MiB", .rigorous = "0 16MiB 64MiB 256MiB" },
    },
    .metrics          = {
        [WAITED]   = { "waited_pct", "%", "children that had ended before the call that made them returned in the parent" },
        [RETURNED] = { "returned_ns", "ns", "until that call returned in the parent" },
        [RESIDENT] = { "resident_mib", "MiB", "memory of the whole process that was there to be copied or shared" },
    },
    .setup            = setup,
    .events           = events,
    .events_per_batch = 1,
    .batches          = CHILDREN_A_ROUND,
    .check            = check,
    .cost_ns          = cost_ns);
