/*
 * process/create: what does each way to make a child cost, by the memory of its parent, and how much of that is the
 * call?
 *
 * One event is one child from the call that makes it to the end of waiting for it. Its parent is a small process, which
 * times it.
 *   fork clone3 vfork thread  a child that ends at once. As clone3 asks for nothing but SIGCHLD, it is a fork: the
 *                             control
 *   fork_exec vfork_exec      a child that becomes /bin/true, which is linked dynamically
 *   posix_spawn               the same by the C library, which lends its memory as vfork does
 *   vfork_static              a child that becomes a program of three instructions, without a loader
 * `touched` bytes of extra memory are written before the first child is made, on pages of the size `pages`.
 * Excluded:  touching that memory, and the first child of all (cold code). Child and parent share one CPU.
 * Expect:    guest of an AMD EPYC, Linux 6.18, us. A fork takes 190 with nothing touched. Each MiB adds 68 on small
 *            pages and 0.7 on huge ones. A vfork takes 25 and a thread 26, whatever is touched. An exec adds 600
 *            (static) to 900.
 * Hazards:   fork_ratio is taken in pairs. Each clone3 has a fork beside it, before or after it in turn, and both are
 *            bare system calls. The C library does more in a fork. It takes its locks, and its child writes to more
 *            pages, which are copied. That is 4 % of a small process.
 * Not shown: the copying of pages that are written later, and a child on another CPU.
 */
#define _GNU_SOURCE
#include "kernels/process/children.h"

#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>

#include "kernels/process/tiny.h"

enum { HOW, TOUCHED, PAGES };
enum { FORK, VFORK, CLONE3, THREAD, FORK_EXEC, VFORK_EXEC, POSIX_SPAWN, VFORK_STATIC, BARE_FORK };
enum { SMALL_PAGES, HUGE_PAGES };
enum { CALL_NS, REST_NS, RESIDENT, FORK_RATIO };

/* Each a process or a thread of 10 us to 20 ms: what a median wants, and no more. Even: half of the forks beside a clone3 come first. */
#define CHILDREN_A_ROUND 6
#define MAX_TOUCHED ((int64_t)1 << 30)
/* See status_of(). A program without a loader has so many arguments. */
#define STATUSES 9

/* Of clone3(2), as far as a fork wants it. Older headers have none. */
struct clone_arguments {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
};
#ifndef SYS_clone3
#define SYS_clone3 435
#endif

/* The first order to a small process: its memory. The following ones: how, and the status of the child. */
struct wish {
    int how, status;
    uint64_t touched;
    int huge;
};

/* One child, in ticks. */
struct birth {
    int error; /* 0, or -errno where none could be made */
    int ended_with;
    int64_t huge_bytes; /* of the memory, in the first answer */
    uint64_t begin, returned, ended;
};

struct children {
    struct small small;
    uint64_t made, wrong, kept;
    double call_ticks[CHILDREN_A_ROUND], rest_ticks[CHILDREN_A_ROUND], fork_ratios[CHILDREN_A_ROUND];
};

static void *thread_main(void *argument)
{
    return argument;
}

/* True and false, since /bin/true has one status only: see wanted_status(). */
static const char *program_for(int status)
{
    return status % 2 ? "/bin/false" : "/bin/true";
}

/* What the child is to end with. */
static int wanted_status(int how, int status)
{
    return how == FORK_EXEC || how == VFORK_EXEC || how == POSIX_SPAWN ? status % 2 : status;
}

static __attribute__((noreturn, noinline)) void become(int how, int status)
{
    static char name[] = "fencepost";
    char *arguments[STATUSES + 2] = {name};

    if (how == VFORK_STATIC) { /* it ends with the number of its arguments */
        for (int i = 0; i < status; i++)
            arguments[i] = name;
        execv(TINY_PATH, arguments);
    } else {
        execv(program_for(status), arguments);
    }
    _exit(SMALL_NOT_BEGUN);
}

/* Each in a function of its own: the child of a vfork stands on its parent's stack, and leaves without returning. */
static __attribute__((noinline)) pid_t by_fork(int how, int status)
{
    const pid_t child = fork();

    if (child == 0) {
        if (how == FORK_EXEC)
            become(how, status);
        _exit(status);
    }
    return child;
}

static __attribute__((noinline)) pid_t by_vfork(int how, int status)
{
    const pid_t child = vfork();

    if (child == 0) {
        if (how != VFORK)
            become(how, status);
        _exit(status);
    }
    return child;
}

/* What fork() asks of Linux, less what the C library does beside: its locks and handlers. */
static __attribute__((noinline)) pid_t by_clone3(int status)
{
    struct clone_arguments arguments = {.exit_signal = SIGCHLD};
    const pid_t child = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);

    if (child == 0)
        _exit(status);
    return child;
}

