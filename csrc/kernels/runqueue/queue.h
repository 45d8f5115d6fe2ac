/*
 * Shared by the kernels of this topic: tasks in a run queue, whose structure is a parameter. Each structure comes from
 * csrc/lib/tree. Each call below becomes a call of one of them, since `by` is a constant wherever time is taken.
 */
#ifndef FENCEPOST_RUNQUEUE_QUEUE_H
#define FENCEPOST_RUNQUEUE_QUEUE_H

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"
#include "kernels/random.h"
#include "lib/tree/arrays.h"
#include "lib/tree/avl.h"
#include "lib/tree/heap.h"
#include "lib/tree/list.h"
#include "lib/tree/pairing.h"
#include "lib/tree/rb.h"
#include "lib/tree/skip.h"

enum { TOUCH, BITMAP, RB, AVL, HEAP, SKIP, PAIRING, LIST, SCAN };
/* As labels: all but the control, which is no structure. */
#define STRUCTURES "bitmap rb avl heap skip pairing list scan"

#define MAX_TASKS 1000000
/* Turns that are counted, all from the same keys: so the counts are the same in each process and on each machine. */
#define COUNTED 1000
#define COUNTED_SEED 1
/* Steps of walks through all tasks, in each case: with many tasks fewer turns are looked at that take one. */
#define WALKED 200000
/* New keys are drawn from so many: of 100 000 tasks two or three have the same. */
#define SPREAD (UINT64_C(1) << 31)

/* Two lines. Every structure has its node in the same place, so that none fits more tasks into a cache than another. */
struct task {
    _Alignas(128) uint64_t turns;
    union {
        uint64_t key; /* all nodes begin with it */
        struct tree_node tree;
        struct heap_node heap;
        struct skip_node skip;
        struct pairing_node pairing;
        struct list_node list;
        struct arrays_node arrays;
    };
};

struct runqueue {
    union {
        struct tree tree;
        struct heap heap;
        struct skip skip;
        struct pairing pairing;
        struct list list;
        struct arrays arrays;
    };
    struct heap_entry *entries; /* of the heap */
    struct task *tasks, **shuffled;
    uint64_t count, random;
    uint64_t step, spread; /* a new key is larger than the old one by `step` and a number drawn below `spread` */
    uint64_t turns;        /* that all tasks together have had */
    uint64_t ran;          /* the key of the task that had the last one, before it had it */
    uint64_t looks, seen;  /* of runqueue/pick: looks, and the sum of the keys that they saw */
};

/* A loop for each structure, which knows it as a constant: the choice is made before it and not in it. */
#define WITH_STRUCTURE(by, loop)                                                                                       \
    switch (by) {                                                                                                      \
    case TOUCH:                                                                                                        \
        return loop(TOUCH);                                                                                            \
    case BITMAP:                                                                                                       \
        return loop(BITMAP);                                                                                           \
    case RB:                                                                                                           \
        return loop(RB);                                                                                               \
    case AVL:                                                                                                          \
        return loop(AVL);                                                                                              \
    case HEAP:                                                                                                         \
        return loop(HEAP);                                                                                             \
    case SKIP:                                                                                                         \
        return loop(SKIP);                                                                                             \
    case PAIRING:                                                                                                      \
        return loop(PAIRING);                                                                                          \
    case LIST:                                                                                                         \
        return loop(LIST);                                                                                             \
    default:                                                                                                           \
        return loop(SCAN);                                                                                             \
    }

#define QUEUE_INLINE static inline __attribute__((always_inline, unused))
#define task_of(node) ((struct task *)((char *)(node)-offsetof(struct task, key)))

QUEUE_INLINE void queue_add(struct runqueue *queue, int by, struct task *task, struct tree_counts *counts)
{
    switch (by) {
    case BITMAP:
        return arrays_add(&queue->arrays, &task->arrays);
    case RB:
        return rb_add(&queue->tree, &task->tree, counts);
    case AVL:
        return avl_add(&queue->tree, &task->tree, counts);
    case HEAP:
        return heap_add(&queue->heap, &task->heap, counts);
    case SKIP:
        return skip_add(&queue->skip, &task->skip, counts);
    case PAIRING:
        return pairing_add(&queue->pairing, &task->pairing, counts);
    case LIST:
        return list_add(&queue->list, &task->list, counts);
    case SCAN:
        return scan_add(&queue->list, &task->list);
    default:
        return;
    }
}

