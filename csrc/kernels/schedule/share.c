/*
 * schedule/share: how much of one CPU does each of two spinners get, by how it is scheduled?
 *
 * Two processes spin on one CPU, forked by one process. One event is a window: the CPU time that the second has had in
 * it. `ratio` is the time of the first over that of the second. The metric expected_ratio is the ratio by Linux's table
 * of weights.
 *   equal                      both at the nice value as found: the control
 *   nice1 nice5 nice10 nice19  the second is nicer by this number
 *   minus5                     the first is less nice by 5
 *   batch idle                 the second is of SCHED_BATCH, of SCHED_IDLE
 *   fifo rr                    the first is real-time. A share of each second is kept for others
 * Excluded:  the first 15 ms of spinning, and waking up and reading the clocks, for which both stop.
 * Expect:    ratio 1.25, 3.06, 9.31, 68.3 by weight, 3.05 for minus5, 341 for idle, 1 for batch, 19 for fifo and rr.
 *            Guest of an AMD EPYC, Linux 6.18, within 1.2 s: 1.249, 3.057, 9.292, 3.051, 234, 1.001, 22.5. There nice19
 *            within 5 s is 68.4.
 * Hazards:   a spinner gets whole slices of some 3 ms, so a short window shows few of them. So nice19, idle, fifo and
 *            rr need seconds. Others on the CPU take from both. The metric had_pct says how much was left. Each session
 *            has its own group (autogroup), so weights count within one.
 * Not shown: how long the second waits at a stretch, and groups with their own weights.
 */
#define _GNU_SOURCE
#include "kernels/schedule/quota.h"
#include "kernels/schedule/spinners.h"

enum { PAIR, WINDOW_MS };
enum { EQUAL, NICE1, NICE5, NICE10, NICE19, MINUS5, BATCH, IDLE, FIFO, RR };
enum { RATIO, EXPECTED, SECOND_PCT, HAD_PCT, VIRTUAL_RATIO };

/* For a pair whose second has some 1 % of the CPU. A time of 1.2 s shows a few of its slices, and four times as long shows enough. */
#define MOST_WINDOWS 4
/* Of the spinners, and of the worker, which has to wake beside them. */
#define SPINNER_PRIORITY 10
#define WORKER_PRIORITY 60

/* sched_prio_to_weight of kernel/sched/core.c, for nice -20 to 19, and WEIGHT_IDLEPRIO. */
static const double weights[] = {88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916,
                                 9548,  7620,  6100,  4904,  3906,  3121,  2501,  1991,  1586,  1277,
                                 1024,  820,   655,   526,   423,   335,   272,   215,   172,   137,
                                 110,   87,    70,    56,    45,    36,    29,    23,    18,    15};
#define LEAST_NICE (-20)
#define MOST_NICE 19
#define WEIGHT_IDLE 3.0

struct pair {
    struct schedule of[2];
};

static const struct pair pairs[] = {
    [EQUAL] = {{{.nice = 0}, {.nice = 0}}},
    [NICE1] = {{{.nice = 0}, {.nice = 1}}},
    [NICE5] = {{{.nice = 0}, {.nice = 5}}},
    [NICE10] = {{{.nice = 0}, {.nice = 10}}},
    [NICE19] = {{{.nice = 0}, {.nice = 19}}},
    [MINUS5] = {{{.nice = -5}, {.nice = 0}}},
    [BATCH] = {{{.nice = 0}, {.policy = SCHED_BATCH}}},
    [IDLE] = {{{.nice = 0}, {.policy = SCHED_IDLE}}},
    [FIFO] = {{{.policy = SCHED_FIFO, .priority = SPINNER_PRIORITY}, {.nice = 0}}},
    [RR] = {{{.policy = SCHED_RR, .priority = SPINNER_PRIORITY}, {.nice = 0}}},
};

struct shares {
    struct spinners spinners;
    struct spun spun;
};

static double weight_of(const struct schedule *schedule)
{
    const int nice = getpriority(PRIO_PROCESS, 0) + schedule->nice;

    if (schedule->policy == SCHED_IDLE)
        return WEIGHT_IDLE;
    return weights[(nice < LEAST_NICE ? LEAST_NICE : nice > MOST_NICE ? MOST_NICE : nice) - LEAST_NICE];
}

static int real_time(const struct pair *pair)
{
    return pair->of[0].policy == SCHED_FIFO || pair->of[0].policy == SCHED_RR;
}

