/*
 * Facts about the machine that are needed before and beside the kernels. They are the tick counter's rate, quantum and
 * cost, the core clock, the rights of this process, and whether the hardware counters count. All are measured, and none
 * is looked up.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"

#if defined(HAS_X86_64)
#include <cpuid.h>
#endif

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

void spin_ns(uint64_t ns)
{
    const uint64_t end = now_ns() + ns;

    while (now_ns() < end)
        cpu_relax();
}

int die_with_parent(void)
{
    return prctl(PR_SET_PDEATHSIG, SIGKILL) ? -errno : 0;
}

static int compare_doubles(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;

    return (a > b) - (a < b);
}

int compare_int64(const void *left, const void *right)
{
    const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;

    return (a > b) - (a < b);
}

double median_of(double *values, size_t count)
{
    if (count == 0)
        return NAN;
    qsort(values, count, sizeof *values, compare_doubles);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* ---- the tick counter ---- */

/* Ticks and CLOCK_MONOTONIC_RAW at one moment: the tightest of several brackets, so that a gap in one of them does no harm. */
struct moment {
    double ticks, ns, uncertainty_ticks;
};

static struct moment take_moment(void)
{
    struct moment best = {0, 0, INFINITY};

    for (int i = 0; i < 16; i++) {
        const uint64_t before = tick_now();
        const uint64_t ns = clock_ns(CLOCK_MONOTONIC_RAW);
        const uint64_t after = tick_now();

        if ((double)(after - before) < best.uncertainty_ticks)
            best = (struct moment){(double)before + (double)(after - before) / 2, (double)ns, (double)(after - before)};
    }
    return best;
}

uint64_t read_ticks(void)
{
    return tick_now();
}

/* 8 ms between two brackets of some tens of nanoseconds: a rate good to about ten parts per million, at a fifth of a start-up. */
#define RATE_WINDOW_NS 8000000

static void measure_rate(struct clock_facts *facts)
{
    const struct moment first = take_moment();
    struct moment second;

    spin_ns(RATE_WINDOW_NS);
    second = take_moment();
    facts->tick_hz = (second.ticks - first.ticks) / (second.ns - first.ns) * 1e9;
    facts->tick_hz_error_ppm =
        (first.uncertainty_ticks + second.uncertainty_ticks) / 2 / (second.ticks - first.ticks) * 1e6;
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b) {
        const uint64_t rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

/* Enough differences for the gcd to have come down: each one halves the chance of a common factor that is not the step. */
#define QUANTUM_READS 4000

static uint64_t measure_quantum(void)
{
    uint64_t quantum = 0, last = tick_now();

    for (int i = 0; i < QUANTUM_READS; i++) {
        const uint64_t now = tick_now();

        quantum = gcd(quantum, now - last);
        last = now;
        for (int delay = 0; delay < i % 7; delay++)
            cpu_relax(); /* reads at one distance could share a multiple of the step */
    }
    return quantum ? quantum : 1;
}

static double measure_overhead(void)
{
    double windows[255];

    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        const uint64_t begin = tick_begin();

        windows[i] = (double)(tick_end() - begin);
    }
    return median_of(windows, sizeof windows / sizeof *windows);
}

const struct clock_facts *process_clock(void)
{
    static struct clock_facts facts;

    if (facts.tick_hz == 0) {
        facts.source = TICK_SOURCE;
        measure_rate(&facts);
        facts.quantum_ticks = measure_quantum();
        facts.overhead_ticks = measure_overhead();
    }
    return &facts;
}

void clock_measure(struct clock_facts *facts)
{
    *facts = *process_clock();
}

/* ---- the core clock ---- */

#if defined(HAS_CHAINS)

/* Instructions in a block: enough to hide the loop's own two, few enough to stay in the decoded-instruction cache. */
#define CHAIN_BLOCK 100
/* 20 us of each chain at 3 GHz: long against the counter's step, short enough to dodge most gaps. */
#define ADD_BLOCKS 600
#define MUL_BLOCKS 200
#define CHAIN_BATCHES 5

#define CHAIN_LOOP(name, instruction)                                                                                  \
    static __attribute__((noinline)) double name(unsigned blocks)                                                      \
    {                                                                                                                  \
        uint64_t x = 3;                                                                                                \
        const uint64_t begin = tick_begin();                                                                           \
        for (unsigned i = 0; i < blocks; i++)                                                                          \
            __asm__ volatile(".rept 100\n\t" instruction ".endr" : "+r"(x));                                           \
        return (double)(tick_end() - begin);                                                                           \
    }

