/* Events that Linux or the CPU counts for one thread, by perf_event_open. */
#ifndef FENCEPOST_PERF_EVENTS_H
#define FENCEPOST_PERF_EVENTS_H

#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "kernels/system.h"

/* Where events are counted. */
enum { IN_LINUX_TOO, IN_USER_MODE };

/*
 * A counter of the calling thread, stopped and at 0: its file, or -errno. Events of Linux are raised in Linux, so that what happens there is
 * counted, too. That takes a permission which counting in user mode alone does not. A counter of the CPU is counted throughout or not at all.
 */
static inline int event_open(uint32_t type, uint64_t config, int where)
{
    struct perf_event_attr attributes = {.type = type,
                                         .size = sizeof attributes,
                                         .config = config,
                                         .disabled = 1,
                                         .pinned = type == PERF_TYPE_HARDWARE,
                                         .exclude_kernel = where == IN_USER_MODE,
                                         .exclude_hv = 1};
    const long file = syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

    return file < 0 ? -errno : (int)file;
}

/* The need behind what event_open() answered, or that error. */
static inline int event_refused(struct trial *trial, int error)
{
    if (error == -EACCES || error == -EPERM)
        return trial_needs(trial, "permission to count events of Linux (root, CAP_PERFMON, or "
                                  "kernel.perf_event_paranoid below 2)");
    if (error == -ENOENT || error == -ENOSYS || error == -EOPNOTSUPP || error == -ENODEV)
        return trial_needs(trial, "a Linux that counts this event (perf_event_open)");
    return error;
}

static inline void event_start(int file)
{
    ioctl(file, PERF_EVENT_IOC_RESET, 0);
    ioctl(file, PERF_EVENT_IOC_ENABLE, 0);
}

/* The count since it was started. Negative if it cannot be read. */
static inline int64_t event_stop(int file)
{
    int64_t count = -1;

    ioctl(file, PERF_EVENT_IOC_DISABLE, 0);
    return read(file, &count, sizeof count) == (ssize_t)sizeof count ? count : -EIO;
}

#endif
