/*
 * line/contended: what does an atomic operation cost when n CPUs want the same line?
 *
 * One operation is one operation of one thread. The figure of a row is the time that a thread waits per operation. The
 * metric aggregate_ticks is the time that the team as a whole needs per operation.
 *   fetch_add  one instruction, never repeated
 *   cas        load, then compare-and-swap until it succeeds. Tries that failed are counted
 *   xchg       swap in the value that the last one gave: as many tokens are under way as there are threads, and one on
 *              the line
 * `between` is a thread's own work between two operations, in dependent multiplications. With more of it demand falls,
 * and so does contention.
 * Excluded:  the team's start. All threads work while worker 0's window lasts. There is no fixed share of work after
 *            which a thread would stop and end the contention.
 * Expect:    alone 5-7 ns. With two cores 15-37 ns per thread, by the machine and the hour. It grows with every thread.
 *            Skylake: 7 ns alone, 110 at 4 threads (T. Downs). Between sockets 440-940 ns (perfbook, Xeon 8176).
 * Hazards:   the more a thread does between two operations, the more often it still has the line. So two harnesses with
 *            different loops differ by more than two machines do (x 5 and x 7 were seen). An unfair team is fast: see
 *            fairness.
 * Not shown: with more threads than CPUs (labelled oversubscribed) the figure of a thread includes its wait for a turn.
 *            aggregate_ticks does not include it. It shows that a thread that does not run blocks nobody. With locks it
 *            does (the topic lock).
 */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>

#include "kernels/shares.h"

enum { OP, BETWEEN };
enum { FETCH_ADD, CAS, XCHG };
enum { FAIRNESS, AGGREGATE, FAILED };

#define MOST_BETWEEN 1000000
#define FACTOR UINT64_C(0x9e3779b97f4a7c15) /* odd: the product never collapses */

struct arena {
    _Alignas(128) _Atomic uint64_t line;
    uint64_t between;
    struct {
        _Alignas(128) uint64_t made, failed, token; /* in all batches */
    } thread[];
};

/* Relaxed throughout: what is measured is the line's way. On x86 stronger orders are the same instructions. */
#define STEP_FETCH_ADD atomic_fetch_add_explicit(line, 1, memory_order_relaxed);
#define STEP_CAS                                                                                                       \
    {                                                                                                                  \
        uint64_t seen = atomic_load_explicit(line, memory_order_relaxed);                                              \
        while (                                                                                                        \
            !atomic_compare_exchange_weak_explicit(line, &seen, seen + 1, memory_order_relaxed, memory_order_relaxed)) \
            failed++;                                                                                                  \
    }
#define STEP_XCHG token = atomic_exchange_explicit(line, token, memory_order_relaxed);
#define WORK                                                                                                           \
    for (uint64_t i_ = between; i_; i_--) {                                                                            \
        work *= FACTOR;                                                                                                \
        OPAQUE(work); /* one by one, each after the other */                                                           \
    }

#define LOOP(name, step)                                                                                               \
    static void name(struct worker *worker, uint64_t operations)                                                       \
    {                                                                                                                  \
        struct arena *arena = worker->trial->state;                                                                    \
        _Atomic uint64_t *line = &arena->line;                                                                         \
        uint64_t token = arena->thread[worker->index].token, failed = 0, work = FACTOR;                                \
        const uint64_t between = arena->between;                                                                       \
        (void)between, (void)work;                                                                                     \
        MAKE_BLOCKS(worker, operations, step);                                                                         \
        arena->thread[worker->index].made += operations;                                                               \
        arena->thread[worker->index].failed += failed;                                                                 \
        arena->thread[worker->index].token = token;                                                                    \
    }

LOOP(fetch_add, STEP_FETCH_ADD)
LOOP(cas, STEP_CAS)
LOOP(xchg, STEP_XCHG)
LOOP(fetch_add_work, STEP_FETCH_ADD WORK)
LOOP(cas_work, STEP_CAS WORK)
LOOP(xchg_work, STEP_XCHG WORK)

static void (*const loops[][2])(struct worker *, uint64_t) = {
    [FETCH_ADD] = {fetch_add, fetch_add_work},
    [CAS] = {cas, cas_work},
    [XCHG] = {xchg, xchg_work},
};

static int setup(struct trial *trial)
{
    const int64_t between = trial->value[BETWEEN];
    struct arena *arena;

    if (between < 0 || between > MOST_BETWEEN) {
        trial_fault(trial, "between=%" PRId64 " is not from 0 to %d", between, MOST_BETWEEN);
        return -EINVAL;
    }
    arena = trial_alloc(trial, sizeof *arena + trial->team_size * sizeof arena->thread[0]);
    if (!arena)
        return -ENOMEM;
    arena->between = (uint64_t)between;
    for (unsigned i = 0; i < trial->team_size; i++)
        arena->thread[i].token = i + 1; /* token 0 begins on the line */
    trial->granule = BLOCK;
    trial->run = loops[trial->value[OP]][between != 0];
    return 0;
}

/* Every token is still there, and there once. */
static int check_tokens(struct trial *trial, const struct arena *arena, uint64_t on_line)
{
    unsigned char *found = trial_alloc(trial, trial->team_size + 1);

    if (!found)
        return -ENOMEM;
    for (unsigned i = 0; i <= trial->team_size; i++) {
        const uint64_t token = i == trial->team_size ? on_line : arena->thread[i].token;

        if (token > trial->team_size || found[token]++)
            return trial_fault(trial, "token %" PRIu64 " came out twice, or was never put in", token);
    }
    return 0;
}

static int check(struct trial *trial)
{
    const struct arena *arena = trial->state;
    const uint64_t line = atomic_load_explicit(&arena->line, memory_order_relaxed); /* all have met since */
    const struct shares shares = team_shares(trial);
    uint64_t made = 0, failed = 0;

    for (unsigned i = 0; i < trial->team_size; i++) {
        made += arena->thread[i].made;
        failed += arena->thread[i].failed;
    }
    trial->metric[FAIRNESS] = shares.fairness;
    trial->metric[AGGREGATE] = shares.aggregate_ticks;
    if (trial->value[OP] == CAS)
        trial->metric[FAILED] = (double)failed / (double)made;
    if (trial->value[OP] == XCHG)
        return check_tokens(trial, arena, line);
    return line == made ? 0 : trial_fault(trial, "%" PRIu64 " increments left the number %" PRIu64, made, line);
}

KERNEL(contended,
    .name       = "line/contended",
    .summary    = "n threads repeat one atomic operation on the same line",
    .unit       = "operation",
    .threads    = { .min = 1, .max = MAX_TEAM },
    .place      = PLACE_SWEEP,
    .flags      = KERNEL_OVERSUBSCRIBE | KERNEL_TWIN,
    .parameters = {
        { "op", "", "what is done to the line", "fetch_add cas xchg", FETCH_ADD, "fetch_add cas", "*", "*" },
        { "between", "multiplications", "work of each thread between two operations", NULL, 0, NULL, NULL, "0 100" },
    },
    .metrics    = {
        { "fairness", "1", "operations of the slowest thread over those of the fastest" },
        { "aggregate_ticks", "ticks", "time per operation of the whole team" },
        { "failed_per_operation", "1", "compare-and-swaps that had to be tried again" },
    },
    .setup      = setup,
    .run        = fetch_add,
    .check      = check);
