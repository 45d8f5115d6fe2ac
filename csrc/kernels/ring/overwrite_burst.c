/*
 * ring/overwrite_burst: which records does a log lose that nobody reads in time?
 *
 * One operation is one burst of records, of 1 to 64 bytes in turn. One thread writes them into the library's
 * overwriting ring. Then a reader that was up to date before reads them out.
 * Excluded:  making the ring.
 * Expect:    a burst of b records into a capacity of c loses exactly b - c, the oldest, and none when b <= c. Each
 *            burst is checked for this. The time is that of all writes and of the remaining reads.
 * Hazards:   none. Nothing here depends on time.
 * Not shown: reading while it is written (ring/printk), and the boot log of a real kernel, whose early messages are
 *            lost in the same way.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "kernel.h"
#include "lib/ring/overwrite.h"

enum { CAPACITY, BURST_PCT };
enum { LOST, EXPECTED, LOST_PCT };

#define LONGEST 64
#define MAX_CAPACITY 1000000
#define MAX_BURST_PCT 10000

struct bursts {
    struct ring_overwrite *ring;
    struct ring_overwrite_reader reader;
    uint64_t burst, number; /* number: of the next record, over all bursts */
    uint64_t bursts, lost, wrong;
};

static uint64_t expected(const struct trial *trial, uint64_t burst)
{
    const uint64_t capacity = (uint64_t)trial->value[CAPACITY];

    return burst > capacity ? burst - capacity : 0;
}

/* Length and bytes of a record follow from its number. */
static size_t compose(unsigned char *record, uint64_t number)
{
    const size_t bytes = 1 + number % LONGEST;

    memset(record, (int)(number * 37 % 251), bytes);
    return bytes;
}

static int setup(struct trial *trial)
{
    const int64_t capacity = trial->value[CAPACITY], percent = trial->value[BURST_PCT];
    struct bursts *bursts;
    int status;

    if (capacity < 1 || capacity > MAX_CAPACITY || percent < 1 || percent > MAX_BURST_PCT) {
        trial_fault(trial, "capacity must be 1 to %d and burst_pct 1 to %d", MAX_CAPACITY, MAX_BURST_PCT);
        return -EINVAL;
    }
    bursts = trial_alloc(trial, sizeof *bursts);
    if (!bursts)
        return -ENOMEM;
    bursts->burst = (uint64_t)((capacity * percent + 99) / 100);
    status = ring_overwrite_create(&bursts->ring, (size_t)capacity, LONGEST, 0);
    if (!status)
        ring_overwrite_reader_init(&bursts->reader, bursts->ring);
    return status;
}

static void run(struct worker *worker, uint64_t operations)
{
    struct bursts *bursts = worker->trial->state;
    const uint64_t due = expected(worker->trial, bursts->burst);
    unsigned char record[LONGEST], wanted[LONGEST];

    for (uint64_t operation = 0; operation < operations; operation++) {
        uint64_t number = bursts->number + due;
        ring_index lost;
        size_t bytes;

        for (uint64_t i = 0; i < bursts->burst; i++) {
            bytes = compose(record, bursts->number + i);
            bursts->wrong += ring_overwrite_write(bursts->ring, record, bytes) != 0;
        }
        bursts->number += bursts->burst;
        for (bool first = true; ring_overwrite_read(&bursts->reader, record, sizeof record, &bytes, &lost);
             first = false, number++) {
            bursts->lost += lost;
            /* The oldest are gone: the first that comes is number `due` of the burst. */
            bursts->wrong +=
                lost != (first ? due : 0) || bytes != compose(wanted, number) || memcmp(record, wanted, bytes);
        }
        bursts->lost += lost;
        bursts->wrong += number != bursts->number;
    }
    bursts->bursts += operations;
}

static int check(struct trial *trial)
{
    const struct bursts *bursts = trial->state;
    const uint64_t due = expected(trial, bursts->burst);

    if (bursts->bursts == 0 || bursts->wrong || bursts->lost != due * bursts->bursts)
        return trial_fault(trial,
                           "%" PRIu64 " records lost in %" PRIu64 " bursts instead of %" PRIu64 " in each, %" PRIu64
                           " others wrong",
                           bursts->lost, bursts->bursts, due, bursts->wrong);
    trial->metric[LOST] = (double)bursts->lost / (double)bursts->bursts;
    trial->metric[EXPECTED] = (double)due;
    trial->metric[LOST_PCT] = 100 * trial->metric[LOST] / (double)bursts->burst;
    return 0;
}

static void teardown(struct trial *trial)
{
    struct bursts *bursts = trial->state;

    if (bursts)
        ring_overwrite_destroy(bursts->ring);
}

KERNEL(overwrite_burst,
    .name       = "ring/overwrite_burst",
    .summary    = "one thread writes a burst into a log that overwrites its oldest records, then reads the rest",
    .unit       = "burst",
    .threads    = { .min = 1, .max = 1 },
    .parameters = {
        [CAPACITY]  = { .name = "capacity", .unit = "records", .summary = "that the log keeps", .initial = 100,
                        .rigorous = "1 100 1000" },
        [BURST_PCT] = { .name = "burst_pct", .unit = "%", .summary = "length of the burst in hundredths of the capacity",
                        .initial = 150, .quick = "50 150 400", .standard = "50 100 101 150 200 400 800",
                        .rigorous = "50 100 101 150 200 400 800" },
    },
    .metrics    = {
        [LOST]     = { "lost", "records", "lost of each burst" },
        [EXPECTED] = { "expected", "records", "burst less capacity, or none" },
        [LOST_PCT] = { "lost_pct", "%", "lost, of the records of a burst" },
    },
    .setup      = setup,
    .run        = run,
    .check      = check,
    .teardown   = teardown);
