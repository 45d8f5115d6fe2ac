/*
 * lock/wait, lock/brief_wait: how much of a CPU does a thread use while it waits for a lock?
 *
 * One event is one wait. Another thread on another CPU has the lock and gives it back after a time. The figure is the
 * processor time of the waiting thread, as Linux accounts it, and not the length of the wait. In lock/wait the other
 * sleeps for `held_ms`. In lock/brief_wait it stays awake for `held_us`. There `spent_ns` also has the processor time
 * of giving back, since the other has to wake a waiter that sleeps.
 *   semaphore  sem_wait: it sleeps
 *   mutex      pthread_mutex_lock: it tries a little, and sleeps
 *   spin       pthread_spin_lock: it looks until the lock is free
 *   yield      it looks, and gives its CPU to anybody else after each look
 * Excluded:  waking up after the event, for which Linux charges a sleeper nothing. From spent_ns, the time of reading
 *            the two clocks.
 * Expect:    of 20 ms some 20 us with semaphore and mutex, all of them with spin and yield, since nobody else wants the
 *            CPU. A spinner spends the whole of a brief wait. A sleeper spends some us, however long the wait lasts.
 *            The two cross there.
 * Hazards:   in a guest the time that the host takes from a CPU may be charged to the spinner on it, or not.
 * Not shown: several waiters, the time that a spinning thread takes from a sibling of its core, spinning with backoff.
 */
#define _GNU_SOURCE
#include "kernels/system.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>

enum { BY, HELD_MS };
enum { SEMAPHORE, MUTEX, SPIN, YIELD };
enum { USED_PCT, WAITED_MS };
enum { HELD_US = HELD_MS, SPENT_NS = 0, WAITED_NS };

#define MAX_HELD_MS 1000
#define BATCHES 3
#define WAITS_PER_BATCH 1
#define MAX_HELD_US 1000
#define BRIEF_WAITS_PER_BATCH 20
#define READINGS 100 /* of the clock, of which the shortest met no interruption */

struct queue {
    _Alignas(128) sem_t semaphore;
    pthread_mutex_t mutex;
    pthread_spinlock_t spin;
    _Alignas(128) _Atomic uint32_t held;    /* number of times up to now */
    _Alignas(128) _Atomic uint32_t waiting; /* number of waits that have begun */
    _Atomic uint32_t ended;                 /* number of waits that are over, with the lock free again */
    _Alignas(128) uint32_t waits;           /* of the one who waits */
    uint32_t holds;                         /* of the other */
    uint64_t early, failed, failed_to_hold; /* calls: of the one who waits, and of the other */
    int64_t used_ns, waited_ns;
    int64_t gave_ns; /* processor time of the other's calls that gave it back */
    int64_t held_ns, reading_ns;
    int brief;
};

static int take(struct queue *queue, int by)
{
    switch (by) {
    case SEMAPHORE:
        while (sem_wait(&queue->semaphore))
            if (errno != EINTR)
                return -errno;
        return 0;
    case MUTEX:
        return -pthread_mutex_lock(&queue->mutex);
    case SPIN:
        return -pthread_spin_lock(&queue->spin);
    default:
        while (pthread_spin_trylock(&queue->spin))
            sched_yield();
        return 0;
    }
}

static int give(struct queue *queue, int by)
{
    switch (by) {
    case SEMAPHORE:
        return sem_post(&queue->semaphore) ? -errno : 0;
    case MUTEX:
        return -pthread_mutex_unlock(&queue->mutex);
    default:
        return -pthread_spin_unlock(&queue->spin);
    }
}

