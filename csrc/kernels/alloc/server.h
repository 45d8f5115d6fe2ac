/*
 * A small process whose allocator is as a program finds it. Nobody has set it up, filled it, or fragmented it. The
 * engine's process is different. It is the interpreter's, and its thresholds are fixed. Orders and answers go over the
 * socket of kernels/small_process.h.
 */
#ifndef FENCEPOST_ALLOC_SERVER_H
#define FENCEPOST_ALLOC_SERVER_H

#include "kernels/small_process.h"

#include <malloc.h>
#include <stdint.h>

/* glibc's documented default. To give it anew fixes it: left alone it follows the largest block that was freed, up to 32 MiB. */
#define DEFAULT_THRESHOLD (128 << 10)

/* Starting the process is most of a case: more batches than these would say little more of it. */
#define MOST_BATCHES UINT64_C(24)

/* Neither may the compiler drop a pair of malloc and free, nor may it keep what a block holds in registers. */
#define USED(block) __asm__ volatile("" : "+r"(block) : : "memory")

enum { FIXED, DYNAMIC };
#define THRESHOLD_LABELS "fixed dynamic"

static inline void set_threshold(int threshold)
{
#if defined(__GLIBC__)
    if (threshold == FIXED)
        mallopt(M_MMAP_THRESHOLD, DEFAULT_THRESHOLD);
#endif
    (void)threshold;
}

/* Only glibc has a threshold that can be fixed. 0, or a need. */
static inline int threshold_allowed(struct trial *trial, int threshold)
{
#if defined(__GLIBC__)
    (void)trial;
    (void)threshold;
    return 0;
#else
    return threshold == FIXED ? trial_needs(trial, "glibc (mallopt with M_MMAP_THRESHOLD)") : 0;
#endif
}

static inline int64_t faults_so_far(void)
{
    return thread_counts().minor_faults;
}

/* A byte of each page: that is when memory comes. */
static inline void touch_pages(unsigned char *block, size_t size, size_t page)
{
    for (size_t i = 0; i < size; i += page)
        *(volatile unsigned char *)(block + i) = 1;
}

#endif
