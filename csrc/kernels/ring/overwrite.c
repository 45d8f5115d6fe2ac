/*
 * ring/overwrite:      how many records does a log lose whose reader is slower than its writer?
 * ring/overwrite_cost: what does one write cost, and what does one read cost?
 *
 * An event of ring/overwrite is one write. Worker 0 writes a record of 64 bytes every period_ns. Worker 1 tries to read
 * one every period_ns / read_pct %. Both go by the tick counter, between a common start and a common end. A worker that
 * is late by a whole period (preempted) goes on from then and does not catch up. The rates that were met are given.
 * Each worker makes the first record of its batch, however late it is. Loss is the reader's count, of all records that
 * it has passed. With read_pct below 100 the log is full from the start, as it would become. One operation of
 * ring/overwrite_cost is one write, or a write and the read of its record, alone on one thread.
 * Excluded:  making the record and the ring, and comparing the records that were read. The event is the call alone. A
 *            short random pause before it begins it anywhere in a step of the tick counter. So write_ns and read_ns,
 *            which are means, are finer than a step.
 * Expect:    lost = max(0, 1 - reads / writes), by the rates that were met. The number of each record follows from the
 *            reader's count. So a loss that is counted too high or too low fails the check, as does any torn record.
 * Hazards:   a reader that is preempted for longer than capacity * period_ns loses records, however fast it is
 *            otherwise.
 * Not shown: several writers (ring/printk), and bursts (ring/overwrite_burst).
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <sched.h>
#include <string.h>

#include "engine/window_mean.h"
#include "kernel.h"
#include "lib/ring/overwrite.h"

#define WORDS 8

/* Words of a record follow from its number, no two alike: neither an older record's nor a shifted one passes. */
static void compose(uint64_t *record, uint64_t number)
{
    for (unsigned i = 0; i < WORDS; i++)
        record[i] = (number * WORDS + i) * UINT64_C(0x9e3779b97f4a7c15);
}

static bool is_whole(const uint64_t *record, size_t bytes, uint64_t number)
{
    uint64_t wanted[WORDS];

    compose(wanted, number);
    return bytes == sizeof wanted && memcmp(record, wanted, sizeof wanted) == 0;
}

/* ---- ring/overwrite ---- */

enum { CAPACITY, PERIOD_NS, READ_PCT };
enum { LOST_PCT, MODEL_PCT, WRITES_PER_US, READS_PER_US, WRITE_NS, READ_NS };

#define WRITES_PER_BATCH 1000
#define BATCHES 4
#define MAX_CAPACITY 1000000
/* From a few times what a write and its pause take to what a run has time for. */
#define MIN_PERIOD_NS 200
#define MAX_PERIOD_NS 100000
#define MIN_READ_PCT 1
#define MAX_READ_PCT 200
#define MOST_READS (WRITES_PER_BATCH * BATCHES * (MAX_READ_PCT / 100))
/* Any number but 0: see random_pause. */
#define FIRST_RANDOM 88172645463325252

struct steady {
    struct ring_overwrite *ring;
    uint64_t period_ticks, read_period_ticks;
    struct {
        _Alignas(128) uint64_t written, paced, refused, random;
        int64_t took[WRITES_PER_BATCH * BATCHES];
    } writer;
    struct {
        _Alignas(128) uint64_t read, lost, tries, wrong, random, timed;
        struct ring_overwrite_reader place;
        int64_t took[MOST_READS];
    } reader;
    _Alignas(128) uint64_t span_ticks; /* of all batches */
};

static void write_next(struct steady *steady, int64_t *took)
{
    uint64_t record[WORDS], begin;
    int status;

    compose(record, steady->writer.written);
    begin = tick_begin();
    status = ring_overwrite_write(steady->ring, record, sizeof record);
    *took = (int64_t)(tick_end() - begin);
    steady->writer.written++;
    steady->writer.refused += status != 0;
}

/* One try of the reader, as it counts: what is read is compared with what is due after what was lost. */
static bool read_next(struct steady *steady, int64_t *took)
{
    uint64_t record[WORDS], begin;
    ring_index lost;
    size_t bytes;
    bool found;

    begin = tick_begin();
    found = ring_overwrite_read(&steady->reader.place, record, sizeof record, &bytes, &lost);
    *took = (int64_t)(tick_end() - begin);
    steady->reader.lost += lost;
    if (found) {
        steady->reader.wrong += !is_whole(record, bytes, steady->reader.read + steady->reader.lost);
        steady->reader.read++;
    }
    return found;
}

