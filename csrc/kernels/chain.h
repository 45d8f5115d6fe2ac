/*
 * A chain of dependent multiplications in a register, by an odd factor. It lasts the multiplication's latency times its
 * length. Its product tells how many factors it has. An odd factor has an order of 2^62 or so, so no product repeats in
 * practice.
 */
#ifndef FENCEPOST_CHAIN_H
#define FENCEPOST_CHAIN_H

#include "kernel.h"

#if defined(HAS_X86_64)
#define MULTIPLY "imul %1, %0\n\t"
#elif defined(HAS_AARCH64) || defined(HAS_RISCV64)
#define MULTIPLY "mul %0, %0, %1\n\t"
#else
#define MULTIPLY "" /* never run: kernels with chains refuse where HAS_CHAINS is missing */
#endif

#define FACTOR UINT64_C(0x9e3779b97f4a7c15)

/* product = product * factor, `k` times over (k is written out, without a loop or a counter). "cc": imul writes the flags. */
#define MULTIPLY_TIMES(k, product, factor)                                                                             \
    __asm__ volatile(".rept " #k "\n\t" MULTIPLY ".endr" : "+r"(product) : "r"(factor) : "cc")

/* FACTOR to the n-th, for checks. */
static inline uint64_t chain_product(uint64_t n)
{
    uint64_t product = 1;

    for (uint64_t base = FACTOR; n; n >>= 1, base *= base)
        if (n & 1)
            product *= base;
    return product;
}

#endif
