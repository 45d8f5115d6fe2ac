/* Random numbers for kernels: cheap to draw, and from a new seed in each process. */
#ifndef FENCEPOST_RANDOM_H
#define FENCEPOST_RANDOM_H

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

#endif
