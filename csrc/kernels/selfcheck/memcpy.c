/*
 * selfcheck/memcpy: does a comparison find two per cent of copying where there are two, and none where there are none?
 *
 * One operation is `copies` copies of 1 KiB with the C library's memcpy, within the first-level cache. All of a batch
 * are in one loop, so 102 of them are exactly 2 % more than 100. `fencepost selfcheck` compares its verdicts with this
 * truth.
 * Excluded:  nothing. A number is written into the source before each copy and read from its target behind it.
 * Expect:    16-64 cycles a copy, by the width of loads and stores and by how the C library copies.
 * Hazards:   source and target are 2 KiB apart in one page. At a distance of 4 KiB loads would wait for stores to other
 *            addresses.
 * Not shown: anything but that. memory/bandwidth is about copies beyond the caches.
 */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define MAX_COPIES 100000
#define COPY_BYTES 1024
#define COPY_WORDS (COPY_BYTES / 8)

struct copied {
    uint64_t source[COPY_WORDS];
    uint64_t between[COPY_WORDS];
    uint64_t target[COPY_WORDS];
    uint64_t copies, sum; /* of the numbers that were read behind the copies, modulo 2^64 */
};

static int setup(struct trial *trial)
{
    struct copied *copied;

    if (trial->value[0] < 1 || trial->value[0] > MAX_COPIES) {
        trial_fault(trial, "copies=%" PRId64 " is not 1 to %d", trial->value[0], MAX_COPIES);
        return -EINVAL;
    }
    copied = trial_alloc(trial, sizeof *copied);
    if (!copied)
        return -ENOMEM;
    for (uint64_t i = 0; i < COPY_WORDS; i++)
        copied->source[i] = i;
    return 0;
}

static void run(struct worker *worker, uint64_t operations)
{
    struct copied *copied = worker->trial->state;
    const uint64_t copies = (uint64_t)worker->trial->value[0] * operations;
    size_t bytes = COPY_BYTES;
    uint64_t sum = 0;

    for (uint64_t number = copied->copies + 1; number <= copied->copies + copies; number++) {
        copied->source[0] = number;
        OPAQUE(bytes); /* a length that the compiler does not know: it has to call */
        memcpy(copied->target, copied->source, bytes);
        sum += copied->target[0];
    }
    copied->sum += sum;
    copied->copies += copies;
}

/* Each copy brought its own number, and the last one all words. */
static int check(struct trial *trial)
{
    const struct copied *copied = trial->state;
    const uint64_t n = copied->copies;
    /* 1 + 2 + ... + n, modulo 2^64: one of the two factors is even. */
    const uint64_t expected = n % 2 ? (n + 1) / 2 * n : n / 2 * (n + 1);

    if (copied->sum != expected)
        return trial_fault(trial, "%" PRIu64 " copies did not all bring their own number", n);
    if (memcmp(copied->source, copied->target, COPY_BYTES))
        return trial_fault(trial, "after %" PRIu64 " copies the target is not the source", n);
    return 0;
}

KERNEL(memcpy,
    .name       = "selfcheck/memcpy",
    .summary    = "a loop copies 1 KiB as often as asked for, so 102 copies take 2 % longer than 100",
    .unit       = "block",
    .threads    = { .min = 1, .max = 1 },
    .flags      = KERNEL_OPT_IN,
    .parameters = {
        { .name = "copies", .unit = "copies", .summary = "of 1 KiB in a block", .initial = 100 },
    },
    .setup      = setup,
    .run        = run,
    .check      = check);
