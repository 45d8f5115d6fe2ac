/*
 * The harness for rings with several producers or consumers. It measures the throughput of a team. Half of the team
 * pushes and half pops, or one thread pops and the rest push. The adapter of a ring is that of ring/trial.h: its
 * functions, then `#define RING name` and this header.
 *
 * A window moves a fixed number of items. Each producer numbers its own items, and consumers compare. The numbers of
 * one producer must grow as each consumer sees them. At the end count, sum and sum of squares over all consumers must
 * be those of the pushed items. So disorder, loss, doubling and torn items fail the check.
 *
 * Setup, loop and teardown of a KERNEL: name_many_setup (roles as a parameter) or name_single_setup (worker 0 is the
 * only consumer), name_many_8, name_many_teardown, and ring_many_check.
 */
#ifndef FENCEPOST_RING_MANY_H
#define FENCEPOST_RING_MANY_H

#include "trial.h"

/* After the parameters of ring/trial.h. */
enum { RING_ROLES = RING_PAUSE + 1 };
/* With several threads a CPU: consumers and producers on separate CPUs, or as many of both on each. */
enum { RING_APART_ROLES, RING_MIXED_ROLES };

/* Producer in the high bits of a number, so that single items of 8 bytes carry both. */
#define RING_MANY_SHIFT 48

/* The items that a consumer has seen of one producer. */
struct ring_many_seen {
    uint64_t last, count, sum, squares;
};

struct ring_many_side {
    __attribute__((aligned(128))) uint64_t number; /* next of this producer */
    uint64_t refused, disorder, missing, stuck;
    uint64_t ended;              /* windows: read by others that wait in vain */
    struct ring_many_seen *seen; /* a consumer's, by worker */
};

struct ring_many {
    void *ring;
    unsigned wait, consumers, producers;
    size_t batch;
    bool *is_consumer;
    struct ring_many_side *side;
};

/* Whether all workers of the other role have ended window number `window`. */
static __attribute__((noinline, unused)) bool ring_many_are_gone(const struct ring_many *many, unsigned team,
                                                                 bool consumers, uint64_t window)
{
    for (unsigned i = 0; i < team; i++)
        /* Acquire, pairs with the release at the end of a worker's window: whoever sees that could see its items. */
        if (many->is_consumer[i] == consumers && __atomic_load_n(&many->side[i].ended, __ATOMIC_ACQUIRE) < window)
            return false;
    return true;
}

/*
 * Roles by CPU (apart) or in turn on each CPU (mixed). Neither role is ever all of the team. On one CPU both are mixed.
 */
static inline void ring_many_assign(struct ring_many *many, const struct trial *trial, bool single, int64_t roles)
{
    unsigned cpus = 0; /* different ones */

    for (unsigned i = 0; i < trial->team_size; i++)
        cpus += trial->cpus[i] != trial->cpus[0];
    for (unsigned i = 0; i < trial->team_size; i++) {
        unsigned before = 0,
                 rank = 0; /* threads on this worker's CPU that come before it, CPUs that come before its own */

        for (unsigned j = 0; j < i; j++)
            before += trial->cpus[j] == trial->cpus[i];
        for (unsigned j = 0; j < trial->team_size && trial->cpus[j] != trial->cpus[i]; j++) {
            unsigned seen = 0;

            for (unsigned k = 0; k < j; k++)
                seen += trial->cpus[k] == trial->cpus[j];
            rank += seen == 0;
        }
        if (single)
            many->is_consumer[i] = i == 0;
        else
            many->is_consumer[i] = (rank + (roles == RING_MIXED_ROLES || cpus == 0 ? before : 0)) % 2 == 0;
        many->consumers += many->is_consumer[i];
    }
    many->producers = trial->team_size - many->consumers;
}

