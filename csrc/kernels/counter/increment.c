/*
 * counter/increment: what does it cost to count, by the way in which threads share the counter?
 *
 * One operation is one increment. Each way has its control. `racy` is the cost of an increment if losing some does not
 * matter (and lost_pct says how many). `private` is the cost if nothing is shared.
 *   atomic          one counter, fetch_add                    private         each thread its own, a plain store, on its own line
 *   cas             one counter, compare-and-swap until done  packed          the same, 8 bytes apart
 *   mutex           one counter under a pthread mutex         private_atomic  each thread its own, fetch_add, on its own line
 *   racy            one counter, load, add, store             packed_atomic   the same, 8 bytes apart
 *   getcpu          one per CPU, sched_getcpu() and fetch_add
 *   rseq            one per CPU, a restartable sequence       eventual        private, and a helper sums them up every ms
 *   percpu_counter  Linux: one per CPU, and at `batch` it goes to the total, under a spin lock
 * Excluded:  reading. See counter/read, counter/sloppy, counter/error.
 * Expect:    private takes 1 cycle (a store). An atomic alone takes 18-20 cycles on Intel, 7-9 on recent AMD. Shared by
 *            two threads it takes 15-40 ns, a mutex 100-150. Reference guest, ns per increment, one thread and two:
 *            private 0.35 and 0.35, rseq 2.4 and 2.45, atomic 6.2-8.6 and 15-31. There cas is 11 and 37, mutex 19-27
 *            and 112-144. racy is 2.5 and 2.6, but half of them are lost.
 * Hazards:   `private`, `packed` and `eventual` keep the count in a register and store it. Only the owner writes, so
 *            nobody has to read. A store waits for nothing, so that `packed` hides most of the cost of sharing a line.
 *            `packed_atomic` shows it. The helper of `eventual` runs on the first thread's CPU, since a kernel has no
 *            others.
 * Not shown: threads that migrate (all are pinned). Then getcpu and rseq are still right, and percpu_counter here would
 *            not be.
 */
#define _GNU_SOURCE
#include "rseq.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define COLLECT_NS 1000000
/* Linux, lib/percpu_counter.c: max(32, 2 x CPUs). */
#define MIN_BATCH 32

enum { KIND };
enum {
    ATOMIC,
    CAS,
    MUTEX,
    RACY,
    PRIVATE,
    PACKED,
    PRIVATE_ATOMIC,
    PACKED_ATOMIC,
    GETCPU,
    RSEQ,
    EVENTUAL,
    PERCPU_COUNTER
};
enum { LOST, RESTARTS, COLLECTED };

struct slot {
    _Alignas(1 << RSEQ_SLOT_SHIFT) _Atomic uint64_t count;
};

/* Of one thread, beside its counter. Written after its loop. */
struct side {
    _Alignas(128) uint64_t made, restarts;
};

struct counter {
    _Alignas(128) _Atomic uint64_t total; /* what all threads share */
    _Alignas(128) pthread_mutex_t mutex;
    pthread_spinlock_t spin;
    uint64_t guarded; /* by one of the two */
    _Alignas(128) uint64_t batch;
    uint64_t slot_count;
    struct slot *slots;       /* by thread or by CPU, on their own lines */
    _Atomic uint64_t *packed; /* by thread, side by side */
    struct side *sides;
    _Alignas(128) struct {
        pthread_t thread;
        int started;
        atomic_int stop;
        _Atomic uint64_t sum; /* what a reader would take for the count */
        uint64_t times;
    } helper;
};

/* INCREMENT sees `counter`, `slots`, `slot` (own line), `packed` (own 8 bytes), and may keep `count`, which starts at START. The first thread makes
   the operations of the batch, the others go on until it is done. OPAQUE: one turn an increment, whatever a compiler thinks of unrolling. */
#define RUN(kind, START, INCREMENT)                                                                                    \
    static void run_##kind(struct worker *worker, uint64_t operations)                                                 \
    {                                                                                                                  \
        struct counter *counter = worker->trial->state;                                                                \
        struct slot *slots = counter->slots, *slot = &slots[worker->index];                                            \
        _Atomic uint64_t *packed = &counter->packed[worker->index];                                                    \
        struct side *side = &counter->sides[worker->index];                                                            \
        uint64_t count = START;                                                                                        \
        uint64_t done = 0;                                                                                             \
                                                                                                                       \
        if (worker->index == 0)                                                                                        \
            for (; done < operations; done++) {                                                                        \
                OPAQUE(done);                                                                                          \
                INCREMENT;                                                                                             \
            }                                                                                                          \
        else                                                                                                           \
            do {                                                                                                       \
                OPAQUE(done);                                                                                          \
                INCREMENT;                                                                                             \
                done++;                                                                                                \
            } while (!leader_has_ended(worker));                                                                       \
        worker->done = done;                                                                                           \
        side->made += done;                                                                                            \
        (void)slot, (void)packed, (void)count;                                                                         \
    }

