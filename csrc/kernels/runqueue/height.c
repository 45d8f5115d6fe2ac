/*
 * runqueue/height: how high are search trees, by the order in which their keys come, and are they ever higher than they
 * may be?
 *
 * Nothing is timed. `tasks` are added. One operation, with random keys, takes a task out and puts it back with a new
 * key. `order` is
 *   random     drawn keys
 *   ascending  each key larger than all before: the worst order for a red-black tree, and the best for an AVL tree
 *   fibonacci  the keys of a Fibonacci tree level by level, the root first, and the rest in ascending order: the
 *              highest AVL tree
 * A hundred times on the way the tree is checked. Each time it must keep its rules, and its bound of height. The bound
 * is 2 * log2(n + 1) levels for red-black and 1.4405 * log2(n + 2) - 0.3277 for AVL (Knuth, The Art of Computer
 * Programming 3, 6.2.3). An AVL tree is also given colours, and must keep the rules of a red-black tree.
 * Excluded:  times. See runqueue/tick.
 * Expect:    of 1000 tasks: red-black 13 levels with random keys and 17 ascending. AVL 12, 10, and 14 of a Fibonacci
 *            tree. A full tree has 10.
 * Hazards:   none. With drawn keys each process has a different history. The other heights are the same on every
 *            machine.
 * Not shown: trees of other kinds.
 */
#include "kernel.h"

#include "kernels/runqueue/queue.h"

enum { TREE, TASKS, ORDER, OPERATIONS };
enum { RANDOM, ASCENDING, FIBONACCI };
enum { HEIGHT, LEAST, BOUND, COLOURED };

#define LOOKS 100
#define MAX_OPERATIONS 100000000

/* Part of a Fibonacci tree: its least key, and its height. */
struct part {
    uint64_t low, height;
};

/* Of all AVL trees of this height, one side one level higher than the other has the fewest. */
static uint64_t fewest_nodes(uint64_t height)
{
    uint64_t nodes = 0, below = 0;

    for (uint64_t level = 0; level < height; level++) {
        const uint64_t next = nodes + below + 1;

        below = nodes;
        nodes = next;
    }
    return nodes;
}

static int level_by_level(struct trial *trial, struct runqueue *queue)
{
    struct part *parts = trial_alloc(trial, (2 * queue->count + 2) * sizeof *parts);
    uint64_t given = 0, height = 0;

    if (!parts)
        return -ENOMEM;
    while (fewest_nodes(height + 1) <= queue->count)
        height++;
    parts[0] = (struct part){0, height};
    for (uint64_t i = 0, end = 1; i < end; i++) {
        const uint64_t low = parts[i].low, high = parts[i].height;

        if (!high)
            continue;
        queue->shuffled[given++]->key = low + fewest_nodes(high - 1);
        parts[end++] = (struct part){low, high - 1};
        if (high > 1)
            parts[end++] = (struct part){low + fewest_nodes(high - 1) + 1, high - 2};
    }
    for (; given < queue->count; given++)
        queue->shuffled[given]->key = given;
    return 0;
}

/* What the books allow to so many nodes. */
static double bound(int by, uint64_t nodes)
{
    return by == RB ? 2 * log2((double)nodes + 1) : 1.4405 * log2((double)nodes + 2) - 0.3277;
}

/* Whether an AVL tree can be given the colours of a red-black tree. Its balances are put back afterwards. */
static int can_be_coloured(struct runqueue *queue)
{
    int can;

    for (uint64_t i = 0; i < queue->count; i++)
        queue->tasks[i].turns = (uint64_t)queue->tasks[i].tree.mark;
    avl_colour(&queue->tree);
    can = !rb_fault(&queue->tree, queue->count);
    for (uint64_t i = 0; i < queue->count; i++)
        queue->tasks[i].tree.mark = (int)queue->tasks[i].turns;
    return can;
}

/* One look: 0, or -errno with what is wrong. */
static int look(struct trial *trial, struct runqueue *queue, int by, uint64_t *coloured)
{
    const char *fault = queue_fault(queue, by);
    const double height = queue_height(queue, by);

    if (fault)
        return trial_fault(trial, "%s", fault);
    if (height > bound(by, queue->count))
        return trial_fault(trial, "%.0f levels are more than the bound, %.2f", height, bound(by, queue->count));
    trial->metric[HEIGHT] = fmax(height, trial->metric[HEIGHT]); /* not NaN */
    *coloured += by == AVL && can_be_coloured(queue);
    return 0;
}

