/*
 * alloc/freeze: does an allocator go on when a thread stops in the middle of it?
 *
 * One operation is one freeze. Thread A allocates blocks and hands them to thread B, which frees them and allocates and
 * frees its own. A signal stops A at any instruction, mostly in the allocator. Then either B goes on, or it waits for a
 * lock that A has. Nothing is timed. The result is how often B stalls. A lock-free allocator never does.
 * Excluded:  windows in which B neither ran nor slept, because others had its CPU. A is not stopped in the kernel,
 *            since a signal waits until it is back.
 * Expect:    0 of 554 in mimalloc 2.0.9. In glibc 2.36 with 1000 bytes 42 to 46 %, with 64 bytes none (each thread
 *            keeps those). In jemalloc 5.3 20 to 27 %, in tcmalloc 2.10 2 %.
 * Hazards:   LD_PRELOAD of a missing library is only a warning. So the process says itself from which file its malloc
 *            comes. The same windows without a freeze are the control, in which B must hardly ever stall. The positive
 *            control is libc, since an allocator with locks must be seen to stall. No stall in n freezes leaves a rate
 *            of about 3/n possible.
 * Not shown: how long a stall lasts, which is as long as A is away. Threads that die in the allocator, and more than
 *            two threads.
 */
#define _GNU_SOURCE
#include "kernels/alloc/server.h"

#include <dlfcn.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>

#include "kernels/alloc/libraries.h"

enum { LIBRARY, SIZE, FREEZES };
enum { FROZEN, STALLS, STALLED_PCT, CONTROL_STALLS, LEFT_OUT };

#define MAX_SIZE 65536
#define MAX_FREEZES 100000
/* Blocks on their way from A to B: more than B frees in a window in which it goes on. */
#define RING 8192
#define AT_ONCE 64
/* B frees one of A's blocks in so many rounds: fewer than A makes, so that the ring never runs empty in a window. */
#define ROUNDS_A_BLOCK 8
/* So often B has freed, allocated and freed again: it went on, through every cache of its own. */
#define ROUNDS 500
#define LOOK_NS 100000
/* At least so many turns of the CPU lie between two freezes, each of up to so long: see watch_in_turn(). */
#define LEAST_TURNS 2
#define DISTANCE_NS 80000
/* So long B makes not one round: two or three turns of a CPU that others want too. */
#define STALL_NS 8000000
/* So long it does not where it sleeps: then it waits for no CPU, and only a thread that is stopped could wake it. */
#define ASLEEP_NS 2000000
#define PATIENCE_NS UINT64_C(2000000000)

enum outcome_of_window { GOES_ON, STALLED, UNKNOWN, FAILED };

struct order {
    uint64_t size, freezes, seed;
};

struct answer {
    uint64_t frozen, stalls, control_stalls, left_out, went_on;
    int error;
    char from[64]; /* the file of malloc */
};

struct freezes {
    struct small small;
};

/* ---- in the small process ---- */

static _Atomic(unsigned char *) ring[RING]; /* NULL: empty. A writes where it is, B reads where it is not */
static _Atomic uint64_t rounds_of_b;
static _Atomic unsigned thaws, asked_to_stop, stopped, ending;
static _Atomic int failed;
static size_t block_bytes;

/* Runs on A, at the instruction that it had come to. Nothing here allocates. */
static void freeze_here(int number)
{
    const unsigned before = atomic_load(&thaws);

    (void)number;
    if (!atomic_load(&asked_to_stop))
        return;
    atomic_store(&stopped, 1);
    while (atomic_load(&thaws) == before)
        syscall(SYS_futex, &thaws, FUTEX_WAIT_PRIVATE, before, NULL, NULL, 0);
    atomic_store(&stopped, 0);
}

