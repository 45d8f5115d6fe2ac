/*
 * The mean of many windows of one kind, gaps left out.
 *
 * A counter that moves in steps reads a window as one of two whole numbers of steps. Their median is a whole number as
 * well, however many there are. Their mean is true, if windows begin at random within a step. Gaps, in which something
 * else ran, would spoil a mean. So windows longer than twice the median plus two steps (one for each end) are left out.
 */
#ifndef FENCEPOST_WINDOW_MEAN_H
#define FENCEPOST_WINDOW_MEAN_H

#include <stdlib.h>

#include "kernel.h"

/*
 * A pause of random length, up to 64 multiplications in a row, some 50 ns. It moves the next window's start across the
 * counter's step. `state` is not 0. (This is Marsaglia's xorshift64. Any generator would do.)
 */
static inline void random_pause(uint64_t *state)
{
    uint64_t product = 3;

    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    for (unsigned turns = *state >> 32 & 63; turns; turns--) {
        product *= 3;
        OPAQUE(product);
    }
}

static inline int ascending_ticks(const void *left, const void *right)
{
    const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;

    return (a > b) - (a < b);
}

/* Sorts `ticks` and counts what it keeps. `count` is at least 1. */
static inline double mean_without_gaps(int64_t *ticks, uint64_t count, uint64_t quantum_ticks, uint64_t *kept)
{
    int64_t step = (int64_t)quantum_ticks, median, limit;
    uint64_t first_positive = 0, n = 0;
    double sum = 0;

    qsort(ticks, count, sizeof *ticks, ascending_ticks);
    median = ticks[count / 2];
    /* Most windows fit into one step. Uneven steps (a microsecond clock, scaled) have a gcd of 1: take one as it is seen. */
    if (median == 0) {
        while (first_positive < count && ticks[first_positive] <= 0)
            first_positive++;
        if (first_positive < count && ticks[first_positive] > step)
            step = ticks[first_positive];
    }
    limit = median + llabs(median) + 2 * step;
    for (; n < count && ticks[n] <= limit; n++)
        sum += (double)ticks[n];
    *kept = n;
    return sum / (double)n;
}

#endif
