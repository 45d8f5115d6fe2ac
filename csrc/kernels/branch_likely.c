/*
 * branch/likely: what does __builtin_expect do for a loop, when it is right and when it is wrong?
 *
 * One operation is one turn of a loop with a block that runs when the element's byte is not 0. One source (branch_likely_loop.h),
 * compiled five times: no hint, likely, unlikely, a stated probability of one half, and a callee marked cold. The data is all
 * false or all true, so that nothing is ever mispredicted: what remains is where the compiler put the block. Random data is
 * there to show that a hint does not help the predictor.
 * Excluded:  building the array.
 * Expect:    a correct `unlikely` saves the taken jump around the block: 1 cycle a turn against 2; a wrong one adds jumps there
 *            and back: 3.2-3.6; a correct `likely` changes nothing (Intel family 6 model 207, gcc 12).
 * Hazards:   the effect is the compiler's layout: where two variants come out as the same instructions (no hint and one half, in
 *            gcc), the row says so by being the same. The tests compare the instructions of all five.
 * Not shown: what layout does to the instruction cache of a large program.
 */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "branch_outcomes.h"

enum { HINT, DATA };
enum { ALL_FALSE, ALL_TRUE, RANDOM };

/* 16 KiB: fits the L1 beside everything else; a batch goes over it several times. */
#define CONSTANT_ELEMENTS ((uint64_t)1 << 14)
/* Random outcomes must be more than a predictor remembers (branch/capacity), or they are not random to it. */
#define RANDOM_ELEMENTS ((uint64_t)1 << 20)

struct work {
    uint64_t position, size, walked, rare, ones, sum, expected_sum;
    uint64_t (*loop)(const uint8_t *outcomes, uint64_t n, uint64_t *rare);
    uint8_t outcomes[];
};

/* The rare block: an increment in memory that the compiler can neither drop nor turn into a conditional move. */
static inline __attribute__((always_inline)) void note_rare(uint64_t *rare)
{
    *rare += 1;
    __asm__ volatile("" : : : "memory");
}

static __attribute__((cold, noinline)) void note_rare_cold(uint64_t *rare)
{
    *rare += 1;
    __asm__ volatile("" : : : "memory");
}

#define LOOP loop_plain
#define EXPECT(x) (x)
#define CALLEE note_rare
#include "branch_likely_loop.h"

#define LOOP loop_likely
#define EXPECT(x) __builtin_expect(!!(x), 1)
#define CALLEE note_rare
#include "branch_likely_loop.h"

#define LOOP loop_unlikely
#define EXPECT(x) __builtin_expect(!!(x), 0)
#define CALLEE note_rare
#include "branch_likely_loop.h"

#define LOOP loop_even
#define EXPECT(x) __builtin_expect_with_probability(!!(x), 1, 0.5)
#define CALLEE note_rare
#include "branch_likely_loop.h"

#define LOOP loop_cold
#define EXPECT(x) (x)
#define CALLEE note_rare_cold
#include "branch_likely_loop.h"

static uint64_t (*const loops[])(const uint8_t *, uint64_t, uint64_t *) = {loop_plain, loop_likely, loop_unlikely,
                                                                           loop_even, loop_cold};

static void run(struct worker *worker, uint64_t turns)
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

static int setup(struct trial *trial)
{
    const uint64_t size = trial->value[DATA] == RANDOM ? RANDOM_ELEMENTS : CONSTANT_ELEMENTS;
    struct work *work = trial_alloc(trial, sizeof *work + size);
    uint64_t seed = fresh_seed();

    if (!work)
        return -ENOMEM;
    work->size = size;
    for (uint64_t i = 0; i < size; i++) {
        work->outcomes[i] =
            trial->value[DATA] == RANDOM ? (uint8_t)(next_random(&seed) >> 63) : (uint8_t)trial->value[DATA];
        work->ones += work->outcomes[i];
    }
    work->loop = loops[trial->value[HINT]];
    return 0;
}

/* The rare block ran once for each byte that was not 0, the common part once a turn. */
static int check(struct trial *trial)
{
    const struct work *work = trial->state;
    uint64_t rare = work->walked / work->size * work->ones;

    for (uint64_t i = 0; i < work->walked % work->size; i++)
        rare += work->outcomes[i];
    if (work->rare != rare)
        return trial_fault(trial, "the rare block ran %" PRIu64 " times instead of %" PRIu64, work->rare, rare);
    return work->sum == work->expected_sum ? 0 : trial_fault(trial, "the loop's sum is wrong");
}

KERNEL(likely,
    .name       = "branch/likely",
    .summary    = "a loop with a rare block, the compiler told or not told how rare",
    .unit       = "turn",
    .threads    = { 1, 1 },
    .parameters = {
        { "hint", "", "what the source says about the condition", "plain likely unlikely even cold", 0, "plain unlikely", "*", "*" },
        { "data", "", "what the condition really is", "false true random", 0, "false true", "*", "*" },
    },
    .setup      = setup,
    .run        = run,
    .check      = check);
