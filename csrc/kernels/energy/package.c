/*
 * energy/package: how much energy does the processor's package take for a piece of work, beyond the energy that it
 * takes when this thread sleeps?
 *
 * One operation is one addition, or one line that is read. Windows alternate: asleep, at work, asleep, at work. Before
 * and after each the package's energy counter is read (powercap, in uJ). Nothing is timed but the windows.
 *   sleep             the thread sleeps in both: the control, whose difference is noise
 *   add               additions that wait for each other
 *   stream            reads of 64 MiB, over and over
 *   package_w         power while at work
 *   idle_w            power while asleep, in the windows between
 *   extra_w           their difference. It may be negative, since other work of the package is in both
 *   nj_per_operation  extra energy for one addition or one line of 64 bytes. `sleep` has none
 * Excluded:  nothing of the package. Other cores, caches and the memory controller are in its counter.
 * Hazards:   the counter is renewed about once a millisecond, so a short window is good to some per cent only. It
 *            wraps.
 * Expect:    a fraction of a nJ an addition, and some 5 nJ a line from memory. A guest has no such counter.
 * Not shown: the memory's own chips, other packages, the power supply.
 */
#define _GNU_SOURCE
#include "kernels/groups.h"
#include "kernels/system.h"

enum { OP, WINDOW_MS };
enum { SLEEP, ADD, STREAM };
enum { PACKAGE_W, IDLE_W, EXTRA_W, NJ_PER_OPERATION };
enum { WINDOWS };

#define COUNTER "/sys/class/powercap/intel-rapl:0/energy_uj"
#define RANGE "/sys/class/powercap/intel-rapl:0/max_energy_range_uj"
#define NEED "a package energy counter that may be read: " COUNTER " (for root)"
#define PAIRS 4
#define MAX_WINDOW_MS 1000
#define STREAM_BYTES ((size_t)64 << 20) /* more than most caches of the last level have for one core */
#define LINE_BYTES 64
#define ADDITIONS 100000 /* some 30 us, so that a window ends on time */

struct energy {
    unsigned char *pages;
    int64_t range_uj;
    double worked_uj, worked_ns, idle_uj, idle_ns;
    uint64_t operations;
    int64_t moved; /* windows in which the counter moved */
};

/* Dependent, so that no core makes two at once, and in a register, so that no memory is part of it. */
static uint64_t add(void)
{
    uint64_t sum = 0;

    for (int i = 0; i < ADDITIONS; i++) {
        sum += (uint64_t)i;
        __asm__ volatile("" : "+r"(sum));
    }
    return ADDITIONS;
}

static uint64_t stream(const unsigned char *pages, size_t *place)
{
    const size_t piece = STREAM_BYTES / 64;

    for (size_t i = 0; i < piece; i += LINE_BYTES)
        (void)*(const volatile unsigned char *)(pages + *place + i);
    *place = (*place + piece) % STREAM_BYTES;
    return piece / LINE_BYTES;
}

/* One window. Adds its energy and time to those at work or asleep. 0 or -errno. */
static int window(struct trial *trial, struct energy *energy, int op, int at_work)
{
    const int64_t before = number_in(COUNTER, NULL), ms = trial->value[WINDOW_MS];
    const uint64_t begin_ns = now_ns();
    size_t place = 0;
    int64_t after;
    double uj, ns;

    if (op == SLEEP)
        sleep_ms(ms);
    else
        while (now_ns() - begin_ns < (uint64_t)ms * 1000000)
            energy->operations += op == ADD ? add() : stream(energy->pages, &place);
    after = number_in(COUNTER, NULL);
    ns = (double)(now_ns() - begin_ns);
    if (before < 0 || after < 0)
        return trial_fault(trial, COUNTER " can be read no more");
    uj = (double)(after - before) + (after < before ? (double)energy->range_uj : 0);
    energy->moved += after != before;
    *(at_work ? &energy->worked_uj : &energy->idle_uj) += uj;
    *(at_work ? &energy->worked_ns : &energy->idle_ns) += ns;
    return 0;
}

static int setup(struct trial *trial)
{
    struct energy *energy;

    if (trial->value[WINDOW_MS] < 1 || trial->value[WINDOW_MS] > MAX_WINDOW_MS) {
        trial_fault(trial, "window_ms=%" PRId64 " is not 1 to %d", trial->value[WINDOW_MS], MAX_WINDOW_MS);
        return -EINVAL;
    }
    energy = trial_alloc(trial, sizeof *energy);
    if (!energy)
        return -ENOMEM;
    energy->range_uj = number_in(RANGE, NULL);
    if (number_in(COUNTER, NULL) < 0 || energy->range_uj <= 0)
        return trial_needs(trial, NEED);
    if (trial->value[OP] != STREAM)
        return 0;
    energy->pages = trial_alloc(trial, STREAM_BYTES);
    return energy->pages ? 0 : -ENOMEM;
}

/* The second sleep of the control counts as its work. */
static int work(struct worker *worker)
{
    struct trial *trial = worker->trial;
    struct energy *energy = trial->state;
    int status = 0;

    for (int i = 0; i < PAIRS && !status; i++) {
        status = window(trial, energy, SLEEP, 0);
        if (!status)
            status = window(trial, energy, (int)trial->value[OP], 1);
    }
    return status;
}

static int check(struct trial *trial)
{
    const struct energy *energy = trial->state;
    const double package_w = energy->worked_uj / energy->worked_ns * 1e3,
                 idle_w = energy->idle_uj / energy->idle_ns * 1e3;

    trial_count(trial, WINDOWS, energy->moved, 2 * PAIRS);
    if (trial->value[OP] != SLEEP && !energy->operations)
        return trial_fault(trial, "no operation was made in %d windows", PAIRS);
    trial->metric[PACKAGE_W] = package_w;
    trial->metric[IDLE_W] = idle_w;
    trial->metric[EXTRA_W] = package_w - idle_w;
    if (energy->operations)
        trial->metric[NJ_PER_OPERATION] = (package_w - idle_w) * energy->worked_ns / (double)energy->operations;
    return 0;
}

static uint64_t cost_ns(const struct trial *trial)
{
    if (number_in(COUNTER, NULL) < 0) /* then nothing is measured */
        return 0;
    return 2 * PAIRS * (uint64_t)trial->value[WINDOW_MS] * 1000000;
}

KERNEL(package,
    .name       = "energy/package",
    .summary    = "windows asleep and at work in turn, and what the package's energy counter says of them",
    .unit       = "case",
    .threads    = { .min = 1, .max = 1 },
    .subject    = FLAG_SWITCHED,
    .parameters = { [OP] = { .name = "op", .summary = "the work", .labels = "sleep add stream", .initial = ADD,
                             .quick = "add", .standard = "*", .rigorous = "*" },
                    [WINDOW_MS] = { .name = "window_ms", .unit = "ms", .summary = "of each window", .initial = 20,
                                    .rigorous = "100" } },
    .metrics    = { [PACKAGE_W] = { "package_w", "W", "of the package while at work" },
                    [IDLE_W]    = { "idle_w", "W", "while this thread sleeps, in the windows between" },
                    [EXTRA_W]   = { "extra_w", "W", "that work takes beyond sleep" },
                    [NJ_PER_OPERATION] = { "nj_per_operation", "nJ", "of extra energy for an addition, or for a line of memory" } },
    .counts     = { [WINDOWS] = { "windows", "windows", "in which the counter moved" } },
    .setup      = setup,
    .work       = work,
    .check      = check,
    .cost_ns    = cost_ns);