static void hold(struct trial *trial, struct queue *queue)
{
    const int by = (int)trial->value[BY];
    struct timespec left = {queue->held_ns / 1000000000, queue->held_ns % 1000000000};
    int64_t gave_ns;

    /* Relaxed: this thread reads nothing that the other wrote. Without this loop it may take the lock again before the
       other thread, which has waited for it. It would then wait for a wait that cannot begin. */
    while (atomic_load_explicit(&queue->ended, memory_order_relaxed) != queue->holds)
        sched_yield();
    queue->failed_to_hold += take(queue, by) != 0;
    queue->holds++;
    /* Release, pairs with the acquire of who waits: it must not find the lock before it is taken. */
    atomic_store_explicit(&queue->held, queue->holds, memory_order_release);
    /* Relaxed: only that the wait has begun matters. */
    while (atomic_load_explicit(&queue->waiting, memory_order_relaxed) != queue->holds)
        sched_yield();
    if (queue->brief)
        for (const int64_t end_ns = clock_ns(CLOCK_MONOTONIC) + queue->held_ns; clock_ns(CLOCK_MONOTONIC) < end_ns;)
            ;
    else
        while (nanosleep(&left, &left) && errno == EINTR)
            ;
    gave_ns = -clock_ns(CLOCK_THREAD_CPUTIME_ID);
    queue->failed_to_hold += give(queue, by) != 0;
    queue->gave_ns += gave_ns + clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static int64_t wait_for_it(struct trial *trial, struct queue *queue)
{
    const int by = (int)trial->value[BY];
    int64_t used_ns, waited_ns;

    queue->waits++;
    while (atomic_load_explicit(&queue->held, memory_order_acquire) != queue->waits)
        sched_yield();
    waited_ns = -clock_ns(CLOCK_MONOTONIC);
    used_ns = -clock_ns(CLOCK_THREAD_CPUTIME_ID);
    atomic_store_explicit(&queue->waiting, queue->waits, memory_order_relaxed);
    queue->failed += take(queue, by) != 0;
    used_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID);
    waited_ns += clock_ns(CLOCK_MONOTONIC);
    queue->failed += give(queue, by) != 0;
    atomic_store_explicit(&queue->ended, queue->waits, memory_order_relaxed);
    queue->early += waited_ns < queue->held_ns;
    queue->used_ns += used_ns;
    queue->waited_ns += waited_ns;
    return used_ns;
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;
    struct queue *queue = trial->state;

    (void)count; /* as many as a batch has. The other is asked for none, and takes the lock as often */
    for (uint64_t i = 0; i < trial->kernel->events_per_batch; i++)
        if (worker->index)
            hold(trial, queue);
        else
            ticks[i] = llround((double)wait_for_it(trial, queue) * trial->tick_hz / 1e9);
    return worker->index ? 0 : (int64_t)trial->kernel->events_per_batch;
}

static int make_queue(struct trial *trial, int64_t held_ns)
{
    struct queue *queue = trial_alloc(trial, sizeof *queue);

    if (!queue)
        return -ENOMEM;
    queue->held_ns = held_ns;
    if (sem_init(&queue->semaphore, 0, 1))
        return -errno;
    pthread_mutex_init(&queue->mutex, NULL);
    return -pthread_spin_init(&queue->spin, PTHREAD_PROCESS_PRIVATE);
}

static int setup(struct trial *trial)
{
    if (trial->value[HELD_MS] < 1 || trial->value[HELD_MS] > MAX_HELD_MS) {
        trial_fault(trial, "held_ms=%" PRId64 " is not 1 to %d", trial->value[HELD_MS], MAX_HELD_MS);
        return -EINVAL;
    }
    return make_queue(trial, trial->value[HELD_MS] * 1000000);
}

static int setup_brief(struct trial *trial)
{
    struct queue *queue;
    int status;

    if (trial->value[HELD_US] < 1 || trial->value[HELD_US] > MAX_HELD_US) {
        trial_fault(trial, "held_us=%" PRId64 " is not 1 to %d", trial->value[HELD_US], MAX_HELD_US);
        return -EINVAL;
    }
    status = make_queue(trial, trial->value[HELD_US] * 1000);
    if (status)
        return status;
    queue = trial->state;
    queue->brief = 1;
    queue->reading_ns = INT64_MAX;
    for (int i = 0; i < READINGS; i++) {
        const int64_t before = clock_ns(CLOCK_THREAD_CPUTIME_ID), ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - before;

        queue->reading_ns = ns < queue->reading_ns ? ns : queue->reading_ns;
    }
    return 0;
}

