/*
 * schedule/preempt: how late does a real-time thread wake over a victim, by the work of the victim?
 *
 * One event is one wake-up of a thread of SCHED_FIFO: the time read after its deadline, less that deadline. The victim
 * is a process of SCHED_OTHER on the same CPU.
 *   nobody   there is no victim, and the CPU is idle: the control
 *   user     it computes
 *   getppid  it makes short system calls
 *   read     it reads 64 MiB of zeros with each call
 *   munmap   it gives back 16 MiB with each call, which it has written to
 *   fork     it forks and waits, with 16 MiB to be copied
 *   fsync    it writes a page to a file on a disk and waits for it
 * Excluded:  the first wake-up of all, and reading the clock (some 20 ns).
 * Expect:    guest of an AMD EPYC, Linux 6.18, us, p50 / p99: nobody 66 / 717, user 37 / 101, getppid 48 / 180. There
 *            read is 40 / 148, munmap 40 / 180, fork 38 / 137, fsync 60 / 544.
 * Hazards:   an idle CPU of a guest wakes later than one that is busy. In a guest the interrupt that brings the wake-up
 *            is an exit, and hides points of preemption that are nearer than that. In fsync the CPU is idle for most of
 *            the time.
 * Not shown: the kernel's mode of preemption, which may not be readable. The metric call_ns says how long a call takes.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "kernels/folder.h"
#include "kernels/other_process.h"
#include "kernels/schedule/quota.h"
#include "kernels/wakeups.h"

enum { VICTIM };
enum { NOBODY, USER, GETPPID, READ, MUNMAP, FORK, FSYNC };
enum { MISSED, CALL_NS, CALLS };

#define PERIOD_US 1000
#define WAKEUPS_PER_BATCH 2
/* 10 wake-ups a process: delays over one victim are much alike, and the rounds tell more. */
#define BATCHES 5
/* One call reads so many pieces, all into the same memory. */
#define PIECE_BYTES ((size_t)1 << 20)
#define PIECES 64
#define WRITTEN_BYTES ((size_t)16 << 20)
/* Some 100 us of computing, and of short calls, so that the clock is looked at seldom. */
#define MULTIPLICATIONS 100000
#define SHORT_CALLS 500
/* Much longer than a case: a victim that its case has forgotten ends by SIGALRM. */
#define LIMIT_SECONDS 60
#define PATIENCE_NS UINT64_C(5000000000)

/* In memory that both share. */
struct desk {
    _Atomic uint64_t turns;
    _Atomic uint64_t turn_ns; /* of the shortest: with the fewest interruptions */
    _Atomic uint32_t failed;
};

struct preempted {
    struct wakeups wakeups; /* first: see wakeup_events() */
    struct desk *desk;
    struct folder folder;
    int has_folder;
    pid_t victim;    /* 0: none */
    clockid_t clock; /* of what the victim has had of the CPU */
    uint64_t turns_before;
    int64_t had_before_ns;
};

/* Until it has ended. Whether it came to a child of its own. */
static int fork_and_wait(void)
{
    const pid_t child = fork();
    int status = 1;

    if (child == 0)
        _exit(0);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return child > 0 && status == 0;
}

/* One turn of the victim. Whether it did what it is for. */
static int act(int victim, unsigned char *memory, int file)
{
    struct iovec pieces[PIECES];
    uint64_t product = 3;
    unsigned char *mapping;

    switch (victim) {
    case USER:
        for (int i = 0; i < MULTIPLICATIONS; i++) {
            product *= product;
            OPAQUE(product);
        }
        return product & 1;
    case GETPPID:
        for (int i = 0; i < SHORT_CALLS; i++)
            if (syscall(SYS_getppid) < 0)
                return 0;
        return 1;
    case READ:
        for (int i = 0; i < PIECES; i++)
            pieces[i] = (struct iovec){memory, PIECE_BYTES};
        return readv(file, pieces, PIECES) == (ssize_t)(PIECES * PIECE_BYTES);
    case MUNMAP:
        mapping = (unsigned char *)private_pages(WRITTEN_BYTES, 0);
        if (!mapping)
            return 0;
        for (size_t at = 0; at < WRITTEN_BYTES; at += 4096)
            mapping[at] = 1;
        return munmap(mapping, WRITTEN_BYTES) == 0;
    case FORK:
        return fork_and_wait();
    default:
        return pwrite(file, "of a page", 9, 0) == 9 && fsync(file) == 0;
    }
}

