/*
 * branch/footprint: how many different jumps does the machine remember?
 *
 * One operation is one jump. A straight run has `jumps` of them, 8 bytes apart, each at its own address and each to the
 * next. A taken jump needs a remembered target (a BTB entry), or the front end stumbles. A jump that is never taken
 * needs none. Such jumps are the control, which fetches the same bytes.
 * Excluded:  the call into the run and its return, which are one in at least 64 jumps.
 * Expect:    never taken about 0.5 cycles a jump. Taken 2-2.6 up to some thousand, then a step where the targets no
 *            longer fit (12 cycles at 16 384). This is Intel family 6 model 207, whose second-level BTB is said to have
 *            12 thousand entries.
 * Hazards:   16 384 slots are 128 KiB of code. Beyond the L1 instruction cache both forms pay for fetching.
 * Not shown: conditional jumps that change their direction (branch/pattern), and indirect targets.
 */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>

#include "outcomes.h"

enum { JUMPS, KIND };

#define MAX_JUMPS 16384
#define SLOT_BYTES 8

struct footprint {
    void (*enter)(void);
    uint64_t jumps, calls, asked;
};

/*
 * The runs are MAX_JUMPS slots and a return. They are entered where `jumps` slots remain. In file-scope assembly a jump stays as it is
 * written. A slot has 8 bytes (the BTB indexes by address, and so do we). The carry flag is clear on entry, see run().
 */
#if defined(HAS_X86_64)
#define HAS_RUNS 1
__asm__(
    ".text\n\t.balign 64\n"
    "footprint_taken:\n\t"
    ".rept 16384\n\tjmp 1f\n\t.balign 8, 0xcc\n1:\n\t.endr\n\t" /* 0xcc, int3: never reached, and a trap if it were */
    "ret\n\t"
    ".balign 64\n"
    "footprint_never:\n\t"
    ".rept 16384\n\t{disp32} jc footprint_stray\n\t.balign 8\n\t.endr\n\t" /* six bytes, and a two-byte nop */
    "ret\n"
    "footprint_stray:\n\tud2\n");
#elif defined(HAS_AARCH64)
#define HAS_RUNS 1
__asm__(".text\n\t.balign 64\n"
        "footprint_taken:\n\t"
        ".rept 16384\n\tb 1f\n\tudf #0\n1:\n\t.endr\n\t"
        "ret\n\t"
        ".balign 64\n"
        "footprint_never:\n\t"
        ".rept 16384\n\tcbnz xzr, 1f\n1:\n\tnop\n\t.endr\n\t"
        "ret\n");
#endif

#if defined(HAS_RUNS)

extern const char footprint_taken[] __attribute__((visibility("hidden")));
extern const char footprint_never[] __attribute__((visibility("hidden")));

static void run(struct worker *worker, uint64_t jumps)
{
    struct footprint *footprint = worker->trial->state;
    void (*const enter)(void) = footprint->enter;
    const uint64_t calls = jumps / footprint->jumps; /* whole runs: the granule */

    footprint->asked += jumps;
    footprint->calls += calls;
    for (uint64_t i = 0; i < calls; i++)
#if defined(HAS_X86_64)
        /* XOR clears the carry flag, on which the never-taken jumps do not jump. 128 bytes below the stack pointer are ours (red zone). */
        __asm__ volatile("sub $128, %%rsp\n\txor %%eax, %%eax\n\tcall *%[enter]\n\tadd $128, %%rsp"
                         :
                         : [enter] "r"(enter)
                         : "rax", "cc", "memory");
#else
        enter();
#endif
}

static int setup(struct trial *trial)
{
    const int64_t jumps = trial->value[JUMPS];
    struct footprint *footprint;
    uintptr_t first;

    if (jumps < 1 || jumps > MAX_JUMPS) {
        trial_fault(trial, "jumps is %" PRId64 ", it goes from 1 to %d", jumps, MAX_JUMPS);
        return -EINVAL;
    }
    footprint = trial_alloc(trial, sizeof *footprint);
    if (!footprint)
        return -ENOMEM;
    first = (uintptr_t)(trial->value[KIND] ? footprint_taken : footprint_never);
    footprint->enter = (void (*)(void))(first + (uintptr_t)(MAX_JUMPS - jumps) * SLOT_BYTES);
    footprint->jumps = trial->granule = (uint64_t)jumps;
    return 0;
}

#else

static void run(struct worker *worker, uint64_t jumps)
{
    (void)worker;
    (void)jumps;
}

static int setup(struct trial *trial)
{
    return trial_needs(trial, "an x86-64 or AArch64 CPU");
}

#endif

/* A stray jump would have trapped. It remains to check that each jump asked for belonged to a run that was made. */
static int check(struct trial *trial)
{
    const struct footprint *footprint = trial->state;

    if (footprint->calls == 0 || footprint->calls * footprint->jumps != footprint->asked)
        return trial_fault(trial, "%" PRIu64 " runs of %" PRIu64 " jumps made, %" PRIu64 " jumps asked for",
                           footprint->calls, footprint->jumps, footprint->asked);
    trial->metric[0] = trial->misses_per_operation;
    return 0;
}

KERNEL(footprint,
    .name       = "branch/footprint",
    .summary    = "code runs through many jumps, each taken or never taken, once a round",
    .unit       = "jump",
    .threads    = { 1, 1 },
    .flags      = KERNEL_MISSES,
    .parameters = {
        { "jumps", "jumps", "different jumps in the run", NULL, 1024, "64 4096", "64 256 1024 2048 4096 8192 16384",
          "64 128 256 512 1024 2048 4096 6144 8192 12288 16384" },
        { "kind", "", "never taken (the control), or always", "never taken", 1, "*", "*", "*" },
    },
    .metrics    = { MISSES_PER_BRANCH },
    .setup      = setup,
    .run        = run,
    .check      = check);
