/*
 * schedule/virtual_clock: how fast does the virtual time of each of N equal spinners pass?
 *
 * N processes spin on one CPU, all at one nice value. One event is a window: the virtual time by which the first moved
 * on, by /proc/PID/sched. `rate_times_n` is N times that, for each ns that all had of the CPU together, as at nice 0.
 * Excluded:  the first 15 ms of spinning, and waking up and reading, for which all stop.
 * Expect:    rate_times_n is 1, since the clock of a CPU ticks once every N real ticks. `fair` is 1, since all have had
 *            the same. Guest of an AMD EPYC, Linux 6.18: 0.986, 0.977, 1.003, 1.001 for N = 1, 2, 4, 8.
 * Hazards:   the CPU time of others counts for none of these. A rate is divided by the time that the spinners had.
 * Not shown: unequal weights, for which schedule/share has virtual_ratio.
 */
#define _GNU_SOURCE
#include "kernels/schedule/quota.h"
#include "kernels/schedule/spinners.h"

enum { SPINNERS, WINDOW_MS };
enum { RATE_TIMES_N, FAIR, HAD_PCT };

/* Of nice 0 in /proc/PID/sched: the weight 1024 with ten binary places. At other weights virtual time is slower or faster by that. */
#define WEIGHT_OF_NICE_0 1048576.0

struct clocks {
    struct spinners spinners;
    struct spun spun;
    double weight; /* of each: they inherit the nice value of this process */
};

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;
    struct clocks *clocks = trial->state;
    int status;

    (void)count; /* 1 */
    status = spin_window(trial, &clocks->spinners, trial->value[WINDOW_MS], &clocks->spun);
    *ticks = llround(clocks->spun.virtual_ns[0] * trial->tick_hz / 1e9);
    return status ? status : 1;
}

static int setup(struct trial *trial)
{
    static const struct schedule equal[MAX_SPINNERS];
    struct clocks *clocks;
    int status;

    if (trial->value[SPINNERS] < 1 || trial->value[SPINNERS] > MAX_SPINNERS || trial->value[WINDOW_MS] < 1 ||
        trial->value[WINDOW_MS] > MAX_WINDOW_MS) {
        trial_fault(trial, "spinners=%" PRId64 " is not 1 to %d, or window_ms=%" PRId64 " not 1 to %d",
                    trial->value[SPINNERS], MAX_SPINNERS, trial->value[WINDOW_MS], MAX_WINDOW_MS);
        return -EINVAL;
    }
    if (has_cpu_quota())
        return trial_needs(trial, NO_QUOTA);
    clocks = trial_alloc(trial, sizeof *clocks);
    if (!clocks)
        return -ENOMEM;
    status = spinners_start(trial, &clocks->spinners, equal, NULL, (int)trial->value[SPINNERS]);
    if (!status && isnan(spinner_virtual_ns(&clocks->spinners, 0)))
        return trial_needs(trial, "virtual times in /proc/PID/sched (CONFIG_SCHED_DEBUG)");
    clocks->weight = status ? NAN : spinner_field(&clocks->spinners, 0, "\nse.load.weight");
    return status;
}

/* All ran, and their virtual time went forward. */
static int check(struct trial *trial)
{
    const struct clocks *clocks = trial->state;
    const struct spun *spun = &clocks->spun;
    const int count = clocks->spinners.count;
    const struct had had = had_of(&clocks->spinners, spun);
    const int status = check_spun(trial, &clocks->spinners, spun, 1);

    if (status)
        return status;
    for (int i = 0; i < count; i++)
        if (!(spun->virtual_ns[i] >= 0)) /* nor may it be NaN */
            return trial_fault(trial, "the virtual time of spinner %d moved by %.0f", i, spun->virtual_ns[i]);
    trial->metric[RATE_TIMES_N] = count * spun->virtual_ns[0] / (double)had.all_ns * clocks->weight / WEIGHT_OF_NICE_0;
    trial->metric[HAD_PCT] = 100.0 * (double)had.all_ns / (double)spun->window_ns;
    trial->metric[FAIR] = most_over_least(&had);
    return 0;
}

static void teardown(struct trial *trial)
{
    struct clocks *clocks = trial->state;

    if (clocks)
        spinners_end(&clocks->spinners);
}

static uint64_t cost_ns(const struct trial *trial)
{
    return spin_cost_ns(trial->value[WINDOW_MS], 1);
}

KERNEL(virtual_clock,
    .name             = "schedule/virtual_clock",
    .summary          = "equal processes spin on one CPU: how fast the virtual time of one passes",
    .unit             = "window",
    .threads          = { .min = 1, .max = 1 },
    .subject          = FLAG_SWITCHED | FLAG_FAULTED,
    .parameters       = {
        [SPINNERS]  = { .name = "spinners", .unit = "spinners", .summary = "processes that share the CPU", .initial = 4,
                        .quick = "4", .standard = "2", .rigorous = "1 2 4 8" },
        [WINDOW_MS] = { .name = "window_ms", .unit = "ms", .summary = "for which they spin", .initial = 30,
                        .quick = "30", .standard = "30", .rigorous = "1000" },
    },
    .metrics          = {
        [RATE_TIMES_N] = { "rate_times_n", "1", "virtual time of the first, times the spinners, over the time that all had" },
        [FAIR]         = { "fair", "1", "the most that one had over the least" },
        [HAD_PCT]      = { "had_pct", "%", "of the window that all had together" },
    },
    .setup            = setup,
    .events           = events,
    .events_per_batch = 1,
    .batches          = 1,
    .check            = check,
    .teardown         = teardown,
    .cost_ns          = cost_ns);
