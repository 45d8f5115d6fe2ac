/*
 * memory/chase: how long does a load take if its address is the result of the load before it?
 *
 * A buffer is a closed chain of its 64-byte lines. Each line contains the address of the next, and every line comes
 * once in a cycle. One operation is one load. Random order defeats the prefetchers. Forward order shows how much they
 * save. The case asks for its size of pages explicitly. On huge pages the figure is the cache's. On small ones the
 * TLB's misses and page walks come on top.
 * Excluded:  building the chain, first touch of its pages, and the first visit of its lines where they fit a cache. Up
 *            to 2^19 lines (32 MiB), one full warm pass goes before. Above, no line of the chain is in any cache at the
 *            start, and no window comes back to one. So every load goes to memory, however large the last cache is
 *            (`warm` says which). The page tables are warm either way, since one load per 4 KiB goes before in large
 *            buffers.
 * Expect:    random order: 4-5 cycles in L1 (32-48 KiB), 12-16 in L2 (256 KiB-2 MiB), 35-70 in L3, 60-130 ns in memory.
 *            Golden Cove: L1 5 (chipsandcheese). Skylake: L2 12, L3 35, memory some 200 cycles (T. Downs). Small pages
 *            add a page walk per load beyond the TLB's reach (6-12 MiB: 1536-3072 entries of 4 KiB). Forward order: a
 *            few cycles at any size.
 * Hazards:   a hypervisor's own small pages may lie under a guest's huge ones (two-dimensional walks). The metric
 *            huge_pct says how much memory was on huge pages. Near a cache's size small pages fall on its sets by
 *            chance, differently in each process.
 * Not shown: bandwidth, stores, several loads in flight (pipeline/chain), other nodes' memory. Where lines are 128
 *            bytes long (some Arm, POWER) each is visited twice in a cycle, out of order.
 */
#define _GNU_SOURCE /* for what system.h includes */
#include "kernel.h"
#include "kernels/memory_limits.h"
#include "kernels/system.h"

#include <errno.h>
#include <math.h>
#include <unistd.h>

/* The granule of coherence on x86-64 and on most Arm cores. A constant, so that sizes mean the same number of loads
   everywhere. */
#define LINE_BYTES 64
#define MAX_WARM_LINES ((uint64_t)1 << 19)
/* In a turn of the loop. */
#define LOADS 16
/* Up to here check can afford to walk the whole ring: 4 MiB, 1-2 ms. */
#define MAX_WALKED_LINES ((uint64_t)1 << 16)
#define MAX_SIZE ((int64_t)1 << 40)
/* One part in this many may lie on small pages: its page walks add less than 1 % to the mean of all loads. */
#define FEW 64

enum { SIZE, PAGES, ORDER };
enum { SMALL_PAGES, HUGE_PAGES };
enum { RANDOM, FORWARD };
enum { LINES_TOUCHED, PAGE_BYTES, HUGE_PCT, WARM };

struct line {
    const struct line *next;
    uint64_t unused[LINE_BYTES / 8 - 1];
};

struct chase {
    const struct line *at; /* where the walk stands, after `loads` loads from line 0, `before` of them in setup */
    uint64_t loads, before;
    struct line *lines;
    uint64_t line_count;
    int forward;
    /* The permutation, see line_at: of numbers up to `mask`, which is the next power of two less one. */
    uint64_t mask;
    unsigned shift;
    uint64_t inverses[3];
};

/*
 * A permutation of [0, 2^m) that can be computed in both directions, so that a ring is built by one sequential pass of
 * stores (a shuffle would miss twice per line). There are three rounds. Each multiplies by an odd number, then folds the
 * upper half onto the lower. Multiplication carries low bits upwards, and the fold carries high bits downwards. So neither
 * the position in a page nor the page follows from the last few. Seen on a Zen 4 guest, beside a Sattolo shuffle: 256 KiB
 * 3.81 and 3.81 ns, 1 MiB 8.5 and 8.7, 64 MiB 155 and 160, 256 MiB in the long run 158-165 and 160. Any odd factors
 * would be correct. These are the ones of MurmurHash3's and of D. Stafford's mixers.
 */
