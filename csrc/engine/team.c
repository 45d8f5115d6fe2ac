/*
 * Threads of a trial: POSIX threads that meet at barriers and leave together at an agreed tick. Each is pinned to its
 * own CPU inside the mask that the process inherited. Some may have a process work in their place (peer.c).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "peer.h"

/* Spins before a waiting thread yields: about the time of a slow meeting between CPUs. With more threads than CPUs the yield is
   what lets the others come. */
#define SPINS_BEFORE_YIELD 20000
/* Between the meeting and the common start: long enough for the last thread to see the tick, in microseconds. */
#define START_DELAY_US 3
/* Shorter than a timer's usual slack: as short as a sleep can be. */
#define NAP_NS 50000
/* Threads only run the engine and a kernel's loop. Small stacks keep a team of a thousand affordable. */
#define STACK_BYTES ((size_t)256 << 10)

struct member {
    struct team *team;
    struct worker worker;
    pthread_t thread;
};

void team_fail(struct team *team, int status, const char *format, ...)
{
    int none = 0;
    va_list arguments;

    /* Relaxed: the reason is read only after a meeting or a join, which order it. Only the winner writes it. */
    if (!atomic_compare_exchange_strong_explicit(&team->status, &none, status, memory_order_relaxed,
                                                 memory_order_relaxed))
        return;
    va_start(arguments, format);
    vsnprintf(team->reason, REASON_BYTES, format, arguments);
    va_end(arguments);
}

void nap(void)
{
    const struct timespec moment = {0, NAP_NS};

    nanosleep(&moment, NULL);
}

int team_meet(struct team *team)
{
    /* Acquire, pairs with B: a thread that is one generation ahead must have been released by it. */
    const unsigned generation = atomic_load_explicit(&team->generation, memory_order_acquire);
    unsigned spins = 0;

    /* A: acquire and release, with itself. The last to arrive has seen everything that the others wrote before they came. */
    if (atomic_fetch_add_explicit(&team->arrived, 1, memory_order_acq_rel) + 1 == team->size) {
        atomic_store_explicit(&team->arrived, 0, memory_order_relaxed); /* published by B */
        /* Relaxed: A ordered the failures before it. Not overwritten before all have read it: the next meeting needs them all. */
        team->agreed = atomic_load_explicit(&team->status, memory_order_relaxed);
        /* B: release, pairs with C. It passes on all that A gathered. Without it a thread could leave and not see the
           start tick. */
        atomic_store_explicit(&team->generation, generation + 1, memory_order_release);
        return team->agreed;
    }
    /* C: acquire, pairs with B. */
    while (atomic_load_explicit(&team->generation, memory_order_acquire) == generation) {
        if (++spins < team->spins_before_yield) {
            cpu_relax();
            continue;
        }
        /* Acquire, pairs with end_team() in peer.c. */
        if (atomic_load_explicit(&team->broken, memory_order_acquire))
            peer_leave();
        /* Relaxed: set in setup, before any thread has another policy. Whoever sees it late has only yielded a little longer. */
        if (atomic_load_explicit(&team->naps, memory_order_relaxed))
            nap();
        else
            sched_yield();
    }
    return team->agreed;
}

uint64_t team_start(struct worker *worker)
{
    struct team *team = worker->trial->team;

    if (team->size == 1)
        return tick_now();
    /* Twice: the tick is agreed on only when all are there, and only then may anyone leave. */
    team_meet(team);
    if (worker->index == 0)
        team->start_ticks = tick_now() + (uint64_t)(worker->trial->tick_hz * START_DELAY_US / 1e6);
    team_meet(team);
    while (tick_now() < team->start_ticks)
        cpu_relax();
    return team->start_ticks;
}

int pin_thread(int cpu)
{
    const size_t cpus = (size_t)cpu + 1;
    cpu_set_t *set = CPU_ALLOC(cpus);
    int error;

    if (!set)
        return -ENOMEM;
    CPU_ZERO_S(CPU_ALLOC_SIZE(cpus), set);
    CPU_SET_S((size_t)cpu, CPU_ALLOC_SIZE(cpus), set);
    error = pthread_setaffinity_np(pthread_self(), CPU_ALLOC_SIZE(cpus), set);
    CPU_FREE(set);
    return -error;
}

static void *member_main(void *argument)
{
    struct member *member = argument;
    struct team *team = member->team;
    const int error = pin_thread(member->worker.cpu);

    if (member->worker.index == 0) {
        team->leader = pthread_self();
        /* Ended only where peer_endable() allows it. */
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    }
    if (error)
        team_fail(team, error, "cannot run on CPU %d (%s): it went offline or left this process's CPU set",
                  member->worker.cpu, strerror(-error));
    if (team_meet(team) == 0)
        team->body(&member->worker, team->context);
    return NULL;
}

/* The inherited mask is a promise to whoever started us, though the system would let a thread leave it. */
static int inside_mask(const int *cpus, unsigned count)
{
    const size_t bytes = CPU_ALLOC_SIZE(MAX_CPUS);
    cpu_set_t *mask = CPU_ALLOC(MAX_CPUS);
    int outside = -1;

    if (!mask || sched_getaffinity(0, bytes, mask)) {
        CPU_FREE(mask);
        return -1; /* not readable: pinning itself will tell */
    }
    for (unsigned i = 0; i < count && outside < 0; i++)
        if (!CPU_ISSET_S((size_t)cpus[i], bytes, mask))
            outside = cpus[i];
    CPU_FREE(mask);
    return outside;
}

int team_run(struct team *team, void (*body)(struct worker *worker, void *context), void *context)
{
    const int outside = inside_mask(team->trial->cpus, team->size);
    struct member *members = calloc(team->size, sizeof *members);
    pthread_attr_t attributes;
    unsigned created = 0;
    int error = 0;

    team->body = body;
    team->context = context;
    /* Whom we wait for may be waiting for our CPU. */
    team->spins_before_yield = team->trial->oversubscribed ? 0 : SPINS_BEFORE_YIELD;
    if (!members) {
        team_fail(team, -ENOMEM, "no memory for %u threads", team->size);
        return -ENOMEM;
    }
    if (outside >= 0) {
        team_fail(team, -EPERM, "CPU %d is outside this process's CPU mask", outside);
        free(members);
        return -EPERM;
    }
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    for (; created < team->size && !error; created++) {
        members[created].team = team;
        members[created].worker = (struct worker){.trial = team->trial,
                                                  .index = created,
                                                  .team_size = team->size,
                                                  .cpu = team->trial->cpus[created],
                                                  .leader_end = &team->leader_end};
        error = pthread_create(&members[created].thread, &attributes, member_main, &members[created]);
    }
    pthread_attr_destroy(&attributes);
    if (error) {
        /* The threads that did start wait at the first meeting: stand in for those that never came, then all leave. */
        team_fail(team, -error, "cannot create thread %u of %u (%s)", created, team->size, strerror(error));
        created--;
        for (unsigned missing = created; missing + 1 < team->size; missing++)
            atomic_fetch_add_explicit(&team->arrived, 1, memory_order_acq_rel);
        team_meet(team);
    }
    /* Worker 0 last: whoever has made a process may still have to end that thread. */
    while (created--)
        pthread_join(members[created].thread, NULL);
    free(members);
    return atomic_load_explicit(&team->status, memory_order_relaxed); /* joined: any order will do */
}
