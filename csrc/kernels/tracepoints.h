/*
 * Numbers of tracepoints, by which perf_event_open knows them. They are in tracefs, which is seldom mounted. So a child
 * mounts it in a private namespace, reads them and ends, and the mount ends with it. Nothing of this machine is
 * changed, and no tracer is set up.
 */
#ifndef FENCEPOST_TRACEPOINTS_H
#define FENCEPOST_TRACEPOINTS_H

#include <sched.h>
#include <sys/mount.h>

#include "kernels/other_process.h"
#include "kernels/perf_events.h"

#define TRACEFS "/sys/kernel/tracing"
#define MOST_TRACEPOINTS 24

struct tracepoints {
    int64_t number[MOST_TRACEPOINTS]; /* negative: this Linux has none of this name */
};

enum { TRACEFS_READ, TRACEFS_FORBIDDEN, TRACEFS_MISSING };

static inline void tracepoints_read(struct tracepoints *found, const char *const *names, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char path[128], text[32];

        snprintf(path, sizeof path, TRACEFS "/events/%s/id", names[i]);
        found->number[i] = procfs_text(path, text, sizeof text) > 0 ? atoll(text) : -1;
    }
}

/* A child, never returns. */
static inline __attribute__((noreturn)) void tracepoints_child(struct tracepoints *found, const char *const *names,
                                                               unsigned count)
{
    if (access(TRACEFS, F_OK))
        _exit(TRACEFS_MISSING);
    /* Private: what is mounted here shows nowhere else. */
    if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
        _exit(TRACEFS_FORBIDDEN);
    if (mount("tracefs", TRACEFS, "tracefs", 0, NULL))
        _exit(errno == ENODEV ? TRACEFS_MISSING : TRACEFS_FORBIDDEN);
    tracepoints_read(found, names, count);
    _exit(TRACEFS_READ);
}

/* `found` is shared memory. 0, or -errno: trial_needs() where they cannot be had. */
static inline int tracepoints_find(struct trial *trial, struct tracepoints *found, const char *const *names,
                                   unsigned count)
{
    int child, ended;

    if (access(TRACEFS "/events", R_OK | X_OK) == 0) {
        tracepoints_read(found, names, count);
        return 0;
    }
    child = other_start(trial);
    if (child == 0)
        tracepoints_child(found, names, count);
    if (child < 0)
        return child;
    ended = wait_for_child(child);
    if (ended == TRACEFS_FORBIDDEN)
        return trial_needs(trial, "permission to mount tracefs (root)");
    if (ended == TRACEFS_MISSING)
        return trial_needs(trial, "a Linux with tracefs");
    return ended ? trial_fault(trial, "the child that mounts tracefs ended with %d", ended) : 0;
}

#endif
