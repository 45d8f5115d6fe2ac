/*
 * schedule/rebalance: do spinners share several CPUs fairly, and how often are they moved for it?
 *
 * Processes spin on two CPUs, forked by one process. One event is a window: the CPU time of the spinner that has had
 * least.
 *   two     two spinners, which may go to either CPU: nobody has to move. The control
 *   three   three spinners that may go to either CPU
 *   pinned  three spinners, of which two stay on the first CPU and one on the second
 * Excluded:  the first 15 ms of spinning.
 * Expect:    the most over the least: 1.0, 1.0 to 1.3, and 2. Migrations a second: 0, some, 0. Guest of an AMD EPYC,
 *            Linux 6.18, in 2.5 s: 1.016 and 0, 1.122 and 7.2.
 * Hazards:   a balancer looks every few ms to every few 100 ms. A short window shows one division of the three, two and
 *            one. Others on the CPUs are balanced with them.
 * Not shown: more CPUs, several nodes, where Linux moves later, and the identity of the moved.
 */
#define _GNU_SOURCE
#include "kernels/schedule/quota.h"
#include "kernels/schedule/spinners.h"

enum { SPINNERS, WINDOW_MS };
enum { TWO, THREE, PINNED };
enum { FAIR, MIGRATIONS_PER_S, HAD_PCT };

#define CPUS 2

struct balance {
    struct spinners spinners;
    struct spun spun;
    double migrations;
    _Alignas(64) _Atomic uint32_t over;
    uint32_t slept;
};

/* How often all have been moved until now. NaN if Linux does not tell. */
static double migrations(const struct spinners *spinners)
{
    double all = 0;

    for (int place = 0; place < spinners->count; place++)
        all += spinner_field(spinners, place, "\nse.nr_migrations");
    return all;
}

/* Asleep, so that its CPU is the spinners'. Relaxed, as the store in events(): nothing comes with the word. */
static void sleep_through(struct balance *balance)
{
    while (atomic_load_explicit(&balance->over, memory_order_relaxed) == balance->slept)
        futex_wait(&balance->over, balance->slept);
    balance->slept++;
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;
    struct balance *balance = trial->state;
    int status;

    (void)count; /* 1 */
    if (worker->index) {
        sleep_through(balance);
        return 0;
    }
    balance->migrations = -migrations(&balance->spinners);
    status = spin_window(trial, &balance->spinners, trial->value[WINDOW_MS], &balance->spun);
    balance->migrations += migrations(&balance->spinners);
    *ticks = llround((double)had_of(&balance->spinners, &balance->spun).least_ns * trial->tick_hz / 1e9);
    atomic_fetch_add_explicit(&balance->over, 1, memory_order_relaxed);
    futex_wake(&balance->over);
    return status ? status : 1;
}

/* Where the spinner of this place may run. */
static struct spinner_cpus cpus_of(const struct trial *trial, int place)
{
    struct spinner_cpus where = {.count = 0};

    for (int i = 0; i < CPUS; i++)
        if (trial->value[SPINNERS] != PINNED || i == place % CPUS)
            where.of[where.count++] = trial->cpus[i];
    return where;
}

static int setup(struct trial *trial)
{
    static const struct schedule equal[MAX_SPINNERS];
    const int count = trial->value[SPINNERS] == TWO ? 2 : 3;
    struct spinner_cpus places[MAX_SPINNERS];
    struct balance *balance;

    if (trial->value[WINDOW_MS] < 1 || trial->value[WINDOW_MS] > MAX_WINDOW_MS) {
        trial_fault(trial, "window_ms=%" PRId64 " is not 1 to %d", trial->value[WINDOW_MS], MAX_WINDOW_MS);
        return -EINVAL;
    }
    if (trial->cpus[0] == trial->cpus[1])
        return trial_needs(trial, "two CPUs");
    if (has_cpu_quota())
        return trial_needs(trial, NO_QUOTA);
    balance = trial_alloc(trial, sizeof *balance);
    if (!balance)
        return -ENOMEM;
    for (int place = 0; place < count; place++)
        places[place] = cpus_of(trial, place);
    return spinners_start(trial, &balance->spinners, equal, places, count);
}

/* All ran, and not more than two CPUs have time for. */
static int check(struct trial *trial)
{
    const struct balance *balance = trial->state;
    const struct spun *spun = &balance->spun;
    const struct had had = had_of(&balance->spinners, spun);
    const int status = check_spun(trial, &balance->spinners, spun, CPUS);

    if (status)
        return status;
    trial->metric[FAIR] = most_over_least(&had);
    trial->metric[MIGRATIONS_PER_S] = balance->migrations / ((double)spun->window_ns / 1e9);
    trial->metric[HAD_PCT] = 100.0 * (double)had.all_ns / (CPUS * (double)spun->window_ns);
    return 0;
}

static void teardown(struct trial *trial)
{
    struct balance *balance = trial->state;

    if (balance)
        spinners_end(&balance->spinners);
}

static uint64_t cost_ns(const struct trial *trial)
{
    return spin_cost_ns(trial->value[WINDOW_MS], 1);
}

KERNEL(rebalance,
    .name             = "schedule/rebalance",
    .summary          = "processes spin on two CPUs, and Linux moves them or not",
    .unit             = "window",
    .threads          = { .min = 2, .max = 2 },
    .place            = PLACE_ANY,
    .subject          = FLAG_SWITCHED | FLAG_FAULTED | FLAG_MIGRATED,
    .parameters       = {
        [SPINNERS]  = { .name = "spinners", .summary = "how many there are, and where they may go",
                        .labels = "two three pinned", .initial = THREE,
                        .quick = "three", .standard = "three", .rigorous = "*" },
        [WINDOW_MS] = { .name = "window_ms", .unit = "ms", .summary = "for which they spin", .initial = 40,
                        .quick = "40", .standard = "40", .rigorous = "2500" },
    },
    .metrics          = {
        [FAIR]             = { "fair", "1", "the most that one had over the least" },
        [MIGRATIONS_PER_S] = { "migrations_per_s", "per s", "moves of all spinners" },
        [HAD_PCT]          = { "had_pct", "%", "of both CPUs that the spinners had" },
    },
    .setup            = setup,
    .events           = events,
    .events_per_batch = 1,
    .batches          = 1,
    .check            = check,
    .teardown         = teardown,
    .cost_ns          = cost_ns);