static inline int ring_many_setup(struct trial *trial, bool single, int (*create)(void **, size_t, size_t))
{
    const unsigned team = trial->team_size;
    struct ring_many *many;

    if (ring_trial_bad_value(trial))
        return -EINVAL;
    many = (struct ring_many *)trial_alloc(trial, sizeof *many);
    if (!many)
        return -ENOMEM;
    many->is_consumer = (bool *)trial_alloc(trial, team * sizeof *many->is_consumer);
    many->side = (struct ring_many_side *)trial_alloc(trial, team * sizeof *many->side);
    if (!many->is_consumer || !many->side)
        return -ENOMEM;
    ring_many_assign(many, trial, single, single ? 0 : trial->value[RING_ROLES]);
    for (unsigned i = 0; i < team; i++) {
        many->side[i].seen = (struct ring_many_seen *)trial_alloc(trial, team * sizeof *many->side[i].seen);
        if (!many->side[i].seen)
            return -ENOMEM;
    }
    many->wait = trial->oversubscribed      ? (unsigned)RING_YIELD
                 : trial->value[RING_PAUSE] ? (unsigned)RING_RELAX
                                            : (unsigned)RING_SPIN;
    many->batch = (size_t)trial->value[RING_BATCH];
    trial->granule = (uint64_t)many->batch;
    trial->measured = 1;
    return create(&many->ring, (size_t)trial->value[RING_CAPACITY], (size_t)trial->value[RING_BYTES]);
}

static inline int ring_many_check(struct trial *trial)
{
    const struct ring_many *many = (const struct ring_many *)trial->state;
    double full = 0, empty = 0, items = 0;

    for (unsigned i = 0; i < trial->team_size; i++) {
        const struct ring_many_side *side = &many->side[i];
        uint64_t count = 0, sum = 0, squares = 0;

        if (side->missing)
            return trial_fault(trial, "%" PRIu64 " items that were pushed never came out", side->missing);
        if (side->disorder)
            return trial_fault(trial, "%" PRIu64 " items came out of their producer's order, twice or torn",
                               side->disorder);
        if (side->stuck)
            return trial_fault(trial, "a producer met a full ring after all items had been popped");
        if (many->is_consumer[i]) {
            empty += (double)side->refused;
            continue;
        }
        for (unsigned j = 0; j < trial->team_size; j++) {
            count += many->side[j].seen[i].count;
            sum += many->side[j].seen[i].sum;
            squares += many->side[j].seen[i].squares;
        }
        for (uint64_t number = 1; number <= side->number; number++) {
            sum -= number;
            squares -= number * number;
        }
        if (count != side->number || sum || squares)
            return trial_fault(trial, "of %" PRIu64 " items of one producer %" PRIu64 " came out, or not the same ones",
                               side->number, count);
        full += (double)side->refused;
        items += (double)side->number;
    }
    if (items == 0)
        return trial_fault(trial, "no item was pushed");
    trial->metric[RING_FULL] = full / items;
    trial->metric[RING_EMPTY] = empty / items;
    trial->metric[RING_REGIME] = empty + full > 0 ? (full - empty) / (full + empty) : 0;
    return 0;
}

#define RING_MANY_METRICS                                                                                              \
    {                                                                                                                  \
        {"full_per_item", "refusals", "pushes that met a full ring, per item"},                                        \
            {"empty_per_item", "refusals", "pops that met an empty ring, per item"},                                   \
            {"regime", "1", "-1: all refusals met an empty ring, 1: all a full one"},                                  \
    }

#define RING_MANY_SWEEPS(capacities, all_capacities, sizes, all_sizes, batches, all_batches, pauses, all_pauses)       \
    {"capacity", "items", "of the ring", NULL, 1024, NULL, capacities, all_capacities},                                \
        {"bytes", "bytes", "size of an item", NULL, 8, NULL, sizes, all_sizes},                                        \
        {"batch", "items", "pushed and popped by one call", NULL, 1, NULL, batches, all_batches},                      \
    {                                                                                                                  \
        "pause", "", "a spin hint after a refusal; more threads than CPUs yield instead", "no yes", 1, NULL, pauses,   \
            all_pauses                                                                                                 \
    }

