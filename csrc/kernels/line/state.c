/*
 * line/state: what does the first access to a line cost after another CPU has used it?
 *
 * One operation is one access by worker 0. A group of 128 lines, prepared alike, is timed at once, because a single hit
 * is shorter than a step of many counters. States are named as in MESI:
 *   modified   worker 1 has stored to it
 *   exclusive  it was flushed from all caches, then worker 1 has loaded it
 *   shared     the same, then worker 0 has loaded it as well. A load is a hit. Anything else must ask worker 1 to give
 *              it up
 *   invalid    it was flushed from all caches: memory answers
 *   own        worker 0 has stored to it: the control
 * Loads form a chain, since each line contains the address of the next. Each takes the whole way there and back. So
 * does each CAS, which uses the value that the last one found. Stores do not wait for each other. The store buffer
 * hides and overlaps them, and a fence at the end of a group waits for the last. So their figure is their cost to a
 * program, not a latency.
 * Excluded:  the preparation, and the empty window.
 * Expect:    CAS, fetch_add and swap cost alike. Each costs a transfer, like a load from the same state, plus the
 *            instruction itself (Schweizer et al., PACT'15). Transfers between cores 25-110 ns, memory 80-150, own 1-2
 *            ns for loads, 5-7 for CAS.
 * Hazards:   lines lie 1152 bytes apart, in random order. No prefetcher gets from one to the next, and sets of an L1 of
 *            32 KiB take four each. AMD's and Intel's protocols have further states (owned, forward), which these
 *            preparations avoid.
 * Not shown: a third CPU as the owner of a shared line, and other relations than the nearest (line/pingpong has all).
 */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <sched.h>
#include <stdatomic.h>

#include "engine/window_mean.h"

enum { STATE, OP };
enum { MODIFIED, EXCLUSIVE, SHARED, INVALID, OWN };
enum { LOAD, STORE, CAS };

#define LINES 128
#define LINE_DISTANCE 1152
#define RUNS_PER_BATCH 8
#define BATCHES 20
#define SPINS_BEFORE_YIELD 10000

struct line {
    _Atomic(struct line *) next;
    _Atomic uint64_t word;
};

struct square {
    /* A: worker 1 has prepared this run. B: worker 0 is through with it. */
    _Alignas(128) _Atomic uint64_t prepared;
    _Alignas(128) _Atomic uint64_t through;
    /* In worker 0's own cache. Twice round: each failure of a CAS moves its reading on by one. */
    _Alignas(128) struct line *order[2 * LINES];
    uint64_t runs, faults;
    int64_t ticks[RUNS_PER_BATCH * BATCHES];
    _Alignas(4096) unsigned char lines[LINES * LINE_DISTANCE];
};

#if HAS_X86_64
#define HAS_FLUSH 1
static inline void flush(struct line *line)
{
    __asm__ volatile("clflush (%0)" : : "r"(line) : "memory"); /* written back and given up, in all caches */
}
#elif HAS_AARCH64
#define HAS_FLUSH 1
static inline void flush(struct line *line)
{
    __asm__ volatile("dc civac, %0" : : "r"(line) : "memory"); /* clean and invalidate to the point of coherency */
}
#else
static inline void flush(struct line *line)
{
    (void)line; /* setup has refused */
}
#endif

/* Flushes and stores are complete before anything after. */
static inline void complete(void)
{
#if HAS_AARCH64
    __asm__ volatile("dsb ish" : : : "memory");
#else
    fence_full();
#endif
}

static int setup(struct trial *trial)
{
    struct square *square;
    uint64_t random = tick_now() | 1;

#ifndef HAS_FLUSH
    if (trial->value[STATE] != MODIFIED && trial->value[STATE] != OWN)
        return trial_needs(trial, "an instruction that flushes a cache line");
#endif
    square = trial_alloc(trial, sizeof *square);
    if (!square)
        return -ENOMEM;
    for (unsigned i = 0; i < LINES; i++)
        square->order[i] = (struct line *)(void *)(square->lines + (size_t)i * LINE_DISTANCE);
    for (unsigned i = LINES - 1; i > 0; i--) { /* Fisher and Yates */
        struct line *line = square->order[i];
        unsigned other;

        random_pause(&random); /* for its generator */
        other = (unsigned)(random >> 33) % (i + 1);
        square->order[i] = square->order[other];
        square->order[other] = line;
    }
    for (unsigned i = 0; i < LINES; i++)
        square->order[LINES + i] = square->order[i];
    for (unsigned i = 0; i < LINES; i++)
        atomic_init(&square->order[i]->next, square->order[i + 1]);
    return 0;
}

/* Wait for the other worker, outside of all windows. */
static void await(_Atomic uint64_t *number, uint64_t run)
{
    /* Acquire, pairs with announce(): the lines are as the other left them. */
    for (unsigned spins = 0; atomic_load_explicit(number, memory_order_acquire) < run;)
        if (++spins < SPINS_BEFORE_YIELD)
            cpu_relax();
        else
            sched_yield();
}

static void announce(_Atomic uint64_t *number, uint64_t run)
{
    atomic_store_explicit(number, run, memory_order_release); /* release, pairs with await() */
}

/* Relaxed in all accesses to lines: who may touch them when is settled by await and announce. */

static void store_all(struct square *square, uint64_t word)
{
    for (unsigned i = 0; i < LINES; i++)
        atomic_store_explicit(&square->order[i]->word, word, memory_order_relaxed);
    complete();
}

