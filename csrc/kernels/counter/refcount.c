/*
 * counter/refcount: what does it cost to take a reference to an object that all threads use, and to give it back?
 *
 * One operation is a get and a put. A thread takes `held` references in a row, then gives them back. The object has one
 * more, so that it is never freed.
 *   plain       fetch_add, fetch_sub, and a look whether it was the last
 *   saturating  the same, and a look at each step whether it is still a count (Linux refcount_t: no use after free by
 *               overflow)
 *   per_cpu     Linux percpu_ref: an own count, without a look, as long as the object is not being given up
 *   spares      Boyd-Wickizer et al., OSDI 2010: a put leaves the reference with the thread as a spare. A get takes a
 *               spare if there is one. More than SPARES of them go back to the common count
 * Excluded:  giving the object up, which is the dearer half of per_cpu and spares. Then all own counts must be
 *            gathered.
 * Expect:    plain: two contended atomics. saturating: the same within a cycle. per_cpu: 2-4 cycles whatever the number
 *            of threads. spares: like per_cpu as long as `held` is at most SPARES, like plain for those above.
 * Hazards:   Linux's per-CPU count is the CPU's. Here it is the pinned thread's.
 * Not shown: the object's own line, which the references are for.
 */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>

/* Kept by a thread at most. */
#define SPARES 64
#define MAX_HELD 65536
/* Half-way to the wrong side, as in Linux: far from both ends, so that it takes 2^30 mistakes at once to get away from it. */
#define SATURATED (INT32_MIN / 2)

enum { KIND, HELD };
enum { PLAIN, SATURATING, PER_CPU, LOCAL_SPARES };

struct side {
    _Alignas(128) _Atomic int64_t own; /* gets less puts in per_cpu, references that nobody uses in spares */
    _Alignas(128) uint64_t faults;
};

struct object {
    _Alignas(128) _Atomic int32_t references;
    _Alignas(128) atomic_int dying; /* per_cpu: now the common count is the one. Never written here. */
    uint64_t held;
    struct side sides[];
};

/* GET and PUT see `object`, `own` and may keep `count`, which begins as the own count. `faults`: steps that met no valid count. */
#define RUN(kind, GET, PUT)                                                                                            \
    static void run_##kind(struct worker *worker, uint64_t operations)                                                 \
    {                                                                                                                  \
        struct object *object = worker->trial->state;                                                                  \
        struct side *side = &object->sides[worker->index];                                                             \
        _Atomic int64_t *own = &side->own;                                                                             \
        const uint64_t held = object->held;                                                                            \
        int64_t count = atomic_load_explicit(own, memory_order_relaxed);                                               \
        const uint64_t most = worker->index == 0 ? operations : UINT64_MAX;                                            \
        uint64_t faults = 0, done = 0;                                                                                 \
                                                                                                                       \
        do {                                                                                                           \
            for (uint64_t i = held; i > 0; i--) {                                                                      \
                OPAQUE(i);                                                                                             \
                GET;                                                                                                   \
            }                                                                                                          \
            for (uint64_t i = held; i > 0; i--) {                                                                      \
                OPAQUE(i);                                                                                             \
                PUT;                                                                                                   \
            }                                                                                                          \
            done += held;                                                                                              \
        } while (done < most && !leader_has_ended(worker));                                                            \
        worker->done = done;                                                                                           \
        side->faults += faults;                                                                                        \
        (void)own, (void)count;                                                                                        \
    }

/*
 * Get: relaxed. A thread that takes a reference has one already, or the object could be gone. Counting it teaches the
 * thread nothing. Put, A: acquire and release, with itself. The thread that gives back the last reference frees the
 * object. For it, all that others did with the object is over. Without release their accesses could come after the
 * free. Without acquire the free could come before their accesses.
 */
#define ADD_ONE atomic_fetch_add_explicit(&object->references, 1, memory_order_relaxed)
#define TAKE_ONE atomic_fetch_sub_explicit(&object->references, 1, memory_order_acq_rel)

