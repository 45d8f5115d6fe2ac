/* One case under way, shared by the files of the engine that measure it. trial.c goes from its beginning to its end. */
#ifndef FENCEPOST_SESSION_H
#define FENCEPOST_SESSION_H

#include <sys/resource.h>

#include "engine.h"

/* With more threads than CPUs a window needs several turns of the scheduler (3-4 ms each). These are the time of worker 0 and the number
   of batches. A case of this kind costs as much as ten others. */
#define OVERSUBSCRIBED_NS UINT64_C(6000000)
#define OVERSUBSCRIBED_BATCHES 2

/* By how much multiplications beside a batch may differ from those beside its case, and the batch still be quiet. */
#define QUIET_CLOCK_LOW 0.95 /* two steps of a coarse counter. With less, the reading beside the case was wrong */
#define QUIET_CLOCK_HIGH 1.03

/* How many blocks of instructions the witnesses have here, and the empty window to be subtracted. */
struct witness_lengths {
    unsigned additions, multiplications;
    double overhead_ticks;
};

struct window {
    uint64_t begin, end;
};

/* In shared memory, so that members of the team may be processes. */
struct session {
    struct team team;
    struct trial trial;
    struct settings settings;
    struct sample *samples; /* the caller's, or where processes fill them in, a copy that they share */
    struct sample *callers_samples;
    struct bucket *buckets;
    uint64_t bucket_capacity;
    struct outcome *outcome;
    int64_t *events;
    double *scratch;  /* one batch of them, for its median */
    double *sides[2]; /* with a control: the operation and the control of each event, in ticks */
    uint64_t event_count;
    uint64_t operations;
    struct witness_lengths witness;
    uint64_t began_ticks;
    struct chains before, after;
    int counts_hardware; /* the same for the whole team */
    int counting;        /* worker 0: the events under way are counted */
    struct hardware hardware;
    double raw_before_ticks, raw_after_ticks;
    char reason[REASON_BYTES];               /* of the first failure, whichever process it was in */
    _Alignas(128) _Atomic uint64_t raw_line; /* alone on its pair of lines */
    _Alignas(128) _Atomic uint64_t distance_line;
    _Alignas(128) struct window windows[]; /* one per worker, of the batch under way */
};

/* session.c */

/* Whether nobody has failed: the same answer to the whole team. */
int all_well(struct session *session);
/* Note why the case ends: what the kernel said, or what `status` means. */
void fail_from(struct session *session, int status, const char *stage);

/* 0, or -errno where a count is not as expected, with the first such count in the trial's explanation. */
int counts_check(struct trial *trial);

/* What is read between two windows, never in one. */
struct surroundings {
    struct rusage usage;
    int cpu;
    struct witnessed witnessed;
    double distance_ticks;
};

/* All workers look at once, each for the `turn`-th time: before the first batch, and after each. */
struct surroundings look_around(struct session *session, const struct worker *worker, uint64_t turn);
/* What flags no batch of this case: its kernel's subject, and what belongs to a case of its kind. */
unsigned subject_of(const struct trial *trial);
/* One batch of one worker, all but its times: what happened between the two looks, and the flags that this gives,
   less the subject. */
struct sample make_sample(const struct worker *worker, uint64_t batch, const struct surroundings *before,
                          const struct surroundings *after);
/* Whether the core was free of neighbours around this batch, and at its clock. No if that is not known. */
int was_quiet(const struct session *session, const struct sample *sample);
/* Share of the window under way in which the whole team ran. */
float team_overlap(const struct session *session);

/* sampler.c */

/* Ticks of an empty window, to be subtracted from each batch. */
double measure_empty(struct worker *worker);
/* All batches of a loop, for each worker of the team. */
void loop_batches(struct session *session, struct worker *worker);
/* Those of two loops, which take turns: each thread is a worker of either team. */
void loops_in_turns(struct session *const sessions[2], struct worker *const workers[2]);

/* events.c */

/* All batches of an event kernel, for each worker of the team. */
void event_batches(struct session *session, struct worker *worker);
/* What the batches left: all events by value (if there are more than fit, in steps of 1/128 of their size), and both sides alone. */
void conclude_events(struct session *session);

/* core_clock.c */

double core_hz(const struct chains *chains);
void read_clock(const struct worker *worker, struct chains *chains);
/* The reading after one case is the one before the next, if that follows at once on the same CPU. */
void read_clock_before(const struct worker *worker, struct chains *chains);

/* hand_over.c */

/* A round trip of one line between workers 0 and 1, in ticks, for worker 0. NaN for a single thread and on shared CPUs. */
double raw_round_trip(struct session *session, struct worker *worker);
/* The same within 2 us, beside each batch: all workers call it, workers 0 and 1 learn it. `turn` counts the calls. */
double line_distance(struct session *session, const struct worker *worker, uint64_t turn);
/* Whether two of them differ by more than the machine's hand-over cost may within a case. No for NaN. */
int hand_over_drifted(double before_ticks, double after_ticks);

/* witness.c */

/* The lengths fit a core of this clock. */
struct witness_lengths witness_prepare(double mul_hz, double overhead_ticks);
struct witnessed witness(const struct witness_lengths *lengths);

#endif