static const uint64_t factors[3] = {UINT64_C(0xff51afd7ed558ccd), UINT64_C(0xc4ceb9fe1a85ec53),
                                    UINT64_C(0xbf58476d1ce4e5b9)};

/* Which line has this place in the order. Place 0 is line 0. */
static uint64_t line_at(const struct chase *chase, uint64_t place)
{
    uint64_t x = place;

    for (int i = 0; i < 3; i++) {
        x = x * factors[i] & chase->mask;
        x ^= x >> chase->shift; /* by at least half of the bits: doing it again undoes it */
    }
    return x;
}

static uint64_t place_of(const struct chase *chase, uint64_t line)
{
    uint64_t x = line;

    for (int i = 2; i >= 0; i--) {
        x ^= x >> chase->shift;
        x = x * chase->inverses[i] & chase->mask;
    }
    return x;
}

/* Modulo 2^64, hence modulo 2^m. An odd number is its own inverse in the lowest 3 bits. Each step (Newton) doubles the
   number of right bits. */
static uint64_t inverse(uint64_t odd)
{
    uint64_t result = odd;

    for (int bits = 3; bits < 64; bits *= 2)
        result *= 2 - odd * result;
    return result;
}

/* The line after this one. A ring whose length is no power of two leaves out the places of lines that it lacks. */
static uint64_t successor(const struct chase *chase, uint64_t line)
{
    uint64_t place, next;

    if (chase->forward)
        return line + 1 < chase->line_count ? line + 1 : 0;
    place = place_of(chase, line);
    do {
        place = (place + 1) & chase->mask;
        next = line_at(chase, place);
    } while (next >= chase->line_count);
    return next;
}

/* Writes the ring and leaves none of it in a cache. -ENOMEM where that takes a second buffer and there is none. */
static int build_cold(struct trial *trial, struct chase *chase)
{
    for (uint64_t i = 0; i < chase->line_count; i++) {
        struct line *line = &chase->lines[i];
        const struct line *next = &chase->lines[successor(chase, i)];

#if HAS_X86_64
        /* Non-temporal stores, whole lines: memory is written without a visit to the caches, and cached copies are
           given up. */
        __asm__ volatile("movnti %1, %0" : "=m"(line->next) : "r"(next));
        for (unsigned j = 0; j < LINE_BYTES / 8 - 1; j++)
            __asm__ volatile("movnti %1, %0" : "=m"(line->unused[j]) : "r"(UINT64_C(0)));
#else
        line->next = next;
#if HAS_AARCH64
        __asm__ volatile("dc civac, %0" : : "r"(line) : "memory"); /* clean and invalidate to the point of coherency */
#endif
#endif
    }
#if HAS_X86_64
    __asm__ volatile("sfence" : : : "memory"); /* non-temporal stores are ordered by nothing less */
    (void)trial;
#elif HAS_AARCH64
    (void)trial;
    __asm__ volatile("dsb ish" : : : "memory"); /* the invalidations are complete */
#else
    /* No instruction for it: push the ring out by writing as much again. */
    if (!trial_alloc_pages(trial, chase->line_count * LINE_BYTES, 1))
        return -ENOMEM;
#endif
    return 0;
}

static void run(struct worker *worker, uint64_t operations)
{
    struct chase *chase = worker->trial->state;
    const struct line *at = chase->at;

    for (uint64_t i = operations / LOADS; i > 0; i--) {
        at = at->next->next->next->next->next->next->next->next;
        at = at->next->next->next->next->next->next->next->next;
    }
    chase->at = at;
    chase->loads += operations / LOADS * LOADS;
}

