/*
 * kernel/path: what does each component of a path cost, and what does a question about a file cost without a path?
 * kernel/name: what does it cost to ask for a name that does not exist?
 *
 * One event of kernel/path is one fstatat() of a folder that lies 32 folders deep in a file system in memory. Beside
 * each the same is done for 1, 2, 4, 8 and 16 folders, in turn, so that all make a straight line. The control is the
 * same folders by their open files and an empty path. One operation of kernel/name is one fstatat() of a name in one
 * folder, present or missing, in memory or on a disk.
 * Excluded:  making the folders. Each name was looked up before, so Linux's record of it (its dentry) is there, if it
 *            keeps any.
 * Expect:    guest of an AMD EPYC, Linux 6.18, ns: 98 a component, and 565 by an empty path whatever the depth. A
 *            missing name in memory takes 2930, since tmpfs keeps no dentry of names that are missing. A present one
 *            takes 1640.
 * Hazards:   security modules look at each component. A disk may be a layered one (overlay), where a name is looked up
 *            in each layer.
 * Not shown: names that nobody has looked up before, which a disk has to be read for, and links.
 */
#define _GNU_SOURCE
#include "kernels/folder.h"
#include "kernels/straight.h"

#include <sys/stat.h>

/* ---- kernel/path ---- */

#define DEPTHS 6
#define TURNS 24
/* 5 to 60 us a batch. */
#define IN_A_ROW 16

static const size_t depths[DEPTHS] = {1, 2, 4, 8, 16, FOLDER_DEPTHS};

enum { COMPONENT_NS, FIT, EMPTY_NS, EMPTY_SPREAD };
enum { BY_PATH, BY_FILE };

struct paths {
    struct folder folder;
    char path[DEPTHS][2 * FOLDER_DEPTHS];
    int files[DEPTHS]; /* the same folders, opened. -1: none */
    uint64_t made, failed;
    double ticks[2][DEPTHS][TURNS];
    unsigned turns;
};

