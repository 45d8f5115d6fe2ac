/*
 * alloc/size: what does a block of memory cost, by its size?
 *
 * One operation is 1000 pairs: one malloc and the free of that block, at once. Nothing else lives. The metric pair_ns
 * is the time of one pair. With touch=touched one byte of each page of the block is written to in between. A small
 * process does it whose allocator nobody has used before.
 *   fixed    blocks from 128 KiB on come from mmap and go back by munmap, as in glibc until the first such block is
 *            freed
 *   dynamic  glibc as it is found: the first block that is freed raises this threshold to its size. So the next comes
 *            from the heap
 * Excluded:  starting the process, and a first batch. A batch is as many pairs as take 50 us, at least one.
 * Expect:    guest of an AMD EPYC, glibc 2.36, ns. Up to 1032 bytes (kept for each thread) 10 to 20, up to the
 *            threshold 22 to 46. At 140000 bytes 10300 fixed and 43 dynamic. At 32 MiB 13200 in both, since larger
 *            blocks always come from mmap.
 * Hazards:   the order of sizes decides which of the two a program meets. So every case has a separate process. The
 *            metric faults_per_pair tells which kind was measured. Pages that come anew each time have a fault each.
 *            Both sides of the small cases depend on how busy the core is.
 * Not shown: blocks that live on (alloc/pattern), several threads, other allocators (alloc/pattern).
 */
#define _GNU_SOURCE
#include "kernels/alloc/server.h"
#include "kernels/memory_limits.h"

enum { SIZE, TOUCH, THRESHOLD };
enum { UNTOUCHED, TOUCHED };
enum { PAIR_NS, FAULTS_PER_PAIR, GROWN_KIB };

#define MAX_SIZE ((int64_t)1 << 30)
#define BATCH_NS 50000
#define FIRST_PAIRS 4
#define LOOKS 2
#define MOST_PAIRS ((uint64_t)1 << 20)
/* An event is a whole number of ticks. Of a single pair it would be 10 of a fast counter, and none of a slow one. */
#define PAIRS_AN_EVENT 1000
#define MOST_KEPT 256
/* What a process may take beside its blocks. */
#define SPARE_BYTES (64 << 10)
/* Blocks that the check has at once. */
#define HELD 16

enum { BEGIN, PAIRS, VERIFY };

struct order {
    int what, touched, threshold;
    uint64_t size, count;
};

struct answer {
    uint64_t begin, end, done;
    int64_t faults;
};

struct pairs {
    struct small small;
    uint64_t batch; /* pairs of a batch */
    uint64_t timed;
    double resident_before;
    double pair_ticks[MOST_KEPT], pair_faults[MOST_KEPT];
    uint64_t kept;
};

/* ---- in the small process ---- */

static void make_pairs(const struct order *order, struct answer *answer)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const int64_t before = faults_so_far();

    answer->begin = tick_begin();
    for (answer->done = 0; answer->done < order->count; answer->done++) {
        unsigned char *block = malloc(order->size);

        if (!block)
            break;
        if (order->touched)
            touch_pages(block, order->size, page);
        USED(block);
        free(block);
    }
    answer->end = tick_end();
    answer->faults = faults_so_far() - before;
}

/* Blocks that live at once are different memory, all of it: how many hold what was written to both of their ends. */
static void verify(const struct order *order, struct answer *answer)
{
    unsigned char *held[HELD];
    uint64_t count = 0;

    answer->done = 0;
    for (; count < order->count && (held[count] = malloc(order->size)); count++)
        held[count][0] = held[count][order->size - 1] = (unsigned char)(count + 1);
    for (uint64_t i = 0; i < count; i++) {
        answer->done += held[i][0] == i + 1 && held[i][order->size - 1] == i + 1;
        free(held[i]);
    }
}

