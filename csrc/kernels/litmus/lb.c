/*
 * litmus/lb: load buffering: may each thread load what the other stores only after its own load?
 *
 *     thread 0    thread 1
 *     r0 = X      r1 = Y
 *     fence       fence
 *     Y = 1       X = 1
 *
 * Weak: r0 = 1, r1 = 1. No interleaving explains it.
 *
 * One event is one trial of the first thread, as the mean of a block of 256. A block goes from the thread's
 * start to the end of its last trial.
 * Excluded:  warming the lines up and counting outcomes. The metric weak_per_s includes both.
 * Expect:    x86-64: never. Arm and RISC-V may, and few cores do.
 * Not shown: how rare an unseen outcome is. The report gives an upper bound.
 */
#include "litmus.h"

#define THREADS 2
#define SEEN_BY "01"
#define FINALS ""
#define WEAK "11"

/* A store does not pass an earlier load on x86-64. Elsewhere it may, unless a fence orders loads before stores. */
#define FORBIDDEN                                                                                                      \
    {                                                                                                                  \
        .x86_64 = "none sfence lfence mfence lock_add xchg", .aarch64 = "dmb_ish dmb_ishld dsb_ish",                   \
        .riscv64 = "fence_rw_rw fence_tso", .c11 = "c11_acq_rel c11_seq_cst"                                           \
    }

INLINE void thread(int order, unsigned number, struct cell *cells, uint32_t base, uint32_t *seen)
{
    if (number == 0) {
        const uint32_t r0 = load(order, &cells[X]);
        fence(order);
        store(order, &cells[Y], base + 1);

        seen[0] = r0;
    } else {
        const uint32_t r1 = load(order, &cells[Y]);
        fence(order);
        store(order, &cells[X], base + 1);

        seen[1] = r1;
    }
}

#include "run.h"

KERNEL(lb,
    .name       = "litmus/lb",
    .summary    = "each of two threads loads, then stores to what the other loaded (load buffering)",
    LITMUS_ROW,
    .parameters = LITMUS_PARAMETERS("rendezvous", SWEEP_CONTROLS, SWEEP_FEW),
    .metrics    = {
        LITMUS_METRICS,
        [FIRST_OUTCOME] =
            {"seen_00", "trials", "r0 = 0, r1 = 0"},
            {"seen_01", "trials", "r0 = 0, r1 = 1"},
            {"seen_10", "trials", "r0 = 1, r1 = 0"},
            {"seen_11", "trials", "r0 = 1, r1 = 1 (weak)"},
    });
