/* Kernels for test_processes.py: the second member is a process, and does as it should or fails in a way of its own. */
#define _GNU_SOURCE
#include "kernel.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define MEMBERS 4

struct shared {
    _Atomic uint64_t turns[MEMBERS];
    _Atomic int pid[MEMBERS], parent[MEMBERS], cpu[MEMBERS];
    _Atomic uint64_t word;
    _Atomic uint64_t windows;
    int pipe[2];
};

int torn_down;

static int setup(struct trial *trial)
{
    struct shared *shared;

    trial->processes = 1;
    shared = trial_alloc(trial, sizeof *shared);
    return !shared ? -ENOMEM : pipe(shared->pipe) ? -errno : 0;
}

static void teardown(struct trial *trial)
{
    struct shared *shared = trial->state;

    close(shared->pipe[0]);
    close(shared->pipe[1]);
    torn_down++;
}

static void note(struct shared *shared, const struct worker *worker)
{
    shared->pid[worker->index] = getpid();
    shared->parent[worker->index] = getppid();
    shared->cpu[worker->index] = sched_getcpu();
}

/* One word to and fro: neither goes on without the other. */
static void pass(struct worker *worker, uint64_t operations)
{
    struct shared *shared = worker->trial->state;
    const uint64_t me = worker->index;

    note(shared, worker);
    if (me < 2)
        for (uint64_t i = 0; i < operations; i++) {
            while (atomic_load(&shared->word) % 2 != me)
                if (worker->trial->oversubscribed)
                    sched_yield();
            atomic_fetch_add(&shared->word, 1);
        }
    shared->turns[me] += operations;
}

static int all_took_part(struct trial *trial)
{
    struct shared *shared = trial->state;

    for (unsigned i = 0; i < trial->team_size; i++) {
        if (shared->turns[i] != shared->turns[0] || shared->turns[0] == 0)
            return trial_fault(trial, "worker %u made %d of %d turns", i, (int)shared->turns[i], (int)shared->turns[0]);
        if (shared->cpu[i] != trial->cpus[i])
            return trial_fault(trial, "worker %u was on CPU %d", i, shared->cpu[i]);
        if (i > 0 && (shared->parent[i] != getpid() || shared->pid[i] == getpid()))
            return trial_fault(trial, "worker %u is no process of its own", i);
    }
    return shared->word == 2 * shared->turns[0] ? 0 : trial_fault(trial, "a turn was lost");
}
KERNEL(passed, .name = "process/pass", .summary = "s", .unit = "u", .threads = {2, MEMBERS}, .setup = setup,
       .run = pass, .check = all_took_part, .teardown = teardown)

static int64_t one(struct worker *worker, int64_t *ticks, uint64_t count)
{
    pass(worker, 1);
    if (count)
        ticks[0] = 1;
    return (int64_t)(count > 0);
}
KERNEL(events, .name = "process/events", .summary = "s", .unit = "u", .threads = {2, MEMBERS}, .setup = setup,
       .events = one, .events_per_batch = 1, .batches = 5, .check = all_took_part, .teardown = teardown)

/* The second process ends in the second window, in a way of its own, while the others wait for it in a way of theirs. */
enum { WAITING, ENDING };
enum { SPINNING, READING, MEETING };
enum { KILLED, SEGFAULT, LEAVES, LEAVES_WELL };
static void end(int how)
{
    if (how == KILLED)
        raise(SIGKILL);
    signal(SIGSEGV, SIG_DFL); /* pytest would print its own state first */
    if (how == SEGFAULT)
        raise(SIGSEGV);
    _exit(how == LEAVES ? 3 : 0);
}
static void desert(struct worker *worker, uint64_t operations)
{
    struct shared *shared = worker->trial->state;
    char byte;

    note(shared, worker);
    if (shared->windows++ < worker->team_size)
        return pass(worker, operations);
    if (worker->index == 1)
        end((int)worker->trial->value[ENDING]);
    if (worker->trial->value[WAITING] == SPINNING)
        while (atomic_load(&shared->word) != UINT64_MAX)
            ;
    else if (worker->trial->value[WAITING] == READING)
        (void)!read(shared->pipe[0], &byte, 1);
}
static int64_t desert_event(struct worker *worker, int64_t *ticks, uint64_t count)
{
    desert(worker, 1);
    if (count)
        ticks[0] = 1;
    return (int64_t)(count > 0);
}
static int fine(struct trial *trial)
{
    (void)trial;
    return 0;
}
#define WAYS                                                                                                           \
    {                                                                                                                  \
        [WAITING] = {"waiting", "", "s", "spinning reading meeting"},                                                  \
        [ENDING] = {"ending", "", "s", "killed segfault leaves leaves_well"},                                          \
    }
KERNEL(desert, .name = "process/desert", .summary = "s", .unit = "u", .threads = {2, MEMBERS}, .parameters = WAYS,
       .setup = setup, .run = desert, .check = fine, .teardown = teardown)
KERNEL(desert_event, .name = "process/desert_event", .summary = "s", .unit = "u", .threads = {2, MEMBERS},
       .parameters = WAYS, .setup = setup, .events = desert_event, .events_per_batch = 1, .check = fine,
       .teardown = teardown)

static void past(struct worker *worker, uint64_t operations)
{
    pass(worker, operations);
    if (worker->index == 1)
        ((volatile char *)worker->trial->state)[sizeof(struct shared)] = 1;
}
KERNEL(past, .name = "process/past", .summary = "s", .unit = "u", .threads = {2, 2}, .setup = setup, .run = past,
       .check = fine, .teardown = teardown)

static int64_t complain(struct worker *worker, int64_t *ticks, uint64_t count)
{
    (void)ticks;
    (void)count;
    return worker->index == 1 ? trial_fault(worker->trial, "found nothing to do") : 0;
}
KERNEL(complain, .name = "process/complain", .summary = "s", .unit = "u", .threads = {2, 2}, .setup = setup,
       .events = complain, .events_per_batch = 1, .check = fine, .teardown = teardown)

/* For ever: until somebody from outside ends it. */
static void stay(struct worker *worker, uint64_t operations)
{
    (void)operations;
    note(worker->trial->state, worker);
    for (;;)
        pause();
}
KERNEL(stay, .name = "process/stay", .summary = "s", .unit = "u", .threads = {2, MEMBERS}, .setup = setup, .run = stay,
       .check = fine, .teardown = teardown)