static SMALL_MAIN void serve(void)
{
    struct order order;
    struct answer answer = {0};

    while (recv(SMALL_SOCKET, &order, sizeof order, 0) == sizeof order) {
        if (order.what == BEGIN)
            set_threshold(order.threshold);
        else if (order.what == PAIRS)
            make_pairs(&order, &answer);
        else
            verify(&order, &answer);
        if (send(SMALL_SOCKET, &answer, sizeof answer, MSG_NOSIGNAL) != sizeof answer)
            break;
    }
    _exit(0);
}

/* ---- in the engine ---- */

static int ask(struct trial *trial, int what, uint64_t count, struct answer *answer)
{
    struct pairs *pairs = trial->state;
    const struct order order = {.what = what,
                                .touched = trial->value[TOUCH] == TOUCHED,
                                .threshold = (int)trial->value[THRESHOLD],
                                .size = (uint64_t)trial->value[SIZE],
                                .count = count};

    return small_ask(trial, &pairs->small, &order, sizeof order, answer, sizeof *answer);
}

/* The fastest of LOOKS at so many pairs: another's turn on the CPU only lengthens one. 0 or -errno. */
static int look(struct trial *trial, uint64_t count, double *ticks)
{
    struct answer answer;

    *ticks = INFINITY;
    for (int i = 0; i < LOOKS; i++) {
        const int status = ask(trial, PAIRS, count, &answer);

        if (status)
            return status;
        if (answer.done < count)
            return trial_needs(trial, "as much memory, and address space (ulimit -v)");
        *ticks = fmin(*ticks, net_ticks(trial, answer.begin, answer.end));
    }
    return 0;
}

/* The number of pairs that takes as long as a batch. 0 or -errno. */
static int calibrate(struct trial *trial, struct pairs *pairs)
{
    const double batch_ticks = BATCH_NS * 1e-9 * trial->tick_hz;
    struct answer answer;
    double ticks;
    /* The first pairs are of another kind: glibc raises its threshold then, and the heap grows. */
    int status = ask(trial, PAIRS, FIRST_PAIRS, &answer);

    if (status)
        return status;
    for (pairs->batch = 1; pairs->batch < MOST_PAIRS; pairs->batch *= 2) {
        status = look(trial, pairs->batch, &ticks);
        if (status)
            return status;
        if (ticks > batch_ticks / 2)
            break;
    }
    return 0;
}

static int setup(struct trial *trial)
{
    const int64_t size = trial->value[SIZE];
    struct pairs *pairs;
    struct answer answer;
    int status;

    if (size <= 0 || size > MAX_SIZE) {
        trial_fault(trial, "size=%" PRId64 " is not a number of bytes from 1 to 1 GiB", size);
        return -EINVAL;
    }
    if (available_bytes() < 2 * size)
        return trial_needs(trial, "twice as much free memory as a block has");
    status = threshold_allowed(trial, (int)trial->value[THRESHOLD]);
    if (status)
        return status;
    if (trial->batches > MOST_BATCHES)
        trial->batches = MOST_BATCHES;
    pairs = trial_alloc(trial, sizeof *pairs);
    if (!pairs)
        return -ENOMEM;
    status = small_start(trial, &pairs->small, serve);
    if (!status)
        status = ask(trial, BEGIN, 0, &answer);
    if (!status)
        status = calibrate(trial, pairs);
    pairs->resident_before = status ? 0 : resident_bytes_of(pairs->small.pid);
    return status;
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;
    struct pairs *pairs = trial->state;
    struct answer answer;
    double pair_ticks;

    for (uint64_t i = 0; i < count; i++) {
        const int status = ask(trial, PAIRS, pairs->batch, &answer);

        if (status)
            return status;
        if (answer.done != pairs->batch)
            return trial_fault(trial, "%" PRIu64 " of %" PRIu64 " blocks were given", answer.done, pairs->batch);
        pairs->timed += answer.done;
        pair_ticks = fmax(0, net_ticks(trial, answer.begin, answer.end)) / (double)pairs->batch;
        ticks[i] = llround(pair_ticks * PAIRS_AN_EVENT);
        if (pairs->kept < MOST_KEPT) {
            pairs->pair_faults[pairs->kept] = (double)answer.faults / (double)pairs->batch;
            pairs->pair_ticks[pairs->kept++] = pair_ticks;
        }
    }
    return (int64_t)count;
}

