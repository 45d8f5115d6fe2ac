/*
 * To be loaded before libc: the file system fails at one operation, or the process that asks for it is killed there. Operations are those that
 * change something below FAULT_FOLDER, by any process that inherits the environment; "/memfd:" stands for memory files. FAULT_LOG has one line for each.
 * FAULT_AT is the number of the one that fails; FAULT_HOW is its errno, and -9 kills. Everything else goes to libc.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define CHANGES (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* Whether a path lies where operations are counted. A relative one begins in `folder`, an open folder or AT_FDCWD. */
static int counts(int folder, const char *path, char *whole)
{
    const char *prefix = getenv("FAULT_FOLDER");
    char link[64];
    ssize_t length = 0;

    if (!prefix || !getenv("FAULT_LOG"))
        return 0;
    if (!path || path[0] != '/') {
        if (folder == AT_FDCWD)
            snprintf(link, sizeof link, "/proc/self/cwd");
        else
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        length = readlink(link, whole, PATH_MAX);
        if (length < 0)
            return 0;
    }
    snprintf(whole + length, PATH_MAX, length && path ? "/%s" : "%s", path ? path : "");
    return strncmp(whole, prefix, strlen(prefix)) == 0;
}

/* Notes an operation. Returns the errno with which it fails, or 0. Processes take turns, so that numbers are those of lines. */
static int fault_of(const char *what, int folder, const char *path)
{
    const int before = errno;
    char whole[2 * PATH_MAX], line[2 * PATH_MAX + 64], old[4096];
    long number = 1, length;
    int file, how;

    if (!counts(folder, path, whole))
        return errno = before, 0;
    file = (int)syscall(SYS_openat, AT_FDCWD, getenv("FAULT_LOG"), O_RDWR | O_APPEND | O_CLOEXEC, 0);
    syscall(SYS_flock, file, LOCK_EX);
    while ((length = syscall(SYS_read, file, old, sizeof old)) > 0)
        for (long i = 0; i < length; i++)
            number += old[i] == '\n';
    length = snprintf(line, sizeof line, "%s %s\n", what, whole);
    syscall(SYS_write, file, line, length);
    syscall(SYS_close, file);
    how = number == atol(getenv("FAULT_AT")) ? atoi(getenv("FAULT_HOW")) : 0;
    if (how == -SIGKILL)
        kill(getpid(), SIGKILL);
    errno = before;
    return how;
}

#define FAILS(what, folder, path)                                                                                      \
    do {                                                                                                               \
        const int fault = fault_of(what, folder, path);                                                                \
        if (fault)                                                                                                     \
            return errno = fault, -1;                                                                                  \
    } while (0)

#define OPENS(name)                                                                                                    \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        va_list rest;                                                                                                  \
        mode_t mode;                                                                                                   \
                                                                                                                       \
        va_start(rest, flags);                                                                                         \
        mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                               \
        va_end(rest);                                                                                                  \
        if (flags & CHANGES)                                                                                           \
            FAILS("open", AT_FDCWD, path);                                                                             \
        return REAL(name)(path, flags, mode);                                                                          \
    }
OPENS(open)
OPENS(open64)

int openat(int folder, const char *path, int flags, ...)
{
    va_list rest;
    mode_t mode;

    va_start(rest, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (flags & CHANGES)
        FAILS("open", folder, path);
    return REAL(openat)(folder, path, flags, mode);
}

ssize_t write(int file, const void *data, size_t bytes)
{
    FAILS("write", file, NULL);
    return REAL(write)(file, data, bytes);
}

int fsync(int file)
{
    FAILS("fsync", file, NULL);
    return REAL(fsync)(file);
}

int ftruncate(int file, off_t bytes)
{
    FAILS("ftruncate", file, NULL);
    return REAL(ftruncate)(file, bytes);
}

int mkdir(const char *path, mode_t mode)
{
    FAILS("mkdir", AT_FDCWD, path);
    return REAL(mkdir)(path, mode);
}

int rename(const char *from, const char *to)
{
    FAILS("rename", AT_FDCWD, from);
    return REAL(rename)(from, to);
}

int unlink(const char *path)
{
    FAILS("unlink", AT_FDCWD, path);
    return REAL(unlink)(path);
}

int unlinkat(int folder, const char *path, int flags)
{
    FAILS("unlink", folder, path);
    return REAL(unlinkat)(folder, path, flags);
}

int rmdir(const char *path)
{
    FAILS("rmdir", AT_FDCWD, path);
    return REAL(rmdir)(path);
}
