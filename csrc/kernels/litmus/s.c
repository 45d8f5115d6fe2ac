/*
 * litmus/s: S: may the older store win although the other thread saw the flag?
 *
 *     thread 0    thread 1
 *     X = 2       r0 = Y
 *     fence       fence
 *     Y = 1       X = 1
 *
 * Weak: r0 = 1, X = 2. No interleaving explains it. (Final values are read when all threads are done.)
 *
 * One event is one trial of the first thread, as the mean of a block of 256. A block goes from the thread's
 * start to the end of its last trial.
 * Excluded:  warming the lines up and counting outcomes. The metric weak_per_s includes both.
 * Expect:    x86-64: never. Arm and RISC-V may.
 * Not shown: how rare an unseen outcome is. The report gives an upper bound.
 */
#include "litmus.h"

#define THREADS 2
#define SEEN_BY "1"
#define FINALS "0"
#define WEAK "12"

/* As litmus/mp, with a store for the second load. */
#define FORBIDDEN                                                                                                      \
    {                                                                                                                  \
        .x86_64 = "none sfence lfence mfence lock_add xchg", .aarch64 = "dmb_ish dsb_ish",                             \
        .riscv64 = "fence_rw_rw fence_tso", .c11 = "c11_acq_rel c11_seq_cst"                                           \
    }

INLINE void thread(int order, unsigned number, struct cell *cells, uint32_t base, uint32_t *seen)
{
    if (number == 0) {
        store(order, &cells[X], base + 2);
        fence(order);
        store(order, &cells[Y], base + 1);
    } else {
        const uint32_t r0 = load(order, &cells[Y]);
        fence(order);
        store(order, &cells[X], base + 1);

        seen[0] = r0;
    }
}

#include "run.h"

KERNEL(s,
    .name       = "litmus/s",
    .summary    = "one thread stores twice, and another loads and stores (S)",
    LITMUS_ROW,
    .parameters = LITMUS_PARAMETERS("rendezvous", SWEEP_CONTROLS, SWEEP_FEW),
    .metrics    = {
        LITMUS_METRICS,
        [FIRST_OUTCOME] =
            {"seen_01", "trials", "r0 = 0, X = 1"},
            {"seen_02", "trials", "r0 = 0, X = 2"},
            {"seen_11", "trials", "r0 = 1, X = 1"},
            {"seen_12", "trials", "r0 = 1, X = 2 (weak)"},
    });
