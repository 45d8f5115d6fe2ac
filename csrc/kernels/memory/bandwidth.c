/*
 * memory/bandwidth: how many bytes a second do one and several threads read and write?
 *
 * One operation is 4 KiB of each array. The arrays are too large for caches. Each thread goes round its own part again
 * and again.
 *   read    sum += a[i]
 *   copy    b[i] = a[i]
 *   triad   c[i] = a[i] + 3 b[i], as in STREAM
 *   stream  c[i] = 3, by stores that go around the caches (non-temporal)
 * The metric gb_per_s is the traffic of all threads together, in 10^9 bytes a second. It counts as STREAM does: bytes
 * that the program reads and writes. A store that goes through the caches reads its line first, which is not counted.
 * So copy moves 3 bytes for 2, and triad 4 for 3.
 * Excluded:  making the arrays. The first data of a window is in no cache. A writing case starts with caches full of
 *            other lines that have to be written back, as they are after a while. Threads start together. The first of
 *            them ends the window, so that all run during it.
 * Expect:    10 to 20 GB/s for one thread, limited by the lines that a core can have under way. Several threads move
 *            more, up to the limit of the memory.
 * Hazards:   `size` has to be twice all last caches together or more. The metric cache_times says how many times it is.
 *            Other guests use the same memory. On small pages translations cost too, so arrays are on huge pages where
 *            those are given (huge_pct). The metric peak_pct is the share of the rate of all memory devices together,
 *            by the DMI tables, which root may read. Where two devices share a channel they can give half of that.
 * Not shown: caches, random accesses (memory/chase), latency beside such a load (memory/loaded), other nodes
 *            (memory/numa).
 */
#define _GNU_SOURCE
#include "kernels/memory/blocks.h"
#include "kernels/memory_limits.h"
#include "kernels/memory_nodes.h"

enum { OP, SIZE };
enum { READ, COPY, TRIAD, STREAM };
enum { GB_PER_S, PEAK_PCT, CACHE_TIMES, HUGE_PCT };

#define LINE_BYTES 64
/* So few that the threads do not come to what was filled last, which caches have. */
#define BATCHES 16
/* At least 256 KiB of each array. Beside these, the lines that a core has under way at the start and at the end are few. */
#define BLOCKS_A_WINDOW 64
#define MAX_SIZE ((int64_t)1 << 40)
#define STEP_BYTES ((size_t)2 << 20) /* of the share of a thread: a huge page where small ones have 4 KiB */
#define MAX_ARRAYS 3
/* From one array to the next, within a page. STREAM's arrays are so far apart by chance. */
#define SHIFT_BYTES 1024
/* The memory devices of the DMI tables: SMBIOS 3.7, structure 17. */
#define DMI_TABLE "/sys/firmware/dmi/tables/DMI"
#define DMI_BYTES 65536
#define MEMORY_DEVICE 17
#define END_OF_TABLE 127

struct part {
    _Alignas(128) pair *arrays[MAX_ARRAYS];
    uint64_t at;   /* the next block */
    uint64_t made; /* blocks so far */
    pair sums[SUMS];
};

struct bandwidth {
    struct part *parts; /* one for each thread */
    uint64_t blocks;    /* of each part of an array */
    unsigned arrays;
    size_t array_bytes, bytes;
    unsigned char *memory; /* of all arrays */
    int own;               /* a mapping of our own, where the engine's cannot be on chosen nodes */
};

/* What lines of a block hold at first: whole numbers, so that sums are exact. No two of a line are equal, nor two blocks beside each other. */
static double value_at(unsigned array, uint64_t block, unsigned place)
{
    return (double)((block + array) % 7 * 8 + place + 1);
}

static void one_block(struct part *part, int64_t op)
{
    const uint64_t first = part->at * PAIRS_A_BLOCK;

    switch (op) {
    case READ:
        read_block(part->arrays[0] + first, part->sums);
        break;
    case COPY:
        copy_block(part->arrays[0] + first, part->arrays[1] + first);
        break;
    case TRIAD:
        triad_block(part->arrays[0] + first, part->arrays[1] + first, part->arrays[2] + first);
        break;
    default:
        stream_block(part->arrays[0] + first);
    }
}

static void run(struct worker *worker, uint64_t operations)
{
    struct bandwidth *bandwidth = worker->trial->state;
    struct part *part = &bandwidth->parts[worker->index];
    const int64_t op = worker->trial->value[OP];
    uint64_t made = 0;

    while (worker->index == 0 ? made < operations : made == 0 || !leader_has_ended(worker)) {
        one_block(part, op);
        part->at = part->at + 1 < bandwidth->blocks ? part->at + 1 : 0;
        made++;
    }
    leave_buffers();
    part->made += made;
    worker->done = made;
}

