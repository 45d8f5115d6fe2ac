/* Calls that a system may refuse, for test_environments.py: REFUSE names one, and LD_PRELOAD brings this in. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int refused(const char *name)
{
    const char *wanted = getenv("REFUSE");

    return wanted && strcmp(wanted, name) == 0;
}

int fsync(int descriptor)
{
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");

    if (refused("fsync")) {
        errno = EINVAL;
        return -1;
    }
    return next(descriptor);
}

int sched_setaffinity(pid_t process, size_t bytes, const cpu_set_t *set)
{
    int (*next)(pid_t, size_t, const cpu_set_t *) =
        (int (*)(pid_t, size_t, const cpu_set_t *))dlsym(RTLD_NEXT, "sched_setaffinity");

    if (refused("sched_setaffinity")) {
        errno = EPERM;
        return -1;
    }
    return next(process, bytes, set);
}

int memfd_create(const char *name, unsigned flags)
{
    int (*next)(const char *, unsigned) = (int (*)(const char *, unsigned))dlsym(RTLD_NEXT, "memfd_create");

    if (refused("memfd_create")) {
        errno = ENOSYS;
        return -1;
    }
    return next(name, flags);
}

int open64(const char *path, int flags, ...)
{
    int (*next)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
    va_list list;
    mode_t mode;

    va_start(list, flags);
    mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
    va_end(list);
    if (refused("open") && (strncmp(path, "/proc/sys/", 10) == 0 || strncmp(path, "/sys/", 5) == 0)) {
        errno = EACCES;
        return -1;
    }
    return next(path, flags, mode);
}
