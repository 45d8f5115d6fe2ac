/*
 * clock/core:        how fast does the core really run: after a sleep, after a spin, after AVX-512?
 * clock/core_loaded: and how fast while all other CPUs run as well?
 * clock/core_series: and how does its clock change over time?
 *
 * One event is a chain of 16 384 dependent multiplications in a register. Nothing but the core's clock can make it
 * faster or slower. Its cycles are known, so core_hz = cycles / time. They are 3 each on x86-64. Elsewhere setup
 * measures them, against a chain of additions of 1 cycle. In the series one event is the shortest of four such chains
 * in a row, 10 ms after the last. A gap makes a chain longer, never shorter, and must not look like a slow clock.
 * Excluded:  the empty window, and the sleep, spin or burst before. Between the samples of the series the core stays
 *            busy.
 * Expect:    the turbo clock, not the tick counter's. Reference guest: 2.992 GHz warm, TSC 2.300 (x 1.301), wandering
 *            between 2.70 and 3.15 GHz within 30 s. Cold: the same or less [hypothesis: guests rarely see the ramp].
 *            After AVX-512: less on Intel server cores up to Ice Lake (licences), the same on Zen 4 and 5. Loaded: the
 *            all-core turbo.
 * Hazards:   a sibling hardware thread does not slow a latency-bound chain. core_loaded shows clocks, not sharing.
 * Not shown: the limit of the clock (power, heat, a hypervisor's cap). The governor is in the run's machine facts.
 */
#define _GNU_SOURCE
#include "kernels/chain.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define CHAIN_LENGTH 16384 /* 13-16 us at 3-3.7 GHz: more than 1000 steps of a counter with steps of 10 ns */
#define BLOCK 64
/* Long enough to leave C-states and decay the clock of common governors. */
#define COLD_SLEEP_NS 20000000
#define CHAINS_PER_BATCH 16
#define LOADED_BATCHES 4
#define LOADED_WARMUP_CHAINS 150 /* about 2 ms: the loaded clock is the one after the power limit has answered */
#define SERIES_STEP_MS 10
#define SERIES_TRIES 4
#define SERIES_CAPACITY 2048

enum { STATE_COLD, STATE_WARM, STATE_AVX512 };

struct lane {
    /* A: written by its worker, read by worker 0. Alone on its pair of lines. */
    _Alignas(128) _Atomic uint64_t chains;
    uint64_t product, batches;
};

struct core {
    double cycles_per_chain;
    double hz[SERIES_CAPACITY];
    uint64_t count;
    uint64_t next_ticks; /* of the series */
    uint64_t own_chains, others_chains;
    /* B: batches that worker 0 has finished measuring. */
    _Alignas(128) _Atomic uint64_t finished;
    struct lane lanes[]; /* one per worker */
};

