/*
 * clock/bias: how much does the length of a window depend on the instructions that read its two ends?
 *
 * One event is one window around nothing (k = 0), read with the given pair of instructions. Windows of the same shape
 * around k = 1 … 64 dependent multiplications are timed beside it, one of each k in turn. A true window grows by the
 * latency of one multiplication per step of k (3 cycles on most cores). The line through these points meets k = 0 at
 * the pair's bias. The bias is what must be subtracted from every window.
 * Excluded:  nothing. The raw windows are the result. Fences outside of each window let the pipeline run empty, so that
 *            windows do not overlap.
 * Metrics:   means, not medians. Some counters move in steps (quantum) of many ticks. A single window is then off by up
 *            to a step. A median of windows is a whole number of steps, however many windows there are. A pause of
 *            random length goes before each window, so the phase of its start within a step is random. Under a random
 *            phase the mean is unbiased. Gaps (timer interrupts, exits to the hypervisor) would dominate the mean. So
 *            windows longer than twice the median plus two steps are left out, and gaps_pct counts them.
 * Expect:    a slope of 3 cycles per multiplication for all pairs, and another intercept for each [hypothesis].
 *            Unfenced reads let the chain float out of the window, so that small k cost nothing (a short or flat
 *            start). Seen on a Zen 4 guest: from k = 24 on, 3.00 cycles for every pair but rdtsc/rdtsc. Over all k it
 *            is 2.99, and only where a fence follows the first reading. Without that fence, up to 12 multiplications
 *            hide behind the first reading.
 * Hazards:   if a step of the counter is longer than the random pause (aarch64 below 10 MHz, riscv64), only chance
 *            smears it.
 * Not shown: the effect of loads or stores in the window. They float further than register arithmetic.
 */
#include "engine/window_mean.h"
#include "kernels/chain.h"
#include "reads.h"

#include <errno.h>

/* Start, end. All but the last of each architecture are cautionary. The first of x86-64 is what most programs do. */
#define X86_64_PAIRS(X)                                                                                                \
    X(rdtsc, rdtsc)                                                                                                    \
    X(rdtscp, rdtscp)                                                                                                  \
    X(rdtsc, rdtscp)                                                                                                   \
    X(lfence_rdtsc, lfence_rdtsc)                                                                                      \
    X(lfence_rdtsc, rdtscp)                                                                                            \
    X(lfence_rdtsc_lfence, lfence_rdtsc_lfence)                                                                        \
    X(lfence_rdtsc_lfence, rdtscp_lfence)                                                                              \
    X(mfence_lfence_rdtsc, mfence_lfence_rdtsc)
#define AARCH64_PAIRS(X)                                                                                               \
    X(cntvct, cntvct)                                                                                                  \
    X(isb_cntvct, isb_cntvct)                                                                                          \
    X(isb_cntvct_isb, isb_cntvct_isb)
#define RISCV64_PAIRS(X)                                                                                               \
    X(rdtime, rdtime)                                                                                                  \
    X(fence_rdtime, fence_rdtime)
#define ALL_PAIRS(X) X86_64_PAIRS(X) AARCH64_PAIRS(X) RISCV64_PAIRS(X)

#if defined(HAS_X86_64)
#define NATIVE_PAIRS X86_64_PAIRS
#define DEFAULT_PAIR PAIR_lfence_rdtsc_lfence_to_rdtscp_lfence
#elif defined(HAS_AARCH64)
#define NATIVE_PAIRS AARCH64_PAIRS
#define DEFAULT_PAIR PAIR_isb_cntvct_isb_to_isb_cntvct_isb
#elif defined(HAS_RISCV64)
#define NATIVE_PAIRS RISCV64_PAIRS
#define DEFAULT_PAIR PAIR_fence_rdtime_to_fence_rdtime
#else
#define NATIVE_PAIRS(X)
#define NATIVE_LABELS NULL
#define DEFAULT_PAIR 0
#endif

