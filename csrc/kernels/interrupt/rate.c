/*
 * interrupt/rate: what interrupts a thread, how often, and does it do so by itself?
 *
 * A thread spins in windows of WINDOW_MS, in turn of three kinds. Linux counts the interrupts of its CPU meanwhile.
 *   spin   it reads the tick counter, and notes where it did not run for more than 1 us: the control of both others
 *   calls  it makes system calls: getppid by the instruction of libc's syscall()
 *   timer  it spins beside a timer of 1 kHz
 * One operation is one turn of three windows. Nothing of it is timed: interrupts are counted.
 * Excluded:  reading the counts, some 100 us between two windows.
 * Expect:    guest of an AMD EPYC, Linux 6.18 with HZ=250: 250 timer interrupts a second while it spins. The same with
 *            calls, 1000 more with the timer. Of 1620 gaps a second at most 16 % have an interrupt that could have
 *            caused them.
 * Hazards:   a timer in a file is armed anew only when it is read. It is read four times a millisecond. Interrupts of
 *            devices come to a CPU as they are routed. A hypervisor that runs somebody else leaves no count in the
 *            guest.
 * Not shown: which gap had which cause (interrupt/cause). Softirqs are counted, and not timed.
 */
#define _GNU_SOURCE
#include "kernels/interrupts.h"
#include "kernels/system.h"

#include <sys/syscall.h>
#include <sys/timerfd.h>

enum { SPIN, CALLS, TIMER, KINDS };
enum {
    TIMER_PER_S,
    ALL_PER_S,
    SOFTIRQS_PER_S,
    ADDED_BY_CALLS,
    ADDED_PER_CALL,
    ADDED_BY_TIMER,
    GAPS_PER_S,
    EXPLAINED_PCT
};

#define WINDOW_MS 10
#define TURNS 3
#define TIMER_HZ 1000
#define GAP_SECONDS 1e-6 /* as of noise/gaps */
/* Read so often, the timer is armed anew before its next time. */
#define READS_A_MS 4

/* Of all windows of a kind. */
struct seen {
    double seconds;
    int64_t timer, all, softirqs; /* -1: Linux does not say */
    uint64_t calls, gaps;
};

struct rates {
    struct seen seen[KINDS];
    int timer; /* -1: none */
    uint64_t failed;
    int64_t sound; /* windows in which no count went back */
};

static void look_for_gaps(struct trial *trial, struct seen *seen, uint64_t end, int timer)
{
    const uint64_t limit = (uint64_t)(trial->tick_hz * GAP_SECONDS);
    const uint64_t read_every = (uint64_t)(trial->tick_hz / 1e3 / READS_A_MS);
    uint64_t last = tick_now(), next = last + read_every, expired;

    while (last < end) {
        const uint64_t now = tick_now();

        seen->gaps += now - last > limit;
        last = now;
        if (timer >= 0 && now > next) {
            (void)!read(timer, &expired, sizeof expired);
            last = tick_now(); /* the reading is no gap */
            next = last + read_every;
        }
    }
}

static void make_calls(struct rates *rates, struct seen *seen, uint64_t end)
{
    while (tick_now() < end) {
        rates->failed += syscall(SYS_getppid) <= 0;
        seen->calls++;
    }
}

/* 0 or -errno. */
static int set_timer(struct rates *rates, int on)
{
    const long period_ns = on ? 1000000000 / TIMER_HZ : 0;
    /* From the middle on: a window then has as many as its length says, and none at its ends. */
    const struct itimerspec every = {.it_interval = {0, period_ns}, .it_value = {0, period_ns / 2}};

    return timerfd_settime(rates->timer, 0, &every, NULL) ? -errno : 0;
}

static void add(int64_t *sum, int64_t before, int64_t after)
{
    *sum = before < 0 || after < 0 || *sum < 0 ? -1 : *sum + after - before;
}

static int window(struct trial *trial, int kind)
{
    struct rates *rates = trial->state;
    struct seen *seen = &rates->seen[kind];
    const int cpu = trial->cpus[0];
    const struct interrupts soft_before = interrupts_of("/proc/softirqs", cpu, "TIMER:");
    const struct interrupts before = interrupts_of("/proc/interrupts", cpu, "LOC:");
    struct interrupts after, soft_after;
    const uint64_t begin = tick_now();
    const uint64_t end = begin + (uint64_t)(trial->tick_hz * WINDOW_MS / 1e3);
    int status = kind == TIMER ? set_timer(rates, 1) : 0;

    if (kind == CALLS)
        make_calls(rates, seen, end);
    else
        look_for_gaps(trial, seen, end, kind == TIMER ? rates->timer : -1);
    if (kind == TIMER && !status)
        status = set_timer(rates, 0);
    seen->seconds += (double)(tick_now() - begin) / trial->tick_hz;
    after = interrupts_of("/proc/interrupts", cpu, "LOC:");
    soft_after = interrupts_of("/proc/softirqs", cpu, "TIMER:");
    rates->sound += after.all >= before.all && before.all >= 0 && soft_after.all >= soft_before.all;
    add(&seen->timer, before.named, after.named);
    add(&seen->all, before.all, after.all);
    add(&seen->softirqs, soft_before.all, soft_after.all);
    return status;
}

