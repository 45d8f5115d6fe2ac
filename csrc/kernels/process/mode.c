/*
 * process/mode: may a process in user mode run the instructions of the kernel?
 *
 * One operation is to try each instruction 64 times. The signals are counted.
 *   cli    switches interrupts off
 *   hlt    stops the CPU until the next interrupt
 *   cr3    loads the register of the page tables
 *   rdmsr  reads a register of this model of CPU
 *   nop    is allowed to everybody: the control
 * Excluded:  all times. memory/invalid has that of an exception.
 * Expect:    SIGSEGV for each of the four, every time, and never for nop.
 * Hazards:   cli is allowed to a process that has asked for iopl(3), which Linux no longer grants.
 * Not shown: instructions of other architectures, which end in SIGILL.
 */
#define _GNU_SOURCE
#include "kernels/attempts.h"

enum { CLI, HLT, CR3, RDMSR, NOP, INSTRUCTIONS };
enum { SIGNALS_PER_ATTEMPT };

/* So many that one too many or too few shows. */
#define ATTEMPTS 64

#ifdef HAS_X86_64
static BARE void run_once(int instruction)
{
    switch (instruction) {
    case CLI:
        __asm__ volatile("cli");
        return;
    case HLT:
        __asm__ volatile("hlt");
        return;
    case CR3:
        __asm__ volatile("mov %0, %%cr3" : : "r"(0UL) : "memory");
        return;
    case RDMSR:
        __asm__ volatile("rdmsr" : : "c"(0x10) : "eax", "edx"); /* the time-stamp counter: to be read without harm */
        return;
    default:
        __asm__ volatile("nop");
    }
}
#else /* never called: see .needs */
static void run_once(int instruction)
{
    (void)instruction;
}
#endif

static BARE void try_once(struct attempts *attempts, int instruction)
{
    ATTEMPT(attempts, run_once, instruction);
}

static int setup(struct trial *trial)
{
    struct attempts *attempts = trial_alloc(trial, sizeof *attempts);

    if (!attempts)
        return -ENOMEM;
    attempts->anywhere = 1;
    return attempts_begin(trial, attempts);
}

static int work(struct worker *worker)
{
    struct attempts *attempts = worker->trial->state;

    for (int instruction = 0; instruction < INSTRUCTIONS; instruction++) {
        const uint64_t before = attempts->signals;

        for (int i = 0; i < ATTEMPTS; i++)
            try_once(attempts, instruction);
        trial_count(worker->trial, (unsigned)instruction, (int64_t)(attempts->signals - before),
                    instruction == NOP ? 0 : ATTEMPTS);
    }
    return 0;
}

/* Every attempt ended in one way. */
static int check(struct trial *trial)
{
    const struct attempts *attempts = trial->state;

    if (attempts->made != (uint64_t)INSTRUCTIONS * ATTEMPTS || attempts->signals + attempts->passed != attempts->made)
        return trial_fault(trial, "%" PRIu64 " signals and %" PRIu64 " instructions without one, of %" PRIu64,
                           attempts->signals, attempts->passed, attempts->made);
    trial->metric[SIGNALS_PER_ATTEMPT] = (double)attempts->signals / (NOP * ATTEMPTS);
    return 0;
}

static void teardown(struct trial *trial)
{
    if (trial->state)
        attempts_end(trial->state);
}

KERNEL(mode,
    .name     = "process/mode",
    .summary  = "a process in user mode runs instructions of the kernel, and goes on after the signal",
    .unit     = "instruction",
    .threads  = { .min = 1, .max = 1 },
    .needs    = NEED_X86_64,
    .metrics  = { [SIGNALS_PER_ATTEMPT] = { "signals_per_attempt", "per attempt", "that the four instructions of the kernel brought" } },
    .counts   = { [CLI]   = { "cli", "signals", "SIGSEGV of 64 attempts to switch interrupts off" },
                  [HLT]   = { "hlt", "signals", "of 64 to stop the CPU" },
                  [CR3]   = { "cr3", "signals", "of 64 to load the register of the page tables" },
                  [RDMSR] = { "rdmsr", "signals", "of 64 to read a register of the model" },
                  [NOP]   = { "nop", "signals", "of 64 nop, which everybody may run" } },
    .setup    = setup,
    .work     = work,
    .check    = check,
    .teardown = teardown);
