/*
 * How much memory there is for this process, and how much of it is left: of the machine, and of each control group that it is in, of either
 * version. Whoever takes more is ended by the system, or ends somebody else.
 */
#ifndef FENCEPOST_MEMORY_LIMITS_H
#define FENCEPOST_MEMORY_LIMITS_H

#include "kernels/groups.h"

/* By version: where control groups are mounted, and what their files are called. */
struct group_files {
    const char *root, *limit, *used, *cache; /* cache: memory that is given back on demand */
};

static const struct group_files group_files[] = {
    [1] = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "},
    [2] = {"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file "},
};

/* The smallest limit, or the least that is left, of this group and all above it, and of `least`. "/" itself is the root of a container. */
static inline int64_t least_of_groups(char *group, const struct group_files *files, int left, int64_t least)
{
    for (char *end = group + strlen(group); end; end = strrchr(group, '/')) {
        char path[640];
        int64_t limit, used = 0, cache = 0;

        *end = '\0';
        snprintf(path, sizeof path, "%s%s/%s", files->root, group, files->limit);
        limit = number_in(path, NULL);
        if (left) {
            snprintf(path, sizeof path, "%s%s/%s", files->root, group, files->used);
            used = number_in(path, NULL);
            snprintf(path, sizeof path, "%s%s/memory.stat", files->root, group);
            cache = number_in(path, files->cache);
        }
        if (limit >= 0 && used >= 0 && limit - used + (cache > 0 ? cache : 0) < least)
            least = limit - used + (cache > 0 ? cache : 0);
    }
    return least;
}

static inline int64_t least_memory(const char *field, int left)
{
    const int64_t kib = number_in("/proc/meminfo", field);
    int64_t least = kib < 0 ? INT64_MAX : kib * 1024;
    FILE *file = fopen(GROUPS_OF_THIS_PROCESS, "r");
    char line[512];

    while (file && fgets(line, sizeof line, file)) {
        int version;
        char *group = group_in(line, "memory", &version);

        if (group)
            least = least_of_groups(group, &group_files[version], left, least);
    }
    if (file)
        fclose(file);
    return least;
}

/* What can be touched before somebody is killed for it. INT64_MAX where the system does not say. */
static inline int64_t available_bytes(void)
{
    return least_memory("MemAvailable:", 1);
}

/* What this process may have at most. */
static inline int64_t memory_there_is(void)
{
    return least_memory("MemTotal:", 0);
}

#endif