/* Memory and file that the victim needs. 0 or errno. */
static int equip(const struct preempted *preempted, int victim, unsigned char **memory, int *file)
{
    const size_t bytes = victim == READ ? PIECE_BYTES : victim == FORK ? WRITTEN_BYTES : 0;

    *file = -1;
    *memory = bytes ? private_pages(bytes, 0) : NULL;
    if (bytes && !*memory)
        return errno;
    if (bytes)
        memset(*memory, 1, bytes);
    if (victim == READ)
        *file = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    else if (victim == FSYNC)
        *file = openat(preempted->folder.file, FOLDER_FILE, O_RDWR | O_CLOEXEC);
    else
        return 0;
    return *file < 0 ? errno : 0;
}

/* The victim, which never returns. */
static __attribute__((noreturn)) void be_the_victim(const struct preempted *preempted, int victim)
{
    struct desk *desk = preempted->desk;
    unsigned char *memory;
    int file;

    alarm(LIMIT_SECONDS);
    if (equip(preempted, victim, &memory, &file))
        atomic_store_explicit(&desk->failed, 1, memory_order_relaxed);
    /* Relaxed, as all of them: numbers that only this process writes, and nothing comes with them. */
    while (!atomic_load_explicit(&desk->failed, memory_order_relaxed)) {
        const uint64_t begin = now_ns(), least = atomic_load_explicit(&desk->turn_ns, memory_order_relaxed);
        uint64_t took;

        if (!act(victim, memory, file))
            atomic_store_explicit(&desk->failed, 1, memory_order_relaxed);
        took = now_ns() - begin;
        if (least == 0 || took < least)
            atomic_store_explicit(&desk->turn_ns, took, memory_order_relaxed);
        atomic_fetch_add_explicit(&desk->turns, 1, memory_order_relaxed);
    }
    pause();
    _exit(1);
}

static uint64_t turns_of(const struct preempted *preempted)
{
    return atomic_load_explicit(&preempted->desk->turns, memory_order_relaxed); /* see be_the_victim() */
}

/* Asleep until the victim has made so many turns. 0 or -errno. */
static int await_victim(struct trial *trial, const struct preempted *preempted, uint64_t turns)
{
    const struct timespec moment = {0, 1000000};
    const uint64_t since = now_ns();

    while (turns_of(preempted) < turns) {
        if (atomic_load_explicit(&preempted->desk->failed, memory_order_relaxed))
            return trial_fault(trial, "the victim could not do its work");
        if (now_ns() - since > PATIENCE_NS)
            return trial_fault(trial, "the victim did not come to its work for 5 s");
        nanosleep(&moment, NULL);
    }
    return 0;
}

static int setup(struct trial *trial)
{
    const struct schedule above = {.policy = SCHED_FIFO, .priority = WAKEUP_PRIORITY};
    struct preempted *preempted;
    int status, victim = (int)trial->value[VICTIM];

    if (has_cpu_quota())
        return trial_needs(trial, NO_QUOTA);
    preempted = trial_alloc(trial, sizeof *preempted);
    if (!preempted)
        return -ENOMEM;
    preempted->desk = trial_alloc_shared(trial, sizeof *preempted->desk);
    if (!preempted->desk)
        return -ENOMEM;
    status = trial_schedule(trial, 0, &above);
    if (status || victim == NOBODY)
        return status;
    if (victim == FSYNC) {
        preempted->has_folder = 1;
        status = folder_begin(trial, &preempted->folder, ON_A_DISK, 0);
        if (status)
            return status;
    }
    status = other_start(trial);
    if (status == 0)
        be_the_victim(preempted, victim);
    if (status < 0)
        return status;
    preempted->victim = status;
    if (clock_getcpuclockid(preempted->victim, &preempted->clock))
        return trial_needs(trial, "the clock of another process's CPU time");
    status = await_victim(trial, preempted, 2);
    preempted->turns_before = turns_of(preempted);
    preempted->had_before_ns = clock_ns(preempted->clock);
    return status;
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    return wakeup_events(worker, ticks, count, PERIOD_US * 1000);
}

