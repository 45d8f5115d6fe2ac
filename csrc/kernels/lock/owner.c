/*
 * lock/owner: does a lock care who gives it back?
 *
 * A semaphore counts units, and a mutex has an owner. A thread that never took a unit may give one back. A mutex may be
 * given back only by the thread that has it (an error-checking one refuses others with EPERM). Here a thread gives back
 * a lock that it has taken itself (own), or that another thread has taken (other). The result is what the calls
 * returned: `allowed` and `refused` are facts, 0 or 1.
 *
 * One event is one call to sem_post or pthread_mutex_unlock, as the mean of OBJECTS calls for as many objects in one
 * window.
 * Excluded:  taking, and the other thread's part, which runs between the windows on the same CPU.
 * Expect:    semaphore_own, semaphore_other and mutex_own allowed, mutex_other refused with EPERM (POSIX.1-2017,
 *            pthread_mutex_unlock). 10-25 cycles each. The atomic instruction is the cost, and a refusal needs none.
 * Not shown: a default mutex does not look at the caller. To unlock another thread's is undefined, so it is not done
 *            here. Waking a sleeper is not part of it either.
 */
#define _GNU_SOURCE
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>

/* ThreadSanitizer reports what is measured here: an unlock by another thread. */
#if defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif

#define OBJECTS 64
#define WINDOWS_PER_BATCH 32

enum { UNLOCK };
enum { SEMAPHORE_OWN, SEMAPHORE_OTHER, MUTEX_OWN, MUTEX_OTHER };
enum { ALLOWED, REFUSED };

struct owner {
    sem_t semaphores[OBJECTS]; /* a unit each */
    pthread_mutex_t mutexes[OBJECTS];
    uint64_t calls, allowed, refused;
    int failed;
    struct {
        pthread_t thread;
        int started, stop;
        sem_t asked, done;
    } other;
};

static int is_semaphore(const struct trial *trial)
{
    return trial->value[UNLOCK] == SEMAPHORE_OWN || trial->value[UNLOCK] == SEMAPHORE_OTHER;
}

static int is_other(const struct trial *trial)
{
    return trial->value[UNLOCK] == SEMAPHORE_OTHER || trial->value[UNLOCK] == MUTEX_OTHER;
}

/* Without waiting: a unit or a mutex that is not free now is a fault. */
static int take_all(struct owner *owner, int semaphore)
{
    for (int i = 0; i < OBJECTS; i++)
        if (semaphore ? sem_trywait(&owner->semaphores[i]) : pthread_mutex_trylock(&owner->mutexes[i]))
            return -EBUSY;
    return 0;
}

/* Takes all when asked: semaphores each time, mutexes once, for nobody gives them back. */
static void *take_when_asked(void *argument)
{
    struct trial *trial = argument;
    struct owner *owner = trial->state;
    const int semaphore = is_semaphore(trial);
    int holds = 0;

    for (;;) {
        while (sem_wait(&owner->other.asked)) /* EINTR */
            continue;
        if (owner->other.stop)
            break;
        if (!holds || semaphore)
            owner->failed |= take_all(owner, semaphore);
        holds = 1;
        sem_post(&owner->other.done);
    }
    if (holds && !semaphore)
        for (int i = 0; i < OBJECTS; i++)
            owner->failed |= pthread_mutex_unlock(&owner->mutexes[i]); /* it is the owner */
    return NULL;
}

static int ask_other(struct owner *owner)
{
    sem_post(&owner->other.asked);
    while (sem_wait(&owner->other.done)) /* EINTR */
        continue;
    return owner->failed;
}

#define GIVE_BACK(name, CALL)                                                                                          \
    static __attribute__((noinline)) uint64_t name(struct owner *owner, int *results)                                  \
    {                                                                                                                  \
        const uint64_t begin = tick_begin();                                                                           \
                                                                                                                       \
        for (int i = 0; i < OBJECTS; i++)                                                                              \
            results[i] = CALL;                                                                                         \
        return tick_end() - begin;                                                                                     \
    }

GIVE_BACK(post_all, sem_post(&owner->semaphores[i]) ? errno : 0)
GIVE_BACK(unlock_all, pthread_mutex_unlock(&owner->mutexes[i]))

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;
    struct owner *owner = trial->state;
    const int semaphore = is_semaphore(trial);

    for (uint64_t window = 0; window < count; window++) {
        const int error = is_other(trial) ? ask_other(owner) : take_all(owner, semaphore);
        int results[OBJECTS];
        uint64_t took;

        if (error)
            return error;
        took = (semaphore ? post_all : unlock_all)(owner, results);
        ticks[window] = (int64_t)(((double)took - trial->overhead_ticks) / OBJECTS + 0.5);
        for (int i = 0; i < OBJECTS; i++) {
            owner->allowed += results[i] == 0;
            owner->refused += results[i] == EPERM;
        }
        owner->calls += OBJECTS;
    }
    return (int64_t)count;
}