CHAIN_LOOP(add_chain_ticks, ARCH_ADD)
CHAIN_LOOP(mul_chain_ticks, ARCH_MUL)

void probe_chains(double tick_hz, struct chains *chains)
{
    double add[CHAIN_BATCHES], mul[CHAIN_BATCHES];

    add_chain_ticks(10); /* brings the code into the caches */
    mul_chain_ticks(10);
    for (int i = 0; i < CHAIN_BATCHES; i++) { /* in turn, so that a change of frequency meets both */
        add[i] = add_chain_ticks(ADD_BLOCKS);
        mul[i] = mul_chain_ticks(MUL_BLOCKS);
    }
    chains->add_hz = ADD_BLOCKS * CHAIN_BLOCK * tick_hz / median_of(add, CHAIN_BATCHES);
    chains->mul_hz = MUL_BLOCKS * CHAIN_BLOCK * tick_hz / median_of(mul, CHAIN_BATCHES);
}

#else

void probe_chains(double tick_hz, struct chains *chains)
{
    (void)tick_hz;
    chains->add_hz = chains->mul_hz = NAN;
}

#endif

/* ---- capabilities ---- */

static int may_use_fifo(void)
{
    struct sched_param param = {.sched_priority = 1}, old_param;
    int old_policy;

    if (pthread_getschedparam(pthread_self(), &old_policy, &old_param))
        return 0;
    if (pthread_setschedparam(pthread_self(), SCHED_FIFO, &param))
        return 0;
    pthread_setschedparam(pthread_self(), old_policy, &old_param);
    return 1;
}

static int event_counts(const char *name);

static unsigned find_capabilities(void)
{
    unsigned found = 0;

#if defined(HAS_TICKS)
    found |= NEED_TICKS;
#endif
#if defined(HAS_X86_64)
    unsigned a, b, c, d;

    found |= NEED_X86_64;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & (1u << 14)))
        found |= NEED_SERIALIZE;
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f"))
        found |= NEED_AVX512;
#elif defined(HAS_AARCH64)
    found |= NEED_AARCH64;
#elif defined(HAS_RISCV64)
    found |= NEED_RISCV64;
#endif
    if (may_use_fifo())
        found |= NEED_FIFO;
    if (schedule_allowed(&(struct schedule){.policy = SCHED_OTHER, .nice = -1}))
        found |= NEED_NICE;
    /* A hundredth of a CPU: as little as leaves room for others that have reserved some. */
    if (schedule_allowed(&(struct schedule){.policy = SCHED_DEADLINE, .runtime_ns = 100000, .period_ns = 10000000}))
        found |= NEED_DEADLINE;
    if (event_counts("cycles"))
        found |= NEED_HARDWARE_PMU;
    if (dlsym(RTLD_DEFAULT, "PyGILState_Ensure"))
        found |= NEED_PYTHON;
    return found;
}

unsigned capabilities(void)
{
    /* Asked once, before any team exists: probing changes this thread's policy for a moment. */
    static int asked;
    static unsigned found;

    if (!asked) {
        found = find_capabilities();
        asked = 1;
    }
    return found;
}

const char *capability_text(unsigned bit)
{
    switch (bit) {
    case NEED_TICKS:
        return "a tick counter that user code can read";
    case NEED_X86_64:
        return "an x86-64 CPU";
    case NEED_SERIALIZE:
        return "an x86-64 CPU with the SERIALIZE instruction";
    case NEED_AVX512:
        return "an x86-64 CPU with AVX-512";
    case NEED_FIFO:
        return "permission for SCHED_FIFO (root, CAP_SYS_NICE or an rtprio limit)";
    case NEED_NICE:
        return "permission for negative nice values (root, CAP_SYS_NICE or a nice limit)";
    case NEED_DEADLINE:
        return "permission for SCHED_DEADLINE (root or CAP_SYS_NICE, and a cpuset with all its CPUs)";
    case NEED_HARDWARE_PMU:
        return "a hardware performance counter that opens and counts";
    case NEED_PYTHON:
        return "a Python interpreter in the measuring process";
    case NEED_AARCH64:
        return "an AArch64 CPU";
    case NEED_RISCV64:
        return "a 64-bit RISC-V CPU";
    }
    return "something unknown to this version";
}

