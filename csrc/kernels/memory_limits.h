/*
 * How much memory there is for this process, and how much of it is left. It looks at the machine, and at each control
 * group that the process is in, of either version. The system ends a process that takes more, or ends another one.
 */
#ifndef FENCEPOST_MEMORY_LIMITS_H
#define FENCEPOST_MEMORY_LIMITS_H

#include "kernels/groups.h"

/* By version, what the files of a group are called. */
struct limit_files {
    const char *limit, *used, *cache; /* cache: memory that is given back on demand */
};

static const struct limit_files limit_files[] = {
    [1] = {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "},
    [2] = {"memory.max", "memory.current", "inactive_file "},
};

/* The limit of a group, or what is left below it. INT64_MAX without one, or if what is left is not less than `least`. */
static inline int64_t limit_of_group(const struct group_folder *folder, const struct limit_files *files, int left,
                                     int64_t least)
{
    const int64_t limit = number_in_group(folder, files->limit, NULL);
    int64_t used, cache;

    if (limit < 0 || !left)
        return limit < 0 ? INT64_MAX : limit;
    used = number_in_group(folder, files->used, NULL);
    /* The cache only adds to what is left. Linux sums up memory.stat over all CPUs when it is read: 1 to 3 ms. */
    if (used < 0 || limit - used >= least)
        return INT64_MAX;
    cache = number_in_group(folder, "memory.stat", files->cache);
    return limit - used + (cache > 0 ? cache : 0);
}

static inline int64_t least_memory(const char *field, int left)
{
    const int64_t kib = number_in("/proc/meminfo", field);
    int64_t least = kib < 0 ? INT64_MAX : kib * 1024;

    for (int version = 1; version <= 2; version++) {
        struct group_folder folder;
        int more = find_group_folder("memory", version, &folder);

        for (; more; more = next_group_up(&folder)) {
            const int64_t limit = limit_of_group(&folder, &limit_files[version], left, least);

            if (limit < least)
                least = limit;
        }
    }
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
