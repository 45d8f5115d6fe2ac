/*
 * Spinners: processes that use up the CPU they share, each scheduled in its own way, and the CPU time that each has
 * had.
 *
 * One process forks all of them. Where autogroup is on, Linux shares a CPU between sessions first, and the weights of
 * tasks count within one session only. They sleep until they are let go, so that they do not take the CPU from the
 * process that starts them. A real-time spinner also waits asleep. They die with the thread that forked them, and by
 * themselves after LIMIT_SECONDS.
 */
#ifndef FENCEPOST_SCHEDULE_SPINNERS_H
#define FENCEPOST_SCHEDULE_SPINNERS_H

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>

#include "kernels/cpus.h"
#include "kernels/other_process.h"

#define MAX_SPINNERS 8
/* Much longer than a case. A spinner that its case has forgotten ends by SIGALRM. */
#define LIMIT_SECONDS 60
/* At one moment. A look takes a tenth of a slice. */
#define MAX_LOOKS 100
/* Of a window: what spinners have may be charged to them a tick later. */
#define MOST_OF_WINDOW 1.05
/* So long a spinner may take until it sleeps and waits to be let go. */
#define PATIENCE_MS 5000
/* Before each window: until all have had a slice, and what they had while asleep is used up. */
#define SETTLE_MS 15
/* The longest window that may be asked for: a spinner lives for LIMIT_SECONDS, and some cases have four. */
#define MAX_WINDOW_MS 10000

struct spinners_desk {
    _Atomic uint32_t go;
    struct {
        _Alignas(64) _Atomic uint32_t ready; /* 1 while it waits to be let go, 2 if it could not be scheduled so */
        int error;                           /* then, as errno */
        _Atomic uint64_t turns;
    } of[MAX_SPINNERS];
};

struct spinners {
    struct spinners_desk *desk;
    int count, on_one_cpu;
    pid_t pid[MAX_SPINNERS];
    clockid_t clock[MAX_SPINNERS];
};

static inline void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    const struct timespec moment = {0, 100000000};

    syscall(SYS_futex, word, FUTEX_WAIT, value, &moment, NULL, 0);
}

static inline void futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Where a spinner may run. */
struct spinner_cpus {
    int of[MAX_SPINNERS];
    unsigned count;
};

/* For a child of this kernel's own: it is thrown away, so nothing is put back. 0 or errno. */
static inline int schedule_child(const struct schedule *schedule)
{
    const struct sched_param param = {.sched_priority = schedule->priority};

    if (schedule->nice && setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + schedule->nice))
        return errno;
    return syscall(SYS_sched_setscheduler, 0, schedule->policy, &param) ? errno : 0;
}

/* The spinner, which never returns. */
static inline void spin(struct spinners_desk *desk, int place, const struct schedule *schedule,
                        const struct spinner_cpus *where)
{
    _Atomic uint32_t *ready = &desk->of[place].ready;

    alarm(LIMIT_SECONDS);
    desk->of[place].error = where ? -run_on(where->of, where->count) : 0;
    if (!desk->of[place].error)
        desk->of[place].error = schedule_child(schedule);
    /* Release, pairs with spinner_ready(): without it a spinner could be seen to have failed, and its error not yet. */
    atomic_store_explicit(ready, desk->of[place].error ? 2 : 1, memory_order_release);
    futex_wake(ready);
    for (;;) {
        while (atomic_load_explicit(&desk->go, memory_order_relaxed) == 0)
            futex_wait(&desk->go, 0);
        /* Relaxed: a number that grows, and nothing comes with it. */
        atomic_fetch_add_explicit(&desk->of[place].turns, 1, memory_order_relaxed);
    }
}

