/*
 * branch/penalty: how many cycles does one misprediction cost, when the condition is already in a register?
 *
 * An event is a block of 64 unrolled branches on the bits of one word. Random coins are k of the bits, and the others
 * are forced to not-taken. A coin is mispredicted half of the time whatever the predictor does. So a block has k / 2
 * mispredictions, known without any counter. The penalty is twice the slope of cost on k. Where there is a counter,
 * kN_misses shows its value.
 *
 *   slots=shuffled  the slots of the coins are drawn anew for every window, so the figure does not depend on one layout
 *                   of the unrolled code
 *   slots=first     the first k, always: a replicate whose slope may differ only by the effect of layout
 * Excluded:  building the words, and learning which slots are forced (a warm-up on other words). The window's own cost
 *            cancels in the slope.
 * Expect:    18-20 cycles (Intel family 6 model 207). CPU makers' scheduling models publish 11-14 for recent cores, and
 *            count from the branch's own execution. The notes say 10-20.
 * Hazards:   with few coins their neighbours' history is thin. The fit (R squared, residuals) shows whether the line is
 *            one.
 * Not shown: a condition that is still on its way from memory (branch/penalty_loaded). Waiting for it is part of that
 *            penalty.
 */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>

#include "outcomes.h"

enum { CHOICE };
enum { SHUFFLED, FIRST };

#define SLOTS 64
#define LEVELS 9
static const unsigned coins[LEVELS] = {0, 8, 16, 24, 32, 40, 48, 56, 64};

/* Blocks in one window: about 20 us at k = 64. As many to warm up: a slot that was a coin a moment ago takes a few to be forgotten. */
#define BLOCKS 96
#define BATCHES 40

struct coins {
    uint64_t seed, zeros, expected;
    unsigned batch;
    double block_ticks[LEVELS][BATCHES], block_misses[LEVELS][BATCHES];
    uint64_t words[BLOCKS];
};

#if defined(HAS_X86_64)
#define HAS_COINS 1
/* SHR moves the lowest bit into the carry flag: the condition is in a register and ready. */
#define SLOT "shr $1, %[word]\n\tjc 1f\n\tadd $1, %[zeros]\n1:\n\t"
#elif defined(HAS_AARCH64)
#define HAS_COINS 1
#define SLOT                                                                                                           \
    "mov %[bit], %[word]\n\tlsr %[word], %[word], #1\n\ttbnz %[bit], #0, 1f\n\tadd %[zeros], %[zeros], #1\n1:\n\t"
#elif defined(HAS_RISCV64)
#define HAS_COINS 1
#define SLOT                                                                                                           \
    "andi %[bit], %[word], 1\n\tsrli %[word], %[word], 1\n\tbnez %[bit], 1f\n\taddi %[zeros], %[zeros], 1\n1:\n\t"
#endif

#if defined(HAS_COINS)

/* Not inlined: one copy of the 64 jumps, so that every k is tried on the same addresses. */
static __attribute__((noinline)) uint64_t toss(const uint64_t *words)
{
    uint64_t zeros = 0;

    for (int i = 0; i < BLOCKS; i++) {
        uint64_t word = words[i], bit = 0;

        __asm__ volatile(".rept 64\n\t" SLOT ".endr"
                         : [word] "+&r"(word), [zeros] "+&r"(zeros), [bit] "+&r"(bit)
                         :
                         : "cc");
    }
    return zeros;
}

static int setup(struct trial *trial)
{
    struct coins *state = trial_alloc(trial, sizeof *state);

    if (!state)
        return -ENOMEM;
    state->seed = fresh_seed();
    return 0;
}

/* k distinct slots, drawn anew (Floyd's algorithm). */
static uint64_t draw_slots(uint64_t *seed, unsigned k)
{
    uint64_t mask = 0;

    for (unsigned j = SLOTS - k; j < SLOTS; j++) {
        const uint64_t slot = (uint64_t)1 << next_random(seed) % (j + 1);

        mask |= mask & slot ? (uint64_t)1 << j : slot;
    }
    return mask;
}

/* New words with coins in the slots of the mask. */
static void draw_words(struct coins *state, uint64_t mask)
{
    for (int i = 0; i < BLOCKS; i++) {
        state->words[i] = next_random(&state->seed) & mask;
        state->expected += SLOTS - (uint64_t)__builtin_popcountll(state->words[i]);
    }
}

