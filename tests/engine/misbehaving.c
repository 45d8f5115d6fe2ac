/* Kernels for test_engine.py: one does as it should, the others each fail in a way of their own. */
#define _GNU_SOURCE
#include "kernel.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static int fine(struct trial *trial)
{
    (void)trial;
    return 0;
}
static void spin(struct worker *worker, uint64_t n)
{
    (void)worker;
    for (uint64_t i = 0; i < n; i++)
        __asm__ volatile("");
}

KERNEL(good, .name = "test/good", .summary = "s", .unit = "u", .threads = {1, 2}, .run = spin, .check = fine)

static int wrong(struct trial *trial)
{
    return trial_fault(trial, "two and two are %d", 5);
}
KERNEL(wrong, .name = "test/wrong", .summary = "s", .unit = "u", .threads = {1, 1}, .run = spin, .check = wrong)

static int error(struct trial *trial)
{
    (void)trial;
    return -EIO;
}
KERNEL(error, .name = "test/error", .summary = "s", .unit = "u", .threads = {1, 1}, .setup = error, .run = spin,
       .check = fine)

static int lacking(struct trial *trial)
{
    return trial_needs(trial, "a unicorn");
}
KERNEL(lacking, .name = "test/lacking", .summary = "s", .unit = "u", .threads = {1, 1}, .setup = lacking, .run = spin,
       .check = fine)

KERNEL(arch, .name = "test/foreign", .summary = "s", .unit = "u", .threads = {1, 1}, .run = spin, .check = fine,
       .needs = NEED_X86_64 | NEED_AARCH64)

static int buffer(struct trial *trial)
{
    return trial_alloc(trial, 100) ? 0 : -ENOMEM;
}
static void past(struct worker *worker, uint64_t n)
{
    spin(worker, n);
    ((volatile char *)worker->trial->state)[100] = 1;
}
static void before(struct worker *worker, uint64_t n)
{
    spin(worker, n);
    ((volatile char *)worker->trial->state)[-1] = 1;
}
static void within(struct worker *worker, uint64_t n)
{
    spin(worker, n);
    ((volatile char *)worker->trial->state)[99] = 1;
}
KERNEL(past, .name = "test/past", .summary = "s", .unit = "u", .threads = {1, 1}, .setup = buffer, .run = past,
       .check = fine)
KERNEL(before, .name = "test/before", .summary = "s", .unit = "u", .threads = {1, 1}, .setup = buffer, .run = before,
       .check = fine)
KERNEL(within, .name = "test/within", .summary = "s", .unit = "u", .threads = {1, 1}, .setup = buffer, .run = within,
       .check = fine)

static int untouched(struct trial *trial)
{
    const unsigned char *bytes = trial_alloc(trial, 10000), *huge = trial_alloc_pages(trial, 3 << 20, 1);
    if (!bytes || !huge || trial->state != bytes || (uintptr_t)bytes % 4096 || (uintptr_t)huge % (2 << 20))
        return trial_fault(trial, "badly placed");
    for (int i = 0; i < 10000; i++)
        if (bytes[i] || huge[300 * i])
            return trial_fault(trial, "not zeroed");
    return 0;
}
KERNEL(memory, .name = "test/memory", .summary = "s", .unit = "u", .threads = {1, 1}, .setup = untouched, .run = spin,
       .check = fine)

/* 128 MiB on huge pages: found zero, left dirty; where they lay is said. */
static int large(struct trial *trial)
{
    const size_t bytes = (size_t)128 << 20;
    unsigned char *data = trial_alloc_pages(trial, bytes, 1);
    if (!data)
        return -ENOMEM;
    for (size_t i = 0; i < bytes; i += 4096)
        if (data[i + i / 4096 % 4096])
            return trial_fault(trial, "not zeroed");
    memset(data, 0x77, bytes);
    trial->metric[0] = (double)(uintptr_t)data;
    return 0;
}
KERNEL(large, .name = "test/large", .summary = "s", .unit = "u", .threads = {1, 1}, .setup = large, .run = spin,
       .check = fine, .metrics = {{"where", "1", "s"}})

static void fault(struct worker *worker, uint64_t n)
{
    volatile char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page[0] = 1;
    munmap((void *)page, 4096);
    spin(worker, n);
}
KERNEL(fault, .name = "test/fault", .summary = "s", .unit = "u", .threads = {1, 1}, .run = fault, .check = fine)

static void nap(struct worker *worker, uint64_t n)
{
    const struct timespec moment = {0, 100000};
    nanosleep(&moment, NULL);
    spin(worker, n);
}
KERNEL(nap, .name = "test/nap", .summary = "s", .unit = "u", .threads = {1, 1}, .run = nap, .check = fine)

/* Leaves for another CPU in each window, where it may. It comes back in the next: neither window began and ended where it was asked for. */
static void hop(struct worker *worker, uint64_t n)
{
    static cpu_set_t all;
    cpu_set_t one;
    int cpu;

    if (CPU_COUNT(&all) == 0)
        sched_getaffinity(getpid(), sizeof all, &all); /* of the main thread: the whole mask */
    for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &all) && cpu != sched_getcpu())
            break;
    CPU_ZERO(&one);
    CPU_SET(cpu < CPU_SETSIZE ? cpu : worker->cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
    spin(worker, n);
}
KERNEL(hop, .name = "test/hop", .summary = "s", .unit = "u", .threads = {1, 1}, .run = hop, .check = fine)

