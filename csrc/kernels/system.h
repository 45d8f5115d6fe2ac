/*
 * Shared by kernels that measure the operating system: the use of resources by this thread, fields of procfs, and
 * private pages of a chosen kind. None of it belongs into a timed stretch.
 */
#ifndef FENCEPOST_SYSTEM_H
#define FENCEPOST_SYSTEM_H

#ifndef _GNU_SOURCE
#error "_GNU_SOURCE first: for RUSAGE_THREAD and madvise"
#endif
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "kernel.h"

/* The largest procfs file of use here, /proc/vmstat, has some 5 KiB. A worker's stack has 256 KiB. */
#define PROCFS_BYTES 16384
#ifndef HUGE_PAGE_FILE /* tests have another one */
#define HUGE_PAGE_FILE "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"
#endif
#define HUGE_PAGES_NEED "transparent huge pages, and enough of them free"

/* Sanitizers have an allocator of their own, and the one for threads handles signals by itself. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* An emulator of the user's side has memory of its own for each mapping, and lets some advice fall. */
#if defined(FENCEPOST_EMULATED)
#define EMULATED 1
#else
#define EMULATED 0
#endif

/* What the system has counted for this thread since it began. What a stretch cost is the difference of two. */
struct thread_counts {
    int64_t minor_faults;
    int64_t major_faults;
    int64_t voluntary;   /* switches because it had to wait ... */
    int64_t involuntary; /* ... and because another was to run: a woken thread may preempt its waker */
};

static inline struct thread_counts thread_counts(void)
{
    struct rusage usage;

    getrusage(RUSAGE_THREAD, &usage);
    return (struct thread_counts){usage.ru_minflt, usage.ru_majflt, usage.ru_nvcsw, usage.ru_nivcsw};
}

/* The text of a procfs file, as far as it fits, and its length, or -errno. Not with stdio, which allocates, because memory may be measured. */
static inline int64_t procfs_text(const char *path, char *text, size_t bytes)
{
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    size_t length = 0;
    ssize_t got = 1;

    if (file < 0)
        return -errno;
    while (got > 0 && length < bytes - 1) {
        got = read(file, text + length, bytes - 1 - length);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0)
            length += (size_t)got;
    }
    if (got < 0)
        got = -errno;
    close(file);
    text[length] = '\0';
    return got < 0 ? got : (int64_t)length;
}

/*
 * A field of a procfs file, the number behind `name` at the start of a line. It is 1234 in "VmRSS:  1234 kB" and in "pgfault 1234".
 * -ENODATA if no line has it, or -errno.
 */
static inline int64_t procfs_field(const char *path, const char *name)
{
    const size_t length = strlen(name);
    char text[PROCFS_BYTES];
    const int64_t status = procfs_text(path, text, sizeof text);

    if (status < 0)
        return status;
    for (const char *line = text; line; line = strchr(line, '\n')) {
        int64_t value;

        line += *line == '\n';
        if (strncmp(line, name, length) == 0 && strchr(": \t", line[length]) && line[length] &&
            sscanf(line + length + 1, "%" SCNd64, &value) == 1)
            return value;
    }
    return -ENODATA;
}

/* Bytes of a huge page: 2 MiB on pages of 4 KiB, 32 MiB on those of 16, 512 on those of 64. 2 MiB if the system does not say. */
static inline size_t huge_page_bytes(void)
{
    char text[32];
    uint64_t bytes;
    const int told = procfs_text(HUGE_PAGE_FILE, text, sizeof text) > 0 && sscanf(text, "%" SCNu64, &bytes) == 1;

    return told && bytes && (bytes & (bytes - 1)) == 0 && bytes <= UINT64_C(1) << 30 ? (size_t)bytes : (size_t)2 << 20;
}

/* Bytes that a process has in memory, by its statm file. NaN if the system does not say. */
static inline double resident_in(const char *statm)
{
    char text[PROCFS_BYTES];
    int64_t pages;

    if (procfs_text(statm, text, sizeof text) < 0 || sscanf(text, "%*d %" SCNd64, &pages) != 1)
        return NAN;
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* The same of this process, without what the engine keeps for itself. */
static inline double resident_bytes(void)
{
    return resident_in("/proc/self/statm") - (double)memory_kept_bytes();
}

/* The same of another process. */
static inline double resident_bytes_of(pid_t process)
{
    char path[32]; /* a pid has 10 digits at most */

    snprintf(path, sizeof path, "/proc/%d/statm", (int)process);
    return resident_in(path);
}

/* Whether a folder lies in a file system without a device, or cannot be asked. */
static inline int in_memory_only(const char *folder)
{
    struct statfs about;

    /* tmpfs and ramfs, of <linux/magic.h>. */
    return statfs(folder, &about) || about.f_type == 0x01021994 || (unsigned long)about.f_type == 0x858458f6;
}

/*
 * Fresh private memory that nobody has touched: on small pages, or on huge ones and then aligned to them. NULL with errno. Freed by
 * munmap(). The advice is always given, never left to the machine's default. A system without huge pages refuses it:
 * memory_huge_bytes() tells what came of it.
 */
static inline void *private_pages(size_t bytes, int huge)
{
    const size_t spare = huge ? huge_page_bytes() : 0;
    char *mapping = (char *)mmap(NULL, bytes + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (mapping == MAP_FAILED)
        return NULL;
    if (huge) {
        const size_t head = (0 - (uintptr_t)mapping) % spare;
        const size_t page = (size_t)sysconf(_SC_PAGESIZE);
        const size_t kept = (bytes + page - 1) / page * page;

        if (head)
            munmap(mapping, head);
        mapping += head;
        if (spare > head)
            munmap(mapping + kept, spare - head);
    }
    madvise(mapping, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    return mapping;
}

#define COUNTED_PAGES 1024 /* so many that a fault too many or too few in a thousand shows */
#define COUNT_ATTEMPTS 8

/*
 * For the check of a kernel whose first count is of faults. `faults` touches fresh pages and says how many faults that took, or -errno. The
 * system also charges this thread for other work (a stack that grows, a page that it moves). So more than `expected` are counted again.
 * Fewer are not counted again, because a page that was there before is a mistake of the kernel.
 */
static inline int count_faults(struct trial *trial, int64_t (*faults)(struct trial *trial), int64_t expected)
{
    int64_t found = expected + 1;

    for (int attempt = 0; attempt < COUNT_ATTEMPTS && found > expected; attempt++) {
        found = faults(trial);
        if (found < 0)
            return (int)found;
    }
    trial_count(trial, 0, found, expected);
    return 0;
}

/* 0 where there is no such clock, as that of a process that has ended. */
static inline int64_t clock_ns(clockid_t clock)
{
    struct timespec now = {0, 0};

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Asleep for so long. */
static inline void sleep_ms(int64_t ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};

    while (nanosleep(&left, &left) && errno == EINTR)
        ;
}

/* The events of a kernel, one after the other: `one` says how many ticks it took, or -errno, at which it ends. */
static inline int64_t one_by_one(struct worker *worker, int64_t *ticks, uint64_t count,
                                 int64_t (*one)(struct trial *trial))
{
    for (uint64_t i = 0; i < count; i++) {
        ticks[i] = one(worker->trial);
        if (ticks[i] < 0)
            return ticks[i];
    }
    return (int64_t)count;
}

#endif
