/*
 * process/spawn: what does it cost to let a child do something, and how much of that is the parent's memory?
 *
 * One event is one child from the call that makes it to the end of waiting for it: fork and waitpid, vfork and waitpid,
 * or pthread_create and pthread_join. The child notes the time and ends with its own status (_exit of a process, a
 * thread's result). The parent is a small process, as in lmbench's lat_proc and in perf bench. It contains libc and
 * this object, and reads the counter itself. Or it is the interpreter that measures, with all its memory. `touched`
 * bytes of extra memory are written before the first child is made, on small pages. A fork copies the tables of all
 * pages that are there, a vfork borrows them, a thread shares them.
 * Excluded:  touching that memory, the first child of all (cold code), and asking the small process. The child inherits
 *            the parent's one CPU, so nobody is woken elsewhere.
 * Expect:    guest of an AMD EPYC, busy. A fork of the small process (1.7 MiB) takes 180 us at best, as a plain C
 *            program of 1.4 MiB does in 160. A fork of the interpreter (13 MiB) takes 480. Each MiB more 17 to 68 us.
 *            vfork 29 to 42 and a thread 25 to 35, of either.
 * Hazards:   a fork copies the memory that its parent has anyway. The metric resident_mib names it. After it the
 *            parent's next write to each page is a fault. Those of the parent's stack are part of the figure, and its
 *            batches are not flagged for them. A tracer of the process (strace, a debugger) makes it ten times dearer.
 * Not shown: exec, copying pages when they are written to, a child on another CPU. Memory on huge pages, whose tables
 *            are 512 times smaller.
 */
#define _GNU_SOURCE
#include "kernels/process/children.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

enum { HOW, TOUCHED, PARENT };
enum { FORK, VFORK, THREAD };
enum { SMALL, INTERPRETER };
enum { WAITED, RETURNED, RESIDENT };

/* Each a process or a thread of 10 us to 1 ms: what a median wants, and no more. */
#define CHILDREN_A_ROUND 10
#define MAX_TOUCHED ((int64_t)1 << 30)
/* See status_of(). */
#define STATUSES 100

/* In memory that a child of fork shares with its parent. */
struct desk {
    _Atomic uint64_t ended_ticks; /* 0: the child has not come so far yet */
};

/* The first order to a small process: its memory. The following ones: how, and the status of the child. */
struct wish {
    int how, status;
    uint64_t touched;
};

/* One child, in ticks and as its parent saw it. */
struct birth {
    int error; /* 0, or -errno where none could be made */
    int ended_with;
    uint64_t begin, returned, child, ended; /* child: when it came to its work, or 0 */
};

struct children {
    struct small small;
    struct desk *desk; /* of the interpreter's children */
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

/* A child and the wait for it, between the two readings of the counter that stand around it. */
static void make_child(int how, struct desk *desk, int status, struct birth *birth)
{
    struct order order = {desk, status};
    pthread_t thread;
    void *result;
    pid_t child;

    if (how == THREAD) {
        birth->error = -pthread_create(&thread, NULL, thread_main, &order);
        birth->returned = tick_end();
        if (birth->error)
            return;
        birth->error = -pthread_join(thread, &result);
        birth->ended_with = (int)(intptr_t)result;
        return;
    }
    child = how == FORK ? make_fork(desk, status) : make_vfork(desk, status);
    birth->returned = tick_end();
    birth->ended_with = child < 0 ? -errno : small_await(child);
    birth->error = birth->ended_with < 0 ? birth->ended_with : 0;
}

/* One child, timed by the process that makes it. */
static struct birth one_child(int how, struct desk *desk, int status)
{
    struct birth birth = {.ended_with = -1};

