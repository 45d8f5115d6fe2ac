/*
 * The ways of reading the clock that clock/read.c and clock/bias.c compare, one function each. read_NAME() has the
 * instructions of its name, in that order, and nothing else. tests/topics/clock/test_kernels.py looks at the
 * disassembly.
 *
 * "memory" is in every clobber list, so the compiler moves no load or store from one side of a read to the other. The
 * CPU may still move them, and these kernels measure that.
 */
#ifndef FENCEPOST_CLOCK_READS_H
#define FENCEPOST_CLOCK_READS_H

#include <stdint.h>
#include <time.h>

#include "kernel.h"

/* Names by architecture. All together keep parameter values the same everywhere: 3 is always lfence_rdtsc_lfence. */
#define X86_64_READS(X)                                                                                                \
    X(rdtsc)                                                                                                           \
    X(rdtscp)                                                                                                          \
    X(lfence_rdtsc)                                                                                                    \
    X(lfence_rdtsc_lfence)                                                                                             \
    X(rdtscp_lfence)                                                                                                   \
    X(mfence_lfence_rdtsc)                                                                                             \
    X(serialize_rdtsc)                                                                                                 \
    X(cpuid_rdtsc)
#define AARCH64_READS(X)                                                                                               \
    X(cntvct)                                                                                                          \
    X(isb_cntvct)                                                                                                      \
    X(isb_cntvct_isb)
#define RISCV64_READS(X)                                                                                               \
    X(rdtime)                                                                                                          \
    X(fence_rdtime)

#define ANYWHERE_READS(X) X(monotonic_raw)

#define READ_FUNCTION(name) static inline __attribute__((always_inline)) uint64_t read_##name(void)

#if defined(HAS_X86_64)
#define NATIVE_READS X86_64_READS
#define NATIVE_BEST lfence_rdtsc_lfence

/* Intel SDM vol. 2, AMD APM vol. 3: RDTSC writes EDX:EAX, RDTSCP ECX as well. CPUID overwrites all four. */
#define X86_64_READ(name, instructions, ...)                                                                           \
    READ_FUNCTION(name)                                                                                                \
    {                                                                                                                  \
        uint32_t low, high;                                                                                            \
                                                                                                                       \
        __asm__ volatile(instructions : "=a"(low), "=d"(high) : : __VA_ARGS__);                                        \
        return (uint64_t)high << 32 | low;                                                                             \
    }

X86_64_READ(rdtsc, "rdtsc", "memory")
X86_64_READ(rdtscp, "rdtscp", "rcx", "memory")
X86_64_READ(lfence_rdtsc, "lfence\n\trdtsc", "memory")
X86_64_READ(lfence_rdtsc_lfence, "lfence\n\trdtsc\n\tlfence", "memory")
X86_64_READ(rdtscp_lfence, "rdtscp\n\tlfence", "rcx", "memory")
X86_64_READ(mfence_lfence_rdtsc, "mfence\n\tlfence\n\trdtsc", "memory")
/* SERIALIZE by its bytes: assemblers before binutils 2.35 do not know the word. */
X86_64_READ(serialize_rdtsc, ".byte 0x0f, 0x01, 0xe8\n\trdtsc", "memory")
/* Leaf 0, the cheapest: any leaf serializes, and in a guest any leaf is an exit to the hypervisor. */
X86_64_READ(cpuid_rdtsc, "xor %%eax, %%eax\n\tcpuid\n\trdtsc", "rbx", "rcx", "cc", "memory")

#elif defined(HAS_AARCH64)
#define NATIVE_READS AARCH64_READS
#define NATIVE_BEST isb_cntvct_isb

/* Arm ARM, CNTVCT_EL0: may be read speculatively and out of order. An ISB waits for all that came before. */
#define AARCH64_READ(name, instructions)                                                                               \
    READ_FUNCTION(name)                                                                                                \
    {                                                                                                                  \
        uint64_t ticks;                                                                                                \
                                                                                                                       \
        __asm__ volatile(instructions : "=r"(ticks) : : "memory");                                                     \
        return ticks;                                                                                                  \
    }

AARCH64_READ(cntvct, "mrs %0, cntvct_el0")
AARCH64_READ(isb_cntvct, "isb\n\tmrs %0, cntvct_el0")
AARCH64_READ(isb_cntvct_isb, "isb\n\tmrs %0, cntvct_el0\n\tisb")

#elif defined(HAS_RISCV64)
#define NATIVE_READS RISCV64_READS
#define NATIVE_BEST fence_rdtime

/* RISC-V Unprivileged ISA, Zicntr: the time CSR counts as device input, hence the "i" and "o" in the fence. */
#define RISCV64_READ(name, instructions)                                                                               \
    READ_FUNCTION(name)                                                                                                \
    {                                                                                                                  \
        uint64_t ticks;                                                                                                \
                                                                                                                       \
        __asm__ volatile(instructions : "=r"(ticks) : : "memory");                                                     \
        return ticks;                                                                                                  \
    }

RISCV64_READ(rdtime, "rdtime %0")
RISCV64_READ(fence_rdtime, "fence iorw, iorw\n\trdtime %0")

#else
#define NATIVE_READS(X)
#define NATIVE_BEST monotonic_raw
#endif

/* In nanoseconds, not ticks: the one clock that every Linux has and that no daemon steers. */
READ_FUNCTION(monotonic_raw)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

#endif
