/*
 * perf/hardware: do the events that the CPU counts come out as they must?
 *
 * A loop of two instructions makes a known number of turns, and a counter of the CPU (PMU) counts, in user mode. One
 * operation is one such look.
 *   instructions  two in each turn
 *   branches      one in each turn
 * Nothing is timed: events are counted.
 * Excluded:  the code around the loop. A look counts 2 000 000 turns and subtracts the count of 1 000 000.
 * Expect:    2 and 1 a turn. An interrupt adds an instruction or two on some CPUs, which a million turns do not show.
 * Hazards:   where others have the counters, Linux lets them take turns. A look that was not counted throughout is
 *            taken again. Most guests have no such counters.
 * Not shown: cycles and misses, of which no number is known beforehand. They are shown beside their rows.
 */
#define _GNU_SOURCE
#include "kernels/perf_events.h"

enum { INSTRUCTIONS, BRANCHES };
enum { PER_EVENT };

#define TURNS INT64_C(1000000)
/* A busy machine takes a counter away now and then. So many looks in a row are not all spoilt. */
#define LOOKS 20

static const uint64_t configs[] = {
    [INSTRUCTIONS] = PERF_COUNT_HW_INSTRUCTIONS,
    [BRANCHES] = PERF_COUNT_HW_BRANCH_INSTRUCTIONS,
};

static const int64_t in_a_turn[] = {[INSTRUCTIONS] = 2, [BRANCHES] = 1};

struct look {
    int event; /* -1: none */
    double in_a_turn;
};

/* Two instructions a turn, the second of which is a branch. 0 where this architecture has no such loop here. */
static __attribute__((noinline)) int loop(int64_t turns)
{
#if HAS_X86_64
    __asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(turns)::"cc");
#elif defined(__aarch64__)
    __asm__ volatile("1: subs %0, %0, #1\n\tb.ne 1b" : "+r"(turns)::"cc");
#elif defined(__riscv)
    __asm__ volatile(".option push\n\t.option norelax\n1: addi %0, %0, -1\n\tbnez %0, 1b\n\t.option pop" : "+r"(turns));
#else
    return 0;
#endif
    return turns == 0;
}

/* The count of this many turns. Negative if that is not known. */
static int64_t counted(int event, int64_t turns)
{
    event_start(event);
    if (!loop(turns))
        return -ENOTSUP;
    return event_stop(event);
}

static int setup(struct trial *trial)
{
    struct look *look = trial_alloc(trial, sizeof *look);

    if (!look)
        return -ENOMEM;
    look->event = event_open(PERF_TYPE_HARDWARE, configs[trial->value[0]], IN_USER_MODE);
    return look->event < 0 ? event_refused(trial, look->event) : 0;
}

static int work(struct worker *worker)
{
    struct trial *trial = worker->trial;
    struct look *look = trial->state;
    const double wanted = (double)in_a_turn[trial->value[0]];
    int status = 0;

    for (int i = 0; i < LOOKS && llround(look->in_a_turn) != llround(wanted); i++) {
        const int64_t once = counted(look->event, TURNS), twice = counted(look->event, 2 * TURNS);

        status = (int)(once < 0 ? once : twice < 0 ? twice : 0);
        if (status && status != -EIO) /* which says that others had the counter meanwhile */
            return status;
        if (!status)
            look->in_a_turn = (double)(twice - once) / (double)TURNS;
    }
    return status ? trial_needs(trial, "a hardware counter that nobody else uses") : 0;
}

static int check(struct trial *trial)
{
    const struct look *look = trial->state;
    const int64_t wanted = in_a_turn[trial->value[0]];

    trial_count(trial, 0, llround(look->in_a_turn), wanted);
    trial->metric[PER_EVENT] = look->in_a_turn / (double)wanted;
    return 0;
}

static void teardown(struct trial *trial)
{
    struct look *look = trial->state;

    if (look && look->event >= 0)
        close(look->event);
}

static uint64_t cost_ns(const struct trial *trial)
{
    (void)trial;
    return 3 * (uint64_t)TURNS;
}

KERNEL(hardware,
    .name       = "perf/hardware",
    .summary    = "the CPU counts events of a loop whose instructions are known",
    .unit       = "look",
    .threads    = { .min = 1, .max = 1 },
    .needs      = NEED_HARDWARE_PMU,
    .parameters = { { .name = "event", .summary = "what is counted", .labels = "instructions branches",
                      .initial = INSTRUCTIONS, .quick = "instructions", .standard = "*", .rigorous = "*" } },
    .metrics    = { [PER_EVENT] = { "counted_per_event", "1", "counted by the CPU, for each that there was" } },
    .counts     = { { "counted", "events", "in a turn of the loop, to the nearest whole number" } },
    .setup      = setup,
    .work       = work,
    .check      = check,
    .teardown   = teardown,
    .cost_ns    = cost_ns);
