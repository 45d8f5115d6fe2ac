/*
 * ring/mutex_spin, ring/spin_lock, ring/mutex_condvar:       what does a ring under a lock cost?
 * ring/mutex_spin_round_trip, ring/mutex_condvar_round_trip: and how long does it take there and back?
 *
 * One operation is one item, or one item there and back. The same ring three times (ring/locked.h):
 *   mutex_spin     a mutex of the C library around it: a refusal goes back to the caller, who tries again at once
 *   spin_lock      the same with a spin lock of the C library: nobody ever sleeps
 *   mutex_condvar  a mutex: a thread that is refused sleeps until the other side signals
 * Excluded:  making the rings, and the team's start.
 * Expect:    reference guest, 1024 items of 8 bytes, ns an item: 260 with retries, 195 with condition variables. A
 *            round trip with condition variables takes 82 us.
 * Hazards:   the locks are unfair. A thread that has one may fill or empty the ring in one go. The mutex sleeps where
 *            it is contended.
 * Not shown: sleeping as such (the wake-up of an idle CPU), and many threads.
 */
#define _GNU_SOURCE
#include "locked.h"
#include "trial.h"

#define RING mutex_spin
#include "trial.h"

#define RING spin_lock
#include "trial.h"

#define RING mutex_condvar
#include "trial.h"

KERNEL(mutex_spin,
    .name    = "ring/mutex_spin",
    .summary = "one thread hands items to another through a ring under a mutex, and tries again when refused",
    RING_TRIAL_THROUGHPUT(mutex_spin));
KERNEL(mutex_spin_round_trip,
    .name    = "ring/mutex_spin_round_trip",
    .summary = "an item goes to another thread and back over two rings under a mutex",
    RING_TRIAL_ROUND_TRIP(mutex_spin));
KERNEL(spin_lock,
    .name    = "ring/spin_lock",
    .summary = "one thread hands items to another through a ring under a spin lock, and tries again when refused",
    RING_TRIAL_THROUGHPUT(spin_lock));
KERNEL(mutex_condvar,
    .name    = "ring/mutex_condvar",
    .summary = "one thread hands items to another through a ring under a mutex, and sleeps when refused",
    RING_TRIAL_THROUGHPUT(mutex_condvar));
KERNEL(mutex_condvar_round_trip,
    .name    = "ring/mutex_condvar_round_trip",
    .summary = "an item goes to another thread and back over two rings under a mutex, and each wait is a sleep",
    RING_TRIAL_ROUND_TRIP(mutex_condvar));
