/*
 * litmus/sb_rfi: store buffering with forwarding: may a thread see its own store before all others do?
 *
 *     thread 0    thread 1
 *     X = 1       Y = 1
 *     r0 = X      r2 = Y
 *     fence       fence
 *     r1 = Y      r3 = X
 *
 * Weak: r0 = 1, r1 = 0, r2 = 1, r3 = 0. No interleaving explains it.
 *
 * One event is one trial of the first thread, as the mean of a block of 256. A block goes from the thread's
 * start to the end of its last trial.
 * Excluded:  warming the lines up and counting outcomes. The metric weak_per_s includes both.
 * Expect:    x86-64: as litmus/sb, somewhat rarer. Each thread sees its own store (1) and not yet the other's (0).
 * Not shown: how rare an unseen outcome is. The report gives an upper bound.
 */
#include "litmus.h"

#define THREADS 2
#define SEEN_BY "0011"
#define FINALS ""
#define WEAK "1010"

/* As litmus/sb: reading the own store back needs no store buffer to drain. */
#define FORBIDDEN                                                                                                      \
    {                                                                                                                  \
        .x86_64 = "mfence lock_add xchg", .aarch64 = "dmb_ish dsb_ish", .riscv64 = "fence_rw_rw", .c11 = "c11_seq_cst" \
    }

INLINE void thread(int order, unsigned number, struct cell *cells, uint32_t base, uint32_t *seen)
{
    if (number == 0) {
        store(order, &cells[X], base + 1);
        const uint32_t r0 = load(order, &cells[X]);
        fence(order);
        const uint32_t r1 = load(order, &cells[Y]);

        seen[0] = r0;
        seen[1] = r1;
    } else {
        store(order, &cells[Y], base + 1);
        const uint32_t r2 = load(order, &cells[Y]);
        fence(order);
        const uint32_t r3 = load(order, &cells[X]);

        seen[2] = r2;
        seen[3] = r3;
    }
}

#include "run.h"

KERNEL(sb_rfi,
    .name       = "litmus/sb_rfi",
    .summary    = "each of two threads stores, reads its own store, then the other's (store buffering with forwarding)",
    LITMUS_ROW,
    .parameters = LITMUS_PARAMETERS("rendezvous", SWEEP_CONTROLS, SWEEP_NATIVE),
    .metrics    = {
        LITMUS_METRICS,
        [FIRST_OUTCOME] =
            {"seen_1010", "trials", "r0 = 1, r1 = 0, r2 = 1, r3 = 0 (weak)"},
            {"seen_1011", "trials", "r0 = 1, r1 = 0, r2 = 1, r3 = 1"},
            {"seen_1110", "trials", "r0 = 1, r1 = 1, r2 = 1, r3 = 0"},
            {"seen_1111", "trials", "r0 = 1, r1 = 1, r2 = 1, r3 = 1"},
    });