/* The system call that fork() makes, without the C library, as clone3 is here: the control of that. */
static __attribute__((noinline)) pid_t by_bare_fork(int status)
{
    const pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

    if (child == 0)
        _exit(status);
    return child;
}

static pid_t by_spawn(int status)
{
    static char name[] = "fencepost";
    char *arguments[] = {name, NULL}, *environment[] = {NULL};
    pid_t child;
    const int error = posix_spawn(&child, program_for(status), NULL, NULL, arguments, environment);

    if (!error)
        return child;
    errno = error;
    return -1;
}

static pid_t make_child(int how, int status)
{
    switch (how) {
    case FORK:
    case FORK_EXEC:
        return by_fork(how, status);
    case CLONE3:
        return by_clone3(status);
    case BARE_FORK:
        return by_bare_fork(status);
    case POSIX_SPAWN:
        return by_spawn(status);
    default:
        return by_vfork(how, status);
    }
}

static void make_thread(int status, struct birth *birth)
{
    pthread_t thread;
    void *result = NULL;

    birth->error = -pthread_create(&thread, NULL, thread_main, (void *)(intptr_t)status);
    birth->returned = tick_end();
    if (birth->error)
        return;
    birth->error = -pthread_join(thread, &result);
    birth->ended_with = (int)(intptr_t)result;
}

static struct birth one_child(int how, int status)
{
    struct birth birth = {.ended_with = -1};
    pid_t child;

    birth.begin = tick_begin();
    if (how == THREAD) {
        make_thread(status, &birth);
    } else {
        child = make_child(how, status);
        birth.returned = tick_end();
        birth.ended_with = child < 0 ? -errno : small_await(child);
        birth.error = birth.ended_with < 0 ? birth.ended_with : 0;
    }
    birth.ended = tick_end();
    return birth;
}

/* All that the small process does, from its first instruction on. It ends when the engine closes the socket, or has died. */
static SMALL_MAIN void serve(void)
{
    struct birth birth = {0};
    struct wish wish;
    char *pages;

    if (recv(SMALL_SOCKET, &wish, sizeof wish, 0) != sizeof wish)
        _exit(SMALL_NOT_BEGUN);
    if (wish.how == VFORK_STATIC)
        birth.error = tiny_program();
    if (wish.touched && !birth.error) {
        pages = private_pages(wish.touched, wish.huge);
        birth.error = pages ? 0 : -errno;
        if (pages) {
            memset(pages, 1, wish.touched);
            birth.huge_bytes = memory_huge_bytes(pages, wish.touched);
        }
    }
    while (send(SMALL_SOCKET, &birth, sizeof birth, MSG_NOSIGNAL) == sizeof birth &&
           recv(SMALL_SOCKET, &wish, sizeof wish, 0) == sizeof wish)
        birth = one_child(wish.how, wish.status);
    _exit(0);
}

/* 0, or -errno where it could not be made. */
static int child(struct trial *trial, int how, struct birth *birth)
{
    struct children *children = trial->state;
    const struct wish wish = {.how = how, .status = status_of(children->made, STATUSES)};
    const int error = small_ask(trial, &children->small, &wish, sizeof wish, birth, sizeof *birth);

    if (error)
        return error;
    if (birth->error == -ENOSYS && how == CLONE3)
        return trial_needs(trial, "the system call clone3 (Linux 5.3, and no filter of a container)");
    if (birth->error)
        return child_refused(trial, birth->error);
    if (how >= FORK_EXEC && how <= VFORK_STATIC && birth->ended_with == SMALL_NOT_BEGUN)
        return trial_needs(trial, "/bin/true, /bin/false, and permission to execute a file in memory");
    children->made++;
    children->wrong += birth->ended_with != wanted_status(how, wish.status);
    return 0;
}

static double total_ticks(const struct trial *trial, const struct birth *birth)
{
    return fmax(0, net_ticks(trial, birth->begin, birth->ended));
}

/* How long the child took, in ticks, or -errno. A clone3 has a fork beside it. */
static int64_t child_ticks(struct trial *trial)
{
    struct children *children = trial->state;
    const int how = (int)trial->value[HOW], paired = how == CLONE3;
    const int first = paired && children->kept % 2; /* the fork comes first in every other pair */
    struct birth births[2];
    int error = 0;

    for (int turn = 0; turn < 1 + paired && !error; turn++) {
        const int fork_now = paired && turn == !first;

        error = child(trial, fork_now ? BARE_FORK : how, &births[fork_now]);
    }
    if (error)
        return error;
    if (children->kept < CHILDREN_A_ROUND) {
        const uint64_t place = children->kept++;

        children->call_ticks[place] = (double)(births->returned - births->begin);
        children->rest_ticks[place] = (double)(births->ended - births->returned);
        if (paired)
            children->fork_ratios[place] = total_ticks(trial, &births[0]) / total_ticks(trial, &births[1]);
    }
    return (int64_t)total_ticks(trial, births);
}

