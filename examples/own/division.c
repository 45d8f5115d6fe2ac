/*
 * own/division: is a 64-bit division still slow, and does it depend on the operands?
 *
 *   fencepost run --kernel examples/own/division.c
 *
 * One operation is one division. The parameter says how many bits the dividend has. The compiler does not know the divisor.
 * The result decides the next dividend. Before Intel's Ice Lake and AMD's Zen 3, large dividends cost 35 to 90 cycles. Since
 * then they cost 7 to 18.
 */
#include <errno.h>
#include <inttypes.h>

#include "kernel.h"

#define DIVISOR 3

struct chain {
    uint64_t value, steps;
};

static inline uint64_t step(uint64_t value, uint64_t top, uint64_t divisor)
{
    return (value / divisor) | top; /* the dividend keeps its width */
}

static uint64_t top_bit(const struct trial *trial)
{
    return UINT64_C(1) << (trial->value[0] - 1);
}

static int setup(struct trial *trial)
{
    struct chain *chain = trial_alloc(trial, sizeof *chain);

    if (!chain)
        return -ENOMEM;
    if (trial->value[0] < 2 || trial->value[0] > 64)
        return trial_fault(trial, "bits=%" PRId64 " is not from 2 to 64", trial->value[0]);
    chain->value = top_bit(trial);
    return 0;
}

static void run(struct worker *worker, uint64_t operations)
{
    struct chain *chain = worker->trial->state;
    const uint64_t top = top_bit(worker->trial);
    uint64_t value = chain->value, divisor = DIVISOR;

    OPAQUE(divisor); /* else it becomes a multiplication */
    for (uint64_t i = 0; i < operations; i++)
        value = step(value, top, divisor);
    chain->value = value;
    chain->steps += operations;
}

static int check(struct trial *trial)
{
    const struct chain *chain = trial->state;
    uint64_t value = top_bit(trial);

    for (uint64_t i = 0; i < chain->steps; i++)
        value = step(value, top_bit(trial), DIVISOR);
    return value == chain->value ? 0 : trial_fault(trial, "%" PRIu64 " divisions give another value", chain->steps);
}

KERNEL(division, .name = "own/division",
       .summary = "dependent 64-bit division by an unknown divisor, by width of the dividend", .unit = "division",
       .threads = {.min = 1, .max = 1},
       .parameters = {{.name = "bits",
                       .unit = "bits",
                       .summary = "width of the dividend",
                       .initial = 64,
                       .quick = "8 32 64",
                       .standard = "8 16 32 48 64",
                       .rigorous = "8 16 24 32 40 48 56 64"}},
       .setup = setup, .run = run, .check = check)
