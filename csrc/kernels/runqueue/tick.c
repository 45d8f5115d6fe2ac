/*
 * runqueue/tick: what does a scheduler's turn cost, by the structure of its run queue and by the number of tasks in it?
 *
 * One operation is one turn: find the next task, take it out, let it run (its count of turns goes up), put it back with
 * a later key. `by`:
 *   touch    a task taken at random has its turn, and there is no queue. The control: the time that the caches take for
 *            a node
 *   bitmap   the O(1) scheduler: two arrays of 140 lists, and a bitmap of those that are not empty
 *   rb, avl  red-black and AVL tree that know their leftmost node
 *   heap     binary heap whose nodes know their places
 *   skip     skip list with one node in four in the next lane
 *   pairing  pairing heap
 *   list     sorted list
 *   scan     list in any order: each look walks through all of it
 * With `keys` random the new key is the old one plus a number drawn anew. On average the task comes two thirds down.
 * Ascending, the new key is larger than all others, so the tasks take turns in a circle. Tasks are 128 bytes each, in
 * shuffled order in memory.
 * Excluded:  the other work of a scheduler: the clock, accounts, locks, and the switch itself.
 * Expect:    bitmap flat until tasks leave the core's own cache, trees, heap and skip list with the logarithm, list and
 *            scan with the number. Guest of an AMD EPYC (Zen 3), ns a turn with 10, 100, 1000 and 10^4 tasks: bitmap
 *            16, 16, 12, 17. There red-black is 32, 49, 66, 137 and AVL 34, 55, 73, 153. The heap is 24, 33, 41, 80,
 *            the list 19, 101, 2600, 130 000, touch 7, 7, 9, 20.
 * Hazards:   the list beats each tree with few tasks. The cost of a comparison depends on whether the branch on it is
 *            predicted.
 * Not shown: several CPUs, which share a queue or steal from each other's.
 */
#include "kernel.h"

#include "kernels/runqueue/queue.h"

enum { BY, TASKS, KEYS };
enum { COMPARISONS, ROTATIONS, HEIGHT, PASSED_OVER, FOOTPRINT };

QUEUE_INLINE void turns(struct runqueue *queue, int by, uint64_t count, struct tree_counts *counts)
{
    const uint64_t step = queue->step, spread = queue->spread;
    uint64_t random = queue->random, key = 0;

    for (uint64_t i = 0; i < count; i++) {
        const uint64_t draw = next_random(&random);
        struct task *task = queue_first(queue, by, draw, counts);

        queue_remove(queue, by, task, counts);
        task->turns++;
        key = task->key;
        OPAQUE(key); /* or gcc counts turns and keys as one vector, which is slower */
        task->key = key + step + ((uint32_t)draw * spread >> 32);
        if (by == BITMAP)
            task->key %= ARRAYS_LEVELS;
        queue_put_back(queue, by, task, counts);
        /* No key is that large, but code that does not know this has to wait for it, as for the next of a queue. */
        random += key >> 63;
    }
    queue->ran = key;
    queue->random = random;
    queue->turns += count;
}

static void run(struct worker *worker, uint64_t operations)
{
    struct runqueue *queue = worker->trial->state;

#define TURNS(by) turns(queue, by, operations, NULL)
    WITH_STRUCTURE(worker->trial->value[BY], TURNS);
}

/* Of this many turns from now on, those that pass over a task with a lesser key, in the O(1) scheduler one of the same lap. */
static uint64_t passed_over(struct runqueue *queue, int by, uint64_t looks, int same_lap)
{
    uint64_t found = 0;

    for (uint64_t i = 0; i < looks; i++) {
        const struct arrays *arrays = &queue->arrays;
        const struct arrays_half *lap = !same_lap ? NULL : arrays->active->count ? arrays->active : arrays->expired;
        const uint64_t least = queue_least(queue, lap);

        turns(queue, by, 1, NULL);
        found += queue->ran > least;
    }
    return found;
}

static int setup(struct trial *trial)
{
    const int by = (int)trial->value[BY], status = queue_make(trial, by, trial->value[TASKS], trial->value[KEYS] == 1);
    struct runqueue *queue = trial->state;
    struct tree_counts counts = {0};
    uint64_t counted, looks;

    if (status)
        return status;
    looks = queue_walks(queue);
    counted = by == LIST || by == SCAN ? looks : COUNTED;
    queue_fill(queue, by, COUNTED_SEED);
    turns(queue, by, counted, &counts);
    trial->metric[COMPARISONS] = (double)counts.comparisons / (double)counted;
    trial->metric[ROTATIONS] = (double)counts.rotations / (double)counted;
    trial->metric[HEIGHT] = queue_height(queue, by);
    if (by != TOUCH)
        trial->metric[PASSED_OVER] = 100.0 * (double)passed_over(queue, by, looks, 0) / (double)looks;
    trial->metric[FOOTPRINT] = (double)(queue->count * sizeof *queue->tasks);
    queue_fill(queue, by, fresh_seed());
    return 0;
}

/*
 * The queue is whole, and gives out in order: the O(1) scheduler in that of the levels, within its lap. In laps, and in a ring, no task has two
 * turns more than another: so none starves.
 */
static int check(struct trial *trial)
{
    const int by = (int)trial->value[BY], in_turn = by == BITMAP || (by != TOUCH && trial->value[KEYS] == 1);
    struct runqueue *queue = trial->state;
    const uint64_t looks = by == TOUCH ? 0 : queue_walks(queue);
    const char *fault = queue_fault(queue, by);

    if (fault)
        return trial_fault(trial, "%s", fault);
    trial_count(trial, 0, (int64_t)(looks - passed_over(queue, by, looks, by == BITMAP)), (int64_t)looks);
    return queue_check_turns(trial, queue, in_turn ? 1 : UINT64_MAX);
}

static uint64_t cost_ns(const struct trial *trial)
{
    return queue_cost_ns((int)trial->value[BY], trial->value[TASKS]);
}

KERNEL(tick,
    .name       = "runqueue/tick",
    .summary    = "a scheduler's turn: pick the task that needs it most, run it, put it back with a later key",
    .unit       = "turn",
    .threads    = { .min = 1, .max = 1 },
    .flags      = KERNEL_TWIN,
    .parameters = { [BY] = { .name = "by", .summary = "structure of the run queue", .labels = "touch " STRUCTURES, .initial = RB,
                             .quick = "touch bitmap rb", .standard = "touch bitmap rb avl heap list", .rigorous = "*" },
                    [TASKS] = { .name = "tasks", .unit = "tasks", .summary = "that are ready to run", .initial = 1000, .quick = "100",
                                .standard = "10 100 1000 10000", .rigorous = "10 30 100 300 1000 10000 100000" },
                    [KEYS] = { .name = "keys", .summary = "how a new key is chosen", .labels = "random ascending", .initial = 0,
                               .standard = "random", .rigorous = "*" } },
    .metrics    = { [COMPARISONS] = { "comparisons", "comparisons", "of keys in a turn, counted over turns that are the same everywhere" },
                    [ROTATIONS]   = { "rotations", "rotations", "in a turn, counted over the same turns" },
                    [HEIGHT]      = { "height", "levels", "of nodes, the one above the other, after these turns" },
                    [PASSED_OVER] = { "passed_over_pct", "%", "of turns went to a task while one with a lesser key waited" },
                    [FOOTPRINT]   = { "footprint_bytes", "bytes", "of all tasks" } },
    .counts     = { { "in_order", "turns", "that went to the task that the structure has to give out first" } },
    .setup      = setup,
    .run        = run,
    .check      = check,
    .cost_ns    = cost_ns);