static int path_setup(struct trial *trial)
{
    struct paths *paths = trial_alloc(trial, sizeof *paths);
    int status;

    if (!paths)
        return -ENOMEM;
    for (int i = 0; i < DEPTHS; i++)
        paths->files[i] = -1;
    status = folder_begin(trial, &paths->folder, IN_MEMORY, FOLDER_DEPTHS);
    for (int i = 0; i < DEPTHS && !status; i++) {
        folder_path(paths->path[i], depths[i]);
        paths->files[i] = openat(paths->folder.file, paths->path[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        status = paths->files[i] < 0 ? -errno : 0;
    }
    return status;
}

/* Not inlined: what is timed is one call, whichever of the two ways it goes. */
static __attribute__((noinline)) void look(struct paths *paths, int file, const char *path, int flags)
{
    struct stat about;

    for (int i = 0; i < IN_A_ROW; i++)
        paths->failed += fstatat(file, path, &about, flags) != 0;
    paths->made += IN_A_ROW;
}

static int64_t path_events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;
    struct paths *paths = trial->state;
    uint64_t made = 0;

    for (; made < count && paths->turns < TURNS; made++, paths->turns++) {
        for (int i = 0; i < DEPTHS; i++)
            for (int way = BY_PATH; way <= BY_FILE; way++) {
                const int file = way == BY_PATH ? paths->folder.file : paths->files[i];
                const char *path = way == BY_PATH ? paths->path[i] : "";
                const uint64_t begin = tick_begin();
                uint64_t end;

                look(paths, file, path, way == BY_PATH ? 0 : AT_EMPTY_PATH);
                end = tick_end();
                paths->ticks[way][i][paths->turns] = fmax(1, net_ticks(trial, begin, end)) / IN_A_ROW;
            }
        ticks[made] = llround(paths->ticks[BY_PATH][DEPTHS - 1][paths->turns]);
    }
    return (int64_t)made;
}

/* Every look found its folder, and both ways find the same one, at each depth another. */
static int path_check(struct trial *trial)
{
    struct paths *paths = trial->state;
    double ns[2][DEPTHS], components[DEPTHS];
    struct straight lines[2];
    ino_t last = 0;

    if (paths->failed)
        return trial_fault(trial, "%" PRIu64 " of %" PRIu64 " folders were not found", paths->failed, paths->made);
    for (int i = 0; i < DEPTHS; i++) {
        struct stat by_path, by_file;

        if (fstatat(paths->folder.file, paths->path[i], &by_path, 0) ||
            fstatat(paths->files[i], "", &by_file, AT_EMPTY_PATH))
            return -errno;
        if (by_path.st_ino != by_file.st_ino || by_path.st_ino == last)
            return trial_fault(trial, "the path of %zu components leads to another folder", depths[i]);
        last = by_path.st_ino;
        components[i] = (double)depths[i];
        for (int way = BY_PATH; way <= BY_FILE; way++)
            ns[way][i] = median_of(paths->ticks[way][i], TURNS) / trial->tick_hz * 1e9;
    }
    for (int way = BY_PATH; way <= BY_FILE; way++)
        lines[way] = straight_through(components, ns[way], DEPTHS);
    trial->metric[COMPONENT_NS] = lines[BY_PATH].slope;
    trial->metric[FIT] = lines[BY_PATH].fit;
    trial->metric[EMPTY_NS] = median_of(ns[BY_FILE], DEPTHS);
    trial->metric[EMPTY_SPREAD] = lines[BY_FILE].spread;
    return 0;
}

static void path_teardown(struct trial *trial)
{
    struct paths *paths = trial->state;

    if (!paths)
        return;
    for (int i = 0; i < DEPTHS; i++)
        if (paths->files[i] >= 0)
            close(paths->files[i]);
    folder_end(&paths->folder);
}

static uint64_t path_cost_ns(const struct trial *trial)
{
    (void)trial;
    return TURNS * 2 * DEPTHS * IN_A_ROW * UINT64_C(1500) + 5000000;
}

KERNEL(path,
    .name             = "kernel/path",
    .summary          = "a program asks about a folder that lies up to 32 folders deep, by its path and by its open file",
    .unit             = "path of 32 components",
    .threads          = { .min = 1, .max = 1 },
    .metrics          = { [COMPONENT_NS] = { "component_ns", "ns", "what each further component adds, by a straight line" },
                          [FIT]          = { "fit", "1", "R squared of that line" },
                          [EMPTY_NS]     = { "empty_ns", "ns", "the same by an open file and an empty path" },
                          [EMPTY_SPREAD] = { "empty_spread", "1", "of these the dearest depth over the cheapest" } },
    .setup            = path_setup,
    .events           = path_events,
    .events_per_batch = 1,
    .batches          = TURNS,
    .check            = path_check,
    .teardown         = path_teardown,
    .cost_ns          = path_cost_ns);

/* ---- kernel/name ---- */

enum { NAME, WHERE };
enum { PRESENT, MISSING };
enum { NEGATIVE_PER_NAME };

/* New names that there are not, looked up once each: so many that those of other processes do not count. */
#define NEW_NAMES 512

struct names {
    struct folder folder;
    uint64_t made, right;
};

static void look_at_present(struct worker *worker, uint64_t operations)
{
    struct names *names = worker->trial->state;
    struct stat about;

    for (uint64_t i = 0; i < operations; i++)
        names->right += fstatat(names->folder.file, FOLDER_FILE, &about, 0) == 0;
    names->made += operations;
}

static void look_at_missing(struct worker *worker, uint64_t operations)
{
    struct names *names = worker->trial->state;
    struct stat about;

    for (uint64_t i = 0; i < operations; i++)
        names->right += fstatat(names->folder.file, "missing", &about, 0) != 0 && errno == ENOENT;
    names->made += operations;
}

static int name_setup(struct trial *trial)
{
    struct names *names = trial_alloc(trial, sizeof *names);

    if (!names)
        return -ENOMEM;
    names->folder.file = names->folder.gate = -1;
    trial->run = trial->value[NAME] == PRESENT ? look_at_present : look_at_missing;
    return folder_begin(trial, &names->folder, trial->value[WHERE] == 0 ? IN_MEMORY : ON_A_DISK, 0);
}

/* The dentries of names that do not exist, in the whole system. -1 if it does not say (before Linux 5.0). */
static int64_t negative_dentries(void)
{
    char text[256];
    long long negative = -1;

    if (procfs_text("/proc/sys/fs/dentry-state", text, sizeof text) < 0 ||
        sscanf(text, "%*d %*d %*d %*d %lld", &negative) != 1)
        return -1;
    return negative;
}

static int name_check(struct trial *trial)
{
    const struct names *names = trial->state;
    const int64_t before = negative_dentries();
    struct stat about;

    if (names->right != names->made)
        return trial_fault(trial, "%" PRIu64 " of %" PRIu64 " names were as they have to be", names->right,
                           names->made);
    for (int i = 0; i < NEW_NAMES; i++) {
        char name[32];

        snprintf(name, sizeof name, "missing-%d", i);
        if (fstatat(names->folder.file, name, &about, 0) == 0)
            return trial_fault(trial, "there is a file %s", name);
    }
    if (before >= 0)
        trial->metric[NEGATIVE_PER_NAME] = (double)(negative_dentries() - before) / NEW_NAMES;
    return 0;
}

static void name_teardown(struct trial *trial)
{
    struct names *names = trial->state;

    if (names)
        folder_end(&names->folder);
}

KERNEL(name,
    .name       = "kernel/name",
    .summary    = "a program asks for a name in a folder, which is there or is not",
    .unit       = "name",
    .threads    = { .min = 1, .max = 1 },
    .parameters = { [NAME]  = { .name = "name", .summary = "whether there is such a file", .labels = "present missing", .initial = PRESENT,
                                .quick = "*", .standard = "*", .rigorous = "*" },
                    [WHERE] = { .name = "where", .summary = "the file system", .labels = "memory disk", .initial = 0,
                                .quick = "*", .standard = "*", .rigorous = "*" } },
    .metrics    = { [NEGATIVE_PER_NAME] = { "negative_per_name", "per name",
                                            "dentries that Linux kept of names that were missing, of 512 new ones" } },
    .setup      = name_setup,
    .run        = look_at_present,
    .check      = name_check,
    .teardown   = name_teardown);
