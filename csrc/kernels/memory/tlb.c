/*
 * memory/tlb: how many pages can a process use before the translation of their addresses costs time?
 *
 * A CPU keeps the last translations of addresses in a TLB of two levels. One operation is 1000 loads, each from an
 * address that the load before gave, one line on each of `pages` small pages in turn. The control makes as many loads
 * that need only a few translations. So the difference is the cost of the translations.
 *   huge    the same lines on huge pages, as far from each other
 *   packed  as many lines on small pages, one beside the other: 64 of them share a page of 4 KiB
 * Excluded:  making and touching the pages. Before each operation a walk round all its pages, up to 2048, fills caches
 *            and TLB with its own entries. The lines lie at spread places of their pages. All at one place would share
 *            a few sets of each cache.
 * Expect:    nothing up to the entries of the first level (64 to 96), then 7 cycles a load on x86-64. Beyond the second
 *            level (1536 to 3072) a walk of the page tables costs 20 cycles and more. A guest of an AMD EPYC (Zen 3, 64
 *            and 2048 entries), ns a load. Less packed: 0 with 16 pages, 2.4 to 2.7 with 128 to 1024, 43 with 4096.
 *            Less huge: 0 up to 768 pages, 23 with 4096.
 * Hazards:   some CPUs keep one translation for several pages that are also neighbours in memory. So pages are touched
 *            in a drawn order, which separates them. In a guest each step of a walk is a walk itself. A hypervisor on
 *            small pages takes the advantage of a guest's huge page away. Then huge shows less than packed, or nothing.
 *            Small pages fall on the sets of the second cache by chance, and may miss it where huge ones do not. Where
 *            huge pages are not given the row is not measurable. The metrics stated_l1 and stated_l2 are the entries
 *            that CPUID states. In some guests it states none.
 * Not shown: the TLB of instructions, and how the levels are built.
 */
#define _GNU_SOURCE
#include "kernels/memory_limits.h"
#include "kernels/random.h"
#include "kernels/system.h"

#if HAS_X86_64
#include <cpuid.h>
#endif

enum { PAGES, CONTROL };
enum { ON_HUGE, PACKED };
enum { SMALL_NS, CONTROL_NS, ADDED_NS, STATED_L1, STATED_L2, FOOTPRINT_BYTES };

#define LINE_BYTES 64
#define LOADS 1000
/* In a turn of the loop. LOADS is a multiple. */
#define UNROLLED 8
/* 4 GiB of pages of 4 KiB: no second level has a hundredth of them. */
#define MAX_PAGES ((int64_t)1 << 20)
/* Beyond, no second level keeps what was walked round before. */
#define MOST_AGAIN UINT64_C(2048)
#define PAIRS_A_BATCH 4
#define BATCHES 4

struct line {
    const struct line *next;
};

/* One line on each page, in a cycle. */
struct cycle {
    unsigned char *first;
    size_t apart;          /* from one line to the next in memory: a page, or a line where they are packed */
    const struct line *at; /* after `loads` loads from the line of page 0 */
    uint64_t loads;
};

struct tlb {
    struct cycle sides[2]; /* on small pages, on huge ones */
    uint64_t pages;
    size_t page_bytes;
    uint64_t again;  /* loads before each operation */
    uint32_t *order; /* of the pages: a cycle of all */
    uint64_t pairs;
    double ticks[2][BATCHES * PAIRS_A_BATCH];
    double added[BATCHES * PAIRS_A_BATCH];
};

/* The line of a page. The golden ratio times 2^64 spreads its place: the upper bits come evenly, whatever the distance of pages. */
static struct line *line_of(const struct cycle *cycle, uint64_t page)
{
    const uint64_t lines = cycle->apart / LINE_BYTES;
    const uint64_t place = (page * UINT64_C(0x9e3779b97f4a7c15) >> 32) % lines;

    return (struct line *)(void *)(cycle->first + page * cycle->apart + place * LINE_BYTES);
}

/* Not inlined: both sides go through the same instructions. */
static __attribute__((noinline)) void walk(struct cycle *cycle, uint64_t loads)
{
    const struct line *at = cycle->at;

    for (uint64_t i = loads / UNROLLED; i > 0; i--)
        at = at->next->next->next->next->next->next->next->next;
    cycle->at = at;
    cycle->loads += loads / UNROLLED * UNROLLED;
}

static double one_side(struct trial *trial, int side)
{
    struct tlb *tlb = trial->state;
    struct cycle *cycle = &tlb->sides[side];
    uint64_t begin;

    walk(cycle, tlb->again);
    begin = tick_begin();
    walk(cycle, LOADS);
    return net_ticks(trial, begin, tick_end());
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct tlb *tlb = worker->trial->state;
    const double found = one_side(worker->trial, 0);

    if (tlb->pairs < BATCHES * PAIRS_A_BATCH)
        tlb->ticks[0][tlb->pairs] = found;
    *ticks = llround(found);
    return (int64_t)count;
}

