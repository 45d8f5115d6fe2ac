/*
 * A folder for the time of a case, in memory (tmpfs) or on a disk: with a file, and with folders in one another.
 *
 * A separate process, the keeper, removes it when the gate between both closes. The gate closes by hand, or because the
 * engine has died, however it died. The keeper is started before the folder is made, and knows what may be in it.
 */
#ifndef FENCEPOST_FOLDER_H
#define FENCEPOST_FOLDER_H

#include <fcntl.h>
#include <sys/stat.h>

#include "kernels/system.h"

#define FOLDER_FILE "present"
#define FOLDER_CONTENT "of a file in memory or on a disk, as long as a line of procfs is\n"
/* Components of a path, each of one letter. */
#define FOLDER_DEPTHS 32
#define FOLDER_PATH_BYTES 512

enum { IN_MEMORY, ON_A_DISK };

struct folder {
    char path[FOLDER_PATH_BYTES / 2];
    int file;     /* the folder itself, opened. -1: none */
    int gate;     /* the keeper sleeps until this is closed. -1: none */
    pid_t keeper; /* 0: none */
};

/* The path below the folder that is so many components long: "d/d/d". */
static inline void folder_path(char *path, size_t depth)
{
    for (size_t i = 0; i < depth; i++) {
        path[2 * i] = 'd';
        path[2 * i + 1] = '/';
    }
    path[2 * depth - 1] = '\0';
}

/* Only what a child of several threads may call. Never returns. No signal that ends us ends it, and it holds nothing that we wait for. */
static inline void folder_keep(const struct folder *folder, int gate)
{
    char nothing, inner[2 * FOLDER_DEPTHS];
    int file;

    setsid();
    while (read(gate, &nothing, 1) < 0 && errno == EINTR)
        ;
    file = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0)
        _exit(errno == ENOENT ? 0 : 1);
    unlinkat(file, FOLDER_FILE, 0);
    for (size_t depth = FOLDER_DEPTHS; depth > 0; depth--) {
        folder_path(inner, depth);
        unlinkat(file, inner, AT_REMOVEDIR);
    }
    _exit(rmdir(folder->path) ? 1 : 0);
}

static inline int folder_start_keeper(struct folder *folder)
{
    int ends[2], status = 0;

    if (pipe2(ends, O_CLOEXEC))
        return -errno;
    folder->keeper = fork();
    if (folder->keeper == 0) {
        close(ends[1]);
        folder_keep(folder, ends[0]);
    }
    if (folder->keeper < 0)
        status = -errno;
    close(ends[0]);
    folder->gate = ends[1];
    folder->keeper = folder->keeper > 0 ? folder->keeper : 0;
    return status;
}

/* The folder with its file, and also its folders if `depths` is not 0. 0 or -errno. */
static inline int folder_fill(const struct folder *folder, size_t depths)
{
    char inner[2 * FOLDER_DEPTHS];
    int file;

    for (size_t depth = 1; depth <= depths; depth++) {
        folder_path(inner, depth);
        if (mkdirat(folder->file, inner, 0700))
            return -errno;
    }
    file = openat(folder->file, FOLDER_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        return -errno;
    if (write(file, FOLDER_CONTENT, sizeof FOLDER_CONTENT - 1) != (ssize_t)sizeof FOLDER_CONTENT - 1) {
        close(file);
        return -ENOSPC;
    }
    close(file);
    return 0;
}

/*
 * A new folder where there is one of this kind that may be written to. 0, or -errno: trial_needs() where there is none. What it holds is given
 * back by folder_end(), after an error too.
 */
static inline int folder_begin(struct trial *trial, struct folder *folder, int where, size_t depths)
{
    const char *places[] = {where == IN_MEMORY ? "/dev/shm" : getenv("TMPDIR"), "/var/tmp", "/tmp", "/run"};
    int status;

    folder->file = folder->gate = -1;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (!places[i] || in_memory_only(places[i]) != (where == IN_MEMORY) || access(places[i], W_OK | X_OK))
            continue;
        if (snprintf(folder->path, sizeof folder->path, "%s/fencepost-%d-%" PRIx64, places[i], (int)getpid(),
                     tick_now()) >= (int)sizeof folder->path)
            continue;
        status = folder_start_keeper(folder);
        if (status)
            return status == -EAGAIN ? trial_needs(trial, "permission for one more process (ulimit -u, pids.max)")
                                     : status;
        if (mkdir(folder->path, 0700))
            return -errno;
        folder->file = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return folder->file < 0 ? -errno : folder_fill(folder, depths);
    }
    return trial_needs(trial, where == IN_MEMORY ? "a folder in memory that may be written to (tmpfs on /dev/shm)"
                                                 : "a folder on a disk that may be written to (TMPDIR, /var/tmp)");
}

/* Nothing is left of it when this returns. 0, or what the keeper says. */
static inline int folder_end(struct folder *folder)
{
    const pid_t keeper = folder->keeper;

    if (folder->file >= 0)
        close(folder->file);
    folder->file = -1;
    if (folder->gate >= 0)
        close(folder->gate);
    folder->gate = -1;
    folder->keeper = 0;
    return keeper ? wait_for_child(keeper) : 0;
}

#endif