/* All three at once, as a subject of one, of two, and of all. */
static void restless(struct worker *worker, uint64_t n)
{
    fault(worker, n);
    nap(worker, 0);
    hop(worker, 0);
}
KERNEL(about_faults, .name = "test/about_faults", .summary = "s", .unit = "u", .threads = {1, 1},
       .subject = FLAG_FAULTED, .run = restless, .check = fine)
KERNEL(about_hops, .name = "test/about_hops", .summary = "s", .unit = "u", .threads = {1, 1},
       .subject = FLAG_SWITCHED | FLAG_MIGRATED, .run = restless, .check = fine)
KERNEL(about_all, .name = "test/about_all", .summary = "s", .unit = "u", .threads = {1, 1},
       .subject = FLAG_FAULTED | FLAG_SWITCHED | FLAG_MIGRATED, .run = restless, .check = fine)

/* An event that sleeps, and touches a page. */
static int64_t uneasy(struct worker *worker, int64_t *ticks, uint64_t count)
{
    nap(worker, 0);
    fault(worker, 0);
    ticks[0] = 1;
    return (int64_t)(count > 0);
}
KERNEL(uneasy, .name = "test/uneasy", .summary = "s", .unit = "u", .threads = {1, 1}, .events = uneasy,
       .events_per_batch = 1, .check = fine)

static int thirteen(struct trial *trial)
{
    trial->granule = 13;
    return 0;
}
static int total_seen(struct trial *trial)
{
    trial->metric[0] = 42;
    return 0;
}
KERNEL(granule, .name = "test/granule", .summary = "s", .unit = "u", .threads = {1, 1}, .setup = thirteen, .run = spin,
       .check = total_seen, .metrics = {{"answer", "1", "s"}, {"unset", "1", "s"}})

static int special(struct trial *trial)
{
    trial->run = spin;
    return 0;
}
static void never(struct worker *worker, uint64_t n)
{
    (void)worker;
    (void)n;
    abort();
}
KERNEL(special, .name = "test/special", .summary = "s", .unit = "u", .threads = {1, 1}, .setup = special, .run = never,
       .check = fine)

struct pair {
    _Atomic uint64_t count;
};
static int pair_setup(struct trial *trial)
{
    return trial_alloc(trial, sizeof(struct pair)) ? 0 : -ENOMEM;
}
static void pair_run(struct worker *worker, uint64_t n)
{
    struct pair *pair = worker->trial->state;
    for (uint64_t i = 0; i < n; i++)
        atomic_fetch_add(&pair->count, 1);
}
static int pair_check(struct trial *trial)
{
    trial->metric[0] = (double)((struct pair *)trial->state)->count;
    return 0;
}
KERNEL(pair, .name = "test/pair", .summary = "s", .unit = "u", .threads = {1, 2}, .setup = pair_setup, .run = pair_run,
       .check = pair_check, .metrics = {{"count", "1", "s"}})

/* Worker 1 fails in the third control, while worker 0 goes on to the next operation, which begins with a meeting. */
static int64_t meeting(struct worker *worker, int64_t *ticks, uint64_t count)
{
    (void)count;
    team_start(worker);
    if (ticks)
        *ticks = 1;
    return 1;
}
static int64_t fails_third(struct worker *worker, int64_t *ticks, uint64_t count)
{
    int *calls = worker->trial->state;
    (void)count;
    if (ticks)
        *ticks = 1;
    return worker->index == 1 && ++*calls == 3 ? -EDOM : 1;
}
KERNEL(broken_control, .name = "test/broken_control", .summary = "s", .unit = "u", .threads = {2, 2}, .setup = buffer,
       .events = meeting, .control = fails_third, .events_per_batch = 10, .check = fine)

/* Events with given values: the test fills test_values. */
int64_t test_values[20000];
uint64_t test_count;
static uint64_t given_so_far;
static int64_t given(struct worker *worker, int64_t *ticks, uint64_t count)
{
    uint64_t n = 0;
    (void)worker;
    while (n < count && given_so_far < test_count)
        ticks[n++] = test_values[given_so_far++];
    return (int64_t)n;
}
static int rewind_values(struct trial *trial)
{
    (void)trial;
    given_so_far = 0;
    return 0;
}
KERNEL(given, .name = "test/given", .summary = "s", .unit = "u", .threads = {1, 1}, .setup = rewind_values,
       .events = given, .events_per_batch = 1000, .batches = 20, .check = fine)

static int64_t broken(struct worker *worker, int64_t *ticks, uint64_t count)
{
    (void)worker;
    (void)ticks;
    (void)count;
    return -EDOM;
}
KERNEL(broken, .name = "test/broken", .summary = "s", .unit = "u", .threads = {1, 2}, .events = broken,
       .events_per_batch = 1, .check = fine)

KERNEL(labels, .name = "test/labels", .summary = "s", .unit = "u", .threads = {1, 1}, .run = spin, .check = fine,
       .parameters = {{"kind", "", "s", "one two", 0, "*", "*", "*"}})
