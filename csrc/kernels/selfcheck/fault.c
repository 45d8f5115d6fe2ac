/*
 * selfcheck/fault: does a comparison find two per cent of page faults where there are two, and none where there are
 * none?
 *
 * One operation is `faults` turns. Each writes to a page that is not there (a minor fault), then gives it back with
 * madvise. All turns of a batch are in one loop, so 51 of them are exactly 2 % more than 50. `fencepost selfcheck`
 * compares its verdicts with this truth.
 * Excluded:  nothing. Giving the page back is part of the turn.
 * Expect:    0.5-3 us a turn: the fault (memory/fault), a system call, and one entry of the TLB.
 * Hazards:   a hypervisor that has to find memory for the guest adds to it. The system mostly gives the page that it
 *            has just got.
 * Not shown: anything but that. memory/fault is about faults.
 */
#define _GNU_SOURCE
#include "kernel.h"
#include "kernels/system.h"

#define MAX_FAULTS 100000

struct touched {
    volatile uint64_t *page;
    size_t bytes;
    uint64_t turns;
    uint64_t wrong; /* words that were not what was written, or were there from before */
};

static int setup(struct trial *trial)
{
    struct touched *touched;

    if (trial->value[0] < 1 || trial->value[0] > MAX_FAULTS) {
        trial_fault(trial, "faults=%" PRId64 " is not 1 to %d", trial->value[0], MAX_FAULTS);
        return -EINVAL;
    }
    touched = trial_alloc(trial, sizeof *touched);
    if (!touched)
        return -ENOMEM;
    touched->bytes = (size_t)sysconf(_SC_PAGESIZE);
    touched->page = private_pages(touched->bytes, 0);
    return touched->page ? 0 : -errno;
}

static void run(struct worker *worker, uint64_t operations)
{
    struct touched *touched = worker->trial->state;
    const uint64_t turns = (uint64_t)worker->trial->value[0] * operations;
    volatile uint64_t *page = touched->page;
    uint64_t wrong = 0;

    for (uint64_t left = turns; left > 0; left--) {
        /* Two words in turn: the other one is zero on a fresh page. */
        page[left % 2] = left;
        wrong |= page[left % 2] ^ left;
        wrong |= page[1 - left % 2];
        madvise((void *)page, touched->bytes, MADV_DONTNEED);
    }
    touched->turns += turns;
    touched->wrong |= wrong;
}

/* Each page was a fresh one, and the system counted a fault for each. */
static int check(struct trial *trial)
{
    const struct touched *touched = trial->state;

    if (touched->wrong)
        return trial_fault(trial, "%" PRIu64 " pages were not all fresh (bits %" PRIx64 ")", touched->turns,
                           touched->wrong);
    for (uint64_t i = 0; i < trial->sample_count; i++)
        if (trial->samples[i].minor_faults < trial->samples[i].operations * trial->value[0])
            return trial_fault(trial, "a batch of %" PRId64 " turns had %" PRId32 " faults",
                               trial->samples[i].operations * trial->value[0], trial->samples[i].minor_faults);
    return 0;
}

static void teardown(struct trial *trial)
{
    const struct touched *touched = trial->state;

    if (touched && touched->page)
        munmap((void *)touched->page, touched->bytes);
}

KERNEL(fault,
    .name       = "selfcheck/fault",
    .summary    = "a loop touches a fresh page as often as asked for, so 51 faults take 2 % longer than 50",
    .unit       = "block",
    .threads    = { .min = 1, .max = 1 },
    .flags      = KERNEL_OPT_IN,
    .subject    = FLAG_FAULTED,
    .parameters = {
        { .name = "faults", .unit = "faults", .summary = "in a block", .initial = 50 },
    },
    .setup      = setup,
    .run        = run,
    .check      = check,
    .teardown   = teardown);
