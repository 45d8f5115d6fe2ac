/*
 * The shape of a kernel file, as a test compiles and runs it: no kernel of the suite. The question comes first, then what
 * is left out, what to expect and what can go wrong; the row of the catalogue comes last.
 *
 * line/baton: what does it cost to pass a baton round n threads, when each thread waits on a line of its own?
 *
 * One operation is one lap of one thread: it takes the baton from its own line, then lays it into the line of the next.
 * Excluded:  the start of the threads, and the first lap, which fetches cold lines.
 * Expect:    a lap grows with n, because the baton crosses from core to core n times.
 * Hazards:   two threads on one CPU wait for the scheduler at each hand-over.
 * Not shown: contention: at any time one thread writes a line, and one other thread reads it.
 */
#include "kernel.h"

#include <errno.h>
#include <stdatomic.h>

/* Two lines of 64 bytes each: some cores fetch the neighbour of a line along with it. */
struct seat {
    _Alignas(128) _Atomic uint64_t baton; /* the laps that this thread may have begun */
    uint64_t laps;                        /* written by its own thread, and only after a batch */
};

struct circle {
    struct seat seats[MAX_TEAM];
};

static int setup(struct trial *trial)
{
    struct circle *circle = trial_alloc(trial, sizeof *circle);

    if (!circle)
        return -ENOMEM;
    atomic_store_explicit(&circle->seats[0].baton, 1, memory_order_relaxed); /* no thread runs yet */
    return 0;
}

static void run(struct worker *worker, uint64_t laps)
{
    struct circle *circle = worker->trial->state;
    struct seat *own = &circle->seats[worker->index];
    const int last = worker->index + 1 == worker->team_size;
    struct seat *next = &circle->seats[last ? 0 : worker->index + 1];
    uint64_t lap = own->laps; /* a batch goes on where the one before it ended */

    for (const uint64_t end = lap + laps; lap < end; lap++) {
        /* TAKE pairs with GIVE of the thread before us: what it wrote while it had the baton is there for us to see. */
        while (atomic_load_explicit(&own->baton, memory_order_acquire) <= lap)
            cpu_relax();
        /* GIVE pairs with TAKE of the thread after us. The last thread's gift opens the next lap. */
        atomic_store_explicit(&next->baton, lap + 1 + (uint64_t)last, memory_order_release);
    }
    own->laps = lap;
}

/* All threads made the same number of laps, and the baton lies where the next lap begins. */
static int check(struct trial *trial)
{
    struct circle *circle = trial->state;
    const uint64_t laps = circle->seats[0].laps;

    for (unsigned i = 0; i < trial->team_size; i++) {
        const uint64_t baton = atomic_load_explicit(&circle->seats[i].baton, memory_order_relaxed);

        if (circle->seats[i].laps != laps || baton != laps + (i == 0))
            return -EILSEQ;
    }
    return 0;
}

KERNEL(baton,
    .name    = "line/baton",
    .summary = "pass a baton round n threads, a line each, acquire/release",
    .unit    = "lap",
    .threads = { .min = 2, .max = MAX_TEAM },
    .setup   = setup,
    .run     = run,
    .check   = check)
