/*
 * The work of branch/likely and branch/pgo: the data of the loop in branch/likely_loop.h, the work of its block, and
 * the result that must come out.
 */
#ifndef FENCEPOST_BRANCH_LIKELY_H
#define FENCEPOST_BRANCH_LIKELY_H

#include "outcomes.h"

enum { ALL_FALSE, ALL_TRUE, RANDOM };

/* 16 KiB fit the L1 beside everything else. A batch goes over them several times. */
#define CONSTANT_ELEMENTS ((uint64_t)1 << 14)
/* Random outcomes must be more than a predictor remembers (branch/capacity), or they are not random to it. */
#define RANDOM_ELEMENTS ((uint64_t)1 << 20)

struct work {
    uint64_t position, size, walked, rare, ones, sum, expected_sum;
    uint64_t (*loop)(const uint8_t *outcomes, uint64_t n, uint64_t *rare);
    uint8_t outcomes[];
};

/* The block: an increment that the compiler can neither drop nor turn into a conditional move. In a register, so that no store holds it up. */
static inline __attribute__((always_inline)) uint64_t note_rare(uint64_t count)
{
    count++;
    OPAQUE(count);
    return count;
}

static inline void run_work(struct worker *worker, uint64_t turns)
{
    struct work *work = worker->trial->state;

    work->walked += turns;
    while (turns) {
        const uint64_t rest = work->size - work->position;
        const uint64_t n = turns < rest ? turns : rest;

        work->sum += work->loop(work->outcomes + work->position, n, &work->rare);
        work->expected_sum += n * (n - 1) / 2;
        work->position = n == rest ? 0 : work->position + n;
        turns -= n;
    }
}

/* NULL when there is no memory. */
static inline struct work *make_work(struct trial *trial, int data)
{
    const uint64_t size = data == RANDOM ? RANDOM_ELEMENTS : CONSTANT_ELEMENTS;
    struct work *work = trial_alloc(trial, sizeof *work + size);
    uint64_t seed = fresh_seed();

    if (!work)
        return NULL;
    work->size = size;
    if (data == RANDOM)
        fill_with_coins(work->outcomes, size, &seed);
    else
        memset(work->outcomes, data, size);
    for (uint64_t i = 0; i < size; i++)
        work->ones += work->outcomes[i];
    return work;
}

/* The block ran once for each byte that was not 0, the common part once a turn. */
static inline int check_work(struct trial *trial)
{
    const struct work *work = trial->state;
    uint64_t rare = work->walked / work->size * work->ones;

    for (uint64_t i = 0; i < work->walked % work->size; i++)
        rare += work->outcomes[i];
    trial->metric[0] = trial->misses_per_operation;
    if (work->rare != rare)
        return trial_fault(trial, "the rare block ran %" PRIu64 " times instead of %" PRIu64, work->rare, rare);
    return work->sum == work->expected_sum ? 0 : trial_fault(trial, "the loop's sum is wrong");
}

#endif
