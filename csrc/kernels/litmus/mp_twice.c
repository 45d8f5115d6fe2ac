/*
 * litmus/mp_twice: may a compiler answer a second look with the first?
 *
 *     thread 0    thread 1
 *     X = 1       r0 = X
 *     fence       fence
 *     Y = 1       r1 = Y
 *                 fence
 *                 r2 = X
 *
 * Weak: r0 = 0, r1 = 1, r2 = 0. No interleaving explains it.
 * This is message passing for a reader that has looked before. A compiler that may use r0 for r2 has moved the last load before the one
 * of Y. So the weak outcome is seen with plain ints, on a CPU that keeps loads in order.
 *
 * One event is one trial of the first thread, as the mean of a block of 256. A block goes from the thread's
 * start to the end of its last trial.
 * Excluded:  warming the lines up and counting outcomes. The metric weak_per_s includes both.
 * Expect:    x86-64: never but for int, where gcc and clang leave the second load of X out. That is the compiler's doing, not the CPU's.
 * Not shown: how rare an unseen outcome is. The report gives an upper bound.
 */
#include "litmus.h"

#define THREADS 2
#define SEEN_BY "111"
#define FINALS ""
#define WEAK "010"

/* As litmus/mp. */
#define FORBIDDEN                                                                                                      \
    {                                                                                                                  \
        .x86_64 = "none sfence lfence mfence lock_add xchg", .aarch64 = "dmb_ish dsb_ish",                             \
        .riscv64 = "fence_rw_rw fence_tso", .c11 = "c11_acq_rel c11_seq_cst"                                           \
    }

INLINE void thread(int order, unsigned number, struct cell *cells, uint32_t base, uint32_t *seen)
{
    if (number == 0) {
        store(order, &cells[X], base + 1);
        fence(order);
        store(order, &cells[Y], base + 1);
    } else {
        const uint32_t r0 = load(order, &cells[X]);
        fence(order);
        const uint32_t r1 = load(order, &cells[Y]);
        fence(order);
        const uint32_t r2 = load(order, &cells[X]);

        seen[0] = r0;
        seen[1] = r1;
        seen[2] = r2;
    }
}

#include "run.h"

KERNEL(mp_twice,
    .name       = "litmus/mp_twice",
    .summary    = "a reader looks at the message before the flag and after it, and a compiler may merge both looks",
    LITMUS_ROW,
    .parameters = LITMUS_PARAMETERS("rendezvous", SWEEP_CONTROLS, SWEEP_FEW),
    .metrics    = {
        LITMUS_METRICS,
        [FIRST_OUTCOME] =
            {"seen_000", "trials", "r0 = 0, r1 = 0, r2 = 0"},
            {"seen_001", "trials", "r0 = 0, r1 = 0, r2 = 1"},
            {"seen_010", "trials", "r0 = 0, r1 = 1, r2 = 0 (weak)"},
            {"seen_011", "trials", "r0 = 0, r1 = 1, r2 = 1"},
            {"seen_100", "trials", "r0 = 1, r1 = 0, r2 = 0"},
            {"seen_101", "trials", "r0 = 1, r1 = 0, r2 = 1"},
            {"seen_110", "trials", "r0 = 1, r1 = 1, r2 = 0"},
            {"seen_111", "trials", "r0 = 1, r1 = 1, r2 = 1"},
    });
