/*
 * Memory of a trial. It is zero, touched before the window opens, and its page size is asked for explicitly. It lies
 * between two canaries. So a kernel that writes past its end is caught in the process in which it did so.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine.h"

#ifndef HUGE_PAGE_FILE /* tests have another one */
#define HUGE_PAGE_FILE "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"
#endif
#define CANARY 0xa5
/* A page on each side: an index that is off by one element of up to a page is still seen. */
#define CANARY_BYTES ((size_t)4096)
#ifndef MADV_POPULATE_WRITE /* headers older than Linux 5.14 lack it. The number is the same everywhere */
#define MADV_POPULATE_WRITE 23
#endif

/* From the first size on a mapping of huge pages is kept for the next trial. From the second on one is made of a part of it. Fresh pages may
   cost more than this system says. In a guest whose free memory goes back to the host, 256 MiB took 600 ms in place of 22. */
#define KEPT_BYTES ((size_t)64 << 20)
#define REUSED_BYTES ((size_t)8 << 20)

struct allocation {
    struct allocation *next;
    void *mapping;
    size_t mapping_bytes;
    int keepable; /* private, on huge pages: see memory_give_back() */
    unsigned char *data;
    size_t bytes, tail_bytes;
};

static struct {
    void *mapping; /* NULL: none is kept */
    size_t bytes;
} kept;

static size_t round_up(size_t bytes, size_t to)
{
    return (bytes + to - 1) / to * to;
}

/* A fresh mapping is zero, and lacks only its pages. All at once cost half as much as a fault for each. With 256 MiB of small pages it took
   82 ms, 115 by a store to each page, and 150 by writing all the zeros again. */
static void touch(unsigned char *data, size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);

    if (madvise(data, round_up(bytes, page), MADV_POPULATE_WRITE) == 0)
        return;
    for (size_t i = 0; i < bytes; i += page) /* before Linux 5.14 there is no such advice */
        *(volatile unsigned char *)(data + i) = 0;
}

void memory_give_back(void)
{
    if (kept.mapping)
        munmap(kept.mapping, kept.bytes);
    kept.mapping = NULL;
}

size_t memory_kept_bytes(void)
{
    return kept.mapping ? kept.bytes : 0;
}

/* The mapping that was kept, if it has this many bytes, and how many it has. A trial that needs more must not find it in its way. */
static void *take_kept(size_t *bytes)
{
    void *mapping = kept.mapping;

    if (!mapping || *bytes < REUSED_BYTES)
        return NULL;
    if (kept.bytes < *bytes) {
        memory_give_back();
        return NULL;
    }
    kept.mapping = NULL;
    *bytes = kept.bytes;
    madvise(mapping, kept.bytes, MADV_DOFORK);
    return mapping;
}

static void keep(struct allocation *allocation)
{
    void *mapping = allocation->mapping;
    const size_t bytes = allocation->mapping_bytes;

    memory_give_back();
    /* Not a child's: a fork among the cases that follow costs what it costs without. */
    if (madvise(mapping, bytes, MADV_DONTFORK)) {
        munmap(mapping, bytes);
        return;
    }
    kept.mapping = mapping;
    kept.bytes = bytes;
}

void *shared_memory(size_t bytes)
{
    void *mapping = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return mapping == MAP_FAILED ? NULL : mapping;
}

static void *private_memory(size_t bytes)
{
    void *mapping = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return mapping == MAP_FAILED ? NULL : mapping;
}

/* 2 MiB on pages of 4 KiB, 32 MiB on those of 16, 512 on those of 64. 2 MiB if the system does not say. */
static size_t huge_page_bytes(void)
{
    FILE *file = fopen(HUGE_PAGE_FILE, "r");
    uint64_t bytes = 0;

    if (file) {
        if (fscanf(file, "%" SCNu64, &bytes) != 1 || bytes & (bytes - 1) || bytes > UINT64_C(1) << 30)
            bytes = 0;
        fclose(file);
    }
    return bytes ? (size_t)bytes : (size_t)2 << 20;
}