/*
 * Relaxed, everywhere below: a count orders nothing else. A reader may conclude from it only that this many increments
 * were made. The final sum is read after the threads have met.
 */
RUN(atomic, 0, atomic_fetch_add_explicit(&counter->total, 1, memory_order_relaxed))

RUN(cas, 0, count = atomic_load_explicit(&counter->total, memory_order_relaxed);
    /* Relaxed on success and on failure, which reloads `count`. Weak: it is tried again in any case. */
    while (!atomic_compare_exchange_weak_explicit(&counter->total, &count, count + 1, memory_order_relaxed,
                                                  memory_order_relaxed)))

RUN(mutex, 0, pthread_mutex_lock(&counter->mutex); counter->guarded++; pthread_mutex_unlock(&counter->mutex))

/*
 * Two atomic operations do not make an atomic increment. An addition of another thread between them is lost. (They are
 * atomic at all so that the loss is in the algorithm and the program has no undefined behaviour.)
 */
RUN(racy, 0, count = atomic_load_explicit(&counter->total, memory_order_relaxed);
    atomic_store_explicit(&counter->total, count + 1, memory_order_relaxed))

/* Relaxed: nobody else writes here. So the owner knows the value, and an aligned store is seen as a whole. */
RUN(private, atomic_load_explicit(&slot->count, memory_order_relaxed),
    atomic_store_explicit(&slot->count, ++count, memory_order_relaxed))

RUN(packed, atomic_load_explicit(packed, memory_order_relaxed),
    atomic_store_explicit(packed, ++count, memory_order_relaxed))

RUN(private_atomic, 0, atomic_fetch_add_explicit(&slot->count, 1, memory_order_relaxed))

RUN(packed_atomic, 0, atomic_fetch_add_explicit(packed, 1, memory_order_relaxed))

/* Atomic, because we may be on another CPU by the time we add. */
RUN(getcpu, 0, atomic_fetch_add_explicit(&slots[sched_getcpu()].count, 1, memory_order_relaxed))

#if HAS_RSEQ
static void run_rseq(struct worker *worker, uint64_t operations)
{
    struct counter *counter = worker->trial->state;
    struct side *side = &counter->sides[worker->index];
    struct rseq *rseq = rseq_of_thread();
    struct slot *slots = counter->slots;
    uint64_t done = 0;

    if (worker->index == 0)
        for (; done < operations; done++)
            rseq_add(rseq, slots, 1, &side->restarts);
    else
        do {
            rseq_add(rseq, slots, 1, &side->restarts);
            done++;
        } while (!leader_has_ended(worker));
    worker->done = done;
    side->made += done;
}
#endif

/* The thread's slot is its CPU's: it is pinned, and the kernel's version disables preemption instead. At the batch what has gathered goes
   to the total. A spin lock and not fetch_add, as in Linux, where the total is 64 bits wide on 32-bit machines too. */
RUN(
    percpu_counter, atomic_load_explicit(&slot->count, memory_order_relaxed),
    if (__builtin_expect(++count >= counter->batch, 0)) {
        pthread_spin_lock(&counter->spin);
        counter->guarded += count;
        pthread_spin_unlock(&counter->spin);
        count = 0;
    } atomic_store_explicit(&slot->count, count, memory_order_relaxed))

static uint64_t sum_of_slots(const struct counter *counter)
{
    uint64_t sum = 0;

    /* Relaxed: each is seen whole, but not all at one moment. */
    for (uint64_t i = 0; i < counter->slot_count; i++)
        sum += atomic_load_explicit(&counter->slots[i].count, memory_order_relaxed);
    return sum;
}

static void *collect(void *argument)
{
    const struct timespec pause = {.tv_nsec = COLLECT_NS};
    struct counter *counter = argument;

    do {
        /* Relaxed: for readers that want a number and nothing with it. */
        atomic_store_explicit(&counter->helper.sum, sum_of_slots(counter), memory_order_relaxed);
        counter->helper.times++;
        nanosleep(&pause, NULL);
        /* Relaxed: the join orders. */
    } while (!atomic_load_explicit(&counter->helper.stop, memory_order_relaxed));
    return NULL;
}

static void stop_helper(struct counter *counter)
{
    if (!counter || !counter->helper.started)
        return;
    /* Relaxed: the helper has nothing to read because of it. */
    atomic_store_explicit(&counter->helper.stop, 1, memory_order_relaxed);
    pthread_join(counter->helper.thread, NULL);
    counter->helper.started = 0;
}

/* One more than the highest number that a CPU of this machine can ever have: an index that needs no test in the loop. */
static uint64_t possible_cpus(void)
{
    FILE *file = fopen("/sys/devices/system/cpu/possible", "r");
    long last = sysconf(_SC_NPROCESSORS_CONF) - 1;
    char text[256], *number;

    if (file && fgets(text, sizeof text, file)) { /* "0-127", "0,2-5" */
        for (number = text; *number;) {
            const long value = strtol(number, &number, 10);

            last = value > last ? value : last;
            number += *number != '\0';
        }
    }
    if (file)
        fclose(file);
    return (uint64_t)last + 1;
}