#define VALUE(start, end) PAIR_##start##_to_##end,
#define WORD(start, end) " " #start "_to_" #end
#define LABELS &ALL_PAIRS(WORD)[1]
/* A sweep has those of this architecture. One of another can be named, and is refused with the reason. */
#if !defined(NATIVE_LABELS)
#define NATIVE_LABELS &NATIVE_PAIRS(WORD)[1]
#endif

enum { ALL_PAIRS(VALUE) PAIR_COUNT };

#define NEED_OF_X86_64(start, end) [PAIR_##start##_to_##end] = NEED_X86_64,
#define NEED_OF_AARCH64(start, end) [PAIR_##start##_to_##end] = NEED_AARCH64,
#define NEED_OF_RISCV64(start, end) [PAIR_##start##_to_##end] = NEED_RISCV64,

static const unsigned need_of[PAIR_COUNT] = {X86_64_PAIRS(NEED_OF_X86_64) AARCH64_PAIRS(NEED_OF_AARCH64)
                                                 RISCV64_PAIRS(NEED_OF_RISCV64)};

#define LENGTHS 11

static const unsigned multiplications[LENGTHS] = {0, 1, 2, 4, 8, 12, 16, 24, 32, 48, 64};

struct chain {
    uint64_t product, factor;
};

/*
 * One window. The chain does not depend on the first reading, nor the second on the chain. Otherwise its operands would
 * order an unfenced pair. settle() keeps the code around it out, which is the pause before and the bookkeeping after.
 */
#define WINDOW(start, end, k)                                                                                          \
    static __attribute__((noinline)) int64_t window_##start##_to_##end##_##k(struct chain *chain)                      \
    {                                                                                                                  \
        uint64_t product = chain->product, factor = chain->factor, first, second;                                      \
                                                                                                                       \
        OPAQUE(factor);                                                                                                \
        settle(&product);                                                                                              \
        first = read_##start();                                                                                        \
        MULTIPLY_TIMES(k, product, factor);                                                                            \
        second = read_##end();                                                                                         \
        settle(&product);                                                                                              \
        chain->product = product;                                                                                      \
        return (int64_t)(second - first);                                                                              \
    }

#define WINDOWS(start, end)                                                                                            \
    WINDOW(start, end, 0)                                                                                              \
    WINDOW(start, end, 1)                                                                                              \
    WINDOW(start, end, 2)                                                                                              \
    WINDOW(start, end, 4)                                                                                              \
    WINDOW(start, end, 8)                                                                                              \
    WINDOW(start, end, 12)                                                                                             \
    WINDOW(start, end, 16)                                                                                             \
    WINDOW(start, end, 24)                                                                                             \
    WINDOW(start, end, 32)                                                                                             \
    WINDOW(start, end, 48)                                                                                             \
    WINDOW(start, end, 64)

#ifdef HAS_CHAINS
/* Wait until everything before has finished, `product` among it. */
static inline __attribute__((always_inline)) void settle(uint64_t *product)
{
#if defined(HAS_X86_64)
    /* On Intel and AMD alike, nothing later starts before it. */
    __asm__ volatile("lfence" : "+r"(*product) : : "memory");
#elif defined(HAS_AARCH64)
    __asm__ volatile("isb" : "+r"(*product) : : "memory");
#else
    __asm__ volatile("fence iorw, iorw" : "+r"(*product) : : "memory");
#endif
}
#endif

NATIVE_PAIRS(WINDOWS)

typedef int64_t window(struct chain *chain);

#define LENGTHS_OF(name)                                                                                               \
    name##_0, name##_1, name##_2, name##_4, name##_8, name##_12, name##_16, name##_24, name##_32, name##_48, name##_64
#define ROW(start, end) [PAIR_##start##_to_##end] = {LENGTHS_OF(window_##start##_to_##end)},

static window *const windows[PAIR_COUNT][LENGTHS] = {NATIVE_PAIRS(ROW)};

#define WINDOWS_PER_BATCH 128
#define BATCHES 4
#define CAPACITY (WINDOWS_PER_BATCH * BATCHES)

struct bias {
    struct chain chain;
    uint64_t made; /* multiplications */
    uint64_t random;
    uint64_t count;
    int64_t ticks[LENGTHS][CAPACITY];
};

