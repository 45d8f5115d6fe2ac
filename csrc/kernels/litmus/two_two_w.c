/*
 * litmus/two_two_w: 2+2W: may the first store of each thread come last?
 *
 *     thread 0    thread 1
 *     X = 1       Y = 1
 *     fence       fence
 *     Y = 2       X = 2
 *
 * Weak: X = 1, Y = 1. No interleaving explains it. (Final values are read when all threads are done.)
 *
 * One event is one trial of the first thread, as the mean of a block of 256. A block goes from the thread's
 * start to the end of its last trial.
 * Excluded:  warming the lines up and counting outcomes. The metric weak_per_s includes both.
 * Expect:    x86-64: never. Arm and RISC-V may.
 * Not shown: how rare an unseen outcome is. The report gives an upper bound.
 */
#include "litmus.h"

#define THREADS 2
#define SEEN_BY ""
#define FINALS "01"
#define WEAK "11"

/* Stores stay in order on x86-64. In C11 release and acquire bring nothing together without a load. */
#define FORBIDDEN                                                                                                      \
    {                                                                                                                  \
        .x86_64 = "none sfence lfence mfence lock_add xchg", .aarch64 = "dmb_ish dmb_ishst dsb_ish",                   \
        .riscv64 = "fence_rw_rw fence_w_w fence_tso", .c11 = "c11_seq_cst"                                             \
    }

INLINE void thread(int order, unsigned number, struct cell *cells, uint32_t base, uint32_t *seen)
{
    (void)seen; /* what is left in memory is all there is to see */
    if (number == 0) {
        store(order, &cells[X], base + 1);
        fence(order);
        store(order, &cells[Y], base + 2);
    } else {
        store(order, &cells[Y], base + 1);
        fence(order);
        store(order, &cells[X], base + 2);
    }
}

#include "run.h"

KERNEL(two_two_w,
    .name       = "litmus/two_two_w",
    .summary    = "two threads store to the same two places, in opposite order (2+2W)",
    LITMUS_ROW,
    .parameters = LITMUS_PARAMETERS("rendezvous", SWEEP_CONTROLS, SWEEP_FEW),
    .metrics    = {
        LITMUS_METRICS,
        [FIRST_OUTCOME] =
            {"seen_11", "trials", "X = 1, Y = 1 (weak)"},
            {"seen_12", "trials", "X = 1, Y = 2"},
            {"seen_21", "trials", "X = 2, Y = 1"},
            {"seen_22", "trials", "X = 2, Y = 2"},
    });
