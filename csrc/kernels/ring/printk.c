/*
 * ring/printk: what does a common log cost its writers, under a lock and without?
 *
 * One operation is one record of 64 bytes, written by each thread into one overwriting ring (csrc/lib/ring/overwrite.h). With design=lock all
 * threads take one mutex around the write, as printk took logbuf_lock until Linux 5.9; with design=lockless they take numbers from a
 * common counter and write side by side, as printk does since 5.10 (commit b6cf8b3f3312). Nobody reads meanwhile; at the end all
 * that is left is read, and every record is compared.
 * Excluded:  making the text, and putting it on a console, which is slow and still has a lock of its own.
 * Expect:    whole records either way: that messages are never cut does not show that there is a lock.
 * Hazards:   without a lock the threads still share the counter's line, and neighbouring records share lines.
 * Not shown: writers in interrupts, for whom the lock was a deadlock rather than a price.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "kernel.h"
#include "lib/ring/overwrite.h"

enum { DESIGN };
enum { LOCK, LOCKLESS };
enum { TORN, DROPPED, READ };

#define WORDS 8
#define CAPACITY 4096 /* records: 256 KiB, near the log of a distribution's kernel */

struct writer {
    _Alignas(128) uint64_t number, dropped;
};

struct log {
    struct ring_overwrite *ring;
    struct ring_overwrite_reader reader;
    pthread_mutex_t lock;
    struct writer writers[];
};

static int setup(struct trial *trial)
{
    struct log *log = trial_alloc(trial, sizeof *log + trial->team_size * sizeof *log->writers);
    int status;

    if (!log)
        return -ENOMEM;
    pthread_mutex_init(&log->lock, NULL);
    status = ring_overwrite_create(&log->ring, CAPACITY, WORDS * sizeof(uint64_t), 0);
    if (!status)
        ring_overwrite_reader_init(&log->reader, log->ring);
    return status;
}

/* Every word of a record is its writer and number. */
static void run(struct worker *worker, uint64_t operations)
{
    struct log *log = worker->trial->state;
    struct writer *me = &log->writers[worker->index];
    const bool locks = worker->trial->value[DESIGN] == LOCK;
    uint64_t record[WORDS];

    for (uint64_t i = 0; i < operations; i++) {
        const uint64_t word = (uint64_t)worker->index << 48 | ++me->number;
        int status;

        for (unsigned j = 0; j < WORDS; j++)
            record[j] = word;
        if (locks)
            pthread_mutex_lock(&log->lock);
        status = ring_overwrite_write(log->ring, record, sizeof record);
        if (locks)
            pthread_mutex_unlock(&log->lock);
        me->dropped += status != 0;
    }
}

/* What is left is the newest: whole, in each writer's order, and with what was lost it is all that was written. */
static int check(struct trial *trial)
{
    struct log *log = trial->state;
    uint64_t written = 0, dropped = 0, read = 0, lost = 0, torn = 0, record[WORDS];
    uint64_t *last = trial_alloc(trial, trial->team_size * sizeof *last);
    ring_index some;
    size_t bytes;
    bool more;

    if (!last)
        return -ENOMEM;
    for (unsigned i = 0; i < trial->team_size; i++) {
        written += log->writers[i].number;
        dropped += log->writers[i].dropped;
    }
    do {
        more = ring_overwrite_read(&log->reader, record, sizeof record, &bytes, &some);
        lost += some;
        if (more) {
            const uint64_t who = record[0] >> 48, number = record[0] & ((UINT64_C(1) << 48) - 1);
            bool bad = bytes != sizeof record || who >= trial->team_size || number <= last[who];

            for (unsigned j = 1; j < WORDS; j++)
                bad |= record[j] != record[0];
            if (!bad)
                last[who] = number;
            torn += bad;
            read++;
        }
    } while (more);
    if (torn || read == 0 || read + lost != written)
        return trial_fault(
            trial, "%" PRIu64 " records written, %" PRIu64 " read, %" PRIu64 " lost, %" PRIu64 " torn or in disorder",
            written, read, lost, torn);
    trial->metric[TORN] = (double)torn;
    trial->metric[DROPPED] = (double)dropped / (double)written;
    trial->metric[READ] = (double)read;
    return 0;
}

static void teardown(struct trial *trial)
{
    struct log *log = trial->state;

    if (log)
        ring_overwrite_destroy(log->ring);
}

KERNEL(printk,
    .name       = "ring/printk",
    .summary    = "a record into a common log: under a lock, and by the library's overwriting ring alone",
    .unit       = "record",
    .threads    = { .min = 1, .max = MAX_TEAM },
    .place      = PLACE_SWEEP,
    .parameters = { [DESIGN] = { .name = "design", .summary = "how writers share the log", .labels = "lock lockless",
                                 .initial = LOCKLESS, .quick = "*", .standard = "*", .rigorous = "*" } },
    .metrics    = {
        [TORN]    = { "torn", "records", "not whole, among those read back" },
        [DROPPED] = { "dropped_share", "share", "given up because an earlier writer was still in the slot" },
        [READ]    = { "read", "records", "read back and compared at the end" },
    },
    .setup      = setup,
    .run        = run,
    .check      = check,
    .teardown   = teardown);
