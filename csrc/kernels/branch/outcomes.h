/*
 * Shared by the kernels of this topic: random outcomes that no predictor knows, and the loop under test in its two
 * forms. A walk of that loop over an array goes on where the last batch stopped.
 */
#ifndef FENCEPOST_BRANCH_OUTCOMES_H
#define FENCEPOST_BRANCH_OUTCOMES_H

#include <inttypes.h>
#include <string.h>

#include "kernel.h"
#include "kernels/random.h"

/*
 * Coins, one a byte, 0 or 1. Each of the 64 bits of a number is used once. So 2^20 coins take a fifth of a millisecond and not two.
 * Bytes beyond n, up to a multiple of 64, are not touched.
 */
static inline void fill_with_coins(uint8_t *outcomes, uint64_t n, uint64_t *state)
{
    uint64_t words[8];

    for (uint64_t i = 0; i < n; i += sizeof words) {
        const uint64_t random = next_random(state), rest = n - i;

        for (unsigned j = 0; j < 8; j++)
            words[j] = random >> j & 0x0101010101010101u;
        memcpy(outcomes + i, words, rest < sizeof words ? rest : sizeof words);
    }
}

/*
 * The loop under test, in assembly so that no compiler can if-convert it. It has one byte, one conditional jump, and one count of the
 * outcomes that were 0. In `branch` an outcome of 1 takes the jump over the count. `branch_free` has the same bytes and the same sum, and no
 * jump but the loop's own. Both are aligned, so that neither straddles a fetch block that the other does not. Compilers do not align assembly.
 */
#if defined(HAS_X86_64)
#define HAS_BRANCH_LOOP 1
static inline uint64_t count_zeros_branch(const uint8_t *outcomes, uint64_t n)
{
    const uint8_t *end = outcomes + n;
    uint64_t zeros = 0;
    uint32_t outcome;

    if (n)
        __asm__ volatile(".p2align 5\n1:\n\t"
                         "movzbl (%[p]), %[outcome]\n\t"
                         "test %[outcome], %[outcome]\n\t"
                         "jnz 2f\n\t"
                         "add $1, %[zeros]\n"
                         "2:\n\t"
                         "add $1, %[p]\n\t"
                         "cmp %[end], %[p]\n\t"
                         "jb 1b"
                         : [p] "+&r"(outcomes), [zeros] "+&r"(zeros), [outcome] "=&r"(outcome)
                         : [end] "r"(end)
                         : "cc", "memory");
    return zeros;
}

/* The increment is chosen first and then added. A cmov on the sum itself would be a chain of two cycles a turn, and would time that chain. */
static inline uint64_t count_zeros_branch_free(const uint8_t *outcomes, uint64_t n)
{
    const uint8_t *end = outcomes + n;
    uint64_t zeros = 0, increment;
    uint32_t outcome;

    if (n)
        __asm__ volatile(
            ".p2align 5\n1:\n\t"
            "movzbl (%[p]), %[outcome]\n\t"
            "xor %k[increment], %k[increment]\n\t"
            "test %[outcome], %[outcome]\n\t"
            "cmovz %[one], %[increment]\n\t"
            "add %[increment], %[zeros]\n\t"
            "add $1, %[p]\n\t"
            "cmp %[end], %[p]\n\t"
            "jb 1b"
            : [p] "+&r"(outcomes), [zeros] "+&r"(zeros), [outcome] "=&r"(outcome), [increment] "=&r"(increment)
            : [end] "r"(end), [one] "r"((uint64_t)1)
            : "cc", "memory");
    return zeros;
}
#elif defined(HAS_AARCH64)
#define HAS_BRANCH_LOOP 1
static inline uint64_t count_zeros_branch(const uint8_t *outcomes, uint64_t n)
{
    const uint8_t *end = outcomes + n;
    uint64_t zeros = 0;
    uint32_t outcome;

    if (n)
        __asm__ volatile(".p2align 5\n1:\n\t"
                         "ldrb %w[outcome], [%[p]], #1\n\t"
                         "cbnz %w[outcome], 2f\n\t"
                         "add %[zeros], %[zeros], #1\n"
                         "2:\n\t"
                         "cmp %[p], %[end]\n\t"
                         "b.lo 1b"
                         : [p] "+&r"(outcomes), [zeros] "+&r"(zeros), [outcome] "=&r"(outcome)
                         : [end] "r"(end)
                         : "cc", "memory");
    return zeros;
}

