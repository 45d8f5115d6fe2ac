/*
 * clock/call:         what does it cost to ask the system for the time, for each clock, through libc and through the
 *                     kernel?
 * clock/null_syscall: and how much of that is the way into the kernel and back?
 * clock/resolution:   what is the smallest step that each clock really makes?
 * clock/python:       what does time.perf_counter_ns() cost, called through CPython's own API?
 *
 * One operation of clock/call is one call that fills in a struct timespec (timeval for gettimeofday). Through libc, the
 * vDSO answers most clocks without entering the kernel, if the machine's clocksource allows it. Through syscall(2),
 * every call enters the kernel. One operation of clock/null_syscall is syscall(SYS_getppid), which does next to nothing
 * inside. One event of clock/resolution is one step: the difference between two different readings in a row, in ticks.
 * One operation of clock/python is one call without arguments. Its result is dropped, so the operation includes making
 * an int object.
 * Excluded:  for clock/python, bytecode dispatch and the look-up of the name. A call in a Python loop costs 15-30 ns
 *            more. Taking the interpreter's lock, once a batch, is some 100 ns in 50 us.
 * Expect:    reference guest, through libc: monotonic 21.7, monotonic_raw 22.1, monotonic_coarse 5.0, boottime 21.7,
 *            gettimeofday 22.7 ns, thread_cputime 242.6 (no vDSO for it). Through the kernel: 162.9 ns, getpid 101-122
 *            ns with mitigations. Resolution: getres says 1 ns, and the smallest step is the cost of a call. For the
 *            coarse clock both are 1/HZ (4 ms at HZ=250).
 * Hazards:   with clocksource xen, hpet or acpi_pm the vDSO enters the kernel, and libc costs as much as syscall. The
 *            machine facts of the run name the clocksource.
 * Not shown: the cost of cold code. A program that asks for the time once a millisecond pays cache misses on top.
 */
#define _GNU_SOURCE
#include "kernel.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Label, clock id. gettimeofday has its own calls, and microseconds. */
#define CLOCKS(X)                                                                                                      \
    X(monotonic, CLOCK_MONOTONIC)                                                                                      \
    X(monotonic_raw, CLOCK_MONOTONIC_RAW)                                                                              \
    X(monotonic_coarse, CLOCK_MONOTONIC_COARSE)                                                                        \
    X(boottime, CLOCK_BOOTTIME)                                                                                        \
    X(realtime, CLOCK_REALTIME)                                                                                        \
    X(thread_cputime, CLOCK_THREAD_CPUTIME_ID)                                                                         \
    X(process_cputime, CLOCK_PROCESS_CPUTIME_ID)

#define VALUE(name, id) CALL_##name,
#define WORD(name, id) #name " "
#define LABELS CLOCKS(WORD) "gettimeofday"

enum { CLOCKS(VALUE) CALL_gettimeofday, CALL_COUNT };
enum { VIA_LIBC, VIA_SYSCALL, VIA_COUNT };

struct readings {
    uint64_t first_ns, last_ns; /* ends of all batches so far */
    uint64_t batches, backward, failed;
};

union reading {
    struct timespec spec;
    struct timeval val;
};

static uint64_t ns_of(int64_t clock, const union reading *now)
{
    if (clock == CALL_gettimeofday)
        return (uint64_t)now->val.tv_sec * 1000000000 + (uint64_t)now->val.tv_usec * 1000;
    return (uint64_t)now->spec.tv_sec * 1000000000 + (uint64_t)now->spec.tv_nsec;
}

static void note(struct readings *readings, uint64_t now_ns, long failed)
{
    if (readings->batches++ == 0)
        readings->first_ns = now_ns;
    else if (now_ns < readings->last_ns)
        readings->backward++;
    readings->last_ns = now_ns;
    readings->failed += failed != 0;
}