static int setup(struct trial *trial)
{
    const int64_t capacity = trial->value[CAPACITY], period_ns = trial->value[PERIOD_NS],
                  percent = trial->value[READ_PCT];
    struct steady *steady;
    int64_t took;
    int status;

    if (capacity < 1 || capacity > MAX_CAPACITY || period_ns < MIN_PERIOD_NS || period_ns > MAX_PERIOD_NS ||
        percent < MIN_READ_PCT || percent > MAX_READ_PCT) {
        trial_fault(trial, "capacity must be 1 to %d, period_ns %d to %d, read_pct %d to %d", MAX_CAPACITY,
                    MIN_PERIOD_NS, MAX_PERIOD_NS, MIN_READ_PCT, MAX_READ_PCT);
        return -EINVAL;
    }
    steady = trial_alloc(trial, sizeof *steady);
    if (!steady)
        return -ENOMEM;
    steady->period_ticks = (uint64_t)llround((double)period_ns * trial->tick_hz / 1e9);
    steady->read_period_ticks = (uint64_t)llround((double)period_ns * trial->tick_hz / 1e9 * 100 / (double)percent);
    steady->writer.random = steady->reader.random = FIRST_RANDOM;
    status = ring_overwrite_create(&steady->ring, (size_t)capacity, WORDS * sizeof(uint64_t), 0);
    if (status)
        return status;
    ring_overwrite_reader_init(&steady->reader.place, steady->ring);
    for (int64_t i = 0; percent < 100 && i < capacity; i++)
        write_next(steady, &took);
    return 0;
}

/* Wait until `due`. False at the end of the batch. */
static bool wait_until(const struct trial *trial, uint64_t due, uint64_t end)
{
    for (;;) {
        const uint64_t now = tick_now();

        if (now >= end)
            return false;
        if (now >= due)
            return true;
        if (trial->oversubscribed)
            sched_yield();
        else
            cpu_relax();
    }
}

static uint64_t next_due(uint64_t due, uint64_t period)
{
    const uint64_t now = tick_now();

    return now > due + period ? now : due + period;
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    const struct trial *trial = worker->trial;
    struct steady *steady = trial->state;
    const uint64_t start = team_start(worker), end = start + WRITES_PER_BATCH * steady->period_ticks;
    const int64_t overhead = llround(trial->overhead_ticks);
    uint64_t made = 0;

    if (worker->index == 0) {
        for (uint64_t due = start; made < count && (due == start || wait_until(trial, due, end));
             due = next_due(due, steady->period_ticks)) {
            int64_t *took = &steady->writer.took[steady->writer.paced++];

            random_pause(&steady->writer.random);
            write_next(steady, took);
            ticks[made++] = *took - overhead;
        }
        steady->span_ticks += end - start;
        return (int64_t)made;
    }
    for (uint64_t due = start; steady->reader.timed < MOST_READS && (due == start || wait_until(trial, due, end));
         due = next_due(due, steady->read_period_ticks)) {
        random_pause(&steady->reader.random);
        steady->reader.tries++;
        steady->reader.timed += read_next(steady, &steady->reader.took[steady->reader.timed]);
    }
    return 0;
}

static double mean_ns(const struct trial *trial, int64_t *took, uint64_t count)
{
    uint64_t kept;

    return (mean_without_gaps(took, count, trial->quantum_ticks, &kept) - trial->overhead_ticks) / trial->tick_hz * 1e9;
}

static int check(struct trial *trial)
{
    struct steady *steady = trial->state;
    const double read = (double)steady->reader.read, lost = (double)steady->reader.lost;
    int64_t took;

    while (read_next(steady, &took))
        ;
    if (steady->writer.refused || steady->reader.wrong || !steady->writer.paced || !steady->reader.read ||
        steady->reader.read + steady->reader.lost != steady->writer.written)
        return trial_fault(trial,
                           "%" PRIu64 " records written (%" PRIu64 " refused), %" PRIu64 " read, %" PRIu64
                           " lost, %" PRIu64 " torn or not the one that was due",
                           steady->writer.written, steady->writer.refused, steady->reader.read, steady->reader.lost,
                           steady->reader.wrong);
    if (lost + read > 0)
        trial->metric[LOST_PCT] = 100 * lost / (lost + read);
    trial->metric[MODEL_PCT] = 100 * fmax(0, 1 - (double)steady->reader.tries / (double)steady->writer.paced);
    trial->metric[WRITES_PER_US] = (double)steady->writer.paced / (double)steady->span_ticks * trial->tick_hz / 1e6;
    trial->metric[READS_PER_US] = (double)steady->reader.tries / (double)steady->span_ticks * trial->tick_hz / 1e6;
    trial->metric[WRITE_NS] = mean_ns(trial, steady->writer.took, steady->writer.paced);
    if (steady->reader.timed)
        trial->metric[READ_NS] = mean_ns(trial, steady->reader.took, steady->reader.timed);
    return 0;
}

static void teardown(struct trial *trial)
{
    struct steady *steady = trial->state;

    if (steady)
        ring_overwrite_destroy(steady->ring);
}

static uint64_t cost_ns(const struct trial *trial)
{
    return (uint64_t)trial->value[PERIOD_NS] * WRITES_PER_BATCH * BATCHES;
}

