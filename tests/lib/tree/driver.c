/*
 * The queues of csrc/lib/tree beside a model of them, for tests: as a library that Python calls, and as a program, which a fault planted in
 * a queue may end.
 */
#include <stdio.h>
#include <unistd.h>

#include "kernels/runqueue/queue.h"

/* Beside each task what the model knows of it. */
struct known {
    bool there;
    uint64_t lap, stamp; /* of the O(1) scheduler: in which lap its turn is; when it was added */
};

struct run {
    struct runqueue queue;
    struct tree_counts counts;
    struct known *known;
    uint64_t tasks, there, lap, stamp;
    int by;
    const char *fault;
};

struct run *make(int by, uint64_t tasks)
{
    struct run *run = calloc(1, sizeof *run);

    run->by = by;
    run->tasks = tasks;
    run->queue.tasks = aligned_alloc(_Alignof(struct task), tasks * sizeof(struct task));
    run->queue.entries = calloc(tasks, sizeof *run->queue.entries);
    run->known = calloc(tasks, sizeof *run->known);
    queue_clear(&run->queue, by);
    return run;
}

void unmake(struct run *run)
{
    free(run->queue.tasks);
    free(run->queue.entries);
    free(run->known);
    free(run);
}

void add(struct run *run, uint64_t task, uint64_t key, int again)
{
    run->queue.tasks[task].key = key;
    (again ? queue_put_back : queue_add)(&run->queue, run->by, &run->queue.tasks[task], &run->counts);
    run->known[task] = (struct known){true, run->lap + (again && run->by == BITMAP), run->stamp++};
    run->there++;
}

/* On a search tree that nobody mends. */
void hang(struct run *run, uint64_t task, uint64_t key)
{
    run->queue.tasks[task].key = key;
    tree_hang(&run->queue.tree, &run->queue.tasks[task].tree, NULL);
    run->there++;
}

void take(struct run *run, uint64_t task)
{
    queue_remove(&run->queue, run->by, &run->queue.tasks[task], &run->counts);
    run->known[task].there = false;
    run->there--;
}

/* Of two tasks that are there, whether the first has its turn before the other. Heaps may change the order of equal keys. */
static bool is_due_before(const struct run *run, uint64_t a, uint64_t b)
{
    const struct known *of_a = &run->known[a], *of_b = &run->known[b];
    const uint64_t key_a = run->queue.tasks[a].key, key_b = run->queue.tasks[b].key;

    if (of_a->lap != of_b->lap)
        return of_a->lap < of_b->lap;
    if (key_a != key_b || run->by == HEAP || run->by == PAIRING)
        return key_a < key_b;
    return of_a->stamp < of_b->stamp;
}

/* The task that is next, -1 for none; sets `fault` where the model says otherwise. */
long first(struct run *run)
{
    const struct task *task_found = queue_first(&run->queue, run->by, 0, &run->counts);
    const long found = task_found - run->queue.tasks;
    long due = -1;

    if (!run->there) {
        /* Of the node NULL, which stands so far behind where its task would begin. */
        if ((uintptr_t)task_found + offsetof(struct task, key))
            run->fault = "an empty queue gives out a task";
        return -1;
    }
    for (uint64_t task = 0; task < run->tasks; task++)
        if (run->known[task].there && (due < 0 || is_due_before(run, task, (uint64_t)due)))
            due = (long)task;
    if (found < 0 || (uint64_t)found >= run->tasks || !run->known[found].there ||
        is_due_before(run, (uint64_t)due, (uint64_t)found))
        run->fault = "another task is due";
    if (run->known[due].lap > run->lap)
        run->lap = run->known[due].lap;
    return found;
}

const char *fault(struct run *run)
{
    run->queue.count = run->there;
    return run->fault ? run->fault : queue_fault(&run->queue, run->by);
}

unsigned height(struct run *run)
{
    return tree_height(run->queue.tree.root);
}

/* The AVL tree as a red-black tree: afterwards it is one. */
const char *coloured(struct run *run)
{
    avl_colour(&run->queue.tree);
    return rb_fault(&run->queue.tree, run->there);
}

uint64_t comparisons(struct run *run)
{
    return run->counts.comparisons;
}

uint64_t rotations(struct run *run)
{
    return run->counts.rotations;
}

/* One operation by chance: add, take any, or let the first have its turn. */
static void operate(struct run *run, uint64_t draw, uint64_t keys)
{
    const uint64_t task = (draw >> 32) % run->tasks, key = draw % keys;

    if (!run->known[task].there)
        add(run, task, key, 0);
    else if (draw >> 20 & 1)
        take(run, task);
    else {
        const long next = first(run);

        if (run->fault)
            return;
        take(run, (uint64_t)next);
        add(run, (uint64_t)next, key, 1);
    }
}

/* So many operations by chance on a queue of its own. NULL, or what went wrong first. */
const char *replay(int by, uint64_t tasks, uint64_t keys, uint64_t seed, uint64_t operations)
{
    struct run *run = make(by, tasks);
    const char *found = NULL;

    for (uint64_t i = 0; i < operations && !found; i++) {
        operate(run, next_random(&seed), keys);
        found = fault(run);
        if (!found)
            first(run);
        found = run->fault ? run->fault : found;
    }
    unmake(run);
    return found;
}

#ifdef PROGRAM
/* Structures by number; the first fault of each, or "-". A queue that never ends is ended. */
int main(int count, char **arguments)
{
    alarm(10);
    for (int i = 1; i < count; i++) {
        const int by = atoi(arguments[i]);
        const char *found = NULL;

        for (uint64_t seed = 1; seed <= 20 && !found; seed++)
            found = replay(by, seed < 10 ? 7 : 60, by == BITMAP ? ARRAYS_LEVELS : seed % 2 ? 5 : 1000, seed, 2000);
        puts(found ? found : "-");
        fflush(stdout);
    }
    return 0;
}
#endif