static inline uint64_t count_zeros_branch_free(const uint8_t *outcomes, uint64_t n)
{
    const uint8_t *end = outcomes + n;
    uint64_t zeros = 0;
    uint32_t outcome;

    if (n)
        __asm__ volatile(".p2align 5\n1:\n\t"
                         "ldrb %w[outcome], [%[p]], #1\n\t"
                         "cmp %w[outcome], #0\n\t"
                         "cinc %[zeros], %[zeros], eq\n\t"
                         "cmp %[p], %[end]\n\t"
                         "b.lo 1b"
                         : [p] "+&r"(outcomes), [zeros] "+&r"(zeros), [outcome] "=&r"(outcome)
                         : [end] "r"(end)
                         : "cc", "memory");
    return zeros;
}
#elif defined(HAS_RISCV64)
#define HAS_BRANCH_LOOP 1
static inline uint64_t count_zeros_branch(const uint8_t *outcomes, uint64_t n)
{
    const uint8_t *end = outcomes + n;
    uint64_t zeros = 0, outcome;

    if (n)
        __asm__ volatile(".p2align 5\n1:\n\t"
                         "lbu %[outcome], 0(%[p])\n\t"
                         "addi %[p], %[p], 1\n\t"
                         "bnez %[outcome], 2f\n\t"
                         "addi %[zeros], %[zeros], 1\n"
                         "2:\n\t"
                         "bltu %[p], %[end], 1b"
                         : [p] "+&r"(outcomes), [zeros] "+&r"(zeros), [outcome] "=&r"(outcome)
                         : [end] "r"(end)
                         : "memory");
    return zeros;
}

static inline uint64_t count_zeros_branch_free(const uint8_t *outcomes, uint64_t n)
{
    const uint8_t *end = outcomes + n;
    uint64_t zeros = 0, outcome;

    if (n)
        __asm__ volatile(".p2align 5\n1:\n\t"
                         "lbu %[outcome], 0(%[p])\n\t"
                         "addi %[p], %[p], 1\n\t"
                         "seqz %[outcome], %[outcome]\n\t"
                         "add %[zeros], %[zeros], %[outcome]\n\t"
                         "bltu %[p], %[end], 1b"
                         : [p] "+&r"(outcomes), [zeros] "+&r"(zeros), [outcome] "=&r"(outcome)
                         : [end] "r"(end)
                         : "memory");
    return zeros;
}
#endif

struct walk {
    uint64_t position, zeros, walked, size;
    uint8_t outcomes[];
};

/* Not inlined: a predictor keys what it learns by the address of the jump, so whoever walks must walk over the same one. */
#define WALK(name, count_zeros)                                                                                        \
    static __attribute__((noinline)) void name(struct walk *walk, uint64_t elements)                                   \
    {                                                                                                                  \
        uint64_t position = walk->position, zeros = 0;                                                                 \
        walk->walked += elements;                                                                                      \
        while (elements) {                                                                                             \
            const uint64_t rest = walk->size - position;                                                               \
            const uint64_t n = elements < rest ? elements : rest;                                                      \
            zeros += count_zeros(walk->outcomes + position, n);                                                        \
            position = n == rest ? 0 : position + n;                                                                   \
            elements -= n;                                                                                             \
        }                                                                                                              \
        walk->position = position;                                                                                     \
        walk->zeros += zeros;                                                                                          \
    }

/* Zeros among the first n outcomes, counted by other code than the loop under test, eight bytes at a time. The sums of bytes are added up
   after at most 31 words, so that their total stays below 256. */
static inline uint64_t recount_zeros(const struct walk *walk, uint64_t n)
{
    uint64_t ones = 0, i = 0;

    while (n - i >= 8) {
        const uint64_t last = i + (n - i < 31 * 8 ? (n - i) / 8 * 8 : 31 * 8);
        uint64_t sums = 0, word;

        for (; i < last; i += 8) {
            memcpy(&word, walk->outcomes + i, 8);
            sums += word;
        }
        ones += sums * 0x0101010101010101u >> 56;
    }
    for (; i < n; i++)
        ones += walk->outcomes[i];
    return n - ones;
}

/* Every element was counted once: the loop's sum is that of a recount of the same stretch of the array. */
static inline int check_walk(struct trial *trial, const struct walk *walk)
{
    const uint64_t passes = walk->walked / walk->size;
    const uint64_t zeros =
        (passes ? passes * recount_zeros(walk, walk->size) : 0) + recount_zeros(walk, walk->walked % walk->size);

    return walk->zeros == zeros
               ? 0
               : trial_fault(trial, "counted %" PRIu64 " zeros where %" PRIu64 " are", walk->zeros, zeros);
}

/* A metric of the branch kernels whose operation is one branch. Where nothing counts, it stays NaN. */
#define MISSES_PER_BRANCH                                                                                              \
    {                                                                                                                  \
        "misses_per_branch", "1", "mispredictions per operation, as the hardware counted them"                         \
    }

#endif
