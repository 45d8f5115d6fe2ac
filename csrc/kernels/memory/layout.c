/*
 * memory/layout: in which order does a process have its instructions, its data, its heap, its mappings and its stack?
 *
 * One operation is one fresh process: a shell that prints its own /proc/self/maps. Nothing is timed. Six places of each
 * process are compared:
 *   text      instructions of the program
 *   data      its initialised variables, and behind them bss, those that begin as 0
 *   heap      the memory that brk(2) gave to malloc
 *   mappings  its libraries, which are mapped like files
 *   stack     of its one thread
 * Excluded:  the engine's own process, whose layout was drawn once for all cases.
 * Expect:    x86-64, Linux: text < data < bss < heap < mappings < stack in 20 of 20 processes, each at other addresses.
 * Hazards:   `ulimit -s unlimited` makes Linux map upwards, as it did long ago. Without randomisation of addresses all
 *            processes are alike. The metric `places` says how many stacks differ. A shell that is linked statically
 *            has no mappings.
 * Not shown: threads, whose stacks are mappings, and the kernel's half of the addresses (memory/invalid reads from it).
 */
#define _GNU_SOURCE
#include "kernels/system.h"

#include <limits.h>
#include <spawn.h>

enum { TEXT, DATA, BSS, HEAP, MAPPINGS, STACK, SEGMENTS };
enum { WHOLE, IN_ORDER };
enum { IN_ORDER_PCT = SEGMENTS, PLACES, FAULTS, MINOR_PCT };

#define PROCESSES 20
/* A shell has some 30 lines of 80 bytes. */
#define MAPS_BYTES 32768
#define SHELL "/bin/sh"
#define TEBIBYTE 0x1p40

extern char **environ;

/* 0 to 0 where the process has none. */
struct segment {
    uintptr_t low, high;
};

struct layouts {
    char program[PATH_MAX]; /* the file of the shell, as the maps name it */
    struct segment of[PROCESSES][SEGMENTS];
    char maps[MAPS_BYTES];
    int looked_at;
    int64_t minor_faults, major_faults; /* of all of them together */
};

static void widen(struct segment *segment, uintptr_t low, uintptr_t high)
{
    if (!segment->high || low < segment->low)
        segment->low = low;
    if (high > segment->high)
        segment->high = high;
}

/* One line of the maps, which come from low to high addresses: bss follows the data at once. */
static void note_mapping(const char *line, const char *program, struct segment *segments)
{
    uintptr_t low, high;
    char rights[5] = "", name[PATH_MAX] = "";
    int which = -1;

    if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*s %*s %*s %4095[^\n]", &low, &high, rights, name) < 3)
        return;
    if (strcmp(name, program) == 0)
        which = rights[2] == 'x' ? TEXT : rights[1] == 'w' ? DATA : -1;
    else if (strcmp(name, "[heap]") == 0)
        which = HEAP;
    else if (strcmp(name, "[stack]") == 0)
        which = STACK;
    else if (strstr(name, ".so")) /* not the vdso, which may lie above the stack */
        which = MAPPINGS;
    else if (!*name && rights[1] == 'w' && segments[DATA].high == low)
        which = BSS;
    if (which >= 0)
        widen(&segments[which], low, high);
}

static void note_maps(struct layouts *layouts, struct segment *segments)
{
    for (char *line = strtok(layouts->maps, "\n"); line; line = strtok(NULL, "\n"))
        note_mapping(line, layouts->program, segments);
}

/* Reads to the end of the pipe, or as much as fits. Bytes or -errno. */
static int64_t read_all(int from, char *text, size_t bytes)
{
    size_t length = 0;
    ssize_t got = 1;

    while (got > 0 && length < bytes - 1) {
        got = read(from, text + length, bytes - 1 - length);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0)
            length += (size_t)got;
    }
    text[length] = '\0';
    return got < 0 ? -errno : (int64_t)length;
}

/* A fresh process with its standard output in the pipe. 0 or -errno. */
static int start_shell(pid_t *shell, const int ends[2])
{
    /* The loop runs in the shell itself: `cat` would tell of its own maps. */
    char *arguments[] = {(char *)SHELL, (char *)"-c",
                         (char *)"while read -r line; do echo \"$line\"; done < /proc/self/maps", NULL};
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);

    if (error)
        return -error;
    error = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    if (!error)
        error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!error)
        error = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (!error)
        error = posix_spawn(shell, SHELL, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    return -error;
}

/* 0 or -errno. The shell ends by itself, also when nobody reads its pipe any more. */
static int look_at_a_process(struct trial *trial, struct segment *segments)
{
    struct layouts *layouts = trial->state;
    int ends[2], status, ended;
    int64_t got;
    pid_t shell;

    if (pipe2(ends, O_CLOEXEC))
        return -errno;
    status = start_shell(&shell, ends);
    close(ends[1]);
    if (status) {
        close(ends[0]);
        return status == -EAGAIN
                   ? trial_needs(trial, "permission for one more process (ulimit -u, pids.max of the cgroup)")
                   : status;
    }
    got = read_all(ends[0], layouts->maps, sizeof layouts->maps);
    close(ends[0]);
    ended = wait_for_child(shell);
    if (got < 0)
        return (int)got;
    if (ended)
        return trial_fault(trial, "the shell ended with status %d", ended);
    note_maps(layouts, segments);
    return segments[TEXT].high && !segments[MAPPINGS].high ? trial_needs(trial, "a shell with libraries (" SHELL ")")
                                                           : 0;
}

