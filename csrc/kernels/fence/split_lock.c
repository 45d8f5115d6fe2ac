/*
 * fence/split_lock: what does a locked addition cost when its operand lies across two cache lines?
 *
 * An event is one `lock add` on eight bytes of which four lie in the next line. Locking one line is not enough for such
 * an access. Older machines lock the whole memory bus, for every CPU. Newer kernels trap it and slow the offender down
 * on purpose.
 * Excluded:  reading the clock (the median empty window is subtracted).
 * Expect:    66 us (Intel family 6 model 207, in a guest), 1500 cycles (Sandy Bridge), or a signal where the kernel
 *            forbids it.
 * Hazards:   it stalls the neighbours on the same host. Therefore it is opt-in (consent=yes), with 25 operations a
 *            process.
 * Not shown: the neighbours' loss.
 */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { CONSENT };

/* Of a run of 40 processes, the longest profile, 1000. */
#define EVENTS 5
#define BATCHES 5
#define LINE_BYTES 64

struct split {
    uint64_t done;
    _Alignas(LINE_BYTES) unsigned char lines[2 * LINE_BYTES];
};

static int setup(struct trial *trial)
{
    if (!trial->value[CONSENT])
        return trial_needs(trial,
                           "your consent, as it stalls every CPU of the host: --set fence/split_lock.consent=yes");
    return trial_alloc(trial, sizeof(struct split)) ? 0 : -ENOMEM;
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct split *split = worker->trial->state;
#if defined(HAS_X86_64)
    unsigned char *across = split->lines + LINE_BYTES - sizeof(uint64_t) / 2;

    for (uint64_t i = 0; i < count; i++) {
        const uint64_t begin = tick_begin();

        __asm__ volatile("lock addq $1, (%0)" : : "r"(across) : "memory", "cc"); /* SDM vol. 3, "Split locks" */
        ticks[i] = (int64_t)(tick_end() - begin) - (int64_t)worker->trial->overhead_ticks;
    }
    split->done += count;
    return (int64_t)count;
#else
    (void)split;
    (void)ticks;
    (void)count;
    return -ENOTSUP;
#endif
}

/* The bytes across the border contain the count. */
static int check(struct trial *trial)
{
    const struct split *split = trial->state;
    uint64_t counted;

    memcpy(&counted, split->lines + LINE_BYTES - sizeof counted / 2, sizeof counted);
    return counted == split->done
               ? 0
               : trial_fault(trial, "%" PRIu64 " additions counted instead of %" PRIu64, counted, split->done);
}

KERNEL(split_lock,
    .name       = "fence/split_lock",
    .summary    = "a locked addition crosses two cache lines (opt-in, as it stalls the whole host)",
    .unit       = "addition",
    .threads    = { 1, 1 },
    .flags      = KERNEL_OPT_IN,
    .needs      = NEED_X86_64,
    .parameters = { { "consent", "", "yes: I know that it disturbs every CPU of this host", "no yes", 0, NULL, NULL, NULL } },
    .setup      = setup,
    .events     = events,
    .events_per_batch = EVENTS,
    .batches    = BATCHES,
    .check      = check);
