/*
 * Memory of a trial: mapped afresh, touched before the window opens, its page size asked for explicitly, and between two
 * canaries, so that a kernel that writes past its end is caught in the process in which it did so.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine.h"

#define CANARY 0xa5
/* A page on each side: an index that is off by one element of up to a page is still seen. */
#define CANARY_BYTES ((size_t)4096)
#define HUGE_PAGE_BYTES ((size_t)2 << 20)

struct allocation {
    struct allocation *next;
    void *mapping;
    size_t mapping_bytes;
    unsigned char *data;
    size_t bytes, tail_bytes;
};

static size_t round_up(size_t bytes, size_t to)
{
    return (bytes + to - 1) / to * to;
}

void *trial_alloc_pages(struct trial *trial, size_t bytes, int huge)
{
    const size_t align = huge ? HUGE_PAGE_BYTES : (size_t)sysconf(_SC_PAGESIZE);
    /* Data starts at a multiple of `align` that leaves room for the first canary; the second follows the data at once. */
    const size_t span = round_up(bytes, align) + CANARY_BYTES;
    const size_t total = sizeof(struct allocation) + CANARY_BYTES + 2 * align + span;
    struct allocation *allocation;
    unsigned char *mapping;

    if (bytes == 0 || bytes > SIZE_MAX / 2)
        return NULL;
    mapping = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED)
        return NULL;
    allocation = (void *)mapping;
    allocation->data = (void *)round_up((size_t)mapping + sizeof *allocation + CANARY_BYTES, align);
    allocation->bytes = bytes;
    allocation->tail_bytes = round_up(bytes, align) - bytes + CANARY_BYTES;
    allocation->mapping = mapping;
    allocation->mapping_bytes = total;
    allocation->next = trial->allocations;
    trial->allocations = allocation;

    /* Always said, never left to the machine's default: whether pages are huge is part of what is measured. A kernel without
       THP refuses the advice; memory_huge_bytes() tells what came of it. */
    madvise(allocation->data, round_up(bytes, align), huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    memset(allocation->data, 0, bytes);
    memset(allocation->data - CANARY_BYTES, CANARY, CANARY_BYTES);
    /* On huge pages the rest of the last one is left alone: two megabytes of pattern would be two megabytes of cache. */
    if (allocation->tail_bytes > 2 * CANARY_BYTES)
        allocation->tail_bytes = CANARY_BYTES;
    memset(allocation->data + bytes, CANARY, allocation->tail_bytes);
    if (!trial->state)
        trial->state = allocation->data;
    return allocation->data;
}

void *trial_alloc(struct trial *trial, size_t bytes)
{
    return trial_alloc_pages(trial, bytes, 0);
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

void allocations_free(struct trial *trial)
{
    while (trial->allocations) {
        struct allocation *a = trial->allocations;

        trial->allocations = a->next;
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
