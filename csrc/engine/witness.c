/*
 * Witnesses: the speed of the core at this moment. Three short stretches of code are timed just before and just after
 * each window. Their time is known for a core that nobody disturbs.
 *
 *   width   independent additions, then a loop of nothing but its own branch. The additions need the units of the core.
 *           The loop needs its front end, which fetches for one thread at a time. A sibling thread that computes takes half
 *           of both. One that waits for memory leaves the additions alone and still fetches. Calls and short loops then cost
 *           up to 1.5 times as much. The host's siblings are hidden from a guest, and nothing else shows them: no switch, no
 *           fault, no steal.
 *   clock   dependent multiplications, three cycles each. A sibling leaves them alone, so they tell a change of the core
 *           clock from it.
 *
 * Both touch registers only. They say nothing about caches and memory that several cores share.
 */
#include <math.h>

#include "session.h"

/* Of each of the three stretches. Long against the counter's step and short against a batch: all of them are a fifteenth of 25 us. */
#define WITNESS_NS 600
/* A reading is good to two steps of the counter at worst, here to 3 %, and to one in most. */
#define WITNESS_QUANTA 64
/* Instructions in a block: enough to hide the loop's own two. */
#define BLOCK 64
/* Additions in a cycle where all units are free, on the cores of the day: 3 to 6. It sets the length of the witness and no more. */
#define ADDITIONS_PER_CYCLE 4
/* A turn of the loop is a taken branch, and a core takes one in a cycle. So it counts as that many additions. */
#define TURNS_PER_BLOCK (BLOCK / ADDITIONS_PER_CYCLE)

#if defined(HAS_CHAINS)

#define EIGHT(statement) statement statement statement statement statement statement statement statement
/* The compiler sees neither what is added nor what comes of it: it can fold no two additions, and make no vector of them. */
#define ADD_TO(chain)                                                                                                  \
    chain += step;                                                                                                     \
    OPAQUE(chain);

/* OPAQUE: one turn each, whatever a compiler thinks of unrolling. */
static __attribute__((noinline, aligned(64))) void branches(unsigned turns)
{
#pragma GCC unroll 1
    for (unsigned i = 0; i < turns; i++)
        OPAQUE(i);
}

/* Eight chains: as many as keep the units of the widest core busy, and as fit into registers. */
static __attribute__((noinline)) void additions(unsigned blocks)
{
    uint64_t a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8, step = 9;

    OPAQUE(step);
    for (unsigned i = 0; i < blocks; i++) {
        EIGHT(ADD_TO(a) ADD_TO(b) ADD_TO(c) ADD_TO(d) ADD_TO(e) ADD_TO(f) ADD_TO(g) ADD_TO(h))
    }
}

static __attribute__((noinline)) void multiplications(unsigned blocks)
{
    uint64_t x = 3;

    for (unsigned i = 0; i < blocks; i++)
        __asm__ volatile(".rept 64\n\t" ARCH_MUL ".endr" : "+r"(x));
}

/* Ticks. Not inlined, so that the empty window, which is subtracted, has the same shape. */
static __attribute__((noinline)) double ticks_of(void (*code)(unsigned), unsigned length, double overhead_ticks)
{
    const uint64_t begin = tick_begin();
    uint64_t end;

    code(length);
    end = tick_end();
    return (double)(end - begin) - overhead_ticks;
}

struct witness_lengths witness_prepare(double mul_hz, double overhead_ticks)
{
    const struct clock_facts *clock = process_clock();
    const double seconds = fmax(WITNESS_NS / 1e9, WITNESS_QUANTA * (double)clock->quantum_ticks / clock->tick_hz);
    const struct witness_lengths lengths = {
        .additions = (unsigned)ceil(seconds * 3 * mul_hz * ADDITIONS_PER_CYCLE / BLOCK),
        .multiplications = (unsigned)ceil(seconds * mul_hz / BLOCK),
        .overhead_ticks = overhead_ticks,
    };

    witness(&lengths); /* brings the code into the caches */
    return lengths;
}

struct witnessed witness(const struct witness_lengths *lengths)
{
    const unsigned turns = lengths->additions * TURNS_PER_BLOCK;
    const double added = (double)lengths->additions * BLOCK, multiplied = (double)lengths->multiplications * BLOCK;
    struct witnessed now;
    double ticks;

    now.begin_ticks = (int64_t)tick_now();
    /* The clock first: what the kernel left under way, such as stores that wait, has then ended before the width is asked for. */
    ticks = ticks_of(multiplications, lengths->multiplications, lengths->overhead_ticks);
    now.clock_ticks = (float)(ticks * 1000 / multiplied);
    ticks = ticks_of(additions, lengths->additions, lengths->overhead_ticks);
    now.additions_ticks = (float)(ticks * 1000 / added);
    ticks += ticks_of(branches, turns, lengths->overhead_ticks);
    now.width_ticks = (float)(ticks * 1000 / (2 * added));
    return now;
}

uint64_t witness_series(uint64_t ns, struct witnessed *found, uint64_t capacity)
{
    const struct clock_facts *clock = process_clock();
    struct witness_lengths lengths;
    struct chains chains;
    uint64_t end, count = 0;

    probe_chains(clock->tick_hz, &chains);
    lengths = witness_prepare(chains.mul_hz, clock->overhead_ticks);
    end = now_ns() + ns;
    while (count < capacity && now_ns() < end)
        found[count++] = witness(&lengths);
    return count;
}

#else

struct witness_lengths witness_prepare(double mul_hz, double overhead_ticks)
{
    (void)mul_hz;
    return (struct witness_lengths){.overhead_ticks = overhead_ticks};
}

struct witnessed witness(const struct witness_lengths *lengths)
{
    (void)lengths;
    return (struct witnessed){
        .begin_ticks = (int64_t)tick_now(), .width_ticks = NAN, .additions_ticks = NAN, .clock_ticks = NAN};
}

uint64_t witness_series(uint64_t ns, struct witnessed *found, uint64_t capacity)
{
    (void)ns;
    (void)found;
    (void)capacity;
    return 0;
}

#endif