static void toss_window(struct trial *trial, unsigned level)
{
    struct coins *state = trial->state;
    const unsigned k = coins[level];
    const uint64_t first = k < SLOTS ? ((uint64_t)1 << k) - 1 : UINT64_MAX;
    const uint64_t mask = trial->value[CHOICE] == FIRST ? first : draw_slots(&state->seed, k);
    uint64_t begin, end, counted;
    double misses;

    draw_words(state, mask);
    state->zeros += toss(state->words);
    draw_words(state, mask);
    misses = branch_misses(trial);
    begin = tick_begin();
    counted = toss(state->words);
    end = tick_end();
    state->block_misses[level][state->batch] = (branch_misses(trial) - misses) / BLOCKS;
    state->block_ticks[level][state->batch] = net_ticks(trial, begin, end) / BLOCKS;
    state->zeros += counted;
}

/* One batch: every k once, up and down in turn so that a drift of the clock frequency tilts half of the batches each way. */
static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;
    struct coins *state = trial->state;

    (void)count;
    for (unsigned i = 0; i < LEVELS; i++) {
        const unsigned level = state->batch % 2 ? LEVELS - 1 - i : i;

        toss_window(trial, level);
    }
    ticks[0] = (int64_t)state->block_ticks[LEVELS - 1][state->batch];
    state->batch++;
    return 1;
}

#else

static int setup(struct trial *trial)
{
    return trial_needs(trial, "an x86-64, AArch64 or 64-bit RISC-V CPU");
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    (void)worker;
    (void)ticks;
    (void)count;
    return -ENOTSUP;
}

#endif

/* Each branch did what its bit said: the counted zeros are the zero bits of all words. */
static int check(struct trial *trial)
{
    struct coins *state = trial->state;

    if (state->zeros != state->expected)
        return trial_fault(trial, "counted %" PRIu64 " zero bits where %" PRIu64 " are", state->zeros, state->expected);
    for (unsigned level = 0; level < LEVELS; level++) {
        trial->metric[level] = median_of(state->block_ticks[level], state->batch);
        trial->metric[LEVELS + level] = median_of(state->block_misses[level], state->batch);
    }
    trial->metric[2 * LEVELS] = trial->metric[2 * LEVELS - 1] / SLOTS;
    return 0;
}

static uint64_t cost_ns(const struct trial *trial)
{
    (void)trial;
    return (uint64_t)BATCHES * LEVELS * BLOCKS * 2 * 100;
}

KERNEL(penalty,
    .name       = "branch/penalty",
    .summary    = "a block of 64 branches has k random ones, and each adds half a misprediction to its cost",
    .unit       = "block of 64 coins",
    .threads    = { 1, 1 },
    .flags      = KERNEL_MISSES,
    .parameters = {
        { "slots", "", "which branches of the block are the coins", "shuffled first", SHUFFLED, NULL, "*", "*" },
    },
    .metrics    = {
        { "k0_ticks", "ticks", "a block without coins" },
        { "k8_ticks", "ticks", "a block with 8 coins" },
        { "k16_ticks", "ticks", "a block with 16 coins" },
        { "k24_ticks", "ticks", "a block with 24 coins" },
        { "k32_ticks", "ticks", "a block with 32 coins" },
        { "k40_ticks", "ticks", "a block with 40 coins" },
        { "k48_ticks", "ticks", "a block with 48 coins" },
        { "k56_ticks", "ticks", "a block with 56 coins" },
        { "k64_ticks", "ticks", "a block of 64 coins" },
        { "k0_misses", "1", "mispredictions in it, as the hardware counted them" },
        { "k8_misses", "1", "mispredictions in it, as the hardware counted them" },
        { "k16_misses", "1", "mispredictions in it, as the hardware counted them" },
        { "k24_misses", "1", "mispredictions in it, as the hardware counted them" },
        { "k32_misses", "1", "mispredictions in it, as the hardware counted them" },
        { "k40_misses", "1", "mispredictions in it, as the hardware counted them" },
        { "k48_misses", "1", "mispredictions in it, as the hardware counted them" },
        { "k56_misses", "1", "mispredictions in it, as the hardware counted them" },
        { "k64_misses", "1", "mispredictions in it, as the hardware counted them" },
        MISSES_PER_BRANCH,
    },
    .setup      = setup,
    .events     = events,
    .events_per_batch = 1,
    .batches    = BATCHES,
    .check      = check,
    .cost_ns    = cost_ns);
