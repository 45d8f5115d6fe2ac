/*
 * memory/map: what does it cost to ask for addresses and to give them back, and does their number matter?
 *
 * One operation is one turn of system calls on a mapping of `size` bytes, of which one page at most is in memory.
 *   untouched  mmap and munmap: addresses and nothing else
 *   touched    mmap, a write to the first page, and munmap
 *   mprotect   the mapping stays: it is made read-only and writable again, and its one page is written to
 *   dontneed   the mapping stays: madvise(MADV_DONTNEED) gives its one page back, which is then written to again
 * Excluded:  the first mapping and its page. Huge pages are forbidden meanwhile, since one would be cleared as a whole.
 * Expect:    guest of an AMD EPYC, Linux 6.18, ns a turn: untouched 6050 with 4 KiB and 7980 with 1 GiB. There touched
 *            is 10200 to 10600, mprotect 6640, dontneed 4360.
 * Hazards:   a hypervisor without nested page tables makes every change of a table dear. Tracers and seccomp filters
 *            add to each call. The metric faults_per_turn is the system's count in the check. A turn of touched and
 *            dontneed has one fault, of untouched none. After mprotect some systems let the page be written to at once,
 *            others with a fault. The metric resident_kib is the memory that an untouched mapping of this size takes.
 * Not shown: other CPUs that run this process (memory/shootdown), mappings of files, how the calls grow with the pages
 *            in memory.
 */
#define _GNU_SOURCE
#include "kernels/memory/calls.h"

enum { CALL, SIZE };
enum { FAULTS_PER_TURN, RESIDENT_KIB, FOOTPRINT_BYTES };

/* 1 TiB: more than any machine of today has, and less than half of the smallest address space of 64-bit systems. */
#define MAX_SIZE ((int64_t)1 << 40)
/* The smallest pages of any Linux: a size that only larger ones cannot make up is no mistake. */
#define SMALLEST_PAGE 4096
/* So many that one fault too many or too few shows. */
#define COUNTED_TURNS 64

static void run(struct worker *worker, uint64_t operations)
{
    struct mapping *mapping = worker->trial->state;
    const int call = (int)worker->trial->value[CALL];

    for (uint64_t i = 0; i < operations; i++)
        turn(mapping, call);
}

static int setup(struct trial *trial)
{
    const int64_t size = trial->value[SIZE], page = sysconf(_SC_PAGESIZE);
    struct mapping *mapping;
    int status;

    if (size > 0 && size <= MAX_SIZE && size % SMALLEST_PAGE == 0 && size % page)
        return trial_needs(trial, "pages of 4 KiB or less");
    if (size <= 0 || size > MAX_SIZE || size % page) {
        trial_fault(trial, "size=%" PRId64 " is not a multiple of a page of %" PRId64 " bytes up to 1 TiB", size, page);
        return -EINVAL;
    }
    mapping = trial_alloc(trial, sizeof *mapping);
    if (!mapping)
        return -ENOMEM;
    status = mapping_begin(mapping, (size_t)size, (int)trial->value[CALL]);
    if (!status) {
        turn(mapping, (int)trial->value[CALL]);
        status = mapping->error;
    }
    if (status == -ENOMEM)
        return trial_needs(trial, "so much address space (ulimit -v, vm.overcommit_memory)");
    return status;
}

static int64_t faults_of_turns(struct trial *trial)
{
    struct mapping *mapping = trial->state;
    int64_t faults = -thread_counts().minor_faults;

    for (int i = 0; i < COUNTED_TURNS; i++)
        turn(mapping, (int)trial->value[CALL]);
    return mapping->error ? mapping->error : faults + thread_counts().minor_faults;
}

/* What a mapping takes that nobody has touched: pages in memory, and what the system says of this process. 0 or -errno. */
static int look_at_untouched(struct trial *trial)
{
    const size_t bytes = (size_t)trial->value[SIZE], page = (size_t)sysconf(_SC_PAGESIZE);
    const double before = resident_bytes();
    unsigned char *mapping = map_addresses(bytes);
    /* Both ends and the middle: mincore() of all takes a byte for each page. */
    const size_t places[] = {0, bytes / page / 2, bytes / page - 1};
    int status = 0;

    if (!mapping)
        return -errno;
    for (size_t i = 0; i < sizeof places / sizeof *places && !status; i++) {
        unsigned char there = 0;

        if (mincore(mapping + places[i] * page, page, &there))
            status = -errno;
        else if (there & 1)
            status = trial_fault(trial, "page %zu of a fresh mapping is in memory", places[i]);
    }
    trial->metric[RESIDENT_KIB] = fmax(0, resident_bytes() - before) / 1024;
    unmap_addresses(mapping, bytes);
    return status;
}

/* Every turn came to its end, a fresh mapping holds nothing, and a page that was given up had a fault of its own. */
static int check(struct trial *trial)
{
    const int call = (int)trial->value[CALL];
    const struct mapping *mapping = trial->state;
    int64_t expected = call == UNTOUCHED ? 0 : COUNTED_TURNS;
    int status = mapping_check(trial, mapping);

    if (status)
        return status;
    if (mapping->standing && *mapping->standing != 1)
        return trial_fault(trial, "the page holds %u instead of 1", *mapping->standing);
    status = look_at_untouched(trial);
    if (status)
        return status;
    if (call == MPROTECT) {
        /* With every write, or with none: that is the system's to choose. */
        const int64_t found = faults_of_turns(trial);

        if (found < 0)
            return (int)found;
        expected = found < COUNTED_TURNS / 2 ? 0 : COUNTED_TURNS;
    }
    status = count_faults(trial, faults_of_turns, expected);
    trial->metric[FAULTS_PER_TURN] = (double)trial->count[0].found / COUNTED_TURNS;
    trial->metric[FOOTPRINT_BYTES] = call == UNTOUCHED ? 0 : (double)sysconf(_SC_PAGESIZE); /* whatever was mapped */
    return status;
}

static void teardown(struct trial *trial)
{
    if (trial->state)
        mapping_end(trial->state);
}

KERNEL(map,
    .name       = "memory/map",
    .summary    = "a process maps addresses and unmaps them, or changes a mapping, with one page in memory at most",
    .unit       = "turn",
    .threads    = { .min = 1, .max = 1 },
    .flags      = KERNEL_TWIN,
    .subject    = FLAG_FAULTED,
    .parameters = { [CALL] = { .name = "call", .summary = "what a turn consists of", .labels = CALL_LABELS, .initial = UNTOUCHED,
                               .quick = "*", .standard = "*", .rigorous = "*" },
                    [SIZE] = { .name = "size", .unit = "bytes", .summary = "of the mapping", .initial = 4096, .quick = "4KiB 1GiB",
                               .standard = "4KiB 1GiB", .rigorous = "4KiB 1MiB 64MiB 1GiB 64GiB" } },
    .metrics    = { [FAULTS_PER_TURN] = { "faults_per_turn", "per turn", "minor faults that the system counted for this thread" },
                    [RESIDENT_KIB]    = { "resident_kib", "KiB", "what a mapping of this size takes before it is touched" },
                    [FOOTPRINT_BYTES] = { "footprint_bytes", "bytes", "what is touched of it" } },
    .counts     = { { "faults", "faults", "minor faults of 64 turns, counted beside the timing" } },
    .setup      = setup,
    .run        = run,
    .check      = check,
    .teardown   = teardown);
