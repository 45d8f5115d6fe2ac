/*
 * schedule/realtime: which periodic tasks meet all deadlines, by earliest deadline first and by rates?
 *
 * One operation is to draw 200 sets of tasks of one utilisation and to simulate each by both rules. A task comes at the
 * start of each of its periods and has to be done at its end.
 *   EDF  runs the task with the earliest deadline (the notes call it EDA)
 *   RMS  runs the task with the shortest period, always
 * The sets for which a simulation and an exact test disagree are counted. EDF meets all deadlines if and only if the
 * utilisation is at most 1. RMS does if and only if each task's response time, found by iteration, is within its
 * period.
 * Excluded:  all times.
 * Expect:    EDF misses nothing up to 100 %. RMS misses nothing below n (2^(1/n) - 1), which is 76 % for four tasks,
 *            and about half of the sets at 100 %. Both miss in every set at 102 %. Sources: Liu and Layland, JACM 20
 *            (1973), and Joseph and Pandya, Computer Journal 29 (1986).
 * Hazards:   periods are divisors of 120, so that a simulation ends. Periods in simple proportions suit RMS.
 * Not shown: the cost of switching, deadlines before the end of a period, several CPUs, Linux's own SCHED_DEADLINE.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>

#include "kernel.h"
#include "kernels/random.h"

enum { UTILISATION_PCT, TASKS };
enum { EDF_MISSED_PCT, RMS_MISSED_PCT, BOUND_PCT };
enum { EDF_DIFFERS, RMS_DIFFERS, BELOW_BOUND };
enum { EDF, RMS, RULES };

#define SETS 200
#define MAX_TASKS 16
/* Of a period: so fine that a share of the CPU can be met to a thousandth. */
#define UNITS 1000

static const int64_t divisors[] = {10, 12, 15, 20, 24, 30, 40, 60, 120};
#define DIVISORS (sizeof divisors / sizeof *divisors)
/* The least common multiple of all. */
#define HYPERPERIOD ((int64_t)120 * UNITS)

struct task {
    int64_t period, cost;
    int64_t left, deadline; /* of the present job. With left 0 there is none */
};

struct tally {
    uint64_t drawn, missed[RULES], differs[RULES], below_bound;
};

/* So many shares of the CPU with this sum, all splits equally likely: UUniFast of Bini and Buttazzo, Real-Time Systems 30 (2005). */
static void draw_set(struct task *tasks, int count, double utilisation, uint64_t *state)
{
    double rest = utilisation;

    for (int i = 0; i < count; i++) {
        const double left =
            i + 1 < count ? rest * pow((double)(next_random(state) >> 11) * 0x1p-53, 1.0 / (count - 1 - i)) : 0;
        double cost;

        tasks[i].period = UNITS * divisors[next_random(state) % DIVISORS];
        cost = (rest - left) * (double)tasks[i].period;
        /* Rounded to the side of 1 on which the sum lies. */
        tasks[i].cost = (int64_t)(utilisation > 1 ? ceil(cost) : floor(cost));
        rest = left;
    }
}

/* Whether task `a` goes before `b`. */
static int goes_before(const struct task *a, const struct task *b, int rule)
{
    return rule == EDF ? a->deadline < b->deadline : a->period < b->period;
}

/* From the moment at which all come at once until they do again: whether a deadline is missed. */
static int misses(struct task *tasks, int count, int rule)
{
    int64_t now = 0;

    for (int i = 0; i < count; i++)
        tasks[i].left = tasks[i].deadline = 0;
    while (now < HYPERPERIOD) {
        struct task *next = NULL;
        int64_t until = HYPERPERIOD;

        for (int i = 0; i < count; i++) {
            struct task *task = &tasks[i];

            if (task->deadline == now) { /* a period ends, and the next begins */
                if (task->left)
                    return 1;
                task->left = task->cost;
                task->deadline = now + task->period;
            }
            until = task->deadline < until ? task->deadline : until;
            if (task->left && (!next || goes_before(task, next, rule)))
                next = task;
        }
        if (next) {
            until = now + next->left < until ? now + next->left : until;
            next->left -= until - now;
        }
        now = until;
    }
    for (int i = 0; i < count; i++)
        if (tasks[i].left)
            return 1;
    return 0;
}

/* The exact test of EDF: what all ask for until they come at once again. */
static int edf_fits(const struct task *tasks, int count)
{
    int64_t demand = 0;

    for (int i = 0; i < count; i++)
        demand += HYPERPERIOD / tasks[i].period * tasks[i].cost;
    return demand <= HYPERPERIOD;
}

