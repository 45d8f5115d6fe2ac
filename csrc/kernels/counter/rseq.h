/*
 * Adding to a counter of the present CPU, by a restartable sequence (rseq(2), Linux 4.18), as registered by glibc 2.35
 * or newer for each thread.
 *
 * The kernel keeps our CPU's number in a structure of ours. The structure names a sequence with `start` and
 * `post_commit`. We may be preempted, migrated or interrupted by a signal between them. Then we go on at `abort`
 * instead of where we were. So the number that is read inside is still true at the one instruction that adds. No other
 * thread can be between our load and our store, since it would have to run on this CPU. That is why a plain add is
 * enough, where any other CPU-indexed counter needs an atomic one.
 *
 * HAS_RSEQ is undefined where there is no such sequence here. It is written for x86-64, on which it was tried under
 * migration and signals. No machine of another architecture was at hand to prove one on.
 */
#ifndef FENCEPOST_COUNTER_RSEQ_H
#define FENCEPOST_COUNTER_RSEQ_H

#include "kernel.h"

#if HAS_X86_64 && defined(__has_include)
#if __has_include(<sys/rseq.h>)
#define HAS_RSEQ 1
#endif
#endif

/* Size of a CPU's slot, as a shift: an x86 address takes no larger factor than 8. A pair of lines. */
#define RSEQ_SLOT_SHIFT 7

#if HAS_RSEQ
#include <sys/rseq.h>

static inline struct rseq *rseq_of_thread(void)
{
    char *thread;

    /* The thread pointer: its own address stands at its start (ABI, "TLS variant II"). */
    __asm__("movq %%fs:0, %0" : "=r"(thread));
    return (struct rseq *)(thread + __rseq_offset);
}

/* Refused by the kernel (seccomp, an emulator), by glibc.pthread.rseq=0, or taken by somebody else. */
static inline int rseq_registered(void)
{
    return __rseq_size > 0 && (int)rseq_of_thread()->cpu_id >= 0;
}

/* Adds to the slot of this CPU. `restarts` counts how often it had to begin again. */
static inline __attribute__((always_inline)) void rseq_add(struct rseq *rseq, void *slots, int64_t amount,
                                                           uint64_t *restarts)
{
    uint64_t scratch;

    /*
     * The descriptor needs relocation in a shared object, hence a writable section. The signature before `abort` is what glibc registered,
     * and Linux jumps nowhere else. It is the operand of a UD1, so that a disassembler stays in step. Clobbers are memory, since other
     * threads and the check read the slot, and the flags, by add and shift.
     */
    __asm__ volatile(".pushsection __rseq_cs, \"aw\"\n\t"
                     ".balign 32\n"
                     "3:\n\t"
                     ".long 0, 0\n\t"            /* version, flags */
                     ".quad 1f, 2f - 1f, 4f\n\t" /* start, post_commit as an offset, abort */
                     ".popsection\n\t"
                     ".pushsection .text.unlikely, \"ax\"\n\t"
                     ".byte 0x0f, 0xb9, 0x3d\n\t"
                     ".long %c[signature]\n"
                     "4:\n\t"
                     "incq %[restarts]\n\t"
                     "jmp 5f\n\t"
                     ".popsection\n"
                     "5:\n\t"
                     "leaq 3b(%%rip), %[scratch]\n\t"
                     "movq %[scratch], %[descriptor]\n"
                     "1:\n\t"
                     "movl %[cpu], %k[scratch]\n\t"
                     "shlq %[shift], %[scratch]\n\t"
                     "addq %[amount], (%[slots], %[scratch])\n" /* commits: the only store of the sequence */
                     "2:\n"
                     : [scratch] "=&r"(scratch), [descriptor] "=m"(rseq->rseq_cs), [restarts] "+m"(*restarts)
                     : [cpu] "m"(rseq->cpu_id), [slots] "r"(slots), [amount] "er"(amount), [shift] "i"(RSEQ_SLOT_SHIFT),
                       [signature] "i"(RSEQ_SIG)
                     : "memory", "cc");
}
#endif

#endif
