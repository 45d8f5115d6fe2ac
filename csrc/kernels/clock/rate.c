/*
 * clock/rate: does the tick counter run at one rate, whether the CPU sleeps or works?
 *
 * One event is one interval. It is measured in ticks, and by CLOCK_MONOTONIC_RAW, which no daemon steers. The figure is
 * the number of ticks in one millisecond of that clock. The metric ppm is the deviation from the rate that this process
 * has calibrated at its start, over 8 ms.
 * Excluded:  reading the two clocks. Both ends are the tightest of several brackets tick - clock - tick.
 * Expect:    the same rate asleep and spinning, to within the error of the shorter of the two intervals. The flags
 *            constant_tsc and nonstop_tsc are present on all x86-64 cores of the last fifteen years. Brackets are about
 *            50 ns wide at each end, so 10 ms are good to 5-10 ppm, and 1 s to 0.1.
 * Hazards:   many kernels derive CLOCK_MONOTONIC_RAW from the same counter. Then this compares the counter with the
 *            kernel's figure for its rate. Agreement then means that the counter does not stop. It does not mean that
 *            the rate is true.
 * Not shown: drift against true time. That needs a network or a reference clock.
 */
#define _GNU_SOURCE
#include "kernel.h"

#include <errno.h>
#include <math.h>
#include <time.h>

#define BRACKETS 16

enum { DURING_SLEEP, DURING_SPIN };

struct rate {
    double hz;
    double elapsed_ns;
};

struct moment {
    double ticks, ns;
};

/* Both clocks at one moment. The tightest bracket has met no gap. */
static struct moment take_moment(void)
{
    struct moment best = {0, 0};
    uint64_t tightest = UINT64_MAX;

    for (int i = 0; i < BRACKETS; i++) {
        const uint64_t before = tick_now();
        struct timespec raw;
        uint64_t after;

        clock_gettime(CLOCK_MONOTONIC_RAW, &raw);
        after = tick_now();
        if (after - before < tightest) {
            tightest = after - before;
            best =
                (struct moment){(double)before + (double)tightest / 2, (double)raw.tv_sec * 1e9 + (double)raw.tv_nsec};
        }
    }
    return best;
}

static int setup(struct trial *trial)
{
    if (trial->value[1] < 1 || trial->value[1] > 60000) {
        trial_fault(trial, "duration_ms must be 1 to 60000");
        return -EINVAL;
    }
    return trial_alloc(trial, sizeof(struct rate)) ? 0 : -ENOMEM;
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;
    struct rate *rate = trial->state;
    const int64_t duration_ns = trial->value[1] * 1000000;

    for (uint64_t i = 0; i < count; i++) {
        const struct moment first = take_moment();
        struct moment second;

        if (trial->value[0] == DURING_SLEEP) {
            struct timespec rest = {duration_ns / 1000000000, duration_ns % 1000000000};

            while (nanosleep(&rest, &rest) && errno == EINTR)
                ;
        } else {
            spin_ns((uint64_t)duration_ns);
        }
        second = take_moment();
        rate->elapsed_ns = second.ns - first.ns;
        rate->hz = (second.ticks - first.ticks) / rate->elapsed_ns * 1e9;
        ticks[i] = (int64_t)llround(rate->hz / 1000);
    }
    return (int64_t)count;
}

/* Both clocks went on, the reference for as long as CLOCK_MONOTONIC timed (which is steered, by up to 500 ppm). */
static int check(struct trial *trial)
{
    const struct rate *rate = trial->state;

    if (rate->elapsed_ns < 0.999 * 1e6 * (double)trial->value[1])
        return trial_fault(trial, "CLOCK_MONOTONIC_RAW went on by %.0f ns in %lld ms", rate->elapsed_ns,
                           (long long)trial->value[1]);
    if (!(rate->hz > 0))
        return trial_fault(trial, "the tick counter did not go forward in %lld ms", (long long)trial->value[1]);
    trial->metric[0] = rate->hz;
    trial->metric[1] = (rate->hz / trial->tick_hz - 1) * 1e6;
    return 0;
}

static uint64_t cost_ns(const struct trial *trial)
{
    return (uint64_t)trial->value[1] * 1000000 + 100000;
}

KERNEL(rate,
    .name             = "clock/rate",
    .summary          = "the tick counter runs beside CLOCK_MONOTONIC_RAW while its CPU sleeps or spins",
    .unit             = "millisecond of CLOCK_MONOTONIC_RAW",
    .threads          = { .min = 1, .max = 1 },
    .needs            = NEED_TICKS,
    .parameters       = { { .name = "during", .unit = "state", .summary = "what the CPU does in the interval",
                            .labels = "sleep spin", .initial = DURING_SLEEP,
                            .quick = "*", .standard = "*", .rigorous = "*" },
                          { .name = "duration_ms", .unit = "ms", .summary = "length of the interval",
                            .initial = 10, .quick = "10", .standard = "50", .rigorous = "1000" } },
    .metrics          = { { "tick_hz", "Hz", "the counter's rate over the interval" },
                          { "ppm", "ppm", "its deviation from this process's calibration" } },
    .setup            = setup,
    .events           = events,
    .events_per_batch = 1,
    .batches          = 1,
    .check            = check,
    .cost_ns          = cost_ns);