static int64_t control(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct tlb *tlb = worker->trial->state;
    const double found = one_side(worker->trial, 1);

    if (tlb->pairs < BATCHES * PAIRS_A_BATCH) {
        tlb->ticks[1][tlb->pairs] = found;
        tlb->added[tlb->pairs] = tlb->ticks[0][tlb->pairs] - found;
        tlb->pairs++;
    }
    *ticks = llround(found);
    return (int64_t)count;
}

/* The order of the pages: a cycle of all of them, drawn by S. Sattolo's algorithm. */
static void draw(struct tlb *tlb)
{
    uint64_t state = fresh_seed();

    for (uint64_t i = 0; i < tlb->pages; i++)
        tlb->order[i] = (uint32_t)i;
    for (uint64_t i = tlb->pages - 1; i > 0; i--) {
        const uint64_t j = next_random(&state) % i;
        const uint32_t other = tlb->order[i];

        tlb->order[i] = tlb->order[j];
        tlb->order[j] = other;
    }
}

/* Each line leads to that of the next page. On fresh pages this is their first touch. */
static void lay(const struct tlb *tlb, struct cycle *cycle)
{
    uint32_t page = 0;

    do {
        line_of(cycle, page)->next = line_of(cycle, tlb->order[page]);
        page = tlb->order[page];
    } while (page);
    cycle->at = line_of(cycle, 0);
}

/* A number of loads that the loop can make, no fewer than these. */
static uint64_t up(uint64_t loads)
{
    return (loads + UNROLLED - 1) / UNROLLED * UNROLLED;
}

static int setup(struct trial *trial)
{
    const int64_t pages = trial->value[PAGES], page = sysconf(_SC_PAGESIZE);
    const int packed = trial->value[CONTROL] == PACKED;
    struct tlb *tlb;
    size_t bytes;

    if (pages < 2 || pages > MAX_PAGES) {
        trial_fault(trial, "pages=%" PRId64 " is not from 2 to %" PRId64, pages, MAX_PAGES);
        return -EINVAL;
    }
    /* On small pages and on huge ones, and a quarter more for everybody else. */
    if (available_bytes() < pages * page * 5 / 2)
        memory_give_back();
    if (available_bytes() < pages * page * 5 / 2) {
        snprintf(trial->explanation, sizeof trial->explanation, "%" PRId64 " MiB of free memory",
                 (pages * page * 5 / 2 >> 20) + 1);
        return trial_needs(trial, trial->explanation);
    }
    tlb = trial_alloc(trial, sizeof *tlb);
    if (!tlb)
        return -ENOMEM;
    tlb->pages = (uint64_t)pages;
    tlb->page_bytes = (size_t)page;
    tlb->again = tlb->pages <= LOADS || tlb->pages > MOST_AGAIN ? LOADS : up(tlb->pages);
    tlb->order = trial_alloc(trial, tlb->pages * sizeof *tlb->order);
    tlb->sides[0].apart = tlb->page_bytes;
    tlb->sides[1].apart = packed ? LINE_BYTES : tlb->page_bytes;
    bytes = tlb->pages * tlb->sides[1].apart;
    tlb->sides[0].first = tlb->order ? private_pages(tlb->pages * tlb->page_bytes, 0) : NULL;
    tlb->sides[1].first = tlb->sides[0].first ? trial_alloc_pages(trial, bytes, !packed) : NULL;
    if (!tlb->sides[1].first)
        return trial_needs(trial, "as much address space (ulimit -v)");
    if (!packed && memory_huge_bytes(tlb->sides[1].first, bytes) < (int64_t)bytes)
        return trial_needs(trial, HUGE_PAGES_NEED);
    draw(tlb);
    for (int side = 0; side < 2; side++) {
        lay(tlb, &tlb->sides[side]);
        walk(&tlb->sides[side], up(tlb->pages));
    }
    return 0;
}

#if HAS_X86_64
/* Entries of the second level for small pages, as AMD states them in bits 16 to 27. Bits 28 to 31 are 0 if there is none. */
static double amd_second_level(unsigned ebx)
{
    return ebx >> 28 ? (double)(ebx >> 16 & 0xfff) : NAN;
}

/* Leaf 0x18 of Intel: a level of a TLB in each subleaf. Data and small pages only. */
static void intel_levels(double *entries)
{
    unsigned a, b, c, d, last = 0;

    for (unsigned i = 0; i <= last && i < 64 && __get_cpuid_count(0x18, i, &a, &b, &c, &d); i++) {
        const unsigned type = d & 31, level = d >> 5 & 7; /* type 2 is for instructions, 4 for loads, 5 for stores */
        const double found = (double)(b >> 16) * (double)c;

        last = i == 0 ? a : last;
        if ((b & 1) && type && type != 2 && type != 5 && (level == 1 || level == 2))
            entries[level - 1] = isnan(entries[level - 1]) ? found : fmax(entries[level - 1], found);
    }
}
#endif

