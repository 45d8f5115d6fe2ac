/*
 * memory/shootdown: what does a change of the address space cost because the process also runs on another CPU?
 *
 * A CPU keeps translations of addresses (its TLB). A CPU that takes a page away must make sure that no other CPU still
 * uses the old one. On x86-64 it interrupts the other CPUs for it and waits, which is called a shootdown. One event is
 * one turn of calls of memory/map, on a mapping of one page, less its control. Beside the operation a thread of this
 * process spins on the other CPU. Beside the control a separate process spins there instead. The CPU is as busy and as
 * awake, but knows nothing of this address space.
 *   untouched  mmap and munmap: no page was there, nobody can have a translation, and the difference must be 0
 *   touched    mmap, a write to the page, and munmap
 *   mprotect   the page is made read-only and writable again, and written to
 *   dontneed   madvise(MADV_DONTNEED) gives the page back, which is then written to again
 * Excluded:  making the mapping, waking the spinner, and waiting until it spins. A turn during which it lost its CPU is
 *            made anew.
 * Expect:    guest of an AMD EPYC, Linux 6.18, ns a turn: untouched 0, touched and dontneed 16000, mprotect 16000 for
 *            each of its shootdowns. On bare metal 1000 to 3000 [K]. Arm tells all CPUs by an instruction, without an
 *            interrupt.
 * Hazards:   in a guest the interrupt leaves the guest twice. The metric shootdowns_per_turn is the count of
 *            /proc/interrupts for the other CPU beside the operation, and control_shootdowns beside the control. Both
 *            are known only on x86-64. A CPU that broadcasts has none.
 * Not shown: more than one other CPU, sleeping ones (which learn of it when they wake up), many pages at once.
 */
#define _GNU_SOURCE
#include "kernels/interrupts.h"
#include "kernels/memory/calls.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>

enum { SHOOTDOWNS, CONTROL_SHOOTDOWNS };

/* Who has the other CPU. */
enum { NOBODY, THREAD, PROCESS, LEAVE };

/* So often it has gone round its loop before the calls are timed: it runs, and not for the first time. */
#define BEATS 1000
/* For so long the other CPU may be somebody else's. */
#define PATIENCE_NS UINT64_C(2000000000)
#define PAIRS_A_BATCH 8
#define BATCHES 6
/* So often a turn is made anew whose other CPU was lost: to another process, or by the hypervisor. */
#define ATTEMPTS 20
/* In these turns /proc/interrupts is read before and after: some 90 us each. */
#define WITNESSED_TURNS 8

struct side {
    uint64_t asked, lost, turns, witnessed;
    int64_t interrupts; /* -1: the system does not say */
};

struct desk {
    _Alignas(128) _Atomic uint64_t beats; /* of whoever spins */
    _Alignas(128) _Atomic unsigned whose;
    _Atomic unsigned ended; /* sides that are over: for the process, which has no other way to know */
    struct mapping mapping;
    struct side sides[2];
    pthread_t thread;
    int begun;
    int cpu;
};

