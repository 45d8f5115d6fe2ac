/*
 * pipeline/window: how far ahead of an unfinished load does the core look for more work?
 *
 * The method is H. Wong's ("Measuring Reorder Buffer Capacity", blog.stuffedcow.net, 2013). Two independent pointer
 * chases that miss every cache take turns, with k fillers after each load. While both loads fit into the reorder
 * buffer, the misses overlap and an iteration costs one of them. From the k on at which the second load does not fit,
 * it costs two. This knee is the size of the window. One event is one iteration (two loads, 2k fillers) at the smallest
 * k, the mean of 128. Metrics give the median at each distance.
 * Excluded:  making the lines miss. Both chases use one huge page (where there are huge pages). The lines of the next
 *            128 iterations are flushed before the window. So no buffer larger than the last cache is needed, and there
 *            is little to build (2 MiB).
 * Expect:    one trip to memory (60-150 ns) at k = 16, two at k = 768. With mix, the knee is at the reorder buffer: 192
 *            Haswell, 224 Skylake, 256 Zen 3 and Neoverse V1, 320 Zen 4. Further 352 Sunny Cove, 448 Zen 5, 512 Golden
 *            Cove. These are vendors' and LLVM's figures. Seen on a Zen 4 guest: mix between 288 and 320, add between
 *            192 and 208, nop beyond 768.
 * Hazards:   each add needs a physical register, so its knee is at the smaller of buffer and free registers. Some cores
 *            keep several nops in one entry (Zen 4), so that their knee comes late or never. The filler mix spreads
 *            over both register files and x87's FFREE, which needs none and is not dropped. On Arm half of it is nops.
 *            A busy SMT sibling takes part of all of them, and a hypervisor does not say so. Beyond the knee the
 *            fillers' own time shows (k = 768: some 400 cycles an iteration).
 * Not shown: where between two distances the knee is, and the sizes of the scheduler, the load queue and the store
 *            queue.
 */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>

/* Granule of coherence on x86-64 and most Arm. If lines are longer, two nodes share one, out of order. */
#define LINE_BYTES 64
#define NODES 16384    /* in each chase: 2 x 16384 x 64 bytes are one huge page */
#define ITERATIONS 128 /* in one walk: 256 of 32768 lines, so hardly any is brought in by its neighbour's prefetcher */
/* x BATCHES x ITERATIONS = 8192 iterations at each distance in a process, 160 000 in 20. */
#define WALKS_PER_BATCH 16
#define BATCHES 4
#define WALK_NS 35000 /* expected: 256 flushes, and as many misses of some 100 ns, partly overlapping (seen 21-41 us) */

/* Distances: multiples of 4, close together where reorder buffers end. */
#define DISTANCES(each)                                                                                                \
    each(16) each(64) each(96) each(128) each(160) each(192) each(208) each(224) each(240) each(256) each(288)         \
        each(320) each(352) each(384) each(448) each(512) each(576) each(640) each(704) each(768)

#define COUNT(k) +1
enum { NOP, ADD, MIX, FILLS, DISTANCE_COUNT = DISTANCES(COUNT) };

struct window {
    /* Where each chase stands, and how many iterations it made in all. */
    uint64_t a, b, iterations;
    unsigned char *lines;
    uint16_t order[2 * NODES]; /* the first half is chase a, the second b: which line comes when */
    unsigned walks;
    double ticks[DISTANCE_COUNT][WALKS_PER_BATCH * BATCHES]; /* per iteration, of each walk */
};

#if HAS_X86_64
#define HAS_WINDOW 1
#define NEXT(c) "mov (%[" #c "]), %[" #c "]\n\t"
#define INCREASE(f) "add %[by], %[" #f "]\n\t"
/* Marks an x87 register as free, as it is anyway (x86-64 ABI). FNOP would do as well, but valgrind does not know it. */
#define REGISTERLESS "ffree %%st(7)\n\t"
#define INCREASE_VECTOR(v) "paddq %[by_vector], %[" #v "]\n\t"
#define VECTOR "x"

