/*
 * litmus/r: R: may a store come last in memory, and a load after it still see nothing?
 *
 *     thread 0    thread 1
 *     X = 1       Y = 2
 *     fence       fence
 *     Y = 1       r0 = X
 *
 * Weak: r0 = 0, Y = 2. No interleaving explains it. (Final values are read when all threads are done.)
 *
 * One event is one trial of the first thread, as the mean of a block of 256. A block goes from the thread's
 * start to the end of its last trial.
 * Excluded:  warming the lines up and counting outcomes. The metric weak_per_s includes both.
 * Expect:    x86-64: weak if the second thread's store to Y lands last and its load of X has passed it. sfence and lfence change nothing.
 * Not shown: how rare an unseen outcome is. The report gives an upper bound.
 */
#include "litmus.h"

#define THREADS 2
#define SEEN_BY "1"
#define FINALS "1"
#define WEAK "02"

/* The second thread's load passes its store, as in litmus/sb. */
#define FORBIDDEN                                                                                                      \
    {                                                                                                                  \
        .x86_64 = "mfence lock_add xchg", .aarch64 = "dmb_ish dsb_ish", .riscv64 = "fence_rw_rw", .c11 = "c11_seq_cst" \
    }

INLINE void thread(int order, unsigned number, struct cell *cells, uint32_t base, uint32_t *seen)
{
    if (number == 0) {
        store(order, &cells[X], base + 1);
        fence(order);
        store(order, &cells[Y], base + 1);
    } else {
        store(order, &cells[Y], base + 2);
        fence(order);
        const uint32_t r0 = load(order, &cells[X]);

        seen[0] = r0;
    }
}

#include "run.h"

KERNEL(r,
    .name       = "litmus/r",
    .summary    = "one thread stores twice, and another stores and loads (R)",
    LITMUS_ROW,
    .parameters = LITMUS_PARAMETERS("*", SWEEP_CONTROLS, SWEEP_NATIVE),
    .metrics    = {
        LITMUS_METRICS,
        [FIRST_OUTCOME] =
            {"seen_01", "trials", "r0 = 0, Y = 1"},
            {"seen_02", "trials", "r0 = 0, Y = 2 (weak)"},
            {"seen_11", "trials", "r0 = 1, Y = 1"},
            {"seen_12", "trials", "r0 = 1, Y = 2"},
    });
