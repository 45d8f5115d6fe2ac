/*
 * ring/pipe, ring/eventfd, ring/pipe_round_trip, ring/eventfd_round_trip: what do the kernel's own means of passing
 * items cost?
 *
 * One operation is one item, or one item there and back (ring/sleeping.h):
 *   pipe     a blocking pipe, with a write and a read for each item. A batch is one write, and one read of all that is
 *            there
 *   eventfd  the library's SPSC ring, and an eventfd for each side to sleep at. A side that finds nothing to do says so
 *            and sleeps. The other side rings only if somebody sleeps. So do virtio and io_uring. An eventfd that
 *            counts items would be two system calls an item.
 * Excluded:  making them, and the team's start.
 * Expect:    a pipe takes two system calls and a copy each way, 0.5-2 us an item. A round trip is two wake-ups, as with
 *            condition variables (ring/mutex_condvar_round_trip: 82 us on the reference guest). With an eventfd, near
 *            the ring's own time plus a fence while nobody sleeps (fence/cost). If somebody sleeps, a wake-up.
 * Hazards:   a pipe contains whole pages, at least one. `capacity` is a lower bound, unless it is more than
 *            fs.pipe-max-size.
 * Not shown: spinning for a while before going to sleep, the usual compromise, and epoll.
 */
#define _GNU_SOURCE
#include "sleeping.h"
#include "trial.h"

#define RING pipe
#define RING_HAS_BULK
#include "trial.h"

#define RING eventfd
#include "trial.h"

KERNEL(pipe,
    .name    = "ring/pipe",
    .summary = "one thread hands items to another through a pipe, with a system call at either end",
    .subject = FLAG_SWITCHED,
    RING_TRIAL_THROUGHPUT_OF(pipe, NULL, "16 64 256 1024 4096 16384 65536", NULL, "1 32"));
KERNEL(pipe_round_trip,
    .name    = "ring/pipe_round_trip",
    .summary = "an item goes to another thread and back over two pipes",
    .subject = FLAG_SWITCHED,
    RING_TRIAL_ROUND_TRIP(pipe));
KERNEL(eventfd,
    .name    = "ring/eventfd",
    .summary = "one thread hands items to another through the library's ring, and sleeps at an eventfd when refused",
    .subject = FLAG_SWITCHED,
    RING_TRIAL_THROUGHPUT(eventfd));
KERNEL(eventfd_round_trip,
    .name    = "ring/eventfd_round_trip",
    .summary = "an item goes to another thread and back over two of the library's rings, and each wait is a sleep",
    .subject = FLAG_SWITCHED,
    RING_TRIAL_ROUND_TRIP(eventfd));