static int setup(struct trial *trial)
{
    struct rates *rates = trial_alloc(trial, sizeof *rates);

    if (!rates)
        return -ENOMEM;
    rates->timer = -1;
    rates->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (rates->timer < 0)
        return -errno;
    errno = 0; /* where the file has no such CPU */
    if (interrupts_of("/proc/interrupts", trial->cpus[0], "LOC:").all < 0)
        return errno == EMFILE || errno == ENFILE ? -errno
                                                  : trial_needs(trial, "/proc/interrupts with a column for this CPU");
    return 0;
}

static int work(struct worker *worker)
{
    int status = 0;

    for (int i = 0; i < TURNS * KINDS && !status; i++)
        status = window(worker->trial, i % KINDS);
    return status;
}

static double per_s(const struct seen *seen, int64_t count)
{
    return count < 0 ? NAN : (double)count / seen->seconds;
}

/* Calls were made, all of them right, and every window was as long as it had to be. */
static int check(struct trial *trial)
{
    const struct rates *rates = trial->state;
    const struct seen *spin = &rates->seen[SPIN], *calls = &rates->seen[CALLS], *timer = &rates->seen[TIMER];

    if (rates->failed || !calls->calls)
        return trial_fault(trial, "%" PRIu64 " of %" PRIu64 " system calls failed", rates->failed, calls->calls);
    for (int kind = 0; kind < KINDS; kind++)
        if (rates->seen[kind].seconds < 1e-3 * TURNS * WINDOW_MS)
            return trial_fault(trial, "windows of %g s in place of %g", rates->seen[kind].seconds,
                               1e-3 * TURNS * WINDOW_MS);
    trial_count(trial, 0, rates->sound, (int64_t)TURNS * KINDS);
    trial->metric[TIMER_PER_S] = per_s(spin, spin->timer);
    trial->metric[ALL_PER_S] = per_s(spin, spin->all);
    trial->metric[SOFTIRQS_PER_S] = per_s(spin, spin->softirqs);
    trial->metric[ADDED_BY_CALLS] = per_s(calls, calls->all) - per_s(spin, spin->all);
    trial->metric[ADDED_PER_CALL] = trial->metric[ADDED_BY_CALLS] * calls->seconds / (double)calls->calls;
    trial->metric[ADDED_BY_TIMER] = per_s(timer, timer->all) - per_s(spin, spin->all);
    trial->metric[GAPS_PER_S] = (double)spin->gaps / spin->seconds;
    trial->metric[EXPLAINED_PCT] = spin->gaps ? fmin(100, 100.0 * (double)spin->all / (double)spin->gaps) : NAN;
    return 0;
}

static void teardown(struct trial *trial)
{
    const struct rates *rates = trial->state;

    if (rates && rates->timer >= 0)
        close(rates->timer);
}

static uint64_t cost_ns(const struct trial *trial)
{
    (void)trial;
    return TURNS * KINDS * (WINDOW_MS * UINT64_C(1000000) + 400000);
}

KERNEL(rate,
    .name     = "interrupt/rate",
    .summary  = "a thread spins, makes system calls, or spins beside a timer, and Linux counts the interrupts of its CPU",
    .unit     = "turn",
    .threads  = { .min = 1, .max = 1 },
    .metrics  = { [TIMER_PER_S]    = { "timer_per_s", "1/s", "interrupts of the CPU's own timer, while it spins" },
                  [ALL_PER_S]      = { "all_per_s", "1/s", "interrupts of all sources, while it spins" },
                  [SOFTIRQS_PER_S] = { "softirqs_per_s", "1/s", "softirqs of all kinds, while it spins" },
                  [ADDED_BY_CALLS] = { "added_by_calls", "1/s", "interrupts more while it makes system calls" },
                  [ADDED_PER_CALL] = { "added_per_call", "per call", "the same for one system call" },
                  [ADDED_BY_TIMER] = { "added_by_timer", "1/s", "interrupts more beside a timer of 1 kHz" },
                  [GAPS_PER_S]     = { "gaps_per_s", "1/s", "stretches of more than 1 us in which it did not run, while it spins" },
                  [EXPLAINED_PCT]  = { "explained_pct", "%", "of these: as many at most can be interrupts" } },
    .counts   = { { "windows", "windows", "in which Linux counted on, and never back" } },
    .setup    = setup,
    .work     = work,
    .check    = check,
    .teardown = teardown,
    .cost_ns  = cost_ns);
