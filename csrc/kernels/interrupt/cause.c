/*
 * interrupt/cause: what took the time during which a thread did not run?
 *
 * A thread spins and notes each gap of more than 1 us. Meanwhile Linux writes down, by tracepoints, when its CPU had an
 * interrupt, a softirq or a switch to another thread. A gap that contains one of these is named. One operation is one
 * such look of WINDOW_MS. Nothing of it is timed.
 * Excluded:  finding the tracepoints, and looking at their records.
 * Expect:    guest of an AMD EPYC, Linux 6.18: the tick of 250 Hz explains a sixth of the gaps. A hypervisor that runs
 *            somebody else leaves no trace.
 * Hazards:   writing down takes some 1 us itself. So gaps with a cause are longer than untraced ones, and a few more
 *            are found. A gap may contain an event by chance. The metric chance_pct says how many do, by the same
 *            events moved by a millisecond. And found_pct of the interrupts lie in a gap. If the two clocks disagreed,
 *            few would.
 * Not shown: the work of a hypervisor.
 */
#define _GNU_SOURCE
#include "kernels/tracepoints.h"

#include <time.h>

enum {
    GAPS_PER_S,
    LOST_PCT,
    NAMED_PCT,
    NAMED_TIME_PCT,
    SWITCH_PCT,
    TIMER_PCT,
    INTERRUPT_PCT,
    SOFTIRQ_PCT,
    CHANCE_PCT,
    FOUND_PCT
};

/* By weight: of several causes in a gap the first is named. */
enum { SWITCH, TIMER, INTERRUPT, SOFTIRQ, CAUSES };

#define WINDOW_MS 25
#define GAP_SECONDS 1e-6 /* as of noise/gaps */
/* An event is written down within its gap, and the clocks differ by less. */
#define SLACK_SECONDS 0.5e-6
#define MOVED_SECONDS 1e-3
#define MOST_GAPS 8192
#define MOST_EVENTS 16384
#define RING_PAGES 128 /* a power of two: room for MOST_EVENTS records of 32 bytes */

static const struct {
    const char *name;
    int cause;
} traced[] = {
    {"sched/sched_switch", SWITCH},
    {"irq_vectors/local_timer_entry", TIMER},
    {"irq_vectors/reschedule_entry", INTERRUPT},
    {"irq_vectors/call_function_entry", INTERRUPT},
    {"irq_vectors/call_function_single_entry", INTERRUPT},
    {"irq_vectors/irq_work_entry", INTERRUPT},
    {"irq_vectors/x86_platform_ipi_entry", INTERRUPT},
    {"irq_vectors/thermal_apic_entry", INTERRUPT},
    {"ipi/ipi_entry", INTERRUPT},
    {"irq/irq_handler_entry", INTERRUPT},
    {"irq/softirq_entry", SOFTIRQ},
};

#define TRACED (sizeof traced / sizeof *traced)

struct event {
    double ticks;
    int cause;
};

struct gap {
    uint64_t begin, end;
};

struct causes {
    struct tracepoints tracepoints;
    int files[TRACED]; /* of the tracepoints that there are, or -1 */
    uint64_t ids[TRACED];
    unsigned leader;
    struct perf_event_mmap_page *ring; /* NULL: none */
    uint64_t looked_ticks;
    uint64_t gaps, events, lost_records;
    struct gap gap[MOST_GAPS];
    struct event event[MOST_EVENTS];
};

/* What perf writes for each event, with PERF_SAMPLE_IDENTIFIER and PERF_SAMPLE_TIME. */
struct record {
    struct perf_event_header header;
    uint64_t id, time_ns;
};

static size_t ring_bytes(void)
{
    return (RING_PAGES + 1) * (size_t)sysconf(_SC_PAGESIZE);
}

/* Each event of this tracepoint on the CPU is to be written down, by a clock that the tick counter is compared with. */
static int trace_open(int64_t number, int cpu)
{
    struct perf_event_attr attributes = {
        .type = PERF_TYPE_TRACEPOINT,
        .size = sizeof attributes,
        .config = (uint64_t)number,
        .sample_period = 1,
        .sample_type = PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_TIME,
        .disabled = 1,
        .use_clockid = 1,
        .clockid = CLOCK_MONOTONIC_RAW,
    };
    const long file = syscall(SYS_perf_event_open, &attributes, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);

    return file < 0 ? -errno : (int)file;
}

/* All of them write into one ring: that of the first. 0 or -errno. */
static int open_all(struct trial *trial, struct causes *causes)
{
    int first = -1;

    for (unsigned i = 0; i < TRACED; i++) {
        if (causes->tracepoints.number[i] < 0)
            continue;
        causes->files[i] = trace_open(causes->tracepoints.number[i], trial->cpus[0]);
        if (causes->files[i] < 0)
            return event_refused(trial, causes->files[i]);
        if (ioctl(causes->files[i], PERF_EVENT_IOC_ID, &causes->ids[i]))
            return -errno;
        if (first < 0) {
            void *ring = mmap(NULL, ring_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, causes->files[i], 0);

            if (ring == MAP_FAILED)
                return errno == EPERM ? trial_needs(trial, "memory for perf events (kernel.perf_event_mlock_kb)")
                                      : -errno;
            causes->ring = ring;
            first = causes->files[i];
        } else if (ioctl(causes->files[i], PERF_EVENT_IOC_SET_OUTPUT, first)) {
            return -errno;
        }
    }
    return first < 0 ? trial_needs(trial, "a Linux with tracepoints of interrupts or switches") : 0;
}

