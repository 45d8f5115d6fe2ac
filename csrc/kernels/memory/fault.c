/*
 * memory/fault: what does it cost to touch a page for the first time?
 *
 * Memory that was asked for is not there until it is touched. One event is one page: the mean of PAGES_A_BATCH in a
 * row, each touched at one byte.
 *   write     the kernel finds a page, clears it and maps it
 *   read      it maps the one page of zeros that all share
 *   populate  all pages of the batch by one madvise(MADV_POPULATE_WRITE), without a fault for each
 *   again     a write to a page that was written to before: the control
 *   huge      the kernel clears and maps a huge page at its first write: the mean of all small pages that lie in it
 * Excluded:  mapping and unmapping, and a first batch (cold code). The case asks for its size of pages explicitly.
 * Expect:    reference guest, ns a page: write 1616, read 623, populate 1075, again 22 (a miss of the TLB and of the
 *            caches), huge 250. An 11th generation Core on Linux 6.6: median 1013 for a write.
 * Hazards:   in a guest the host first brings a page that it has taken back, at several times the price. The mean of a
 *            batch shows it. Control groups with a memory limit account each page. The metric faults_per_page is the
 *            system's count during the timing. Beside that, the check counts the faults of 1024 fresh pages, which must
 *            be 1024, or 0 for `again`. Page faults are the subject here, and flag no batch. A huge page is one fault
 *            for 512 small ones on x86-64. Where none is given the row is not measurable.
 * Not shown: several threads that fault in one process and wait for each other, copying on write, pages of files.
 */
#define _GNU_SOURCE
#include "kernels/memory_limits.h"
#include "kernels/system.h"

#include <stdbool.h>

#ifndef MADV_POPULATE_WRITE /* headers older than Linux 5.14 lack it. The number is the same everywhere */
#define MADV_POPULATE_WRITE 23
#endif

enum { WRITE, READ, POPULATE, AGAIN, HUGE_PAGE };

/* 20 to 100 us of faults: a batch like any other. */
#define PAGES_A_BATCH 64

/* Each is 2 MiB that the system has to clear. */
#define MOST_HUGE_PAGES 16

struct pages {
    unsigned char *first;
    size_t page_bytes, count, touched;
    size_t batch;      /* pages that are touched in a row */
    uint64_t read_sum; /* of pages that were only read: 0 */
    int64_t faults;
};

/*
 * The next batch of pages, or -errno. It is not inlined, so that one call is timed, whoever asks for it. The thread sanitizer keeps out,
 * because it notes each access in other memory, which then faults as well.
 */
static __attribute__((noinline, no_sanitize_thread)) int touch(struct pages *pages, int access)
{
    unsigned char *page = pages->first + pages->touched * pages->page_bytes;
    unsigned char *end = page + pages->batch * pages->page_bytes;

    switch (access) {
    case READ:
        for (; page < end; page += pages->page_bytes)
            pages->read_sum += *(volatile unsigned char *)page;
        return 0;
    case POPULATE:
        return madvise(page, (size_t)(end - page), MADV_POPULATE_WRITE) ? -errno : 0;
    default:
        for (; page < end; page += pages->page_bytes)
            *(volatile unsigned char *)page = 1;
        return 0;
    }
}

/* Small pages of a huge one, or so many as a batch has. */
static size_t pages_a_batch(int access)
{
    return access == HUGE_PAGE ? huge_page_bytes() / (size_t)sysconf(_SC_PAGESIZE) : PAGES_A_BATCH;
}

/* Pages whose faults the check counts, in whole batches. */
static size_t counted_pages(int access)
{
    return pages_a_batch(access) > COUNTED_PAGES ? pages_a_batch(access) : COUNTED_PAGES;
}

/* Private memory of so many pages that this kind of access finds as it should. 0 or -errno. */
static int make_pages(struct pages *pages, size_t count, int access)
{
    pages->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    pages->batch = pages_a_batch(access);
    pages->count = count;
    pages->first = private_pages(count * pages->page_bytes, access == HUGE_PAGE);
    if (!pages->first)
        return -errno;
    if (access == AGAIN)
        for (size_t i = 0; i < count; i++)
            *(volatile unsigned char *)(pages->first + i * pages->page_bytes) = 2;
    return 0;
}

static bool in_memory(const struct pages *pages, size_t page)
{
    unsigned char there = 0;

    return mincore(pages->first + page * pages->page_bytes, pages->page_bytes, &there) == 0 && (there & 1);
}

/* Whether all that was touched lies on huge pages. */
static bool on_huge_pages(const struct pages *pages)
{
    const size_t bytes = pages->touched * pages->page_bytes;

    return memory_huge_bytes(pages->first, bytes) == (int64_t)bytes;
}

