/*
 * The language of a litmus test: cells, accesses and fences by order, verdicts. litmus/run.h runs the test. It is
 * included below the test's threads.
 *
 * A test is a few threads with two or three accesses each, and a question. May the threads see an outcome that no
 * interleaving of them explains? Each test is a file with its threads, and the outcome that must not be seen in each
 * order. All files of one test read alike. Begin with litmus/sb.c.
 *
 * The accesses of `none` and of the fences are volatile. The compiler emits them as they are written, so the outcome is
 * the CPU's doing. C11 orders are the language's. `int` is a plain int. By the standard that is a data race and
 * undefined. As gcc and clang document it, they may move, merge or drop such an access as if no other thread existed.
 * `int` is here to show that.
 */
#ifndef FENCEPOST_LITMUS_H
#define FENCEPOST_LITMUS_H

#include "kernel.h"

#define INLINE static inline __attribute__((always_inline))

/* All orders of all architectures, so that a case has one name everywhere. */
#define X86_ORDERS(X) X(sfence) X(lfence) X(mfence) X(lock_add) X(xchg)
#define ARM_ORDERS(X) X(dmb_ish) X(dmb_ishld) X(dmb_ishst) X(dsb_ish) X(isb)
#define RISCV_ORDERS(X) X(fence_rw_rw) X(fence_r_r) X(fence_w_w) X(fence_tso)
#define C11_ORDERS(X) X(c11_relaxed) X(c11_acq_rel) X(c11_seq_cst) X(int)
#define ORDERS(X) X(none) X86_ORDERS(X) ARM_ORDERS(X) RISCV_ORDERS(X) C11_ORDERS(X)
#define ORDER_LABELS                                                                                                   \
    "none sfence lfence mfence lock_add xchg dmb_ish dmb_ishld dmb_ishst dsb_ish isb fence_rw_rw fence_r_r fence_w_w " \
    "fence_tso c11_relaxed c11_acq_rel c11_seq_cst int"

#define NUMBER(id) ORDER_##id,
enum { ORDERS(NUMBER) ORDER_COUNT };
#undef NUMBER

/* The orders that this architecture can run, the fence that forbids all, and the swept orders. */
#define PORTABLE_ORDERS(X) X(none) C11_ORDERS(X)
#define C11_WORDS "c11_relaxed c11_acq_rel c11_seq_cst int"
#if defined(HAS_X86_64)
#define HERE x86_64
#define NATIVE_ORDERS(X) PORTABLE_ORDERS(X) X86_ORDERS(X)
#define SWEEP_CONTROLS "none mfence"
#define SWEEP_FEW "none mfence " C11_WORDS
#define SWEEP_NATIVE "none sfence lfence mfence lock_add xchg " C11_WORDS
#elif defined(HAS_AARCH64)
#define HERE aarch64
#define NATIVE_ORDERS(X) PORTABLE_ORDERS(X) ARM_ORDERS(X)
#define SWEEP_CONTROLS "none dmb_ish"
#define SWEEP_FEW "none dmb_ish dmb_ishld dmb_ishst " C11_WORDS
#define SWEEP_NATIVE "none dmb_ish dmb_ishld dmb_ishst dsb_ish isb " C11_WORDS
#elif defined(HAS_RISCV64)
#define HERE riscv64
#define NATIVE_ORDERS(X) PORTABLE_ORDERS(X) RISCV_ORDERS(X)
#define SWEEP_CONTROLS "none fence_rw_rw"
#define SWEEP_FEW "none fence_rw_rw fence_tso " C11_WORDS
#define SWEEP_NATIVE "none fence_rw_rw fence_r_r fence_w_w fence_tso " C11_WORDS
#else
#define HERE c11 /* none of the native orders is among its words */
#define NATIVE_ORDERS(X) PORTABLE_ORDERS(X)
#define SWEEP_CONTROLS "none c11_seq_cst"
#define SWEEP_FEW "none " C11_WORDS
#define SWEEP_NATIVE SWEEP_FEW
#endif

/* Alone on its pair of lines. */
struct cell {
    _Alignas(128) uint32_t word;
};

enum { X, Y, Z, CELLS };

