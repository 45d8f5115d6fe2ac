/*
 * Background loads: threads that spin on CPUs of the case while its batches are measured, and count their turns as
 * proof that they ran.
 *
 * A load is a thread of this process, and ends with it, however it ends. A thread that waits for a load sleeps. A load
 * of SCHED_FIFO does not give its CPU to a thread that spins or yields at SCHED_OTHER, and there may be only one CPU.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "engine.h"

/* A load runs one loop. */
#define STACK_BYTES ((size_t)64 << 10)
/* How often the first turn of a load is looked for, a nap apart: 0.1 s in all. One that has not come by then is missed by the windows. */
#define FIRST_LOOKS 2000
/* How long all windows must last before a load that ran in none of them is at fault. That is as long as the engine waits for its first turn.
   In less time, another process may have had the CPU. */
#define TELLING_S 0.1
/* Linux kills a real-time load that its case has forgotten, and its process with it, after this many seconds without a sleep. This is
   hundreds of times as long as a case is. */
#define REAL_TIME_SECONDS 30

struct load {
    struct load *next;
    int cpu, status; /* status: 0, or why it could not be placed and scheduled (-errno) */
    struct schedule schedule;
    pthread_t thread;
    int created;
    sem_t ready, go;
    uint64_t turns_before, windows; /* of worker 0: turns when the window began, and windows in which it ran */
    _Alignas(128) uint64_t turns;   /* alone on its lines: the load writes it all the time */
    _Alignas(128) unsigned stop;    /* and reads this one */
};

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) && errno == EINTR)
        ;
}

static void *load_main(void *argument)
{
    struct load *load = argument;

    load->status = pin_thread(load->cpu);
    if (!load->status)
        load->status = schedule_apply(&load->schedule);
    sem_post(&load->ready);
    wait_for(&load->go); /* asleep: nobody is in anybody's way before all are ready */
    /* Relaxed, pairs with loads_stop(): only that it comes to be seen matters. The join orders the rest. */
    while (!__atomic_load_n(&load->stop, __ATOMIC_RELAXED)) {
        /* Relaxed, pairs with turns_of(): a number that grows, and nothing comes with it. */
        __atomic_store_n(&load->turns, load->turns + 1, __ATOMIC_RELAXED);
        cpu_relax();
    }
    return NULL;
}

static uint64_t turns_of(const struct load *load)
{
    return __atomic_load_n(&load->turns, __ATOMIC_RELAXED); /* pairs with load_main() */
}

static int real_time(int policy)
{
    return policy == SCHED_FIFO || policy == SCHED_RR;
}

static int of_case(const struct trial *trial, int cpu)
{
    for (unsigned i = 0; i < trial->team_size; i++)
        if (trial->cpus[i] == cpu)
            return 1;
    return 0;
}

int trial_load(struct trial *trial, int cpu, const struct schedule *schedule)
{
    struct team *team = trial->team;
    const unsigned missing = schedule_needs(schedule) & ~capabilities();
    struct load *load;

    if (missing)
        return trial_needs(trial, capability_text(missing & -missing));
    if (schedule->policy == SCHED_DEADLINE) {
        trial_fault(trial, "a load stays on its CPU, and a thread of SCHED_DEADLINE may not");
        return -EINVAL;
    }
    if (!of_case(trial, cpu)) {
        trial_fault(trial, "CPU %d is none of this case: a load has no place there", cpu);
        return -EINVAL;
    }
    load = aligned_alloc(_Alignof(struct load), sizeof *load);
    if (!load)
        return -ENOMEM;
    memset(load, 0, sizeof *load);
    load->cpu = cpu;
    load->schedule = *schedule;
    sem_init(&load->ready, 0, 0);
    sem_init(&load->go, 0, 0);
    load->next = team->loads;
    team->loads = load;
    atomic_store_explicit(&team->naps, 1, memory_order_relaxed); /* pairs with team_meet() */
    return 0;
}

/* Whether a real-time load would keep a worker of its CPU from ever going on. */
static int starves(const struct team *team, const struct load *load, unsigned worker)
{
    const struct schedule *own = team->schedules ? &team->schedules[worker] : NULL;

    if (!real_time(load->schedule.policy) || team->trial->cpus[worker] != load->cpu)
        return 0;
    if (own && own->policy == SCHED_DEADLINE) /* above all others */
        return 0;
    return !own || !real_time(own->policy) || own->priority <= load->schedule.priority;
}

