/* Any other architecture: a clock instead of a counter (one tick is one nanosecond), C11 instead of instructions, no chains. */
#ifndef FENCEPOST_ARCH_INSIDE
#error "include arch.h, which chooses the architecture"
#endif

#include <stdatomic.h>
#include <time.h>

#define ARCH_NAME "generic"
#define TICK_SOURCE "clock_monotonic_raw"

static inline uint64_t tick_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
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
    __asm__ volatile("" : : : "memory");
}

static inline void fence_full(void)
{
    atomic_thread_fence(memory_order_seq_cst);
}