KERNEL(overwrite,
    .name             = "ring/overwrite",
    .summary          = "one thread writes to a log that overwrites its oldest records, while a slower or faster one reads",
    .unit             = "write",
    .threads          = { .min = 2, .max = 2 },
    .place            = PLACE_ANY,
    .needs            = NEED_TICKS,
    .parameters       = {
        [CAPACITY]  = { .name = "capacity", .unit = "records", .summary = "that the log keeps", .initial = 64 },
        [PERIOD_NS] = { .name = "period_ns", .unit = "ns", .summary = "from write to write", .initial = 500 },
        [READ_PCT]  = { .name = "read_pct", .unit = "%", .summary = "reads in hundredths of the writes", .initial = 50,
                        .quick = "25 50 90 110", .standard = "10 25 50 75 90 100 110 150",
                        .rigorous = "10 25 50 75 90 95 100 105 110 150" },
    },
    .metrics          = {
        [LOST_PCT]      = { "lost_pct", "%", "lost, as the reader counted, of what it has come past" },
        [MODEL_PCT]     = { "model_pct", "%", "1 - reads / writes by the rates that were met, or 0" },
        [WRITES_PER_US] = { "writes_per_us", "1/us", "writes, as paced" },
        [READS_PER_US]  = { "reads_per_us", "1/us", "tries to read, as paced" },
        [WRITE_NS]   = { "write_ns", "ns", "mean of one write beside the reader" },
        [READ_NS]    = { "read_ns", "ns", "mean of one read that got a record" },
    },
    .setup            = setup,
    .events           = events,
    .events_per_batch = WRITES_PER_BATCH,
    .batches          = BATCHES,
    .check            = check,
    .teardown         = teardown,
    .cost_ns          = cost_ns);

/* ---- ring/overwrite_cost ---- */

enum { OP };
enum { WRITE, WRITE_READ };

#define KEPT 1024

struct alone {
    struct ring_overwrite *ring;
    struct ring_overwrite_reader place;
    uint64_t written, read, lost, wrong;
};

/* Cheaper than compose(), which would be timed as well: the number, counted on from word to word. */
static inline __attribute__((always_inline)) void alone_compose(uint64_t *record, uint64_t number)
{
    for (unsigned i = 0; i < WORDS; i++)
        record[i] = number + i;
}

static int alone_setup(struct trial *trial)
{
    struct alone *alone = trial_alloc(trial, sizeof *alone);
    int status;

    if (!alone)
        return -ENOMEM;
    status = ring_overwrite_create(&alone->ring, KEPT, WORDS * sizeof(uint64_t), 0);
    if (!status)
        ring_overwrite_reader_init(&alone->place, alone->ring);
    return status;
}

static inline __attribute__((always_inline)) void alone_run_op(struct worker *worker, uint64_t operations, bool reads)
{
    struct alone *alone = worker->trial->state;
    uint64_t record[WORDS], number = alone->written, read = 0, lost = 0, wrong = 0;

    for (const uint64_t end = number + operations; number != end; number++) {
        alone_compose(record, number);
        wrong += ring_overwrite_write(alone->ring, record, sizeof record) != 0;
        if (reads) {
            uint64_t copy[WORDS];
            ring_index some;
            size_t bytes;

            wrong += !ring_overwrite_read(&alone->place, copy, sizeof copy, &bytes, &some) || copy[0] != number ||
                     copy[WORDS - 1] != number + WORDS - 1;
            lost += some;
            read++;
        }
    }
    alone->written = number;
    alone->read += read;
    alone->lost += lost;
    alone->wrong += wrong;
}

static void alone_run(struct worker *worker, uint64_t operations)
{
    if (worker->trial->value[OP] == WRITE_READ)
        alone_run_op(worker, operations, true);
    else
        alone_run_op(worker, operations, false);
}

static int alone_check(struct trial *trial)
{
    struct alone *alone = trial->state;
    uint64_t copy[WORDS], wanted[WORDS];
    ring_index some;
    size_t bytes;
    bool more;

    do {
        more = ring_overwrite_read(&alone->place, copy, sizeof copy, &bytes, &some);
        alone->lost += some;
        alone_compose(wanted, alone->read + alone->lost);
        if (more && (bytes != sizeof copy || memcmp(copy, wanted, sizeof copy)))
            alone->wrong++;
        alone->read += more;
    } while (more);
    if (alone->wrong || alone->written == 0 || alone->read + alone->lost != alone->written)
        return trial_fault(trial,
                           "%" PRIu64 " records written, %" PRIu64 " read, %" PRIu64 " lost, %" PRIu64
                           " torn or not the one that was due",
                           alone->written, alone->read, alone->lost, alone->wrong);
    return 0;
}

static void alone_teardown(struct trial *trial)
{
    struct alone *alone = trial->state;

    if (alone)
        ring_overwrite_destroy(alone->ring);
}

KERNEL(overwrite_cost,
    .name       = "ring/overwrite_cost",
    .summary    = "one thread writes records of 64 bytes into the overwriting log, or writes and reads them",
    .unit       = "record",
    .threads    = { .min = 1, .max = 1 },
    .parameters = { [OP] = { .name = "op", .summary = "what is done with each record", .labels = "write write_read",
                             .initial = WRITE, .quick = "*", .standard = "*", .rigorous = "*" } },
    .setup      = alone_setup,
    .run        = alone_run,
    .check      = alone_check,
    .teardown   = alone_teardown);
