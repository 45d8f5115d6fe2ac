/*
 * x86-64. Manuals: Intel SDM vol. 2 (RDTSC, RDTSCP, LFENCE), AMD APM vol. 3. LFENCE waits for all earlier instructions
 * on both.
 */
#ifndef FENCEPOST_ARCH_INSIDE
#error "include arch.h, which chooses the architecture"
#endif

#define HAS_X86_64 1
#define HAS_TICKS 1
#define HAS_CHAINS 1
#define HAS_FENCE_LOAD 1
#define HAS_FENCE_STORE 1
#define ARCH_NAME "x86_64"
#define TICK_SOURCE "tsc"

/*
 * RDTSC is not ordered. The first LFENCE lets everything before it finish. The second keeps the window's own instructions
 * from starting before the counter is read. "memory" keeps the compiler's loads and stores on their side.
 */
static inline uint64_t tick_begin(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence\n\trdtsc\n\tlfence" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

/*
 * RDTSCP waits for all earlier instructions (and loads) by itself. The LFENCE keeps later ones out of the window. It
 * also writes ECX.
 */
static inline uint64_t tick_end(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtscp\n\tlfence" : "=a"(low), "=d"(high) : : "rcx", "memory");
    return (uint64_t)high << 32 | low;
}

static inline uint64_t tick_now(void)
{
    return tick_begin();
}

static inline void cpu_relax(void)
{
    __asm__ volatile("pause" : : : "memory"); /* a spin hint: leaves the pipeline to the sibling thread for a while */
}

static inline void fence_full(void)
{
    __asm__ volatile("mfence" : : : "memory");
}

static inline void fence_load(void)
{
    __asm__ volatile("lfence" : : : "memory");
}

static inline void fence_store(void)
{
    __asm__ volatile("sfence" : : : "memory");
}

/* Two registers, not an immediate: recent cores fold `add $imm`, `inc` and `lea` chains at rename (several a cycle). */
#define ARCH_ADD "add %0, %0\n\t"
#define ARCH_MUL "imul %0, %0\n\t"
