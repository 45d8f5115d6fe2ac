/* Blocks of 4 KiB that are read, copied, added or written. They move memory in memory/bandwidth and memory/loaded. */
#ifndef FENCEPOST_MEMORY_BLOCKS_H
#define FENCEPOST_MEMORY_BLOCKS_H

#include <stdint.h>

#include "kernel.h"

#define BLOCK_BYTES 4096

/* Two numbers at once, which every 64-bit CPU of today has registers for. */
typedef double pair __attribute__((vector_size(16)));
typedef int64_t flags __attribute__((vector_size(16)));
#define PAIRS_A_LINE 4
#define PAIRS_A_BLOCK (BLOCK_BYTES / sizeof(pair))
#define SUMS 4

/* A line is done at a time: the compiler must not make a call of memcpy() of it, which has ways of its own. */
#define AS_IT_STANDS() __asm__ volatile("" : : : "memory")

static inline void read_block(const pair *a, pair *sums)
{
    /* By name, so that they stay in registers. Four, because one would wait for its last addition. */
    pair first = sums[0], second = sums[1], third = sums[2], fourth = sums[3];

    for (unsigned i = 0; i < PAIRS_A_BLOCK; i += PAIRS_A_LINE) {
        first += a[i];
        second += a[i + 1];
        third += a[i + 2];
        fourth += a[i + 3];
        AS_IT_STANDS();
    }
    sums[0] = first;
    sums[1] = second;
    sums[2] = third;
    sums[3] = fourth;
}

static inline void copy_block(const pair *a, pair *b)
{
    for (unsigned i = 0; i < PAIRS_A_BLOCK; i += PAIRS_A_LINE) {
        for (unsigned j = 0; j < PAIRS_A_LINE; j++)
            b[i + j] = a[i + j];
        AS_IT_STANDS();
    }
}

static inline void triad_block(const pair *a, const pair *b, pair *c)
{
    for (unsigned i = 0; i < PAIRS_A_BLOCK; i += PAIRS_A_LINE) {
        for (unsigned j = 0; j < PAIRS_A_LINE; j++)
            c[i + j] = a[i + j] + 3.0 * b[i + j];
        AS_IT_STANDS();
    }
}

/* A non-temporal store. It is a plain one where no instruction stores 16 bytes in that way. */
static inline void store_around(pair *at, pair value)
{
#if HAS_X86_64
    __asm__ volatile("movntpd %1, %0" : "=m"(*at) : "x"(value));
#elif HAS_AARCH64
    /* By halves: the instruction stores pairs of registers. */
    __asm__ volatile("stnp %d1, %d2, %0" : "=Ump"(*at) : "w"(value[0]), "w"(value[1]));
#else
    *at = value;
    AS_IT_STANDS();
#endif
}

static inline void stream_block(pair *c)
{
    const pair threes = {3.0, 3.0};

    for (unsigned i = 0; i < PAIRS_A_BLOCK; i++)
        store_around(&c[i], threes);
}

/* Non-temporal stores wait in buffers of the core. A window ends when they have left. */
static inline void leave_buffers(void)
{
#if HAS_X86_64
    __asm__ volatile("sfence" : : : "memory");
#elif HAS_AARCH64
    __asm__ volatile("dsb ishst" : : : "memory");
#endif
}

#endif
