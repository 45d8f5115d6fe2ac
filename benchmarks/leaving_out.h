/*
 * For loops that differ from one of ours in one thing each, all in turn: their ratios to the first, turn by turn. The
 * interval of a median is that of order statistics, 95 % or a little more.
 */
#ifndef FENCEPOST_LEAVING_OUT_H
#define FENCEPOST_LEAVING_OUT_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST_TURNS 4000

struct way {
    const char *name;
    double median[MOST_TURNS], mean[MOST_TURNS];
};

static inline double now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static inline int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Sorts. */
static inline double middle_of(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_size);
    return values[count / 2];
}

/* Keeps what `count` windows of one turn took. Sorts them. */
static inline void keep(struct way *way, int turn, double *windows, int count)
{
    double sum = 0;

    for (int i = 0; i < count; i++)
        sum += windows[i];
    way->mean[turn] = sum / count;
    way->median[turn] = middle_of(windows, count);
}

static inline uint64_t drawn(void)
{
    static uint64_t state = 88172645463325252u;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static inline void shuffle(uint32_t *values, size_t count)
{
    for (size_t i = count - 1; i > 0; i--) {
        const size_t j = drawn() % (i + 1);
        const uint32_t value = values[i];

        values[i] = values[j];
        values[j] = value;
    }
}

static inline uint32_t *numbers(size_t count)
{
    uint32_t *values = malloc(count * sizeof *values);

    if (!values)
        exit(1);
    for (size_t i = 0; i < count; i++)
        values[i] = (uint32_t)i;
    return values;
}

/* A table of all ways, against the first. */
static inline void report(const struct way *ways, int count, int turns)
{
    const int reach = (int)(0.98 * sqrt(turns) + 1), low = turns / 2 > reach ? turns / 2 - reach : 0;
    double *values = malloc(3 * sizeof *values * (size_t)turns), *spread = values + turns, *ratios = spread + turns;

    if (!values)
        exit(1);
    printf("%d turns\n", turns);
    for (int way = 0; way < count; way++) {
        memcpy(values, ways[way].median, sizeof *values * (size_t)turns);
        for (int i = 0; i < turns; i++) {
            ratios[i] = ways[way].median[i] / ways[0].median[i];
            spread[i] = ways[way].mean[i] / ways[way].median[i];
        }
        printf("%-44s %10.2f ns", ways[way].name, middle_of(values, turns));
        printf("  x the first %.3f", middle_of(ratios, turns));
        printf(" [%.3f, %.3f]  mean / median %.3f\n", ratios[low], ratios[turns - 1 - low], middle_of(spread, turns));
    }
    free(values);
}

#endif