/* The exact test of RMS. Of tasks with one period the first goes first, as in the simulation. */
static int rms_fits(const struct task *tasks, int count)
{
    for (int i = 0; i < count; i++) {
        int64_t response = tasks[i].cost, before = -1;

        while (response != before && response <= tasks[i].period) {
            before = response;
            response = tasks[i].cost;
            for (int j = 0; j < count; j++)
                if (tasks[j].period < tasks[i].period || (tasks[j].period == tasks[i].period && j < i))
                    response += (before + tasks[j].period - 1) / tasks[j].period * tasks[j].cost;
        }
        if (response > tasks[i].period)
            return 0;
    }
    return 1;
}

/* Liu and Layland's: up to here RMS meets all deadlines of any set. */
static double bound(int count)
{
    return count * (pow(2, 1.0 / count) - 1);
}

static int setup(struct trial *trial)
{
    if (trial->value[UTILISATION_PCT] < 1 || trial->value[UTILISATION_PCT] > 200 || trial->value[TASKS] < 1 ||
        trial->value[TASKS] > MAX_TASKS) {
        trial_fault(trial, "utilisation_pct=%" PRId64 " is not 1 to 200, or tasks=%" PRId64 " not 1 to %d",
                    trial->value[UTILISATION_PCT], trial->value[TASKS], MAX_TASKS);
        return -EINVAL;
    }
    return trial_alloc(trial, sizeof(struct tally)) ? 0 : -ENOMEM;
}

static int work(struct worker *worker)
{
    const int count = (int)worker->trial->value[TASKS];
    const double utilisation = (double)worker->trial->value[UTILISATION_PCT] / 100;
    struct tally *tally = worker->trial->state;
    uint64_t state = fresh_seed();
    struct task tasks[MAX_TASKS] = {{0, 0, 0, 0}};

    for (int set = 0; set < SETS; set++) {
        int missed[RULES];

        draw_set(tasks, count, utilisation, &state);
        for (int rule = 0; rule < RULES; rule++) {
            missed[rule] = misses(tasks, count, rule);
            tally->missed[rule] += missed[rule] != 0;
        }
        tally->differs[EDF] += missed[EDF] == edf_fits(tasks, count);
        tally->differs[RMS] += missed[RMS] == rms_fits(tasks, count);
        tally->below_bound += utilisation <= bound(count) && missed[RMS];
        tally->drawn++;
    }
    return 0;
}

static int check(struct trial *trial)
{
    const struct tally *tally = trial->state;

    if (tally->drawn != SETS)
        return trial_fault(trial, "%" PRIu64 " sets instead of %d", tally->drawn, SETS);
    trial_count(trial, EDF_DIFFERS, (int64_t)tally->differs[EDF], 0);
    trial_count(trial, RMS_DIFFERS, (int64_t)tally->differs[RMS], 0);
    trial_count(trial, BELOW_BOUND, (int64_t)tally->below_bound, 0);
    trial->metric[EDF_MISSED_PCT] = 100.0 * (double)tally->missed[EDF] / SETS;
    trial->metric[RMS_MISSED_PCT] = 100.0 * (double)tally->missed[RMS] / SETS;
    trial->metric[BOUND_PCT] = 100.0 * bound((int)trial->value[TASKS]);
    return 0;
}

/* Seen 5 us a set and rule. */
static uint64_t cost_ns(const struct trial *trial)
{
    return (uint64_t)trial->value[TASKS] * SETS * 5000;
}

KERNEL(realtime,
    .name       = "schedule/realtime",
    .summary    = "sets of periodic tasks are simulated by EDF and by RMS, and compared with an exact test",
    .unit       = "set",
    .threads    = { .min = 1, .max = 1 },
    .parameters = {
        [UTILISATION_PCT] = { .name = "utilisation_pct", .unit = "%", .summary = "of the CPU that all tasks ask for", .initial = 90,
                              .quick = "70 100", .standard = "70 100 102", .rigorous = "50 60 70 75 80 85 90 95 100 102" },
        [TASKS]           = { .name = "tasks", .unit = "tasks", .summary = "of a set", .initial = 4,
                              .quick = "4", .standard = "4", .rigorous = "2 4 8" } },
    .metrics    = { [EDF_MISSED_PCT] = { "edf_missed_pct", "%", "sets in which EDF misses a deadline" },
                    [RMS_MISSED_PCT] = { "rms_missed_pct", "%", "sets in which RMS misses a deadline" },
                    [BOUND_PCT]      = { "bound_pct", "%", "n (2^(1/n) - 1): up to here RMS misses none" } },
    .counts     = { [EDF_DIFFERS] = { "edf_differs", "sets", "of which simulation and exact test of EDF differ" },
                    [RMS_DIFFERS] = { "rms_differs", "sets", "of which simulation and exact test of RMS differ" },
                    [BELOW_BOUND] = { "below_bound", "sets", "within the bound of RMS that it misses" } },
    .setup      = setup,
    .work       = work,
    .check      = check,
    .cost_ns    = cost_ns);