static void *allocate(struct trial *trial, size_t bytes, int huge, int shared)
{
    const size_t align = huge ? huge_page_bytes() : (size_t)sysconf(_SC_PAGESIZE);
    /* Data starts at a multiple of `align` that leaves room for the first canary. The second follows the data at once. */
    const size_t span = round_up(bytes, align) + CANARY_BYTES;
    size_t total = sizeof(struct allocation) + CANARY_BYTES + 2 * align + span;
    struct allocation *allocation;
    unsigned char *mapping, *again;

    if (bytes == 0 || bytes > SIZE_MAX / 2)
        return NULL;
    again = huge && !shared ? take_kept(&total) : NULL;
    mapping = again ? again : shared ? shared_memory(total) : private_memory(total);
    if (!mapping)
        return NULL;
    allocation = (void *)mapping;
    allocation->data = (void *)round_up((size_t)mapping + sizeof *allocation + CANARY_BYTES, align);
    allocation->bytes = bytes;
    allocation->tail_bytes = round_up(bytes, align) - bytes + CANARY_BYTES;
    allocation->mapping = mapping;
    allocation->mapping_bytes = total;
    allocation->keepable = huge && !shared;
    allocation->next = trial->allocations;
    trial->allocations = allocation;

    /* Always set, because huge pages are part of what is measured. The default of the machine may be either. A Linux without
       THP refuses the advice. memory_huge_bytes() tells the result. */
    madvise(allocation->data, round_up(bytes, align), huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    if (again)
        memset(allocation->data, 0, bytes);
    else
        touch(allocation->data, bytes);
    memset(allocation->data - CANARY_BYTES, CANARY, CANARY_BYTES);
    /* On huge pages the rest of the last one is left alone: two megabytes of pattern would be two megabytes of cache. */
    if (allocation->tail_bytes > 2 * CANARY_BYTES)
        allocation->tail_bytes = CANARY_BYTES;
    memset(allocation->data + bytes, CANARY, allocation->tail_bytes);
    if (!trial->state)
        trial->state = allocation->data;
    return allocation->data;
}

void *trial_alloc_pages(struct trial *trial, size_t bytes, int huge)
{
    return allocate(trial, bytes, huge, trial->processes);
}

void *trial_alloc(struct trial *trial, size_t bytes)
{
    return allocate(trial, bytes, 0, trial->processes);
}

void *trial_alloc_shared(struct trial *trial, size_t bytes)
{
    return allocate(trial, bytes, 0, 1);
}

uint64_t allocations_bytes(const struct trial *trial)
{
    uint64_t bytes = 0;

    for (const struct allocation *a = trial->allocations; a; a = a->next)
        bytes += a->bytes;
    return bytes;
}

const char *allocations_fault(const struct trial *trial)
{
    for (const struct allocation *a = trial->allocations; a; a = a->next) {
        const unsigned char *before = a->data - CANARY_BYTES;

        for (size_t i = 0; i < CANARY_BYTES; i++)
            if (before[i] != CANARY)
                return "wrote before the start of its buffer";
        for (size_t i = 0; i < a->tail_bytes; i++)
            if (a->data[a->bytes + i] != CANARY)
                return "wrote past the end of its buffer";
    }
    return NULL;
}

void allocations_free(struct trial *trial, int keep_large)
{
    while (trial->allocations) {
        struct allocation *a = trial->allocations;

        trial->allocations = a->next;
        if (keep_large && a->keepable && a->mapping_bytes >= KEPT_BYTES)
            keep(a);
        else
            munmap(a->mapping, a->mapping_bytes);
    }
}

int64_t memory_huge_bytes(const void *start, size_t bytes)
{
    const uintptr_t first = (uintptr_t)start, last = first + bytes;
    FILE *smaps = fopen("/proc/self/smaps", "r");
    int64_t huge_bytes = 0;
    uintptr_t low, high;
    char line[512];
    int inside = 0;
    int64_t kib;

    if (!smaps)
        return -errno;
    while (fgets(line, sizeof line, smaps)) {
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &low, &high) == 2)
            inside = low < last && high > first;
        else if (inside && sscanf(line, "AnonHugePages: %" SCNd64, &kib) == 1)
            huge_bytes += kib * 1024;
    }
    fclose(smaps);
    return huge_bytes < (int64_t)bytes ? huge_bytes : (int64_t)bytes;
}
