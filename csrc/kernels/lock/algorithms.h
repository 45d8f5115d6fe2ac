/*
 * Seven locks, each as acquire_NAME and release_NAME. Four spin in the forms of the textbooks, two are of the C
 * library, and one sleeps in the kernel. lock/hold and its tests use nothing else of them.
 *
 * Spinning is bounded. A thread that has looked SPINS_BEFORE_YIELD times in vain gives its CPU away before each further
 * look (and counts that). With a CPU for each thread that hardly happens. With more threads than CPUs the holder, or
 * the next in line, may not be running. Without the bound a team would spin through whole time slices of the scheduler.
 */
#ifndef FENCEPOST_LOCK_ALGORITHMS_H
#define FENCEPOST_LOCK_ALGORITHMS_H

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel.h"

/* 10-50 us of pauses (40 to 140 cycles each): longer than a queue of ten sections of 1000 ns, far shorter than a time slice. */
#define SPINS_BEFORE_YIELD 1000

/* A place in the queue of an MCS lock. Each waiter spins on a separate line. */
struct mcs_place {
    _Alignas(128) struct mcs_place *_Atomic next;
    atomic_int waiting;
};

/* The data that a thread needs to take a lock. */
struct taker {
    struct mcs_place place;
    uint64_t yields;
};

/* One of each, each alone on its pair of lines. A trial uses one. */
struct locks {
    _Alignas(128) atomic_int tas;
    _Alignas(128) atomic_int ttas;
    _Alignas(128) struct {
        _Atomic uint32_t next, serving;
    } ticket;
    _Alignas(128) struct mcs_place *_Atomic mcs;
    _Alignas(128) pthread_spinlock_t pthread_spin;
    _Alignas(128) pthread_mutex_t pthread_mutex;
    _Alignas(128) struct {
        atomic_int units, sleepers;
    } futex;
};

static inline void look_again(struct taker *me, unsigned *looks)
{
    if (++*looks < SPINS_BEFORE_YIELD) {
        cpu_relax();
    } else {
        sched_yield();
        me->yields++;
    }
}

/* Test-and-set: every look is a write, and takes the line away from the holder. No pause: that is what the next one is for. */
static inline void acquire_tas(struct locks *locks, struct taker *me)
{
    unsigned looks = 0;

    /* A: acquire, pairs with B. All that the last holder did is ours to see. Without it its section could show through in ours. */
    while (atomic_exchange_explicit(&locks->tas, 1, memory_order_acquire))
        if (++looks >= SPINS_BEFORE_YIELD) {
            sched_yield();
            me->yields++;
        }
}

static inline void release_tas(struct locks *locks, struct taker *me)
{
    (void)me;
    /* B: release, pairs with A. Our section is over for everybody before the lock is free. */
    atomic_store_explicit(&locks->tas, 0, memory_order_release);
}

/* Test-and-test-and-set: waiters only read, so that the line stays where they are until it is written. */
static inline void acquire_ttas(struct locks *locks, struct taker *me)
{
    unsigned looks = 0;

    /* A: acquire, pairs with B, as in the lock above. */
    while (atomic_exchange_explicit(&locks->ttas, 1, memory_order_acquire))
        /* Relaxed: only a hint that the exchange is worth trying. A orders. */
        while (atomic_load_explicit(&locks->ttas, memory_order_relaxed))
            look_again(me, &looks);
}

static inline void release_ttas(struct locks *locks, struct taker *me)
{
    (void)me;
    /* B: release, pairs with A. */
    atomic_store_explicit(&locks->ttas, 0, memory_order_release);
}

/* Ticket: first come, first served. All wait on one line, and each release is news to all of them. */
static inline void acquire_ticket(struct locks *locks, struct taker *me)
{
    /* Relaxed: drawing a number orders nothing, it only has to be unique. */
    const uint32_t number = atomic_fetch_add_explicit(&locks->ticket.next, 1, memory_order_relaxed);
    unsigned looks = 0;

    /* A: acquire, pairs with B of the thread one number before us. */
    while (atomic_load_explicit(&locks->ticket.serving, memory_order_acquire) != number)
        look_again(me, &looks);
}

static inline void release_ticket(struct locks *locks, struct taker *me)
{
    /* Relaxed: the holder alone writes it, and reads back what it has seen by A. */
    const uint32_t number = atomic_load_explicit(&locks->ticket.serving, memory_order_relaxed);

    (void)me;
    /* B: release, pairs with A of the thread one number after us. A plain store: nobody else may write here now. */
    atomic_store_explicit(&locks->ticket.serving, number + 1, memory_order_release);
}