/* ---- before and after ---- */

/* Where an array begins. Each has another place in its page. A CPU that compares only lower bits takes a load for one of the last store. */
static unsigned char *array_at(const struct bandwidth *bandwidth, unsigned array)
{
    return bandwidth->memory + array * (bandwidth->array_bytes + STEP_BYTES) + array * SHIFT_BYTES;
}

/* Memory for all arrays. Where there are several nodes, each part lies on that of its thread's CPU. 0 or -errno. */
static int make_room(struct trial *trial, struct bandwidth *bandwidth)
{
    const size_t part = bandwidth->array_bytes / trial->team_size, page = (size_t)sysconf(_SC_PAGESIZE);
    int error = 0;

    bandwidth->own = nodes_with_memory() > 1;
    /* What the engine keeps for the next case must not be bound to a node. */
    bandwidth->memory =
        bandwidth->own ? private_pages(bandwidth->bytes, 1) : trial_alloc_pages(trial, bandwidth->bytes, 1);
    if (!bandwidth->memory)
        return -ENOMEM;
    for (unsigned array = 0; array < bandwidth->arrays; array++)
        for (unsigned i = 0; i < trial->team_size && !error; i++) {
            unsigned char *first = array_at(bandwidth, array) + i * part;

            bandwidth->parts[i].arrays[array] = (pair *)(void *)first;
            if (bandwidth->own)
                error = bind_to_node(first - (uintptr_t)first % page, part, node_of(trial->cpus[i]));
        }
    return error;
}

static void fill_block(const struct part *part, unsigned array, uint64_t block, int around)
{
    pair *first = part->arrays[array] + block * PAIRS_A_BLOCK;
    pair line[PAIRS_A_LINE];

    for (unsigned j = 0; j < PAIRS_A_LINE; j++)
        line[j] = (pair){value_at(array, block, 2 * j), value_at(array, block, 2 * j + 1)};
    for (unsigned j = 0; j < PAIRS_A_BLOCK; j++)
        if (around)
            store_around(&first[j], line[j % PAIRS_A_LINE]);
        else
            first[j] = line[j % PAIRS_A_LINE];
}

/*
 * All arrays side by side, so that the windows begin with blocks that no cache has any more. Where they read, or write around the caches, no
 * cache holds what is still to be written back. Where they write, the caches are full of it, as they are after a while.
 */
static void fill(struct bandwidth *bandwidth, int64_t op, unsigned workers)
{
    const int around = op == READ || op == STREAM;

    for (uint64_t block = 0; block < bandwidth->blocks; block++)
        for (unsigned i = 0; i < workers; i++)
            for (unsigned array = 0; array < bandwidth->arrays; array++)
                fill_block(&bandwidth->parts[i], array, block, around);
    leave_buffers();
}

static int setup(struct trial *trial)
{
    static const unsigned arrays[] = {[READ] = 1, [COPY] = 2, [TRIAD] = 3, [STREAM] = 1};
    const int64_t size = trial->value[SIZE], step = (int64_t)trial->team_size * STEP_BYTES;
    struct bandwidth *bandwidth;
    int error = 0;

    if (size <= 0 || size > MAX_SIZE) {
        trial_fault(trial, "size=%" PRId64 " is not from 1 to 1 TiB", size);
        return -EINVAL;
    }
    bandwidth = trial_alloc(trial, sizeof *bandwidth);
    if (!bandwidth)
        return -ENOMEM;
    bandwidth->arrays = arrays[trial->value[OP]];
    /* Whole huge pages for each thread. */
    bandwidth->array_bytes = (size_t)((size / bandwidth->arrays + step - 1) / step * step);
    bandwidth->blocks = bandwidth->array_bytes / trial->team_size / BLOCK_BYTES;
    bandwidth->bytes = bandwidth->arrays * (bandwidth->array_bytes + STEP_BYTES);
    if (available_bytes() / 4 * 3 < (int64_t)bandwidth->bytes)
        memory_give_back();
    if (available_bytes() / 4 * 3 < (int64_t)bandwidth->bytes) {
        snprintf(trial->explanation, sizeof trial->explanation, "%" PRIu64 " MiB of free memory",
                 (bandwidth->bytes / 3 * 4 >> 20) + 1);
        return trial_needs(trial, trial->explanation);
    }
    bandwidth->parts = trial_alloc(trial, trial->team_size * sizeof *bandwidth->parts);
    if (!bandwidth->parts)
        return -ENOMEM;
    error = make_room(trial, bandwidth);
    if (error)
        return trial_needs(trial, error == -ENOMEM ? "as much address space (ulimit -v)"
                                                   : "permission to place memory on nodes (mbind)");
    trial->granule = BLOCKS_A_WINDOW;
    fill(bandwidth, trial->value[OP], trial->team_size);
    return 0;
}

