/*
 * branch/pgo: what does a compiler make of a measured profile, when the data is like the training and when it is not?
 *
 * One operation is one turn of branch/likely's loop (branch/likely_loop.h), without any hint in the source. A profile
 * tells the compiler instead: gcc -fprofile-generate, a training run over all-false or all-true data, gcc
 * -fprofile-use.
 *
 *   training=none      no profile: the control, the same as branch/likely[hint=plain]
 *   training=matching  trained on the data that is measured
 *   training=opposite  trained on the other data
 * Excluded:  building the array, and the training.
 * Expect:    matching like the right hint of branch/likely, opposite like the wrong one. A profile does more than a
 *            hint. It may unroll or vectorise a loop that has run often.
 * Hazards:   opt-in. The loops come from a separate build (bench/pgo.py), which `fencepost run --profile pgo` makes in
 *            a temporary folder.
 * Not shown: the worth of a profile to a whole program: inlining, the order of functions, the instruction cache.
 */
#include "kernel.h"

#include <errno.h>

#include "likely.h"

enum { TRAINING, DATA };
enum { NONE, MATCHING, OPPOSITE };

#if defined(FENCEPOST_PGO)

/* pgo/loop.c, compiled three times. */
uint64_t pgo_none(const uint8_t *outcomes, uint64_t n, uint64_t *rare);
uint64_t pgo_false(const uint8_t *outcomes, uint64_t n, uint64_t *rare);
uint64_t pgo_true(const uint8_t *outcomes, uint64_t n, uint64_t *rare);

static int setup(struct trial *trial)
{
    const int data = (int)trial->value[DATA];
    struct work *work = make_work(trial, data);

    if (!work)
        return -ENOMEM;
    if (trial->value[TRAINING] == NONE)
        work->loop = pgo_none;
    else
        work->loop = (trial->value[TRAINING] == MATCHING) == (data == ALL_TRUE) ? pgo_true : pgo_false;
    return 0;
}

#else

static int setup(struct trial *trial)
{
    return trial_needs(trial, "a build with profiles: fencepost run --profile pgo");
}

#endif

KERNEL(pgo,
    .name       = "branch/pgo",
    .summary    = "a compiler builds a loop with a rare block from a profile of such data, of the opposite, or from none",
    .unit       = "turn",
    .threads    = { 1, 1 },
    .flags      = KERNEL_OPT_IN | KERNEL_MISSES,
    .parameters = {
        { "training", "", "which data the profile was taken on", "none matching opposite", 0, "*", "*", "*" },
        { "data", "", "what the condition really is", "false true", 0, "*", "*", "*" },
    },
    .metrics    = { MISSES_PER_BRANCH },
    .setup      = setup,
    .run        = run_work,
    .check      = check_work);
