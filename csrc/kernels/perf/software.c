/*
 * perf/software: do the events that Linux counts for perf come out as they must?
 *
 * A thread raises an event a known number of times, and Linux counts. One operation is one such look.
 *   context_switches  1000 round trips through pipes with a thread on the same CPU: each waits once
 *   page_faults       the first write to each of 1024 pages
 *   cpu_clock         20 stretches of 200 us: each must lie between the thread's own time within and real time around
 *                     it
 * Nothing is timed: events are counted.
 * Excluded:  other sources of events. A look that finds too many is taken again. One that finds too few is a fault.
 * Expect:    1000, 1024 and 20, exactly.
 * Hazards:   a thread also leaves its CPU when others want it. With permission, both threads of the round trip are
 *            SCHED_FIFO, which leaves room for nobody. Huge pages would have one fault for 512.
 * Not shown: the cost of counting, and moves from CPU to CPU (perf/migrations). Events of the hardware, which are shown
 *            beside their rows.
 */
#define _GNU_SOURCE
#include "kernels/perf_events.h"

#include <pthread.h>
#include <sched.h>

enum { CONTEXT_SWITCHES, PAGE_FAULTS, CPU_CLOCK };
enum { PER_EVENT };

#define ROUND_TRIPS 1000
#define STRETCHES 20
#define STRETCH_NS 200000
/* A busy machine adds a switch now and then. So many looks in a row are not all spoilt. */
#define LOOKS 20
/* The clocks come from one counter by different factors: seen less than 20 parts in a million. */
#define CLOCKS_AGREE 1e-3

static const uint64_t configs[] = {
    [CONTEXT_SWITCHES] = PERF_COUNT_SW_CONTEXT_SWITCHES,
    [PAGE_FAULTS] = PERF_COUNT_SW_PAGE_FAULTS,
    [CPU_CLOCK] = PERF_COUNT_SW_CPU_CLOCK,
};

static const int64_t expected[] = {
    [CONTEXT_SWITCHES] = ROUND_TRIPS,
    [PAGE_FAULTS] = COUNTED_PAGES,
    [CPU_CLOCK] = STRETCHES,
};

struct look {
    int event;             /* -1: none */
    int there[2], back[2]; /* pipes, or -1 */
    int64_t found;
};

/* ---- round trips ---- */

/* The other thread: it answers until its pipe is closed. */
static void *answer(void *argument)
{
    const struct look *look = argument;
    char byte;

    while (read(look->there[0], &byte, 1) == 1)
        if (write(look->back[1], &byte, 1) != 1)
            break;
    return NULL;
}

static int round_trip(const struct look *look)
{
    char byte = 1;

    return write(look->there[1], &byte, 1) == 1 && read(look->back[0], &byte, 1) == 1;
}

static void close_ends(int ends[2])
{
    for (int i = 0; i < 2; i++) {
        if (ends[i] >= 0)
            close(ends[i]);
        ends[i] = -1;
    }
}

/* Of this thread, which the other one inherits its CPU and its policy from. */
static int64_t switches(struct trial *trial, struct look *look)
{
    int64_t found = -EIO;
    pthread_t partner;
    int whole, error;

    if (pipe2(look->there, O_CLOEXEC) || pipe2(look->back, O_CLOEXEC))
        return errno == EMFILE ? trial_needs(trial, "permission for more open files (ulimit -n)") : -errno;
    error = pthread_create(&partner, NULL, answer, look);
    if (error)
        return -error;
    whole = round_trip(look); /* from here on the partner waits for us */
    event_start(look->event);
    for (int i = 0; i < ROUND_TRIPS && whole; i++)
        whole = round_trip(look);
    if (whole)
        found = event_stop(look->event);
    close(look->there[1]); /* which ends the partner */
    look->there[1] = -1;
    pthread_join(partner, NULL);
    close_ends(look->there);
    close_ends(look->back);
    return found;
}

/* ---- page faults ---- */

/* The thread sanitizer keeps out: it notes each access in memory of its own, which then faults as well. */
static __attribute__((noinline, no_sanitize_thread)) int64_t faults(const struct look *look)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    volatile unsigned char *pages = private_pages(COUNTED_PAGES * page, 0);
    int64_t found;

    if (!pages)
        return -ENOMEM;
    event_start(look->event);
    for (size_t i = 0; i < COUNTED_PAGES; i++)
        pages[i * page] = 1;
    found = event_stop(look->event);
    munmap((void *)pages, COUNTED_PAGES * page);
    return found;
}