/* What a block must hold that its thread has done or not: the last array of copy, triad and stream is written. */
static double expected_at(int64_t op, unsigned array, uint64_t block, unsigned place, int done)
{
    const double a = value_at(0, block, place), b = value_at(1, block, place);

    if (done && op == COPY)
        return a;
    if (done && op == STREAM)
        return 3;
    return done && op == TRIAD && array == 2 ? a + 3 * b : value_at(array, block, place);
}

/* Whether a block holds that all over. */
static int block_holds(const struct part *part, int64_t op, unsigned array, uint64_t block)
{
    const pair *found = part->arrays[array] + block * PAIRS_A_BLOCK;
    const int done = block < part->made;
    pair wanted[PAIRS_A_LINE];
    flags others = {0, 0};

    for (unsigned j = 0; j < PAIRS_A_LINE; j++)
        wanted[j] = (pair){expected_at(op, array, block, 2 * j, done), expected_at(op, array, block, 2 * j + 1, done)};
    for (unsigned i = 0; i < PAIRS_A_BLOCK; i++)
        others |= (flags)(found[i] != wanted[i % PAIRS_A_LINE]);
    return !others[0] && !others[1];
}

/* What the sum of all that was read must be, for each of its places in a line. */
static double expected_sum(const struct part *part, uint64_t blocks, unsigned place)
{
    const uint64_t rounds = part->made / blocks, left = part->made % blocks;
    double sum = 0;

    for (uint64_t block = 0; block < blocks; block++)
        sum += value_at(0, block, place) * (double)(BLOCK_BYTES / LINE_BYTES * (rounds + (block < left)));
    return sum;
}

static int check_part(struct trial *trial, const struct part *part)
{
    const struct bandwidth *bandwidth = trial->state;
    const int64_t op = trial->value[OP];

    if (part->at != part->made % bandwidth->blocks)
        return trial_fault(trial, "after %" PRIu64 " blocks the thread is at %" PRIu64, part->made, part->at);
    /* Those that were done, and the one after them: what nobody came to cannot be wrong. */
    for (unsigned array = 0; array < bandwidth->arrays; array++)
        for (uint64_t block = 0; block < bandwidth->blocks && block <= part->made; block++)
            if (!block_holds(part, op, array, block))
                return trial_fault(trial, "array %u does not hold what it should all over block %" PRIu64, array,
                                   block);
    for (unsigned place = 0; op == READ && place < 2 * SUMS; place++) {
        const double found = part->sums[place / 2][place % 2];
        const double expected = expected_sum(part, bandwidth->blocks, place);

        if (found != expected)
            return trial_fault(trial, "what was read adds up to %g instead of %g", found, expected);
    }
    return 0;
}

static unsigned at_offset(const unsigned char *structure, unsigned offset, unsigned bytes)
{
    unsigned number = 0;

    for (unsigned i = 0; offset + bytes <= structure[1] && i < bytes; i++)
        number |= (unsigned)structure[offset + i] << (8 * i);
    return number;
}

/* Bytes a second of all memory devices together, by the DMI tables. NaN if the tables do not say it. */
static double stated_peak(void)
{
    static unsigned char table[DMI_BYTES];
    const int64_t length = procfs_text(DMI_TABLE, (char *)table, sizeof table);
    double sum = 0;

    for (int64_t at = 0; at + 4 <= length && table[at + 1] >= 4 && table[at] != END_OF_TABLE;) {
        const unsigned char *structure = table + at;
        unsigned speed = at_offset(structure, 0x20, 2); /* as configured, in millions of transfers a second */

        if (at + structure[1] > length)
            break;
        speed = speed == 0xffff ? at_offset(structure, 0x58, 4) : speed;
        speed = speed ? speed : at_offset(structure, 0x15, 2); /* as the device could */
        /* A size says that a device is in the slot. The width of its data in bits is at 0x0a. */
        if (structure[0] == MEMORY_DEVICE && at_offset(structure, 0x0c, 2) && at_offset(structure, 0x0a, 2) != 0xffff)
            sum += speed * 1e6 * at_offset(structure, 0x0a, 2) / 8;
        /* Its strings follow, and an empty one ends them. */
        for (at += structure[1]; at + 1 < length && (table[at] || table[at + 1]); at++)
            ;
        at += 2;
    }
    return sum > 0 ? sum : NAN;
}

