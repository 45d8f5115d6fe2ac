/*
 * branch/penalty_loaded: what does a misprediction cost when its condition has to come from memory first?
 *
 * One operation is one branch on a byte at a random place of a buffer. The address comes from a generator that does not
 * look at outcomes, so loads overlap as far as the machine can. The buffer has two contents at the same addresses: all
 * zero (never mispredicted) and random (half mispredicted). Twice their difference is the cost of one misprediction,
 * including the wait for its operand.
 * Excluded:  filling the buffer, and page faults.
 * Expect:    30 cycles a misprediction from 16 KiB, 37 from 1 MiB, 50 from 16 MiB, 53 from 256 MiB (Intel family 6
 *            model 207). The notes' "10 to 20" is true only where the condition is at hand.
 * Hazards:   beyond the TLB's reach each load walks page tables. So the buffer lies on huge pages where the system
 *            grants them (huge_pct says so). Under a wrong prediction the machine goes on loading the same addresses.
 *            That is why the penalty does not grow to a whole memory latency.
 * Not shown: dependent loads (memory/chase).
 */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>

#include "outcomes.h"

enum { SIZE, CONTENTS };

/* Knuth's MMIX multiplier: full period, and its high bits, the ones used, look random. */
#define LCG_FACTOR 6364136223846793005u
#define LCG_STEP 1442695040888963407u

struct field {
    uint64_t state, zeros, walked, seed, shift;
    const uint8_t *bytes;
};

#if defined(HAS_X86_64)
#define HAS_LOADED 1
#define STEP                                                                                                           \
    "imul %[factor], %[state]\n\t"                                                                                     \
    "add %[step], %[state]\n\t"                                                                                        \
    "mov %[state], %[index]\n\t"                                                                                       \
    "shr %%cl, %[index]\n\t"                                                                                           \
    "cmpb $0, (%[bytes],%[index])\n\t"                                                                                 \
    "jnz 2f\n\t"                                                                                                       \
    "add $1, %[zeros]\n"                                                                                               \
    "2:\n\t"
#define SHIFT_REGISTER "c" /* SHR by a register takes CL */
#define LOOP "1:\n\t" STEP "sub $1, %[n]\n\tjnz 1b"
#elif defined(HAS_AARCH64)
#define HAS_LOADED 1
#define SHIFT_REGISTER "r"
#define LOOP                                                                                                           \
    "1:\n\t"                                                                                                           \
    "madd %[state], %[state], %[factor], %[step]\n\t"                                                                  \
    "lsr %[index], %[state], %[shift]\n\t"                                                                             \
    "ldrb %w[index], [%[bytes], %[index]]\n\t"                                                                         \
    "cbnz %w[index], 2f\n\t"                                                                                           \
    "add %[zeros], %[zeros], #1\n"                                                                                     \
    "2:\n\t"                                                                                                           \
    "subs %[n], %[n], #1\n\t"                                                                                          \
    "b.ne 1b"
#endif

#if defined(HAS_LOADED)

static void run(struct worker *worker, uint64_t branches)
{
    struct field *field = worker->trial->state;
    uint64_t state = field->state, zeros = 0, index = 0, n = branches;

    __asm__ volatile(LOOP
                     : [state] "+&r"(state), [zeros] "+&r"(zeros), [index] "+&r"(index), [n] "+&r"(n)
                     : [factor] "r"(LCG_FACTOR), [step] "r"(LCG_STEP), [bytes] "r"(field->bytes),
                       [shift] SHIFT_REGISTER(field->shift)
                     : "cc", "memory");
    field->state = state;
    field->zeros += zeros;
    field->walked += branches;
}

static int setup(struct trial *trial)
{
    const int64_t size = trial->value[SIZE];
    struct field *field;
    uint8_t *bytes;
    uint64_t random;

    if (size < 4096 || size > (int64_t)1 << 32 || (size & (size - 1))) {
        trial_fault(trial, "size is %" PRId64 " bytes, it must be a power of two from 4 KiB to 4 GiB", size);
        return -EINVAL;
    }
    field = trial_alloc(trial, sizeof *field);
    bytes = trial_alloc_pages(trial, (size_t)size, 1);
    if (!field || !bytes)
        return -ENOMEM;
    field->bytes = bytes;
    field->shift = (uint64_t)__builtin_clzll((unsigned long long)size) + 1;
    field->seed = field->state = random = fresh_seed();
    if (trial->value[CONTENTS])
        fill_with_coins(bytes, (uint64_t)size, &random);
    return 0;
}

#else

static void run(struct worker *worker, uint64_t branches)
{
    (void)worker;
    (void)branches;
}

static int setup(struct trial *trial)
{
    return trial_needs(trial, "an x86-64 or AArch64 CPU");
}

#endif

/* The walk again, in C and untimed: the same addresses, the same number of zeros. */
static int check(struct trial *trial)
{
    const struct field *field = trial->state;
    uint64_t state = field->seed, zeros = 0;

    for (uint64_t i = 0; i < field->walked; i++) {
        state = state * LCG_FACTOR + LCG_STEP;
        zeros += !field->bytes[state >> field->shift];
    }
    trial->metric[0] =
        100.0 * (double)memory_huge_bytes(field->bytes, (size_t)trial->value[SIZE]) / (double)trial->value[SIZE];
    trial->metric[1] = trial->misses_per_operation;
    return field->zeros == zeros
               ? 0
               : trial_fault(trial, "counted %" PRIu64 " zeros where %" PRIu64 " are", field->zeros, zeros);
}

static uint64_t cost_ns(const struct trial *trial)
{
    return (uint64_t)trial->value[SIZE] / 6; /* touching and filling: seen 0.13-0.3 ns a byte */
}

KERNEL(penalty_loaded,
    .name       = "branch/penalty_loaded",
    .summary    = "a branch depends on a byte that is loaded from a buffer, all zero or random",
    .unit       = "branch",
    .threads    = { 1, 1 },
    .flags      = KERNEL_MISSES,
    .parameters = {
        { "size", "bytes", "the buffer that the condition comes from", NULL, 16 << 10, "16KiB 1MiB", "16KiB 1MiB 16MiB 256MiB",
          "16KiB 64KiB 256KiB 1MiB 4MiB 16MiB 64MiB 256MiB" },
        { "contents", "", "all zero: learnt at once; random: half mispredicted", "zero random", 1, "*", "*", "*" },
    },
    .metrics    = { { "huge_pct", "%", "share of the buffer on huge pages" }, MISSES_PER_BRANCH },
    .setup      = setup,
    .run        = run,
    .check      = check,
    .cost_ns    = cost_ns);