static void load_all(struct square *square)
{
    for (unsigned i = 0; i < LINES; i++)
        (void)atomic_load_explicit(&square->order[i]->word, memory_order_relaxed);
    complete();
}

static void flush_all(struct square *square)
{
    for (unsigned i = 0; i < LINES; i++)
        flush(square->order[i]);
    complete();
}

/* Before run n every word is 2n - 1. */
static void prepare(struct square *square, int64_t state, uint64_t run)
{
    store_all(square, 2 * run - 1);
    if (state != MODIFIED)
        flush_all(square);
    if (state == EXCLUSIVE || state == SHARED)
        load_all(square);
}

#define EIGHT(step) step step step step step step step step

static __attribute__((noinline)) struct line *access_load(struct square *square)
{
    struct line *at = square->order[0];

    for (unsigned i = LINES / 8; i; i--) {
        EIGHT(at = atomic_load_explicit(&at->next, memory_order_relaxed);)
    }
    return at;
}

static __attribute__((noinline)) void access_store(struct square *square, uint64_t word)
{
    struct line *const *order = square->order;

    for (unsigned i = LINES / 8; i; i--) {
        EIGHT(atomic_store_explicit(&(*order++)->word, word, memory_order_relaxed);)
    }
    complete(); /* inside the window: the last store has its line */
}

static __attribute__((noinline)) uint64_t access_cas(struct square *square, uint64_t word)
{
    struct line *const *order = square->order;
    uint64_t failed = 0;

    for (unsigned i = LINES / 8; i; i--) {
        EIGHT({
            uint64_t expected = word - 1;
            /* Which line is next depends on whether this one was as expected: or the core would fetch many at once. */
            failed += !atomic_compare_exchange_strong_explicit(&order[failed]->word, &expected, word,
                                                               memory_order_relaxed, memory_order_relaxed);
            OPAQUE(failed);
            order++;
        })
    }
    return failed;
}

/* The window, and whether the accesses did what they should. */
static int64_t timed_access(struct square *square, int64_t op, uint64_t run)
{
    struct line *last = square->order[0];
    uint64_t begin, end, failed = 0;

    if (op == LOAD) {
        begin = tick_begin();
        last = access_load(square);
        end = tick_end();
    } else if (op == STORE) {
        begin = tick_begin();
        access_store(square, 2 * run);
        end = tick_end();
    } else {
        begin = tick_begin();
        failed = access_cas(square, 2 * run);
        end = tick_end();
    }
    square->faults += failed + (last != square->order[0]);
    for (unsigned i = 0; i < LINES; i++)
        square->faults += atomic_load_explicit(&square->order[i]->word, memory_order_relaxed) != 2 * run - (op == LOAD);
    return (int64_t)(end - begin);
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;
    struct square *square = trial->state;
    const int64_t state = trial->value[STATE], op = trial->value[OP];
    const uint64_t before =
        atomic_load_explicit(&square->through, memory_order_relaxed); /* nobody writes before all have met */

    team_start(worker);
    if (worker->index == 1) {
        for (uint64_t run = before + 1; run <= before + RUNS_PER_BATCH; run++) {
            await(&square->through, run - 1);
            if (state != OWN)
                prepare(square, state, run);
            announce(&square->prepared, run);
        }
        return 0;
    }
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t run = before + 1 + i;
        int64_t net;

        await(&square->prepared, run);
        if (state == OWN)
            store_all(square, 2 * run - 1);
        if (state == SHARED)
            load_all(square);
        net = timed_access(square, op, run);
        if (square->runs < sizeof square->ticks / sizeof square->ticks[0])
            square->ticks[square->runs++] = net;
        ticks[i] = llround(((double)net - trial->overhead_ticks) / LINES);
        announce(&square->through, run);
    }
    return (int64_t)count;
}

/* Every run found the prepared state and left the right one. The closed chain of lines is complete. */
static int check(struct trial *trial)
{
    struct square *square = trial->state;
    /* Relaxed: all have met since. */
    const uint64_t prepared = atomic_load_explicit(&square->prepared, memory_order_relaxed);
    const uint64_t through = atomic_load_explicit(&square->through, memory_order_relaxed);
    uint64_t kept;

    if (square->faults)
        return trial_fault(trial, "%" PRIu64 " accesses did not find or leave what they should", square->faults);
    if (!through || prepared != through)
        return trial_fault(trial, "%" PRIu64 " runs were prepared, %" PRIu64 " made", prepared, through);
    trial->metric[0] =
        (mean_without_gaps(square->ticks, square->runs, trial->quantum_ticks, &kept) - trial->overhead_ticks) / LINES;
    return 0;
}

static uint64_t cost_ns(const struct trial *trial)
{
    (void)trial;
    return UINT64_C(5000) * RUNS_PER_BATCH *
           BATCHES; /* two to four passes of 128 transfers, most of them overlapping */
}

KERNEL(state,
    .name             = "line/state",
    .summary          = "a CPU first accesses a line that another CPU left modified, exclusive, shared or flushed",
    .unit             = "access",
    .threads          = { .min = 2, .max = 2 },
    .parameters       = {
        { "state", "", "what the line was prepared to be", "modified exclusive shared invalid own", MODIFIED, "modified own", "*", "*" },
        { "op", "", "the access", "load store cas", LOAD, "load cas", "*", "*" },
    },
    .metrics          = { { "access_ticks", "ticks", "mean of all runs without gaps: finer than a whole tick" } },
    .setup            = setup,
    .events           = events,
    .events_per_batch = RUNS_PER_BATCH,
    .batches          = BATCHES,
    .check            = check,
    .cost_ns          = cost_ns);