/*
 * In which orders the weak outcome of a test must not be seen, by architecture; in all others it may be. This is the only place where
 * that stands: the checks, the report and docs/topics/litmus.md follow it, and tests/topics/litmus/test_kernels.py derives all of it a second time from
 * a model. Sources:
 *   x86_64   Sewell, Sarkar, Owens, Zappa Nardelli, Myreen: "x86-TSO" (CACM 53(7), 2010); Intel SDM vol. 3, 9.2; AMD APM vol. 2, 7.2
 *   aarch64  Arm ARM (DDI 0487), B2.3: other-multi-copy-atomic; herdtools7, herd/libdir/aarch64.cat
 *   riscv64  Unprivileged ISA, chapter "RVWMO Memory Consistency Model" and its appendix; herdtools7, herd/libdir/riscv.cat
 *   c11      ISO/IEC 9899:2011, 5.1.2.4 and 7.17.3; of the language, so that it holds on every architecture
 */
struct verdicts {
    const char *x86_64, *aarch64, *riscv64, *c11;
};

INLINE void store(int order, struct cell *cell, uint32_t value)
{
    /* Release pairs with load()'s acquire in another thread. With relaxed and seq_cst the orders themselves are tested.
       */
    if (order == ORDER_int)
        cell->word = value;
    else if (order == ORDER_c11_relaxed)
        __atomic_store_n(&cell->word, value, __ATOMIC_RELAXED);
    else if (order == ORDER_c11_acq_rel)
        __atomic_store_n(&cell->word, value, __ATOMIC_RELEASE);
    else if (order == ORDER_c11_seq_cst)
        __atomic_store_n(&cell->word, value, __ATOMIC_SEQ_CST);
    else
        *(volatile uint32_t *)&cell->word = value;
}

INLINE uint32_t load(int order, const struct cell *cell)
{
    if (order == ORDER_int)
        return cell->word;
    if (order == ORDER_c11_relaxed)
        return __atomic_load_n(&cell->word, __ATOMIC_RELAXED);
    if (order == ORDER_c11_acq_rel)
        return __atomic_load_n(&cell->word, __ATOMIC_ACQUIRE);
    if (order == ORDER_c11_seq_cst)
        return __atomic_load_n(&cell->word, __ATOMIC_SEQ_CST);
    return *(const volatile uint32_t *)&cell->word;
}

/*
 * The fence between the accesses. In C11 orders and for plain ints there is none. All clobber memory, so that they are
 * fences to the compiler.
 */
INLINE void fence(int order)
{
#if defined(HAS_X86_64)
    uint64_t own = 0, value = 1;

    if (order == ORDER_sfence)
        __asm__ volatile("sfence" : : : "memory"); /* SDM vol. 2: orders stores */
    else if (order == ORDER_lfence)
        __asm__ volatile("lfence" : : : "memory"); /* waits for earlier instructions, not for their stores */
    else if (order == ORDER_mfence)
        __asm__ volatile("mfence" : : : "memory");
    else if (order == ORDER_lock_add)
        __asm__ volatile("lock addl $0, -64(%%rsp)" : : : "memory", "cc"); /* locked no-change, in the red zone */
    else if (order == ORDER_xchg)
        /* On a word that no other thread uses. Both operands are read and written. Without "+" the compiler may take
           either for unused. */
        __asm__ volatile("xchgq %0, %1" : "+r"(value), "+m"(own) : : "memory");
    (void)own, (void)value;
#elif defined(HAS_AARCH64)
    if (order == ORDER_dmb_ish)
        __asm__ volatile("dmb ish" : : : "memory"); /* Arm ARM, "Data Memory Barrier" */
    else if (order == ORDER_dmb_ishld)
        __asm__ volatile("dmb ishld" : : : "memory");
    else if (order == ORDER_dmb_ishst)
        __asm__ volatile("dmb ishst" : : : "memory");
    else if (order == ORDER_dsb_ish)
        __asm__ volatile("dsb ish" : : : "memory");
    else if (order == ORDER_isb)
        __asm__ volatile("isb" : : : "memory"); /* alone, without a dependency, it orders no accesses */
#elif defined(HAS_RISCV64)
    if (order == ORDER_fence_rw_rw)
        __asm__ volatile("fence rw, rw" : : : "memory"); /* unprivileged ISA, "Memory Ordering Instructions" */
    else if (order == ORDER_fence_r_r)
        __asm__ volatile("fence r, r" : : : "memory");
    else if (order == ORDER_fence_w_w)
        __asm__ volatile("fence w, w" : : : "memory");
    else if (order == ORDER_fence_tso)
        __asm__ volatile("fence.tso" : : : "memory");
#else
    (void)order;
#endif
}

#endif
