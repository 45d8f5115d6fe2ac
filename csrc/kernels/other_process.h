/*
 * Another process to look into: a fork of this one that sleeps, or follows orders in memory that both share. It dies
 * with this one.
 */
#ifndef FENCEPOST_OTHER_PROCESS_H
#define FENCEPOST_OTHER_PROCESS_H

#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "kernels/system.h"

#define NO_TRACING "permission to trace a child (kernel.yama.ptrace_scope, seccomp)"

/* 0 in the other process, and its number in this one. -errno on failure, of trial_needs() where there can be none. */
static inline int other_start(struct trial *trial)
{
    const pid_t parent = getpid();
    const pid_t other = fork();

    if (other == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) /* it died before the line above */
            _exit(1);
        return 0;
    }
    if (other > 0)
        return (int)other;
    return errno == EAGAIN ? trial_needs(trial, "permission for one more process (ulimit -u, pids.max of the cgroup)")
                           : -errno;
}

/* Whatever it does, and whether it is traced or not. */
static inline void other_end(pid_t other)
{
    if (other <= 0)
        return;
    kill(other, SIGKILL);
    wait_for_child(other);
}

/* Its next stop: 0 and the status. -ECHILD if it has ended instead. */
static inline int other_stops(pid_t other, int *status)
{
    while (waitpid(other, status, __WALL) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFSTOPPED(*status) ? 0 : -ECHILD;
}

#endif
