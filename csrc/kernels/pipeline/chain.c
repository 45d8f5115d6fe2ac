/*
 * pipeline/chain: how long until the next instruction may use a result (latency), and how many are under way at once?
 *
 * One operation is one instruction, whatever the number of chains. With one chain each instruction waits for the one
 * before it, and the figure is the latency. With n independent chains up to n instructions are under way, and the
 * figure falls to 1/n of it. It stops falling when the core has no more units for the operation. Then it is the
 * throughput. The number of chains at that point is the independent work that a program has to offer.
 * Excluded:  the loop around the 64 rounds. Its counter is a separate chain: at 8 chains 3 instructions in 515.
 * Expect:    cycles at 1 chain and at 8: imul 3 and 1, add 1 and 1/3 to 1/6 (one per ALU). An fadd takes 2-4 and 1/2
 *            (1/4 on wide Arm cores). A load from L1, through an address, takes 4-5 and 1/2 to 5/8. Eight chains are
 *            too few for cores that load three a cycle (uops.info, and Dougall Johnson's tables for Arm). Seen on an
 *            Intel guest: imul 3.004, 1.502, 1.001 at 1-3 chains, add 1.006 and .292 at 4. Seen on a Zen 4 guest: imul
 *            3.00 and 1.00, add 1.00 and .250, fadd 3.00 and .499, load 3.99 and .499.
 * Hazards:   recent cores fold `add $imm`, `inc` and `lea` chains at rename, so add takes two registers. A value
 *            predictor (Apple M3) would answer cycles of self-pointers without loading. So each cycle is 64 pointers
 *            out of order.
 * Not shown: the other units of a core (division, vectors), the cost of a mix of instructions, stores, and loads that
 *            follow them.
 */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>

#define MAX_CHAINS 8
/* Rounds per turn of the loop. Its three instructions run beside 64 steps of a chain, and 512 of 4 bytes fit in any uop
   cache. */
#define ROUNDS 64
#define BY_INTEGER UINT64_C(0x9e3779b97f4a7c15) /* odd: a product of odd numbers never dies out in zeros */
#define BY_REAL 1.0                             /* sums of small whole numbers are exact */

enum { IMUL, ADD, FADD, LOAD, OPS };

struct chains {
    /* ring[row][i]: chains walk side by side, each in its own eight bytes of a line. So no two meet in one bank of
       the L1. */
    uint64_t ring[64][MAX_CHAINS];
    uint64_t imul[MAX_CHAINS], add[MAX_CHAINS], load[MAX_CHAINS];
    double fadd[MAX_CHAINS];
    uint64_t operations; /* done so far, in all batches */
};

/* Rows in an order of full period (37 = 1 mod 4, 11 is odd) without a constant stride. */
static unsigned next_row(unsigned row)
{
    return (37 * row + 11) % 64;
}

/* One step of chain `c`, an operand's name. `by` is the constant operand. */
#if HAS_X86_64
#define STEP_imul(c) "imul %[by], %[" #c "]\n\t"
#define STEP_add(c) "add %[by], %[" #c "]\n\t"
#define STEP_fadd(c) "addsd %[by], %[" #c "]\n\t"
#define STEP_load(c) "mov (%[" #c "]), %[" #c "]\n\t"
#define REAL "x"
#elif HAS_AARCH64
#define STEP_imul(c) "mul %[" #c "], %[" #c "], %[by]\n\t"
#define STEP_add(c) "add %[" #c "], %[" #c "], %[by]\n\t"
#define STEP_fadd(c) "fadd %d[" #c "], %d[" #c "], %d[by]\n\t"
#define STEP_load(c) "ldr %[" #c "], [%[" #c "]]\n\t"
#define REAL "w"
#elif HAS_RISCV64
#define STEP_imul(c) "mul %[" #c "], %[" #c "], %[by]\n\t"
#define STEP_add(c) "add %[" #c "], %[" #c "], %[by]\n\t"
#define STEP_fadd(c) "fadd.d %[" #c "], %[" #c "], %[by]\n\t"
#define STEP_load(c) "ld %[" #c "], 0(%[" #c "])\n\t"
#define REAL "f"
#endif
#define INTEGER "r"

#define ROUND_1(step) step(c0)
#define ROUND_2(step) ROUND_1(step) step(c1)
#define ROUND_3(step) ROUND_2(step) step(c2)
#define ROUND_4(step) ROUND_3(step) step(c3)
#define ROUND_5(step) ROUND_4(step) step(c4)
#define ROUND_6(step) ROUND_5(step) step(c5)
#define ROUND_7(step) ROUND_6(step) step(c6)
#define ROUND_8(step) ROUND_7(step) step(c7)

/* All eight chains are operands whatever the number in use. So each has its register, and the compiler knows nothing
   of any. "memory" is there because loads read the buffers. x86 also writes the flags, which gcc and clang assume of
   every asm there. */
#define REPEAT(text, kind)                                                                                             \
    __asm__ volatile(text                                                                                              \
                     : [c0] "+" kind(c0), [c1] "+" kind(c1), [c2] "+" kind(c2), [c3] "+" kind(c3), [c4] "+" kind(c4),  \
                       [c5] "+" kind(c5), [c6] "+" kind(c6), [c7] "+" kind(c7)                                         \
                     : [by] kind(by)                                                                                   \
                     : "memory")

/* Operations come in whole turns of the loop, the granule which setup asks for. They are counted down and not divided.
   With the quotient of a division by 3, gcc 12 copies registers in each turn. */
