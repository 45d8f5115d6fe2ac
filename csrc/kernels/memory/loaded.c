/*
 * memory/loaded: how much longer does a load from memory take while other CPUs read and write memory as fast as they
 * can?
 *
 * One operation is 1000 loads, each from an address that the load before gave, and none in a cache. Meanwhile all other
 * threads move memory. The control makes as many loads while the other threads spin without touching memory, so that
 * their CPUs are as busy and as awake.
 *   read    the others read their own arrays, which no cache contains
 *   stream  they write to them, by stores that go around the caches
 * Excluded:  making the cycle and the arrays, and waiting until all others move memory.
 * Expect:    the more of the bandwidth is taken, the longer the queues to memory are. A load takes some 10 % longer
 *            with two threads, and several times as long where many take all of it. A guest of an AMD EPYC with two
 *            CPUs: see docs/topics/memory.md.
 * Hazards:   other guests load the same memory, beside the control as well. Page walks are part of a load where huge
 *            pages are not given. The metric load_gb_per_s is the traffic of the others beside the operation.
 * Not shown: several loads at once, latency within the caches, other nodes (memory/numa).
 */
#define _GNU_SOURCE
#include <stdatomic.h>

#include "kernels/memory/blocks.h"
#include "kernels/memory/cold.h"
#include "kernels/memory_limits.h"

enum { LOADED_NS, IDLE_NS, ADDED_PCT, LOAD_GB_PER_S };
enum { READ, STREAM };

/* Of each of the others: twice what a core of today has to itself, and together more than most last caches. */
#define ARRAY_BYTES ((size_t)32 << 20)
#define ARRAY_BLOCKS (ARRAY_BYTES / BLOCK_BYTES)
#define PAIRS_A_BATCH 4
#define BATCHES 6
#define PAIRS (BATCHES * PAIRS_A_BATCH)

/* One of the others. */
struct loader {
    _Alignas(128) _Atomic uint64_t blocks; /* so many it has done so far */
    pair *array;
    uint64_t at;
    pair sums[SUMS];
};

struct desk {
    _Alignas(128) _Atomic unsigned ended; /* sides that are over */
    _Alignas(128) struct cold cold;
    struct loader *loaders; /* one for each worker. That of worker 0 does nothing */
    uint64_t pairs, blocks;
    double ticks[2][PAIRS], loaded_ticks;
};

/* Relaxed, here and below: only that they come to be seen matters. What the sides write is ordered by the engine's meetings. */
static uint64_t blocks_of_all(const struct trial *trial)
{
    const struct desk *desk = trial->state;
    uint64_t sum = 0;

    for (unsigned i = 1; i < trial->team_size; i++)
        sum += atomic_load_explicit(&desk->loaders[i].blocks, memory_order_relaxed);
    return sum;
}

/* Moves memory until the side is over. */
static void move_memory(struct worker *worker, unsigned side)
{
    struct desk *desk = worker->trial->state;
    struct loader *loader = &desk->loaders[worker->index];

    while (atomic_load_explicit(&desk->ended, memory_order_relaxed) == side) {
        pair *block = loader->array + loader->at * PAIRS_A_BLOCK;

        if (worker->trial->value[0] == READ)
            read_block(block, loader->sums);
        else
            stream_block(block);
        loader->at = (loader->at + 1) % ARRAY_BLOCKS;
        atomic_fetch_add_explicit(&loader->blocks, 1, memory_order_relaxed);
    }
    leave_buffers();
}

/* Every other thread has done some blocks of this side: more than its core has under way at once. */
static void wait_for_all(const struct trial *trial)
{
    const struct desk *desk = trial->state;

    for (unsigned i = 1; i < trial->team_size; i++) {
        const uint64_t before = atomic_load_explicit(&desk->loaders[i].blocks, memory_order_relaxed);

        while (atomic_load_explicit(&desk->loaders[i].blocks, memory_order_relaxed) - before < 4)
            ;
    }
}

static int64_t side(struct worker *worker, int64_t *ticks, int loaded)
{
    struct trial *trial = worker->trial;
    struct desk *desk = trial->state;
    uint64_t begin, blocks;
    double found;

    if (loaded)
        wait_for_all(trial);
    blocks = blocks_of_all(trial);
    begin = tick_begin();
    cold_walk(&desk->cold);
    found = net_ticks(trial, begin, tick_end());
    if (loaded) {
        desk->blocks += blocks_of_all(trial) - blocks;
        desk->loaded_ticks += found;
    }
    atomic_fetch_add_explicit(&desk->ended, 1, memory_order_relaxed);
    if (desk->pairs < PAIRS)
        desk->ticks[!loaded][desk->pairs] = found;
    desk->pairs += !loaded;
    *ticks = llround(found);
    return 1;
}

