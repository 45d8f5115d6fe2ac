/*
 * A plain triad loop, written without a look at any other: three arrays, c = a + 3 b, the median rate of so many passes in GB/s. On huge pages
 * where the system gives them, or on small ones with an argument: STREAM's arrays are on small ones where huge pages are a matter of asking.
 */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define COUNT 10000000 /* doubles in an array, as in STREAM */
#define PASSES 21

#define HUGE_PAGE ((size_t)2 << 20)

static double *array(int huge)
{
    const size_t bytes = (sizeof(double) * COUNT + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    void *memory = aligned_alloc(HUGE_PAGE, bytes);

    if (!memory)
        exit(1);
    madvise(memory, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    return memory;
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int by_value(const void *left, const void *right)
{
    const double first = *(const double *)left, second = *(const double *)right;

    return (first > second) - (first < second);
}

int main(int count, char **words)
{
    double *restrict a = array(count < 2), *restrict b = array(count < 2), *restrict c = array(count < 2);
    double rates[PASSES];

    (void)words;

    for (long i = 0; i < COUNT; i++) {
        a[i] = 1;
        b[i] = 2;
        c[i] = 0;
    }
    for (int pass = 0; pass < PASSES; pass++) {
        const double begin = seconds();

        for (long i = 0; i < COUNT; i++)
            c[i] = a[i] + 3 * b[i];
        rates[pass] = 3.0 * sizeof(double) * COUNT / (seconds() - begin) / 1e9;
        if (c[pass] != 7) /* read, so that no pass is dropped */
            return 1;
        a[pass] = 1;
    }
    qsort(rates, PASSES, sizeof *rates, by_value);
    printf("%f\n", rates[PASSES / 2]);
    return 0;
}