#define CHAIN(op, n, type, kind, factor)                                                                               \
    static void op##_##n(struct worker *worker, uint64_t operations)                                                   \
    {                                                                                                                  \
        struct chains *chains = worker->trial->state;                                                                  \
        const type by = factor;                                                                                        \
        uint64_t left = operations;                                                                                    \
        type *c = chains->op;                                                                                          \
        type c0 = c[0], c1 = c[1], c2 = c[2], c3 = c[3], c4 = c[4], c5 = c[5], c6 = c[6], c7 = c[7];                   \
                                                                                                                       \
        for (; left >= n * ROUNDS; left -= n * ROUNDS)                                                                 \
            REPEAT(".rept 64\n\t" ROUND_##n(STEP_##op) ".endr", kind);                                                 \
        c[0] = c0, c[1] = c1, c[2] = c2, c[3] = c3, c[4] = c4, c[5] = c5, c[6] = c6, c[7] = c7;                        \
        chains->operations += operations - left;                                                                       \
    }

#define CHAINS(op, type, kind, factor)                                                                                 \
    CHAIN(op, 1, type, kind, factor)                                                                                   \
    CHAIN(op, 2, type, kind, factor)                                                                                   \
    CHAIN(op, 3, type, kind, factor)                                                                                   \
    CHAIN(op, 4, type, kind, factor)                                                                                   \
    CHAIN(op, 5, type, kind, factor)                                                                                   \
    CHAIN(op, 6, type, kind, factor)                                                                                   \
    CHAIN(op, 7, type, kind, factor)                                                                                   \
    CHAIN(op, 8, type, kind, factor)

#define ROW(op) op##_1, op##_2, op##_3, op##_4, op##_5, op##_6, op##_7, op##_8

#if HAS_CHAINS
CHAINS(imul, uint64_t, INTEGER, BY_INTEGER)
CHAINS(add, uint64_t, INTEGER, BY_INTEGER)
CHAINS(fadd, double, REAL, BY_REAL)
CHAINS(load, uint64_t, INTEGER, 0)

static void (*const loops[OPS][MAX_CHAINS])(struct worker *, uint64_t) = {
    [IMUL] = {ROW(imul)}, [ADD] = {ROW(add)}, [FADD] = {ROW(fadd)}, [LOAD] = {ROW(load)}};
#endif

static int setup(struct trial *trial)
{
#if HAS_CHAINS
    struct chains *chains;

    if (trial->value[1] < 1 || trial->value[1] > MAX_CHAINS) {
        trial_fault(trial, "chains=%" PRId64 " is not 1 to %d", trial->value[1], MAX_CHAINS);
        return -EINVAL;
    }
    chains = trial_alloc(trial, sizeof *chains);
    if (!chains)
        return -ENOMEM;
    for (unsigned i = 0; i < MAX_CHAINS; i++) {
        for (unsigned row = 0; row < 64; row++)
            chains->ring[row][i] = (uint64_t)(uintptr_t)&chains->ring[next_row(row)][i];
        chains->imul[i] = chains->add[i] = 2 * i + 1;
        chains->fadd[i] = i;
        chains->load[i] = (uint64_t)(uintptr_t)&chains->ring[0][i];
    }
    trial->run = loops[trial->value[0]][trial->value[1] - 1];
    trial->granule = (uint64_t)trial->value[1] * ROUNDS;
    return 0;
#else
    return trial_needs(trial, "x86-64, aarch64 or riscv64 (these chains are written in assembly)");
#endif
}

/* Replaced in setup by the loop for this operation and number of chains. */
static void run(struct worker *worker, uint64_t operations)
{
    worker->trial->run(worker, operations);
}

static uint64_t power(uint64_t base, uint64_t exponent)
{
    uint64_t result = 1;

    for (; exponent; exponent >>= 1, base *= base)
        if (exponent & 1)
            result *= base;
    return result;
}

/* Every register has what that many steps make of its first value. Chains not in use still have their first value. */
static int check(struct trial *trial)
{
    const struct chains *chains = trial->state;

    for (unsigned i = 0; i < MAX_CHAINS; i++) {
        const uint64_t steps = i < trial->value[1] ? chains->operations / (uint64_t)trial->value[1] : 0;
        const uint64_t mine = trial->value[0] == LOAD ? steps % 64 : 0;
        const uint64_t factor = trial->value[0] == IMUL ? power(BY_INTEGER, steps) : 1;
        const uint64_t summand = trial->value[0] == ADD ? BY_INTEGER * steps : 0;
        const double sum = trial->value[0] == FADD ? BY_REAL * (double)steps : 0;
        unsigned row = 0;

        for (uint64_t step = 0; step < mine; step++)
            row = next_row(row);
        if (chains->imul[i] != (2 * i + 1) * factor || chains->add[i] != 2 * i + 1 + summand ||
            chains->fadd[i] != i + sum || chains->load[i] != (uint64_t)(uintptr_t)&chains->ring[row][i])
            return trial_fault(trial, "chain %u does not hold what %" PRIu64 " steps make of it", i, steps);
    }
    return 0;
}

KERNEL(chain,
    .name       = "pipeline/chain",
    .summary    = "instructions run in one to eight independent chains, from latency to throughput",
    .unit       = "instruction",
    .threads    = { .min = 1, .max = 1 },
    .parameters = {
        { .name = "op", .summary = "what each chain is made of; load reads the L1", .labels = "imul add fadd load",
          .initial = IMUL, .quick = "*", .standard = "*", .rigorous = "*" },
        { .name = "chains", .unit = "chains", .summary = "independent of each other, 1 to 8", .initial = 1,
          .quick = "1 4 8", .standard = "1 2 3 4 5 6 7 8", .rigorous = "1 2 3 4 5 6 7 8" },
    },
    .setup      = setup,
    .run        = run,
    .check      = check);
