/*
 * The services of this architecture, under the same names everywhere:
 *
 *   tick_begin() tick_end()  read the tick counter at the start and the end of a window. Nothing before the start is still
 *                            under way when it is read. Nothing of the window leaks past the end
 *   tick_now()               read it ordered on both sides
 *   TICK_SOURCE              its name, for people
 *   cpu_relax()              a hint for the body of a spin loop
 *   fence_full() fence_load() fence_store()   ordering fences
 *   ARCH_ADD ARCH_MUL        one instruction of a register chain (operand %0), latency 1 and, on most cores, 3 cycles
 *
 * An undefined HAS_… means that the architecture lacks it:
 *
 *   HAS_X86_64 HAS_AARCH64 HAS_RISCV64   which one this is
 *   HAS_TICKS                the counter is the CPU's own, read without a system call
 *   HAS_CHAINS               ARCH_ADD and ARCH_MUL are there
 *   HAS_FENCE_LOAD HAS_FENCE_STORE       the one-sided fences are there
 */
#ifndef FENCEPOST_ARCH_H
#define FENCEPOST_ARCH_H

#include <stdint.h>

#define FENCEPOST_ARCH_INSIDE
#if defined(__x86_64__)
#include "arch/x86_64.h"
#elif defined(__aarch64__)
#include "arch/aarch64.h"
#elif defined(__riscv) && __riscv_xlen == 64
#include "arch/riscv64.h"
#else
#include "arch/generic.h"
#endif
#undef FENCEPOST_ARCH_INSIDE

#endif
