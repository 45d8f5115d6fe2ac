/*
 * Loads that depend on each other and go to memory: a cycle of lines in a drawn order, none of which is in a cache.
 * memory/loaded and memory/numa time them. memory/chase goes through every size of buffer, and is more careful about
 * the order.
 */
#ifndef FENCEPOST_MEMORY_COLD_H
#define FENCEPOST_MEMORY_COLD_H

#include "kernels/random.h"
#include "kernels/system.h"

#define COLD_LINE_BYTES 64
/* 16 MiB, on a few huge pages: of so many lines no walk comes back to one. */
#define COLD_LINES ((uint64_t)1 << 18)
#define COLD_BYTES ((size_t)(COLD_LINES * COLD_LINE_BYTES))
/* In one event, and in a turn of its loop. */
#define COLD_LOADS 1000
#define COLD_UNROLLED 8

struct cold_line {
    const struct cold_line *next;
    uint64_t unused[COLD_LINE_BYTES / 8 - 1];
};

struct cold {
    struct cold_line *lines;
    const struct cold_line *at; /* after `loads` loads from line 0 */
    uint64_t loads;
    uint64_t step;
};

/* The line after this one: a generator with the period of all lines (T. Hull and A. Dobell: factor 4n + 1, odd step). The factor is of PCG. */
static inline uint64_t cold_successor(const struct cold *cold, uint64_t line)
{
    return (line * UINT64_C(0x5851f42d4c957f2d) + cold->step) % COLD_LINES;
}

/* Writes the cycle into COLD_BYTES, and where there are instructions for it leaves none of it in a cache. */
static inline void cold_lay(struct cold *cold, void *memory)
{
    uint64_t state = fresh_seed();

    cold->lines = (struct cold_line *)memory;
    cold->step = next_random(&state) | 1;
    for (uint64_t i = 0; i < COLD_LINES; i++) {
        struct cold_line *line = &cold->lines[i];

        line->next = &cold->lines[cold_successor(cold, i)];
#if HAS_X86_64
        __asm__ volatile("clflush %0" : "+m"(*line));
#elif HAS_AARCH64
        __asm__ volatile("dc civac, %0" : : "r"(line) : "memory");
#endif
    }
    __sync_synchronize();
    cold->at = cold->lines;
}

/* Not inlined: both sides of a pair go through the same instructions. */
static __attribute__((noinline)) void cold_walk(struct cold *cold)
{
    const struct cold_line *at = cold->at;

    for (unsigned i = 0; i < COLD_LOADS / COLD_UNROLLED; i++)
        at = at->next->next->next->next->next->next->next->next;
    cold->at = at;
    cold->loads += COLD_LOADS;
}

/* The walk went where the order leads, and met no line twice. 0, or a failure. */
static inline int cold_check(struct trial *trial, const struct cold *cold)
{
    uint64_t line = 0;

    if (cold->loads >= COLD_LINES)
        return trial_fault(trial, "%" PRIu64 " loads of %" PRIu64 " lines: some were met twice", cold->loads,
                           COLD_LINES);
    for (uint64_t i = 0; i < cold->loads; i++)
        line = cold_successor(cold, line);
    if (cold->at != &cold->lines[line])
        return trial_fault(trial, "after %" PRIu64 " loads the walk is not where they lead", cold->loads);
    return 0;
}

#endif
