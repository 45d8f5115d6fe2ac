/*
 * The kernel contract: everything that a kernel file includes, and everything that Python knows of kernels.
 *
 * A kernel answers one question. It is a loop (`run`), and the sampler owns the clock. Or it is a source of events
 * (`events`), such as wake-ups or gaps, and the kernel fills in one tick count per event. Or it only counts (`work`).
 * It comes with a `check` that looks at the result of the work. It ends in a KERNEL(...) line that puts it into the
 * catalogue. It needs no list and no declaration elsewhere. csrc/build_kernels.py hands the part between the cffi marks
 * to cffi unchanged. So that part is plain C without directives other than `#define NAME number`.
 */
#ifndef FENCEPOST_KERNEL_H
#define FENCEPOST_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include "arch.h"

#ifdef __cplusplus
extern "C" {
#endif
/* Exported to kernel objects loaded at run time. Everything else in the engine is hidden. */
#pragma GCC visibility push(default)

/* cffi: begin */
/*
 * The version of this header. It goes up with every change that is more than a comment. Engines, user's objects and
 * Python refuse each other if their versions differ. tests/test_house.py notices a change without a new version.
 */
#define ENGINE_ABI 10
#define MAX_PARAMETERS 6
#define MAX_METRICS 24
#define MAX_COUNTS 8
#define MAX_TEAM 1024
#define REASON_BYTES 256
#define MAX_BUCKETS 4096
#define HARDWARE_COUNTERS 6

/* Needs of a kernel beyond CPUs. The engine tests them before setup. capability_text() names each for people. */
#define NEED_TICKS 1 /* a tick counter that user code can read */
#define NEED_X86_64 2
#define NEED_SERIALIZE 4     /* the SERIALIZE instruction, CPUID.7.EDX[14] */
#define NEED_AVX512 8        /* AVX-512 F, usable: the kernel saves its registers */
#define NEED_FIFO 16         /* permission for SCHED_FIFO */
#define NEED_HARDWARE_PMU 32 /* a hardware counter that opens and counts */
#define NEED_PYTHON 64       /* a Python interpreter in this process */
#define NEED_AARCH64 128
#define NEED_RISCV64 256
#define NEED_NICE 512      /* permission for negative nice values */
#define NEED_DEADLINE 1024 /* permission for SCHED_DEADLINE */
#define CAPABILITY_COUNT 11

/* On which CPUs the cases of a kernel are placed. bench/placement.py turns this into CPU lists. */
#define PLACE_ANY 0      /* the one best set of threads.min CPUs */
#define PLACE_EACH_CPU 1 /* one case per usable CPU */
#define PLACE_PAIRS 2    /* one case per pair of CPUs and direction, sampled by relation where there are many */
#define PLACE_ALL 3      /* one case over all usable CPUs */
#define PLACE_SWEEP 4    /* one case over 1, 2, 4 ... and all usable CPUs each, within the range of threads */
#define PLACE_ONE_CPU 5  /* one case, all threads.min threads on the one best CPU, labelled oversubscribed */

#define KERNEL_ONCE 1   /* measured in the first round only: a picture of time, not an estimate */
#define KERNEL_TWIN 2   /* its default case runs twice under two names in every round: the A/A row */
#define KERNEL_OPT_IN 4 /* planned only when its full name is given: it disturbs others, or needs a separate build */
#define KERNEL_MISSES 8 /* mispredictions are counted while it runs, where the hardware can: see branch_misses() */
#define KERNEL_OVERSUBSCRIBE 16 /* with PLACE_SWEEP: also 2 and 4 times as many threads as CPUs, labelled so */
/*
 * It uses something that a process has only once, such as static data or a signal handler. No two trials of it run side
 * by side.
 */
#define KERNEL_SOLE 32

/*
 * Disturbances that the engine saw during a batch. Flagged batches are kept and counted. The first three may be a
 * kernel's subject.
 */
#define FLAG_MIGRATED 1         /* began and ended on different CPUs, or on one that was not asked for */
#define FLAG_SWITCHED 2         /* a voluntary or involuntary context switch inside the window */
#define FLAG_FAULTED 4          /* a minor or major page fault inside the window */
#define FLAG_LOW_OVERLAP 8      /* the team's threads ran together for less than half of the window */
#define FLAG_SHORT 16           /* shorter than 1000 quanta of the tick counter (or 20 us): too few operations */
#define FLAG_HAND_OVER_DRIFT 32 /* the raw ping-pong before and after the case differ by more than 1.35 x */

/* Values are integers. With labels (one word each, separated by spaces) value i is shown and given as the i-th word. */
struct parameter {
    const char *name;
    const char *unit;
    const char *summary;
    const char *labels;
    int64_t initial; /* the default value, or the index of the default label */
    /* Swept values by profile, as users write them ("4KiB 2MiB 7", "*": all labels). NULL: the default only. */
    const char *quick;
    const char *standard;
    const char *rigorous;
};

/*
 * A named figure beside time, one per process. Its unit ends its name (…_ns, …_ticks, …_pct). Ticks are converted
 * later. footprint_bytes states how much memory a case goes through. A parameter `size` in bytes states the same. A
 * case that does not fit into the core's own cache is as found, never alone. No witness shows the effect of other cores
 * on its memory.
 */
struct metric {
    const char *name;
    const char *unit;
    const char *summary;
};

/* A whole number as found, and as expected. See trial_count(). */
struct counted {
    int64_t found;
    int64_t expected;
    int taken; /* not 0 once the kernel has given both */
};

struct trial;
struct worker;

struct kernel {
    const char *name; /* topic/variant: lower case, digits, underscores */
    const char *summary;
    const char *unit;
    struct {
        unsigned min;
        unsigned max;
    } threads;
    unsigned place; /* one of PLACE_ */
    unsigned flags; /* KERNEL_ bits */
    /* Its subject: any of FLAG_MIGRATED, FLAG_SWITCHED, FLAG_FAULTED. They flag none of its batches. */
    unsigned subject;
    unsigned needs; /* NEED_ bits */
    struct parameter parameters[MAX_PARAMETERS];
    struct metric metrics[MAX_METRICS];
    struct metric counts[MAX_COUNTS];  /* whole numbers that have to come out as expected: see trial_count() */
    int (*setup)(struct trial *trial); /* optional; 0 or -errno. Runs on the first worker's CPU. */
    void (*run)(struct worker *worker, uint64_t operations);
    int64_t (*events)(struct worker *worker, int64_t *ticks, uint64_t count); /* how many it filled in, or -errno */
    /* Optional, beside `events`. The same work without the part in question. The engine then asks each for one event in
       turn (operation, control, operation, control ...). An event is the difference of the two, and may be negative. */
    int64_t (*control)(struct worker *worker, int64_t *ticks, uint64_t count);
    int (*work)(struct worker *worker);    /* in place of run and events, for counts without a time; 0 or -errno */
    uint64_t events_per_batch;             /* with `events`: how many are asked for at once */
    uint64_t batches;                      /* 0: as many as the profile says */
    int (*check)(struct trial *trial);     /* mandatory; 0 or -errno. May also fill in metrics. */
    void (*teardown)(struct trial *trial); /* optional. What trial_alloc gave is freed by the engine. */
    /* Optional. The expected time of a whole case beyond a plain loop's batches, for the plan. */
    uint64_t (*cost_ns)(const struct trial *trial);
    const char *file; /* filled in by KERNEL */
};

/* One case being measured, which is a kernel, its parameter values and its CPUs. */
struct trial {
    const struct kernel *kernel;
    unsigned team_size;
    const int *cpus; /* one per worker */
    int64_t value[MAX_PARAMETERS];
    double metric[MAX_METRICS]; /* NaN until the kernel sets it */
    struct counted count[MAX_COUNTS];
    void *state; /* what trial_alloc returned first, or what setup put here */
    /* Setup may put a specialised loop here, so that no parameter is looked up inside the window. */
    void (*run)(struct worker *worker, uint64_t operations);
    const char *need; /* with -ENOTSUP: what is missing, as the end of the sentence "needs …" */
    double tick_hz;
    double core_hz; /* an estimate, made before the case. 0 if unknown */
    uint64_t quantum_ticks;
    double overhead_ticks; /* mean empty window */
    uint64_t batch_ns;
    /* Setup of an event kernel may change it, up to what trial_samples() promised (2048 with KERNEL_ONCE). */
    uint64_t batches;
    uint64_t granule;            /* operations are asked for in multiples of this; 1 unless setup says otherwise */
    int miss_counter;            /* see branch_misses(); 0: none */
    double misses_per_operation; /* mispredictions of a loop kernel, over all batches; NaN where nothing counts */
    int oversubscribed;          /* some CPU has several of the threads, so a waiting thread must yield */
    unsigned subject;            /* FLAG_ bits that mark no batch of this case: the kernel's, and those of its kind */
    /* Setup may set it before its first trial_alloc. Every worker but the first is then a process. See "Processes" below. */
    int processes;
    unsigned measured; /* windows of this many first workers become samples: all, unless setup says otherwise */
    const struct sample *samples; /* for the check of a loop kernel: batch by batch, in it worker by worker */
    uint64_t sample_count;
    void *allocations;
    void *team;
    char explanation[REASON_BYTES];
};

struct worker {
    struct trial *trial;
    unsigned index;
    unsigned team_size;
    int cpu;
    uint64_t done;          /* operations of this window: as asked for, unless run sets it; see leader_has_ended() */
    const void *leader_end; /* see there */
};

/* One timed window of one thread. Of an event kernel it is the median of one batch of events, as one operation. */
struct sample {
    int64_t ticks; /* as read: the empty window is not yet subtracted */
    int64_t operations;
    int64_t begin_ticks; /* since the trial began */
    int32_t batch;
    int32_t thread;
    int32_t cpu_begin;
    int32_t cpu_end;
    int32_t voluntary;
    int32_t involuntary;
    int32_t minor_faults;
    int32_t major_faults;
    int32_t flags;
    float overlap; /* share of the window in which the whole team ran; 1 for a single thread */
    /* The speed of the core just before and just after the window, see csrc/engine/witness.c. NaN if not known. */
    float width_ticks;     /* of 1000 additions, a taken branch counting as four: the longer of the two */
    float additions_ticks; /* of 1000 additions alone, in the same reading */
    float clock_ticks;     /* of 1000 dependent multiplications: the longer of the two */
    float
        distance_ticks; /* of a round trip of one line between workers 0 and 1, as worker 0 saw it: the mean of the two */
};

/* The speed of a core at one moment, by the witnesses of csrc/engine/witness.c. */
struct witnessed {
    int64_t begin_ticks;
    float width_ticks;
    float additions_ticks;
    float clock_ticks;
};

/* All events of one case in one process. Values are exact where they fit, otherwise rounded to 1/128 of their size. */
struct bucket {
    int64_t ticks;
    int64_t count;
};

struct settings {
    uint64_t batches;
    uint64_t warmup_batches;
    uint64_t batch_ns;
    uint64_t keep_memory; /* not 0: large mappings may go from one case to the next. 0: each side has its own */
    /* A loop kernel of one thread whose last batch was free goes on until this many were quiet, or it has made
       `most_batches`. This never depends on its value. */
    uint64_t quiet_batches;
    uint64_t most_batches; /* 0: no more than `batches` */
    /* Quiet: the width takes at most this many times as long as multiplications do beside the case. 0: not known yet. */
    double width_limit;
    /* Which process of a run this is, from 1: groups of hardware counters take turns. 0: nothing is counted. */
    uint64_t counter_turn;
    /* Two cases take turns if the memory of both fits into this many bytes. Then data in the core's own cache is still
       there when a case's turn comes again. */
    uint64_t most_turn_bytes;
};

struct outcome {
    int status; /* 0 measured, or -errno */
    char reason[REASON_BYTES];
    int64_t samples;
    int64_t buckets;
    int64_t events;
    int64_t quiet_batches; /* -1 where a case has none by design, or where the limit is not known yet */
    int64_t turn_batches;  /* of each turn, where its batches took turns with another's; 0 where they did not */
    double overhead_ticks; /* to be subtracted from each sample; 0 for event kernels, which do it themselves */
    double tick_hz;
    /* 3 x the rate of the imul chain; NaN where there is none. */
    double core_hz;
    double core_hz_before;
    double core_hz_after;
    double chain_ratio; /* time of an imul over time of an add; 3 where cycles can be believed */
    /* Round trip of one line between workers 0 and 1; NaN for one thread or shared CPUs. */
    double raw_before_ticks;
    double raw_after_ticks;
    /* With a control: the median of either side alone; NaN without one. */
    double operation_ticks;
    double control_ticks;
    double loaded_pct; /* with loads: windows in which all of them ran; NaN without any */
    /* Events of worker 0 in user mode, for each operation; NaN for those that nothing counts, or not in this process. */
    double hardware[HARDWARE_COUNTERS];
    double package_w; /* power of the package while the case was measured; NaN without energy_open_…() */
    double metric[MAX_METRICS];
    struct counted count[MAX_COUNTS];
    int64_t elapsed_ns;
};

/* The tick counter as measured in this process. */
struct clock_facts {
    const char *source; /* "tsc", "cntvct", "time", "clock_monotonic_raw" */
    double tick_hz;
    double tick_hz_error_ppm;
    uint64_t quantum_ticks;
    double overhead_ticks;
};

/* Whether one perf event opens, and whether it counts a workload known to raise it. */
struct perf_fact {
    const char *name;
    int hardware;
    int error;      /* 0, or errno of perf_event_open */
    int64_t count;  /* what it read after the known workload */
    int64_t expect; /* at least this much is plausible; opened with count < expect: it reads zero */
};

int engine_abi(void);
const char *arch_name(void);
const char *compiler_name(void);
const char *compiler_flags(void);
/* NULL when the catalogue is well, otherwise one sentence about its first fault (a name used twice, no check …). */
const char *registry_fault(void);
unsigned registry_count(void);
const struct kernel *registry_get(unsigned index);
/*
 * Load a user's kernels from a shared object made as in csrc/engine/object.c, beside this engine and beside others. Two
 * objects may each have a kernel of the same name. Returns its kernels and their number. Returns NULL with one sentence
 * in `reason` if it cannot be loaded, is of another ENGINE_ABI, or has a faulty kernel (none at all, a name used twice,
 * no check). The object stays loaded.
 */
const struct kernel *const *object_load(const char *path, unsigned *count, char *reason);
/* Capabilities of this process on this machine, as NEED_ bits, and the name of a missing one ("needs …"). */
unsigned capabilities(void);
const char *capability_text(unsigned bit);
/* Measured at the first call, since a process has one rate. */
void clock_measure(struct clock_facts *facts);
unsigned perf_probe(struct perf_fact *facts, unsigned capacity);
/* Names of the events that the members of outcome.hardware count. NULL past the last. */
const char *hardware_counter_name(unsigned counter);
/* Cases from now on are measured with the energy of a package: from a file in uJ, which begins anew at `range_uj` ... */
int energy_open_file(const char *path, double range_uj);
/* ... or from an event of perf, whose count is in `joules`, and which this CPU reads. 0 or -errno. */
int energy_open_event(unsigned type, uint64_t config, double joules, int cpu);
/* Its power while this thread sleeps for this time. NaN if it is not known. */
double energy_idle_watts(uint64_t ns);
/* Ask to be killed when the parent dies, so that no worker outlives its run. 0 or -errno. */
int die_with_parent(void);
/* Spin for a while so that the core is at its working frequency before the first case. */
void spin_ns(uint64_t ns);
uint64_t now_ns(void); /* CLOCK_MONOTONIC */
/* The witnesses on this CPU one after the other, for this time. Returns how many. 0 if the architecture has none. */
uint64_t witness_series(uint64_t ns, struct witnessed *found, uint64_t capacity);
/* The tick counter, ordered on both sides. For callers that time their own work, such as the plugin for pytest. */
uint64_t read_ticks(void);
/* Expected duration of one case in one process. */
uint64_t trial_cost_ns(const struct kernel *kernel, const int64_t *values, unsigned team_size,
                       const struct settings *settings);
/* Samples needed by one case. */
uint64_t trial_samples(const struct kernel *kernel, unsigned team_size, const struct settings *settings);
/* Measure one case in this process. Returns outcome->status. */
int trial_measure(const struct kernel *kernel, const int64_t *values, const int *cpus, unsigned team_size,
                  const struct settings *settings, struct sample *samples, uint64_t sample_capacity,
                  struct bucket *buckets, uint64_t bucket_capacity, struct outcome *outcome);
/* Whether batches of this kernel can take turns with another's. It is then a loop with the usual batches, and not KERNEL_SOLE. */
int trial_takes_turns(const struct kernel *kernel);
/*
 * Measure two cases side by side. Both are set up, and their batches take turns. So a disturbance of the machine
 * disturbs both. Each has an outcome like trial_measure()'s, and separate samples. Both kernels take turns. Each case
 * is measured by itself if one of them cannot. That is so with background loads, processes, schedules, more threads
 * than CPUs or too much memory, or if its setup fails.
 */
void trial_measure_in_turns(const struct kernel *const *kernels, const int64_t *const *values, const int *cpus,
                            unsigned team_size, const struct settings *settings, struct sample *const *samples,
                            uint64_t sample_capacity, struct outcome *const *outcomes);
/* cffi: end */

/*
 * Memory of a trial. It is zeroed, touched (no fault inside the window), aligned to 4096 bytes, and fenced by canaries that
 * the engine reads again after the check. NULL when there is none. The first allocation also becomes trial->state.
 */
void *trial_alloc(struct trial *trial, size_t bytes);
/*
 * The same on pages of the given size, huge or small by madvise. Aligned to a huge page. memory_huge_bytes() tells the caller
 * how much is on huge pages.
 */
void *trial_alloc_pages(struct trial *trial, size_t bytes, int huge);
/*
 * Between trials the engine may keep one large mapping of huge pages. The next trial that asks for as much or less
 * finds it zeroed like any other. This call gives it back to the system, for kernels that look at how much memory is
 * free.
 */
void memory_give_back(void);
size_t memory_kept_bytes(void); /* no child of this process has it */
/* How many bytes of this allocation are backed by huge pages now (from /proc/self/smaps), or -errno. */
int64_t memory_huge_bytes(const void *start, size_t bytes);

/*
 * Processes. A setup that sets trial->processes makes every worker but the first a separate process, pinned like a
 * thread. The engine starts them after setup, meets them, ends them and reaps them. run and events are the same for
 * both. All workers see a process's changes only in memory from trial_alloc, which they share. A process that dies
 * fails the case with one sentence. The engine then ends worker 0 in the middle of run or events. So that code must
 * hold no lock and call nothing that allocates.
 */
/*
 * As trial_alloc, but shared with processes that are made afterwards, including children that a kernel makes by itself.
 */
void *trial_alloc_shared(struct trial *trial, size_t bytes);
/*
 * Wait for a child process that the kernel made. Returns its exit code, or ENDED_BY_SIGNAL + the signal that ended it,
 * or -errno. Works also if SIGCHLD was ignored when the suite started, since the engine changes that during each case.
 */
int wait_for_child(int child);
#define ENDED_BY_SIGNAL 256

/* "Unsupported" with the need that is missing, as in `return trial_needs(trial, "a file system with O_DIRECT");` */
int trial_needs(struct trial *trial, const char *need);

/* A failure in plain words, as in `return trial_fault(trial, "%d hops instead of %d", …);` Returns -EILSEQ. */
int trial_fault(struct trial *trial, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The scheduling of a thread. Zeros mean SCHED_OTHER, with its nice value and timer slack as they were found. */
struct schedule {
    int policy;          /* of <sched.h> */
    int nice;            /* added to the one found, as nice(1) does. Negative: NEED_NICE */
    int priority;        /* of SCHED_FIFO and SCHED_RR, from 1 to 99. NEED_FIFO */
    uint64_t slack_ns;   /* by how much its timers may be put off to serve several at once */
    uint64_t runtime_ns; /* of SCHED_DEADLINE, in each period. NEED_DEADLINE; such a thread is not pinned */
    uint64_t period_ns;
    uint64_t deadline_ns; /* after the start of each period. 0: its end */
};
/*
 * For setup. The scheduling of worker `index` during the batches. Before and afterwards it is as it was found. A
 * missing permission makes the case "unsupported". A kernel that changes the scheduling of a worker by itself and
 * leaves it changed fails.
 */
int trial_schedule(struct trial *trial, unsigned index, const struct schedule *schedule);

/*
 * For setup. A background load is a thread of this process that spins on this CPU during the batches. The engine checks
 * in every window whether it ran. A load that never ran fails the case. One of SCHED_IDLE makes it unsupported instead,
 * since a busy CPU leaves it no time. The metric loaded_pct says in how many windows all ran. A real-time load needs
 * workers of a higher priority on its CPU. Any other worker would never run again.
 */
int trial_load(struct trial *trial, int cpu, const struct schedule *schedule);

/*
 * The number `which` of the kernel's `counts` was `found` and must be `expected`, as 1024 faults for 1024 pages. Call it
 * for every count in every case, in events, work or check. A count that differs, or that is never given, fails the
 * case.
 */
void trial_count(struct trial *trial, unsigned which, int64_t found, int64_t expected);

/* Median of `count` values, which it sorts. NaN for none. For metrics, after timing. */
double median_of(double *values, size_t count);

/* Ticks of a stretch from tick_begin() to tick_end() without those of an empty one. May be negative, since noise is not cut off. */
static inline double net_ticks(const struct trial *trial, uint64_t begin, uint64_t end)
{
    return (double)(end - begin) - trial->overhead_ticks;
}

/* In an event kernel with a team, all workers leave together. The returned tick is a common start a little later. */
uint64_t team_start(struct worker *worker);

/*
 * Mispredicted branches of the trial's first thread up to now, in user mode, as the hardware counts them for kernels
 * with KERNEL_MISSES. NaN if it does not count. Subtract two readings. It is a system call, so call it outside of
 * windows only. The check of a loop kernel finds the sum over its batches in trial->misses_per_operation.
 */
double branch_misses(const struct trial *trial);

/*
 * Contention is measured for a time, not for a number of operations. A thread that has done its share would leave the
 * others alone. So worker 0 leads. It makes the operations that are asked for, and its window is the batch. The others
 * go on until leader_has_ended(), and store in worker->done how many operations they made, at least one. Call it once
 * in a block of operations, so that its cost does not show. Until worker 0 has left its window, nobody writes to the
 * line of this flag.
 */
static inline int leader_has_ended(const struct worker *worker)
{
    /* Relaxed, since the flag only has to become visible at some time. The meeting after the window orders the other writes
       of the threads. */
    return __atomic_load_n((const unsigned *)worker->leader_end, __ATOMIC_RELAXED) != 0;
}

#pragma GCC visibility pop

/* The compiler can neither see through `x` nor drop it. */
#define OPAQUE(x) __asm__ volatile("" : "+r"(x))

/* `file` is last, since C++ wants designators in the order of the members, and the kernel's own must come before it. */
#define KERNEL(id, ...)                                                                                                \
    static const struct kernel kernel_##id = {__VA_ARGS__, .file = __FILE__};                                          \
    /* The linker gathers these pointers into one array: registration without a list. */                               \
    static const struct kernel *const kernel_entry_##id __attribute__((used, section("fencepost_kernels"))) =          \
        &kernel_##id;

/*
 * The ends of that array, named by the linker. They are hidden, since each object has its own section with its own ends.
 * They are weak, since it may have none.
 */
extern const struct kernel *const __start_fencepost_kernels[] __attribute__((visibility("hidden"), weak));
extern const struct kernel *const __stop_fencepost_kernels[] __attribute__((visibility("hidden"), weak));

/* The symbol that an object with a user's kernels shows to the engine that loads it. See csrc/engine/object.c. */
struct kernel_object {
    /* ENGINE_ABI and sizeof(struct kernel) of the headers it was compiled with. */
    unsigned abi;
    unsigned kernel_bytes;
    const struct kernel *const *begin;
    const struct kernel *const *end;
};

#ifdef FENCEPOST_OBJECT
/* Weak, since an object may consist of several files. */
extern const struct kernel_object fencepost_object __attribute__((visibility("default"), weak));
const struct kernel_object fencepost_object = {ENGINE_ABI, sizeof(struct kernel), __start_fencepost_kernels,
                                               __stop_fencepost_kernels};
#endif
#ifdef __cplusplus
}
#endif

#endif