static int work(struct worker *worker)
{
    struct trial *trial = worker->trial;
    struct runqueue *queue = trial->state;
    const int by = trial->value[TREE] ? AVL : RB, drawn = trial->value[ORDER] == RANDOM;
    const uint64_t operations = drawn ? (uint64_t)trial->value[OPERATIONS] : 0;
    uint64_t coloured = 0, random = fresh_seed(), looks = 0;
    int status = 0;

    for (uint64_t i = 0; i < queue->count; i++)
        queue_add(queue, by, queue->shuffled[i], NULL);
    for (uint64_t i = 0; i <= operations && !status; i++) {
        if (i % (operations / LOOKS + 1) == 0) {
            status = look(trial, queue, by, &coloured);
            looks++;
        }
        if (i < operations) {
            const uint64_t draw = next_random(&random);
            struct task *task = &queue->tasks[(draw >> 32) * queue->count >> 32];

            queue_remove(queue, by, task, NULL);
            task->key = (uint32_t)draw;
            queue_add(queue, by, task, NULL);
        }
    }
    trial->metric[LEAST] = 64 - __builtin_clzll(queue->count);
    trial->metric[BOUND] = bound(by, queue->count);
    if (by == AVL)
        trial->metric[COLOURED] = 100.0 * (double)coloured / (double)looks;
    trial_count(trial, 0, (int64_t)looks, (int64_t)looks);
    return status;
}

static int setup(struct trial *trial)
{
    const int by = trial->value[TREE] ? AVL : RB, order = (int)trial->value[ORDER];
    const int status = queue_make(trial, by, trial->value[TASKS], order != RANDOM);
    struct runqueue *queue = trial->state;

    if (status)
        return status;
    if (trial->value[OPERATIONS] > MAX_OPERATIONS) {
        trial_fault(trial, "operations=%" PRId64 " is not 0 to %d", trial->value[OPERATIONS], MAX_OPERATIONS);
        return -EINVAL;
    }
    if (order == FIBONACCI)
        return level_by_level(trial, queue);
    queue->random = fresh_seed();
    for (uint64_t i = 0; i < queue->count; i++)
        queue->shuffled[i]->key = order == RANDOM ? (uint32_t)next_random(&queue->random) : i;
    return 0;
}

/* What is wrong has been said by then: a last look. */
static int check(struct trial *trial)
{
    const char *fault = queue_fault(trial->state, trial->value[TREE] ? AVL : RB);

    return fault ? trial_fault(trial, "%s", fault) : 0;
}

/* Seen 200 ns an operation, and 60 ns a task in each look. */
static uint64_t cost_ns(const struct trial *trial)
{
    const uint64_t operations = trial->value[ORDER] == RANDOM ? (uint64_t)trial->value[OPERATIONS] : 0;
    const uint64_t looks = operations ? LOOKS : 1;

    return (uint64_t)trial->value[TASKS] * (200 + 60 * looks) + operations * 200;
}

KERNEL(height,
    .name       = "runqueue/height",
    .summary    = "how high search trees are, by the order of their keys, and whether they keep their rules",
    .unit       = "tree",
    .threads    = { .min = 1, .max = 1 },
    .parameters = { [TREE] = { .name = "tree", .summary = "which", .labels = "rb avl", .initial = 1, .quick = "avl", .standard = "*",
                               .rigorous = "*" },
                    [TASKS] = { .name = "tasks", .unit = "tasks", .summary = "that are in it", .initial = 1000, .quick = "1000",
                                .standard = "1000", .rigorous = "10 100 1000 10000 100000" },
                    [ORDER] = { .name = "order", .summary = "in which keys come", .labels = "random ascending fibonacci", .initial = 0,
                                .quick = "random", .standard = "*", .rigorous = "*" },
                    [OPERATIONS] = { .name = "operations", .unit = "operations", .summary = "that follow, with random keys",
                                     .initial = 10000, .quick = "10000", .standard = "10000", .rigorous = "100000" } },
    .metrics    = { [HEIGHT]   = { "height", "levels", "of nodes, the one above the other: the most that was seen" },
                    [LEAST]    = { "least", "levels", "of a full tree of as many nodes" },
                    [BOUND]    = { "bound", "levels", "that the books allow" },
                    [COLOURED] = { "coloured_pct", "%", "of the AVL trees that were looked at could be coloured red-black" } },
    .counts     = { { "sound", "looks", "at trees that kept their rules and their bound" } },
    .setup      = setup,
    .work       = work,
    .check      = check,
    .cost_ns    = cost_ns);