/* Entries for data on small pages that CPUID states for both levels. NaN if it does not. */
static void stated(double *entries)
{
    entries[0] = entries[1] = NAN;
#if HAS_X86_64
    unsigned a, b, c, d;

    intel_levels(entries);
    /* Leaf 0x80000005 of AMD and Hygon. Intel has it with zeros. */
    if (isnan(entries[0]) && __get_cpuid(0x80000005, &a, &b, &c, &d) && (b >> 16 & 0xff))
        entries[0] = (double)(b >> 16 & 0xff);
    if (isnan(entries[1]) && __get_cpuid(0x80000006, &a, &b, &c, &d))
        entries[1] = amd_second_level(b);
#endif
}

/* Every line leads to the next page's, and a page comes once. The walk stands where its loads lead. No small page has become a huge one. */
static int check_side(struct trial *trial, int side)
{
    const struct tlb *tlb = trial->state;
    const struct cycle *cycle = &tlb->sides[side];
    const uint64_t left = cycle->loads % tlb->pages;
    const struct line *expected = line_of(cycle, 0), *line = expected;
    const uintptr_t first = (uintptr_t)cycle->first;

    for (uint64_t i = 0; i < tlb->pages; i++, line = line->next) {
        const uint64_t page = ((uintptr_t)line - first) / cycle->apart;

        if (page >= tlb->pages || (i > 0) != (page != 0))
            return trial_fault(trial, "the cycle of %" PRIu64 " lines is on line %" PRIu64 " after %" PRIu64 " loads",
                               tlb->pages, page, i);
        if (i == left)
            expected = line;
    }
    if (line != line_of(cycle, 0))
        return trial_fault(trial, "the cycle does not close after %" PRIu64 " lines", tlb->pages);
    if (cycle->at != expected)
        return trial_fault(trial, "after %" PRIu64 " loads the walk is not where they lead", cycle->loads);
    return 0;
}

static int check(struct trial *trial)
{
    struct tlb *tlb = trial->state;
    const size_t bytes = tlb->pages * tlb->page_bytes;
    const double ns = 1e9 / trial->tick_hz / LOADS;
    const int64_t small_huge = memory_huge_bytes(tlb->sides[0].first, bytes);
    double entries[2];

    for (int side = 0; side < 2; side++)
        if (check_side(trial, side))
            return -EILSEQ;
    if (small_huge > 0)
        return trial_fault(trial, "%" PRId64 " bytes of the small pages are on huge ones", small_huge);
    trial->metric[SMALL_NS] = median_of(tlb->ticks[0], tlb->pairs) * ns;
    trial->metric[CONTROL_NS] = median_of(tlb->ticks[1], tlb->pairs) * ns;
    trial->metric[ADDED_NS] = median_of(tlb->added, tlb->pairs) * ns;
    trial->metric[FOOTPRINT_BYTES] = (double)bytes + (double)(tlb->pages * tlb->sides[1].apart);
    stated(entries);
    trial->metric[STATED_L1] = entries[0];
    trial->metric[STATED_L2] = entries[1];
    return 0;
}

static void teardown(struct trial *trial)
{
    struct tlb *tlb = trial->state;

    if (tlb && tlb->sides[0].first)
        munmap(tlb->sides[0].first, tlb->pages * tlb->page_bytes);
}

/* A fault for each small page, a 500th of one for each on huge pages, and loads at 2 to 40 ns. */
static uint64_t cost_ns(const struct trial *trial)
{
    const uint64_t pages = (uint64_t)trial->value[PAGES];
    const uint64_t again = pages > LOADS && pages <= MOST_AGAIN ? pages : LOADS;

    return 2000000 + pages * 6000 + BATCHES * PAIRS_A_BATCH * 2 * (LOADS + again) * (pages > LOADS ? 20 : 4);
}

KERNEL(tlb,
    .name             = "memory/tlb",
    .summary          = "loads that depend on each other, one line a page, less the same loads on few pages",
    .unit             = "1000 loads",
    .threads          = { .min = 1, .max = 1 },
    .parameters       = { [PAGES] = { .name = "pages", .unit = "pages", .summary = "that are visited in turn", .initial = 4096, .quick = "16 256 4096",
                            .standard = "16 64 256 1024 2048 4096",
                            .rigorous = "16 24 32 48 64 96 128 192 256 384 512 768 1024 1536 2048 3072 4096 6144 8192 16384" },
                          [CONTROL] = { .name = "control", .summary = "the loads that are subtracted", .labels = "huge packed", .initial = ON_HUGE,
                                        .quick = "*", .standard = "*", .rigorous = "*" } },
    .metrics          = { [SMALL_NS]        = { "small_ns", "ns", "a load on small pages" },
                          [CONTROL_NS]      = { "control_ns", "ns", "a load of the control" },
                          [ADDED_NS]        = { "added_ns", "ns", "a load on small pages less one of the control" },
                          [STATED_L1]       = { "stated_l1", "entries", "of the first level of the TLB, by CPUID" },
                          [STATED_L2]       = { "stated_l2", "entries", "of the second level, by CPUID" },
                          [FOOTPRINT_BYTES] = { "footprint_bytes", "bytes", "all pages of both kinds" } },
    .setup            = setup,
    .events           = events,
    .control          = control,
    .events_per_batch = PAIRS_A_BATCH,
    .batches          = BATCHES,
    .check            = check,
    .teardown         = teardown,
    .cost_ns          = cost_ns);