/* ---- the clock ---- */

/* Whether the count of one stretch lies where it must. -EAGAIN if others had the CPU meanwhile, since the clocks then end at different places
   of a switch. */
static int one_clock(const struct look *look)
{
    const struct thread_counts before = thread_counts();
    int64_t around_ns = -clock_ns(CLOCK_MONOTONIC_RAW), within_ns, found;
    struct thread_counts after;

    event_start(look->event);
    within_ns = -clock_ns(CLOCK_THREAD_CPUTIME_ID);
    spin_ns(STRETCH_NS);
    within_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID);
    found = event_stop(look->event);
    around_ns += clock_ns(CLOCK_MONOTONIC_RAW);
    after = thread_counts();
    if (after.voluntary != before.voluntary || after.involuntary != before.involuntary)
        return -EAGAIN;
    return found < 0 ? (int)found
                     : (double)found >= (double)within_ns * (1 - CLOCKS_AGREE) &&
                           (double)found <= (double)around_ns * (1 + CLOCKS_AGREE);
}

/* In how many stretches it lies where it must. */
static int64_t clocks(const struct look *look)
{
    int64_t right = 0;

    for (int i = 0, tries = 0; i < STRETCHES && tries < LOOKS * STRETCHES; tries++) {
        const int found = one_clock(look);

        if (found < 0 && found != -EAGAIN)
            return found;
        if (found >= 0) {
            right += found;
            i++;
        }
    }
    return right;
}

/* ---- the kernel ---- */

static int setup(struct trial *trial)
{
    struct look *look = trial_alloc(trial, sizeof *look);

    if (!look)
        return -ENOMEM;
    look->event = look->there[0] = look->there[1] = look->back[0] = look->back[1] = -1;
    if (trial->value[0] == CONTEXT_SWITCHES && (capabilities() & NEED_FIFO))
        return trial_schedule(trial, 0, &(struct schedule){.policy = SCHED_FIFO, .priority = 1});
    return 0;
}

static int64_t look_once(struct trial *trial, struct look *look)
{
    switch (trial->value[0]) {
    case CONTEXT_SWITCHES:
        return switches(trial, look);
    case PAGE_FAULTS:
        return faults(look);
    default:
        return clocks(look);
    }
}

static int work(struct worker *worker)
{
    struct trial *trial = worker->trial;
    struct look *look = trial->state;
    const int64_t kind = trial->value[0], wanted = expected[kind];

    look->event = event_open(PERF_TYPE_SOFTWARE, configs[kind], IN_LINUX_TOO);
    if (look->event < 0)
        return event_refused(trial, look->event);
    look->found = wanted + 1;
    for (int i = 0; i < LOOKS && look->found > wanted; i++)
        look->found = look_once(trial, look);
    return look->found < 0 ? (int)look->found : 0;
}

static int check(struct trial *trial)
{
    const struct look *look = trial->state;

    trial_count(trial, 0, look->found, expected[trial->value[0]]);
    trial->metric[PER_EVENT] = (double)look->found / (double)expected[trial->value[0]];
    return 0;
}

static void teardown(struct trial *trial)
{
    struct look *look = trial->state;

    if (!look)
        return;
    if (look->event >= 0)
        close(look->event);
    close_ends(look->there);
    close_ends(look->back);
}

/* Round trips of 8 us. */
static uint64_t cost_ns(const struct trial *trial)
{
    static const uint64_t costs_ns[] = {
        [CONTEXT_SWITCHES] = ROUND_TRIPS * 8000,
        [PAGE_FAULTS] = COUNTED_PAGES * 2700,
        [CPU_CLOCK] = STRETCHES * STRETCH_NS,
    };

    return costs_ns[trial->value[0]];
}

KERNEL(software,
    .name       = "perf/software",
    .summary    = "Linux counts an event for perf, of which there is a known number",
    .unit       = "look",
    .threads    = { .min = 1, .max = 1 },
    .parameters = { { .name = "event", .summary = "what is counted", .labels = "context_switches page_faults cpu_clock",
                      .initial = CONTEXT_SWITCHES, .quick = "page_faults", .standard = "*", .rigorous = "*" } },
    .metrics    = { [PER_EVENT] = { "counted_per_event", "1", "counted by Linux, for each that there was" } },
    .counts     = { { "counted", "events", "of those that must be; of the clock, stretches that it measured" } },
    .setup      = setup,
    .work       = work,
    .check      = check,
    .teardown   = teardown,
    .cost_ns    = cost_ns);