/* One chain, timed. The loop's own two instructions run beside it. */
static __attribute__((noinline)) int64_t timed_chain(struct lane *lane)
{
    uint64_t product = lane->product, factor = FACTOR, begin, end;

    OPAQUE(factor);
    begin = tick_begin();
    for (unsigned i = 0; i < CHAIN_LENGTH / BLOCK; i++)
        MULTIPLY_TIMES(64, product, factor);
    end = tick_end();
    lane->product = product;
    /* A: relaxed, because a plain count tells nothing about other data. Only its own worker writes it. */
    atomic_store_explicit(&lane->chains, atomic_load_explicit(&lane->chains, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    return (int64_t)(end - begin);
}

#if defined(HAS_X86_64)
/* 64-bit IMUL r, r: 3 on every Intel core since Nehalem and every AMD core since Zen (uops.info). */
static double multiplication_cycles(struct lane *lane)
{
    (void)lane;
    return 3;
}
#elif defined(HAS_CHAINS)
/* As long a chain of additions, which take 1 cycle each: the multiplication's latency is the ratio, a whole number. */
static double multiplication_cycles(struct lane *lane)
{
    int64_t addition = INT64_MAX, multiplication = INT64_MAX;

    for (int attempt = 0; attempt < 5; attempt++) {
        const uint64_t begin = tick_begin();
        uint64_t sum = 3;
        int64_t ticks;

        for (unsigned i = 0; i < CHAIN_LENGTH / BLOCK; i++)
            __asm__ volatile(".rept 64\n\t" ARCH_ADD ".endr" : "+r"(sum));
        ticks = (int64_t)(tick_end() - begin);
        addition = ticks < addition ? ticks : addition;
        ticks = timed_chain(lane);
        multiplication = ticks < multiplication ? ticks : multiplication;
    }
    return fmax(1, round((double)multiplication / (double)addition));
}
#endif

static int prepare(struct trial *trial)
{
#ifdef HAS_CHAINS
    struct core *core = trial_alloc(trial, sizeof *core + trial->team_size * sizeof core->lanes[0]);

    if (!core)
        return -ENOMEM;
    for (unsigned i = 0; i < trial->team_size; i++)
        core->lanes[i].product = 1;
    core->cycles_per_chain = CHAIN_LENGTH * multiplication_cycles(&core->lanes[0]);
    return 0;
#else
    return trial_needs(trial, "an architecture whose register chains are known");
#endif
}

static int64_t net_chain(struct trial *trial, struct lane *lane)
{
    return timed_chain(lane) - (int64_t)trial->overhead_ticks;
}

static void note(struct trial *trial, int64_t ticks)
{
    struct core *core = trial->state;

    if (core->count < SERIES_CAPACITY)
        core->hz[core->count++] = core->cycles_per_chain * trial->tick_hz / (double)ticks;
}

static int ascending(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;

    return (a > b) - (a < b);
}

/* Every worker's chain holds as many factors as it counted. */
static int chains_check(struct trial *trial)
{
    struct core *core = trial->state;

    if (core->count == 0)
        return trial_fault(trial, "no chain was measured");
    for (unsigned i = 0; i < trial->team_size; i++) {
        /* Relaxed: the team has met since. */
        const uint64_t chains = atomic_load_explicit(&core->lanes[i].chains, memory_order_relaxed);

        if (core->lanes[i].product != chain_product(chains * CHAIN_LENGTH))
            return trial_fault(trial, "worker %u's chain does not hold %llu multiplications", i,
                               (unsigned long long)chains * CHAIN_LENGTH);
    }
    return 0;
}

/* ---- clock/core ---- */

static int core_setup(struct trial *trial)
{
    if (trial->value[0] == STATE_AVX512 && !(capabilities() & NEED_AVX512))
        return trial_needs(trial, capability_text(NEED_AVX512));
    if (trial->value[1] < 1 || trial->value[1] > 10000) {
        trial_fault(trial, "spin_ms must be 1 to 10000");
        return -EINVAL;
    }
    return prepare(trial);
}

static void sleep_ns(int64_t ns)
{
    struct timespec rest = {ns / 1000000000, ns % 1000000000};

    while (nanosleep(&rest, &rest) && errno == EINTR)
        ;
}

static void burst_avx512(uint64_t until_ns)
{
#ifdef HAS_X86_64
    while (now_ns() < until_ns)
        /* Eight independent fused multiply-adds a turn, the widest and hottest there are. Zeros have no slow denormals.
           The clobbers name the parts that every compiler knows. VZEROUPPER leaves no dirty upper half behind. */
        __asm__ volatile("vpxor %%xmm0, %%xmm0, %%xmm0\n\tvpxor %%xmm1, %%xmm1, %%xmm1\n\t"
                         "vpxor %%xmm2, %%xmm2, %%xmm2\n\tvpxor %%xmm3, %%xmm3, %%xmm3\n\t"
                         "vpxor %%xmm4, %%xmm4, %%xmm4\n\tvpxor %%xmm5, %%xmm5, %%xmm5\n\t"
                         "vpxor %%xmm6, %%xmm6, %%xmm6\n\tvpxor %%xmm7, %%xmm7, %%xmm7\n\t"
                         ".rept 128\n\t"
                         "vfmadd231pd %%zmm0, %%zmm0, %%zmm0\n\tvfmadd231pd %%zmm1, %%zmm1, %%zmm1\n\t"
                         "vfmadd231pd %%zmm2, %%zmm2, %%zmm2\n\tvfmadd231pd %%zmm3, %%zmm3, %%zmm3\n\t"
                         "vfmadd231pd %%zmm4, %%zmm4, %%zmm4\n\tvfmadd231pd %%zmm5, %%zmm5, %%zmm5\n\t"
                         "vfmadd231pd %%zmm6, %%zmm6, %%zmm6\n\tvfmadd231pd %%zmm7, %%zmm7, %%zmm7\n\t"
                         ".endr\n\tvzeroupper"
                         :
                         :
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
#else
    (void)until_ns;
#endif
}

static int64_t core_events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;
    struct core *core = trial->state;
    const uint64_t until_ns = now_ns() + (uint64_t)trial->value[1] * 1000000;

    if (trial->value[0] == STATE_COLD)
        sleep_ns(COLD_SLEEP_NS);
    else if (trial->value[0] == STATE_AVX512)
        burst_avx512(until_ns);
    else
        while (now_ns() < until_ns)
            timed_chain(&core->lanes[0]);
    for (uint64_t i = 0; i < count; i++)
        ticks[i] = net_chain(trial, &core->lanes[0]);
    for (uint64_t i = 0; i < count; i++)
        note(trial, ticks[i]);
    return (int64_t)count;
}

static int core_check(struct trial *trial)
{
    struct core *core = trial->state;

    trial->metric[1] = core->hz[0];
    qsort(core->hz, core->count, sizeof *core->hz, ascending);
    trial->metric[0] = core->hz[core->count / 2];
    return chains_check(trial);
}

static uint64_t core_cost_ns(const struct trial *trial)
{
    return 300000 + (trial->value[0] == STATE_COLD ? COLD_SLEEP_NS : (uint64_t)trial->value[1] * 1000000);
}

KERNEL(core,
    .name             = "clock/core",
    .summary          = "a chain of multiplications shows the core's clock when cold, warm, and after AVX-512",
    .unit             = "chain of 16384 multiplications",
    .threads          = { .min = 1, .max = 1 },
    .needs            = NEED_TICKS,
    .parameters       = { { .name = "state", .unit = "state", .summary = "what the core did just before",
                            .labels = "cold warm avx512", .initial = STATE_WARM,
                            .quick = "*", .standard = "*", .rigorous = "*" },
                          { .name = "spin_ms", .unit = "ms",
                            .summary = "length of the spin (warm) or burst (avx512); cold sleeps 20 ms",
                            .initial = 20, .quick = "20", .standard = "50", .rigorous = "1000" } },
    .metrics          = { { "core_hz", "Hz", "clock by the median chain" },
                          { "first_hz", "Hz", "clock by the first chain after the sleep, spin or burst" } },
    .setup            = core_setup,
    .events           = core_events,
    .events_per_batch = CHAINS_PER_BATCH,
    .batches          = 1,
    .check            = core_check,
    .cost_ns          = core_cost_ns);

/* ---- clock/core_loaded ---- */

static uint64_t chains_of_others(struct core *core, unsigned team_size)
{
    uint64_t sum = 0;

    for (unsigned i = 1; i < team_size; i++)
        sum += atomic_load_explicit(&core->lanes[i].chains, memory_order_relaxed); /* A: as above */
    return sum;
}

static int64_t loaded_events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;
    struct core *core = trial->state;
    struct lane *lane = &core->lanes[worker->index];
    const uint64_t batch = lane->batches++;
    uint64_t own, others;

    team_start(worker);
    if (worker->index != 0) {
        /* B: relaxed, pairs with worker 0's store. It passes on no data. Lanes are read after the team has met. */
        while (atomic_load_explicit(&core->finished, memory_order_relaxed) == batch)
            timed_chain(lane);
        return 0;
    }
    for (int i = 0; i < LOADED_WARMUP_CHAINS; i++)
        timed_chain(lane);
    own = atomic_load_explicit(&lane->chains, memory_order_relaxed);
    others = chains_of_others(core, worker->team_size);
    for (uint64_t i = 0; i < count; i++)
        ticks[i] = net_chain(trial, lane);
    core->own_chains += atomic_load_explicit(&lane->chains, memory_order_relaxed) - own;
    core->others_chains += chains_of_others(core, worker->team_size) - others;
    atomic_store_explicit(&core->finished, batch + 1, memory_order_relaxed); /* B */
    for (uint64_t i = 0; i < count; i++)
        note(trial, ticks[i]);
    return (int64_t)count;
}

static int loaded_check(struct trial *trial)
{
    struct core *core = trial->state;

    qsort(core->hz, core->count, sizeof *core->hz, ascending);
    trial->metric[0] = core->hz[core->count / 2];
    trial->metric[1] = (double)core->others_chains / (double)core->own_chains / (trial->team_size - 1);
    return chains_check(trial);
}

static uint64_t loaded_cost_ns(const struct trial *trial)
{
    (void)trial;
    return LOADED_BATCHES * (LOADED_WARMUP_CHAINS + CHAINS_PER_BATCH) * UINT64_C(16000);
}

KERNEL(core_loaded,
    .name             = "clock/core_loaded",
    .summary          = "a chain of multiplications shows the core's clock while all other CPUs run the same chain",
    .unit             = "chain of 16384 multiplications",
    .threads          = { .min = 2, .max = MAX_TEAM },
    .place            = PLACE_ALL,
    .needs            = NEED_TICKS,
    .metrics          = { { "core_hz", "Hz", "clock by the median chain" },
                          { "others_share", "1", "chains of another worker per chain of worker 0: 1 if all ran on" } },
    .setup            = prepare,
    .events           = loaded_events,
    .events_per_batch = CHAINS_PER_BATCH,
    .batches          = LOADED_BATCHES,
    .check            = loaded_check,
    .cost_ns          = loaded_cost_ns);

/* ---- clock/core_series ---- */

static int series_setup(struct trial *trial)
{
    const int64_t duration_ms = trial->value[0];

    if (duration_ms < SERIES_STEP_MS || duration_ms > SERIES_CAPACITY * SERIES_STEP_MS) {
        trial_fault(trial, "duration_ms must be %d to %d", SERIES_STEP_MS, SERIES_CAPACITY * SERIES_STEP_MS);
        return -EINVAL;
    }
    trial->batches = (uint64_t)duration_ms / SERIES_STEP_MS;
    return prepare(trial);
}

/* The sample first, then the wait: so the sample's begin_ticks is its place in time. */
static int64_t series_events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;
    struct core *core = trial->state;
    const uint64_t step_ticks = (uint64_t)(trial->tick_hz * SERIES_STEP_MS / 1000);

    if (core->next_ticks == 0)
        core->next_ticks = tick_now();
    for (uint64_t i = 0; i < count; i++) {
        int64_t shortest = INT64_MAX;

        for (int attempt = 0; attempt < SERIES_TRIES; attempt++) {
            const int64_t length = net_chain(trial, &core->lanes[0]);

            shortest = length < shortest ? length : shortest;
        }
        ticks[i] = shortest;
        note(trial, shortest);
        /* A machine that was stopped for longer than a step goes on from now: no burst of samples to catch up. */
        while (core->next_ticks <= tick_now())
            core->next_ticks += step_ticks;
        while (tick_now() < core->next_ticks)
            timed_chain(&core->lanes[0]);
    }
    return (int64_t)count;
}

