/*
 * A stand-in for perf_event_open and what is done with its files: csrc/engine/hardware.c is compiled against these names. And kernels whose
 * events are known, since they say themselves how many there were.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/perf_event.h>
#include <stdarg.h>
#include <string.h>
#include <sys/types.h>

#include "kernel.h"

#define COUNTERS HARDWARE_COUNTERS
#define FIRST_FILE 1000
/* What one reading adds to each counter: far more than any operation, and what the known work of the engine takes for granted. */
#define A_READING 1000000

/* For tests to set: bits of counters that do not open, and that open and read 0; and whether others have the counters at times. */
unsigned standin_refused, standin_silent;
int standin_shared;
/* For tests to read. */
int standin_open, standin_most_open, standin_loose, standin_kernel_mode;
unsigned long runs, runs_counted;

static uint64_t counts[COUNTERS], enabled_ns;
static int members[COUNTERS], counter_of[COUNTERS + 1];

static int counter_named(const struct perf_event_attr *about)
{
    static const uint64_t hardware[] = {PERF_COUNT_HW_CPU_CYCLES, PERF_COUNT_HW_INSTRUCTIONS,
                                        PERF_COUNT_HW_BRANCH_MISSES};
    static const uint64_t caches[] = {PERF_COUNT_HW_CACHE_L1D, PERF_COUNT_HW_CACHE_LL, PERF_COUNT_HW_CACHE_DTLB};

    for (int i = 0; i < 3; i++) {
        if (about->type == PERF_TYPE_HARDWARE && about->config == hardware[i])
            return i;
        if (about->type == PERF_TYPE_HW_CACHE && about->config == (caches[i] | 1 << 16))
            return 3 + i;
    }
    return -1;
}

long standin_syscall(long number, ...)
{
    const struct perf_event_attr *about;
    int counter, leader;
    va_list rest;

    va_start(rest, number);
    about = va_arg(rest, const struct perf_event_attr *);
    (void)va_arg(rest, int);
    (void)va_arg(rest, int);
    leader = va_arg(rest, int);
    va_end(rest);
    counter = counter_named(about);
    if (counter < 0 || standin_refused & 1u << counter) {
        errno = ENOENT;
        return -1;
    }
    standin_loose += leader < 0 && !about->pinned;
    standin_kernel_mode += !about->exclude_kernel;
    if (leader < 0)
        memset(members, 0, sizeof members);
    members[standin_open] = counter;
    counter_of[standin_open++] = counter;
    standin_most_open = standin_open > standin_most_open ? standin_open : standin_most_open;
    return FIRST_FILE + standin_open - 1;
}

int standin_ioctl(int file, unsigned long request, ...)
{
    (void)file;
    (void)request;
    return 0;
}

int standin_close(int file)
{
    (void)file;
    standin_open--;
    return 0;
}

ssize_t standin_read(int file, void *to, size_t bytes)
{
    uint64_t *words = to;

    (void)bytes;
    if (file != FIRST_FILE)
        return -1;
    enabled_ns += 1000;
    words[0] = (uint64_t)standin_open;
    words[1] = enabled_ns;
    words[2] = enabled_ns - (standin_shared ? 500 : 0);
    for (int i = 0; i < standin_open; i++) {
        counts[members[i]] += A_READING;
        words[3 + i] = standin_silent & 1u << members[i] ? 0 : counts[members[i]];
    }
    return (ssize_t)((3 + standin_open) * sizeof *words);
}

/* Of one operation: 3 cycles, 9 instructions and so on. */
static void operate(uint64_t operations)
{
    static const uint64_t each[COUNTERS] = {3, 9, 1, 2, 4, 5};

    for (int i = 0; i < COUNTERS; i++)
        counts[i] += each[i] * operations;
}

static void run(struct worker *worker, uint64_t operations)
{
    if (worker->index > 0)
        return;
    runs++;
    runs_counted += standin_open > 0;
    operate(operations);
    spin_ns(1000 * (operations < 50 ? operations : 50)); /* a window that can be timed */
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    if (worker->index > 0)
        return 0;
    runs++;
    runs_counted += standin_open > 0;
    for (uint64_t i = 0; i < count; i++)
        ticks[i] = 1;
    operate(count);
    return (int64_t)count;
}

static int64_t paired(struct worker *worker, int64_t *ticks, uint64_t count)
{
    operate(count);
    return events(worker, ticks, count);
}

static int check(struct trial *trial)
{
    (void)trial;
    return 0;
}

KERNEL(loop, .name = "counted/loop", .summary = "s", .unit = "u", .threads = {1, 2}, .run = run, .check = check)
KERNEL(event, .name = "counted/event", .summary = "s", .unit = "u", .threads = {1, 2}, .events = events,
       .events_per_batch = 10, .check = check)
KERNEL(pair, .name = "counted/pair", .summary = "s", .unit = "u", .threads = {1, 1}, .events = paired,
       .control = events, .events_per_batch = 10, .check = check)
