/* Shared by the files of the engine, and hidden from kernels. */
#ifndef FENCEPOST_ENGINE_H
#define FENCEPOST_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>

#include "kernel.h"

/* registry.c */

/* Whether something is wrong with these kernels. Then `sentence` (REASON_BYTES) says what, for the first that is at fault. */
int kernels_fault(const struct kernel *const *kernels, unsigned count, char *sentence);

/* How many words a parameter's labels are. */
int labels_in(const char *labels);

/* probe.c */

/* The two chains, timed side by side. Rates are instructions per second. NaN if the architecture has no chains. */
struct chains {
    double add_hz, mul_hz;
};
/* One calibration a process: all its cases are converted by the same rate. */
const struct clock_facts *process_clock(void);
void probe_chains(double tick_hz, struct chains *chains);
int compare_int64(const void *left, const void *right);
/* File descriptor of a running counter of this thread's mispredicted branches. 0 if there is none. */
int branch_misses_open(void);

/* Something of everything that a CPU counts: KNOWN_ROUNDS rounds of a loop with a branch that is hard to predict, fresh pages, a sleep. */
#define KNOWN_ROUNDS 200000
void known_work(void);

/* hardware.c */

#define HARDWARE_GROUP 3
/* Counters of the calling thread that run together, and what they have counted. */
struct hardware {
    unsigned members;
    int files[HARDWARE_GROUP];
    unsigned counter[HARDWARE_GROUP]; /* which of the HARDWARE_COUNTERS */
    uint64_t begin[HARDWARE_GROUP];
    double sum[HARDWARE_GROUP];
    int spoilt; /* not 0: they could not be read, or Linux let them take turns with others */
};
/* Whether a group is to be counted in this turn, and this machine counts it. Asked before there is a team. */
int hardware_counts(uint64_t turn);
void hardware_open(struct hardware *hardware, uint64_t turn);
/* A stretch. With sign -1 it is taken off: one without the operations. */
void hardware_begin(struct hardware *hardware);
void hardware_end(struct hardware *hardware, int sign);
/* What the stretches come to for each operation, in the places of outcome.hardware. */
void hardware_conclude(const struct hardware *hardware, double operations, double *per_operation);
void hardware_close(struct hardware *hardware);

/* energy.c */

struct energy_mark {
    double counter; /* NaN: there is none */
    uint64_t ns;
};
struct energy_mark energy_mark(void);
/* Power of the package since then. NaN if nothing tells it, or for less than 3 ms. */
double energy_watts(const struct energy_mark *since);

/* team.c */

/* NR_CPUS of the largest distribution kernels. */
#define MAX_CPUS 8192

struct team {
    struct trial *trial;
    unsigned size;
    /* A: counts arrivals. B: the generation that waiting threads watch. See team_meet. */
    _Alignas(128) _Atomic unsigned arrived;
    _Alignas(128) _Atomic unsigned generation;
    /* First failure of any thread, 0 while all is well. */
    _Alignas(128) _Atomic int status;
    _Atomic unsigned makers; /* threads that have left the meetings to the processes that they make */
    _Atomic int broken;      /* not 0 once a process of the team is dead: nobody is to wait for it */
    /* Not 0 once worker 0 has left the window under way (leader_has_ended). Alone on its lines, because the others poll it. */
    _Alignas(128) unsigned leader_end;
    _Alignas(128) unsigned spins_before_yield;
    _Atomic unsigned naps;      /* not 0: whoever waits sleeps instead of yielding, see nap() */
    struct schedule *schedules; /* one per worker, with policy -1 where it stays as it is. NULL if all stay */
    struct load *loads;         /* a list. NULL if setup asked for none */
    int loads_run;              /* not 0 from the start of the loads to their end */
    uint64_t windows, loaded_windows, real_time_limit; /* see load.c */
    uint64_t window_began_ticks, windows_ticks;        /* of the window under way, and of all windows together */
    int agreed;                                        /* the status at the last meeting: see team_meet */
    uint64_t start_ticks; /* common start of the coming window: written by worker 0 before a meeting */
    void (*body)(struct worker *worker, void *context);
    void *context;
    pthread_t leader; /* the thread of worker 0: written by it before the first meeting */
    char *reason;
};

/*
 * Run body(worker, context) once on each CPU of the trial, each in a separate thread, and wait for all. Returns 0 or -errno, with a
 * reason. No thread outlives the call. A thread that cannot be pinned stops the whole team before the body.
 */
int team_run(struct team *team, void (*body)(struct worker *worker, void *context), void *context);
/*
 * All threads of the team meet. None goes on before the last has come. After the meeting all see what each wrote before it. Returns the
 * team's status at this meeting, the same to all. The first to go on may fail before the others have looked. They must not leave for it.
 */
int team_meet(struct team *team);
/* The calling thread runs on this CPU only. 0 or -errno. */
int pin_thread(int cpu);
/* Sleep for a moment. Between threads of different policies a yield is not enough: a real-time thread yields to its like only. */
void nap(void);
/* Note a failure. The first one stays. */
void team_fail(struct team *team, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* schedule.c */

/* How a thread was found. */
struct manners {
    int policy, nice, priority, slack_ns;
};
const char *policy_name(int policy);
/* NEED_ bits of what it takes to schedule a thread so. */
unsigned schedule_needs(const struct schedule *schedule);
/* For the calling thread. 0 or -errno. */
int schedule_apply(const struct schedule *schedule);
/* Whether this process may schedule a thread so: tried with one of its own. */
int schedule_allowed(const struct schedule *schedule);
/* For each worker, before its first batch: what it found, and as setup asked for. */
void schedule_begin(const struct worker *worker, struct manners *found);
/* And after its last: as it was found, which is looked at. */
void schedule_end(const struct worker *worker, const struct manners *found);
void schedules_free(struct team *team);

/* load.c */

struct load;
/* Worker 0 makes the threads of all loads, which sleep. Before it takes a policy that they would inherit, or that lets it make none. */
void loads_prepare(struct team *team);
/* It lets them run, and ends them. */
void loads_start(struct team *team);
void loads_stop(struct team *team);
void loads_free(struct team *team);
/* Around each window of worker 0: whether all loads ran in it. */
void loads_window_begins(struct team *team);
void loads_window_ended(struct team *team);
/* 0, or -errno where a load never ran, with that in the trial's explanation: -ENOTSUP for one of the lowest priority. */
int loads_check(struct trial *trial);
/* Windows in which all ran, in per cent. NaN without loads. */
double loaded_pct(const struct team *team);

/* memory.c */
/* Fresh zeroed memory. Processes made from now on share it. NULL if there is none. munmap() frees it. */
void *shared_memory(size_t bytes);
/* With `keep`, a large mapping stays for the next trial that asks for as much: see memory_give_back(). */
void allocations_free(struct trial *trial, int keep);
/* All that the trial has allocated. */
uint64_t allocations_bytes(const struct trial *trial);
/* NULL, or what was overwritten. */
const char *allocations_fault(const struct trial *trial);

#endif
