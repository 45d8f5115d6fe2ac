/*
 * perf/migrations: does a thread stay on the CPU that it was given?
 *
 * Linux counts the moves of a thread from CPU to CPU. One operation is one such look.
 *   asked   the thread asks for 20 moves, to and fro: the control of the count
 *   pinned  it may use one CPU only, and another thread spins there, for 12 ms
 *   free    the same, but it may use two CPUs. It looks until it was moved, for 60 ms at most: the control of pinned
 * Nothing is timed: moves are counted.
 * Excluded:  making the thread that spins.
 * Expect:    20, 0, and at least 1 on a machine whose other CPU has nothing to do.
 * Hazards:   if the other CPU is busy too, a free thread may stay for long, and says nothing about a pinned one.
 * Not shown: the cost of a move.
 */
#define _GNU_SOURCE
#include "kernels/cpus.h"
#include "kernels/perf_events.h"

#include <sched.h>
#include <time.h>

enum { ASKED, PINNED, FREE };
enum { MIGRATIONS };

#define MOVES 20
#define PINNED_NS UINT64_C(12000000)
#define FREE_NS UINT64_C(60000000)
/* Between two looks at the CPU's number. */
#define LOOK_NS 100000

struct moves {
    int event;             /* -1: none */
    int64_t seen, counted; /* by the thread itself, and by Linux */
    int64_t elsewhere;     /* looks at which it was on a CPU that it may not use */
};

/* Whether it is on another CPU than `last`, which then becomes this one. */
static int has_moved(struct moves *moves, const int *cpus, unsigned count, int *last)
{
    const int now = sched_getcpu(), moved = now != *last;
    int allowed = 0;

    for (unsigned i = 0; i < count; i++)
        allowed |= now == cpus[i];
    moves->elsewhere += !allowed;
    moves->seen += moved;
    *last = now;
    return moved;
}

static int ask_for_moves(const struct trial *trial, struct moves *moves)
{
    int last = sched_getcpu(), status = 0;

    for (int i = 0; i < MOVES && !status; i++) { /* an even number: the last one leads home */
        const int *to = &trial->cpus[i % 2 ? 0 : 1];

        status = run_on(to, 1);
        has_moved(moves, to, 1, &last);
    }
    return status;
}

/* Beside the load. A free one has seen enough with its first move. */
static int stay(const struct trial *trial, struct moves *moves, int is_free)
{
    const uint64_t end = now_ns() + (is_free ? FREE_NS : PINNED_NS);
    const int status = is_free ? run_on(trial->cpus, 2) : 0;
    int last = trial->cpus[0], moved = 0;

    while (now_ns() < end && !moved && !status) {
        spin_ns(LOOK_NS);
        moved = has_moved(moves, trial->cpus, is_free ? 2 : 1, &last);
    }
    return status;
}

static int setup(struct trial *trial)
{
    struct moves *moves = trial_alloc(trial, sizeof *moves);

    if (!moves)
        return -ENOMEM;
    moves->event = -1;
    if (trial->oversubscribed)
        return trial_needs(trial, "2 CPUs, to move from one to the other");
    if (trial->value[0] == ASKED)
        return 0;
    return trial_load(trial, trial->cpus[0], &(struct schedule){.policy = SCHED_OTHER});
}

static int work(struct worker *worker)
{
    struct trial *trial = worker->trial;
    struct moves *moves = trial->state;
    const int64_t kind = trial->value[0];
    int status = 0, home;

    if (worker->index > 0) /* it only has the second CPU */
        return 0;
    moves->event = event_open(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS, IN_LINUX_TOO);
    if (moves->event < 0)
        return event_refused(trial, moves->event);
    /* Linux notes a move when it happens and counts it when the thread next gets a CPU. A new thread has its maker's note (seen in 1 of 20
       processes), so it gives its CPU up once before it counts. */
    nanosleep(&(struct timespec){0, 1}, NULL);
    event_start(moves->event);
    if (kind == ASKED)
        status = ask_for_moves(trial, moves);
    else
        status = stay(trial, moves, kind == FREE);
    moves->counted = event_stop(moves->event);
    home = run_on(trial->cpus, 1);
    return status ? status : moves->counted < 0 ? (int)moves->counted : home;
}

/* It was only where it might be. All moves that it saw were counted, and where they are known, no others. */
static int check(struct trial *trial)
{
    const struct moves *moves = trial->state;
    const int64_t kind = trial->value[0];

    if (moves->elsewhere)
        return trial_fault(trial, "at %" PRId64 " looks the thread was on a CPU that it must not use",
                           moves->elsewhere);
    if (kind == ASKED && moves->seen != MOVES)
        return trial_fault(trial, "%" PRId64 " moves instead of %d", moves->seen, MOVES);
    if (kind == FREE) /* it may be moved twice between two looks */
        trial_count(trial, 0, moves->counted < moves->seen ? moves->counted : moves->seen, moves->seen);
    else
        trial_count(trial, 0, moves->counted, moves->seen);
    trial->metric[MIGRATIONS] = (double)moves->counted;
    return 0;
}

static void teardown(struct trial *trial)
{
    const struct moves *moves = trial->state;

    if (moves && moves->event >= 0)
        close(moves->event);
}

static uint64_t cost_ns(const struct trial *trial)
{
    static const uint64_t costs_ns[] = {[ASKED] = MOVES * 100000, [PINNED] = PINNED_NS, [FREE] = FREE_NS / 2};

    return costs_ns[trial->value[0]];
}

KERNEL(migrations,
    .name       = "perf/migrations",
    .summary    = "Linux counts the moves of a thread from CPU to CPU",
    .unit       = "look",
    .threads    = { .min = 2, .max = 2 },
    .parameters = { { .name = "moves", .summary = "which there can be", .labels = "asked pinned free", .initial = ASKED,
                      .quick = "asked", .standard = "*", .rigorous = "*" } },
    .metrics    = { [MIGRATIONS] = { "migrations", "1", "counted by Linux" } },
    .counts     = { { "counted", "moves", "of those that the thread saw" } },
    .setup      = setup,
    .work       = work,
    .check      = check,
    .teardown   = teardown,
    .cost_ns    = cost_ns);
