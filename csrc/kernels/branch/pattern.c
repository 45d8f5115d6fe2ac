/*
 * branch/pattern: what does a conditional jump cost, and how much does it matter that it is predictable?
 *
 * One operation is one element: load a byte, jump or not on it, count the zeros, and the loop's own three instructions.
 * A branch-free twin (cmov on x86-64) goes through the same bytes. It does the same work and cannot be mispredicted.
 *
 * Each pattern has taken_pct of its outcomes taken.
 *   sorted       all not-taken first, then all taken: two surprises a pass
 *   alternating  spread as evenly as can be, so at 50 % strictly in turn
 *   periodic     one random-looking block of 20, repeated
 *   random       2^20 outcomes, more than can be remembered
 * Excluded:  building the array. The walk goes on where the last batch stopped.
 * Expect:    random at 50 % about 14 cycles an element, the learnt patterns 1.5-3, the twin flat at about 1 (Intel
 *            family 6 model 207). In between the curve is concave. Mispredictions do not follow min(p, 1-p). They come
 *            closer to 2p(1-p).
 * Hazards:   the front end's throughput limits the learnt patterns, and a busy sibling thread halves it. So one process
 *            may show 1.5 cycles and another 3. An array below 2^16 random outcomes is learnt. A compiler may turn a
 *            loop in C into a cmov, so this is assembly.
 * Not shown: the penalty itself (branch/penalty knows how many mispredictions there are), and a condition that comes
 *            late.
 */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>

#include "outcomes.h"

enum { PATTERN, TAKEN_PCT, FORM };
enum { SORTED, ALTERNATING, PERIODIC, RANDOM };

/* More than any predictor remembers (branch/capacity), and at 50 % more than a case walks through: 20 batches of 50 us are 250 000. */
#define RANDOM_OUTCOMES ((uint64_t)1 << 20)
/* The learnable patterns: several whole passes in each batch, so that each batch sees both halves of the sorted one. */
#define LEARNT_OUTCOMES ((uint64_t)1 << 14)
/* The shortest block in which every multiple of 5 % can be had exactly. */
#define PERIOD 20

#if defined(HAS_BRANCH_LOOP)

WALK(walk_branch, count_zeros_branch)
WALK(walk_branch_free, count_zeros_branch_free)

static void run_branch(struct worker *worker, uint64_t elements)
{
    walk_branch(worker->trial->state, elements);
}

static void run_branch_free(struct worker *worker, uint64_t elements)
{
    walk_branch_free(worker->trial->state, elements);
}

/* Four outcomes a number, each from 16 bits of its own: a share is met to a thousandth of a percent. */
static void fill_random(struct walk *walk, uint64_t taken_pct)
{
    const uint32_t limit = (uint32_t)((taken_pct * 65536 + 50) / 100);
    uint64_t seed = fresh_seed();

    for (uint64_t i = 0; i < walk->size; i += 4) {
        const uint64_t random = next_random(&seed);

        for (unsigned j = 0; j < 4; j++)
            walk->outcomes[i + j] = (uint16_t)(random >> 16 * j) < limit;
    }
}

static void fill(struct walk *walk, int pattern, uint64_t taken_pct)
{
    uint64_t seed = fresh_seed();
    uint8_t block[PERIOD];

    for (uint64_t i = 0; i < PERIOD; i++)
        block[i] = i * 100 < taken_pct * PERIOD;
    for (uint64_t i = PERIOD - 1; i > 0; i--) { /* Fisher-Yates: some order that is not sorted */
        const uint64_t j = next_random(&seed) % (i + 1);
        const uint8_t swap = block[i];

        block[i] = block[j];
        block[j] = swap;
    }
    for (uint64_t i = 0; i < walk->size; i++)
        switch (pattern) {
        case SORTED:
            walk->outcomes[i] = i * 100 >= (100 - taken_pct) * walk->size;
            break;
        case ALTERNATING:
            walk->outcomes[i] = (i + 1) * taken_pct / 100 != i * taken_pct / 100;
            break;
        default: /* PERIODIC */
            walk->outcomes[i] = block[i % PERIOD];
        }
}

static int setup(struct trial *trial)
{
    const int pattern = (int)trial->value[PATTERN];
    const uint64_t size = pattern == RANDOM ? RANDOM_OUTCOMES : LEARNT_OUTCOMES / PERIOD * PERIOD;
    struct walk *walk;

    if (trial->value[TAKEN_PCT] < 0 || trial->value[TAKEN_PCT] > 100) {
        trial_fault(trial, "taken_pct is %" PRId64 ", it goes from 0 to 100", trial->value[TAKEN_PCT]);
        return -EINVAL;
    }
    walk = trial_alloc(trial, sizeof *walk + size);
    if (!walk)
        return -ENOMEM;
    walk->size = size;
    if (pattern == RANDOM)
        fill_random(walk, (uint64_t)trial->value[TAKEN_PCT]);
    else
        fill(walk, pattern, (uint64_t)trial->value[TAKEN_PCT]);
    trial->run = trial->value[FORM] ? run_branch_free : run_branch;
    return 0;
}

#else

static void run_branch(struct worker *worker, uint64_t elements)
{
    (void)worker;
    (void)elements;
}

static int setup(struct trial *trial)
{
    return trial_needs(trial, "an x86-64, AArch64 or 64-bit RISC-V CPU");
}

#endif

static int check(struct trial *trial)
{
    const struct walk *walk = trial->state;

    trial->metric[0] = 100 - 100.0 * (double)recount_zeros(walk, walk->size) / (double)walk->size;
    trial->metric[1] = trial->misses_per_operation;
    return check_walk(trial, walk);
}

/* Filling (seen 0.4 ns an outcome), touching and recounting the random array. */
static uint64_t cost_ns(const struct trial *trial)
{
    return trial->value[PATTERN] == RANDOM ? RANDOM_OUTCOMES : 2 * LEARNT_OUTCOMES;
}

KERNEL(pattern,
    .name       = "branch/pattern",
    .summary    = "a loop branches on an array of outcomes, or does the same work without a branch",
    .unit       = "element",
    .threads    = { 1, 1 },
    .flags      = KERNEL_MISSES,
    .parameters = {
        { "pattern", "", "order of the outcomes", "sorted alternating periodic random", RANDOM, "*", "*", "*" },
        { "taken_pct", "%", "share of outcomes that take the jump", NULL, 50, "50",
          "0 5 10 15 20 25 30 35 40 45 50 55 60 65 70 75 80 85 90 95 100", "0 5 10 15 20 25 30 35 40 45 50 55 60 65 70 75 80 85 90 95 100" },
        { "form", "", "a jump, or a conditional move on the same bytes", "branch cmov", 0, "*", "*", "*" },
    },
    .metrics    = { { "array_taken_pct", "%", "share of taken outcomes in the array as built" }, MISSES_PER_BRANCH },
    .setup      = setup,
    .run        = run_branch,
    .check      = check,
    .cost_ns    = cost_ns);
