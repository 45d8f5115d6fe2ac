/*
 * counter/read: what does it cost to read a counter exactly, when it is spread over slots on separate lines?
 *
 * One operation is one reading by the first thread: the sum of all slots. The second thread waits (idle). Or it counts
 * in the slots in turn, as fast as it can (written), until the first is done. Only the first one's windows are samples.
 * Excluded:  the first reading of each slot.
 * Expect:    idle: a load a slot, 0.4-0.6 ns (reference guest: 2, 8, 16 and 64 slots in 1.1, 3.8, 6.6 and 24 ns).
 *            Written: the slots that have changed since the last reading come from the other core, 25-100 ns each, but
 *            several at a time.
 * Hazards:   the reader slows the writer down. The metric writes_per_operation says how many writes a reading met. It
 *            falls as readings become dearer to both.
 * Not shown: "exact" is each slot's value at some moment during the reading, not all at one moment. More than one
 *            writer.
 */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>

#define MAX_SLOTS 4096

enum { SLOTS, STATE };
enum { IDLE, WRITTEN };
enum { WRITES };

struct slot {
    _Alignas(128) _Atomic uint64_t count;
};

struct reading {
    _Alignas(128) struct slot *first, *end;
    _Alignas(128) uint64_t readings, last_sum, disorder;
    _Alignas(128) uint64_t writes;
};

static void read_all(struct worker *worker, uint64_t operations)
{
    struct reading *reading = worker->trial->state;
    const struct slot *first = reading->first, *end = reading->end;
    uint64_t sum = 0;

    for (uint64_t i = operations; i > 0; i--) {
        sum = 0;
        /* Relaxed: each slot is seen as a whole and never goes back. Nothing else is read because of it. By two: there
           are at least two. */
        for (const struct slot *slot = first; slot != end; slot += 2)
            sum += atomic_load_explicit(&slot[0].count, memory_order_relaxed) +
                   atomic_load_explicit(&slot[1].count, memory_order_relaxed);
        OPAQUE(sum);
    }
    reading->disorder += sum < reading->last_sum;
    reading->last_sum = sum;
    reading->readings += operations;
}

static void write_in_turn(struct worker *worker)
{
    struct reading *reading = worker->trial->state;
    struct slot *slot = reading->first;
    uint64_t writes = 0;

    do { /* once at least: a thread that comes to its CPU when all is over has written too */
        /* Relaxed: this is the only writer, so a load and a store are enough. Counts order nothing. */
        const uint64_t count = atomic_load_explicit(&slot->count, memory_order_relaxed);

        atomic_store_explicit(&slot->count, count + 1, memory_order_relaxed);
        writes++;
        if (++slot == reading->end)
            slot = reading->first;
    } while (!leader_has_ended(worker));
    reading->writes += writes;
}

static void run(struct worker *worker, uint64_t operations)
{
    if (worker->index == 0)
        read_all(worker, operations);
    else if (worker->trial->value[STATE] == WRITTEN)
        write_in_turn(worker);
    else
        while (!leader_has_ended(worker))
            cpu_relax();
}

static int setup(struct trial *trial)
{
    const int64_t slots = trial->value[SLOTS];
    struct reading *reading;

    if (slots < 2 || slots > MAX_SLOTS || slots % 2)
        return trial_fault(trial, "slots=%" PRId64 " is not an even number between 2 and %d", slots, MAX_SLOTS);
    reading = trial_alloc(trial, sizeof *reading);
    if (!reading)
        return -ENOMEM;
    reading->first = trial_alloc(trial, (size_t)slots * sizeof *reading->first);
    if (!reading->first)
        return -ENOMEM;
    reading->end = reading->first + slots;
    trial->measured = 1;
    for (int64_t i = 0; i < slots; i++)
        atomic_init(&reading->first[i].count, (uint64_t)i);
    return 0;
}

/* The slots have what they began with and all that was written. The last read of a batch never fell, and is not more than that. */
static int check(struct trial *trial)
{
    const struct reading *reading = trial->state;
    const uint64_t slots = (uint64_t)trial->value[SLOTS];
    const uint64_t expected = slots * (slots - 1) / 2 + reading->writes;
    uint64_t sum = 0;

    for (const struct slot *slot = reading->first; slot != reading->end; slot++)
        sum += atomic_load_explicit(&slot->count, memory_order_relaxed);
    if (sum != expected || reading->last_sum > sum || reading->disorder ||
        (!reading->writes && reading->last_sum != sum))
        return trial_fault(trial, "the slots hold %" PRIu64 " and should hold %" PRIu64 "; %" PRIu64 " was read last",
                           sum, expected, reading->last_sum);
    trial->metric[WRITES] = (double)reading->writes / (double)reading->readings;
    return 0;
}

KERNEL(read,
    .name       = "counter/read",
    .summary    = "a thread adds up the slots of a spread counter, idle or while another thread writes them",
    .unit       = "reading",
    .threads    = { .min = 2, .max = 2 },
    .place      = PLACE_ANY,
    .parameters = {
        [SLOTS] = { .name = "slots", .unit = "slots", .summary = "that are read, an even number",
                    .initial = 16, .quick = "2 64", .standard = "2 8 16 64", .rigorous = "2 4 8 16 32 64 128 256" },
        [STATE] = { .name = "state", .summary = "what another thread does meanwhile", .labels = "idle written",
                    .initial = IDLE, .quick = "*", .standard = "*", .rigorous = "*" },
    },
    .metrics    = {
        [WRITES] = { "writes_per_operation", "per operation", "writes to slots during a reading" },
    },
    .setup      = setup,
    .run        = run,
    .check      = check);