/* Blocks are memory of their own, and what was freed does not pile up. */
static int check(struct trial *trial)
{
    struct pairs *pairs = trial->state;
    const double size = (double)trial->value[SIZE], most = fmax(size, size * (double)pairs->timed / 4) + SPARE_BYTES;
    const double grown = resident_bytes_of(pairs->small.pid) - pairs->resident_before;
    /* Of large blocks fewer: their memory would be as much as the machine has. */
    const uint64_t held = size > (1 << 20) ? 2 : HELD;
    struct answer answer;
    const int status = ask(trial, VERIFY, held, &answer);

    if (status)
        return status;
    if (answer.done != held)
        return trial_fault(trial, "%" PRIu64 " of %" PRIu64 " blocks were memory of their own", answer.done, held);
    if (grown > most)
        return trial_fault(trial, "the process has grown by %.0f KiB: blocks were not freed", grown / 1024);
    trial->metric[PAIR_NS] = median_of(pairs->pair_ticks, pairs->kept) / trial->tick_hz * 1e9;
    /* Memory that the system takes from the process costs faults of another kind, in few batches. */
    trial->metric[FAULTS_PER_PAIR] = median_of(pairs->pair_faults, pairs->kept);
    trial->metric[GROWN_KIB] = fmax(0, grown) / 1024;
    return 0;
}

static void teardown(struct trial *trial)
{
    struct pairs *pairs = trial->state;

    if (pairs) /* setup may have come to nothing */
        small_end(&pairs->small);
}

/* Starting a small process takes 5 ms. Where a batch is a single pair, touching decides: 0.3 ms for each MiB. */
static uint64_t cost_ns(const struct trial *trial)
{
    const uint64_t mib = (uint64_t)trial->value[SIZE] >> 20, pair = 300000 * mib * (trial->value[TOUCH] == TOUCHED);

    return 5000000 + (MOST_BATCHES + 2 + 2 * LOOKS) * (pair > BATCH_NS ? pair : BATCH_NS);
}

KERNEL(size,
    .name             = "alloc/size",
    .summary          = "a process asks for a block of memory and frees it at once, a thousand times",
    .unit             = "1000 pairs",
    .threads          = { .min = 1, .max = 1 },
    .subject          = FLAG_FAULTED | FLAG_SWITCHED,
    .parameters       = {
        [SIZE]      = { .name = "size", .unit = "bytes", .summary = "of the block", .initial = 64, .quick = "64 140000",
                        .standard = "16 140000",
                        .rigorous = "16 32 64 128 256 512 1000 1032 1040 2KiB 4KiB 16KiB 64KiB 100000 130000 140000 256KiB 1MiB 4MiB 16MiB 32MiB" },
        [TOUCH]     = { .name = "touch", .summary = "whether each page is written to", .labels = "untouched touched",
                        .initial = UNTOUCHED, .quick = "untouched", .standard = "untouched", .rigorous = "*" },
        [THRESHOLD] = { .name = "threshold", .summary = "from which size on blocks come from mmap", .labels = THRESHOLD_LABELS,
                        .initial = DYNAMIC, .quick = "*", .standard = "*", .rigorous = "*" },
    },
    .metrics          = {
        [PAIR_NS]         = { "pair_ns", "ns", "of one pair: the median of batches" },
        [FAULTS_PER_PAIR] = { "faults_per_pair", "per pair", "minor faults that the system counted for the process" },
        [GROWN_KIB]       = { "grown_kib", "KiB", "resident memory that the process has more after the last batch" },
    },
    .setup            = setup,
    .events           = events,
    .events_per_batch = 1,
    .check            = check,
    .teardown         = teardown,
    .cost_ns          = cost_ns);
