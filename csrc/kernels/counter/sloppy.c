/*
 * counter/sloppy: how much of an atomic increment's cost is left if each thread counts by itself and tells the others
 * every T-th time?
 *
 * One operation is one increment of the thread's own count. At the threshold T the count goes to the common one, in one
 * fetch_add. (Boyd-Wickizer et al., OSDI 2010, "sloppy counters", here as a plain count, not as references.) The own
 * count is stored each time. So a reader can get the exact sum by reading all (counter/read). Or it reads the common
 * one alone, which lacks up to T - 1 per thread (counter/error).
 * Excluded:  reading.
 * Expect:    c0 + c1 / T. c0 is the store and the comparison, 1-2 cycles, and c1 the contended fetch_add. Reference
 *            guest, ns for one thread and two: T = 1 takes 10 and 31, T = 4 2.1 and 8.9, T = 16 0.8 and 2.8. Further T
 *            = 64 1.2 and 1.9, T = 256 0.47 and 0.71, T = 1024 0.38 and 0.47.
 * Hazards:   between T = 16 and 128 the one branch that is taken every T-th time may be mispredicted each time
 *            (branch/pattern). That is a bump in the curve of a single thread.
 * Not shown: the cost of the lag to readers (counter/error).
 */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>

#define MAX_THRESHOLD ((int64_t)1 << 32)

enum { THRESHOLD };
enum { BOUND, FLUSHES };

struct sloppy {
    _Alignas(128) _Atomic uint64_t common;
    _Alignas(128) uint64_t threshold;
    struct {
        _Alignas(128) _Atomic uint64_t own;
        _Alignas(128) uint64_t made;
    } sides[];
};

/* Relaxed, all: counts order nothing else. Only the owner writes its own, so it need not read it again. OPAQUE: one turn an increment,
   whatever a compiler thinks of unrolling. The expectation keeps the loop straight: one taken branch a turn. */
#define INCREMENT                                                                                                      \
    OPAQUE(done);                                                                                                      \
    if (__builtin_expect(++count == threshold, 0)) {                                                                   \
        atomic_fetch_add_explicit(&sloppy->common, threshold, memory_order_relaxed);                                   \
        count = 0;                                                                                                     \
    }                                                                                                                  \
    atomic_store_explicit(own, count, memory_order_relaxed)

static void run(struct worker *worker, uint64_t operations)
{
    struct sloppy *sloppy = worker->trial->state;
    _Atomic uint64_t *own = &sloppy->sides[worker->index].own;
    const uint64_t threshold = sloppy->threshold;
    uint64_t count = atomic_load_explicit(own, memory_order_relaxed), done = 0;

    /* The first thread makes the operations of the batch, the others go on until it is done. */
    if (worker->index == 0)
        for (; done < operations; done++) {
            INCREMENT;
        }
    else
        do {
            INCREMENT;
            done++;
        } while (!leader_has_ended(worker));
    worker->done = done;
    sloppy->sides[worker->index].made += done;
}

static int setup(struct trial *trial)
{
    const int64_t threshold = trial->value[THRESHOLD];
    struct sloppy *sloppy;

    if (threshold < 1 || threshold > MAX_THRESHOLD)
        return trial_fault(trial, "threshold=%" PRId64 " is not between 1 and 2^32", threshold);
    sloppy = trial_alloc(trial, sizeof *sloppy + trial->team_size * sizeof *sloppy->sides);
    if (!sloppy)
        return -ENOMEM;
    sloppy->threshold = (uint64_t)threshold;
    return 0;
}

/* Common and own counts are exactly the increments made. No own count has reached the threshold. The common one is a multiple of it. */
static int check(struct trial *trial)
{
    struct sloppy *sloppy = trial->state;
    const uint64_t common = atomic_load_explicit(&sloppy->common, memory_order_relaxed);
    uint64_t counted = common, made = 0;

    for (unsigned i = 0; i < trial->team_size; i++) {
        const uint64_t own = atomic_load_explicit(&sloppy->sides[i].own, memory_order_relaxed);

        if (own >= sloppy->threshold)
            return trial_fault(trial, "thread %u keeps %" PRIu64 " back, the threshold is %" PRIu64, i, own,
                               sloppy->threshold);
        counted += own;
        made += sloppy->sides[i].made;
    }
    if (counted != made || common % sloppy->threshold)
        return trial_fault(trial, "%" PRIu64 " counted (%" PRIu64 " of them in common) of %" PRIu64 " increments",
                           counted, common, made);
    trial->metric[BOUND] = (double)(sloppy->threshold - 1) * trial->team_size;
    trial->metric[FLUSHES] = (double)(common / sloppy->threshold) / (double)made;
    return 0;
}

KERNEL(sloppy,
    .name       = "counter/sloppy",
    .summary    = "each thread counts alone and adds to the common counter every T-th time",
    .unit       = "increment",
    .threads    = { .min = 1, .max = MAX_TEAM },
    .place      = PLACE_SWEEP,
    .parameters = {
        [THRESHOLD] = { .name = "threshold", .unit = "increments", .summary = "at which the own count goes to the common one",
                        .initial = 256, .quick = "1 16 256", .standard = "1 2 4 8 16 32 64 256 1024 65536",
                        .rigorous = "1 2 4 8 16 32 64 128 256 512 1024 2048 4096 8192 16384 32768 65536" },
    },
    .metrics    = {
        [BOUND]   = { "bound", "increments", "that the common counter may lack: (T - 1) x threads" },
        [FLUSHES] = { "flushes_per_operation", "per operation", "additions to the common counter" },
    },
    .setup      = setup,
    .run        = run,
    .check      = check);
