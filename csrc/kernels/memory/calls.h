/*
 * Calls that change a mapping of which one page at most is in memory. memory/map times them alone, and memory/shootdown
 * beside a thread on another CPU.
 */
#ifndef FENCEPOST_MEMORY_CALLS_H
#define FENCEPOST_MEMORY_CALLS_H

#include <sys/prctl.h>
#include <sys/syscall.h>

#include "kernels/system.h"

/* The labels of the parameter, in the order of the enum. */
#define CALL_LABELS "untouched touched mprotect dontneed"
enum { UNTOUCHED, TOUCHED, MPROTECT, DONTNEED };

struct mapping {
    unsigned char *standing; /* mprotect and dontneed work on it. Its first page is written to. NULL for the others */
    size_t bytes;
    uint64_t turns;
    int error;          /* of the first call that failed, as -errno: the turns after it do nothing */
    const char *failed; /* which call that was, or NULL */
    int small;          /* this process had huge pages before: they are forbidden for so long */
};

/*
 * Only addresses are wanted, no memory. The call goes by its number, and so does the way back. The thread sanitizer records mappings that are
 * made through libc. Its records lie in memory that then faults as well.
 */
static inline unsigned char *map_addresses(size_t bytes)
{
    const long mapping = syscall(SYS_mmap, NULL, bytes, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, (off_t)0);

    return mapping == -1 ? NULL : (unsigned char *)mapping;
}

static inline int unmap_addresses(void *mapping, size_t bytes)
{
    return (int)syscall(SYS_munmap, mapping, bytes);
}

/*
 * One turn of calls. Not inlined: what is timed is one call, whoever asks for it. The thread sanitizer keeps out: it notes each access in
 * memory of its own, which then faults as well.
 */
static __attribute__((noinline, no_sanitize_thread)) void turn(struct mapping *mapping, int call)
{
    unsigned char *first = mapping->standing;
    const char *name = "mmap";
    int failed;

    if (mapping->error)
        return;
    switch (call) {
    case MPROTECT:
        name = "mprotect";
        failed = mprotect(first, mapping->bytes, PROT_READ) || mprotect(first, mapping->bytes, PROT_READ | PROT_WRITE);
        break;
    case DONTNEED:
        name = "madvise";
        failed = madvise(first, mapping->bytes, MADV_DONTNEED);
        break;
    default:
        first = map_addresses(mapping->bytes);
        failed = !first;
    }
    if (!failed && call != UNTOUCHED)
        *(volatile unsigned char *)first = 1;
    if (!failed && !mapping->standing) {
        name = "munmap";
        failed = unmap_addresses(first, mapping->bytes);
    }
    if (failed) {
        mapping->error = -errno;
        mapping->failed = name;
        return;
    }
    mapping->turns++;
}

/*
 * 0 if every turn came to its end. If the system had no memory for a call (for its tables, or beyond a limit), that is a need. Anything else
 * is a failure.
 */
static inline int mapping_check(struct trial *trial, const struct mapping *mapping)
{
    if (!mapping->error)
        return 0;
    if (mapping->error != -ENOMEM)
        return trial_fault(trial, "after %" PRIu64 " turns %s failed: %s (errno %d)", mapping->turns, mapping->failed,
                           strerror(-mapping->error), -mapping->error);
    snprintf(trial->explanation, sizeof trial->explanation,
             "memory of the system for its tables: after %" PRIu64 " turns %s failed with ENOMEM", mapping->turns,
             mapping->failed);
    return trial_needs(trial, trial->explanation);
}

/* Makes ready what turn() needs. 0 or -errno. What it holds is given back by mapping_end(), after an error too. */
static inline int mapping_begin(struct mapping *mapping, size_t bytes, int call)
{
    /* By the process: advice would be one more call in each turn. A huge page is cleared as a whole, 2 MiB for one page. */
    mapping->small = prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 0 && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0;
    mapping->bytes = bytes;
    if (call != MPROTECT && call != DONTNEED)
        return 0;
    mapping->standing = map_addresses(bytes);
    if (!mapping->standing)
        return -errno;
    *mapping->standing = 1;
    return 0;
}

static inline void mapping_end(struct mapping *mapping)
{
    if (mapping->standing)
        unmap_addresses(mapping->standing, mapping->bytes);
    if (mapping->small)
        prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
}

#endif