static void stop_other(struct owner *owner)
{
    if (!owner || !owner->other.started)
        return;
    owner->other.stop = 1; /* published by the semaphore */
    sem_post(&owner->other.asked);
    pthread_join(owner->other.thread, NULL);
    owner->other.started = 0;
}

static int setup(struct trial *trial)
{
    struct owner *owner = trial_alloc(trial, sizeof *owner);
    pthread_mutexattr_t attributes;
    int error;

    if (!owner)
        return -ENOMEM;
#if IS_SANITIZED
    if (trial->value[UNLOCK] == MUTEX_OTHER)
        return trial_needs(trial, "a build without ThreadSanitizer, which takes a refused unlock for a fault");
#endif
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
    for (int i = 0; i < OBJECTS; i++)
        if (sem_init(&owner->semaphores[i], 0, 1) || pthread_mutex_init(&owner->mutexes[i], &attributes))
            return -ENOMEM;
    pthread_mutexattr_destroy(&attributes);
    if (!is_other(trial))
        return 0;
    if (sem_init(&owner->other.asked, 0, 0) || sem_init(&owner->other.done, 0, 0))
        return -ENOMEM;
    error = pthread_create(&owner->other.thread, NULL, take_when_asked, trial);
    owner->other.started = !error;
    return -error;
}

/*
 * Each call was either allowed or refused with EPERM, all alike. The state afterwards fits: a unit where it was given
 * back, a mutex still locked where it was refused.
 */
static int check(struct trial *trial)
{
    struct owner *owner = trial->state;
    const int given = owner->allowed == owner->calls;

    if (!owner->calls || (!given && owner->refused != owner->calls))
        return trial_fault(trial, "of %" PRIu64 " calls %" PRIu64 " were allowed and %" PRIu64 " refused", owner->calls,
                           owner->allowed, owner->refused);
    for (int i = 0; i < OBJECTS; i++) {
        int free_now;

        if (is_semaphore(trial)) {
            sem_getvalue(&owner->semaphores[i], &free_now);
        } else {
            free_now = pthread_mutex_trylock(&owner->mutexes[i]) == 0;
            if (free_now)
                pthread_mutex_unlock(&owner->mutexes[i]);
        }
        if (free_now != given)
            return trial_fault(trial, "object %d was %s, but %s", i, given ? "given back" : "kept",
                               free_now ? "is free" : "is not free");
    }
    stop_other(owner);
    if (owner->failed)
        return trial_fault(trial, "the other thread could not take or give back what it should");
    trial->metric[ALLOWED] = given;
    trial->metric[REFUSED] = !given;
    return 0;
}

static void teardown(struct trial *trial)
{
    stop_other(trial->state); /* still there if something failed before check */
}

static uint64_t cost_ns(const struct trial *trial)
{
    /* Two switches of threads a window, seen 2-4 us each. Without them nearly all is the engine's own share. */
    return trial->batches * WINDOWS_PER_BATCH * (is_other(trial) ? 5000 : 300);
}

KERNEL(owner,
    .name             = "lock/owner",
    .summary          = "a thread gives back what it or another thread has taken: a semaphore or an error-checking mutex",
    .unit             = "call",
    .threads          = { .min = 1, .max = 1 },
    .flags            = KERNEL_TWIN,
    .parameters       = {
        [UNLOCK] = { .name = "unlock", .summary = "what is given back, and who has taken it",
                     .labels = "semaphore_own semaphore_other mutex_own mutex_other",
                     .initial = SEMAPHORE_OWN, .quick = "*", .standard = "*", .rigorous = "*" },
    },
    .metrics          = {
        [ALLOWED] = { "allowed", "fact", "1: every call succeeded" },
        [REFUSED] = { "refused", "fact", "1: every call was refused with EPERM, and changed nothing" },
    },
    .setup            = setup,
    .events           = events,
    .events_per_batch = WINDOWS_PER_BATCH,
    .batches          = 4,
    .check            = check,
    .teardown         = teardown,
    .cost_ns          = cost_ns);
