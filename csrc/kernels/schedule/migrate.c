/*
 * schedule/migrate: what does it cost a thread to be moved to another CPU, by the memory that it uses?
 *
 * The thread has just written to `touched` bytes on its CPU. One event is a sched_setaffinity to another CPU and one
 * dependent load of each line there, less its control. The control is a sched_setaffinity to the present CPU, and the
 * same loads. Lines are in random order. Afterwards the thread goes back.
 *   other    the other CPU of the case
 *   sibling  another hyperthread of the same core, which has the same caches
 *   node     a CPU of another node
 * Excluded:  going back, and writing. The written lines are in the first CPU's caches alone, however often the thread
 *            was on the other.
 * Expect:    guest of an AMD EPYC, Linux 6.18: the hop itself 42 to 91 us, and 2 to 7 to the same CPU. The lines add
 *            little beside it until they are some MiB.
 * Hazards:   most of a hop is waking one of Linux's own threads on the CPU that is left, and an interrupt. In a guest
 *            that is an exit.
 * Not shown: moves that the scheduler makes by itself, whose thread waits anyway.
 */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <stdatomic.h>

#include "kernels/cpus.h"
#include "kernels/memory_nodes.h"
#include "kernels/random.h"

enum { TO, TOUCHED };
enum { OTHER, SIBLING, NODE };
enum { HOP_NS, STAY_NS, LOADS_HOP_NS, LOADS_STAY_NS, FOOTPRINT };
enum { THERE, WHOLE };

#define LINE_BYTES 64
#define MAX_TOUCHED ((int64_t)256 << 20)
#define PAIRS_A_BATCH 3
#define BATCHES 4
#define PAIRS (PAIRS_A_BATCH * BATCHES)

struct line {
    struct line *next;
    uint64_t written;
    char unused[LINE_BYTES - sizeof(void *) - sizeof(uint64_t)];
};

struct desk {
    _Alignas(64) _Atomic uint32_t over; /* so many halves of pairs: the other worker sleeps until this changes */
    uint32_t slept;                     /* through so many of them, as the other worker knows */
    _Alignas(64) uint64_t lines;
    struct line *first;
    int cpus[2]; /* on which it is, and to which it goes */
    int64_t there, whole, halves[2];
    double call_ns[2][PAIRS], loads_ns[2][PAIRS];
};

/* All lines are this CPU's alone afterwards. */
static void write_lines(struct desk *desk)
{
    struct line *line = desk->first;

    for (uint64_t i = 0; i < desk->lines; i++, line = line->next)
        line->written++;
}

/* Where the walk of so many steps ends: at its begin, if the lines are one cycle. */
static struct line *load_lines(const struct desk *desk)
{
    struct line *line = desk->first;

    for (uint64_t i = 0; i < desk->lines; i++) {
        line = line->next;
        OPAQUE(line);
    }
    return line;
}

/* One half of a pair: with a hop, or without. */
static int64_t half(struct worker *worker, int64_t *ticks, int hop)
{
    struct trial *trial = worker->trial;
    struct desk *desk = trial->state;
    const int to = desk->cpus[hop];
    uint64_t begin, moved, end;
    int status;

    write_lines(desk);
    begin = tick_begin();
    status = run_on(&to, 1);
    moved = tick_end();
    desk->whole += load_lines(desk) == desk->first;
    end = tick_end();
    desk->there += sched_getcpu() == to;
    if (!status)
        status = run_on(&desk->cpus[0], 1);
    if (desk->halves[hop] < PAIRS) {
        desk->call_ns[hop][desk->halves[hop]] = net_ticks(trial, begin, moved) / trial->tick_hz * 1e9;
        desk->loads_ns[hop][desk->halves[hop]] = (double)(end - moved) / trial->tick_hz * 1e9;
    }
    desk->halves[hop]++;
    *ticks = llround(net_ticks(trial, begin, end));
    return status ? status : 1;
}

/* The other worker leaves its CPU to the thread that comes. */
static void sleep_through(struct desk *desk)
{
    /* Relaxed, as the store below: the futex call looks at the word by itself, and nothing comes with it. */
    while (atomic_load_explicit(&desk->over, memory_order_relaxed) == desk->slept)
        syscall(SYS_futex, &desk->over, FUTEX_WAIT_PRIVATE, desk->slept, NULL, NULL, 0);
    desk->slept++;
}

