/*
 * litmus/mp: message passing: may a thread see the flag but not the message?
 *
 *     thread 0    thread 1
 *     X = 1       r0 = Y
 *     fence       fence
 *     Y = 1       r1 = X
 *
 * Weak: r0 = 1, r1 = 0. No interleaving explains it.
 *
 * One event is one trial of the first thread, as the mean of a block of 256. A block goes from the thread's
 * start to the end of its last trial.
 * Excluded:  warming the lines up and counting outcomes. The metric weak_per_s includes both.
 * Expect:    x86-64: never, whatever the order, except by a compiler that changes accesses to plain ints. Arm and RISC-V may.
 * Not shown: how rare an unseen outcome is. The report gives an upper bound.
 */
#include "litmus.h"

#define THREADS 2
#define SEEN_BY "11"
#define FINALS ""
#define WEAK "10"

/*
 * Stores stay in order, and loads stay in order, on x86-64. Elsewhere both sides need a fence, or release and acquire.
 */
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
        const uint32_t r0 = load(order, &cells[Y]);
        fence(order);
        const uint32_t r1 = load(order, &cells[X]);

        seen[0] = r0;
        seen[1] = r1;
    }
}

#include "run.h"

KERNEL(mp,
    .name       = "litmus/mp",
    .summary    = "one thread stores message and flag, and another loads flag and message (message passing)",
    LITMUS_ROW,
    .parameters = LITMUS_PARAMETERS("rendezvous", SWEEP_CONTROLS, SWEEP_FEW),
    .metrics    = {
        LITMUS_METRICS,
        [FIRST_OUTCOME] =
            {"seen_00", "trials", "r0 = 0, r1 = 0"},
            {"seen_01", "trials", "r0 = 0, r1 = 1"},
            {"seen_10", "trials", "r0 = 1, r1 = 0 (weak)"},
            {"seen_11", "trials", "r0 = 1, r1 = 1"},
    });
