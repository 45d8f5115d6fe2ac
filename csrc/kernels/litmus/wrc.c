/*
 * litmus/wrc: write to read causality: may the third thread know less than the second, which told it?
 *
 *     thread 0    thread 1    thread 2
 *     X = 1       r0 = X      r1 = Y
 *                 fence       fence
 *                 Y = 1       r2 = X
 *
 * Weak: r0 = 1, r1 = 1, r2 = 0. No interleaving explains it.
 *
 * One event is one trial of the first thread, as the mean of a block of 256. A block goes from the thread's
 * start to the end of its last trial.
 * Excluded:  warming the lines up and counting outcomes. The metric weak_per_s includes both.
 * Expect:    x86-64: never. Arm and RISC-V may without a fence.
 * Not shown: how rare an unseen outcome is. The report gives an upper bound.
 */
#include "litmus.h"

#define THREADS 3
#define SEEN_BY "122"
#define FINALS ""
#define WEAK "110"

/* Multi-copy atomic: what the second thread saw, all see. Only each thread's own order is in doubt. */
#define FORBIDDEN                                                                                                      \
    {                                                                                                                  \
        .x86_64 = "none sfence lfence mfence lock_add xchg", .aarch64 = "dmb_ish dmb_ishld dsb_ish",                   \
        .riscv64 = "fence_rw_rw fence_tso", .c11 = "c11_acq_rel c11_seq_cst"                                           \
    }

INLINE void thread(int order, unsigned number, struct cell *cells, uint32_t base, uint32_t *seen)
{
    if (number == 0) {
        store(order, &cells[X], base + 1);
    } else if (number == 1) {
        const uint32_t r0 = load(order, &cells[X]);
        fence(order);
        store(order, &cells[Y], base + 1);

        seen[0] = r0;
    } else {
        const uint32_t r1 = load(order, &cells[Y]);
        fence(order);
        const uint32_t r2 = load(order, &cells[X]);

        seen[1] = r1;
        seen[2] = r2;
    }
}

#include "run.h"

KERNEL(wrc,
    .name       = "litmus/wrc",
    .summary    = "a second thread tells a third what it saw of the first (write to read causality)",
    LITMUS_ROW,
    .parameters = LITMUS_PARAMETERS("rendezvous", SWEEP_CONTROLS, SWEEP_FEW),
    .metrics    = {
        LITMUS_METRICS,
        [FIRST_OUTCOME] =
            {"seen_000", "trials", "r0 = 0, r1 = 0, r2 = 0"},
            {"seen_001", "trials", "r0 = 0, r1 = 0, r2 = 1"},
            {"seen_010", "trials", "r0 = 0, r1 = 1, r2 = 0"},
            {"seen_011", "trials", "r0 = 0, r1 = 1, r2 = 1"},
            {"seen_100", "trials", "r0 = 1, r1 = 0, r2 = 0"},
            {"seen_101", "trials", "r0 = 1, r1 = 0, r2 = 1"},
            {"seen_110", "trials", "r0 = 1, r1 = 1, r2 = 0 (weak)"},
            {"seen_111", "trials", "r0 = 1, r1 = 1, r2 = 1"},
    });