/* Asleep until this spinner is ready. 0, or -errno: trial_needs() where it may not be scheduled so. */
static inline int spinner_ready(struct trial *trial, const struct spinners *spinners, int place,
                                const struct schedule *schedule)
{
    _Atomic uint32_t *ready = &spinners->desk->of[place].ready;
    const uint64_t since = now_ns();
    uint32_t is;

    /* Acquire, pairs with spin(). */
    while ((is = atomic_load_explicit(ready, memory_order_acquire)) == 0) {
        futex_wait(ready, 0);
        if (now_ns() - since > PATIENCE_MS * UINT64_C(1000000))
            return trial_fault(trial, "a spinner did not come to its start for 5 s");
    }
    if (is == 1)
        return 0;
    if (spinners->desk->of[place].error == EPERM || spinners->desk->of[place].error == EACCES)
        return trial_needs(
            trial,
            capability_text(schedule->policy == SCHED_FIFO || schedule->policy == SCHED_RR ? NEED_FIFO : NEED_NICE));
    return -spinners->desk->of[place].error;
}

/*
 * So many spinners, scheduled so and asleep: on this thread's CPU, or where `places` says. To be ended by spinners_end(), also after a failure.
 * 0 or -errno.
 */
static inline int spinners_start(struct trial *trial, struct spinners *spinners, const struct schedule *schedules,
                                 const struct spinner_cpus *places, int count)
{
    int status = 0;

    spinners->desk = trial_alloc_shared(trial, sizeof *spinners->desk);
    if (!spinners->desk)
        return -ENOMEM;
    spinners->on_one_cpu = !places;
    for (int place = 0; place < count && !status; place++) {
        const int pid = other_start(trial);

        if (pid == 0)
            spin(spinners->desk, place, &schedules[place], places ? &places[place] : NULL);
        if (pid < 0)
            return pid;
        spinners->pid[spinners->count++] = pid;
        if (clock_getcpuclockid(pid, &spinners->clock[place]))
            return trial_needs(trial, "the clock of another process's CPU time");
        status = spinner_ready(trial, spinners, place, &schedules[place]);
    }
    return status;
}

/* Let them spin, or let them go to sleep. */
static inline void spinners_go(const struct spinners *spinners, int go)
{
    atomic_store_explicit(&spinners->desk->go, (uint32_t)go,
                          memory_order_relaxed); /* only that it comes to be seen matters */
    futex_wake(&spinners->desk->go);
}

static inline void spinners_end(struct spinners *spinners)
{
    while (spinners->count)
        other_end(spinners->pid[--spinners->count]);
}

static inline uint64_t spinner_turns(const struct spinners *spinners, int place)
{
    return atomic_load_explicit(&spinners->desk->of[place].turns, memory_order_relaxed); /* see spin() */
}

/* What one has had of its CPU so far, in ns. */
static inline int64_t spinner_ns(const struct spinners *spinners, int place)
{
    return clock_ns(spinners->clock[place]);
}

/* A number of its /proc/PID/sched, by how its line begins. NaN if Linux does not tell (CONFIG_SCHED_DEBUG). */
static inline double spinner_field(const struct spinners *spinners, int place, const char *name)
{
    char path[32], text[PROCFS_BYTES];
    const char *line;
    double value = NAN;

    snprintf(path, sizeof path, "/proc/%d/sched", (int)spinners->pid[place]);
    if (procfs_text(path, text, sizeof text) < 0)
        return NAN;
    line = strstr(text, name);
    return line && sscanf(line + strlen(name), " : %lf", &value) == 1 ? value : NAN;
}

/* The virtual time of a spinner in ns, as its weight makes it pass. */
static inline double spinner_virtual_ns(const struct spinners *spinners, int place)
{
    return spinner_field(spinners, place, "\nse.vruntime") * 1e6;
}

/*
 * The time that each has had and its virtual time, of all at one moment. The caller is on their CPU, so that none runs meanwhile. If one has
 * run, it looks again. Spinners on several CPUs run on. 0, or -EAGAIN if some ran in each of the looks.
 */
