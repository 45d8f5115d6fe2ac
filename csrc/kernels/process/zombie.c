/*
 * process/zombie: what does a child keep that has ended, until its parent waits for it?
 *
 * Children end at once and nobody waits. One operation is to make all of them and to wait for all in the end. Three
 * things are counted: the children that are still there, their remaining memory, and the children that are there after
 * their parent has waited for each.
 * Excluded:  all times but that of a wait, in reap_ns.
 * Expect:    all are there, without a page of memory, and none afterwards. Linux, AMD EPYC: each keeps 3 to 8 KiB of
 *            the kernel's own memory.
 * Hazards:   slab_kib is a difference of two readings of the whole machine. It includes the objects of other processes.
 *            The readings need root, since each CPU keeps some of its count to itself until it is asked
 *            (vm.stat_refresh).
 * Not shown: threads, and children that their parent has left to init.
 */
#define _GNU_SOURCE
#include <sys/wait.h>

#include "kernels/system.h"

enum { THERE, PAGES, LEFT };
enum { SLAB_KIB, REAP_NS };

#define MAX_CHILDREN 500

struct zombies {
    pid_t pid[MAX_CHILDREN];
    int made;
    int64_t there, pages, left;
    double slab_bytes, reap_ns;
};

/* Memory that Linux cannot give back, in bytes. NaN if it cannot be read exactly. */
static double slab_bytes(void)
{
    char nothing[1];
    int64_t kib;

    if (procfs_text("/proc/sys/vm/stat_refresh", nothing, sizeof nothing) < 0)
        return NAN;
    kib = procfs_field("/proc/meminfo", "SUnreclaim");
    return kib < 0 ? NAN : (double)kib * 1024;
}

/* In a function of its own: the child stands on its parent's stack, and leaves without returning. */
static __attribute__((noinline)) pid_t child_that_ends(void)
{
    const pid_t child = vfork();

    if (child == 0)
        _exit(0);
    return child;
}

/* Whether a child of this process has this number: others may get it once it is free. */
static int is_zombie(pid_t pid)
{
    char path[32], text[1024], state;
    const char *name_end;
    int parent;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (procfs_text(path, text, sizeof text) < 0)
        return 0;
    name_end = strrchr(text, ')'); /* a name may have brackets and spaces */
    return name_end && sscanf(name_end + 1, " %c %d", &state, &parent) == 2 && state == 'Z' && parent == getpid();
}

static int64_t zombies_of(const struct zombies *zombies)
{
    int64_t found = 0;

    for (int i = 0; i < zombies->made; i++)
        found += is_zombie(zombies->pid[i]);
    return found;
}

static int wait_for_all(struct zombies *zombies)
{
    int status = 0;

    while (zombies->made) {
        const int ended = wait_for_child(zombies->pid[--zombies->made]);

        if (ended)
            status = ended < 0 ? ended : -EILSEQ;
    }
    return status;
}

static int work(struct worker *worker)
{
    struct trial *trial = worker->trial;
    struct zombies *zombies = trial->state;
    const int wanted = (int)trial->value[0];
    const double before = slab_bytes();
    siginfo_t ended;
    uint64_t began;
    int status;

    while (zombies->made < wanted) {
        const pid_t child = child_that_ends();

        if (child < 0)
            return errno == EAGAIN ? trial_needs(trial, "permission for that many more processes (ulimit -u, pids.max)")
                                   : -errno;
        zombies->pid[zombies->made++] = child;
        /* A vfork returns a moment before its child has ended. WNOWAIT leaves the child as it is. */
        while (waitid(P_PID, (id_t)child, &ended, WEXITED | WNOWAIT) && errno == EINTR)
            ;
    }
    zombies->slab_bytes = slab_bytes() - before;
    zombies->there = zombies_of(zombies);
    for (int i = 0; i < wanted; i++) {
        const double bytes = resident_bytes_of(zombies->pid[i]);

        zombies->pages += bytes > 0 || isnan(bytes);
    }
    began = now_ns();
    status = wait_for_all(zombies);
    zombies->reap_ns = (double)(now_ns() - began) / wanted;
    zombies->made = wanted;
    zombies->left = zombies_of(zombies);
    zombies->made = 0;
    return status;
}

static int setup(struct trial *trial)
{
    if (trial->value[0] < 1 || trial->value[0] > MAX_CHILDREN) {
        trial_fault(trial, "children=%" PRId64 " is not 1 to %d", trial->value[0], MAX_CHILDREN);
        return -EINVAL;
    }
    return trial_alloc(trial, sizeof(struct zombies)) ? 0 : -ENOMEM;
}

static int check(struct trial *trial)
{
    const struct zombies *zombies = trial->state;

    trial_count(trial, THERE, zombies->there, trial->value[0]);
    trial_count(trial, PAGES, zombies->pages, 0);
    trial_count(trial, LEFT, zombies->left, 0);
    trial->metric[SLAB_KIB] = zombies->slab_bytes / 1024 / (double)trial->value[0];
    trial->metric[REAP_NS] = zombies->reap_ns;
    return 0;
}

/* Where it ended early, none stays. */
static void teardown(struct trial *trial)
{
    if (trial->state)
        wait_for_all(trial->state);
}

/* Seen 70 us a child with all readings. */
static uint64_t cost_ns(const struct trial *trial)
{
    return (uint64_t)trial->value[0] * 100000;
}

KERNEL(zombie,
    .name       = "process/zombie",
    .summary    = "children have ended and nobody has waited for them: what they still hold",
    .unit       = "child",
    .threads    = { .min = 1, .max = 1 },
    .parameters = { { .name = "children", .unit = "children", .summary = "that have ended", .initial = 100,
                      .quick = "100", .standard = "100", .rigorous = "1 10 100 500" } },
    .metrics    = { [SLAB_KIB] = { "slab_kib", "KiB", "the kernel's own memory, for each" },
                    [REAP_NS]  = { "reap_ns", "ns", "for a wait that finds its child ended" } },
    .counts     = { [THERE] = { "zombies", "children", "there before anybody waited" },
                    [PAGES] = { "with_memory", "children", "those of them with memory of their own" },
                    [LEFT]  = { "left", "children", "there after their parent had waited" } },
    .setup      = setup,
    .work       = work,
    .check      = check,
    .teardown   = teardown,
    .cost_ns    = cost_ns);