/* How many sides are over: at its start that is the same for all workers, who have met. */
static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    const struct desk *desk = worker->trial->state;

    if (worker->index == 0)
        return side(worker, ticks, 1);
    /* Operations come first: their sides are even. */
    move_memory(worker, atomic_load_explicit(&desk->ended, memory_order_relaxed) & ~1U);
    (void)count;
    return 0;
}

static int64_t control(struct worker *worker, int64_t *ticks, uint64_t count)
{
    const struct desk *desk = worker->trial->state;

    if (worker->index == 0)
        return side(worker, ticks, 0);
    while (atomic_load_explicit(&desk->ended, memory_order_relaxed) % 2 == 1)
        ;
    (void)count;
    return 0;
}

static int setup(struct trial *trial)
{
    const int64_t bytes = (int64_t)(COLD_BYTES + (trial->team_size - 1) * ARRAY_BYTES);
    struct desk *desk;
    unsigned char *memory;

    if (trial->oversubscribed)
        return trial_needs(trial, "a CPU for each thread");
    if (available_bytes() / 4 * 3 < bytes)
        memory_give_back();
    if (available_bytes() / 4 * 3 < bytes) {
        snprintf(trial->explanation, sizeof trial->explanation, "%" PRId64 " MiB of free memory",
                 (bytes / 3 * 4 >> 20) + 1);
        return trial_needs(trial, trial->explanation);
    }
    desk = trial_alloc(trial, sizeof *desk);
    if (!desk)
        return -ENOMEM;
    desk->loaders = trial_alloc(trial, trial->team_size * sizeof *desk->loaders);
    memory = desk->loaders ? trial_alloc_pages(trial, (size_t)bytes, 1) : NULL;
    if (!memory)
        return trial_needs(trial, "as much address space (ulimit -v)");
    for (unsigned i = 1; i < trial->team_size; i++)
        desk->loaders[i].array = (pair *)(void *)(memory + COLD_BYTES + (i - 1) * ARRAY_BYTES);
    cold_lay(&desk->cold, memory);
    return 0;
}

/* The loads went where they lead, and all others moved memory beside the operation. */
static int check(struct trial *trial)
{
    struct desk *desk = trial->state;
    const double ns = 1e9 / trial->tick_hz / COLD_LOADS;
    const pair *first = desk->loaders[1].array;
    double loaded, idle;

    if (cold_check(trial, &desk->cold))
        return -EILSEQ;
    if (!desk->blocks)
        return trial_fault(trial, "nobody moved memory beside %" PRIu64 " walks", desk->pairs);
    if (trial->value[0] == STREAM && (*first)[0] != 3)
        return trial_fault(trial, "what was streamed is not there");
    loaded = median_of(desk->ticks[0], desk->pairs);
    idle = median_of(desk->ticks[1], desk->pairs);
    trial->metric[LOADED_NS] = loaded * ns;
    trial->metric[IDLE_NS] = idle * ns;
    trial->metric[ADDED_PCT] = 100 * (loaded / idle - 1);
    trial->metric[LOAD_GB_PER_S] = (double)desk->blocks * BLOCK_BYTES / desk->loaded_ticks * trial->tick_hz / 1e9;
    return 0;
}

/* A flush of each line, a touch of the arrays, and walks at 100 to 400 ns a load. */
static uint64_t cost_ns(const struct trial *trial)
{
    return COLD_LINES * 20 + (trial->team_size - 1) * (ARRAY_BYTES / 5) + 2 * PAIRS * COLD_LOADS * 200;
}

KERNEL(loaded,
    .name             = "memory/loaded",
    .summary          = "loads from memory that depend on each other beside threads that move memory, less the same beside busy threads",
    .unit             = "1000 loads",
    .threads          = { .min = 2, .max = MAX_TEAM },
    .place            = PLACE_SWEEP,
    .parameters       = { { .name = "load", .summary = "what the other threads do", .labels = "read stream", .initial = READ,
                            .quick = "read", .standard = "read", .rigorous = "*" } },
    .metrics          = { [LOADED_NS]     = { "loaded_ns", "ns", "a load while the others move memory" },
                          [IDLE_NS]       = { "idle_ns", "ns", "a load while they do not" },
                          [ADDED_PCT]     = { "added_pct", "%", "what the load adds" },
                          [LOAD_GB_PER_S] = { "load_gb_per_s", "GB/s", "moved by the others meanwhile" } },
    .setup            = setup,
    .events           = events,
    .control          = control,
    .events_per_batch = PAIRS_A_BATCH,
    .batches          = BATCHES,
    .check            = check,
    .cost_ns          = cost_ns);
