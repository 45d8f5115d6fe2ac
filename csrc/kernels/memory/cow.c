/*
 * memory/cow: what does the first write to a page cost when somebody else may still read it?
 *
 * A fork copies no page. Parent and child share each one until either writes to it. One event is one small page: the
 * mean of PAGES_A_BATCH in a row. The parent writes to one byte of each.
 *   copy      a child is alive: the system copies the page, and the parent gets the copy
 *   reuse     the child has ended: the page has one owner again, and the system only allows the write
 *   zero      nobody forked, but each page was read before: the page of zeros that all share is replaced
 *   resident  nobody forked, each page was written to before: the control
 * With pages=huge the memory lies on pages of 2 MiB when the fork shares them. A write to one of them then counts for
 * one small page.
 * Excluded:  fork, mapping and unmapping, and a first batch (cold code).
 * Expect:    an EPYC guest, Linux 6.18, ns a page: copy 3550, reuse 1400, resident 8. From huge pages 3490 with one
 *            fault a page, since the system splits a huge page instead of copying it.
 * Hazards:   in a guest the host first brings a page that it has taken back. Control groups with a memory limit account
 *            each copy. The metric faults_per_page is the system's own count during the timing. Beside that, the check
 *            counts the faults of 1024 pages that are shared anew. There must be one for each page, one for each huge
 *            page that is reused, and none for resident ones. Page faults are the subject here, and flag no batch.
 * Not shown: the fork itself (process/spawn), writes by the child, threads that write at the same time, pages of files.
 */
#define _GNU_SOURCE
#include "kernels/system.h"

#include <signal.h>
#include <sys/prctl.h>

enum { WRITE, PAGES };
enum { COPY, REUSE, ZERO, RESIDENT };
enum { SMALL, HUGE_PAGES };

/* 20 to 250 us of faults: a batch like any other. */
#define PAGES_A_BATCH 64
/* A page has to be shared before it is written to, which costs more than the write. */
#define MOST_BATCHES 16

#define OLD 1
#define NEW 2

/* What the child ends with. Not 0: with that it would end if it left by mistake. */
#define KEPT 3
#define CHANGED 4

struct memory {
    unsigned char *first;
    size_t page_bytes;
    size_t bytes;
    size_t count;
    size_t written;
    int64_t faults;
    pid_t child; /* 0: none, or reaped */
    int gate;    /* the child sleeps until this is closed (-1) */
    int child_status;
};

/* The child: sleeps until its parent closes the gate, then looks whether its pages are as they were at the fork. Never returns. */
static void be_the_reader(const struct memory *memory, int gate, pid_t parent)
{
    char nothing;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* The parent may have died before the line above: nobody would end this child then. */
    if (getppid() != parent)
        _exit(CHANGED);
    while (read(gate, &nothing, 1) < 0 && errno == EINTR)
        ;
    for (size_t i = 0; i < memory->count; i++)
        if (memory->first[i * memory->page_bytes] != OLD)
            _exit(CHANGED);
    _exit(KEPT);
}

static int begin_child(struct trial *trial, struct memory *memory)
{
    const pid_t parent = getpid();
    int ends[2], error;

    if (pipe2(ends, O_CLOEXEC))
        return -errno;
    memory->gate = ends[1];
    memory->child = fork();
    if (memory->child == 0) {
        close(ends[1]);
        be_the_reader(memory, ends[0], parent);
    }
    error = memory->child < 0 ? errno : 0; /* before close(), which may change it */
    close(ends[0]);
    if (!error)
        return 0;
    memory->child = 0;
    return error == EAGAIN ? trial_needs(trial, "permission for one more process (ulimit -u, pids.max of the cgroup)")
                           : -error;
}

/* Once: later calls find no child. */
static void end_child(struct memory *memory)
{
    if (memory->gate >= 0)
        close(memory->gate);
    memory->gate = -1;
    if (memory->child)
        memory->child_status = wait_for_child(memory->child);
    memory->child = 0;
}

/*
 * The next batch of pages. Not inlined: what is timed is one call, whatever stands around it. The thread sanitizer keeps out: it notes
 * each access in memory of its own, which then faults as well.
 */
static __attribute__((noinline, no_sanitize_thread)) void write_pages(struct memory *memory)
{
    unsigned char *page = memory->first + memory->written * memory->page_bytes;
    unsigned char *end = page + PAGES_A_BATCH * memory->page_bytes;

    for (; page < end; page += memory->page_bytes)
        *(volatile unsigned char *)page = NEW;
    memory->written += PAGES_A_BATCH;
}

static int fill(struct trial *trial, struct memory *memory)
{
    const int huge = trial->value[PAGES] == HUGE_PAGES;
    int64_t on_huge;

    for (size_t i = 0; i < memory->count; i++) {
        volatile unsigned char *page = memory->first + i * memory->page_bytes;

        if (trial->value[WRITE] != ZERO)
            *page = OLD;
        else if (*page != 0)
            return trial_fault(trial, "page %zu of fresh memory holds %u instead of 0", i, *page);
    }
    if (!huge)
        return 0;
    if (trial->value[WRITE] == ZERO)
        return trial_needs(trial, "pages=small: huge pages are not read before they are written");
    on_huge = memory_huge_bytes(memory->first, memory->bytes);
    if (on_huge < 0)
        return (int)on_huge;
    return (size_t)on_huge == memory->bytes ? 0 : trial_needs(trial, HUGE_PAGES_NEED);
}