static inline int spinners_read(const struct spinners *spinners, int64_t *ns, double *virtual_ns)
{
    int again = 1;

    for (int look = 0; look < MAX_LOOKS && again; look++) {
        for (int place = 0; place < spinners->count; place++) {
            ns[place] = spinner_ns(spinners, place);
            virtual_ns[place] = spinner_virtual_ns(spinners, place);
        }
        again = 0;
        for (int place = 0; place < spinners->count && spinners->on_one_cpu; place++)
            again |= spinner_ns(spinners, place) != ns[place];
    }
    return again ? -EAGAIN : 0;
}

/* What happens in a window: all spin for a moment, and then for so long. */
struct spun {
    int64_t had_ns[MAX_SPINNERS], window_ns;
    double virtual_ns[MAX_SPINNERS]; /* by which their virtual times moved on */
};

/* Add a window of so many ms to what was spun before, once all have settled. 0 or -errno. */
static inline int spin_window(struct trial *trial, const struct spinners *spinners, int64_t window_ms,
                              struct spun *spun)
{
    double virtual_before[MAX_SPINNERS], virtual_after[MAX_SPINNERS];
    int64_t before[MAX_SPINNERS], after[MAX_SPINNERS];
    uint64_t began;
    int status;

    spinners_go(spinners, 1);
    sleep_ms(SETTLE_MS);
    began = now_ns();
    status = spinners_read(spinners, before, virtual_before);
    sleep_ms(window_ms);
    spun->window_ns += (int64_t)(now_ns() - began);
    if (!status)
        status = spinners_read(spinners, after, virtual_after);
    spinners_go(spinners, 0);
    if (status)
        return trial_fault(trial, "a spinner ran in each of %d looks at what they had, from the CPU that they share",
                           MAX_LOOKS);
    for (int place = 0; place < spinners->count; place++) {
        spun->had_ns[place] += after[place] - before[place];
        spun->virtual_ns[place] += virtual_after[place] - virtual_before[place];
    }
    return 0;
}

/* CPU time in all windows: of the spinner that had least, of the one that had most, and of all together. */
struct had {
    int64_t least_ns, most_ns, all_ns;
};

static inline struct had had_of(const struct spinners *spinners, const struct spun *spun)
{
    struct had had = {INT64_MAX, 0, 0};

    for (int place = 0; place < spinners->count; place++) {
        const int64_t ns = spun->had_ns[place];

        had.least_ns = ns < had.least_ns ? ns : had.least_ns;
        had.most_ns = ns > had.most_ns ? ns : had.most_ns;
        had.all_ns += ns;
    }
    return had;
}

/* How fairly they shared: the most over the least. NaN where one had nothing. */
static inline double most_over_least(const struct had *had)
{
    return had->least_ns > 0 ? (double)had->most_ns / (double)had->least_ns : NAN;
}

/* A fault where one was charged for time in which it made no turn, or all had more than so many CPUs have. */
static inline int check_spun(struct trial *trial, const struct spinners *spinners, const struct spun *spun, int cpus)
{
    const struct had had = had_of(spinners, spun);

    for (int place = 0; place < spinners->count; place++)
        if (spun->had_ns[place] < 0 || (spun->had_ns[place] > 0 && spinner_turns(spinners, place) == 0))
            return trial_fault(trial, "spinner %d was charged for %" PRId64 " ns and made no turn", place,
                               spun->had_ns[place]);
    if (had.all_ns == 0 || (double)had.all_ns > MOST_OF_WINDOW * cpus * (double)spun->window_ns)
        return trial_fault(trial, "the spinners had %" PRId64 " ns of %d CPUs in %" PRId64, had.all_ns, cpus,
                           spun->window_ns);
    return 0;
}

/* Of so many windows, with waking up and reading. */
static inline uint64_t spin_cost_ns(int64_t window_ms, uint64_t windows)
{
    return windows * (uint64_t)(window_ms + SETTLE_MS + 2) * 1000000;
}

#endif