static int setup(struct trial *trial)
{
    struct bias *bias;

    if (!windows[trial->value[0]][0])
        return trial_needs(trial, capability_text(need_of[trial->value[0]]));
    bias = trial_alloc(trial, sizeof *bias);
    if (!bias)
        return -ENOMEM;
    bias->chain = (struct chain){.product = 1, .factor = FACTOR};
    bias->random = tick_now() | 1;
    return 0;
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;
    struct bias *bias = trial->state;
    window *const *row = windows[trial->value[0]];

    for (uint64_t i = 0; i < count; i++) {
        for (unsigned length = 0; length < LENGTHS; length++) {
            int64_t window_ticks;

            random_pause(&bias->random);
            window_ticks = row[length](&bias->chain);
            bias->made += multiplications[length];
            if (bias->count < CAPACITY)
                bias->ticks[length][bias->count] = window_ticks;
            if (length == 0)
                ticks[i] = window_ticks;
        }
        if (bias->count < CAPACITY)
            bias->count++;
    }
    return (int64_t)count;
}

/* Of a pair whose end waits for nothing, windows that do not grow are a result. */
static int unfenced(int64_t pair)
{
    return pair == PAIR_rdtsc_to_rdtsc || pair == PAIR_cntvct_to_cntvct || pair == PAIR_rdtime_to_rdtime;
}

/* The chain has exactly as many factors as were asked for. A window around 64 is longer than one around none. */
static int check(struct trial *trial)
{
    struct bias *bias = trial->state;
    uint64_t kept = 0;
    int resolved;

    if (bias->count == 0 || bias->chain.product != chain_product(bias->made))
        return trial_fault(trial, "the chain does not hold the %llu multiplications asked for",
                           (unsigned long long)bias->made);
    for (unsigned length = 0; length < LENGTHS; length++) {
        uint64_t n;

        trial->metric[length] = mean_without_gaps(bias->ticks[length], bias->count, trial->quantum_ticks, &n);
        kept += n;
    }
    trial->metric[LENGTHS] = 100 - 100.0 * (double)kept / (double)(LENGTHS * bias->count);
    resolved = bias->ticks[0][bias->count / 2] > 0; /* a coarse counter shows growth by chance only */
    if (resolved && !unfenced(trial->value[0]) && trial->metric[LENGTHS - 1] <= trial->metric[0])
        return trial_fault(trial,
                           "windows around 64 multiplications are no longer than empty ones (%.1f and %.1f ticks)",
                           trial->metric[LENGTHS - 1], trial->metric[0]);
    return 0;
}

static uint64_t cost_ns(const struct trial *trial)
{
    return windows[trial->value[0]][0] ? 700000 : 0; /* 0: refused in setup */
}

#define MEAN_OF(k)                                                                                                     \
    {                                                                                                                  \
        "k" #k "_mean_ticks", "ticks", "mean window around " #k " multiplications, gaps left out"                      \
    }

KERNEL(bias,
    .name             = "clock/bias",
    .summary          = "each pair of readings times 0 to 64 dependent multiplications, which shows its bias",
    .unit             = "empty window",
    .threads          = { .min = 1, .max = 1 },
    .needs            = NEED_TICKS,
    .parameters       = { { .name = "pair", .unit = "readings", .summary = "how start and end of the window are read",
                            .labels = LABELS, .initial = DEFAULT_PAIR,
                            .quick = NATIVE_LABELS, .standard = NATIVE_LABELS, .rigorous = NATIVE_LABELS } },
    .metrics          = { MEAN_OF(0), MEAN_OF(1), MEAN_OF(2), MEAN_OF(4), MEAN_OF(8), MEAN_OF(12), MEAN_OF(16),
                          MEAN_OF(24), MEAN_OF(32), MEAN_OF(48), MEAN_OF(64),
                          { "gaps_pct", "pct", "windows left out because something else ran in them" } },
    .setup            = setup,
    .events           = events,
    .events_per_batch = WINDOWS_PER_BATCH,
    .batches          = BATCHES,
    .check            = check,
    .cost_ns          = cost_ns);