static int setup(struct trial *trial)
{
    const char *names[TRACED];
    struct causes *causes = trial_alloc_shared(trial, sizeof *causes);
    int status;

    if (!causes)
        return -ENOMEM;
    for (unsigned i = 0; i < TRACED; i++) {
        names[i] = traced[i].name;
        causes->files[i] = -1;
    }
    status = tracepoints_find(trial, &causes->tracepoints, names, TRACED);
    return status ? status : open_all(trial, causes);
}

/* The tick counter and the clock of the events at one moment: the tightest of some. */
struct moment {
    double ticks, ns;
};

static struct moment take_moment(void)
{
    struct moment best = {0, 0};
    uint64_t tightest = UINT64_MAX;

    for (int i = 0; i < 16; i++) {
        struct timespec now;
        const uint64_t before = tick_now();
        uint64_t after;

        clock_gettime(CLOCK_MONOTONIC_RAW, &now);
        after = tick_now();
        if (after - before < tightest) {
            tightest = after - before;
            best =
                (struct moment){(double)before + (double)tightest / 2, (double)now.tv_sec * 1e9 + (double)now.tv_nsec};
        }
    }
    return best;
}

static void look_for_gaps(const struct trial *trial, struct causes *causes)
{
    const uint64_t limit = (uint64_t)(trial->tick_hz * GAP_SECONDS);
    const uint64_t begin = tick_now(), end = begin + (uint64_t)(trial->tick_hz * WINDOW_MS / 1e3);
    uint64_t last = begin;

    while (last < end) {
        const uint64_t now = tick_now();

        if (now - last > limit && causes->gaps < MOST_GAPS)
            causes->gap[causes->gaps++] = (struct gap){last, now};
        last = now;
    }
    causes->looked_ticks = last - begin;
}

static int cause_of(const struct causes *causes, uint64_t id)
{
    for (unsigned i = 0; i < TRACED; i++)
        if (causes->files[i] >= 0 && causes->ids[i] == id)
            return traced[i].cause;
    return -1;
}

/* What stands in the ring, in ticks. The moments are those before and after. */
static void read_ring(struct causes *causes, struct moment from, struct moment to)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = RING_PAGES * page;
    const char *data = (const char *)causes->ring + page;
    const double ticks_a_ns = (to.ticks - from.ticks) / (to.ns - from.ns);
    /* Acquire, pairs with Linux, which counts the head up once a record is whole: without it, what is read may be older than that. */
    const uint64_t head = __atomic_load_n(&causes->ring->data_head, __ATOMIC_ACQUIRE);

    for (uint64_t at = 0; at < head;) {
        struct record record;
        int cause;

        /* Records are multiples of 8 bytes, and may go over the end. */
        for (size_t i = 0; i < sizeof record; i += 8)
            memcpy((char *)&record + i, data + (at + i) % bytes, 8);
        if (record.header.size == 0 || head > bytes) {
            causes->lost_records++;
            return;
        }
        at += record.header.size;
        causes->lost_records += record.header.type == PERF_RECORD_LOST;
        cause = record.header.type == PERF_RECORD_SAMPLE ? cause_of(causes, record.id) : -1;
        if (cause >= 0 && causes->events < MOST_EVENTS)
            causes->event[causes->events++] =
                (struct event){from.ticks + ((double)record.time_ns - from.ns) * ticks_a_ns, cause};
    }
}

static int work(struct worker *worker)
{
    struct trial *trial = worker->trial;
    struct causes *causes = trial->state;
    struct moment from, to;

    from = take_moment();
    for (unsigned i = 0; i < TRACED; i++)
        if (causes->files[i] >= 0)
            ioctl(causes->files[i], PERF_EVENT_IOC_ENABLE, 0);
    look_for_gaps(trial, causes);
    for (unsigned i = 0; i < TRACED; i++)
        if (causes->files[i] >= 0)
            ioctl(causes->files[i], PERF_EVENT_IOC_DISABLE, 0);
    to = take_moment();
    read_ring(causes, from, to);
    return 0;
}

static int lies_in(const struct gap *gap, double ticks, double slack)
{
    return ticks >= (double)gap->begin - slack && ticks <= (double)gap->end + slack;
}

/* The cause of a gap, with events moved by this many ticks. It is the first by weight, or CAUSES. */
static int name_of(const struct causes *causes, const struct gap *gap, double moved, double slack)
{
    int found = CAUSES;

    for (uint64_t i = 0; i < causes->events; i++)
        if (causes->event[i].cause < found && lies_in(gap, causes->event[i].ticks + moved, slack))
            found = causes->event[i].cause;
    return found;
}

