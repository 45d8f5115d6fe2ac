/*
 * memory/ksm: are equal pages of a process merged, and what does the next write to one of them cost?
 *
 * 512 pages are offered to the kernel's samepage merging (KSM). When ksmd has been there, each is written to. One event
 * is one page: the mean of 64 in a row, each written to at one byte.
 *   equal      all pages have the same content, so that all become one: the write is a copy on write
 *   different  no two pages are equal, so that none is merged: the control
 * Excluded:  the wait for ksmd, which by default looks at 5000 pages a second.
 * Expect:    guest of an AMD EPYC, Linux 6.18, ns a page: equal 3620 [2771 - 5542] with 1.000 faults, different 24.
 * Hazards:   /sys/kernel/mm/ksm/run belongs to the whole machine. It is set to 1 meanwhile, so this kernel runs only
 *            when it is named. A separate process puts it back when the measuring one ends, however it ends. The count
 *            is of this process (/proc/self/ksm_stat). The global one lags behind processes that have ended.
 * Not shown: the cost of ksmd while it looks, memory that is saved between processes, pages of zeros.
 */
#define _GNU_SOURCE
#include "kernels/system.h"

#include <signal.h>
#include <stdbool.h>

enum { EQUAL, DIFFERENT };
enum { MERGED_PCT, FAULTS_PER_PAGE, WAITED_MS };
enum { MERGED, FAULTS };

#define RUN "/sys/kernel/mm/ksm/run"
#define PAGES_A_BATCH 64
#define BATCHES 8
#define PAGES (PAGES_A_BATCH * BATCHES)
/* ksmd looks at 5000 pages a second, at each twice before it merges it. Others may have offered it more. */
#define PATIENCE_NS UINT64_C(8000000000)
/* So long different pages stay as they are: two looks at them. */
#define LOOKS_NS UINT64_C(400000000)

struct merging {
    unsigned char *first;
    size_t page_bytes;
    size_t written;
    int64_t faults, merged;
    uint64_t waited_ns;
    pid_t keeper; /* 0: none. It puts the knob back */
    int gate;     /* the keeper sleeps until this is closed, by hand or by our end */
};

/* 0 or -errno. */
static int set_run(int value)
{
    const int file = open(RUN, O_WRONLY | O_CLOEXEC);
    const char digit = (char)('0' + value);
    int status = 0;

    if (file < 0)
        return -errno;
    if (write(file, &digit, 1) != 1)
        status = -errno;
    close(file);
    return status;
}

static int64_t run_is(void)
{
    char text[16];
    const int64_t got = procfs_text(RUN, text, sizeof text);

    return got < 0 ? got : text[0] - '0';
}

/* Never returns. No signal that ends us ends it, and it holds nothing that we wait for. */
static void be_the_keeper(int gate, int before)
{
    char nothing;

    setsid();
    while (read(gate, &nothing, 1) < 0 && errno == EINTR)
        ;
    _exit(set_run(before) ? 1 : 0);
}

/* Starts ksmd where it sleeps, and somebody who stops it again. 0 or -errno. */
static int start_ksmd(struct trial *trial, struct merging *merging)
{
    const int64_t before = run_is();
    int ends[2], status;

    if (before < 0)
        return trial_needs(trial, "KSM (CONFIG_KSM)");
    if (before == 1)
        return 0;
    if (access(RUN, W_OK))
        return trial_needs(trial, "permission to start ksmd (root, " RUN ")");
    if (pipe2(ends, O_CLOEXEC))
        return -errno;
    merging->keeper = fork();
    if (merging->keeper == 0) {
        close(ends[1]);
        be_the_keeper(ends[0], (int)before);
    }
    status = merging->keeper < 0 ? -errno : 0;
    close(ends[0]);
    merging->gate = ends[1];
    if (status) {
        merging->keeper = 0;
        close(ends[1]);
        return status;
    }
    return set_run(1) ? trial_needs(trial, "permission to start ksmd (root, " RUN ")") : 0;
}

/* The knob is as it was found when this returns. 0, or what the keeper says. */
static int stop_ksmd(struct merging *merging)
{
    const pid_t keeper = merging->keeper;

    merging->keeper = 0;
    if (!keeper)
        return 0;
    close(merging->gate);
    return wait_for_child(keeper);
}

static void fill(struct merging *merging, int content)
{
    for (size_t i = 0; i < PAGES; i++) {
        unsigned char *page = merging->first + i * merging->page_bytes;

        memset(page, 7, merging->page_bytes);
        if (content == DIFFERENT)
            memcpy(page + 8, &i, sizeof i);
    }
}

/* Until all equal pages are merged, or different ones had time enough to be. 0 or -errno. */
static int wait_for_ksmd(struct trial *trial, struct merging *merging)
{
    const uint64_t since = now_ns();
    const bool equal = trial->value[0] == EQUAL;

    for (;;) {
        merging->merged = procfs_field("/proc/self/ksm_stat", "ksm_merging_pages");
        merging->waited_ns = now_ns() - since;
        if (merging->merged == -ENOENT)
            return trial_needs(trial, "/proc/self/ksm_stat (Linux 6.1)");
        if (merging->merged < 0)
            return (int)merging->merged;
        if (equal ? merging->merged >= PAGES : merging->waited_ns > LOOKS_NS)
            return 0;
        if (merging->waited_ns > PATIENCE_NS)
            return merging->merged ? 0 : trial_needs(trial, "a ksmd that comes to these pages within 8 s");
        usleep(5000);
    }
}

