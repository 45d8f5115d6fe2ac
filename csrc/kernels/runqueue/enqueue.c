/*
 * runqueue/enqueue: what does it cost to add a task, while an empty run queue fills up with `tasks` of them?
 *
 * One operation adds one task. When all are in the queue it begins anew, empty. `by` is as in runqueue/tick. With touch
 * the task only gets its key: the control. With `keys` ascending each task comes behind all others. That is the worst
 * order for a red-black tree, and the best for an AVL tree.
 * Excluded:  taking tasks out. A queue is emptied by forgetting its content.
 * Expect:    flat for bitmap and pairing heap. With drawn keys flat for the binary heap, where most tasks stay near the
 *            end. Trees grow with the logarithm. Guest of an AMD EPYC (Zen 3), ns a task up to 1000. With random keys:
 *            heap 15, red-black 42, AVL 48. Ascending: heap 3, red-black 36, AVL 27.
 * Hazards:   the bitmap's 280 lists are emptied in the window, once in `tasks` operations. With 10 tasks that is most
 *            of its figure.
 * Not shown: sorted lists, which take steps by the square of `tasks` to fill. A batch is never shorter than a queue, so
 *            100 000 tasks are in runqueue/fill.
 */
#include "kernel.h"

#include "kernels/runqueue/queue.h"

enum { BY, TASKS, KEYS };
enum { COMPARISONS, ROTATIONS, HEIGHT, FOOTPRINT };

QUEUE_INLINE void fills(struct runqueue *queue, int by, uint64_t operations, struct tree_counts *counts)
{
    uint64_t random = queue->random;

    for (uint64_t done = 0; done < operations; done += queue->count) {
        queue_clear(queue, by);
        for (uint64_t i = 0; i < queue->count; i++) {
            struct task *task = queue->shuffled[i];

            queue_add_new(queue, by, task, i, &random, counts);
        }
    }
    queue->random = random;
    queue->turns += operations;
}

static void run(struct worker *worker, uint64_t operations)
{
    struct runqueue *queue = worker->trial->state;

#define FILLS(by) fills(queue, by, operations, NULL)
    WITH_STRUCTURE(worker->trial->value[BY], FILLS);
}

static int setup(struct trial *trial)
{
    const int by = (int)trial->value[BY], status = queue_make(trial, by, trial->value[TASKS], trial->value[KEYS] == 1);
    struct runqueue *queue = trial->state;
    struct tree_counts counts = {0};

    if (status)
        return status;
    trial->granule = queue->count;
    queue->random = COUNTED_SEED;
    fills(queue, by, queue->count, &counts);
    trial->metric[COMPARISONS] = (double)counts.comparisons / (double)queue->count;
    trial->metric[ROTATIONS] = (double)counts.rotations / (double)queue->count;
    trial->metric[HEIGHT] = queue_height(queue, by);
    trial->metric[FOOTPRINT] = (double)(queue->count * sizeof *queue->tasks);
    queue->random = fresh_seed();
    return 0;
}

/* The queue that was filled last is whole, and each task was added as often as any other. */
static int check(struct trial *trial)
{
    const struct runqueue *queue = trial->state;
    const char *fault = queue_fault(queue, (int)trial->value[BY]);

    return fault ? trial_fault(trial, "%s", fault) : queue_check_turns(trial, queue, 0);
}

static uint64_t cost_ns(const struct trial *trial)
{
    return queue_cost_ns((int)trial->value[BY], trial->value[TASKS]);
}

KERNEL(enqueue,
    .name       = "runqueue/enqueue",
    .summary    = "add a task to a run queue that fills up",
    .unit       = "task",
    .threads    = { .min = 1, .max = 1 },
    .parameters = { [BY] = { .name = "by", .summary = "structure of the run queue", .labels = "touch bitmap rb avl heap skip pairing",
                             .initial = RB, .quick = "rb", .standard = "rb avl heap", .rigorous = "*" },
                    [TASKS] = { .name = "tasks", .unit = "tasks", .summary = "with which it is full", .initial = 1000, .quick = "1000",
                                .standard = "1000", .rigorous = "10 100 1000 10000" },
                    [KEYS] = { .name = "keys", .summary = "how keys are chosen", .labels = "random ascending", .initial = 0,
                               .quick = "random", .standard = "*", .rigorous = "*" } },
    .metrics    = { [COMPARISONS] = { "comparisons", "comparisons", "of keys for a task, counted over keys that are the same everywhere" },
                    [ROTATIONS]   = { "rotations", "rotations", "for a task, counted over the same keys" },
                    [HEIGHT]      = { "height", "levels", "of nodes, the one above the other, in the full queue" },
                    [FOOTPRINT]   = { "footprint_bytes", "bytes", "of all tasks" } },
    .setup      = setup,
    .run        = run,
    .check      = check,
    .cost_ns    = cost_ns);
