/* RISC-V, 64 bit. Manual: RISC-V Unprivileged ISA, chapters "Zicntr" (RDTIME) and "RVWMO" (FENCE). */
#ifndef FENCEPOST_ARCH_INSIDE
#error "include arch.h, which chooses the architecture"
#endif

#define HAS_RISCV64 1
#define HAS_TICKS 1
#define HAS_CHAINS 1
#define HAS_FENCE_LOAD 1
#define HAS_FENCE_STORE 1
#define ARCH_NAME "riscv64"
#define TICK_SOURCE "time"

/* The time CSR is an input (fence i): the iorw fences order it against memory and against itself on both sides. */
static inline uint64_t tick_now(void)
{
    uint64_t ticks;

    __asm__ volatile("fence iorw, iorw\n\trdtime %0\n\tfence iorw, iorw" : "=r"(ticks) : : "memory");
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
    __asm__ volatile(".4byte 0x0100000f"
                     :
                     :
                     : "memory"); /* PAUSE (Zihintpause), a FENCE hint that older cores take for a no-op */
}

static inline void fence_full(void)
{
    __asm__ volatile("fence rw, rw" : : : "memory");
}

static inline void fence_load(void)
{
    __asm__ volatile("fence r, r" : : : "memory");
}

static inline void fence_store(void)
{
    __asm__ volatile("fence w, w" : : : "memory");
}

#define ARCH_ADD "add %0, %0, %0\n\t"
#define ARCH_MUL "mul %0, %0, %0\n\t"
