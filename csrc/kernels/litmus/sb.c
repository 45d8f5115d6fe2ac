/*
 * litmus/sb: store buffering: may a load pass an earlier store to another place?
 *
 *     thread 0    thread 1
 *     X = 1       Y = 1
 *     fence       fence
 *     r0 = Y      r1 = X
 *
 * Weak: r0 = 0, r1 = 0. No interleaving explains it.
 *
 * One event is one trial of the first thread, as the mean of a block of 256. A block goes from the thread's
 * start to the end of its last trial.
 * Excluded:  warming the lines up and counting outcomes. The metric weak_per_s includes both.
 * Expect:    x86-64: weak in up to nine of ten trials of the runner rendezvous, in 0.1 to 8 % of the runner array. With a barrier before
 *            each trial it is 0.01 %. The fences sfence and lfence change nothing. The fence mfence and locked operations end it.
 * Not shown: how rare an unseen outcome is. The report gives an upper bound.
 */
#include "litmus.h"

#define THREADS 2
#define SEEN_BY "01"
#define FINALS ""
#define WEAK "00"

/* A store may wait while the next load reads. Only a fence that blocks loads until stores are seen forbids that. */
#define FORBIDDEN                                                                                                      \
    {                                                                                                                  \
        .x86_64 = "mfence lock_add xchg", .aarch64 = "dmb_ish dsb_ish", .riscv64 = "fence_rw_rw", .c11 = "c11_seq_cst" \
    }

INLINE void thread(int order, unsigned number, struct cell *cells, uint32_t base, uint32_t *seen)
{
    if (number == 0) {
        store(order, &cells[X], base + 1);
        fence(order);
        const uint32_t r0 = load(order, &cells[Y]);

        seen[0] = r0;
    } else {
        store(order, &cells[Y], base + 1);
        fence(order);
        const uint32_t r1 = load(order, &cells[X]);

        seen[1] = r1;
    }
}

#include "run.h"

KERNEL(sb,
    .name       = "litmus/sb",
    .summary    = "each of two threads stores, then loads what the other stored (store buffering)",
    LITMUS_ROW,
    .flags      = KERNEL_TWIN,
    .parameters = LITMUS_PARAMETERS("*", SWEEP_CONTROLS, SWEEP_NATIVE),
    .metrics    = {
        LITMUS_METRICS,
        [FIRST_OUTCOME] =
            {"seen_00", "trials", "r0 = 0, r1 = 0 (weak)"},
            {"seen_01", "trials", "r0 = 0, r1 = 1"},
            {"seen_10", "trials", "r0 = 1, r1 = 0"},
            {"seen_11", "trials", "r0 = 1, r1 = 1"},
    });
