/*
 * namespace/unshare: what does it cost to give a process its own namespace, of each kind?
 *
 * One event is one unshare(2) in a fresh child of a small process, which times it by itself.
 *   none                               unshare with nothing to unshare: the control
 *   uts ipc cgroup pid user mount net  a new namespace of this kind. One of processes (pid) is for children that are
 *                                      made later
 * Excluded:  making the child. If it is not root, a user namespace before, which gives it the right to make others. The
 *            end of the child, which gives the namespace up again, has its own metric, end_ns.
 * Expect:    guest of an AMD EPYC, Linux 6.18, us: uts 12, cgroup 8, pid 11, user 23, ipc 49, mount 56, net 570.
 * Hazards:   a network namespace is mostly taken down later, by Linux's own threads. Mount namespaces copy the table of
 *            mounts, so their price grows with its length. Each child checks that its namespace is another than its
 *            parent's.
 * Not shown: the other parts of a container: mounts, devices, control groups.
 */
#define _GNU_SOURCE
#include "kernels/small_process.h"

#include <sched.h>
#include <sys/wait.h>

enum { END_NS };

#define CHILDREN_A_ROUND 10
#define LINK_BYTES 64

struct kind {
    int flag;
    const char *link; /* of /proc/self/ns */
};

static const struct kind kinds[] = {
    {0, "/proc/self/ns/uts"},
    {CLONE_NEWUTS, "/proc/self/ns/uts"},
    {CLONE_NEWIPC, "/proc/self/ns/ipc"},
    {CLONE_NEWCGROUP, "/proc/self/ns/cgroup"},
    {CLONE_NEWPID, "/proc/self/ns/pid_for_children"},
    {CLONE_NEWUSER, "/proc/self/ns/user"},
    {CLONE_NEWNS, "/proc/self/ns/mnt"},
    {CLONE_NEWNET, "/proc/self/ns/net"},
};

/* What a child notes, in memory that its parent shares. */
struct note {
    int error; /* of unshare, as -errno */
    int other; /* its namespace is another than before */
    uint64_t begin, end, ended;
};

struct answer {
    struct note note;
    int error;
    uint64_t gone; /* its parent has waited for it */
};

struct wish {
    int kind;
};

struct namespaces {
    struct small small;
    uint64_t made, wrong;
    double end_ticks[CHILDREN_A_ROUND];
};

/* A fresh child. Never returns. */
static void unshare_one(struct note *note, const struct kind *kind)
{
    char before[LINK_BYTES] = "", after[LINK_BYTES] = "";

    note->error = 0;
    if (geteuid() != 0 && kind->flag && kind->flag != CLONE_NEWUSER && unshare(CLONE_NEWUSER))
        note->error = -errno;
    (void)!readlink(kind->link, before, sizeof before - 1);
    note->begin = tick_begin();
    if (unshare(kind->flag) && !note->error)
        note->error = -errno;
    note->end = tick_end();
    (void)!readlink(kind->link, after, sizeof after - 1);
    note->other = strcmp(before, after) != 0;
    note->ended = tick_end();
    _exit(0);
}

