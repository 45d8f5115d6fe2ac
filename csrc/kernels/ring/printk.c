/*
 * ring/printk: what does a common log cost its writers, under a lock and without?
 *
 * One operation is one record of 64 bytes that the first thread writes into an overwriting ring
 * (csrc/lib/ring/overwrite.h). Meanwhile each other thread writes as many records as it can. The last of several
 * threads also reads the log, one record after each that it writes. The log is full from the start, so a slow reader
 * reads the record that is written over next. With design=lock all threads take one mutex around each write and each
 * read, as printk took logbuf_lock until Linux 5.9. With design=lockless they take numbers from a common counter and
 * write side by side, as printk does since 5.10 (commit b6cf8b3f3312). Every record that is read is compared. At the
 * end the rest is read too.
 * Excluded:  making the text, and putting it on a console, which is slow and still has its own lock.
 * Expect:    whole records either way. So whole messages do not prove that there is a lock.
 * Hazards:   without a lock the threads still share the counter's line, and neighbouring records share lines. A thread
 *            alone has no reader.
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
enum { TORN, DROPPED, READ, READ_MEANWHILE };

#define WORDS 8
#define CAPACITY 4096 /* records: 256 KiB, near the log of a distribution's kernel */
/* Records between two looks whether the first thread is done: few looks leave its line alone. */
#define RECORDS_A_BLOCK 16
#define NUMBER_BITS 48 /* of each word, the writer's index has the rest */

struct writer {
    _Alignas(128) uint64_t number, dropped;
    _Alignas(128) uint64_t last; /* the reader's: the latest number of this writer that it has seen */
};

struct log {
    struct ring_overwrite *ring;
    pthread_mutex_t lock;
    /* Of whoever reads: one thread during the batches, the check afterwards. */
    _Alignas(128) struct ring_overwrite_reader reader;
    uint64_t read, lost, torn, meanwhile;
    struct writer writers[];
};

/* Every word of a record is its writer and number. */
static void write_record(struct log *log, bool locks, unsigned who)
{
    struct writer *me = &log->writers[who];
    const uint64_t word = (uint64_t)who << NUMBER_BITS | ++me->number;
    uint64_t record[WORDS];
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

static int setup(struct trial *trial)
{
    struct log *log = trial_alloc(trial, sizeof *log + trial->team_size * sizeof *log->writers);
    int status;

    if (!log)
        return -ENOMEM;
    trial->measured = 1;
    pthread_mutex_init(&log->lock, NULL);
    status = ring_overwrite_create(&log->ring, CAPACITY, WORDS * sizeof(uint64_t), 0);
    if (status)
        return status;
    ring_overwrite_reader_init(&log->reader, log->ring);
    for (unsigned i = 0; i < CAPACITY; i++)
        write_record(log, false, 0);
    return 0;
}

/* The next record: whole, and in its writer's order. False where there is none. */
static bool read_record(struct log *log, bool locks, unsigned team_size)
{
    uint64_t record[WORDS];
    ring_index lost;
    size_t bytes;
    bool found;

    if (locks)
        pthread_mutex_lock(&log->lock);
    found = ring_overwrite_read(&log->reader, record, sizeof record, &bytes, &lost);
    if (locks)
        pthread_mutex_unlock(&log->lock);
    log->lost += lost;
    if (found) {
        const uint64_t who = record[0] >> NUMBER_BITS, number = record[0] & ((UINT64_C(1) << NUMBER_BITS) - 1);
        bool bad = bytes != sizeof record || who >= team_size || number <= log->writers[who].last;

        for (unsigned j = 1; j < WORDS; j++)
            bad |= record[j] != record[0];
        if (!bad)
            log->writers[who].last = number;
        log->torn += bad;
        log->read++;
    }
    return found;
}

/*
 * The first thread writes the records that are asked for. The others go on until it is done. The last of several also
 * reads.
 */
static void run(struct worker *worker, uint64_t operations)
{
    struct log *log = worker->trial->state;
    const bool locks = worker->trial->value[DESIGN] == LOCK, reads = worker->index + 1 == worker->team_size;
    uint64_t made = 0;

    if (worker->index == 0)
        for (; made < operations; made++)
            write_record(log, locks, 0);
    else
        do
            for (unsigned i = 0; i < RECORDS_A_BLOCK; i++, made++) {
                write_record(log, locks, worker->index);
                log->meanwhile += reads && read_record(log, locks, worker->team_size);
            }
        while (!leader_has_ended(worker));
    worker->done = made;
}

/*
 * The remaining records are complete too. The records that were read and those that were lost are all that was written.
 */
static int check(struct trial *trial)
{
    struct log *log = trial->state;
    uint64_t written = 0, dropped = 0;

    for (unsigned i = 0; i < trial->team_size; i++) {
        written += log->writers[i].number;
        dropped += log->writers[i].dropped;
    }
    while (read_record(log, false, trial->team_size))
        ;
    if (log->torn || log->read == 0 || log->read + log->lost != written)
        return trial_fault(
            trial, "%" PRIu64 " records written, %" PRIu64 " read, %" PRIu64 " lost, %" PRIu64 " torn or in disorder",
            written, log->read, log->lost, log->torn);
    trial->metric[TORN] = (double)log->torn;
    trial->metric[DROPPED] = (double)dropped / (double)written;
    trial->metric[READ] = (double)log->read;
    trial->metric[READ_MEANWHILE] = (double)log->meanwhile;
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
    .summary    = "threads write to and read a common log, under a lock or by the overwriting ring alone",
    .unit       = "record",
    .threads    = { .min = 1, .max = MAX_TEAM },
    .place      = PLACE_SWEEP,
    .parameters = { [DESIGN] = { .name = "design", .summary = "how writers share the log", .labels = "lock lockless",
                                 .initial = LOCKLESS, .quick = "*", .standard = "*", .rigorous = "*" } },
    .metrics    = {
        [TORN]    = { "torn", "records", "not whole, among those read back" },
        [DROPPED] = { "dropped_share", "share", "given up because an earlier writer was still in the slot" },
        [READ]    = { "read", "records", "read and compared, those left at the end among them" },
        [READ_MEANWHILE] = { "read_meanwhile", "records", "read while the first thread was writing" },
    },
    .setup      = setup,
    .run        = run,
    .check      = check,
    .teardown   = teardown);