static int setup(struct trial *trial)
{
    const int64_t size = trial->value[SIZE];
    /* A quarter more, for page tables and for everybody else. */
    const int64_t wanted = size + size / 4;
    struct chase *chase;

    if (size <= 0 || size > MAX_SIZE || size % (LOADS * LINE_BYTES)) {
        trial_fault(trial, "size=%" PRId64 " is not a multiple of %d bytes up to 1 TiB", size, LOADS * LINE_BYTES);
        return -EINVAL;
    }
    if (available_bytes() < wanted)
        memory_give_back();
    if (available_bytes() < wanted) {
        snprintf(trial->explanation, sizeof trial->explanation, "%" PRId64 " MiB of free memory", (wanted >> 20) + 1);
        return trial_needs(trial, trial->explanation);
    }
    chase = trial_alloc(trial, sizeof *chase);
    if (!chase)
        return -ENOMEM;
    chase->lines = trial_alloc_pages(trial, (size_t)size, trial->value[PAGES] == HUGE_PAGES);
    if (!chase->lines) {
        snprintf(trial->explanation, sizeof trial->explanation, "a limit of address space above %" PRId64 " MiB",
                 (size >> 20) + 1);
        return trial_needs(trial, trial->explanation);
    }
    /* The advice may be refused, also to this process alone. A row that says huge is huge, or is not there. */
    if (trial->value[PAGES] == HUGE_PAGES && memory_huge_bytes(chase->lines, (size_t)size) < size - size / FEW)
        return trial_needs(trial, HUGE_PAGES_NEED);
    trial->granule = LOADS;
    chase->at = chase->lines;
    chase->line_count = (uint64_t)size / LINE_BYTES;
    chase->forward = trial->value[ORDER] == FORWARD;
    chase->mask = UINT64_MAX >> __builtin_clzll(chase->line_count - 1);
    chase->shift = (65 - (unsigned)__builtin_clzll(chase->mask)) / 2;
    for (int i = 0; i < 3; i++)
        chase->inverses[i] = inverse(factors[i]);

    if (chase->line_count > MAX_WARM_LINES) {
        if (build_cold(trial, chase))
            return -ENOMEM;
        /* One load per 4 KiB. Without it, on small pages, the first 10 ms took 300 ns a load, and the rest 180.
           The page tables were as cold as the buffer. A long walk keeps them warm, because one line of them covers
           512 lines of the buffer. */
        chase->before = chase->line_count * LINE_BYTES / 4096 / LOADS * LOADS;
    } else {
        for (uint64_t i = 0; i < chase->line_count; i++)
            chase->lines[i].next = &chase->lines[successor(chase, i)];
        chase->before = chase->line_count; /* once round */
    }
    run(&(struct worker){.trial = trial}, chase->before);
    return 0;
}

/*
 * The ring is what the permutation says, line by line, and the permutation can be undone, so that no line is led to
 * twice. A small ring is walked as well: back at its start after all of its lines and not before. A cold one is looked
 * at only as far as it was walked. The walk stands where its loads lead.
 */