/* Blocks of A: as many at once as no cache of its own holds, so that most of its time is the allocator's shared part. */
static void *allocate_and_hand_over(void *unused)
{
    unsigned char *own[AT_ONCE];
    uint64_t at = 0;

    while (!atomic_load_explicit(&ending, memory_order_relaxed)) { /* only that it is seen some time */
        int kept = 0;

        for (int i = 0; i < AT_ONCE; i++) {
            unsigned char *block = malloc(block_bytes), *none = NULL;

            if (!block) {
                atomic_store(&failed, ENOMEM);
                return unused;
            }
            *(volatile unsigned char *)block = 1;
            /* Into the ring, or where that is full, back to where it came from. */
            if (atomic_compare_exchange_strong(&ring[at % RING], &none, block))
                at++;
            else
                own[kept++] = block;
        }
        while (kept)
            free(own[--kept]);
    }
    return unused;
}

static void *free_and_allocate(void *unused)
{
    uint64_t at = 0;

    for (uint64_t i = 0; !atomic_load_explicit(&ending, memory_order_relaxed); i++) { /* as above */
        unsigned char *block = i % ROUNDS_A_BLOCK ? NULL : atomic_exchange(&ring[at % RING], NULL);

        if (block) {
            free(block);
            at++;
        }
        block = malloc(block_bytes);
        if (!block) {
            atomic_store(&failed, ENOMEM);
            break;
        }
        *(volatile unsigned char *)block = 1;
        USED(block);
        free(block);
        atomic_fetch_add(&rounds_of_b, 1);
    }
    return unused;
}

static uint64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

static void nap(uint64_t ns)
{
    const struct timespec time = {0, (long)ns};

    nanosleep(&time, NULL);
}

static uint64_t cpu_time_of(pthread_t thread)
{
    struct timespec time = {0, 0};
    clockid_t clock;

    if (pthread_getcpuclockid(thread, &clock) == 0)
        clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

/* Whether this thread sleeps, by /proc. */
static bool sleeps(pid_t thread)
{
    char path[64], text[512];
    const char *state;

    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread);
    if (procfs_text(path, text, sizeof text) < 0)
        return false;
    state = strrchr(text, ')');
    return state && state[1] == ' ' && state[2] == 'S';
}

static _Atomic pid_t number_of_b;

static void *be_b(void *unused)
{
    atomic_store(&number_of_b, (pid_t)syscall(SYS_gettid));
    return free_and_allocate(unused);
}

/* Watches B from now on. A stall is a stretch without a round in which B slept, or had the CPU for at least half of the time. */
static enum outcome_of_window watch(pthread_t b)
{
    const uint64_t first = atomic_load(&rounds_of_b), began = now();
    uint64_t last = first, since = began, used = cpu_time_of(b);

    for (;;) {
        const uint64_t rounds = atomic_load(&rounds_of_b), at = now();

        if (atomic_load(&failed))
            return FAILED;
        if (rounds - first >= ROUNDS)
            return GOES_ON;
        if (rounds != last) {
            last = rounds;
            since = at;
            used = cpu_time_of(b);
        } else if (at - since > ASLEEP_NS && sleeps(atomic_load(&number_of_b))) {
            return STALLED;
        } else if (at - since > STALL_NS && 2 * (cpu_time_of(b) - used) > at - since) {
            return STALLED;
        }
        if (at - began > 20 * (uint64_t)STALL_NS)
            return UNKNOWN;
        nap(LOOK_NS);
    }
}

/* Waits until a word has this value. Whether it came to that. */
static bool comes_to(_Atomic unsigned *word, unsigned value)
{
    const uint64_t since = now();

    while (atomic_load(word) != value) {
        if (now() - since > PATIENCE_NS)
            return false;
        nap(20000);
    }
    return true;
}

