/*
 * litmus/n5: n5: may two threads that store to one place each see the other's store last?
 *
 *     thread 0    thread 1
 *     X = 1       X = 2
 *     fence       fence
 *     r0 = X      r1 = X
 *
 * Weak: r0 = 2, r1 = 1. No interleaving explains it.
 *
 * One event is one trial of the first thread, as the mean of a block of 256. A block goes from the thread's
 * start to the end of its last trial.
 * Excluded:  warming the lines up and counting outcomes. The metric weak_per_s includes both.
 * Expect:    never, anywhere. The test tells a store buffer from memory that two threads see in two orders (x86-TSO, test n5).
 * Not shown: how rare an unseen outcome is. The report gives an upper bound.
 */
#include "litmus.h"

#define THREADS 2
#define SEEN_BY "01"
#define FINALS ""
#define WEAK "21"

/* One place has one order for all, on every architecture and in C11. */
#define FORBIDDEN                                                                                                      \
    {                                                                                                                  \
        .x86_64 = "none sfence lfence mfence lock_add xchg",                                                           \
        .aarch64 = "none dmb_ish dmb_ishld dmb_ishst dsb_ish isb",                                                     \
        .riscv64 = "none fence_rw_rw fence_r_r fence_w_w fence_tso", .c11 = "c11_relaxed c11_acq_rel c11_seq_cst"      \
    }

INLINE void thread(int order, unsigned number, struct cell *cells, uint32_t base, uint32_t *seen)
{
    if (number == 0) {
        store(order, &cells[X], base + 1);
        fence(order);
        const uint32_t r0 = load(order, &cells[X]);

        seen[0] = r0;
    } else {
        store(order, &cells[X], base + 2);
        fence(order);
        const uint32_t r1 = load(order, &cells[X]);

        seen[1] = r1;
    }
}

#include "run.h"

KERNEL(n5,
    .name       = "litmus/n5",
    .summary    = "each of two threads stores to the same place and then loads it (n5)",
    LITMUS_ROW,
    .parameters = LITMUS_PARAMETERS("rendezvous", SWEEP_CONTROLS, SWEEP_FEW),
    .metrics    = {
        LITMUS_METRICS,
        [FIRST_OUTCOME] =
            {"seen_11", "trials", "r0 = 1, r1 = 1"},
            {"seen_12", "trials", "r0 = 1, r1 = 2"},
            {"seen_21", "trials", "r0 = 2, r1 = 1 (weak)"},
            {"seen_22", "trials", "r0 = 2, r1 = 2"},
    });