static double expected_ratio(const struct pair *pair)
{
    int64_t runtime_us, period_us;

    if (!real_time(pair))
        return weight_of(&pair->of[0]) / weight_of(&pair->of[1]);
    runtime_us = number_in("/proc/sys/kernel/sched_rt_runtime_us", NULL);
    period_us = number_in("/proc/sys/kernel/sched_rt_period_us", NULL);
    /* -1: nothing is kept for others by this rule, and what is kept by another is not told. */
    return runtime_us > 0 && runtime_us < period_us ? (double)runtime_us / (double)(period_us - runtime_us) : NAN;
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;
    struct shares *shares = trial->state;
    int status;

    (void)count; /* 1 */
    status = spin_window(trial, &shares->spinners, trial->value[WINDOW_MS], &shares->spun);
    *ticks = llround((double)shares->spun.had_ns[1] * trial->tick_hz / 1e9);
    return status ? status : 1;
}

static uint64_t windows_of(int64_t pair)
{
    return pair == NICE19 || pair == IDLE ? MOST_WINDOWS : 1;
}

static int setup(struct trial *trial)
{
    const struct schedule above = {.policy = SCHED_FIFO, .priority = WORKER_PRIORITY};
    const struct pair *pair = &pairs[trial->value[PAIR]];
    struct shares *shares;
    int status;

    if (trial->value[WINDOW_MS] < 1 || trial->value[WINDOW_MS] > MAX_WINDOW_MS) {
        trial_fault(trial, "window_ms=%" PRId64 " is not 1 to %d", trial->value[WINDOW_MS], MAX_WINDOW_MS);
        return -EINVAL;
    }
    if (has_cpu_quota())
        return trial_needs(trial, NO_QUOTA);
    shares = trial_alloc(trial, sizeof *shares);
    if (!shares)
        return -ENOMEM;
    trial->batches = windows_of(trial->value[PAIR]);
    status = real_time(pair) ? trial_schedule(trial, 0, &above) : 0;
    return status ? status : spinners_start(trial, &shares->spinners, pair->of, NULL, 2);
}

/* The first ran, and nobody ran beyond the window. */
static int check(struct trial *trial)
{
    const struct shares *shares = trial->state;
    const struct spun *spun = &shares->spun;
    const struct had had = had_of(&shares->spinners, spun);
    const int status = check_spun(trial, &shares->spinners, spun, 1);

    if (status)
        return status;
    if (spun->had_ns[0] == 0)
        return trial_fault(trial, "the first spinner had nothing of the CPU");
    trial->metric[EXPECTED] = expected_ratio(&pairs[trial->value[PAIR]]);
    trial->metric[HAD_PCT] = 100.0 * (double)had.all_ns / (double)spun->window_ns;
    trial->metric[SECOND_PCT] = 100.0 * (double)spun->had_ns[1] / (double)had.all_ns;
    if (spun->had_ns[1] > 0)
        trial->metric[RATIO] = (double)spun->had_ns[0] / (double)spun->had_ns[1];
    if (spun->virtual_ns[0] > 0 && spun->virtual_ns[1] > 0)
        trial->metric[VIRTUAL_RATIO] = spun->virtual_ns[0] / spun->virtual_ns[1];
    return 0;
}

static void teardown(struct trial *trial)
{
    struct shares *shares = trial->state;

    if (shares)
        spinners_end(&shares->spinners);
}

static uint64_t cost_ns(const struct trial *trial)
{
    return spin_cost_ns(trial->value[WINDOW_MS], windows_of(trial->value[PAIR]));
}

KERNEL(share,
    .name             = "schedule/share",
    .summary          = "two processes spin on one CPU, each scheduled in its own way",
    .unit             = "window",
    .threads          = { .min = 1, .max = 1 },
    .subject          = FLAG_SWITCHED | FLAG_FAULTED,
    .parameters       = {
        [PAIR]      = { .name = "pair", .summary = "how the two are scheduled", .initial = EQUAL,
                        .labels = "equal nice1 nice5 nice10 nice19 minus5 batch idle fifo rr",
                        .quick = "nice5", .standard = "nice5", .rigorous = "*" },
        [WINDOW_MS] = { .name = "window_ms", .unit = "ms", .summary = "for which both spin", .initial = 60,
                        .quick = "60", .standard = "60", .rigorous = "1200" },
    },
    .metrics          = {
        [RATIO]         = { "ratio", "1", "CPU time of the first over that of the second" },
        [EXPECTED]      = { "expected_ratio", "1", "of their weights, or of what real-time may use and what it leaves" },
        [SECOND_PCT]    = { "second_pct", "%", "of what both had that the second had" },
        [HAD_PCT]       = { "had_pct", "%", "of the window that both had together" },
        [VIRTUAL_RATIO] = { "virtual_ratio", "1", "virtual time of the first over that of the second" },
    },
    .setup            = setup,
    .events           = events,
    .events_per_batch = 1,
    .batches          = MOST_WINDOWS,
    .check            = check,
    .teardown         = teardown,
    .cost_ns          = cost_ns);