/* One freeze, with its window. -errno where A did not stop or did not go on. */
static int freeze_once(pthread_t a, pthread_t b, enum outcome_of_window *outcome)
{
    atomic_store(&asked_to_stop, 1);
    if (pthread_kill(a, SIGUSR1) || !comes_to(&stopped, 1))
        return -ETIMEDOUT;
    *outcome = watch(b);
    atomic_store(&asked_to_stop, 0);
    atomic_fetch_add(&thaws, 1);
    syscall(SYS_futex, &thaws, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    return comes_to(&stopped, 0) ? 0 : -ETIMEDOUT;
}

/* Whether B makes a few rounds more, however long it takes to get a CPU. */
static bool goes_on(void)
{
    const uint64_t first = atomic_load(&rounds_of_b), since = now();

    while (atomic_load(&rounds_of_b) - first < ROUNDS_A_BLOCK && now() - since < PATIENCE_NS)
        nap(20000);
    return atomic_load(&rounds_of_b) - first >= ROUNDS_A_BLOCK;
}

static uint64_t drawn(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

/* A window with a freeze and one without in turn, at random distances. */
static void watch_in_turn(const struct order *order, struct answer *answer, pthread_t a, pthread_t b)
{
    uint64_t state = order->seed | 1;

    for (uint64_t i = 0; i < order->freezes && !answer->error; i++) {
        enum outcome_of_window outcome = UNKNOWN, control;

        control = watch(b);
        /* Several turns of the CPU: B ran last, and A is where it gave way to B, which is no random instruction. This thread, where it wakes
           up, takes the CPU from either. */
        for (uint64_t turns = LEAST_TURNS + drawn(&state) % LEAST_TURNS; turns; turns--)
            nap(20000 + drawn(&state) % DISTANCE_NS);
        answer->control_stalls += control == STALLED;
        answer->error = freeze_once(a, b, &outcome);
        answer->frozen += outcome == GOES_ON || outcome == STALLED;
        answer->stalls += outcome == STALLED;
        answer->left_out += outcome == UNKNOWN;
        if (outcome == FAILED || control == FAILED)
            answer->error = -ENOMEM;
        /* After each freeze B must go on: a stall that stays was no stall of the freeze. */
        if (!answer->error)
            answer->went_on += goes_on();
    }
}

static void freeze(const struct order *order, struct answer *answer)
{
    const struct sigaction ours = {.sa_handler = freeze_here, .sa_flags = SA_RESTART};
    pthread_t a, b;

    block_bytes = order->size;
    sigaction(SIGUSR1, &ours, NULL);
    answer->error = -pthread_create(&b, NULL, be_b, NULL);
    if (answer->error)
        return;
    answer->error = -pthread_create(&a, NULL, allocate_and_hand_over, NULL);
    if (answer->error)
        return; /* B ends with the process */
    while (atomic_load(&rounds_of_b) < ROUNDS && !atomic_load(&failed))
        nap(LOOK_NS);
    watch_in_turn(order, answer, a, b);
    atomic_store(&ending, 1);
    if (answer->error)
        return; /* one of them may hold a lock for ever */
    pthread_join(a, NULL);
    pthread_join(b, NULL);
}

static SMALL_MAIN void serve(void)
{
    struct order order;
    struct answer answer = {0};

    file_of_malloc(answer.from, sizeof answer.from);
    if (recv(SMALL_SOCKET, &order, sizeof order, 0) == sizeof order) {
        freeze(&order, &answer);
        send(SMALL_SOCKET, &answer, sizeof answer, MSG_NOSIGNAL);
    }
    _exit(0);
}

/* ---- in the engine ---- */

static int setup(struct trial *trial)
{
    const int64_t size = trial->value[SIZE], count = trial->value[FREEZES];
    struct freezes *freezes;

    if (size <= 0 || size > MAX_SIZE || count <= 0 || count > MAX_FREEZES) {
        trial_fault(trial, "size=%" PRId64 " is not from 1 to %d bytes, or freezes=%" PRId64 " not from 1 to %d", size,
                    MAX_SIZE, count, MAX_FREEZES);
        return -EINVAL;
    }
    freezes = trial_alloc(trial, sizeof *freezes);
    return freezes ? start_with_library(trial, &freezes->small, serve, (int)trial->value[LIBRARY]) : -ENOMEM;
}

static int work(struct worker *worker)
{
    struct trial *trial = worker->trial;
    struct freezes *freezes = trial->state;
    const struct order order = {(uint64_t)trial->value[SIZE], (uint64_t)trial->value[FREEZES], tick_now()};
    struct answer answer;
    int status = small_ask(trial, &freezes->small, &order, sizeof order, &answer, sizeof answer);

    if (!status)
        status = library_proven(trial, answer.from, (int)trial->value[LIBRARY]);
    if (status)
        return status;
    if (answer.error == -ETIMEDOUT)
        return trial_fault(trial, "a thread did not stop, or did not go on, within 2 s");
    if (answer.error)
        return answer.error == -ENOMEM || answer.error == -EAGAIN
                   ? trial_needs(trial,
                                 "memory and permission for two more threads (ulimit -u, pids.max of the cgroup)")
                   : answer.error;
    trial->metric[FROZEN] = (double)answer.frozen;
    trial->metric[STALLS] = (double)answer.stalls;
    trial->metric[STALLED_PCT] = answer.frozen ? 100.0 * (double)answer.stalls / (double)answer.frozen : NAN;
    trial->metric[CONTROL_STALLS] = (double)answer.control_stalls;
    trial->metric[LEFT_OUT] = (double)answer.left_out;
    trial_count(trial, 0, (int64_t)answer.went_on, (int64_t)order.freezes);
    return 0;
}

/* Enough freezes that say something, and hardly a stall without one: a busy machine may take A's CPU while A has a lock. */
static int check(struct trial *trial)
{
    if (2 * (int64_t)trial->metric[FROZEN] < trial->value[FREEZES])
        return trial_fault(trial, "of %" PRId64 " freezes %.0f say something: others have this CPU",
                           trial->value[FREEZES], trial->metric[FROZEN]);
    if (10 * (int64_t)trial->metric[CONTROL_STALLS] > trial->value[FREEZES])
        return trial_fault(trial, "in %.0f windows without a freeze the thread stalled too",
                           trial->metric[CONTROL_STALLS]);
    return 0;
}

static void teardown(struct trial *trial)
{
    struct freezes *freezes = trial->state;

    if (freezes)
        small_end(&freezes->small);
}

/* Three windows of 0.4 to 1 ms each, 1 ms between, and 8 ms where it stalls. */
static uint64_t cost_ns(const struct trial *trial)
{
    return 5000000 + (uint64_t)trial->value[FREEZES] * 4500000;
}

KERNEL(freeze,
    .name       = "alloc/freeze",
    .summary    = "a thread is stopped in the middle of the allocator: whether another can free its blocks and allocate",
    .unit       = "freeze",
    .threads    = { .min = 1, .max = 1 },
    .parameters = {
        [LIBRARY] = { .name = "library", .summary = "whose malloc", .labels = LIBRARY_LABELS, .initial = LIBC,
                      .quick = "*", .standard = "libc mimalloc", .rigorous = "*" },
        [SIZE]    = { .name = "size", .unit = "bytes", .summary = "of each block", .initial = 1000, .quick = "1000", .standard = "1000",
                      .rigorous = "16 64 256 1000 4096 16KiB" },
        [FREEZES] = { .name = "freezes", .unit = "freezes", .summary = "in each process", .initial = 25 },
    },
    .metrics    = { [FROZEN]         = { "freezes", "freezes", "that say something" },
                    [STALLS]         = { "stalls", "freezes", "in which the other thread came to a stop" },
                    [STALLED_PCT]    = { "stalled_pct", "%", "share of them" },
                    [CONTROL_STALLS] = { "control_stalls", "windows", "without a freeze in which it did" },
                    [LEFT_OUT]       = { "left_out", "freezes", "in which the other thread had no CPU" } },
    .counts     = { { "went_on", "freezes", "after which the other thread went on" } },
    .setup      = setup,
    .work       = work,
    .check      = check,
    .teardown   = teardown,
    .cost_ns    = cost_ns);
