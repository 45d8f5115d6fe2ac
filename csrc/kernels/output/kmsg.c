/*
 * output/kmsg:         what does a record in the kernel's own log cost, if it is kept?
 * output/kmsg_dropped: and what if it is dropped, although the call says that it was written?
 *
 * Where printk_devkmsg is `ratelimit`, as it is by default, Linux keeps 10 records for each opening of /dev/kmsg in 5
 * seconds. It drops the others and still says that they were written. One event of output/kmsg is one record, the only
 * one of its opening and of its process. One event of output/kmsg_dropped is one record after ten of the same opening,
 * in one process only.
 * Excluded:  opening, and reading the log back.
 * Expect:    guest of an AMD EPYC, Linux 6.18: kept 2605 ns, dropped 371 ns. If a serial line shows each record, kept
 *            costs milliseconds.
 * Hazards:   both need permission and run only when they are named. A run adds MOST_RECORDS at most. Those of the last
 *            ten minutes are counted, and further processes have none. Each record is looked for in the log afterwards,
 *            so a dropped one is never taken for a kept one. The metric null_ns is a write of the same bytes to
 *            /dev/null, in the same process: the control. Records below console_level are also shown. Ours have the
 *            lowest level, 7.
 * Not shown: printk inside Linux, which formats as well.
 */
#define _GNU_SOURCE
#include "kernels/system.h"

enum { NULL_NS, CONSOLE_LEVEL };

#define DEVICE "/dev/kmsg"
#define TAG "fencepost output/kmsg"
#define MOST_RECORDS 25
/* Of one opening in 5 s, before Linux drops any. It writes one more that says so when the file is closed. */
#define BURST 10
#define DROPPED 14
#define LATELY_US INT64_C(600000000)
#define RECORD_BYTES 8192 /* the longest that the device gives, by its documentation */
#define NULL_WRITES 32

struct log {
    int device, null; /* -1: none */
    uint64_t written; /* records of this opening */
    uint64_t mark;    /* in each record of this case */
    double null_ticks[NULL_WRITES];
};

