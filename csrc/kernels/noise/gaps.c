/*
 * noise/gaps: how much of its time does a pinned thread lose, in how many pieces, and how long is the longest?
 *
 * The thread does nothing but read the tick counter. A gap lies between two reads that are more than 1 us further apart
 * than usual. It is an interrupt, another task, or a hypervisor that ran somebody else. One event is one gap. Its value
 * is its length, less the usual step between two reads. No gap at all is a result too.
 * Excluded:  gaps shorter than 1 us (an SMT sibling, memory refresh, frequency changes on some cores).
 * Expect:    a quiet desktop: the timer tick, 100-1000 a second of 2-10 us, 0.1-0.5 % lost. Isolated and tickless
 *            (nohz_full): none for seconds. Seen on an Intel guest: 330-1200 a second, mostly 2-100 us, up to 18 ms,
 *            1.4-3.9 % lost. There /proc/stat's steal saw almost nothing.
 * Hazards:   a short look sees few long gaps. The longest is that of this process, not of the machine.
 * Not shown: the cause. Context switches of the sample tell a task from an interrupt. A hypervisor leaves no trace
 *            inside.
 */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>

#define GAP_SECONDS 1e-6 /* more than a cache miss with a page walk, less than the cheapest interrupt of a guest */
#define STEPS 1001       /* odd, for the median: how far apart two reads usually are */
/* Gaps whose length is kept: 20 a millisecond at 200 ms. Later ones still count in the metrics. */
#define CAPACITY 4096

enum { GAPS_PER_S, LOST_PCT, LONGEST_US };

struct gaps {
    /* Sums over all batches. `between` holds the steps that are no gap, `inside` those that are, whole. */
    uint64_t elapsed, between, inside, count, lost, longest;
    uint64_t wall_ns;
    uint64_t steps[STEPS];
};

static int setup(struct trial *trial)
{
    if (trial->value[0] < 1 || trial->value[0] > 10000) {
        trial_fault(trial, "duration_ms=%" PRId64 " is not 1 to 10000", trial->value[0]);
        return -EINVAL;
    }
    return trial_alloc(trial, sizeof(struct gaps)) ? 0 : -ENOMEM;
}

/* Median step, by insertion: 1001 values, once per batch. */
static uint64_t usual_step(uint64_t steps[STEPS])
{
    uint64_t last = tick_now();

    for (unsigned i = 0; i < STEPS; i++) {
        const uint64_t now = tick_now();

        steps[i] = now - last;
        last = now;
    }
    for (unsigned i = 1; i < STEPS; i++) {
        const uint64_t step = steps[i];
        unsigned j = i;

        for (; j > 0 && steps[j - 1] > step; j--)
            steps[j] = steps[j - 1];
        steps[j] = step;
    }
    return steps[STEPS / 2];
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    const struct trial *trial = worker->trial;
    struct gaps *gaps = trial->state;
    const uint64_t usual = usual_step(gaps->steps);
    const uint64_t limit = usual + (uint64_t)(trial->tick_hz * GAP_SECONDS);
    const uint64_t wall_begin_ns = now_ns();
    const uint64_t begin = tick_now();
    const uint64_t end = begin + (uint64_t)(trial->tick_hz * 1e-3 * (double)trial->value[0]);
    uint64_t last = begin, between = 0, inside = 0, found = 0, longest = 0;

    while (last < end) {
        const uint64_t now = tick_now();
        const uint64_t step = now - last;

        last = now;
        if (__builtin_expect(step <= limit, 1)) {
            between += step;
            continue;
        }
        inside += step;
        if (step - usual > longest)
            longest = step - usual;
        if (found < count)
            ticks[found] = (int64_t)(step - usual);
        found++;
    }
    gaps->wall_ns += now_ns() - wall_begin_ns;
    gaps->elapsed += last - begin;
    gaps->between += between;
    gaps->inside += inside;
    gaps->count += found;
    gaps->lost += inside - found * usual;
    if (longest > gaps->longest)
        gaps->longest = longest;
    return (int64_t)(found < count ? found : count);
}

/*
 * All time is accounted for. Steps and gaps add up to the time that passed, which is the time that was asked for. Another
 * clock saw no less pass, with 1 % for the rate of the tick counter. It may have seen more, if a gap fell between the two
 * clocks' reads.
 */
static int check(struct trial *trial)
{
    const struct gaps *gaps = trial->state;
    const double seconds = (double)gaps->elapsed / trial->tick_hz;

    if (gaps->between + gaps->inside != gaps->elapsed || gaps->lost > gaps->inside || gaps->longest > gaps->lost)
        return trial_fault(trial, "steps of %" PRIu64 " and gaps of %" PRIu64 " ticks do not add up to %" PRIu64,
                           gaps->between, gaps->inside, gaps->elapsed);
    if (seconds < 0.99e-3 * (double)trial->value[0] || seconds > 1.01e-9 * (double)gaps->wall_ns)
        return trial_fault(trial, "%.6f s of ticks, %.6f s by CLOCK_MONOTONIC, where %" PRId64 " ms were asked for",
                           seconds, 1e-9 * (double)gaps->wall_ns, trial->value[0]);
    trial->metric[GAPS_PER_S] = (double)gaps->count / seconds;
    trial->metric[LOST_PCT] = 100.0 * (double)gaps->lost / (double)gaps->elapsed;
    trial->metric[LONGEST_US] = 1e6 * (double)gaps->longest / trial->tick_hz;
    return 0;
}

static uint64_t cost_ns(const struct trial *trial)
{
    return (uint64_t)trial->value[0] * 1000000;
}

KERNEL(gaps,
    .name             = "noise/gaps",
    .summary          = "a spinning thread loses time in pieces of more than 1 us",
    .unit             = "gap",
    .threads          = { .min = 1, .max = 1 },
    .place            = PLACE_EACH_CPU,
    .parameters       = {
        { .name = "duration_ms", .unit = "ms", .summary = "how long to look", .initial = 50,
          .quick = "20", .standard = "50", .rigorous = "200" },
    },
    .metrics          = {
        [GAPS_PER_S] = { "gaps_per_s", "1/s", "gaps in a second" },
        [LOST_PCT]   = { "lost_pct", "%", "share of the time inside gaps, each less the usual step" },
        [LONGEST_US] = { "longest_us", "us", "the longest gap seen in this process" },
    },
    .setup            = setup,
    .events           = events,
    .events_per_batch = CAPACITY,
    .batches          = 1,
    .check            = check,
    .cost_ns          = cost_ns);
