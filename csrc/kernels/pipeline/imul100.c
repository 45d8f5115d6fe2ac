/*
 * pipeline/imul100: how well does a measurement repeat a figure that is known beforehand?
 *
 * One operation is 100 dependent multiplications: 300 cycles on most cores, in one register. There is no memory, and no
 * branch to predict but the loop's. Nothing in it can vary but the core's clock. So the spread of this row is the
 * spread of the measurement.
 * Excluded:  the loop's counter, which runs beside the chain.
 * Expect:    300 cycles, and the floor of one run within 0.1 % of the floor of the next. An imul takes 3 cycles
 *            (uops.info for Intel since Nehalem and AMD since Zen, 64-bit mul on Arm since Cortex-A76). Seen on an
 *            Intel guest: 3.004 cycles per imul.
 * Hazards:   a core clock that moves between processes moves this row in ns, not in cycles.
 * Not shown: anything but latency. See pipeline/chain.
 */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>

#define FACTOR UINT64_C(0x9e3779b97f4a7c15) /* odd: the product never dies out in zeros */

struct product {
    uint64_t value, blocks;
};

static int setup(struct trial *trial)
{
#if HAS_CHAINS
    struct product *product = trial_alloc(trial, sizeof *product);

    if (!product)
        return -ENOMEM;
    product->value = 1;
    return 0;
#else
    return trial_needs(trial, "x86-64, aarch64 or riscv64 (the multiplications are written in assembly)");
#endif
}

static void run(struct worker *worker, uint64_t operations)
{
    struct product *product = worker->trial->state;
    uint64_t value = product->value;

    for (uint64_t i = operations; i > 0; i--)
#if HAS_X86_64
        __asm__ volatile(".rept 100\n\timul %1, %0\n\t.endr" : "+r"(value) : "r"(FACTOR) : "cc");
#elif HAS_CHAINS /* aarch64 and riscv64 spell it alike */
        __asm__ volatile(".rept 100\n\tmul %0, %0, %1\n\t.endr" : "+r"(value) : "r"(FACTOR));
#else
        value *= FACTOR;
#endif
    product->value = value;
    product->blocks += operations;
}

/* FACTOR to the power of 100 per block, modulo 2^64: no multiplication was left out. */
static int check(struct trial *trial)
{
    const struct product *product = trial->state;
    uint64_t expected = 1, base = FACTOR;

    for (uint64_t exponent = 100 * product->blocks; exponent; exponent >>= 1, base *= base)
        if (exponent & 1)
            expected *= base;
    if (product->value != expected)
        return trial_fault(trial, "the product is not that of %" PRIu64 " blocks", product->blocks);
    return 0;
}

KERNEL(imul100,
    .name    = "pipeline/imul100",
    .summary = "100 multiplications wait for each other, which takes 300 cycles on most cores",
    .unit    = "block",
    .threads = { .min = 1, .max = 1 },
    .flags   = KERNEL_TWIN,
    .setup   = setup,
    .run     = run,
    .check   = check);
