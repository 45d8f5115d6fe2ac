/*
 * The control groups that this process is in: of version 2, and of version 1, where each controller has its own groups.
 */
#ifndef FENCEPOST_GROUPS_H
#define FENCEPOST_GROUPS_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Each process's groups, a line each. */
#define GROUPS_OF_THIS_PROCESS "/proc/self/cgroup"

/* The first number in a file, or the one after `key` at the start of a line. -1 if there is none ("max" of a
   cgroup). */
static inline int64_t number_in(const char *path, const char *key)
{
    FILE *file = fopen(path, "r");
    int64_t number = -1;
    char line[256];

    while (file && number < 0 && fgets(line, sizeof line, file))
        if (!key || strncmp(line, key, strlen(key)) == 0)
            if (sscanf(line + (key ? strlen(key) : 0), "%" SCNd64, &number) != 1)
                number = -1;
    if (file)
        fclose(file);
    return number;
}

/* Whether `word` is one of those that commas separate. */
static inline int has_word(const char *list, const char *word)
{
    const size_t length = strlen(word);

    for (const char *at = list; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, word, length) == 0 && (at[length] == ',' || at[length] == '\0'))
            return 1;
    }
    return 0;
}

/* A group of this process as it is seen here: the folder with its files, of which the first `mounted` characters are the mount. Those
   above it that are seen are the folders from there down. */
struct group_folder {
    char path[1280];
    size_t mounted;
};

#define GROUP_BYTES 512

/* The group of this process in the hierarchy of a controller of version 1, or in that of version 2. Whether there is one. */
static inline int group_of_this_process(const char *controller, int version, char group[GROUP_BYTES])
{
    FILE *groups = fopen(GROUPS_OF_THIS_PROCESS, "re");
    char line[GROUP_BYTES];
    int found = 0;

    while (groups && !found && fgets(line, sizeof line, groups)) {
        char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;

        line[strcspn(line, "\n")] = '\0';
        if (!path)
            continue;
        *path++ = '\0';
        controllers++;
        found = version == 2 ? !*controllers : has_word(controllers, controller);
        if (found)
            snprintf(group, GROUP_BYTES, "%s", path);
    }
    if (groups)
        fclose(groups);
    return found;
}

/* What of `group` lies below `root`, "" or with a slash in front. NULL where it lies elsewhere, or outside of this process's namespace. */
static inline const char *below_root(const char *group, const char *root)
{
    const size_t length = strcmp(root, "/") == 0 ? 0 : strlen(root);

    if (strncmp(group, root, length) != 0 || (group[length] != '/' && group[length] != '\0') ||
        strstr(group + length, "/.."))
        return NULL;
    return strcmp(group + length, "/") == 0 ? "" : group + length;
}

/*
 * Where a group of this process is seen: of several mounts of its hierarchy, in the one that shows it and least above it. Where none
 * shows it, the top of a mount is all that can be read. Whether the hierarchy is mounted, and the group not known to lie outside of it.
 */
static inline int find_group_folder(const char *controller, int version, struct group_folder *folder)
{
    char line[2048], group[GROUP_BYTES], root[GROUP_BYTES], mount[GROUP_BYTES], kind[32], options[GROUP_BYTES];
    FILE *mounts;
    int found = 0;
    size_t least = SIZE_MAX;

    if (!group_of_this_process(controller, version, group))
        return 0;
    mounts = fopen("/proc/self/mountinfo", "re");
    while (mounts && fgets(line, sizeof line, mounts)) {
        const char *rest = strstr(line, " - "), *below;

        if (!rest || sscanf(line, "%*s %*s %*s %511s %511s", root, mount) != 2 ||
            sscanf(rest, " - %31s %*s %511s", kind, options) != 2 ||
            strcmp(kind, version == 2 ? "cgroup2" : "cgroup") != 0 || (version == 1 && !has_word(options, controller)))
            continue;
        below = below_root(group, root);
        if (!below && (found || strstr(group, "/..")))
            continue;
        if (below && strlen(below) >= least)
            continue;
        least = below ? strlen(below) : SIZE_MAX;
        folder->mounted = strlen(mount);
        snprintf(folder->path, sizeof folder->path, "%s%s", mount, below ? below : "");
        found = 1;
    }
    if (mounts)
        fclose(mounts);
    return found;
}

/* The folder of the group above, within the mount. Whether there is one. */
static inline int next_group_up(struct group_folder *folder)
{
    char *end = strrchr(folder->path, '/');

    if (!end || end < folder->path + folder->mounted)
        return 0;
    *end = '\0';
    return 1;
}

/* The number in a file of the group, as number_in(). */
static inline int64_t number_in_group(const struct group_folder *folder, const char *file, const char *key)
{
    char path[sizeof folder->path + 64];

    snprintf(path, sizeof path, "%s/%s", folder->path, file);
    return number_in(path, key);
}

#endif
