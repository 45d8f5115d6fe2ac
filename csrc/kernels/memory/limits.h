/*
 * How much memory there is for this process, and how much of it is left: of the machine, and of each control group that it is in, of either
 * version. Whoever takes more is ended by the system, or ends somebody else.
 */
#ifndef FENCEPOST_MEMORY_LIMITS_H
#define FENCEPOST_MEMORY_LIMITS_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Where control groups are mounted, and what their files are called: version 2 and version 1. */
struct group_files {
    const char *root, *limit, *used, *cache; /* cache: memory that is given back on demand */
};

static const struct group_files group_files[] = {
    {"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file "},
    {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "},
};

/* The first number in a file, or the one after `key` at the start of a line; -1 where there is none ("max" of a
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

/* The group in a line of /proc/self/cgroup, and its files; NULL where the line is of another controller. */
static inline char *group_in(char *line, const struct group_files **files)
{
    char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;

    line[strcspn(line, "\n")] = '\0';
    if (!group)
        return NULL;
    *group++ = '\0';
    controllers++;
    *files = &group_files[*controllers != '\0'];
    if (!*controllers)
        return group;
    /* "memory" is one word of several, separated by commas. */
    for (const char *word = controllers; word; word = strchr(word, ',') ? strchr(word, ',') + 1 : NULL)
        if (strncmp(word, "memory", 6) == 0 && (word[6] == ',' || word[6] == '\0'))
            return group;
    return NULL;
}

static inline int64_t least_memory(const char *field, int left)
{
    const int64_t kib = number_in("/proc/meminfo", field);
    int64_t least = kib < 0 ? INT64_MAX : kib * 1024;
    FILE *file = fopen("/proc/self/cgroup", "r");
    char line[512];

    while (file && fgets(line, sizeof line, file)) {
        const struct group_files *files;
        char *group = group_in(line, &files);

        if (group)
            least = least_of_groups(group, files, left, least);
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