/* ---- perf events ---- */

#define WORK_PAGES 64

void known_work(void)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    volatile unsigned char *pages =
        mmap(NULL, WORK_PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const struct timespec nap = {0, 1000000};
    uint64_t x = 88172645463325252u, sum = 0;

    for (int i = 0; i < KNOWN_ROUNDS; i++) {
        x ^= x << 13; /* Marsaglia's xorshift64: bits that a predictor cannot learn */
        x ^= x >> 7;
        x ^= x << 17;
        if (x & 1)
            __asm__ volatile("" : "+r"(sum)); /* an arm that the compiler cannot turn into a conditional move */
        else
            sum++;
    }
    OPAQUE(sum);
    if (pages != MAP_FAILED) {
        madvise((void *)pages, WORK_PAGES * page, MADV_NOHUGEPAGE); /* one fault a page, not one for all */
        for (size_t i = 0; i < WORK_PAGES; i++)
            pages[i * page]++; /* a load and a store, each of which has to find the page */
        munmap((void *)pages, WORK_PAGES * page);
    }
    nanosleep(&nap, NULL);
}

static const struct {
    const char *name;
    uint32_t type;
    uint64_t config;
    int64_t expect; /* what known_work() raises at least, by its own loop counts */
} perf_events[] = {
    {"cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, KNOWN_ROUNDS},
    {"instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS, KNOWN_ROUNDS},
    {"branches", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_INSTRUCTIONS, KNOWN_ROUNDS},
    {"branch-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES, KNOWN_ROUNDS / 10},
    {"cache-references", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_REFERENCES, 1},
    {"cache-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES, 1},
    {"task-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK, 1},
    {"page-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS, WORK_PAGES},
    {"context-switches", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES, 1},
    {"cpu-migrations", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS, 0},
};

/* A counter of the calling thread, stopped. -1 with errno if there is none. */
static int event_open(uint32_t type, uint64_t config)
{
    struct perf_event_attr attributes = {
        .type = type,
        .size = sizeof attributes,
        .config = config,
        .disabled = 1,
        .exclude_kernel = type == PERF_TYPE_HARDWARE, /* all that perf_event_paranoid = 2 grants */
        .exclude_hv = 1,
    };

    return (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

#define PERF_EVENTS (sizeof perf_events / sizeof *perf_events)

static struct perf_fact probe_event(size_t event)
{
    struct perf_fact fact = {perf_events[event].name, perf_events[event].type == PERF_TYPE_HARDWARE, 0, 0,
                             perf_events[event].expect};
    const int fd = event_open(perf_events[event].type, perf_events[event].config);

    if (fd < 0) {
        fact.error = errno;
        return fact;
    }
    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
    known_work();
    ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
    if (read(fd, &fact.count, sizeof fact.count) != (ssize_t)sizeof fact.count)
        fact.error = EIO;
    close(fd);
    return fact;
}

unsigned perf_probe(struct perf_fact *facts, unsigned capacity)
{
    unsigned count = 0;

    for (; count < PERF_EVENTS && count < capacity; count++)
        facts[count] = probe_event(count);
    return count;
}

/*
 * Opened and raised by what should raise it: on some guests hardware counters open and then read 0. Only the event asked for is tried,
 * and once a process: the known work of all ten takes 10 ms, and every worker asks.
 */
static int event_counts(const char *name)
{
    static struct {
        int known, counts;
    } found[PERF_EVENTS];

    for (size_t event = 0; event < PERF_EVENTS; event++)
        if (strcmp(perf_events[event].name, name) == 0) {
            if (!found[event].known) {
                const struct perf_fact fact = probe_event(event);

                found[event].counts = fact.error == 0 && fact.count >= fact.expect;
                found[event].known = 1;
            }
            return found[event].counts;
        }
    return 0;
}

int branch_misses_open(void)
{
    const int fd = event_counts("branch-misses") ? event_open(PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES) : 0;

    if (fd <= 0)
        return 0;
    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
    return fd;
}

double branch_misses(const struct trial *trial)
{
    int64_t misses;

    if (trial->miss_counter == 0 || read(trial->miss_counter, &misses, sizeof misses) != (ssize_t)sizeof misses)
        return NAN;
    return (double)misses;
}
