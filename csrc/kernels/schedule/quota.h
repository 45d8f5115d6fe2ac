/*
 * Whether a control group gives this process a quota of CPU time. Then shares and delays are those of the quota, and no scheduler's.
 */
#ifndef FENCEPOST_SCHEDULE_QUOTA_H
#define FENCEPOST_SCHEDULE_QUOTA_H

#include "kernels/groups.h"

#define NO_QUOTA "a control group without a quota of CPU time (cpu.max, cpu.cfs_quota_us)"

/* By version: where control groups are mounted, and the file with the quota. No number in it ("max"), or -1: none. */
struct quota_file {
    const char *root, *name;
};
static const struct quota_file quota_files[] = {
    [1] = {"/sys/fs/cgroup/cpu", "cpu.cfs_quota_us"},
    [2] = {"/sys/fs/cgroup", "cpu.max"},
};

/* Of this group or of one above it. */
static inline int has_quota_above(char *group, const struct quota_file *file)
{
    for (char *end = group + strlen(group); end; end = strrchr(group, '/')) {
        char path[640];

        *end = '\0';
        snprintf(path, sizeof path, "%s%s/%s", file->root, group, file->name);
        if (number_in(path, NULL) > 0)
            return 1;
    }
    return 0;
}

static inline int has_cpu_quota(void)
{
    FILE *file = fopen(GROUPS_OF_THIS_PROCESS, "r");
    char line[512];
    int found = 0;

    while (file && !found && fgets(line, sizeof line, file)) {
        int version;
        char *group = group_in(line, "cpu", &version);

        found = group && has_quota_above(group, &quota_files[version]);
    }
    if (file)
        fclose(file);
    return found;
}

#endif
