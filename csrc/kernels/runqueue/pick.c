/*
 * runqueue/pick: what does it cost to see which task is next, by the structure of the run queue and by the number of
 * tasks?
 *
 * One operation is one look at the next task and at its key. The queue stays as it is. `by` is as in runqueue/tick.
 * Excluded:  taking the task out, and putting it back. See runqueue/tick.
 * Expect:    two loads that wait for each other, 8 to 10 cycles, wherever the queue knows its first task. The O(1)
 *            scheduler reads a word of a bitmap more, and the scan reads all tasks. Guest of an AMD EPYC (Zen 3), ns:
 *            4.2 red-black, 8.7 bitmap, with 10 and with 1000 tasks. The scan takes 16 and 4000.
 * Hazards:   the first task is always in the first cache here, since nothing else is looked at. In a scheduler it may
 *            be anywhere.
 * Not shown: the next task on another CPU.
 */
#include "kernel.h"

#include "kernels/runqueue/queue.h"

enum { BY, TASKS };

QUEUE_INLINE void looks(struct runqueue *queue, int by, uint64_t count)
{
    uint64_t seen = 0;

    for (uint64_t i = 0; i < count; i++) {
        const uint64_t key = queue_first(queue, by, 0, NULL)->key;

        seen += key;
        /* No key is that large, but who does not know it has to wait for this one before the next look. */
        queue += key >> 63;
        /* Nor may the compiler know that the queue has not changed. */
        __asm__ volatile("" ::: "memory");
    }
    queue->looks += count;
    queue->seen += seen;
}

static void run(struct worker *worker, uint64_t operations)
{
    struct runqueue *queue = worker->trial->state;

#define LOOKS(by) looks(queue, by, operations)
    WITH_STRUCTURE(1 + worker->trial->value[BY], LOOKS);
}

static int setup(struct trial *trial)
{
    const int by = 1 + (int)trial->value[BY], status = queue_make(trial, by, trial->value[TASKS], 0);
    struct runqueue *queue = trial->state;

    if (!status)
        queue_fill(queue, by, fresh_seed());
    return status;
}

/* Each look saw the least key. */
static int check(struct trial *trial)
{
    const struct runqueue *queue = trial->state;
    const char *fault = queue_fault(queue, 1 + (int)trial->value[BY]);
    const uint64_t least = queue_least(queue, NULL);

    if (fault)
        return trial_fault(trial, "%s", fault);
    if (queue->seen != queue->looks * least)
        return trial_fault(trial, "a look saw another key than the least, %" PRIu64, least);
    return 0;
}

static uint64_t cost_ns(const struct trial *trial)
{
    return queue_cost_ns(1 + (int)trial->value[BY], trial->value[TASKS]);
}

KERNEL(pick,
    .name       = "runqueue/pick",
    .summary    = "see which task is next, and leave it where it is",
    .unit       = "look",
    .threads    = { .min = 1, .max = 1 },
    .parameters = { [BY] = { .name = "by", .summary = "structure of the run queue", .labels = STRUCTURES, .initial = RB - 1,
                             .quick = "rb", .standard = "bitmap rb scan", .rigorous = "*" },
                    [TASKS] = { .name = "tasks", .unit = "tasks", .summary = "that are ready to run", .initial = 1000, .quick = "1000",
                                .standard = "10 1000", .rigorous = "10 100 1000 10000 100000" } },
    .setup      = setup,
    .run        = run,
    .check      = check,
    .cost_ns    = cost_ns);
