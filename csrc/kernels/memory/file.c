/*
 * memory/file: what does it cost to touch a page of a mapped file for the first time?
 *
 * One event is one page: the mean of 16 or 64 in a row, each read at one byte, in a mapping made for it.
 *   around  pages that are in the page cache, one after the other: one fault brings several of them (fault-around)
 *   apart   the same, 64 KiB apart: each has its own fault
 *   major   64 KiB apart, and dropped from the page cache before: each is read from the device
 *   again   pages that were touched before: the control
 * Excluded:  writing the file, mapping it, dropping its pages. The file has no name, so nothing of it stays behind.
 * Expect:    guest of an AMD EPYC, Linux 6.18, ns a page: around 285 with 0.0625 faults, major 106000 on ext4 with
 *            1.000 major faults. The lat_pagefault of lmbench measures `around` and calls it a fault.
 * Hazards:   tmpfs has no device, so `major` is refused there. The device may be a file in the host's memory.
 *            fault_around_bytes of debugfs may be other than 64 KiB. The metric minor_per_page shows how many faults
 *            there were. A kernel with large folios maps more at once.
 * Not shown: writes, readahead (MADV_RANDOM keeps it out of `major`), swap.
 */
#define _GNU_SOURCE
#include "kernels/system.h"

#include <stdbool.h>

enum { AROUND, APART, MAJOR, AGAIN };
enum { MINOR_PER_PAGE, MAJOR_PER_PAGE };

#define FAR_APART ((size_t)64 << 10)
#define PAGES_ONE_BY_ONE 64
#define PAGES_APART 16
#define FILE_BYTES (PAGES_APART * FAR_APART)
/* So many batches are counted again after the timing. */
#define COUNTED_BATCHES 16
/* Pages that are on their way between lists are not dropped: it is asked again. */
#define DROPS 20

struct cached_file {
    int file;                           /* -1: none */
    unsigned char *addresses, *mapping; /* the mapping lies among these addresses, if not NULL */
    size_t page_bytes, stride;
    int pages;
    uint64_t sum, touched;
    int64_t minor, major;
};

static unsigned char content_of(size_t offset)
{
    return (unsigned char)(offset / 4096 % 251 + 1);
}