/* Private memory of so many pages, shared as this case wants it. What it holds is given back by give_back(), after an error too. */
static int share_pages(struct trial *trial, struct memory *memory, size_t count)
{
    const int huge = trial->value[PAGES] == HUGE_PAGES, write = (int)trial->value[WRITE];
    const size_t huge_page = huge_page_bytes();
    int error;

    memory->gate = -1;
    memory->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    memory->count = count;
    memory->bytes = memory->count * memory->page_bytes;
    if (huge)
        memory->bytes = (memory->bytes + huge_page - 1) / huge_page * huge_page;
    memory->first = private_pages(memory->bytes, huge);
    if (!memory->first)
        return -errno;
    error = fill(trial, memory);
    if (!error && (write == COPY || write == REUSE))
        error = begin_child(trial, memory);
    if (write == REUSE)
        end_child(memory);
    return error;
}

static void give_back(struct memory *memory)
{
    end_child(memory);
    if (memory->first)
        munmap(memory->first, memory->bytes);
}

static int setup(struct trial *trial)
{
    struct memory *memory = trial_alloc(trial, sizeof *memory);
    int error;

    if (!memory)
        return -ENOMEM;
    memory->gate = -1;
    if (trial->batches > MOST_BATCHES)
        trial->batches = MOST_BATCHES;
    if (EMULATED && (trial->value[WRITE] == COPY || trial->value[WRITE] == REUSE)) /* a fork shares its pages too */
        return trial_needs(trial, "a system that is not emulated");
    error = share_pages(trial, memory, (trial->batches + 1) * PAGES_A_BATCH);
    if (!error)
        write_pages(memory);
    return error;
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;
    struct memory *memory = trial->state;
    uint64_t made = 0;

    for (; made < count && memory->written < memory->count; made++) {
        const int64_t before = thread_counts().minor_faults;
        const uint64_t begin = tick_begin();
        uint64_t end;

        write_pages(memory);
        end = tick_end();
        memory->faults += thread_counts().minor_faults - before;
        ticks[made] = llround(fmax(0, net_ticks(trial, begin, end)) / PAGES_A_BATCH);
    }
    return (int64_t)made;
}

static int64_t faults_of_shared_pages(struct trial *trial)
{
    struct memory fresh = {.first = NULL};
    const int error = share_pages(trial, &fresh, COUNTED_PAGES);
    int64_t faults = -thread_counts().minor_faults;

    while (!error && fresh.written < fresh.count)
        write_pages(&fresh);
    faults += thread_counts().minor_faults;
    give_back(&fresh);
    return error ? error : faults;
}

static int64_t expected_faults(const struct trial *trial)
{
    const size_t bytes = COUNTED_PAGES * (size_t)sysconf(_SC_PAGESIZE), huge_page = huge_page_bytes();

    if (trial->value[WRITE] == RESIDENT)
        return 0;
    if (trial->value[WRITE] == REUSE && trial->value[PAGES] == HUGE_PAGES)
        return (int64_t)((bytes + huge_page - 1) / huge_page);
    return COUNTED_PAGES;
}

/* The parent sees its writes, the child saw none of them, and a page that was shared had a fault of its own. */
static int check(struct trial *trial)
{
    const int write = (int)trial->value[WRITE], small = trial->value[PAGES] == SMALL;
    struct memory *memory = trial->state;
    const size_t measured = memory->written - PAGES_A_BATCH;

    end_child(memory);
    for (size_t i = 0; i < memory->written; i++)
        if (memory->first[i * memory->page_bytes] != NEW)
            return trial_fault(trial, "page %zu does not hold what was written to it", i);
    if ((write == COPY || write == REUSE) && memory->child_status != KEPT)
        return trial_fault(trial, "the child ended with %d instead of %d: it saw the parent's writes, or died",
                           memory->child_status, KEPT);
    if ((write == COPY || write == ZERO || (write == REUSE && small)) && memory->faults < (int64_t)measured)
        return trial_fault(trial, "%" PRId64 " faults for %zu pages: some were not shared", memory->faults, measured);
    if (write == RESIDENT && memory->faults >= (int64_t)measured)
        return trial_fault(trial, "%" PRId64 " faults for %zu pages that were there", memory->faults, measured);
    trial->metric[0] = (double)memory->faults / (double)measured;
    trial->metric[1] = (double)memory->count * (double)memory->page_bytes;
    return count_faults(trial, faults_of_shared_pages, expected_faults(trial));
}

static void teardown(struct trial *trial)
{
    struct memory *memory = trial->state;

    if (memory)
        give_back(memory);
}

static uint64_t cost_ns(const struct trial *trial)
{
    (void)trial;
    /* A fault to fill each page, and a copy of it. */
    return ((MOST_BATCHES + 1) * PAGES_A_BATCH + COUNTED_PAGES) * UINT64_C(5500);
}

KERNEL(cow,
    .name             = "memory/cow",
    .summary          = "a process writes to a page that another process, or the page of zeros, may still share",
    .unit             = "page",
    .threads          = { .min = 1, .max = 1 },
    .subject          = FLAG_FAULTED,
    .parameters       = { { .name = "write", .summary = "who shares the page", .labels = "copy reuse zero resident", .initial = COPY,
                            .quick = "*", .standard = "*", .rigorous = "*" },
                          { .name = "pages", .summary = "size of the pages that are shared", .labels = "small huge", .initial = SMALL,
                            .quick = "small", .standard = "*", .rigorous = "*" } },
    .metrics          = { { "faults_per_page", "per page", "minor faults that the system counted for this thread" },
                          { "footprint_bytes", "bytes", "all pages of a process" } },
    .counts           = { { "faults", "faults", "minor faults of 1024 pages that are shared anew, counted beside the timing" } },
    .setup            = setup,
    .events           = events,
    .events_per_batch = 1,
    .check            = check,
    .teardown         = teardown,
    .cost_ns          = cost_ns);