static int setup(struct trial *trial)
{
    struct layouts *layouts = trial_alloc(trial, sizeof *layouts);

    if (!layouts)
        return -ENOMEM;
    if (!realpath(SHELL, layouts->program) || access(layouts->program, X_OK))
        return trial_needs(trial, "a shell (" SHELL ")");
    return access("/proc/self/maps", R_OK) ? trial_needs(trial, "/proc/self/maps") : 0;
}

static int work(struct worker *worker)
{
    struct layouts *layouts = worker->trial->state;
    struct rusage before, after;
    int status = 0;

    getrusage(RUSAGE_CHILDREN, &before);
    for (; layouts->looked_at < PROCESSES && !status; layouts->looked_at += !status)
        status = look_at_a_process(worker->trial, layouts->of[layouts->looked_at]);
    getrusage(RUSAGE_CHILDREN, &after);
    layouts->minor_faults = after.ru_minflt - before.ru_minflt;
    layouts->major_faults = after.ru_majflt - before.ru_majflt;
    return status;
}

/* All but bss, which may end on the last page of the data and then has no mapping of its own. */
static int is_whole(const struct segment *segments)
{
    for (int i = 0; i < SEGMENTS; i++)
        if (i != BSS && !segments[i].high)
            return 0;
    return 1;
}

static int is_in_order(const struct segment *segments)
{
    uintptr_t end = 0;

    for (int i = 0; i < SEGMENTS; i++) {
        if (segments[i].high && segments[i].low < end)
            return 0;
        if (segments[i].high)
            end = segments[i].high;
    }
    return 1;
}

static int check(struct trial *trial)
{
    struct layouts *layouts = trial->state;
    int64_t whole = 0, in_order = 0, places = 0;

    for (int i = 0; i < PROCESSES; i++) {
        int seen = 0;

        whole += is_whole(layouts->of[i]);
        in_order += is_whole(layouts->of[i]) && is_in_order(layouts->of[i]);
        for (int j = 0; j < i; j++)
            seen |= layouts->of[j][STACK].high == layouts->of[i][STACK].high;
        places += !seen;
    }
    for (int segment = 0; segment < SEGMENTS; segment++)
        if (layouts->of[0][segment].high)
            trial->metric[segment] = (double)layouts->of[0][segment].low / TEBIBYTE;
    trial->metric[IN_ORDER_PCT] = 100.0 * (double)in_order / PROCESSES;
    trial->metric[PLACES] = (double)places;
    trial->metric[FAULTS] = (double)layouts->minor_faults / PROCESSES;
    trial->metric[MINOR_PCT] =
        100.0 * (double)layouts->minor_faults / (double)(layouts->minor_faults + layouts->major_faults);
    if (layouts->minor_faults <= 0)
        return trial_fault(trial, "%d fresh processes had no minor fault", PROCESSES);
    trial_count(trial, WHOLE, whole, PROCESSES);
    trial_count(trial, IN_ORDER, in_order, PROCESSES);
    return 0;
}

static uint64_t cost_ns(const struct trial *trial)
{
    (void)trial;
    return PROCESSES * UINT64_C(1500000);
}

KERNEL(layout,
    .name    = "memory/layout",
    .summary = "where fresh processes have their instructions, data, heap, mappings and stack",
    .unit    = "process",
    .threads = { .min = 1, .max = 1 },
    .metrics = { [TEXT]         = { "text_at", "TiB", "address of the instructions of the first process" },
                 [DATA]         = { "data_at", "TiB", "of its data" },
                 [BSS]          = { "bss_at", "TiB", "of its bss, where that has a mapping of its own" },
                 [HEAP]         = { "heap_at", "TiB", "of its heap" },
                 [MAPPINGS]     = { "mappings_at", "TiB", "of the lowest of its libraries" },
                 [STACK]        = { "stack_at", "TiB", "of its stack" },
                 [IN_ORDER_PCT] = { "in_order_pct", "%", "share of processes whose segments are in order" },
                 [PLACES]       = { "places", "stacks", "different ends of the stack among 20 processes" },
                 [FAULTS]       = { "minor_faults", "faults", "minor faults of a process from its start to its end" },
                 [MINOR_PCT]    = { "minor_pct", "%", "share of minor ones among its page faults" } },
    .counts  = { [WHOLE]    = { "whole", "processes", "fresh processes of which all segments were found" },
                 [IN_ORDER] = { "in_order", "processes", "those with text < data < bss < heap < mappings < stack" } },
    .setup   = setup,
    .work    = work,
    .check   = check,
    .cost_ns = cost_ns);