static int setup(struct trial *trial)
{
    static void (*const runs[])(struct worker *, uint64_t) = {
        [ATOMIC] = run_atomic,
        [CAS] = run_cas,
        [MUTEX] = run_mutex,
        [RACY] = run_racy,
        [PRIVATE] = run_private,
        [PACKED] = run_packed,
        [PRIVATE_ATOMIC] = run_private_atomic,
        [PACKED_ATOMIC] = run_packed_atomic,
        [GETCPU] = run_getcpu,
#if HAS_RSEQ
        [RSEQ] = run_rseq,
#endif
        [EVENTUAL] = run_private,
        [PERCPU_COUNTER] = run_percpu_counter,
    };
    struct counter *counter = trial_alloc(trial, sizeof *counter);
    const int64_t kind = trial->value[KIND];
    const uint64_t cpus = possible_cpus();

    if (!counter)
        return -ENOMEM;
    if (kind == RSEQ) {
#if HAS_RSEQ
        if (!rseq_registered())
            return trial_needs(trial, "restartable sequences registered by the C library (glibc 2.35, Linux 4.18)");
#else
        return trial_needs(trial, "a restartable sequence for this architecture and C library (x86-64, glibc 2.35)");
#endif
    }
    trial->run = runs[kind];
    counter->batch = 2 * cpus > MIN_BATCH ? 2 * cpus : MIN_BATCH;
    counter->slot_count = cpus > trial->team_size ? cpus : trial->team_size;
    counter->slots = trial_alloc(trial, counter->slot_count * sizeof *counter->slots);
    counter->packed = trial_alloc(trial, trial->team_size * sizeof *counter->packed);
    counter->sides = trial_alloc(trial, trial->team_size * sizeof *counter->sides);
    if (!counter->slots || !counter->packed || !counter->sides)
        return -ENOMEM;
    if (pthread_mutex_init(&counter->mutex, NULL) || pthread_spin_init(&counter->spin, PTHREAD_PROCESS_PRIVATE))
        return -ENOMEM;
    if (kind == EVENTUAL) {
        const int error = pthread_create(&counter->helper.thread, NULL, collect, counter);

        if (error)
            return -error;
        counter->helper.started = 1;
    }
    return 0;
}

/* Not one increment is missing, and none was made up. Only the racy counter may lose some, and only to another thread. */
static int check(struct trial *trial)
{
    struct counter *counter = trial->state;
    uint64_t made = 0, restarts = 0, counted;

    stop_helper(counter);
    for (unsigned i = 0; i < trial->team_size; i++) {
        made += counter->sides[i].made;
        restarts += counter->sides[i].restarts;
    }
    /* A kind leaves alone what it does not use. */
    counted = sum_of_slots(counter) + counter->guarded + atomic_load_explicit(&counter->total, memory_order_relaxed);
    for (unsigned i = 0; i < trial->team_size; i++)
        counted += atomic_load_explicit(&counter->packed[i], memory_order_relaxed);
    if (counted > made || (counted < made && (trial->value[KIND] != RACY || trial->team_size == 1)))
        return trial_fault(trial, "%" PRIu64 " counted of %" PRIu64 " increments", counted, made);
    trial->metric[LOST] = 100 * (double)(made - counted) / (double)made;
    if (trial->value[KIND] == RSEQ)
        trial->metric[RESTARTS] = (double)restarts;
    if (trial->value[KIND] == EVENTUAL) {
        if (atomic_load_explicit(&counter->helper.sum, memory_order_relaxed) > made)
            return trial_fault(trial, "the helper collected more than the %" PRIu64 " increments made", made);
        trial->metric[COLLECTED] = (double)counter->helper.times;
    }
    return 0;
}

static void teardown(struct trial *trial)
{
    stop_helper(trial->state); /* still there if something failed before check */
}

KERNEL(increment,
    .name       = "counter/increment",
    .summary    = "each thread adds one to a counter that all share in one of twelve ways",
    .unit       = "increment",
    .threads    = { .min = 1, .max = MAX_TEAM },
    .place      = PLACE_SWEEP,
    .flags      = KERNEL_TWIN,
    .parameters = {
        [KIND] = { .name = "kind", .summary = "how it is shared",
                   .labels = "atomic cas mutex racy private packed private_atomic packed_atomic getcpu rseq eventual "
                             "percpu_counter",
                   .initial = ATOMIC, .quick = "atomic mutex racy private rseq", .standard = "*", .rigorous = "*" },
    },
    .metrics    = {
        [LOST]      = { "lost_pct", "%", "of the increments: 0 for all but racy, or the check fails" },
        [RESTARTS]  = { "restarts", "restarts", "sequences that were interrupted and began again (rseq)" },
        [COLLECTED] = { "collections", "sums", "how often the helper has summed up (eventual)" },
    },
    .setup      = setup,
    .run        = run_atomic,
    .check      = check,
    .teardown   = teardown);