/* A task that is the `place`-th to come, with a new key: a drawn one, or one behind all others. */
QUEUE_INLINE void queue_add_new(struct runqueue *queue, int by, struct task *task, uint64_t place, uint64_t *random,
                                struct tree_counts *counts)
{
    task->turns++;
    task->key = queue->spread ? (uint32_t)next_random(random) * queue->spread >> 32 : place;
    if (by == BITMAP)
        task->key %= ARRAYS_LEVELS;
    queue_add(queue, by, task, counts);
}

/* In the O(1) scheduler a task that had its turn waits for the next lap. In any other queue its key gives its place. */
QUEUE_INLINE void queue_put_back(struct runqueue *queue, int by, struct task *task, struct tree_counts *counts)
{
    if (by == BITMAP)
        arrays_expire(&queue->arrays, &task->arrays);
    else
        queue_add(queue, by, task, counts);
}

/* Who is next. The control has no queue and takes any task. */
QUEUE_INLINE struct task *queue_first(struct runqueue *queue, int by, uint64_t draw, struct tree_counts *counts)
{
    switch (by) {
    case BITMAP:
        return task_of(arrays_first(&queue->arrays));
    case RB:
        return task_of(rb_first(&queue->tree));
    case AVL:
        return task_of(avl_first(&queue->tree));
    case HEAP:
        return task_of(heap_first(&queue->heap));
    case SKIP:
        return task_of(skip_first(&queue->skip));
    case PAIRING:
        return task_of(pairing_first(&queue->pairing));
    case LIST:
        return task_of(list_first(&queue->list));
    case SCAN:
        return task_of(scan_first(&queue->list, counts));
    default:
        return &queue->tasks[(draw >> 32) * queue->count >> 32];
    }
}

QUEUE_INLINE void queue_remove(struct runqueue *queue, int by, struct task *task, struct tree_counts *counts)
{
    switch (by) {
    case BITMAP:
        return arrays_remove(&task->arrays);
    case RB:
        return rb_remove(&queue->tree, &task->tree, counts);
    case AVL:
        return avl_remove(&queue->tree, &task->tree, counts);
    case HEAP:
        return heap_remove(&queue->heap, &task->heap, counts);
    case SKIP:
        return skip_remove(&queue->skip, &task->skip, counts);
    case PAIRING:
        return pairing_remove(&queue->pairing, &task->pairing, counts);
    case LIST:
    case SCAN:
        return list_unlink(&task->list);
    default:
        return;
    }
}

/* An empty queue. */
static inline void queue_clear(struct runqueue *queue, int by)
{
    if (by == BITMAP)
        arrays_init(&queue->arrays);
    else if (by == LIST || by == SCAN)
        list_init(&queue->list);
    else if (by == HEAP)
        queue->heap = (struct heap){.entries = queue->entries};
    else if (by == SKIP)
        queue->skip = (struct skip){.random = COUNTED_SEED};
    else
        queue->tree = (struct tree){0}; /* an empty pairing heap as well */
}

/* NULL, or what is wrong with the queue. */
static inline const char *queue_fault(const struct runqueue *queue, int by)
{
    switch (by) {
    case BITMAP:
        return arrays_fault(&queue->arrays, queue->count);
    case RB:
        return rb_fault(&queue->tree, queue->count);
    case AVL:
        return avl_fault(&queue->tree, queue->count);
    case HEAP:
        return heap_fault(&queue->heap, queue->count);
    case SKIP:
        return skip_fault(&queue->skip, queue->count);
    case PAIRING:
        return pairing_fault(&queue->pairing, queue->count);
    case LIST:
        return list_fault(&queue->list, queue->count);
    case SCAN:
        return scan_fault(&queue->list, queue->count);
    default:
        return NULL;
    }
}

/* Levels of nodes one above the other. NaN if the queue has no levels. */
static inline double queue_height(const struct runqueue *queue, int by)
{
    switch (by) {
    case RB:
    case AVL:
        return tree_height(queue->tree.root);
    case HEAP:
        return 64 - __builtin_clzll(queue->count);
    case SKIP:
        return queue->skip.head.lanes;
    default:
        return NAN;
    }
}

static inline int descending(const void *a, const void *b)
{
    const uint64_t of_a = (*(struct task *const *)a)->key, of_b = (*(struct task *const *)b)->key;

    return (of_a < of_b) - (of_a > of_b);
}

/*
 * All tasks with new keys, added one by one. Drawn keys are as after many turns. What is left of a number drawn below `spread` is below a
 * part x of it with the chance 1 - (1 - x)^2, as the lesser of two draws is.
 */
