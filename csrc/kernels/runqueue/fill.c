/*
 * runqueue/fill: what does it cost to add a task, while a run queue fills up with more tasks than a cache can have?
 *
 * One operation adds 1000 tasks, so its microseconds are nanoseconds a task, which the metric `task_ns` gives. The
 * queue is emptied between two operations where it is full. Tasks, keys and `by` are as in runqueue/enqueue, which
 * times whole queues. There a queue of 100 000 would be a batch of 20 ms. Here a batch is 100 operations, and a case
 * has two batches.
 * Excluded:  emptying the queue.
 * Expect:    flat for the bitmap. Trees grow with the logarithm and with the misses of a cache that is too small.
 *            Subtract touch, which only gives the task its key.
 * Not shown: sorted lists, which take steps by the square of `tasks` to fill.
 */
#include "kernel.h"

#include "kernels/runqueue/queue.h"

enum { BY, TASKS, KEYS };
enum { TASK_NS, FOOTPRINT };

#define A_TIME 1000
#define EVENTS 100
#define BATCHES 2
#define MOST_KEPT 512

struct filling {
    struct runqueue *queue;
    uint64_t filled; /* of the tasks, in the queue at this moment */
    uint64_t kept;
    double task_ticks[MOST_KEPT];
};

QUEUE_INLINE int64_t adds(struct runqueue *queue, int by, uint64_t from)
{
    uint64_t random = queue->random, begin, end;

    begin = tick_begin();
    for (uint64_t i = from; i < from + A_TIME; i++) {
        struct task *task = queue->shuffled[i];

        queue_add_new(queue, by, task, i, &random, NULL);
    }
    end = tick_end();
    queue->random = random;
    queue->turns += A_TIME;
    return (int64_t)(end - begin);
}

static int64_t add_some(struct runqueue *queue, int by, uint64_t from)
{
#define ADDS(by) adds(queue, by, from)
    WITH_STRUCTURE(by, ADDS);
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct filling *filling = worker->trial->state;
    struct runqueue *queue = filling->queue;
    const int by = (int)worker->trial->value[BY];

    for (uint64_t i = 0; i < count; i++) {
        if (filling->filled == queue->count) {
            queue_clear(queue, by);
            filling->filled = 0;
        }
        ticks[i] = add_some(queue, by, filling->filled) - (int64_t)worker->trial->overhead_ticks;
        filling->filled += A_TIME;
        if (filling->kept < MOST_KEPT)
            filling->task_ticks[filling->kept++] = (double)ticks[i] / A_TIME;
    }
    return (int64_t)count;
}

static int setup(struct trial *trial)
{
    const int64_t tasks = trial->value[TASKS];
    struct filling *filling;
    int status;

    if (tasks % A_TIME) {
        trial_fault(trial, "tasks=%" PRId64 " is not a multiple of %d", tasks, A_TIME);
        return -EINVAL;
    }
    status = queue_make(trial, (int)trial->value[BY], tasks, trial->value[KEYS] == 1);
    if (status)
        return status;
    filling = trial_alloc(trial, sizeof *filling);
    if (!filling)
        return -ENOMEM;
    filling->queue = trial->state;
    trial->state = filling;
    filling->queue->random = fresh_seed();
    queue_clear(filling->queue, (int)trial->value[BY]);
    trial->metric[FOOTPRINT] = (double)(filling->queue->count * sizeof(struct task));
    return 0;
}

/* Full at last, whole, and each task was added as often as any other. */
static int check(struct trial *trial)
{
    struct filling *filling = trial->state;
    const int by = (int)trial->value[BY];
    const char *fault;

    while (filling->filled < filling->queue->count) {
        add_some(filling->queue, by, filling->filled);
        filling->filled += A_TIME;
    }
    fault = queue_fault(filling->queue, by);
    trial->metric[TASK_NS] = median_of(filling->task_ticks, filling->kept) / trial->tick_hz * 1e9;
    return fault ? trial_fault(trial, "%s", fault) : queue_check_turns(trial, filling->queue, 0);
}

/* Seen up to 1000 ns a task of 100 000, in an hour with busy neighbours, and 170 ns of 10 000. */
static uint64_t cost_ns(const struct trial *trial)
{
    return UINT64_C(1) * (BATCHES + 1) * EVENTS * A_TIME * (trial->value[TASKS] > 20000 ? 800 : 150);
}

KERNEL(fill,
    .name       = "runqueue/fill",
    .summary    = "add 1000 tasks to a run queue that fills up with many",
    .unit       = "1000 tasks",
    .threads    = { .min = 1, .max = 1 },
    .parameters = { [BY] = { .name = "by", .summary = "structure of the run queue", .labels = "touch bitmap rb avl heap skip pairing",
                             .initial = RB, .quick = "touch rb", .standard = "touch rb", .rigorous = "*" },
                    [TASKS] = { .name = "tasks", .unit = "tasks", .summary = "with which it is full, a multiple of 1000", .initial = 10000,
                                .quick = "10000", .standard = "10000", .rigorous = "10000 100000" },
                    [KEYS] = { .name = "keys", .summary = "how keys are chosen", .labels = "random ascending", .initial = 0,
                               .quick = "random", .standard = "random", .rigorous = "*" } },
    .metrics    = { [TASK_NS]   = { "task_ns", "ns", "of one task" },
                    [FOOTPRINT] = { "footprint_bytes", "bytes", "of all tasks" } },
    .events_per_batch = EVENTS,
    .batches    = BATCHES,
    .setup      = setup,
    .events     = events,
    .check      = check,
    .cost_ns    = cost_ns);
