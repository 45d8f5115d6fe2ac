/*
 * Allocators that may be installed: the C library's own, and others that a process gets in its place. A process gets
 * one by its loader, and says itself from which file its malloc comes. Otherwise a library that cannot be loaded would
 * be just a warning, and its figures would be libc's under another name.
 */
#ifndef FENCEPOST_ALLOC_LIBRARIES_H
#define FENCEPOST_ALLOC_LIBRARIES_H

#ifndef _GNU_SOURCE
#error "_GNU_SOURCE first: for dladdr"
#endif
#include <dlfcn.h>

#include "kernels/alloc/server.h"

enum { LIBC, MIMALLOC, JEMALLOC, TCMALLOC };
#define LIBRARY_LABELS "libc mimalloc jemalloc tcmalloc"

/* The start of a file's name, and the names that distributions give it. */
static const struct library {
    const char *begins, *need, *files[4];
} libraries[] = {
    [LIBC] = {"libc.", "", {NULL}},
    [MIMALLOC] = {"libmimalloc",
                  "mimalloc (the package libmimalloc2.0)",
                  {"libmimalloc.so.2", "libmimalloc.so.2.0", "libmimalloc.so", NULL}},
    [JEMALLOC] = {"libjemalloc", "jemalloc (the package libjemalloc2)", {"libjemalloc.so.2", "libjemalloc.so", NULL}},
    [TCMALLOC] = {"libtcmalloc",
                  "tcmalloc (the package libtcmalloc-minimal4)",
                  {"libtcmalloc_minimal.so.4", "libtcmalloc.so.4", "libtcmalloc_minimal.so", NULL}},
};

static const char *const library_folders[] = {
    "/usr/local/lib",
    "/usr/lib64",
    "/usr/lib",
#if defined(HAS_X86_64)
    "/usr/lib/x86_64-linux-gnu",
#elif defined(HAS_AARCH64)
    "/usr/lib/aarch64-linux-gnu",
#elif defined(HAS_RISCV64)
    "/usr/lib/riscv64-linux-gnu",
#endif
};

/* The file of a library, empty for libc. 0, or -ENOENT. */
static inline int find_library(int library, char *path, size_t room)
{
    *path = '\0';
    if (library == LIBC)
        return 0;
    for (size_t folder = 0; folder < sizeof library_folders / sizeof *library_folders; folder++)
        for (int i = 0; libraries[library].files[i]; i++) {
            snprintf(path, room, "%s/%s", library_folders[folder], libraries[library].files[i]);
            if (access(path, R_OK) == 0)
                return 0;
        }
    return -ENOENT;
}

/* A small process with this allocator. 0, or -errno: a need where it is not installed. */
static inline int start_with_library(struct trial *trial, struct small *small, void (*begin)(void), int library)
{
    char path[PATH_MAX];

    if (SANITIZED)
        return trial_needs(trial, "an engine without sanitizers");
    if (find_library(library, path, sizeof path))
        return trial_needs(trial, libraries[library].need);
    return small_start_with(trial, small, begin, *path ? path : NULL);
}

/* In the small process: the name of the file from which its malloc comes. */
static inline void file_of_malloc(char *name, size_t room)
{
    const char *path = "", *last;
    Dl_info found;
    void *(*function)(size_t) = malloc;
    void *address;

    memcpy(&address, &function, sizeof address);
    if (dladdr(address, &found) && found.dli_fname)
        path = found.dli_fname;
    last = strrchr(path, '/');
    snprintf(name, room, "%s", last ? last + 1 : path);
}

/* 0, or a failure where malloc comes from another file than it should. */
static inline int library_proven(struct trial *trial, const char *from, int library)
{
    const char *begins = libraries[library].begins;

    if (strncmp(from, begins, strlen(begins)) == 0 || (library == LIBC && strncmp(from, "ld-musl", 7) == 0))
        return 0;
    return trial_fault(trial, "malloc comes from %s instead of %s", *from ? from : "an unknown file", begins);
}

#endif
