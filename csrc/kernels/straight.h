/*
 * A straight line through times of several sizes, fitted in the process that measured them: a + n * b. It is for
 * kernels that go through all their sizes in turn, so that each size meets the same machine.
 */
#ifndef FENCEPOST_STRAIGHT_H
#define FENCEPOST_STRAIGHT_H

#include <math.h>
#include <stddef.h>

struct straight {
    double start, slope;
    double fit;    /* R squared: the share of the differences between the times that the line explains */
    double spread; /* the largest time over the smallest */
};

/*
 * Weighted by 1/time: without weights the largest sizes alone would say where the line starts, and with squares the smallest alone how
 * steep it is.
 */
static inline struct straight straight_through(const double *sizes, const double *times, size_t count)
{
    struct straight found = {0};
    double weights = 0, n = 0, t = 0, nn = 0, nt = 0, mean = 0, off = 0, all = 0, least = times[0], most = times[0];

    for (size_t i = 0; i < count; i++) {
        weights += 1 / times[i];
        n += sizes[i] / times[i];
        t += 1; /* a time by its own weight */
        mean += times[i] / (double)count;
        least = fmin(least, times[i]);
        most = fmax(most, times[i]);
    }
    n /= weights;
    t /= weights;
    for (size_t i = 0; i < count; i++) {
        nn += (sizes[i] - n) * (sizes[i] - n) / times[i];
        nt += (sizes[i] - n) * (times[i] - t) / times[i];
    }
    found.slope = nt / nn;
    found.start = t - found.slope * n;
    for (size_t i = 0; i < count; i++) {
        const double said = found.start + found.slope * sizes[i];

        off += (times[i] - said) * (times[i] - said);
        all += (times[i] - mean) * (times[i] - mean);
    }
    found.fit = all > 0 ? 1 - off / all : 0;
    found.spread = most / least;
    return found;
}

#endif