/* The last cache of the CPUs of the team, each that is shared counted once. NaN where the system does not say. */
static double last_caches(const struct trial *trial)
{
    double sum = 0;
    char path[96], text[4096];

    for (unsigned i = 0; i < trial->team_size; i++) {
        long kib = 0;
        int first = 1;

        for (int index = 0; index < 8; index++) {
            snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cache/index%d/size", trial->cpus[i], index);
            if (procfs_text(path, text, sizeof text) <= 0)
                break;
            kib = strtol(text, NULL, 10) * (strchr(text, 'M') ? 1024 : 1);
            snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cache/index%d/shared_cpu_list", trial->cpus[i],
                     index);
            if (procfs_text(path, text, sizeof text) <= 0)
                break;
            first = 1;
            for (unsigned other = 0; other < i; other++)
                first &= !in_list(text, trial->cpus[other], NULL);
        }
        sum += first ? (double)kib * 1024 : 0;
    }
    return sum > 0 ? sum : NAN;
}

/* The median over batches of what all threads moved, in bytes a second. */
static double moved(const struct trial *trial)
{
    static const double bytes[] = {[READ] = 1, [COPY] = 2, [TRIAD] = 3, [STREAM] = 1};
    const uint64_t batches = trial->sample_count / trial->team_size;
    double *rates = malloc((batches ? batches : 1) * sizeof *rates), median;

    if (!rates)
        return NAN;
    for (uint64_t batch = 0; batch < batches; batch++) {
        rates[batch] = 0;
        for (unsigned i = 0; i < trial->team_size; i++) {
            const struct sample *sample = &trial->samples[batch * trial->team_size + i];

            rates[batch] += (double)sample->operations / ((double)sample->ticks - trial->overhead_ticks);
        }
    }
    median = median_of(rates, batches) * trial->tick_hz * BLOCK_BYTES * bytes[trial->value[OP]];
    free(rates);
    return median;
}

/* Each thread did its blocks in turn, wrote what it should and read what was there. */
static int check(struct trial *trial)
{
    const struct bandwidth *bandwidth = trial->state;
    const double bytes = (double)bandwidth->arrays * (double)bandwidth->array_bytes, rate = moved(trial);
    const int64_t huge = memory_huge_bytes(bandwidth->memory, bandwidth->bytes);

    for (unsigned i = 0; i < trial->team_size; i++)
        if (check_part(trial, &bandwidth->parts[i]))
            return -EILSEQ;
    trial->metric[GB_PER_S] = rate / 1e9;
    trial->metric[PEAK_PCT] = 100 * rate / stated_peak();
    trial->metric[CACHE_TIMES] = bytes / last_caches(trial);
    trial->metric[HUGE_PCT] = huge < 0 ? 0 : 100 * (double)huge / (double)bandwidth->bytes;
    return 0;
}

static void teardown(struct trial *trial)
{
    struct bandwidth *bandwidth = trial->state;

    if (bandwidth && bandwidth->own && bandwidth->memory)
        munmap(bandwidth->memory, bandwidth->bytes);
}

/* Zeroing and filling each byte, at 10 GB/s each. */
static uint64_t cost_ns(const struct trial *trial)
{
    return (uint64_t)trial->value[SIZE] / 5;
}

KERNEL(bandwidth,
    .name       = "memory/bandwidth",
    .summary    = "each thread reads, copies, adds or writes its part of arrays that no cache holds",
    .unit       = "4 KiB of each array",
    .threads    = { .min = 1, .max = MAX_TEAM },
    .place      = PLACE_SWEEP,
    .parameters = {
        [OP]   = { .name = "op", .summary = "what is done", .labels = "read copy triad stream", .initial = TRIAD,
                   .quick = "read triad", .standard = "read triad", .rigorous = "*" },
        [SIZE] = { .name = "size", .unit = "bytes", .summary = "of all arrays together", .initial = 64 << 20,
                   .rigorous = "256MiB" },
    },
    .metrics    = {
        [GB_PER_S]        = { "gb_per_s", "GB/s", "of all threads, counted as STREAM does" },
        [PEAK_PCT]        = { "peak_pct", "%", "of what the memory devices could give, by the DMI tables" },
        [CACHE_TIMES]     = { "cache_times", "times", "the last caches: how large all arrays are" },
        [HUGE_PCT]        = { "huge_pct", "%", "share of the arrays on huge pages" },
    },
    .setup      = setup,
    .run        = run,
    .batches    = BATCHES,
    .check      = check,
    .teardown   = teardown,
    .cost_ns    = cost_ns);