RUN(plain, ADD_ONE, faults += TAKE_ONE == 1)

static __attribute__((noinline, cold)) void saturate(struct object *object, uint64_t *faults)
{
    /* Relaxed: from here on it is never freed. */
    atomic_store_explicit(&object->references, SATURATED, memory_order_relaxed);
    ++*faults;
}

RUN(saturating, if (ADD_ONE <= 0) saturate(object, &faults), if (TAKE_ONE <= 1) saturate(object, &faults))

/*
 * Relaxed: only the owner writes its count. In Linux, RCU makes known that the object is being given up, not the order
 * of this flag.
 */
RUN(per_cpu, if (atomic_load_explicit(&object->dying, memory_order_relaxed)) ADD_ONE;
    else atomic_store_explicit(own, ++count, memory_order_relaxed),
    if (atomic_load_explicit(&object->dying, memory_order_relaxed)) faults += TAKE_ONE == 1;
    else atomic_store_explicit(own, --count, memory_order_relaxed))

/*
 * Release, pairs with the thread that gathers the spares (here: the check, after the threads have met). Everything that
 * we did with the object under the reference comes before the spare that is left of it.
 */
RUN(
    spares, if (count > 0) atomic_store_explicit(own, --count, memory_order_release);
    else ADD_ONE, if (++count > SPARES) {
        /* A, for as many at once. */
        faults +=
            atomic_fetch_sub_explicit(&object->references, (int32_t)count, memory_order_acq_rel) <= (int32_t)count;
        count = 0;
    } atomic_store_explicit(own, count, memory_order_release))

static int setup(struct trial *trial)
{
    static void (*const runs[])(struct worker *, uint64_t) = {
        [PLAIN] = run_plain,
        [SATURATING] = run_saturating,
        [PER_CPU] = run_per_cpu,
        [LOCAL_SPARES] = run_spares,
    };
    const int64_t held = trial->value[HELD];
    struct object *object;

    if (held < 1 || held > MAX_HELD)
        return trial_fault(trial, "held=%" PRId64 " is not between 1 and %d", held, MAX_HELD);
    object = trial_alloc(trial, sizeof *object + trial->team_size * sizeof *object->sides);
    if (!object)
        return -ENOMEM;
    atomic_init(&object->references, 1);
    object->held = trial->granule = (uint64_t)held;
    trial->run = runs[trial->value[KIND]];
    return 0;
}

/* Every reference was given back, none twice, and nobody thought that it was the last. */
static int check(struct trial *trial)
{
    const struct object *object = trial->state;
    int64_t references = atomic_load_explicit(&object->references, memory_order_relaxed), own = 0;
    uint64_t faults = 0;

    for (unsigned i = 0; i < trial->team_size; i++) {
        own += atomic_load_explicit(&object->sides[i].own, memory_order_relaxed);
        faults += object->sides[i].faults;
    }
    references += trial->value[KIND] == LOCAL_SPARES ? -own : own;
    if (references != 1 || faults)
        return trial_fault(trial, "%" PRId64 " references instead of 1, %" PRIu64 " steps met no valid count",
                           references, faults);
    return 0;
}

KERNEL(refcount,
    .name       = "counter/refcount",
    .summary    = "each thread takes a reference to a shared object and gives it back",
    .unit       = "get and put",
    .threads    = { .min = 1, .max = MAX_TEAM },
    .place      = PLACE_SWEEP,
    .parameters = {
        [KIND] = { .name = "kind", .summary = "of count", .labels = "plain saturating per_cpu spares",
                   .initial = PLAIN, .quick = "plain spares", .standard = "*", .rigorous = "*" },
        [HELD] = { .name = "held", .unit = "references", .summary = "taken in a row, then given back in a row",
                   .initial = 1, .rigorous = "1 256" },
    },
    .setup      = setup,
    .run        = run_plain,
    .check      = check);