static int series_check(struct trial *trial)
{
    struct core *core = trial->state;

    qsort(core->hz, core->count, sizeof *core->hz, ascending);
    trial->metric[0] = core->hz[core->count / 2];
    trial->metric[1] = core->hz[core->count / 100];
    trial->metric[2] = core->hz[core->count - 1 - core->count / 100];
    return chains_check(trial);
}

static uint64_t series_cost_ns(const struct trial *trial)
{
    return (uint64_t)trial->value[0] * 1000000;
}

KERNEL(core_series,
    .name             = "clock/core_series",
    .summary          = "a chain of multiplications shows the core's clock every 10 ms",
    .unit             = "chain of 16384 multiplications",
    .threads          = { .min = 1, .max = 1 },
    .flags            = KERNEL_ONCE,
    .needs            = NEED_TICKS,
    .parameters       = { { .name = "duration_ms", .unit = "ms", .summary = "length of the series",
                            .initial = 300, .quick = "300", .standard = "2000", .rigorous = "12000" } },
    .metrics          = { { "core_hz", "Hz", "median of the series" },
                          { "low_hz", "Hz", "1st percentile of the series" },
                          { "high_hz", "Hz", "99th percentile of the series" } },
    .setup            = series_setup,
    .events           = series_events,
    .events_per_batch = 1,
    .batches          = 1, /* setup makes it one per step */
    .check            = series_check,
    .cost_ns          = series_cost_ns);
