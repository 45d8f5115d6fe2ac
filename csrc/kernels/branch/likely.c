/*
 * branch/likely: what does __builtin_expect do for a loop, when it is right and when it is wrong?
 *
 * One operation is one turn of a loop with a block that runs when the element's byte is not 0. One source
 * (branch/likely_loop.h) is compiled five times: no hint, likely, unlikely, a stated probability of one half, and a
 * callee marked cold. The data is all false or all true, so nothing is ever mispredicted. The remaining difference is
 * where the compiler put the block. Random data shows that a hint does not help the predictor.
 * Excluded:  building the array.
 * Expect:    a correct `unlikely` saves the taken jump around the block: 1 cycle a turn against 2. A wrong one adds
 *            jumps there and back: 3.2-3.6. A correct `likely` changes nothing (Intel family 6 model 207, gcc 12).
 * Hazards:   the effect is the compiler's layout. Two variants may come out as the same instructions (no hint and one
 *            half, in gcc). Then their rows are the same. The tests compare the instructions of all five.
 * Not shown: the effect of layout on the instruction cache of a large program.
 */
#include "kernel.h"

#include <errno.h>

#include "likely.h"

enum { HINT, DATA };

static __attribute__((cold, noinline)) uint64_t note_rare_cold(uint64_t count)
{
    count++;
    OPAQUE(count);
    return count;
}

#define LOOP loop_plain
#define EXPECT(x) (x)
#define CALLEE note_rare
#include "likely_loop.h"

#define LOOP loop_likely
#define EXPECT(x) __builtin_expect(!!(x), 1)
#define CALLEE note_rare
#include "likely_loop.h"

#define LOOP loop_unlikely
#define EXPECT(x) __builtin_expect(!!(x), 0)
#define CALLEE note_rare
#include "likely_loop.h"

#define LOOP loop_even
#define EXPECT(x) __builtin_expect_with_probability(!!(x), 1, 0.5)
#define CALLEE note_rare
#include "likely_loop.h"

#define LOOP loop_cold
#define EXPECT(x) (x)
#define CALLEE note_rare_cold
#include "likely_loop.h"

static uint64_t (*const loops[])(const uint8_t *, uint64_t, uint64_t *) = {loop_plain, loop_likely, loop_unlikely,
                                                                           loop_even, loop_cold};

static int setup(struct trial *trial)
{
    struct work *work = make_work(trial, (int)trial->value[DATA]);

    if (!work)
        return -ENOMEM;
    work->loop = loops[trial->value[HINT]];
    return 0;
}

static uint64_t cost_ns(const struct trial *trial)
{
    return trial->value[DATA] == RANDOM ? RANDOM_ELEMENTS : 0; /* seen 0.8 ns an element for filling and recounting */
}

KERNEL(likely,
    .name       = "branch/likely",
    .summary    = "a loop has a rare block, and the compiler has a hint how rare it is, or none",
    .unit       = "turn",
    .threads    = { 1, 1 },
    .flags      = KERNEL_TWIN | KERNEL_MISSES,
    .parameters = {
        { "hint", "", "what the source says about the condition", "plain likely unlikely even cold", 0, "plain unlikely", "*", "*" },
        { "data", "", "what the condition really is", "false true random", 0, "false true", "*", "*" },
    },
    .metrics    = { MISSES_PER_BRANCH },
    .setup      = setup,
    .run        = run_work,
    .check      = check_work,
    .cost_ns    = cost_ns);