    atomic_store_explicit(&desk->ended_ticks, 0, memory_order_relaxed); /* no child yet: nobody reads it */
    birth.begin = tick_begin();
    make_child(how, desk, status, &birth);
    birth.ended = tick_end();
    birth.child = atomic_load_explicit(&desk->ended_ticks, memory_order_relaxed); /* see work() */
    return birth;
}

/* All that a small process does, from its first instruction on. It ends when the engine closes the socket, or has died. */
static SMALL_MAIN void serve(void)
{
    struct desk *desk = mmap(NULL, sizeof *desk, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct birth birth = {0};
    struct wish wish;
    char *pages;

    if (desk == MAP_FAILED || recv(SMALL_SOCKET, &wish, sizeof wish, 0) != sizeof wish)
        _exit(SMALL_NOT_BEGUN);
    if (wish.touched) {
        pages = private_pages(wish.touched, 0);
        birth.error = pages ? 0 : -errno;
        if (pages)
            memset(pages, 1, wish.touched);
    }
    while (send(SMALL_SOCKET, &birth, sizeof birth, MSG_NOSIGNAL) == sizeof birth &&
           recv(SMALL_SOCKET, &wish, sizeof wish, 0) == sizeof wish)
        birth = one_child(wish.how, desk, wish.status);
    _exit(0);
}

/* How long the child took, in ticks, or -errno. */
static int64_t child_ticks(struct trial *trial)
{
    struct children *children = trial->state;
    const struct wish wish = {.how = (int)trial->value[HOW], .status = status_of(children->made, STATUSES)};
    struct birth birth;
    int error = 0;

    if (trial->value[PARENT] == SMALL)
        error = small_ask(trial, &children->small, &wish, sizeof wish, &birth, sizeof birth);
    else
        birth = one_child(wish.how, children->desk, wish.status);
    if (error)
        return error;
    if (birth.error)
        return child_refused(trial, birth.error);
    children->made++;
    children->wrong += birth.ended_with != wish.status;
    children->waited += birth.child != 0 && birth.child <= birth.returned;
    if (children->kept < CHILDREN_A_ROUND)
        children->returned_ticks[children->kept++] = (double)(birth.returned - birth.begin);
    return (int64_t)fmax(0, net_ticks(trial, birth.begin, birth.ended));
}

/* The parent, with its memory touched. 0 or -errno. */
static int start_small(struct trial *trial, struct children *children)
{
    const struct wish wish = {.touched = (uint64_t)trial->value[TOUCHED]};
    struct birth ready = {0};
    int status = small_start(trial, &children->small, serve);

    if (!status)
        status = small_ask(trial, &children->small, &wish, sizeof wish, &ready, sizeof ready);
    return status ? status : ready.error;
}

static int start_interpreter(struct trial *trial, struct children *children)
{
    const size_t touched = (size_t)trial->value[TOUCHED];

    children->desk = trial_alloc_shared(trial, sizeof *children->desk);
    if (!children->desk || (touched && !trial_alloc_pages(trial, touched, 0)))
        return -ENOMEM;
    return 0;
}

static int setup(struct trial *trial)
{
    const int64_t touched = trial->value[TOUCHED];
    struct children *children;
    int64_t status;

    if (touched < 0 || touched > MAX_TOUCHED) {
        trial_fault(trial, "touched=%" PRId64 " is not a number of bytes up to 1 GiB", touched);
        return -EINVAL;
    }
    /* What cases before this one left in the allocator would be copied as well: seen a fork three times as dear for it. */
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
    children = trial_alloc(trial, sizeof *children);
    if (!children)
        return -ENOMEM;
    status = trial->value[PARENT] == SMALL ? start_small(trial, children) : start_interpreter(trial, children);
    if (status == 0)
        status = child_ticks(trial);
    children->waited = children->kept = 0;
    return status < 0 ? (int)status : 0;
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    return one_by_one(worker, ticks, count, child_ticks);
}

/* Every child ended with the status that it was given. */
static int check(struct trial *trial)
{
    struct children *children = trial->state;
    const pid_t parent = trial->value[PARENT] == SMALL ? children->small.pid : 0;
    const int status = check_children(trial, children->made, children->wrong);

    if (status)
        return status;
    trial->metric[WAITED] = 100.0 * (double)children->waited / (double)children->kept;
    trial->metric[RETURNED] = median_of(children->returned_ticks, children->kept) / trial->tick_hz * 1e9;
    trial->metric[RESIDENT] = (parent ? resident_bytes_of(parent) : resident_bytes()) / (1 << 20);
    return 0;
}

static void teardown(struct trial *trial)
{
    struct children *children = trial->state;

    if (children) /* setup may have come to nothing */
        small_end(&children->small);
}

/* Seen: 0.1 ms a fork, and 20 us more for each MiB. Touching takes 0.3 ms/MiB, starting a small process 5 ms. */
static uint64_t cost_ns(const struct trial *trial)
{
    const uint64_t mib = (uint64_t)trial->value[TOUCHED] >> 20;
    const uint64_t start = trial->value[PARENT] == SMALL ? 12000000 : 0;

    return start + 1000000 * mib + CHILDREN_A_ROUND * (trial->value[HOW] == FORK ? 400000 + 35000 * mib : 60000);
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
        [PARENT]  = { .name = "parent", .summary = "the process that makes the child", .labels = "small interpreter",
                      .initial = SMALL, .quick = "small", .standard = "*", .rigorous = "*" },
    },
    .metrics          = {
        [WAITED]   = { "waited_pct", "%", "children that had ended before the call that made them returned in the parent" },
        [RETURNED] = { "returned_ns", "ns", "until that call returned in the parent" },
        [RESIDENT] = { "resident_mib", "MiB", "resident memory of the parent, there to be copied or shared" },
    },
    .setup            = setup,
    .events           = events,
    .events_per_batch = 1,
    .batches          = CHILDREN_A_ROUND,
    .check            = check,
    .teardown         = teardown,
    .cost_ns          = cost_ns);