#define RING_MANY_PARAMETERS(capacities, sizes, batches, pauses)                                                       \
    RING_MANY_SWEEPS(capacities, "2 16 64 1024 16384 65536", sizes, "8 64 256", batches, "1 8 32", pauses, "no yes")

/* Oversubscribed. Each case is as long as ten others and yields instead of pausing: a full sweep would be most of a rigorous run. */
#define RING_CROWD_PARAMETERS RING_MANY_SWEEPS(NULL, "64 1024 65536", NULL, NULL, NULL, "1 32", NULL, NULL)

#define RING_MANY_ROLES(standard_sweep)                                                                                \
    {                                                                                                                  \
        "roles", "", "threads that share a CPU: all of one role, or of both", "apart mixed", RING_MIXED_ROLES, NULL,   \
            standard_sweep, "*"                                                                                        \
    }

#endif

/* From here on once for every ring. */
#ifdef RING
#define RING_FN(name) RING_TRIAL_JOIN(RING, name)

#ifndef RING_HAS_BULK
RING_TRIAL_INLINE size_t RING_FN(_push_bulk)(void *ring, const void *items, size_t count, size_t item_bytes)
{
    size_t done = 0;

    while (done < count && RING_FN(_try_push)(ring, (const char *)items + done * item_bytes, item_bytes))
        done++;
    return done;
}

RING_TRIAL_INLINE size_t RING_FN(_pop_bulk)(void *ring, void *items, size_t count, size_t item_bytes)
{
    size_t done = 0;

    while (done < count && RING_FN(_try_pop)(ring, (char *)items + done * item_bytes, item_bytes))
        done++;
    return done;
}
#endif

/* `single`: batch is 1, by the ring's functions for one item. */
RING_TRIAL_INLINE void RING_FN(_many_produce)(struct worker *worker, uint64_t count, size_t bytes, bool single)
{
    struct ring_many *const many = (struct ring_many *)worker->trial->state;
    struct ring_many_side *const side = &many->side[worker->index];
    const unsigned wait = many->wait;
    const size_t batch = single ? 1 : many->batch;
    const uint64_t who = (uint64_t)worker->index << RING_MANY_SHIFT;
    uint64_t items[RING_LARGEST_BATCH * RING_LARGEST_BYTES / 8] = {0}, number = side->number, refused = 0;

    for (const uint64_t end = number + count; number != end;) {
        for (size_t i = 0; i < batch; i++) {
            const uint64_t item = who | ++number;

            items[(i + 1) * bytes / 8 - 1] = ~item;
            items[i * bytes / 8] = item;
        }
        if (bytes > 8 || !single)
            RING_ALL_BYTES(items);
        for (size_t done = 0; done < batch;) {
            const size_t pushed = single
                                      ? (size_t)RING_FN(_try_push)(many->ring, items, bytes)
                                      : RING_FN(_push_bulk)(many->ring, &items[done * bytes / 8], batch - done, bytes);

            done += pushed;
            if (__builtin_expect(pushed == 0, 0)) {
                if (++refused % RING_PATIENCE == 0 &&
                    ring_many_are_gone(many, worker->team_size, true, side->ended + 1)) {
                    side->stuck++;
                    goto out;
                }
                ring_trial_wait(wait);
            }
        }
    }
out:
    side->number = number;
    side->refused += refused;
}

