/*
 * Errors of a quick reading, kept while others count and turned into metrics afterwards. Shared by counter/error.c and
 * counter/staleness.c.
 */
#ifndef FENCEPOST_COUNTER_ERRORS_H
#define FENCEPOST_COUNTER_ERRORS_H

#include <stdint.h>
#include <stdlib.h>

/* The latest so many errors are kept: all of a case in most profiles. A power of two. */
#define KEPT ((uint64_t)1 << 14)

static inline int by_size(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

/* Sorts what was kept of `reads` errors, at least 1. Returns the smallest that at least `per_cent` of them do not exceed. */
static inline double kept_quantile(uint64_t *errors, uint64_t reads, uint64_t per_cent)
{
    const uint64_t kept = reads < KEPT ? reads : KEPT;

    qsort(errors, kept, sizeof *errors, by_size);
    return (double)errors[(per_cent * kept + 99) / 100 - 1];
}

#endif