/* Invalidates in every cache of the machine. Complete at the MFENCE: loads may pass a CLFLUSH (SDM vol. 2). */
static inline void flush(const void *line)
{
    __asm__ volatile("clflush (%0)" : : "r"(line) : "memory");
}

static inline void flush_done(void)
{
    __asm__ volatile("mfence" : : : "memory");
}
#elif HAS_AARCH64
#define HAS_WINDOW 1
#define NEXT(c) "ldr %[" #c "], [%[" #c "]]\n\t"
#define INCREASE(f) "add %[" #f "], %[" #f "], %[by]\n\t"
#define REGISTERLESS "nop\n\t"
#define INCREASE_VECTOR(v) "add %[" #v "].2d, %[" #v "].2d, %[by_vector].2d\n\t"
#define VECTOR "w"

/* Clean and invalidate to the point of coherency. Linux lets user code (SCTLR_EL1.UCI). Complete at the DSB. */
static inline void flush(const void *line)
{
    __asm__ volatile("dc civac, %0" : : "r"(line) : "memory");
}

static inline void flush_done(void)
{
    __asm__ volatile("dsb ish" : : : "memory");
}
#endif

#if HAS_WINDOW
/* Chains that no load feeds: done long before the miss, they keep their places and registers until it retires. */
#define FILL_nop(k) ".rept " #k "\n\tnop\n\t.endr\n\t"
#define FILL_add(k) ".rept " #k " / 4\n\t" INCREASE(f0) INCREASE(f1) INCREASE(f2) INCREASE(f3) ".endr\n\t"
#define FILL_mix(k) ".rept " #k " / 4\n\t" INCREASE(f0) INCREASE_VECTOR(v0) REGISTERLESS REGISTERLESS ".endr\n\t"

#define WALK(fill, k)                                                                                                  \
    static void fill##_##k(struct window *window)                                                                      \
    {                                                                                                                  \
        uint64_t a = window->a, b = window->b, f0 = 0, f1 = 0, f2 = 0, f3 = 0;                                         \
        double v0 = 0;                                                                                                 \
                                                                                                                       \
        for (unsigned i = ITERATIONS; i > 0; i--)                                                                      \
            __asm__ volatile(NEXT(a) FILL_##fill(k) NEXT(b) FILL_##fill(k)                                             \
                             : [a] "+r"(a), [b] "+r"(b), [f0] "+r"(f0), [f1] "+r"(f1), [f2] "+r"(f2), [f3] "+r"(f3),   \
                               [v0] "+" VECTOR(v0)                                                                     \
                             : [by] "r"(UINT64_C(1)), [by_vector] VECTOR(0.0)                                          \
                             : "memory");                                                                              \
        window->a = a;                                                                                                 \
        window->b = b;                                                                                                 \
        window->iterations += ITERATIONS;                                                                              \
    }
#define WALK_NOP(k) WALK(nop, k)
#define WALK_ADD(k) WALK(add, k)
#define WALK_MIX(k) WALK(mix, k)
DISTANCES(WALK_NOP)
DISTANCES(WALK_ADD)
DISTANCES(WALK_MIX)

#define ENTRY_NOP(k) nop_##k,
#define ENTRY_ADD(k) add_##k,
#define ENTRY_MIX(k) mix_##k,
static void (*const walks[FILLS][DISTANCE_COUNT])(struct window *) = {
    [NOP] = {DISTANCES(ENTRY_NOP)}, [ADD] = {DISTANCES(ENTRY_ADD)}, [MIX] = {DISTANCES(ENTRY_MIX)}};
#endif

static unsigned char *node(const struct window *window, unsigned chase, uint64_t step)
{
    return window->lines + (size_t)LINE_BYTES * window->order[chase * NODES + step % NODES];
}

