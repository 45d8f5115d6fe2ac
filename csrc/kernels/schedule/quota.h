/*
 * Whether a control group gives this process a quota of CPU time. If so, shares and delays are the quota's, and not a
 * scheduler's.
 */
#ifndef FENCEPOST_SCHEDULE_QUOTA_H
#define FENCEPOST_SCHEDULE_QUOTA_H

#include "kernels/groups.h"

#define NO_QUOTA "a control group without a quota of CPU time (cpu.max, cpu.cfs_quota_us)"

/* By version, the file with the quota. No number in it ("max"), or -1: none. */
static const char *const quota_files[] = {[1] = "cpu.cfs_quota_us", [2] = "cpu.max"};

/* Of a group of this process, or of one above it. */
static inline int has_cpu_quota(void)
{
    for (int version = 1; version <= 2; version++) {
        struct group_folder folder;
        int more = find_group_folder("cpu", version, &folder);

        for (; more; more = next_group_up(&folder))
            if (number_in_group(&folder, quota_files[version], NULL) > 0)
                return 1;
    }
    return 0;
}

#endif