static inline void queue_fill(struct runqueue *queue, int by, uint64_t seed)
{
    queue->random = seed;
    queue_clear(queue, by);
    for (uint64_t i = 0; i < queue->count; i++) {
        const uint64_t draw = next_random(&queue->random), a = draw >> 32, b = (uint32_t)draw;

        queue->shuffled[i]->key = queue->spread ? (a < b ? a : b) * queue->spread >> 32 : i;
        if (by == BITMAP)
            queue->shuffled[i]->key %= ARRAYS_LEVELS;
        queue->shuffled[i]->turns = 0;
    }
    queue->turns = 0;
    /* Each goes to the front of a sorted list: it would take hours otherwise. */
    if (by == LIST)
        qsort(queue->shuffled, queue->count, sizeof *queue->shuffled, descending);
    for (uint64_t i = 0; i < queue->count; i++)
        queue_add(queue, by, queue->shuffled[i], NULL);
}

/* The queue as trial->state, with its tasks, which are in none yet. 0 or -errno. */
static inline int queue_make(struct trial *trial, int by, int64_t tasks, int ascending)
{
    struct runqueue *queue = trial_alloc(trial, sizeof *queue);
    uint64_t random = fresh_seed();

    if (!queue)
        return -ENOMEM;
    if (tasks < 1 || tasks > MAX_TASKS) {
        trial_fault(trial, "tasks=%" PRId64 " is not 1 to %d", tasks, MAX_TASKS);
        return -EINVAL;
    }
    queue->count = (uint64_t)tasks;
    queue->spread = ascending ? 0 : by == BITMAP ? ARRAYS_LEVELS : SPREAD;
    queue->step = ascending && by != BITMAP ? queue->count : 1;
    /* On huge pages, as Linux has its own tasks: the figure is about caches, and memory/tlb is about translations. */
    queue->tasks = trial_alloc_pages(trial, queue->count * sizeof *queue->tasks, 1);
    queue->shuffled = trial_alloc(trial, queue->count * sizeof(struct task *));
    queue->entries = by == HEAP ? trial_alloc(trial, queue->count * sizeof *queue->entries) : NULL;
    if (!queue->tasks || !queue->shuffled || (by == HEAP && !queue->entries))
        return -ENOMEM;
    /* Neighbours in the queue are not neighbours in memory (Fisher and Yates). */
    for (uint64_t i = 0; i < queue->count; i++) {
        const uint64_t other = (next_random(&random) >> 32) * (i + 1) >> 32;

        queue->shuffled[i] = queue->shuffled[other];
        queue->shuffled[other] = &queue->tasks[i];
    }
    return 0;
}

/* The least key of all tasks, or of those of this array alone. */
static inline uint64_t queue_least(const struct runqueue *queue, const struct arrays_half *half)
{
    uint64_t least = UINT64_MAX;

    for (const struct task *task = queue->tasks; task < queue->tasks + queue->count; task++)
        if (task->key < least && (!half || task->arrays.half == half))
            least = task->key;
    return least;
}

/* How often a case may walk through all tasks. */
static inline uint64_t queue_walks(const struct runqueue *queue)
{
    const uint64_t walks = WALKED / queue->count;

    return walks < 1 ? 1 : walks < COUNTED ? walks : COUNTED;
}

/* All turns that were given were had, and no task had so many more than another. 0 or -errno. */
static inline int queue_check_turns(struct trial *trial, const struct runqueue *queue, uint64_t apart)
{
    uint64_t had = 0, least = queue->turns, most = 0;

    for (const struct task *task = queue->tasks; task < queue->tasks + queue->count; task++) {
        had += task->turns;
        least = task->turns < least ? task->turns : least;
        most = task->turns > most ? task->turns : most;
    }
    if (had != queue->turns)
        return trial_fault(trial, "%" PRIu64 " turns were given, and %" PRIu64 " were had", queue->turns, had);
    if (most - least > apart)
        return trial_fault(trial, "one task had %" PRIu64 " turns, and another %" PRIu64, most, least);
    return 0;
}

/*
 * Of one case. It took 700 ns a task to fill a queue twice, to count and to look. Tasks that leave the caches took 3 us. They took 15 us
 * where each turn walks through all of them, since a batch is never shorter than a turn.
 */
static inline uint64_t queue_cost_ns(int by, int64_t tasks)
{
    const uint64_t a_task = tasks <= 20000 ? 700 : by == LIST || by == SCAN ? 15000 : 3000;

    return (uint64_t)tasks * a_task + 500000;
}

#endif
