/*
 * selfcheck/chain: does a comparison find two per cent of computing where there are two, and none where there are none?
 *
 * One operation is a block of `imuls` dependent multiplications in one register. 102 of them take exactly 2 % longer
 * than 100, on any core that multiplies at a fixed latency. `fencepost selfcheck` compares its verdicts with this
 * truth.
 * Excluded:  the loop's counter, which runs beside the chain.
 * Expect:    3 cycles per multiplication (uops.info: Intel since Nehalem, AMD since Zen, Arm since Cortex-A76).
 * Hazards:   a core clock that moves within a round moves both sides. See the order of a comparison,
 *            docs/statistics.md.
 * Not shown: anything but that. pipeline/chain is about multiplications.
 */
#include "kernels/chain.h"
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>

/* Lengths that are written out: a loop round a shorter chain would mispredict its own end and add to what is known. */
#define LENGTHS(X) X(100) X(101) X(102) X(105) X(110)

struct product {
    uint64_t value, multiplications;
};

#define LOOP(n)                                                                                                        \
    static void run_##n(struct worker *worker, uint64_t operations)                                                    \
    {                                                                                                                  \
        struct product *product = worker->trial->state;                                                                \
        uint64_t value = product->value;                                                                               \
                                                                                                                       \
        for (uint64_t i = operations; i > 0; i--)                                                                      \
            MULTIPLY_TIMES(n, value, FACTOR);                                                                          \
        product->value = value;                                                                                        \
        product->multiplications += n * operations;                                                                    \
    }
LENGTHS(LOOP)

#define ROW(n) run_##n,

static void (*const loops[])(struct worker *, uint64_t) = {LENGTHS(ROW)};

static int setup(struct trial *trial)
{
#if HAS_CHAINS
    struct product *product = trial_alloc(trial, sizeof *product);

    if (!product)
        return -ENOMEM;
    product->value = 1;
    trial->run = loops[trial->value[0]];
    return 0;
#else
    return trial_needs(trial, "x86-64, aarch64 or riscv64 (the multiplications are written in assembly)");
#endif
}

/* Replaced in setup by the loop for this length. */
static void run(struct worker *worker, uint64_t operations)
{
    worker->trial->run(worker, operations);
}

/* The factor to the power of all multiplications: none was left out. */
static int check(struct trial *trial)
{
    const struct product *product = trial->state;

    if (product->value != chain_product(product->multiplications))
        return trial_fault(trial, "the product is not that of %" PRIu64 " multiplications", product->multiplications);
    return 0;
}

KERNEL(chain,
    .name       = "selfcheck/chain",
    .summary    = "a chain has as many multiplications as asked for, so 102 take 2 % longer than 100",
    .unit       = "block",
    .threads    = { .min = 1, .max = 1 },
    .flags      = KERNEL_OPT_IN,
    .parameters = {
        { .name = "imuls", .unit = "multiplications", .summary = "in a block", .labels = "100 101 102 105 110",
          .initial = 0 },
    },
    .setup      = setup,
    .run        = run,
    .check      = check);