/* All that the small process does. It ends when the engine closes the socket, or has died. */
static SMALL_MAIN void serve(void)
{
    struct note *note = mmap(NULL, sizeof *note, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct answer answer;
    struct wish wish;

    if (note == MAP_FAILED)
        _exit(SMALL_NOT_BEGUN);
    while (recv(SMALL_SOCKET, &wish, sizeof wish, 0) == sizeof wish) {
        const pid_t child = fork();
        int status = 0;

        memset(&answer, 0, sizeof answer);
        if (child == 0)
            unshare_one(note, &kinds[wish.kind]);
        answer.error = child < 0 ? -errno : 0;
        while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
        answer.gone = tick_end();
        answer.note = *note;
        answer.error = answer.error ? answer.error : status ? -ECHILD : 0;
        if (send(SMALL_SOCKET, &answer, sizeof answer, MSG_NOSIGNAL) != sizeof answer)
            break;
    }
    _exit(0);
}

/* Ticks of one, or -errno. */
static int64_t one_namespace(struct trial *trial, double *end_ticks)
{
    struct namespaces *namespaces = trial->state;
    const struct wish wish = {.kind = (int)trial->value[0]};
    struct answer answer;
    int status = small_ask(trial, &namespaces->small, &wish, sizeof wish, &answer, sizeof answer);

    if (status || answer.error)
        return status ? status : answer.error;
    if (answer.note.error == -EPERM || answer.note.error == -ENOSPC || answer.note.error == -EINVAL)
        return trial_needs(trial, "permission to make such a namespace (root, or user.max_user_namespaces)");
    if (answer.note.error)
        return answer.note.error;
    namespaces->made++;
    namespaces->wrong += answer.note.other != (wish.kind != 0);
    *end_ticks = (double)(answer.gone - answer.note.ended);
    return llround(fmax(0, net_ticks(trial, answer.note.begin, answer.note.end)));
}

static int setup(struct trial *trial)
{
    struct namespaces *namespaces = trial_alloc(trial, sizeof *namespaces);
    double end_ticks;
    int64_t ticks;
    int status;

    if (!namespaces)
        return -ENOMEM;
    if (EMULATED) /* it runs the small process's file for itself */
        return trial_needs(trial, "a system that is not emulated");
    status = small_start(trial, &namespaces->small, serve);
    ticks = status ? status : one_namespace(trial, &end_ticks);
    return ticks < 0 ? (int)ticks : 0;
}

static int64_t next_namespace(struct trial *trial)
{
    struct namespaces *namespaces = trial->state;
    const uint64_t place = (namespaces->made - 1) % CHILDREN_A_ROUND; /* one was made by setup */

    return one_namespace(trial, &namespaces->end_ticks[place]);
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    return one_by_one(worker, ticks, count, next_namespace);
}

/* Each child had a namespace of its own, and without a kind that of its parent. */
static int check(struct trial *trial)
{
    struct namespaces *namespaces = trial->state;

    if (namespaces->wrong)
        return trial_fault(trial,
                           "%" PRIu64 " of %" PRIu64 " children were not in the namespace that they should be in",
                           namespaces->wrong, namespaces->made);
    trial_count(trial, 0, (int64_t)(namespaces->made - namespaces->wrong), CHILDREN_A_ROUND + 1);
    trial->metric[END_NS] = median_of(namespaces->end_ticks, CHILDREN_A_ROUND) / trial->tick_hz * 1e9;
    return 0;
}

static void teardown(struct trial *trial)
{
    struct namespaces *namespaces = trial->state;

    if (namespaces)
        small_end(&namespaces->small);
}

/* Starting a small process, and forks of it. */
static uint64_t cost_ns(const struct trial *trial)
{
    (void)trial;
    return 6000000 + CHILDREN_A_ROUND * UINT64_C(600000);
}

KERNEL(unshare,
    .name             = "namespace/unshare",
    .summary          = "a child gives itself a namespace of its own",
    .unit             = "namespace",
    .threads          = { .min = 1, .max = 1 },
    .subject          = FLAG_FAULTED | FLAG_SWITCHED,
    .parameters       = { { .name = "kind", .summary = "of the namespace", .labels = "none uts ipc cgroup pid user mount net", .initial = 1,
                            .quick = "*", .standard = "*", .rigorous = "*" } },
    .metrics          = { [END_NS] = { "end_ns", "ns", "the end of the child, until its parent had waited for it" } },
    .counts           = { { "namespaces", "namespaces", "that were another than before, or with none the same" } },
    .flags            = KERNEL_TWIN,
    .setup            = setup,
    .events           = events,
    .events_per_batch = 1,
    .batches          = CHILDREN_A_ROUND,
    .check            = check,
    .teardown         = teardown,
    .cost_ns          = cost_ns);