static int setup(struct trial *trial)
{
    const int64_t touched = trial->value[TOUCHED];
    const struct wish wish = {(int)trial->value[HOW], 0, (uint64_t)touched, trial->value[PAGES] == HUGE_PAGES};
    struct children *children;
    struct birth birth = {0};
    int64_t status;

    if (touched < 0 || touched > MAX_TOUCHED) {
        trial_fault(trial, "touched=%" PRId64 " is not a number of bytes up to 1 GiB", touched);
        return -EINVAL;
    }
    children = trial_alloc(trial, sizeof *children);
    if (!children)
        return -ENOMEM;
    status = small_start(trial, &children->small, serve);
    if (!status)
        status = small_ask(trial, &children->small, &wish, sizeof wish, &birth, sizeof birth);
    if (!status && birth.error == -ENOTSUP)
        return trial_needs(trial, "an architecture for which this engine has a program without a loader");
    if (status || birth.error)
        return status ? (int)status : birth.error;
    /* What is left of the last page stays small. */
    if (wish.huge && touched && (birth.huge_bytes <= 0 || birth.huge_bytes <= touched - (int64_t)huge_page_bytes()))
        return trial_needs(trial, HUGE_PAGES_NEED);
    if (!wish.huge && birth.huge_bytes > 0)
        return trial_fault(trial, "%" PRId64 " bytes lie on huge pages, and were to lie on small ones",
                           birth.huge_bytes);
    status = child_ticks(trial);
    children->kept = 0;
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
    const int status = check_children(trial, children->made, children->wrong);

    if (status)
        return status;
    trial->metric[RESIDENT] = resident_bytes_of(children->small.pid) / (1 << 20);
    trial->metric[CALL_NS] = median_of(children->call_ticks, children->kept) / trial->tick_hz * 1e9;
    trial->metric[REST_NS] = median_of(children->rest_ticks, children->kept) / trial->tick_hz * 1e9;
    if (trial->value[HOW] == CLONE3)
        trial->metric[FORK_RATIO] = median_of(children->fork_ratios, children->kept);
    return 0;
}

static void teardown(struct trial *trial)
{
    struct children *children = trial->state;

    if (children) /* setup may have come to nothing */
        small_end(&children->small);
}

/* Seen: 0.1 ms a fork, and 20 us more for each MiB on small pages. Touching takes 0.3 ms/MiB, starting the small process 5 ms. */
static uint64_t cost_ns(const struct trial *trial)
{
    const int how = (int)trial->value[HOW];
    const uint64_t mib = (uint64_t)trial->value[TOUCHED] >> 20;
    const uint64_t copied = how == FORK || how == CLONE3 || how == FORK_EXEC ? mib : 0;
    const uint64_t child_ns = 100000 + 60000 * (trial->value[PAGES] ? copied / 64 : copied);

    /* The parent is started, and its memory touched. */
    return 13000000 + (trial->value[PAGES] ? 400000 : 1100000) * mib +
           CHILDREN_A_ROUND * (child_ns + (how >= FORK_EXEC ? 900000 : 0)) * (1 + (how == CLONE3));
}

KERNEL(create,
    .name             = "process/create",
    .summary          = "a small process makes a child in one of many ways, and waits until it has ended",
    .unit             = "child",
    .threads          = { .min = 1, .max = 1 },
    .flags            = KERNEL_TWIN,
    .subject          = FLAG_FAULTED,
    .parameters       = {
        [HOW]     = { .name = "how", .summary = "what makes the child, and what it becomes",
                      .labels = "fork vfork clone3 thread fork_exec vfork_exec posix_spawn vfork_static", .initial = FORK,
                      .quick = "fork vfork", .standard = "fork vfork clone3", .rigorous = "*" },
        [TOUCHED] = { .name = "touched", .unit = "bytes", .summary = "memory that the parent has written to before",
                      .initial = 0, .quick = "0", .standard = "0 16MiB", .rigorous = "0 16MiB 64MiB 256MiB" },
        [PAGES]   = { .name = "pages", .summary = "on which that memory lies", .labels = "small huge", .initial = SMALL_PAGES,
                      .quick = "small", .standard = "*", .rigorous = "*" },
    },
    .metrics          = {
        [CALL_NS]    = { "call_ns", "ns", "until the call returned in the parent" },
        [REST_NS]    = { "rest_ns", "ns", "from then until the child had ended and was waited for" },
        [RESIDENT]   = { "resident_mib", "MiB", "resident memory of the parent" },
        [FORK_RATIO] = { "fork_ratio", "1", "a clone3 over the bare system call of fork beside it, in pairs" },
    },
    .setup            = setup,
    .events           = events,
    .events_per_batch = 1,
    .batches          = CHILDREN_A_ROUND,
    .check            = check,
    .teardown         = teardown,
    .cost_ns          = cost_ns);