/* Interrupts that lie in some gap, of those that fell into the look. */
static double found_pct(const struct causes *causes, double slack)
{
    uint64_t interrupts = 0, found = 0;

    for (uint64_t i = 0; i < causes->events; i++) {
        const struct event *event = &causes->event[i];
        int inside = 0;

        if (event->cause != TIMER && event->cause != INTERRUPT)
            continue;
        interrupts++;
        for (uint64_t j = 0; j < causes->gaps && !inside; j++)
            inside = lies_in(&causes->gap[j], event->ticks, slack);
        found += inside != 0;
    }
    return interrupts ? 100.0 * (double)found / (double)interrupts : NAN;
}

/* It looked as long as it had to, and nothing that was written down is missing. */
static int check(struct trial *trial)
{
    const struct causes *causes = trial->state;
    const double slack = SLACK_SECONDS * trial->tick_hz;
    uint64_t by[CAUSES + 1] = {0}, lost = 0, named = 0, by_chance = 0;
    double seconds = (double)causes->looked_ticks / trial->tick_hz, share;

    /* The end of a look is a whole tick, rounded down. */
    if ((double)causes->looked_ticks + 1 < 1e-3 * WINDOW_MS * trial->tick_hz)
        return trial_fault(trial, "a look of %g s in place of %g", seconds, 1e-3 * WINDOW_MS);
    for (uint64_t i = 0; i < causes->gaps; i++) {
        const struct gap *gap = &causes->gap[i];
        const int cause = name_of(causes, gap, 0, slack);

        by[cause]++;
        lost += gap->end - gap->begin;
        named += cause < CAUSES ? gap->end - gap->begin : 0;
        by_chance += name_of(causes, gap, MOVED_SECONDS * trial->tick_hz, slack) < CAUSES;
    }
    trial_count(trial, 0, (int64_t)causes->lost_records + (causes->events == MOST_EVENTS) + (causes->gaps == MOST_GAPS),
                0);
    share = causes->gaps ? 100.0 / (double)causes->gaps : NAN;
    trial->metric[GAPS_PER_S] = (double)causes->gaps / seconds;
    trial->metric[LOST_PCT] = 100.0 * (double)lost / (double)causes->looked_ticks;
    trial->metric[NAMED_PCT] = share * (double)(causes->gaps - by[CAUSES]);
    trial->metric[NAMED_TIME_PCT] = lost ? 100.0 * (double)named / (double)lost : NAN;
    trial->metric[SWITCH_PCT] = share * (double)by[SWITCH];
    trial->metric[TIMER_PCT] = share * (double)by[TIMER];
    trial->metric[INTERRUPT_PCT] = share * (double)by[INTERRUPT];
    trial->metric[SOFTIRQ_PCT] = share * (double)by[SOFTIRQ];
    trial->metric[CHANCE_PCT] = share * (double)by_chance;
    trial->metric[FOUND_PCT] = found_pct(causes, slack);
    return 0;
}

static void teardown(struct trial *trial)
{
    const struct causes *causes = trial->state;

    if (!causes)
        return;
    if (causes->ring)
        munmap(causes->ring, ring_bytes());
    for (unsigned i = 0; i < TRACED; i++)
        if (causes->files[i] >= 0)
            close(causes->files[i]);
}

/* A fork of the interpreter, a namespace, and the look. */
static uint64_t cost_ns(const struct trial *trial)
{
    (void)trial;
    /* To open a tracepoint and to close it waits for all CPUs: seen 30 ms for both. */
    return TRACED * UINT64_C(30000000) + WINDOW_MS * UINT64_C(1000000);
}

KERNEL(cause,
    .name     = "interrupt/cause",
    .summary  = "a thread spins and notes its gaps, and Linux writes down what its CPU did meanwhile",
    .unit     = "look",
    .threads  = { .min = 1, .max = 1 },
    .metrics  = { [GAPS_PER_S]     = { "gaps_per_s", "1/s", "stretches of more than 1 us in which it did not run" },
                  [LOST_PCT]       = { "lost_pct", "%", "of its time, in these" },
                  [NAMED_PCT]      = { "named_pct", "%", "of the gaps with a cause that Linux wrote down" },
                  [NAMED_TIME_PCT] = { "named_time_pct", "%", "of the time in gaps that is in these" },
                  [SWITCH_PCT]     = { "switch_pct", "%", "of the gaps: another thread ran" },
                  [TIMER_PCT]      = { "timer_pct", "%", "of the gaps: the CPU's own timer" },
                  [INTERRUPT_PCT]  = { "interrupt_pct", "%", "of the gaps: another interrupt" },
                  [SOFTIRQ_PCT]    = { "softirq_pct", "%", "of the gaps: a softirq alone" },
                  [CHANCE_PCT]     = { "chance_pct", "%", "of the gaps with a cause, were all events 1 ms later" },
                  [FOUND_PCT]      = { "found_pct", "%", "of the interrupts that lie in a gap" } },
    .counts   = { { "missing", "records", "that Linux could not write down, or that did not fit" } },
    .setup    = setup,
    .work     = work,
    .check    = check,
    .teardown = teardown,
    .cost_ns  = cost_ns);
