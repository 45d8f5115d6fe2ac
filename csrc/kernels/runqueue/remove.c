/*
 * runqueue/remove: what does it cost when a task blocks and becomes ready again, wherever it is in the run queue?
 *
 * One operation takes a task chosen at random out of the queue and puts it back with the same key. `by` is as in
 * runqueue/tick. With touch the task is only touched: the control.
 * Excluded:  the event that the task waits for, and the waker.
 * Expect:    only the list depends on the place of the task. A heap whose nodes know their places does it in a few
 *            steps, since most tasks are near its end. Guest of an AMD EPYC (Zen 3), ns with 10 and 1000 tasks: touch 7
 *            and 9, bitmap 12 and 12, heap 19 and 24. There red-black is 32 and 55, AVL 38 and 67.
 * Hazards:   a heap that does not know where its nodes are has to look through all of them.
 * Not shown: tasks that come back with another key, as in most schedulers.
 */
#include "kernel.h"

#include "kernels/runqueue/queue.h"

enum { BY, TASKS };
enum { COMPARISONS, ROTATIONS, FOOTPRINT };

QUEUE_INLINE void blocks(struct runqueue *queue, int by, uint64_t count, struct tree_counts *counts)
{
    uint64_t random = queue->random;

    for (uint64_t i = 0; i < count; i++) {
        struct task *task = &queue->tasks[(next_random(&random) >> 32) * queue->count >> 32];

        queue_remove(queue, by, task, counts);
        task->turns++;
        queue_add(queue, by, task, counts);
        /* As in runqueue/tick: the next task is not known before this one was read. */
        random += task->key >> 63;
    }
    queue->random = random;
    queue->turns += count;
}

static void run(struct worker *worker, uint64_t operations)
{
    struct runqueue *queue = worker->trial->state;

#define BLOCKS(by) blocks(queue, by, operations, NULL)
    WITH_STRUCTURE(worker->trial->value[BY], BLOCKS);
}

static int setup(struct trial *trial)
{
    const int by = (int)trial->value[BY], status = queue_make(trial, by, trial->value[TASKS], 0);
    struct runqueue *queue = trial->state;
    struct tree_counts counts = {0};
    uint64_t counted;

    if (status)
        return status;
    counted = by == LIST ? queue_walks(queue) : COUNTED;
    queue_fill(queue, by, COUNTED_SEED);
    blocks(queue, by, counted, &counts);
    trial->metric[COMPARISONS] = (double)counts.comparisons / (double)counted;
    trial->metric[ROTATIONS] = (double)counts.rotations / (double)counted;
    trial->metric[FOOTPRINT] = (double)(queue->count * sizeof *queue->tasks);
    queue_fill(queue, by, fresh_seed());
    return 0;
}

/* The queue is whole, and each removal was of a task that came back. */
static int check(struct trial *trial)
{
    const struct runqueue *queue = trial->state;
    const char *fault = queue_fault(queue, (int)trial->value[BY]);

    return fault ? trial_fault(trial, "%s", fault) : queue_check_turns(trial, queue, UINT64_MAX);
}

static uint64_t cost_ns(const struct trial *trial)
{
    return queue_cost_ns((int)trial->value[BY], trial->value[TASKS]);
}

KERNEL(remove,
    .name       = "runqueue/remove",
    .summary    = "a task blocks and becomes ready again, wherever it stands in the run queue",
    .unit       = "task",
    .threads    = { .min = 1, .max = 1 },
    .parameters = { [BY] = { .name = "by", .summary = "structure of the run queue", .labels = "touch " STRUCTURES, .initial = RB,
                             .quick = "rb", .standard = "touch bitmap rb avl heap", .rigorous = "*" },
                    [TASKS] = { .name = "tasks", .unit = "tasks", .summary = "that are ready to run", .initial = 1000, .quick = "1000",
                                .standard = "10 1000", .rigorous = "10 100 1000 10000 100000" } },
    .metrics    = { [COMPARISONS] = { "comparisons", "comparisons", "of keys, counted over tasks that are the same everywhere" },
                    [ROTATIONS]   = { "rotations", "rotations", "counted over the same tasks" },
                    [FOOTPRINT]   = { "footprint_bytes", "bytes", "of all tasks" } },
    .setup      = setup,
    .run        = run,
    .check      = check,
    .cost_ns    = cost_ns);
