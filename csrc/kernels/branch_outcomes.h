/* Outcomes for the branch kernels: bytes 0 and 1 from a generator that no predictor knows. Shared by the files branch_*.c. */
#ifndef FENCEPOST_BRANCH_OUTCOMES_H
#define FENCEPOST_BRANCH_OUTCOMES_H

#include <stdint.h>
#include <time.h>

/* Marsaglia's xorshift64*: passes for random with any branch predictor, and a byte costs a nanosecond. */
static inline uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545f4914f6cdd1du;
}

/* A new seed in every process: what is learnt of one array says nothing about the next. Never 0, which xorshift cannot leave. */
static inline uint64_t fresh_seed(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return ((uint64_t)now.tv_sec << 32 ^ (uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15u) | 1;
}

/*
 * The loop under test, in assembly so that no compiler can if-convert it: one byte, one conditional jump, one count of the
 * outcomes that were 0. BRANCH: `taken` jumps over the count. BRANCH_FREE: the same bytes, the same sum, no jump but the loop's own.
 */
#if defined(HAS_X86_64)
#define HAS_BRANCH_LOOP 1
static inline uint64_t count_zeros_branch(const uint8_t *outcomes, uint64_t n)
{
    const uint8_t *end = outcomes + n;
    uint64_t zeros = 0;
    uint32_t outcome;

    if (n)
        __asm__ volatile("1:\n\t"
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

static inline uint64_t count_zeros_branch_free(const uint8_t *outcomes, uint64_t n)
{
    const uint8_t *end = outcomes + n;
    uint64_t zeros = 0, incremented;
    uint32_t outcome;

    if (n)
        __asm__ volatile(
            "1:\n\t"
            "movzbl (%[p]), %[outcome]\n\t"
            "lea 1(%[zeros]), %[incremented]\n\t"
            "test %[outcome], %[outcome]\n\t"
            "cmovz %[incremented], %[zeros]\n\t"
            "add $1, %[p]\n\t"
            "cmp %[end], %[p]\n\t"
            "jb 1b"
            : [p] "+&r"(outcomes), [zeros] "+&r"(zeros), [outcome] "=&r"(outcome), [incremented] "=&r"(incremented)
            : [end] "r"(end)
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
        __asm__ volatile("1:\n\t"
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
        __asm__ volatile("1:\n\t"
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
        __asm__ volatile("1:\n\t"
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
        __asm__ volatile("1:\n\t"
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

#endif
