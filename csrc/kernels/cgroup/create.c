/*
 * cgroup/create: what does it cost to make a control group, and to take it down again?
 *
 * One event is one mkdir of a new, empty group below the group of this process. Its rmdir follows and has its own
 * metric, remove_ns.
 *   folder       a folder in memory (tmpfs), which is not a group: the control
 *   v2           in the one hierarchy of version 2
 *   pids memory  in the hierarchy of this controller of version 1
 * Excluded:  the work that Linux does later, by its own threads, once a group is gone.
 * Expect:    guest of an AMD EPYC, Linux 6.18, us, both together: pids 33, v2 48, memory 81.
 * Hazards:   below a group with many controllers each adds its part. In v2 those count that its parent passes on. If an
 *            engine is killed, a separate process removes the group that it left.
 * Not shown: moving a process into a group, and the cost of a limit.
 */
#define _GNU_SOURCE
#include "kernels/folder.h"
#include "kernels/groups.h"

enum { FOLDER, V2, PIDS, MEMORY };
enum { REMOVE_NS };

#define GROUPS_A_ROUND 20

struct groups {
    struct folder folder; /* its path is that of the group, and its keeper removes what is left */
    uint64_t made, right;
    double remove_ticks[GROUPS_A_ROUND];
};

static const char *const controllers[] = {[FOLDER] = NULL, [V2] = "", [PIDS] = "pids", [MEMORY] = "memory"};

/* The folder in which groups of this process can be made. 0, or -errno: trial_needs() where there is none. */
static int find_place(struct trial *trial, const char *controller, char *place, size_t room)
{
    struct group_folder group;

    if (!find_group_folder(controller, *controller ? 1 : 2, &group))
        return trial_needs(trial, *controller ? "a hierarchy of this controller (cgroup version 1)"
                                              : "a hierarchy of version 2 (cgroup2)");
    if (access(group.path, F_OK)) /* a group that this mount does not show */
        group.path[group.mounted] = '\0';
    return snprintf(place, room, "%s", group.path) < (int)room ? 0 : -ENAMETOOLONG;
}

static int64_t one_group(struct trial *trial, struct groups *groups, double *remove_ticks)
{
    const char *path = groups->folder.path;
    const int is_group = trial->value[0] != FOLDER;
    char inside[sizeof groups->folder.path + 16];
    uint64_t begin, made, remove;

    begin = tick_begin();
    if (mkdir(path, 0700))
        return -errno;
    made = tick_end();
    groups->made++;
    snprintf(inside, sizeof inside, "%s/cgroup.procs", path);
    groups->right += (access(inside, F_OK) == 0) == is_group;
    remove = tick_begin();
    if (rmdir(path))
        return -errno;
    *remove_ticks = net_ticks(trial, remove, tick_end());
    return llround(fmax(0, net_ticks(trial, begin, made)));
}

static int setup(struct trial *trial)
{
    struct groups *groups = trial_alloc(trial, sizeof *groups);
    const char *controller = controllers[trial->value[0]];
    char place[FOLDER_PATH_BYTES] = "/dev/shm";
    double remove_ticks;
    int64_t ticks;
    int status;

    if (!groups)
        return -ENOMEM;
    groups->folder.file = groups->folder.gate = -1;
    status = controller ? find_place(trial, controller, place, sizeof place) : 0;
    if (status)
        return status;
    if (snprintf(groups->folder.path, sizeof groups->folder.path, "%s/fencepost-%d-%" PRIx64, place, (int)getpid(),
                 tick_now()) >= (int)sizeof groups->folder.path)
        return -ENAMETOOLONG;
    status = folder_start_keeper(&groups->folder);
    if (status)
        return status == -EAGAIN ? trial_needs(trial, "permission for one more process (ulimit -u, pids.max)") : status;
    ticks = one_group(trial, groups, &remove_ticks);
    if (ticks == -EACCES || ticks == -EPERM || ticks == -EROFS || ticks == -ENOENT || ticks == -EAGAIN)
        return trial_needs(trial, controller ? "permission to make a group here (root, or a group that was delegated)"
                                             : "a folder in memory that may be written to (tmpfs on /dev/shm)");
    return ticks < 0 ? (int)ticks : 0;
}

static int64_t next_group(struct trial *trial)
{
    struct groups *groups = trial->state;
    const uint64_t place = (groups->made - 1) % GROUPS_A_ROUND; /* one was made by setup */

    return one_group(trial, groups, &groups->remove_ticks[place]);
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    return one_by_one(worker, ticks, count, next_group);
}

/* Each was a group, and none is left. */
static int check(struct trial *trial)
{
    struct groups *groups = trial->state;

    if (groups->right != groups->made)
        return trial_fault(trial, "of %" PRIu64 " folders %" PRIu64 " were what they should be", groups->made,
                           groups->right);
    if (access(groups->folder.path, F_OK) == 0)
        return trial_fault(trial, "a group is left");
    trial_count(trial, 0, (int64_t)groups->right, GROUPS_A_ROUND + 1);
    trial->metric[REMOVE_NS] = median_of(groups->remove_ticks, GROUPS_A_ROUND) / trial->tick_hz * 1e9;
    return 0;
}

static void teardown(struct trial *trial)
{
    struct groups *groups = trial->state;

    if (groups)
        folder_end(&groups->folder);
}

/* A fork of the interpreter. */
static uint64_t cost_ns(const struct trial *trial)
{
    (void)trial;
    return 6000000 + GROUPS_A_ROUND * UINT64_C(100000);
}

KERNEL(create,
    .name             = "cgroup/create",
    .summary          = "a control group is made, and taken down",
    .unit             = "group",
    .threads          = { .min = 1, .max = 1 },
    .subject          = FLAG_FAULTED | FLAG_SWITCHED,
    .parameters       = { { .name = "hierarchy", .summary = "in which it is made", .labels = "folder v2 pids memory", .initial = V2,
                            .quick = "v2", .standard = "folder v2 memory", .rigorous = "*" } },
    .metrics          = { [REMOVE_NS] = { "remove_ns", "ns", "taking it down, until the call returns" } },
    .counts           = { { "groups", "groups", "made and taken down; of the control, folders that are none" } },
    .flags            = KERNEL_TWIN,
    .setup            = setup,
    .events           = events,
    .events_per_batch = 1,
    .batches          = GROUPS_A_ROUND,
    .check            = check,
    .teardown         = teardown,
    .cost_ns          = cost_ns);