/* A file without a name, in the first folder that takes one. -1 where none does. */
static int make_file(bool on_a_device)
{
    const char *folders[] = {getenv("TMPDIR"), "/var/tmp", "/tmp", "."};
    char name[4096];

    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        int file;

        if (!folders[i] || (on_a_device && in_memory_only(folders[i])))
            continue;
        file = open(folders[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (file >= 0)
            return file;
        /* File systems that know no O_TMPFILE: a name for a moment. */
        if (snprintf(name, sizeof name, "%s/fencepost-XXXXXX", folders[i]) >= (int)sizeof name)
            continue;
        file = mkostemp(name, O_CLOEXEC);
        if (file >= 0) {
            unlink(name);
            return file;
        }
    }
    return -1;
}

static int fill(int file)
{
    unsigned char text[4096];

    for (size_t at = 0; at < FILE_BYTES; at += sizeof text) {
        memset(text, content_of(at), sizeof text);
        if (pwrite(file, text, sizeof text, (off_t)at) != (ssize_t)sizeof text)
            return errno ? -errno : -EIO;
    }
    return 0;
}

/* The pages to be touched are in the page cache, all or none. */
static bool all_are(const struct cached_file *cached, bool present)
{
    for (int i = 0; i < cached->pages; i++) {
        unsigned char there = 0;

        if (mincore(cached->mapping + (size_t)i * cached->stride, cached->page_bytes, &there) || (there & 1) != present)
            return false;
    }
    return true;
}

static void unmap(struct cached_file *cached)
{
    if (cached->addresses)
        munmap(cached->addresses, FILE_BYTES + FAR_APART);
    cached->addresses = NULL;
}

/* At a multiple of 64 KiB: the pages that come with a fault lie in a window of that size. 0 or -errno. */
static int map(struct cached_file *cached)
{
    void *addresses = mmap(NULL, FILE_BYTES + FAR_APART, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (addresses == MAP_FAILED)
        return -errno;
    cached->addresses = addresses;
    cached->mapping = cached->addresses + (0 - (uintptr_t)addresses) % FAR_APART;
    return mmap(cached->mapping, FILE_BYTES, PROT_READ, MAP_SHARED | MAP_FIXED, cached->file, 0) == MAP_FAILED ? -errno
                                                                                                               : 0;
}

/* Not inlined: what is timed is one call. The thread sanitizer keeps out: it notes each access in memory of its own, which then faults too. */
static __attribute__((noinline, no_sanitize_thread)) void touch(struct cached_file *cached)
{
    const unsigned char *page = cached->mapping, *end = page + (size_t)cached->pages * cached->stride;

    for (; page < end; page += cached->stride)
        cached->sum += *(volatile const unsigned char *)page;
    cached->touched += (uint64_t)cached->pages;
}

/* A mapping as this kind of access wants to find it. 0 or -errno. */
static int prepare(struct trial *trial, struct cached_file *cached)
{
    const int access = (int)trial->value[0];
    int status;

    for (int i = 0; i < DROPS; i++) {
        unmap(cached);
        if (access == MAJOR && posix_fadvise(cached->file, 0, 0, POSIX_FADV_DONTNEED))
            return -EIO;
        status = map(cached);
        if (status)
            return status;
        if (access == MAJOR)
            madvise(cached->mapping, FILE_BYTES, MADV_RANDOM);
        if (all_are(cached, access != MAJOR)) {
            if (access == AGAIN) {
                touch(cached);
                cached->touched -= (uint64_t)cached->pages;
            }
            return 0;
        }
        usleep(1000);
    }
    return trial_needs(trial, access == MAJOR ? "a file system that drops pages when it is asked to"
                                              : "enough memory to keep 1 MiB of a file");
}

static int setup(struct trial *trial)
{
    struct cached_file *cached = trial_alloc(trial, sizeof *cached);
    const int access = (int)trial->value[0];
    int status;

    if (!cached)
        return -ENOMEM;
    cached->file = -1;
    if (EMULATED && access == MAJOR) /* MADV_RANDOM does not reach the system */
        return trial_needs(trial, "a system that is not emulated");
    cached->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    cached->stride = access == AROUND || access == AGAIN ? cached->page_bytes : FAR_APART;
    cached->pages = access == AROUND || access == AGAIN ? PAGES_ONE_BY_ONE : PAGES_APART;
    cached->file = make_file(access == MAJOR);
    if (cached->file < 0)
        return trial_needs(trial, access == MAJOR ? "a folder on a device that it may write to (tmpfs has none)"
                                                  : "a folder for a temporary file");
    if ((size_t)cached->pages * cached->stride > FILE_BYTES)
        return trial_needs(trial, "pages of 16 KiB or less");
    status = fill(cached->file);
    if (!status && access == MAJOR && fsync(cached->file)) /* what is not written yet is not dropped */
        status = -errno;
    if (!status)
        status = prepare(trial, cached);
    if (!status)
        touch(cached);
    cached->sum = cached->touched = 0;
    return status;
}

/* One batch, of which only the touching counts: ticks or -errno. */
static int64_t touch_anew(struct trial *trial)
{
    struct cached_file *cached = trial->state;
    const int status = prepare(trial, cached);
    const struct thread_counts before = thread_counts();
    struct thread_counts after;
    uint64_t begin, end;

    if (status)
        return status;
    cached->sum = 0;
    begin = tick_begin();
    touch(cached);
    end = tick_end();
    after = thread_counts();
    cached->minor += after.minor_faults - before.minor_faults;
    cached->major += after.major_faults - before.major_faults;
    return llround(fmax(0, net_ticks(trial, begin, end)) / cached->pages);
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    return one_by_one(worker, ticks, count, touch_anew);
}

/* Faults of further batches: minor and major ones together. */
static int64_t faults_of_batches(struct trial *trial)
{
    struct cached_file *cached = trial->state;
    const int64_t before = cached->minor + cached->major;

    for (int i = 0; i < COUNTED_BATCHES; i++) {
        const int64_t ticks = touch_anew(trial);

        if (ticks < 0)
            return ticks;
    }
    return cached->minor + cached->major - before;
}

/* The largest power of two that is no larger. */
static int64_t power_of_two(int64_t number)
{
    return number < 1 ? 1 : (int64_t)1 << (63 - __builtin_clzll((unsigned long long)number));
}

/* Each page held what the file holds, and had its faults. */
static int check(struct trial *trial)
{
    const int access = (int)trial->value[0];
    struct cached_file *cached = trial->state;
    const double touched = (double)cached->touched;
    const double minor = (double)cached->minor, major = (double)cached->major;
    int64_t expected = COUNTED_BATCHES * cached->pages;
    uint64_t sum = 0;
    int status;

    for (int i = 0; i < cached->pages; i++)
        sum += content_of((size_t)i * cached->stride);
    if (access != AGAIN && cached->sum != sum)
        return trial_fault(trial, "the pages held %" PRIu64 " in sum instead of %" PRIu64, cached->sum, sum);
    if (access == MAJOR && major < touched)
        return trial_fault(trial, "%.0f major faults for %.0f pages: some were in memory", major, touched);
    trial->metric[MINOR_PER_PAGE] = minor / touched;
    trial->metric[MAJOR_PER_PAGE] = major / touched;
    if (access == AGAIN)
        expected = 0;
    if (access == AROUND) {
        /* How many pages come with a fault is the system's to choose: a power of two. */
        const int64_t found = faults_of_batches(trial);

        if (found < 0)
            return (int)found;
        expected = COUNTED_BATCHES * power_of_two(found / COUNTED_BATCHES);
    }
    status = count_faults(trial, faults_of_batches, expected);
    return status;
}

static void teardown(struct trial *trial)
{
    struct cached_file *cached = trial->state;

    if (!cached)
        return;
    unmap(cached);
    if (cached->file >= 0)
        close(cached->file);
}

static uint64_t cost_ns(const struct trial *trial)
{
    const uint64_t page = trial->value[0] == MAJOR ? 120000 : 1500;

    return 3000000 + (trial->batches + COUNTED_BATCHES + 2) * (40000 + PAGES_APART * page);
}

KERNEL(file,
    .name             = "memory/file",
    .summary          = "a process touches a page of a mapped file for the first time",
    .unit             = "page",
    .threads          = { .min = 1, .max = 1 },
    .subject          = FLAG_FAULTED | FLAG_SWITCHED,
    .parameters       = { { .name = "access", .summary = "where the page is, and which of them are touched", .labels = "around apart major again",
                            .initial = AROUND, .quick = "*", .standard = "*", .rigorous = "*" } },
    .metrics          = { [MINOR_PER_PAGE] = { "minor_per_page", "per page", "minor faults that the system counted for this thread" },
                          [MAJOR_PER_PAGE] = { "major_per_page", "per page", "faults for which it had to read" } },
    .counts           = { { "faults", "faults", "faults of 16 batches, counted beside the timing" } },
    .setup            = setup,
    .events           = events,
    .events_per_batch = 1,
    .batches          = 10,
    .check            = check,
    .teardown         = teardown,
    .cost_ns          = cost_ns);