/*
 * Whether the victim was at work while the thread woke. A long call may not have ended, and a wait for a disk uses no CPU. So a victim that
 * did neither has to end its present turn. 0 or -errno.
 */
static int victim_was_at_it(struct trial *trial, const struct preempted *preempted)
{
    if (turns_of(preempted) > preempted->turns_before)
        return 0;
    if (trial->value[VICTIM] == FSYNC)
        return await_victim(trial, preempted, preempted->turns_before + 1);
    if (clock_ns(preempted->clock) > preempted->had_before_ns)
        return 0;
    return trial_fault(trial, "the victim made no turn and used no CPU time meanwhile");
}

/* No wake-up was early, and the victim was at work and has not failed. */
static int check(struct trial *trial)
{
    const struct preempted *preempted = trial->state;
    const int status = preempted->victim ? victim_was_at_it(trial, preempted) : 0;
    const uint64_t turns = turns_of(preempted);

    if (status)
        return status;
    trial->metric[MISSED] = (double)preempted->wakeups.missed;
    if (preempted->victim) {
        const uint64_t turn_ns = atomic_load_explicit(&preempted->desk->turn_ns, memory_order_relaxed);

        if (atomic_load_explicit(&preempted->desk->failed, memory_order_relaxed))
            return trial_fault(trial, "the victim failed in its turn %" PRIu64, turns);
        trial->metric[CALLS] = (double)(turns - preempted->turns_before);
        trial->metric[CALL_NS] = (double)turn_ns / (trial->value[VICTIM] == GETPPID ? SHORT_CALLS : 1);
    }
    return check_wakeups(trial);
}

static void teardown(struct trial *trial)
{
    struct preempted *preempted = trial->state;

    if (!preempted)
        return;
    other_end(preempted->victim);
    if (preempted->has_folder)
        folder_end(&preempted->folder);
}

/* The victim's start takes up to 20 ms, for two of its turns. */
static uint64_t cost_ns(const struct trial *trial)
{
    return (BATCHES * WAKEUPS_PER_BATCH + 1) * (PERIOD_US + 100) * 1000 +
           (trial->value[VICTIM] > GETPPID ? 15000000 : 3000000);
}

KERNEL(preempt,
    .name             = "schedule/preempt",
    .summary          = "a thread of SCHED_FIFO wakes at its deadline, over a process that does something else",
    .unit             = "wake-up",
    .threads          = { .min = 1, .max = 1 },
    .subject          = FLAG_SWITCHED | FLAG_FAULTED,
    .needs            = NEED_FIFO,
    .parameters       = { [VICTIM] = { .name = "victim", .summary = "what the other process on the CPU does",
                                       .labels = "nobody user getppid read munmap fork fsync", .initial = USER,
                                       .quick = "user", .standard = "nobody user getppid read", .rigorous = "*" } },
    .metrics          = { [MISSED]  = { "missed", "deadlines", "that had passed before they could be waited for" },
                          [CALL_NS] = { "call_ns", "ns", "the shortest turn of the victim; of getppid, one call" },
                          [CALLS]   = { "turns", "turns", "of the victim meanwhile" } },
    .flags            = KERNEL_TWIN,
    .setup            = setup,
    .events           = events,
    .events_per_batch = WAKEUPS_PER_BATCH,
    .batches          = BATCHES,
    .check            = check,
    .teardown         = teardown,
    .cost_ns          = cost_ns);