static int setup(struct trial *trial)
{
    struct merging *merging = trial_alloc(trial, sizeof *merging);
    int status;

    if (!merging)
        return -ENOMEM;
    merging->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    merging->first = private_pages(PAGES * merging->page_bytes, 0);
    if (!merging->first)
        return -errno;
    /* Not the keeper's: pages that a fork shares have a fault at the next write, whatever KSM does. */
    if (madvise(merging->first, PAGES * merging->page_bytes, MADV_DONTFORK))
        return -errno;
    fill(merging, (int)trial->value[0]);
    if (madvise(merging->first, PAGES * merging->page_bytes, MADV_MERGEABLE))
        return trial_needs(trial, "KSM (CONFIG_KSM)");
    status = start_ksmd(trial, merging);
    if (!status)
        status = wait_for_ksmd(trial, merging);
    /* Before anything is timed: ksmd would merge what was written, and work on this CPU. */
    if (stop_ksmd(merging) && !status)
        status = trial_fault(trial, RUN " could not be put back");
    return status;
}

static __attribute__((noinline, no_sanitize_thread)) void write_pages(struct merging *merging)
{
    unsigned char *page = merging->first + merging->written * merging->page_bytes;
    unsigned char *end = page + PAGES_A_BATCH * merging->page_bytes;

    for (; page < end; page += merging->page_bytes)
        *(volatile unsigned char *)page = 9;
    merging->written += PAGES_A_BATCH;
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;
    struct merging *merging = trial->state;
    uint64_t made = 0;

    for (; made < count && merging->written < PAGES; made++) {
        const int64_t before = thread_counts().minor_faults;
        const uint64_t begin = tick_begin();
        uint64_t end;

        write_pages(merging);
        end = tick_end();
        merging->faults += thread_counts().minor_faults - before;
        ticks[made] = llround(fmax(0, net_ticks(trial, begin, end)) / PAGES_A_BATCH);
    }
    return (int64_t)made;
}

/* All were merged or none, each merged page had a fault of its own, and every page holds its own again. */
static int check(struct trial *trial)
{
    const struct merging *merging = trial->state;
    const bool equal = trial->value[0] == EQUAL;
    const int64_t most = equal ? PAGES : 0;
    int64_t faults = merging->faults;

    for (size_t i = 0; i < merging->written; i++)
        if (merging->first[i * merging->page_bytes] != 9 || merging->first[i * merging->page_bytes + 1] != 7)
            return trial_fault(trial, "page %zu does not hold what was written to it", i);
    trial->metric[MERGED_PCT] = 100.0 * (double)merging->merged / PAGES;
    trial->metric[FAULTS_PER_PAGE] = (double)merging->faults / (double)merging->written;
    trial->metric[WAITED_MS] = (double)merging->waited_ns / 1e6;
    /* This thread may have had a few beside, as everywhere. */
    if (faults > most && faults <= most + PAGES / 64)
        faults = most;
    trial_count(trial, MERGED, merging->merged, most);
    trial_count(trial, FAULTS, faults, most);
    return 0;
}

static void teardown(struct trial *trial)
{
    struct merging *merging = trial->state;

    if (!merging)
        return;
    stop_ksmd(merging);
    if (merging->first)
        munmap(merging->first, PAGES * merging->page_bytes);
}

static uint64_t cost_ns(const struct trial *trial)
{
    (void)trial;
    return LOOKS_NS + BATCHES * PAGES_A_BATCH * UINT64_C(4000);
}

KERNEL(ksm,
    .name             = "memory/ksm",
    .summary          = "a process writes to pages that the kernel has merged, or has not, because they are equal or different",
    .unit             = "page",
    .threads          = { .min = 1, .max = 1 },
    .flags            = KERNEL_OPT_IN,
    .subject          = FLAG_FAULTED,
    .parameters       = { { .name = "content", .summary = "of the pages", .labels = "equal different", .initial = EQUAL,
                            .quick = "*", .standard = "*", .rigorous = "*" } },
    .metrics          = { [MERGED_PCT]      = { "merged_pct", "%", "pages of this process that ksmd merged" },
                          [FAULTS_PER_PAGE] = { "faults_per_page", "per page", "minor faults of the writes" },
                          [WAITED_MS]       = { "waited_ms", "ms", "until ksmd had been there" } },
    .counts           = { [MERGED] = { "merged", "pages", "pages of 512 that were merged" },
                          [FAULTS] = { "faults", "faults", "minor faults of 512 writes" } },
    .setup            = setup,
    .events           = events,
    .events_per_batch = 1,
    .batches          = BATCHES,
    .check            = check,
    .teardown         = teardown,
    .cost_ns          = cost_ns);