static int check(struct trial *trial)
{
    const struct chase *chase = trial->state;
    const int warm = chase->line_count <= MAX_WARM_LINES;
    const uint64_t left = chase->loads % chase->line_count;
    const int64_t huge_bytes = memory_huge_bytes(chase->lines, (size_t)trial->value[SIZE]);
    const int64_t huge_page = number_in("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", NULL);
    const int mostly_huge = 2 * huge_bytes > trial->value[SIZE];
    const uint64_t measured = chase->loads - chase->before;
    const uint64_t again = chase->loads > chase->line_count ? chase->loads - chase->line_count : 0;
    const struct line *line = chase->lines, *expected = chase->lines;

    for (uint64_t i = 1; chase->line_count <= MAX_WALKED_LINES && i <= chase->line_count; i++) {
        line = line->next;
        if ((line == chase->lines) != (i == chase->line_count))
            return trial_fault(trial, "the ring of %" PRIu64 " lines is back at its start after %" PRIu64,
                               chase->line_count, i);
    }
    for (uint64_t i = 0; warm && i < chase->line_count; i++)
        if (chase->lines[i].next != &chase->lines[successor(chase, i)])
            return trial_fault(trial, "line %" PRIu64 " of the ring no longer leads to its successor", i);
    for (uint64_t i = 0, number = 0; i < left; i++) {
        number = successor(chase, number);
        if (!chase->forward && line_at(chase, place_of(chase, number)) != number)
            return trial_fault(trial, "line %" PRIu64 " has no place of its own in the order", number);
        expected = &chase->lines[number];
    }
    if (chase->at != expected)
        return trial_fault(trial, "after %" PRIu64 " loads the walk is not where they lead", chase->loads);

    trial->metric[LINES_TOUCHED] = (double)(measured < chase->line_count ? measured : chase->line_count);
    trial->metric[HUGE_PCT] = huge_bytes < 0 ? 0 : 100.0 * (double)huge_bytes / (double)trial->value[SIZE];
    trial->metric[PAGE_BYTES] = (double)(mostly_huge && huge_page > 0 ? huge_page : sysconf(_SC_PAGESIZE));
    trial->metric[WARM] = measured ? (double)again / (double)measured : NAN;
    return 0;
}

/* What a line costs beyond the windows. With 256 MiB it took 13 ns to touch and to write on huge pages and 45 on small
   ones, and 3 for the walk before. With 16 MiB, whose pass was served by memory, it took 90 to 190. */
static uint64_t cost_ns(const struct trial *trial)
{
    const uint64_t lines = (uint64_t)trial->value[SIZE] / LINE_BYTES;

    /* Small rings are led anew line by line, and walked in the check. Of huge pages /proc says how many there are. */
    return lines * (lines <= MAX_WARM_LINES             ? 250
                    : trial->value[PAGES] == HUGE_PAGES ? 20
                                                        : 80) +
           (trial->value[PAGES] == HUGE_PAGES ? 3000000 : 0);
}

KERNEL(chase,
    .name       = "memory/chase",
    .summary    = "each load takes its address from the load before, round a ring of cache lines",
    .unit       = "load",
    .threads    = { .min = 1, .max = 1 },
    .flags      = KERNEL_TWIN,
    .parameters = {
        [SIZE]  = { .name = "size", .unit = "bytes", .summary = "of the ring: one load per 64-byte line",
                    .initial = 256 << 10, .quick = "4KiB 256KiB 16MiB",
                    .standard = "4KiB 16KiB 32KiB 64KiB 256KiB 512KiB 1MiB 4MiB 16MiB 64MiB",
                    .rigorous = "4KiB 8KiB 16KiB 32KiB 64KiB 128KiB 256KiB 512KiB 1MiB 2MiB 4MiB 8MiB 16MiB 32MiB "
                                "64MiB 128MiB 256MiB 512MiB 1GiB" },
        [PAGES] = { .name = "pages", .summary = "asked of the kernel for the ring", .labels = "small huge",
                    .initial = HUGE_PAGES, .quick = "*", .standard = "*", .rigorous = "*" },
        [ORDER] = { .name = "order", .summary = "in which the lines come", .labels = "random forward",
                    .initial = RANDOM, .rigorous = "*" },
    },
    .metrics    = {
        [LINES_TOUCHED] = { "lines_touched", "lines", "different lines that were loaded" },
        [PAGE_BYTES]    = { "page_bytes", "bytes", "size of most pages of the ring" },
        [HUGE_PCT]      = { "huge_pct", "%", "share of the ring on huge pages" },
        [WARM]          = { "warm", "share", "of loads that met a line again: 1 after a warm pass, 0 when cold" },
    },
    .setup      = setup,
    .run        = run,
    .check      = check,
    .cost_ns    = cost_ns);