static int setup(struct trial *trial)
{
    const int access = (int)trial->value[0];
    const size_t batch = pages_a_batch(access);
    struct pages *pages;
    size_t count;
    int error;

    if (access == HUGE_PAGE && trial->batches > MOST_HUGE_PAGES)
        trial->batches = MOST_HUGE_PAGES;
    count = (trial->batches + 1) * batch;
    /* And those of the check, and a quarter more for everybody else. */
    if (available_bytes() / 5 * 4 < (int64_t)((count + counted_pages(access)) * (size_t)sysconf(_SC_PAGESIZE)))
        return trial_needs(trial, "more free memory");
    pages = trial_alloc(trial, sizeof *pages);
    if (!pages)
        return -ENOMEM;
    error = make_pages(pages, count, access);
    if (error == -ENOMEM)
        return trial_needs(trial, "as much address space (ulimit -v)");
    if (error)
        return error;
    error = touch(pages, access);
    pages->touched = batch;
    if (access == HUGE_PAGE && !on_huge_pages(pages))
        return trial_needs(trial, HUGE_PAGES_NEED);
    /* An emulator of the user's side answers yes to advice that it does not know. */
    if (error == -EINVAL || (access == POPULATE && error == 0 && !in_memory(pages, 0)))
        return trial_needs(trial, "MADV_POPULATE_WRITE (Linux 5.14)");
    return error;
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;
    struct pages *pages = trial->state;
    uint64_t events = 0;

    for (; events < count && pages->touched < pages->count; events++) {
        const int64_t before = thread_counts().minor_faults;
        const uint64_t begin = tick_begin();
        const int error = touch(pages, (int)trial->value[0]);
        const uint64_t end = tick_end();

        if (error)
            return error;
        pages->faults += thread_counts().minor_faults - before;
        pages->touched += pages->batch;
        ticks[events] = llround(fmax(0, net_ticks(trial, begin, end)) / (double)pages->batch);
    }
    return (int64_t)events;
}

static int64_t faults_of_fresh_pages(struct trial *trial)
{
    const int access = (int)trial->value[0];
    struct pages fresh = {.first = NULL};
    int64_t faults;
    int error = make_pages(&fresh, counted_pages(access), access);

    if (error)
        return error;
    faults = -thread_counts().minor_faults;
    for (; fresh.touched < fresh.count && !error; fresh.touched += fresh.batch)
        error = touch(&fresh, access);
    faults += thread_counts().minor_faults;
    munmap(fresh.first, fresh.count * fresh.page_bytes);
    return error ? error : faults;
}

/* Each page is there and has the right content. A page that was written or read for the first time had one fault. */
static int check(struct trial *trial)
{
    const int access = (int)trial->value[0];
    const struct pages *pages = trial->state;
    const size_t measured = pages->touched - pages->batch;
    const unsigned char wanted = access == WRITE || access == AGAIN || access == HUGE_PAGE;
    int64_t expected = access == AGAIN ? 0 : COUNTED_PAGES;

    for (size_t i = 0; i < pages->touched; i++) {
        const unsigned char *page = pages->first + i * pages->page_bytes;

        if (!in_memory(pages, i))
            return trial_fault(trial, "page %zu of %zu is not in memory", i, pages->touched);
        if (*page != wanted)
            return trial_fault(trial, "page %zu holds %u instead of %u", i, *page, wanted);
    }
    if (pages->read_sum)
        return trial_fault(trial, "pages that nobody wrote to held something");
    if ((access == WRITE || access == READ) && pages->faults < (int64_t)measured)
        return trial_fault(trial, "%" PRId64 " faults for %zu pages: some were there before", pages->faults, measured);
    if (access == HUGE_PAGE && !on_huge_pages(pages)) /* at first there were some: others may have taken the rest */
        return trial_needs(trial, HUGE_PAGES_NEED);
    if (access == HUGE_PAGE)
        expected = (int64_t)(counted_pages(access) / pages->batch);
    trial->metric[0] = (double)pages->faults / (double)measured;
    trial->metric[1] = (double)pages->count * (double)pages->page_bytes;
    return count_faults(trial, faults_of_fresh_pages, expected);
}

static void teardown(struct trial *trial)
{
    struct pages *pages = trial->state;

    if (pages && pages->first)
        munmap(pages->first, pages->count * pages->page_bytes);
}

static uint64_t cost_ns(const struct trial *trial)
{
    if (trial->value[0] == HUGE_PAGE)
        return ((MOST_HUGE_PAGES + 1) * pages_a_batch(HUGE_PAGE) + counted_pages(HUGE_PAGE)) * UINT64_C(6000);
    return ((trial->batches + 1) * PAGES_A_BATCH + COUNTED_PAGES) * 4500;
}

KERNEL(fault,
    .name             = "memory/fault",
    .summary          = "a process touches a page of memory for the first time",
    .unit             = "page",
    .threads          = { .min = 1, .max = 1 },
    .flags            = KERNEL_TWIN,
    .subject          = FLAG_FAULTED,
    .parameters       = { { .name = "access", .summary = "what touches it", .labels = "write read populate again huge", .initial = WRITE,
                            .quick = "*", .standard = "*", .rigorous = "*" } },
    .metrics          = { { "faults_per_page", "per page", "minor faults that the kernel counted for this thread" },
                          { "footprint_bytes", "bytes", "all pages of a process" } },
    .counts           = { { "faults", "faults", "minor faults of 1024 fresh pages, counted beside the timing" } },
    .setup            = setup,
    .events           = events,
    .events_per_batch = 1,
    .check            = check,
    .teardown         = teardown,
    .cost_ns          = cost_ns);
