/* AArch64. Manual: Arm ARM (DDI 0487), "The Generic Timer in AArch64 state" and "Barrier instructions". */
#ifndef FENCEPOST_ARCH_INSIDE
#error "include arch.h, which chooses the architecture"
#endif

#define HAS_AARCH64 1
#define HAS_TICKS 1
#define HAS_CHAINS 1
#define HAS_FENCE_LOAD 1
#define HAS_FENCE_STORE 1
#define ARCH_NAME "aarch64"
#define TICK_SOURCE "cntvct"

/*
 * CNTVCT_EL0 may be read out of order. An ISB before it waits for all earlier instructions. One after it delays all
 * later ones.
 */
static inline uint64_t tick_now(void)
{
    uint64_t ticks;

    __asm__ volatile("isb\n\tmrs %0, cntvct_el0\n\tisb" : "=r"(ticks) : : "memory");
    return ticks;
}

static inline uint64_t tick_begin(void)
{
    return tick_now();
}

static inline uint64_t tick_end(void)
{
    return tick_now();
}

static inline void cpu_relax(void)
{
    __asm__ volatile("yield" : : : "memory");
}

static inline void fence_full(void)
{
    __asm__ volatile("dmb ish" : : : "memory");
}

static inline void fence_load(void)
{
    __asm__ volatile("dmb ishld" : : : "memory");
}

static inline void fence_store(void)
{
    __asm__ volatile("dmb ishst" : : : "memory");
}

#define ARCH_ADD "add %0, %0, %0\n\t"
#define ARCH_MUL "mul %0, %0, %0\n\t"
