/*
 * Energy of a processor's package beside a case: the difference of two readings of a counter. The counter is that of
 * powercap (a file of sysfs) or of perf (an event of the package). The counter is the whole package's. So its rise
 * while this process sleeps is measured once, to be subtracted.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <math.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"

/* The counter is renewed about once a millisecond: a shorter stretch would say more of that than of the power. */
#define SHORTEST_NS 3000000

static struct {
    int opened, file;
    int is_event;    /* it reads as 8 bytes, and not as text */
    double joules;   /* of one step of the counter */
    double range_uj; /* at which a file's number begins anew */
} source;

/* A source that is asked for replaces the one before. 0 or -errno. */
static int take(int file, int is_event, double joules, double range_uj)
{
    if (file < 0)
        return -errno;
    if (source.opened)
        close(source.file);
    source.opened = 1;
    source.file = file;
    source.is_event = is_event;
    source.joules = joules;
    source.range_uj = range_uj;
    return 0;
}

int energy_open_file(const char *path, double range_uj)
{
    return take(open(path, O_RDONLY | O_CLOEXEC), 0, 1e-6, range_uj);
}

int energy_open_event(unsigned type, uint64_t config, double joules, int cpu)
{
    struct perf_event_attr attributes = {.type = type, .size = sizeof attributes, .config = config};

    return take((int)syscall(SYS_perf_event_open, &attributes, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC), 1, joules, 0);
}

/* The counter's number. NaN if it cannot be read. */
static double read_source(void)
{
    uint64_t count;
    char text[32], *end;
    ssize_t got;

    if (!source.opened)
        return NAN;
    if (source.is_event)
        return read(source.file, &count, sizeof count) == (ssize_t)sizeof count ? (double)count : NAN;
    got = pread(source.file, text, sizeof text - 1, 0);
    if (got <= 0)
        return NAN;
    text[got] = '\0';
    count = strtoull(text, &end, 10);
    return end == text ? NAN : (double)count;
}

struct energy_mark energy_mark(void)
{
    return (struct energy_mark){read_source(), now_ns()};
}

double energy_watts(const struct energy_mark *since)
{
    const struct energy_mark now = energy_mark();
    const double ns = (double)(now.ns - since->ns);
    double steps = now.counter - since->counter;

    if (steps < 0)
        steps += source.range_uj;
    return ns < SHORTEST_NS || steps < 0 ? NAN : steps * source.joules / ns * 1e9;
}

double energy_idle_watts(uint64_t ns)
{
    const struct energy_mark before = energy_mark();
    struct timespec left = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};

    while (nanosleep(&left, &left) && errno == EINTR)
        ;
    return energy_watts(&before);
}