static void sleep_while(_Atomic unsigned *word, unsigned value)
{
    syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static void wake_all(_Atomic unsigned *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

/* Relaxed, here and below: only that they come to be seen matters. What the sides write they alone read, or the engine's meetings order. */
static void beat(struct desk *desk)
{
    atomic_fetch_add_explicit(&desk->beats, 1, memory_order_relaxed);
}

/* The thread of this process on the other CPU. */
static void *thread_main(void *argument)
{
    struct desk *desk = argument;

    for (;;) {
        const unsigned whose = atomic_load_explicit(&desk->whose, memory_order_relaxed);

        if (whose == LEAVE)
            return NULL;
        if (whose == THREAD)
            beat(desk);
        else
            sleep_while(&desk->whose, whose);
    }
}

static int begin_thread(struct desk *desk)
{
    cpu_set_t *mask = CPU_ALLOC((size_t)desk->cpu + 1);
    const size_t bytes = CPU_ALLOC_SIZE((size_t)desk->cpu + 1);
    int error;

    if (!mask)
        return -ENOMEM;
    CPU_ZERO_S(bytes, mask);
    CPU_SET_S((size_t)desk->cpu, bytes, mask);
    error = pthread_create(&desk->thread, NULL, thread_main, desk);
    desk->begun = !error;
    /* Pinned from outside, since musl has no attribute for it. Nothing is the thread's turn before this returns. */
    if (!error)
        error = pthread_setaffinity_np(desk->thread, bytes, mask);
    CPU_FREE(mask);
    return -error;
}

/* How often TLB shootdowns interrupted a CPU. -1 if the system does not count them. */
static int64_t shootdowns_of(int cpu)
{
    return interrupts_of("/proc/interrupts", cpu, "TLB:").named;
}

/* Gives the other CPU to `whose` and waits until it runs there. 0 or -errno. */
static int hand_over(struct trial *trial, unsigned whose)
{
    struct desk *desk = trial->state;
    const uint64_t before = atomic_load_explicit(&desk->beats, memory_order_relaxed), since = now_ns();

    atomic_store_explicit(&desk->whose, whose, memory_order_relaxed);
    wake_all(&desk->whose);
    while (atomic_load_explicit(&desk->beats, memory_order_relaxed) - before < BEATS)
        if (now_ns() - since > PATIENCE_NS)
            return trial_fault(trial, "nobody ran on CPU %d for 2 s", desk->cpu);
    return 0;
}

/* One turn beside whoever spins: its ticks, -1 where the other CPU was lost meanwhile. */
static int64_t turn_beside(struct trial *trial, struct side *side)
{
    struct desk *desk = trial->state;
    const int witnessed = side->turns < WITNESSED_TURNS && side->interrupts >= 0;
    const int64_t before = witnessed ? shootdowns_of(desk->cpu) : 0;
    const uint64_t first = atomic_load_explicit(&desk->beats, memory_order_relaxed);
    const uint64_t begin = tick_begin();
    uint64_t end, last;

    turn(&desk->mapping, (int)trial->value[0]);
    end = tick_end();
    last = atomic_load_explicit(&desk->beats, memory_order_relaxed);
    side->turns++;
    if (witnessed) {
        const int64_t after = shootdowns_of(desk->cpu);

        side->interrupts = before < 0 || after < 0 ? -1 : side->interrupts + after - before;
        side->witnessed++;
    }
    return last == first ? -1 : (int64_t)llround(fmax(0, net_ticks(trial, begin, end)));
}

/* One side of a pair: 1 and the ticks of a turn, 0 where the other CPU was lost each time, or -errno. */
static int64_t one_side(struct trial *trial, unsigned whose, int64_t *ticks)
{
    struct desk *desk = trial->state;
    struct side *side = &desk->sides[whose == PROCESS];
    int status = 0;

    *ticks = -1;
    for (int i = 0; i < ATTEMPTS && !status && *ticks < 0; i++) {
        status = hand_over(trial, whose);
        if (!status)
            *ticks = turn_beside(trial, side);
        if (!status)
            status = mapping_check(trial, &desk->mapping);
    }
    /* In any case, after an error too: whoever sleeps goes on. */
    atomic_store_explicit(&desk->whose, NOBODY, memory_order_relaxed);
    atomic_fetch_add_explicit(&desk->ended, 1, memory_order_relaxed);
    wake_all(&desk->ended);
    side->lost += *ticks < 0;
    side->asked++;
    return status ? status : *ticks >= 0;
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct desk *desk = worker->trial->state;
    /* The thread has the CPU while the process of worker 1 sleeps here. It cannot miss the end: `ended` is even before this side. */
    if (worker->index == 0)
        return one_side(worker->trial, THREAD, ticks);
    while (atomic_load_explicit(&desk->ended, memory_order_relaxed) % 2 == 0)
        sleep_while(&desk->ended, atomic_load_explicit(&desk->ended, memory_order_relaxed) & ~1U);
    (void)count;
    return 0;
}

static int64_t control(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct desk *desk = worker->trial->state;

    if (worker->index == 0)
        return one_side(worker->trial, PROCESS, ticks);
    while (atomic_load_explicit(&desk->ended, memory_order_relaxed) % 2 == 1)
        beat(desk);
    (void)count;
    return 0;
}

static int setup(struct trial *trial)
{
    struct desk *desk;
    int status;

    if (trial->oversubscribed)
        return trial_needs(trial, "two CPUs");
    trial->processes = 1;
    desk = trial_alloc(trial, sizeof *desk);
    if (!desk)
        return -ENOMEM;
    desk->cpu = trial->cpus[1];
    status = mapping_begin(&desk->mapping, (size_t)sysconf(_SC_PAGESIZE), (int)trial->value[0]);
    if (!status)
        status = begin_thread(desk);
    if (status == -EAGAIN)
        return trial_needs(trial, "permission for one more thread (ulimit -u, pids.max of the cgroup)");
    return status;
}

/* Every turn did its work, and in most of them somebody ran on the other CPU. */
static int check(struct trial *trial)
{
    const struct desk *desk = trial->state;
    const struct side *sides = desk->sides;

    if (desk->mapping.turns != sides[0].turns + sides[1].turns)
        return trial_fault(trial, "%" PRIu64 " turns of %" PRIu64, desk->mapping.turns,
                           sides[0].turns + sides[1].turns);
    for (int i = 0; i < 2; i++) {
        if (2 * sides[i].lost > sides[i].asked)
            return trial_fault(trial, "beside %" PRIu64 " of %" PRIu64 " turns nobody ran on CPU %d", sides[i].lost,
                               sides[i].asked, desk->cpu);
        if (sides[i].interrupts >= 0 && sides[i].witnessed)
            trial->metric[i] = (double)sides[i].interrupts / (double)sides[i].witnessed;
    }
    return 0;
}

static void teardown(struct trial *trial)
{
    struct desk *desk = trial->state;

    if (!desk)
        return;
    atomic_store_explicit(&desk->whose, LEAVE, memory_order_relaxed);
    wake_all(&desk->whose);
    if (desk->begun)
        pthread_join(desk->thread, NULL);
    mapping_end(&desk->mapping);
}

static uint64_t cost_ns(const struct trial *trial)
{
    (void)trial;
    return BATCHES * PAIRS_A_BATCH * 400000 + 4 * WITNESSED_TURNS * 100000;
}

KERNEL(shootdown,
    .name             = "memory/shootdown",
    .summary          = "calls that change a mapping while a thread of the process runs on another CPU, less the same beside a process",
    .unit             = "turn",
    .threads          = { .min = 2, .max = 2 },
    .subject          = FLAG_FAULTED | FLAG_SWITCHED,
    .parameters       = { { .name = "call", .summary = "what a turn consists of", .labels = CALL_LABELS, .initial = DONTNEED,
                            .quick = "untouched dontneed", .standard = "*", .rigorous = "*" } },
    .metrics          = { [SHOOTDOWNS]         = { "shootdowns_per_turn", "per turn", "interrupts of the other CPU for it, by /proc/interrupts" },
                          [CONTROL_SHOOTDOWNS] = { "control_shootdowns", "per turn", "the same beside the control" } },
    .setup            = setup,
    .events           = events,
    .control          = control,
    .events_per_batch = PAIRS_A_BATCH,
    .batches          = BATCHES,
    .check            = check,
    .teardown         = teardown,
    .cost_ns          = cost_ns);
