/*
 * Children that a parent makes one after another and waits for. Each ends with a different status. So a wait that
 * answers for another child, or for none, shows.
 */
#ifndef FENCEPOST_PROCESS_CHILDREN_H
#define FENCEPOST_PROCESS_CHILDREN_H

#include "kernels/small_process.h"

/* Of child number `made`, of so many: never 0, and another than that of the child before. */
static inline int status_of(uint64_t made, int statuses)
{
    return (int)(made % (uint64_t)statuses) + 1;
}

/* The need behind this error of a call that makes a child, or the error. */
static inline int child_refused(struct trial *trial, int error)
{
    if (error == -EAGAIN || error == -EPERM || error == -ENOSYS)
        return trial_needs(trial, "permission for one more process or thread (ulimit -u, pids.max of the cgroup)");
    return error;
}

/* Some were made, and each ended with its status. */
static inline int check_children(struct trial *trial, uint64_t made, uint64_t wrong)
{
    if (made && !wrong)
        return 0;
    return trial_fault(trial, "%" PRIu64 " of %" PRIu64 " children did not end with their own status", wrong, made);
}

#endif