static int setup(struct trial *trial)
{
#if HAS_WINDOW
    struct window *window = trial_alloc(trial, sizeof *window);
    /* Fixed: the order is part of the kernel, the pages differ by process anyway. */
    uint64_t random = UINT64_C(0x9e3779b97f4a7c15);

    if (!window)
        return -ENOMEM;
    window->lines = trial_alloc_pages(trial, (size_t)2 * NODES * LINE_BYTES, 1);
    if (!window->lines)
        return -ENOMEM;
    for (unsigned i = 0; i < 2 * NODES; i++) {
        /* Fisher and Yates, on the way: a uniform permutation of all lines, cut in half. Random numbers: xorshift64
           (Marsaglia 2003). */
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        const unsigned j = (unsigned)((random >> 32) % (i + 1));
        window->order[i] = window->order[j];
        window->order[j] = (uint16_t)i;
    }
    for (unsigned chase = 0; chase < 2; chase++)
        for (unsigned i = 0; i < NODES; i++)
            *(uint64_t *)(void *)node(window, chase, i) = (uint64_t)(uintptr_t)node(window, chase, i + 1);
    window->a = (uint64_t)(uintptr_t)node(window, 0, 0);
    window->b = (uint64_t)(uintptr_t)node(window, 1, 0);
    return 0;
#else
    return trial_needs(trial, "an instruction that flushes a cache line (x86-64 or aarch64)");
#endif
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
#if HAS_WINDOW
    const struct trial *trial = worker->trial;
    struct window *window = trial->state;

    for (uint64_t event = 0; event < count; event++, window->walks++)
        /* All distances in turn, so that what drifts drifts for all of them. */
        for (unsigned d = 0; d < DISTANCE_COUNT; d++) {
            uint64_t begin, end;

            for (unsigned i = 0; i < ITERATIONS; i++) {
                flush(node(window, 0, window->iterations + i));
                flush(node(window, 1, window->iterations + i));
            }
            flush_done();
            begin = tick_begin();
            walks[trial->value[0]][d](window);
            end = tick_end();
            const double net = net_ticks(trial, begin, end) / ITERATIONS;

            window->ticks[d][window->walks % (WALKS_PER_BATCH * BATCHES)] = net;
            if (d == 0)
                ticks[event] = (int64_t)(net + 0.5);
        }
    return (int64_t)count;
#else
    (void)worker, (void)ticks, (void)count;
    return -ENOTSUP;
#endif
}

/* Both chases stand where that many iterations lead. The figures of each distance become its metric. */
static int check(struct trial *trial)
{
    struct window *window = trial->state;
    const unsigned n = window->walks < WALKS_PER_BATCH * BATCHES ? window->walks : WALKS_PER_BATCH * BATCHES;

    if (window->iterations != (uint64_t)window->walks * DISTANCE_COUNT * ITERATIONS)
        return trial_fault(trial, "%" PRIu64 " iterations in %u walks at each distance", window->iterations,
                           window->walks);
    if (window->a != (uint64_t)(uintptr_t)node(window, 0, window->iterations) ||
        window->b != (uint64_t)(uintptr_t)node(window, 1, window->iterations))
        return trial_fault(trial, "after %" PRIu64 " iterations a chase is not where they lead", window->iterations);
    for (unsigned d = 0; d < DISTANCE_COUNT; d++)
        trial->metric[d] = median_of(window->ticks[d], n);
    trial->metric[DISTANCE_COUNT] = 2.0 * NODES * LINE_BYTES;
    return 0;
}

static uint64_t cost_ns(const struct trial *trial)
{
    (void)trial;
    return (uint64_t)WALKS_PER_BATCH * BATCHES * DISTANCE_COUNT * WALK_NS;
}

#define METRIC(k) {"k" #k "_ticks", "tick", "an iteration with " #k " fillers after each load, median"},

KERNEL(window,
    .name             = "pipeline/window",
    .summary          = "two chains of loads miss the cache, k instructions apart, and overlap while k is small",
    .unit             = "iteration",
    .threads          = { .min = 1, .max = 1 },
    .parameters       = {
        { .name = "fill", .summary = "nop takes at most a place in the buffer, add a register too, mix less of each",
          .labels = "nop add mix", .initial = MIX, .standard = "*", .rigorous = "*" },
    },
    .metrics          = { DISTANCES(METRIC) { "footprint_bytes", "bytes", "lines of both chases, flushed to memory" } },
    .setup            = setup,
    .events           = events,
    .events_per_batch = WALKS_PER_BATCH,
    .batches          = BATCHES,
    .check            = check,
    .cost_ns          = cost_ns);