static void prepare(struct team *team, struct load *load)
{
    pthread_attr_t attributes;
    int error;

    for (unsigned worker = 0; worker < team->size; worker++)
        if (starves(team, load, worker)) {
            team_fail(team, -EINVAL,
                      "a load of %s on CPU %d would stop worker %u there: schedule that at a higher priority",
                      policy_name(load->schedule.policy), load->cpu, worker);
            return;
        }
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    error = pthread_create(&load->thread, &attributes, load_main, load);
    pthread_attr_destroy(&attributes);
    if (error) {
        team_fail(team, -error, "cannot create the thread of a load (%s)", strerror(error));
        return;
    }
    load->created = 1;
    wait_for(&load->ready);
    if (load->status)
        team_fail(team, load->status, "cannot run a load of %s on CPU %d (%s)", policy_name(load->schedule.policy),
                  load->cpu, strerror(-load->status));
}

/* The soft limit on how long a real-time thread goes on without a sleep. A thread that exceeds it is killed. Returns the old limit. */
static rlim_t limit_real_time(rlim_t microseconds)
{
    struct rlimit limit;
    rlim_t before;

    if (getrlimit(RLIMIT_RTTIME, &limit))
        return RLIM_INFINITY;
    before = limit.rlim_cur;
    limit.rlim_cur = microseconds < limit.rlim_max ? microseconds : limit.rlim_max;
    setrlimit(RLIMIT_RTTIME, &limit);
    return before;
}

void loads_prepare(struct team *team)
{
    for (struct load *load = team->loads; load; load = load->next)
        prepare(team, load);
}

void loads_start(struct team *team)
{
    if (!team->loads)
        return;
    team->real_time_limit = limit_real_time((rlim_t)REAL_TIME_SECONDS * 1000000);
    for (struct load *load = team->loads; load; load = load->next)
        sem_post(&load->go);
    for (struct load *load = team->loads; load; load = load->next)
        for (int look = 0; look < FIRST_LOOKS && turns_of(load) == 0; look++)
            nap();
    team->loads_run = 1;
}

void loads_stop(struct team *team)
{
    for (struct load *load = team->loads; load; load = load->next) {
        __atomic_store_n(&load->stop, 1, __ATOMIC_RELAXED); /* pairs with load_main() */
        if (!team->loads_run)                               /* it still sleeps, because another could not be started */
            sem_post(&load->go);
    }
    for (struct load *load = team->loads; load; load = load->next)
        if (load->created) {
            pthread_join(load->thread, NULL);
            load->created = 0;
        }
    if (team->loads_run)
        limit_real_time(team->real_time_limit);
    team->loads_run = 0;
}

void loads_free(struct team *team)
{
    while (team->loads) {
        struct load *load = team->loads;

        team->loads = load->next;
        sem_destroy(&load->ready);
        sem_destroy(&load->go);
        free(load);
    }
}

void loads_window_begins(struct team *team)
{
    for (struct load *load = team->loads; load; load = load->next)
        load->turns_before = turns_of(load);
    team->window_began_ticks = tick_now();
}

void loads_window_ended(struct team *team)
{
    int all = 1;

    team->windows_ticks += tick_now() - team->window_began_ticks;
    for (struct load *load = team->loads; load; load = load->next) {
        const int ran = turns_of(load) != load->turns_before;

        load->windows += ran;
        all &= ran;
    }
    team->windows++;
    team->loaded_windows += all;
}

/* A load of the lowest priority has what others leave of a CPU, and in short windows so has any other. Where they leave nothing, the machine
   is busy, and nothing is at fault. */
int loads_check(struct trial *trial)
{
    const struct team *team = trial->team;
    const double windows_s = (double)team->windows_ticks / trial->tick_hz;

    for (const struct load *load = team->loads; load; load = load->next) {
        if (load->windows)
            continue;
        if (load->schedule.policy == SCHED_IDLE)
            return trial_needs(trial, "CPUs with time left for a load of the lowest priority");
        if (windows_s < TELLING_S && turns_of(load))
            return trial_needs(trial, "CPUs with time left for a load in short windows");
        return trial_fault(trial, "the load of %s on CPU %d ran in none of %" PRIu64 " windows of %.0f ms in all",
                           policy_name(load->schedule.policy), load->cpu, team->windows, windows_s * 1e3);
    }
    return 0;
}

double loaded_pct(const struct team *team)
{
    return team->loads && team->windows ? 100.0 * (double)team->loaded_windows / (double)team->windows : NAN;
}