RING_TRIAL_INLINE void RING_FN(_many_consume)(struct worker *worker, uint64_t count, size_t bytes, bool single)
{
    struct ring_many *const many = (struct ring_many *)worker->trial->state;
    struct ring_many_side *const side = &many->side[worker->index];
    struct ring_many_seen *const seen = side->seen;
    const unsigned wait = many->wait;
    const size_t batch = single ? 1 : many->batch;
    uint64_t items[RING_LARGEST_BATCH * RING_LARGEST_BYTES / 8] = {0}, left = count, refused = 0, disorder = 0,
                                                             in_vain = 0;

    while (left) {
        const size_t wanted = left < batch ? (size_t)left : batch;
        const size_t popped = single ? (size_t)RING_FN(_try_pop)(many->ring, items, bytes)
                                     : RING_FN(_pop_bulk)(many->ring, items, wanted, bytes);

        if (bytes > 8 || !single)
            RING_ALL_BYTES(items);
        for (size_t i = 0; i < popped; i++) {
            const uint64_t item = items[i * bytes / 8], number = item & ((UINT64_C(1) << RING_MANY_SHIFT) - 1);
            const uint64_t who = item >> RING_MANY_SHIFT;

            if (__builtin_expect(who >= worker->team_size || number <= seen[who].last, 0) ||
                (bytes > 8 && items[(i + 1) * bytes / 8 - 1] != ~item)) {
                disorder++;
                continue;
            }
            seen[who].last = number;
            seen[who].count++;
            seen[who].sum += number;
            seen[who].squares += number * number;
        }
        left -= popped;
        if (popped == 0) {
            refused++;
            ring_trial_wait(wait);
            if (__builtin_expect(++in_vain % RING_PATIENCE == 0, 0) &&
                ring_many_are_gone(many, worker->team_size, false, side->ended + 1) &&
                in_vain > RING_LAST_QUESTIONS * (uint64_t)RING_PATIENCE) {
                side->missing += left;
                break;
            }
        }
    }
    side->refused += refused;
    side->disorder += disorder;
}

/* An operation is an item of each producer for each consumer, so that both sides divide evenly. `done` counts items. */
#define RING_MANY_RUN(bytes)                                                                                           \
    static void RING_FN(_many_##bytes)(struct worker * worker, uint64_t operations)                                    \
    {                                                                                                                  \
        struct ring_many *const many = (struct ring_many *)worker->trial->state;                                       \
        struct ring_many_side *const side = &many->side[worker->index];                                                \
        if (many->is_consumer[worker->index]) {                                                                        \
            if (many->batch == 1)                                                                                      \
                RING_FN(_many_consume)(worker, operations * many->producers, bytes, true);                             \
            else                                                                                                       \
                RING_FN(_many_consume)(worker, operations * many->producers, bytes, false);                            \
        } else {                                                                                                       \
            if (many->batch == 1)                                                                                      \
                RING_FN(_many_produce)(worker, operations * many->consumers, bytes, true);                             \
            else                                                                                                       \
                RING_FN(_many_produce)(worker, operations * many->consumers, bytes, false);                            \
        }                                                                                                              \
        worker->done = operations * many->producers * many->consumers;                                                 \
        __atomic_store_n(&side->ended, side->ended + 1, __ATOMIC_RELEASE); /* see ring_many_are_gone */                \
    }
RING_MANY_RUN(8)
RING_MANY_RUN(64)
RING_MANY_RUN(256)
#undef RING_MANY_RUN

static inline int RING_FN(_many_start)(struct trial *trial, bool single)
{
    trial->run = trial->value[RING_BYTES] == 8    ? RING_FN(_many_8)
                 : trial->value[RING_BYTES] == 64 ? RING_FN(_many_64)
                                                  : RING_FN(_many_256);
    return ring_many_setup(trial, single, RING_FN(_create));
}

static __attribute__((unused)) int RING_FN(_many_setup)(struct trial *trial)
{
    return RING_FN(_many_start)(trial, false);
}

static __attribute__((unused)) int RING_FN(_single_setup)(struct trial *trial)
{
    return RING_FN(_many_start)(trial, true);
}

static __attribute__((unused)) void RING_FN(_many_teardown)(struct trial *trial)
{
    struct ring_many *many = (struct ring_many *)trial->state;

    if (many && many->ring)
        RING_FN(_destroy)(many->ring);
}

#undef RING_FN
#undef RING
#undef RING_HAS_BULK
#endif