static int64_t either(struct worker *worker, int64_t *ticks, int hop)
{
    struct desk *desk = worker->trial->state;
    int64_t status;

    if (worker->index) {
        sleep_through(desk);
        return 0;
    }
    status = half(worker, ticks, hop);
    atomic_fetch_add_explicit(&desk->over, 1, memory_order_relaxed);
    syscall(SYS_futex, &desk->over, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    return status;
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    (void)count; /* 1 */
    return either(worker, ticks, 1);
}

static int64_t control(struct worker *worker, int64_t *ticks, uint64_t count)
{
    (void)count;
    return either(worker, ticks, 0);
}

/* One cycle through all lines, in random order: Sattolo's shuffle. */
static void link_lines(struct line *lines, uint64_t count)
{
    uint64_t state = fresh_seed();

    for (uint64_t i = 0; i < count; i++)
        lines[i].next = &lines[i];
    for (uint64_t i = count; i-- > 1;) {
        const uint64_t j = next_random(&state) % i;
        struct line *next = lines[i].next;

        lines[i].next = lines[j].next;
        lines[j].next = next;
    }
}

/* Whether a thread on CPU `from` goes to such a CPU when it goes to `cpu`. */
static int is_such(int64_t to, int from, int cpu)
{
    char path[96], list[256];

    if (cpu == from)
        return 0;
    if (to == NODE)
        return node_of(cpu) != node_of(from);
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", from);
    return procfs_text(path, list, sizeof list) > 0 && in_list(list, cpu, NULL);
}

/* A CPU to go to, or -1. Siblings and other nodes are looked for among all CPUs: a case has the best two, which they may not be. */
static int target(struct trial *trial)
{
    const int from = trial->cpus[0];
    const long count = sysconf(_SC_NPROCESSORS_CONF);

    if (trial->value[TO] == OTHER)
        return trial->cpus[1] == from ? -1 : trial->cpus[1];
    for (int cpu = 0; cpu < count; cpu++)
        if (is_such(trial->value[TO], from, cpu) && run_on(&cpu, 1) == 0) {
            run_on(&from, 1);
            return cpu;
        }
    return -1;
}

static int setup(struct trial *trial)
{
    static const char *const needs[] = {[OTHER] = "two CPUs",
                                        [SIBLING] = "a core with two hyperthreads that may be used",
                                        [NODE] = "a second node with CPUs that may be used"};
    const int to = target(trial);
    const int64_t touched = trial->value[TOUCHED];
    struct desk *desk;

    if (touched < 0 || touched > MAX_TOUCHED || touched % LINE_BYTES) {
        trial_fault(trial, "touched=%" PRId64 " is not a number of lines of 64 bytes, up to 256 MiB", touched);
        return -EINVAL;
    }
    if (to < 0)
        return trial_needs(trial, needs[trial->value[TO]]);
    desk = trial_alloc(trial, sizeof *desk);
    if (!desk)
        return -ENOMEM;
    desk->cpus[0] = trial->cpus[0];
    desk->cpus[1] = to;
    desk->lines = (uint64_t)touched / LINE_BYTES;
    if (desk->lines) {
        desk->first = trial_alloc_pages(trial, (size_t)touched, 1);
        if (!desk->first)
            return -ENOMEM;
        link_lines(desk->first, desk->lines);
    }
    return 0;
}

/* The first line that was not written once in each half, or -1. A shorter cycle leaves lines out. */
static int64_t line_left_out(const struct desk *desk)
{
    const uint64_t halves = (uint64_t)(desk->halves[0] + desk->halves[1]);
    const struct line *lines = desk->first;

    for (uint64_t i = 0; i < desk->lines; i++)
        if (lines[i].written != halves)
            return (int64_t)i;
    return -1;
}

/* Each half was where it had to be, and came back to its first line after all others. */
static int check(struct trial *trial)
{
    struct desk *desk = trial->state;
    const size_t kept = (size_t)(desk->halves[0] < PAIRS ? desk->halves[0] : PAIRS);
    const int64_t left_out = line_left_out(desk);

    if (desk->halves[0] != desk->halves[1] || desk->halves[0] == 0)
        return trial_fault(trial, "%" PRId64 " hops and %" PRId64 " without one", desk->halves[1], desk->halves[0]);
    if (left_out >= 0)
        return trial_fault(trial, "line %" PRId64 " was left out of a walk", left_out);
    trial_count(trial, THERE, desk->there, desk->halves[0] + desk->halves[1]);
    trial_count(trial, WHOLE, desk->whole, desk->halves[0] + desk->halves[1]);
    trial->metric[HOP_NS] = median_of(desk->call_ns[1], kept);
    trial->metric[STAY_NS] = median_of(desk->call_ns[0], kept);
    trial->metric[LOADS_HOP_NS] = median_of(desk->loads_ns[1], kept);
    trial->metric[LOADS_STAY_NS] = median_of(desk->loads_ns[0], kept);
    trial->metric[FOOTPRINT] = (double)trial->value[TOUCHED];
    return 0;
}

/* A hop there and back takes 0.2 ms, and a line 20 ns, three times a half. */
static uint64_t cost_ns(const struct trial *trial)
{
    const uint64_t lines = (uint64_t)trial->value[TOUCHED] / LINE_BYTES;

    return PAIRS * (400000 + 6 * 20 * lines) + 50 * lines;
}

KERNEL(migrate,
    .name             = "schedule/migrate",
    .summary          = "a thread goes to another CPU and loads what it has written before, less the same without going",
    .unit             = "hop",
    .threads          = { .min = 2, .max = 2 },
    .place            = PLACE_ANY,
    .subject          = FLAG_MIGRATED | FLAG_SWITCHED,
    .parameters       = {
        [TO]      = { .name = "to", .summary = "which CPU it goes to", .labels = "other sibling node", .initial = OTHER,
                      .quick = "other", .standard = "other", .rigorous = "*" },
        [TOUCHED] = { .name = "touched", .unit = "bytes", .summary = "memory that it has written and loads again",
                      .initial = 0, .quick = "0", .standard = "0 256KiB",
                      .rigorous = "0 4KiB 32KiB 128KiB 256KiB 512KiB 1MiB 2MiB 4MiB 8MiB" },
    },
    .metrics          = { [HOP_NS]        = { "hop_ns", "ns", "the call that moves it" },
                          [STAY_NS]       = { "stay_ns", "ns", "the same call to the CPU where it is" },
                          [LOADS_HOP_NS]  = { "loads_hop_ns", "ns", "the loads after a hop" },
                          [LOADS_STAY_NS] = { "loads_stay_ns", "ns", "the loads without one" },
                          [FOOTPRINT]     = { "footprint_bytes", "bytes", "memory of the thread" } },
    .counts           = { [THERE] = { "there", "calls", "after which the thread was on the CPU that it named" },
                          [WHOLE] = { "whole", "walks", "that came back to the first line after all others" } },
    .flags            = KERNEL_TWIN,
    .setup            = setup,
    .events           = events,
    .control          = control,
    .events_per_batch = PAIRS_A_BATCH,
    .batches          = BATCHES,
    .check            = check,
    .cost_ns          = cost_ns);