/* Records of ours in the log: those with this mark, or with 0 all of the last ten minutes. -errno where it cannot be read. */
static int64_t count_records(uint64_t mark)
{
    const int file = open(DEVICE, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    const int64_t now_us = (int64_t)now_ns() / 1000;
    char own[64], record[RECORD_BYTES];
    int64_t found = 0;
    ssize_t got;

    if (file < 0)
        return -errno;
    snprintf(own, sizeof own, TAG " %" PRIx64 "-", mark);
    /* EPIPE: records went out of the log meanwhile. It goes on with the oldest one. */
    while ((got = read(file, record, sizeof record - 1)) > 0 || errno == EPIPE) {
        int64_t us = 0;

        if (got <= 0)
            continue;
        record[got] = '\0';
        if (sscanf(record, "%*d,%*d,%" SCNd64, &us) != 1)
            continue;
        if (mark)
            found += strstr(record, own) != NULL;
        else
            found += now_us - us < LATELY_US && (strstr(record, TAG) || strstr(record, "output lines suppressed"));
    }
    close(file);
    return found;
}

static int64_t rate_limited(void)
{
    char text[32];

    return procfs_text("/proc/sys/kernel/printk_devkmsg", text, sizeof text) > 0 && strncmp(text, "ratelimit", 9) == 0;
}

static int begin(struct trial *trial, int64_t records)
{
    struct log *log = trial_alloc(trial, sizeof *log);
    int64_t before;

    if (!log)
        return -ENOMEM;
    log->device = log->null = -1;
    log->mark = tick_now();
    log->device = open(DEVICE, O_WRONLY | O_CLOEXEC);
    before = log->device < 0 ? -1 : count_records(0);
    if (before < 0)
        return trial_needs(trial,
                           "permission to write and read " DEVICE " (root, and a log of one's own in no container)");
    if (before + records > MOST_RECORDS)
        return trial_needs(trial, "ten minutes without 25 records of its own in the log");
    log->null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    return log->null < 0 ? -errno : 0;
}

/* One record, under its number. Ticks, or -errno. */
static int64_t write_record(struct trial *trial, int file, uint64_t number)
{
    char text[96];
    const int length = snprintf(text, sizeof text, "<7>" TAG " %" PRIx64 "-%" PRIu64 " left by a measurement\n",
                                ((struct log *)trial->state)->mark, number);
    uint64_t begin, end;
    ssize_t wrote;

    begin = tick_begin();
    wrote = write(file, text, (size_t)length);
    end = tick_end();
    if (wrote != length)
        return wrote < 0 ? -errno : -EIO;
    return llround(fmax(0, net_ticks(trial, begin, end)));
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;
    struct log *log = trial->state;
    uint64_t made = 0;

    for (; made < count; made++) {
        ticks[made] = write_record(trial, log->device, ++log->written);
        if (ticks[made] < 0)
            return ticks[made];
    }
    return (int64_t)made;
}

/* As many records are in the log as Linux has to keep, and not one more. */
static int check_records(struct trial *trial, int64_t expected)
{
    struct log *log = trial->state;
    int64_t found;
    char text[64];

    close(log->device); /* only now does Linux say how many it has dropped */
    log->device = -1;
    found = count_records(log->mark);
    if (found < 0)
        return (int)found;
    trial_count(trial, 0, found, expected);
    for (int i = 0; i < NULL_WRITES; i++)
        log->null_ticks[i] = (double)write_record(trial, log->null, 0);
    trial->metric[NULL_NS] = median_of(log->null_ticks, NULL_WRITES) / trial->tick_hz * 1e9;
    if (procfs_text("/proc/sys/kernel/printk", text, sizeof text) > 0)
        trial->metric[CONSOLE_LEVEL] = atoi(text);
    return 0;
}

static void teardown(struct trial *trial)
{
    const struct log *log = trial->state;

    if (!log)
        return;
    if (log->device >= 0)
        close(log->device);
    if (log->null >= 0)
        close(log->null);
}

static int kept_setup(struct trial *trial)
{
    return begin(trial, 1);
}

static int kept_check(struct trial *trial)
{
    return check_records(trial, 1);
}

static int dropped_setup(struct trial *trial)
{
    int status = begin(trial, BURST + 1);
    struct log *log = trial->state;

    if (!status && !rate_limited())
        return trial_needs(trial, "printk_devkmsg=ratelimit: with `on` none is dropped, with `off` all are");
    for (int i = 0; i < BURST && !status; i++) {
        const int64_t ticks = write_record(trial, log->device, ++log->written);

        status = ticks < 0 ? (int)ticks : 0;
    }
    return status;
}

static int dropped_check(struct trial *trial)
{
    return check_records(trial, BURST);
}

#define METRICS                                                                                                        \
    {                                                                                                                  \
        [NULL_NS] = {"null_ns", "ns", "a write of the same bytes to /dev/null"}, [CONSOLE_LEVEL] = {                   \
            "console_level",                                                                                           \
            "level",                                                                                                   \
            "records below it are also shown on the console"                                                           \
        }                                                                                                              \
    }
#define COUNTS                                                                                                         \
    {                                                                                                                  \
        {                                                                                                              \
            "kept", "records", "of this process in the log, read back"                                                 \
        }                                                                                                              \
    }

KERNEL(kmsg,
    .name             = "output/kmsg",
    .summary          = "a process adds a record to the kernel's log, where it is kept",
    .unit             = "record",
    .threads          = { .min = 1, .max = 1 },
    .flags            = KERNEL_OPT_IN,
    .metrics          = METRICS,
    .counts           = COUNTS,
    .setup            = kept_setup,
    .events           = events,
    .events_per_batch = 1,
    .batches          = 1,
    .check            = kept_check,
    .teardown         = teardown);
KERNEL(kmsg_dropped,
    .name             = "output/kmsg_dropped",
    .summary          = "a process adds more records to the kernel's log than Linux keeps",
    .unit             = "record",
    .threads          = { .min = 1, .max = 1 },
    .flags            = KERNEL_OPT_IN | KERNEL_ONCE,
    .metrics          = METRICS,
    .counts           = COUNTS,
    .setup            = dropped_setup,
    .events           = events,
    .events_per_batch = DROPPED,
    .batches          = 1,
    .check            = dropped_check,
    .teardown         = teardown);