/* Each loop has its own call with its own constants in it: nothing is looked up inside. */
#define LOOP(name, via, call)                                                                                          \
    static void loop_##name##_##via(struct worker *worker, uint64_t operations)                                        \
    {                                                                                                                  \
        union reading now = {.spec = {0, 0}};                                                                          \
        long failed = 0;                                                                                               \
                                                                                                                       \
        for (uint64_t i = 0; i < operations; i++)                                                                      \
            failed |= call;                                                                                            \
        note(worker->trial->state, ns_of(CALL_##name, &now), failed);                                                  \
    }

#define LOOPS(name, id)                                                                                                \
    LOOP(name, libc, clock_gettime(id, &now.spec))                                                                     \
    LOOP(name, syscall, syscall(SYS_clock_gettime, id, &now.spec))

CLOCKS(LOOPS)
LOOP(gettimeofday, libc, gettimeofday(&now.val, NULL))
LOOP(gettimeofday, syscall, syscall(SYS_gettimeofday, &now.val, NULL))

#define ROW(name, id) [CALL_##name] = {loop_##name##_libc, loop_##name##_syscall},

static void (*const loops[CALL_COUNT][VIA_COUNT])(struct worker *worker, uint64_t operations) = {
    [CALL_gettimeofday] = {loop_gettimeofday_libc, loop_gettimeofday_syscall}, CLOCKS(ROW)};

static int call_setup(struct trial *trial)
{
    trial->run = loops[trial->value[0]][trial->value[1]];
    return trial_alloc(trial, sizeof(struct readings)) ? 0 : -ENOMEM;
}

/* Clocks that somebody may set. */
static int may_be_set(int64_t clock)
{
    return clock == CALL_realtime || clock == CALL_gettimeofday;
}

/* Some systems count these by the timer interrupt: two readings within milliseconds may be equal. */
static int may_be_coarse(int64_t clock)
{
    return clock == CALL_monotonic_coarse || clock == CALL_thread_cputime || clock == CALL_process_cputime;
}

/* Every call succeeded, and the clock went on from batch to batch. */
static int call_check(struct trial *trial)
{
    const struct readings *readings = trial->state;
    const int64_t clock = trial->value[0];

    if (readings->failed)
        return trial_fault(trial, "the clock could not be read in %llu batches", (unsigned long long)readings->failed);
    if (readings->batches < 2 || readings->last_ns == 0)
        return trial_fault(trial, "no reading came back");
    if (may_be_set(clock))
        return 0;
    if (readings->backward || (readings->last_ns == readings->first_ns && !may_be_coarse(clock)))
        return trial_fault(trial, "the clock did not go forward: %llu of %llu batches ended before the one before them",
                           (unsigned long long)readings->backward, (unsigned long long)readings->batches);
    return 0;
}

#define CLOCK_PARAMETER                                                                                                \
    {                                                                                                                  \
        .name = "clock", .unit = "clock", .summary = "which clock", .labels = LABELS, .initial = CALL_monotonic,       \
        .quick = "*", .standard = "*", .rigorous = "*"                                                                 \
    }

KERNEL(call,
    .name       = "clock/call",
    .summary    = "a program asks for the time, from each clock, through libc (vDSO) and through the kernel",
    .unit       = "call",
    .threads    = { .min = 1, .max = 1 },
    .parameters = { CLOCK_PARAMETER,
                    { .name = "via", .unit = "way", .summary = "through libc, or always into the kernel",
                      .labels = "libc syscall", .initial = VIA_LIBC, .quick = "*", .standard = "*", .rigorous = "*" } },
    .setup      = call_setup,
    .run        = loop_monotonic_libc,
    .check      = call_check);

/* ---- clock/null_syscall ---- */

struct null_calls {
    int64_t sum, calls;
};

static int null_setup(struct trial *trial)
{
    return trial_alloc(trial, sizeof(struct null_calls)) ? 0 : -ENOMEM;
}

static void null_run(struct worker *worker, uint64_t operations)
{
    struct null_calls *null = worker->trial->state;
    int64_t sum = 0;

    for (uint64_t i = 0; i < operations; i++)
        sum += syscall(SYS_getppid);
    null->sum += sum;
    null->calls += (int64_t)operations;
}

/* Every call gave the parent's number. (The worker dies with its parent, so it cannot change.) */
static int null_check(struct trial *trial)
{
    const struct null_calls *null = trial->state;

    if (null->calls == 0 || null->sum != null->calls * getppid())
        return trial_fault(trial, "%lld calls did not all return this process's parent", (long long)null->calls);
    return 0;
}

KERNEL(null_syscall,
    .name    = "clock/null_syscall",
    .summary = "a program enters the kernel and comes back: getppid through syscall(2)",
    .unit    = "call",
    .threads = { .min = 1, .max = 1 },
    .flags   = KERNEL_TWIN,
    .setup   = null_setup,
    .run     = null_run,
    .check   = null_check);

/* ---- clock/resolution ---- */

#define STEPS 1000
#define ENOUGH_NS 2000000 /* as many steps as fit in here, but one at least */
/* The coarsest timer interrupt comes 100 times a second, but on a CPU that a hypervisor may keep from running for seconds. */
#define TOO_LONG_NS 10000000000

struct steps {
    int64_t shortest_ns, backward;
};

static int resolution_setup(struct trial *trial)
{
    struct steps *steps = trial_alloc(trial, sizeof *steps);

    if (!steps)
        return -ENOMEM;
    steps->shortest_ns = INT64_MAX;
    return 0;
}

static uint64_t read_ns(int64_t clock)
{
#define CASE(name, id)                                                                                                 \
    case CALL_##name:                                                                                                  \
        clock_gettime(id, &now.spec);                                                                                  \
        break;
    union reading now = {.spec = {0, 0}};

    switch (clock) {
        CLOCKS(CASE)
    default:
        gettimeofday(&now.val, NULL);
    }
    return ns_of(clock, &now);
}

static int64_t resolution_events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;
    struct steps *steps = trial->state;
    const int64_t clock = trial->value[0];
    const uint64_t start_ns = now_ns();
    uint64_t filled = 0, elapsed_ns = 0, last = read_ns(clock);

    for (unsigned reads = 0; filled < count; reads++) {
        const uint64_t now = read_ns(clock);
        const int64_t step_ns = (int64_t)(now - last);

        last = now;
        if (step_ns > 0) {
            ticks[filled++] = (int64_t)((double)step_ns * trial->tick_hz / 1e9 + 0.5);
            steps->shortest_ns = step_ns < steps->shortest_ns ? step_ns : steps->shortest_ns;
        }
        steps->backward += step_ns < 0;
        if (reads % 64 == 63) /* seldom: a look at another clock lengthens the step that it falls into */
            elapsed_ns = now_ns() - start_ns;
        if ((filled && elapsed_ns > ENOUGH_NS) || elapsed_ns > TOO_LONG_NS)
            break;
    }
    return (int64_t)filled;
}

static int resolution_check(struct trial *trial)
{
    static const clockid_t ids[CALL_COUNT] = {
#define ID(name, id) [CALL_##name] = id,
        CLOCKS(ID)};
    const struct steps *steps = trial->state;
    const int64_t clock = trial->value[0];
    struct timespec resolution = {0, 1000}; /* gettimeofday has no getres: the unit of its result */

    if (clock != CALL_gettimeofday && clock_getres(ids[clock], &resolution))
        return -errno;
    if (steps->shortest_ns == INT64_MAX)
        return trial_fault(trial, "the clock made no step in %d ms", (int)(TOO_LONG_NS / 1000000));
    if (steps->backward && !may_be_set(clock))
        return trial_fault(trial, "the clock went back %lld times", (long long)steps->backward);
    trial->metric[0] = (double)resolution.tv_sec * 1e9 + (double)resolution.tv_nsec;
    trial->metric[1] = (double)steps->shortest_ns;
    return 0;
}

static uint64_t resolution_cost_ns(const struct trial *trial)
{
    return trial->value[0] == CALL_monotonic_coarse ? 3000000 : 200000;
}

KERNEL(resolution,
    .name             = "clock/resolution",
    .summary          = "a loop reads a clock again and again, and notes the steps that it makes",
    .unit             = "step",
    .threads          = { .min = 1, .max = 1 },
    .parameters       = { CLOCK_PARAMETER },
    .metrics          = { { "getres_ns", "ns", "what clock_getres says (gettimeofday: its unit)" },
                          { "min_step_ns", "ns", "smallest step seen" } },
    .setup            = resolution_setup,
    .events           = resolution_events,
    .events_per_batch = STEPS,
    .batches          = 1,
    .check            = resolution_check,
    .cost_ns          = resolution_cost_ns);

/* ---- clock/python ---- */

/* CPython's stable API, found at run time: without an interpreter the same object loads, and refuses. */
struct python {
    int (*gil_ensure)(void);
    void (*gil_release)(int state);
    void *(*save_thread)(void);
    void (*restore_thread)(void *thread);
    void *(*import_module)(const char *name);
    void *(*get_attribute)(void *object, const char *name);
    void *(*call)(void *callable);
    long long (*as_long_long)(void *number);
    void (*drop)(void *object);
    void (*clear_error)(void);

    int gil_state;
    void *thread;   /* this thread's interpreter state while the lock is not held */
    void *function; /* time.perf_counter_ns */
    uint64_t failed, backward;
    long long last_ns;
};

static int python_setup(struct trial *trial)
{
    struct python *python = trial_alloc(trial, sizeof *python);
    void *module;

    if (!python)
        return -ENOMEM;
    /* POSIX wants the detour by void ** for a function that dlsym found. */
    *(void **)&python->gil_ensure = dlsym(RTLD_DEFAULT, "PyGILState_Ensure");
    *(void **)&python->gil_release = dlsym(RTLD_DEFAULT, "PyGILState_Release");
    *(void **)&python->save_thread = dlsym(RTLD_DEFAULT, "PyEval_SaveThread");
    *(void **)&python->restore_thread = dlsym(RTLD_DEFAULT, "PyEval_RestoreThread");
    *(void **)&python->import_module = dlsym(RTLD_DEFAULT, "PyImport_ImportModule");
    *(void **)&python->get_attribute = dlsym(RTLD_DEFAULT, "PyObject_GetAttrString");
    *(void **)&python->call = dlsym(RTLD_DEFAULT, "PyObject_CallNoArgs");
    *(void **)&python->as_long_long = dlsym(RTLD_DEFAULT, "PyLong_AsLongLong");
    *(void **)&python->drop = dlsym(RTLD_DEFAULT, "Py_DecRef");
    *(void **)&python->clear_error = dlsym(RTLD_DEFAULT, "PyErr_Clear");
    if (!python->gil_ensure || !python->gil_release || !python->save_thread || !python->restore_thread ||
        !python->import_module || !python->get_attribute || !python->call || !python->as_long_long || !python->drop ||
        !python->clear_error)
        return trial_needs(trial, "an interpreter with CPython's API");

    python->gil_state = python->gil_ensure();
    module = python->import_module("time");
    python->function = module ? python->get_attribute(module, "perf_counter_ns") : NULL;
    if (module)
        python->drop(module);
    if (!python->function)
        python->clear_error();
    /* The thread keeps its state and gives up the lock: taking it again, once a batch, is then cheap. */
    python->thread = python->save_thread();
    return python->function ? 0 : trial_needs(trial, "an interpreter with time.perf_counter_ns");
}

static void python_run(struct worker *worker, uint64_t operations)
{
    struct python *python = worker->trial->state;
    void *now = NULL;
    long long now_ns;

    python->restore_thread(python->thread);
    for (uint64_t i = 0; i < operations; i++) {
        if (now)
            python->drop(now);
        now = python->call(python->function);
    }
    now_ns = now ? python->as_long_long(now) : -1;
    if (now)
        python->drop(now);
    else
        python->clear_error();
    python->failed += now_ns <= 0;
    python->backward += now_ns <= python->last_ns;
    python->last_ns = now_ns;
    python->thread = python->save_thread();
}

/* Every batch ended in a later time than the one before, and it is the system's monotonic clock. */
static int python_check(struct trial *trial)
{
    const struct python *python = trial->state;

    if (python->failed || python->backward)
        return trial_fault(trial, "perf_counter_ns() failed in %llu batches and did not go forward in %llu",
                           (unsigned long long)python->failed, (unsigned long long)python->backward);
    return 0;
}

static void python_teardown(struct trial *trial)
{
    struct python *python = trial->state;

    if (!python || !python->thread)
        return;
    python->restore_thread(python->thread);
    if (python->function)
        python->drop(python->function);
    python->gil_release(python->gil_state);
}

KERNEL(python,
    .name     = "clock/python",
    .summary  = "a C function calls time.perf_counter_ns() through CPython's API",
    .unit     = "call",
    .threads  = { .min = 1, .max = 1 },
    .needs    = NEED_PYTHON,
    .setup    = python_setup,
    .run      = python_run,
    .check    = python_check,
    .teardown = python_teardown);
