/*
 * litmus/iriw: independent reads of independent writes: may two readers disagree on which store came first?
 *
 *     thread 0    thread 1    thread 2    thread 3
 *     X = 1       Y = 1       r0 = X      r2 = Y
 *                             fence       fence
 *                             r1 = Y      r3 = X
 *
 * Weak: r0 = 1, r1 = 0, r2 = 1, r3 = 0. No interleaving explains it.
 *
 * One event is one trial of the first thread, as the mean of a block of 256. A block goes from the thread's
 * start to the end of its last trial.
 * Excluded:  warming the lines up and counting outcomes. The metric weak_per_s includes both.
 * Expect:    x86-64: never. Arm and RISC-V: only because loads pass each other. With a fence between the loads, stores reach all other
 *            threads at once.
 * Not shown: how rare an unseen outcome is. The report gives an upper bound.
 */
#include "litmus.h"

#define THREADS 4
#define SEEN_BY "2233"
#define FINALS ""
#define WEAK "1010"

/* All three are multi-copy atomic: only the readers' own order is in doubt. In C11 release and acquire leave it open (POWER). */
#define FORBIDDEN                                                                                                      \
    {                                                                                                                  \
        .x86_64 = "none sfence lfence mfence lock_add xchg", .aarch64 = "dmb_ish dmb_ishld dsb_ish",                   \
        .riscv64 = "fence_rw_rw fence_r_r fence_tso", .c11 = "c11_seq_cst"                                             \
    }

INLINE void thread(int order, unsigned number, struct cell *cells, uint32_t base, uint32_t *seen)
{
    if (number == 0) {
        store(order, &cells[X], base + 1);
    } else if (number == 1) {
        store(order, &cells[Y], base + 1);
    } else if (number == 2) {
        const uint32_t r0 = load(order, &cells[X]);
        fence(order);
        const uint32_t r1 = load(order, &cells[Y]);

        seen[0] = r0;
        seen[1] = r1;
    } else {
        const uint32_t r2 = load(order, &cells[Y]);
        fence(order);
        const uint32_t r3 = load(order, &cells[X]);

        seen[2] = r2;
        seen[3] = r3;
    }
}

#include "run.h"

KERNEL(iriw,
    .name       = "litmus/iriw",
    .summary    = "two threads store to two places, and two others read both (independent reads of independent writes)",
    LITMUS_ROW,
    .parameters = LITMUS_PARAMETERS("rendezvous", SWEEP_CONTROLS, SWEEP_FEW),
    .metrics    = {
        LITMUS_METRICS,
        [FIRST_OUTCOME] =
            {"seen_0000", "trials", "r0 = 0, r1 = 0, r2 = 0, r3 = 0"},
            {"seen_0001", "trials", "r0 = 0, r1 = 0, r2 = 0, r3 = 1"},
            {"seen_0010", "trials", "r0 = 0, r1 = 0, r2 = 1, r3 = 0"},
            {"seen_0011", "trials", "r0 = 0, r1 = 0, r2 = 1, r3 = 1"},
            {"seen_0100", "trials", "r0 = 0, r1 = 1, r2 = 0, r3 = 0"},
            {"seen_0101", "trials", "r0 = 0, r1 = 1, r2 = 0, r3 = 1"},
            {"seen_0110", "trials", "r0 = 0, r1 = 1, r2 = 1, r3 = 0"},
            {"seen_0111", "trials", "r0 = 0, r1 = 1, r2 = 1, r3 = 1"},
            {"seen_1000", "trials", "r0 = 1, r1 = 0, r2 = 0, r3 = 0"},
            {"seen_1001", "trials", "r0 = 1, r1 = 0, r2 = 0, r3 = 1"},
            {"seen_1010", "trials", "r0 = 1, r1 = 0, r2 = 1, r3 = 0 (weak)"},
            {"seen_1011", "trials", "r0 = 1, r1 = 0, r2 = 1, r3 = 1"},
            {"seen_1100", "trials", "r0 = 1, r1 = 1, r2 = 0, r3 = 0"},
            {"seen_1101", "trials", "r0 = 1, r1 = 1, r2 = 0, r3 = 1"},
            {"seen_1110", "trials", "r0 = 1, r1 = 1, r2 = 1, r3 = 0"},
            {"seen_1111", "trials", "r0 = 1, r1 = 1, r2 = 1, r3 = 1"},
    });