/* Nobody got in before the lock was given back. */
static int check_queue(struct trial *trial)
{
    const struct queue *queue = trial->state;
    const uint64_t failed = queue->failed + queue->failed_to_hold;

    if (failed || !queue->waits)
        return trial_fault(trial, "%" PRIu64 " calls failed in %" PRIu32 " waits", failed, queue->waits);
    if (queue->early)
        return trial_fault(trial, "%" PRIu64 " of %" PRIu32 " waits ended before the lock was given back", queue->early,
                           queue->waits);
    return 0;
}

static int check(struct trial *trial)
{
    const struct queue *queue = trial->state;
    const int status = check_queue(trial);

    if (status)
        return status;
    trial->metric[USED_PCT] = 100.0 * (double)queue->used_ns / (double)queue->waited_ns;
    trial->metric[WAITED_MS] = (double)queue->waited_ns / 1e6 / queue->waits;
    return 0;
}

static int check_brief(struct trial *trial)
{
    const struct queue *queue = trial->state;
    const int status = check_queue(trial);

    if (status)
        return status;
    /* As many waits as times that the lock is taken, so the team ends a batch together. */
    trial->metric[SPENT_NS] =
        (double)(queue->used_ns + queue->gave_ns) / queue->waits - 2.0 * (double)queue->reading_ns;
    trial->metric[WAITED_NS] = (double)queue->waited_ns / queue->waits;
    return 0;
}

static uint64_t cost_ns(const struct trial *trial)
{
    return BATCHES * WAITS_PER_BATCH * ((uint64_t)trial->value[HELD_MS] * 1000000 + 200000);
}

KERNEL(wait,
    .name             = "lock/wait",
    .summary          = "a thread waits for a lock that another one holds while it sleeps: the processor time that it uses",
    .unit             = "wait",
    .threads          = { .min = 2, .max = 2 },
    .place            = PLACE_ANY,
    .subject          = FLAG_SWITCHED,
    .parameters       = { [BY] = { .name = "by", .summary = "what is waited for", .labels = "semaphore mutex spin yield",
                                   .initial = SEMAPHORE, .quick = "semaphore spin", .standard = "*", .rigorous = "*" },
                          [HELD_MS] = { .name = "held_ms", .unit = "ms", .summary = "for which the other holds it", .initial = 20,
                                        .quick = "20", .standard = "20", .rigorous = "1 20 200" } },
    .metrics          = { [USED_PCT]  = { "used_pct", "%", "of the wait that the thread used its CPU" },
                          [WAITED_MS] = { "waited_ms", "ms", "of a wait" } },
    .setup            = setup,
    .events           = events,
    .events_per_batch = WAITS_PER_BATCH,
    .batches          = BATCHES,
    .check            = check,
    .cost_ns          = cost_ns);

KERNEL(brief_wait,
    .name             = "lock/brief_wait",
    .summary          = "a thread waits for a lock that is held briefly: the processor time that both spend on the wait",
    .unit             = "wait",
    .threads          = { .min = 2, .max = 2 },
    .place            = PLACE_ANY,
    .subject          = FLAG_SWITCHED,
    .parameters       = { [BY] = { .name = "by", .summary = "what is waited for", .labels = "semaphore mutex spin yield",
                                   .initial = SEMAPHORE, .standard = "semaphore mutex spin", .rigorous = "*" },
                          [HELD_US] = { .name = "held_us", .unit = "us", .summary = "for which the other holds it", .initial = 10,
                                        .standard = "1 10 100", .rigorous = "1 2 5 10 20 50 100 500" } },
    .metrics          = { [SPENT_NS]  = { "spent_ns", "ns", "of processor time, on waiting and on giving back" },
                          [WAITED_NS] = { "waited_ns", "ns", "of a wait" } },
    .setup            = setup_brief,
    .events           = events,
    .events_per_batch = BRIEF_WAITS_PER_BATCH,
    .batches          = BATCHES,
    .check            = check_brief);
