/*
 * Shared by all rings of this folder. The folder is a small, separate library. It includes nothing of the suite, and
 * needs a compiler with the __atomic builtins (gcc, clang) and a POSIX system. Its headers compile as C11 and as C++11.
 * Copy the folder, or install it.
 *
 *   ring_spsc       one producer, one consumer                    spsc.h
 *   ring_mpsc       several producers, one consumer               mpsc.h
 *   ring_mpmc       several of both                               mpmc.h
 *   ring_overwrite  a writer that never waits, and readers that count their losses   overwrite.h
 *
 * Conventions (X is one of the names above, and a ring that departs from them says so in its header):
 *
 *   int ring_X_create(struct ring_X **ring, size_t capacity, size_t item_bytes, unsigned flags)
 *       0, or -EINVAL (a capacity or size of 0 or too large to count, an unknown flag), or -ENOMEM. Any capacity of at
 *       least one item and any size of at least one byte are allowed. The ring is full when exactly `capacity` items
 *       are in it. Memory is touched here, and none is taken later. The ring may be handed to other threads by
 *       anything that orders memory (pthread_create, a mutex …).
 *   void ring_X_destroy(struct ring_X *ring)
 *       Nobody may be using it. Items still in it are gone. NULL is allowed.
 *   bool ring_X_try_push(ring, const void *item)      false: full. Nothing was written.
 *   bool ring_X_try_pop(ring, void *item)             false: empty. Nothing was read.
 *   size_t ring_X_push_bulk(ring, const void *items, size_t count)
 *   size_t ring_X_pop_bulk(ring, void *items, size_t count)
 *       How many went through, 0 to count, in order and without a gap. Call again with the rest.
 *   void ring_X_push(ring, const void *item), ring_X_pop(ring, void *item)
 *       Wait as struct ring_wait below does. No system call on the side that does not wait.
 *   …_sized(…, size_t item_bytes)
 *       The same with the size of the ring's items given once more. A constant there turns copying into plain moves. It
 *       has to be the size that the ring was made with.
 *
 * Items are copied as bytes and need no alignment. Counters are of type ring_index and wrap. Only their differences are
 * used.
 */
#ifndef RING_RING_H
#define RING_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The unit that a hand-over moves. 64 bytes on all x86-64 and nearly all AArch64 and RISC-V cores. A wrong value costs
 * time and breaks nothing.
 */
#ifndef RING_LINE
#define RING_LINE 64
#endif
/*
 * Distance between variables that different threads write. The spatial prefetcher of recent Intel cores fetches
 * lines in pairs.
 */
#define RING_APART (2 * RING_LINE)
#define RING_APART_ALIGNED __attribute__((aligned(RING_APART)))

#define RING_INLINE static inline __attribute__((always_inline, unused))
#define RING_LIKELY(x) __builtin_expect(!!(x), 1)
#define RING_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Counts items and wraps. Tests build the library with uint32_t as well, which 32-bit machines have anyway. */
#ifndef RING_INDEX
#define RING_INDEX size_t
#endif
typedef RING_INDEX ring_index;
/* Differences of counters are read as signed: more than half of their range cannot be told from less than nothing. */
#define RING_INDEX_HALF ((ring_index)-1 / 2)

/* Whether counter a comes before b. */
RING_INLINE bool ring_before(ring_index a, ring_index b)
{
    return (ring_index)(a - b) > RING_INDEX_HALF;
}

/* The body of a spin loop. It leaves the pipeline to a sibling thread for a while. No memory order depends on it. */
RING_INLINE void ring_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__(
        "isb" ::
            : "memory"); /* yield is a nop on most cores, isb waits about as long as pause (Arm's advice) */
#elif defined(__riscv)
    __asm__ __volatile__(".insn i 0x0F, 0, x0, x0, 0x010" ::: "memory"); /* pause (Zihintpause), a nop elsewhere */
#else
    __asm__ __volatile__("" ::: "memory");
#endif
}

/*
 * Fetch a line in order to write it. A store to a line that was fetched for reading needs a second transfer. This
 * saves it.
 */
RING_INLINE void ring_prefetch_write(const void *address)
{
#if defined(__x86_64__)
    /* The builtin fetches for reading on a generic x86-64. PREFETCHW is a nop on a CPU that lacks it (Intel SDM vol.
       2). */
    __asm__ __volatile__("prefetchw %0" : : "m"(*(const char *)address));
#else
    __builtin_prefetch(address, 1, 3);
#endif
}

#define ring_prefetch_read(address) __builtin_prefetch((address), 0, 3)

/*
 * Copy an item into a ring. Its owner has just written it, most likely in words. A 16-byte load of two fresh 8-byte
 * stores cannot be forwarded from the store buffer. It waits until both are in the cache. There they come after the
 * stores of the ring, which wait for a line. Measured: 19 million items of 64 bytes a second with such loads, 40
 * million with words. So words are loaded, and stored in pairs. This is for constant sizes. Other sizes are copied
 * by memcpy.
 */
RING_INLINE void ring_copy_in(void *to, const void *from, size_t bytes)
{
    if (!__builtin_constant_p(bytes) || bytes % 8 || bytes > 512) {
        memcpy(to, from, bytes);
        return;
    }
#pragma GCC unroll 64
    for (size_t i = 0; i < bytes / 16 * 16; i += 16) {
#if defined(__SSE2__)
        __m128d pair = _mm_load_sd((const double *)(const void *)((const char *)from + i));

        __asm__("" : "+x"(pair)); /* or clang makes one load of the two */
        pair = _mm_loadh_pd(pair, (const double *)(const void *)((const char *)from + i + 8));
        _mm_storeu_pd((double *)(void *)((char *)to + i), pair);
#else
        uint64_t words[2];

        memcpy(&words[0], (const char *)from + i, 8);
        memcpy(&words[1], (const char *)from + i + 8, 8);
        memcpy((char *)to + i, words, 16);
#endif
    }
    if (bytes % 16)
        memcpy((char *)to + bytes / 16 * 16, (const char *)from + bytes / 16 * 16, 8);
}

/*
 * A wait for the other side, which does not know of it. A flag "somebody sleeps" would cost a full fence in each
 * push and pop. So a waiter spins first (RING_SPINS looks), then yields (RING_YIELDS looks). Then it sleeps for 50
 * us, and for longer each time, up to 1 ms. Initialise it with zeros.
 */
struct ring_wait {
    unsigned looks;
};
#define RING_SPINS 2000
#define RING_YIELDS 100
void ring_wait_longer(struct ring_wait *wait);

RING_INLINE void ring_wait_on(struct ring_wait *wait)
{
    if (RING_LIKELY(++wait->looks < RING_SPINS))
        ring_relax();
    else
        ring_wait_longer(wait);
}

/* Zeroed memory that begins on a pair of lines. NULL if there is none or the size is absurd. Freed by free(). */
void *ring_memory(size_t bytes);
/*
 * Positions of a lap (see mpmc.h) in a ring of slots of `stride` bytes, stamp and item. It is the smallest power of two
 * beyond the capacity. 0 if a ring of this size is not possible.
 */
ring_index ring_lap(size_t capacity, size_t item_bytes, size_t stride);

#ifdef __cplusplus
}
#endif

#endif