/* Mellor-Crummey and Scott (1991): a queue in which each waits on its own line for the one before. */
static inline void acquire_mcs(struct locks *locks, struct taker *me)
{
    struct mcs_place *place = &me->place, *before;
    unsigned looks = 0;

    /* Relaxed, both: our place is not known to anybody before A. */
    atomic_store_explicit(&place->next, NULL, memory_order_relaxed);
    atomic_store_explicit(&place->waiting, 1, memory_order_relaxed);
    /* A: acquire, pairs with C (the queue was empty, so the last holder's section is over). A: release, pairs with A of
       the thread that queues behind us. That thread writes into our place, so our place must be cleared before it is
       found. */
    before = atomic_exchange_explicit(&locks->mcs, place, memory_order_acq_rel);
    if (!before)
        return;
    /* B: release, pairs with D. A thread that follows the pointer finds `waiting` set, and clears it only then. */
    atomic_store_explicit(&before->next, place, memory_order_release);
    /* E: acquire, pairs with F. The section of the one before us is over. */
    while (atomic_load_explicit(&place->waiting, memory_order_acquire))
        look_again(me, &looks);
}

static inline void release_mcs(struct locks *locks, struct taker *me)
{
    struct mcs_place *place = &me->place, *last = place;
    unsigned looks = 0;
    /* D: acquire, pairs with B. */
    struct mcs_place *next = atomic_load_explicit(&place->next, memory_order_acquire);

    if (!next) {
        /* C: release, pairs with A of whoever finds the queue empty. Relaxed on failure: D is looked at again. */
        if (atomic_compare_exchange_strong_explicit(&locks->mcs, &last, NULL, memory_order_release,
                                                    memory_order_relaxed))
            return;
        /* Somebody has queued behind us and has not yet said where: D again. */
        while (!(next = atomic_load_explicit(&place->next, memory_order_acquire)))
            look_again(me, &looks);
    }
    /* F: release, pairs with E. */
    atomic_store_explicit(&next->waiting, 0, memory_order_release);
}

/* The C library's: in glibc an atomic decrement or exchange, then reads with pauses for as long as it takes. */
static inline void acquire_pthread_spin(struct locks *locks, struct taker *me)
{
    (void)me;
    pthread_spin_lock(&locks->pthread_spin);
}

static inline void release_pthread_spin(struct locks *locks, struct taker *me)
{
    (void)me;
    pthread_spin_unlock(&locks->pthread_spin);
}

/* The same for teams that have to share CPUs. The lock itself does not yield, so it is tried. */
static inline void acquire_pthread_spin_shared(struct locks *locks, struct taker *me)
{
    unsigned looks = 0;

    while (pthread_spin_trylock(&locks->pthread_spin))
        look_again(me, &looks);
}

static inline void release_pthread_spin_shared(struct locks *locks, struct taker *me)
{
    release_pthread_spin(locks, me);
}

/* The C library's: one compare-and-swap when free, otherwise sleep. */
static inline void acquire_pthread_mutex(struct locks *locks, struct taker *me)
{
    (void)me;
    pthread_mutex_lock(&locks->pthread_mutex);
}

static inline void release_pthread_mutex(struct locks *locks, struct taker *me)
{
    (void)me;
    pthread_mutex_unlock(&locks->pthread_mutex);
}

/*
 * A semaphore of one unit that sleeps at once, without a spin before it. Any thread that comes may take a unit.
 * Sleepers have no precedence.
 */
static inline void acquire_futex(struct locks *locks, struct taker *me)
{
    int one = 1;

    (void)me;
    /* A: acquire, pairs with B. The section before is over. It is relaxed on failure, since nothing was taken. */
    while (!atomic_compare_exchange_strong_explicit(&locks->futex.units, &one, 0, memory_order_acquire,
                                                    memory_order_relaxed)) {
        /* C: sequentially consistent, pairs with B and D. Either the thread that gives the unit back reads us as a
           sleeper, or the system call finds the unit there and does not sleep. With anything weaker both could miss
           each other, and we would sleep for ever. */
        atomic_fetch_add_explicit(&locks->futex.sleepers, 1, memory_order_seq_cst);
        syscall(SYS_futex, &locks->futex.units, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
        /* Relaxed: too many sleepers only cost a call too many. */
        atomic_fetch_sub_explicit(&locks->futex.sleepers, 1, memory_order_relaxed);
        one = 1;
    }
}

static inline void release_futex(struct locks *locks, struct taker *me)
{
    (void)me;
    /* B: sequentially consistent. It is a release for A, and it is before D for C. */
    atomic_fetch_add_explicit(&locks->futex.units, 1, memory_order_seq_cst);
    /* D: sequentially consistent, after B, pairs with C. */
    if (atomic_load_explicit(&locks->futex.sleepers, memory_order_seq_cst))
        syscall(SYS_futex, &locks->futex.units, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Sets up the locks that are not free when zeroed. 0 or -errno. */
static inline int locks_open(struct locks *locks)
{
    int error;

    atomic_init(&locks->futex.units, 1);
    error = pthread_spin_init(&locks->pthread_spin, PTHREAD_PROCESS_PRIVATE);
    return -(error ? error : pthread_mutex_init(&locks->pthread_mutex, NULL));
}

#endif
