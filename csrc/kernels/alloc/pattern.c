/*
 * alloc/pattern: what does a block cost by the order in which blocks are freed, and by the library that gives it?
 *
 * One operation is 1000 blocks of one size, each allocated, written to at one byte, and freed. `live` blocks live at
 * once.
 *   at_once  each is freed before the next is allocated
 *   lifo     all are allocated, and freed from the last to the first
 *   fifo     all are allocated, and freed from the first to the last
 *   random   all are allocated, and freed in an order that was drawn
 *   steady   all live all the time, and one that is drawn is replaced by a new one
 *   handed   all are allocated by one thread, and freed by another from the first to the last (producer and consumer)
 * A small process does it, with libc's malloc, with that of another library, or with `pool`. The pool is blocks of one
 * size on a list, from one mapping. That is the least work of any allocator, and the lower bound of all others.
 * Excluded:  starting the process, a first pass (memory comes then), drawing the order. With handed also waking the
 *            other thread. Each of the two times its own part, on the same CPU and one after the other, so that no line
 *            moves between CPUs.
 * Expect:    guest of an AMD EPYC, 64 bytes, ns a block: at once glibc 19, mimalloc 18, jemalloc 11, tcmalloc 10, pool
 *            4. In the same order, 10000 blocks at random take 45, 14, 31, 23, 15, and steady 31, 16, 15, 16, 4.
 * Hazards:   a library that cannot be loaded would be libc under another name. So the process says from which file its
 *            malloc comes. From some number of blocks on caches decide, and the libraries become alike. The metric
 *            resident_kib is the whole process in memory.
 * Not shown: threads that allocate at the same time (alloc/freeze has two), blocks of different sizes, memory that goes
 *            back to the system.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>

#include "kernels/alloc/libraries.h"
#include "kernels/memory_limits.h"

enum { PATTERN, SIZE, LIVE, LIBRARY };
enum { AT_ONCE, LIFO, FIFO, SHUFFLED, STEADY, HANDED };
enum { RESIDENT_KIB };
enum { PASS, VERIFY };

#define POOL (TCMALLOC + 1)
#define MAX_SIZE 65536
#define MAX_LIVE 100000
#define BLOCKS_AN_EVENT 1000

struct order {
    int what, pattern, pool;
    uint64_t size, live;
};

struct answer {
    uint64_t begin, end, done;
    uint64_t by_other; /* blocks that the other thread has freed */
    char from[64];     /* the file of malloc */
};

struct patterns {
    struct small small;
    uint64_t passes;
};

/* ---- in the small process ---- */

static unsigned char *blocks[MAX_LIVE];
static uint32_t drawn[MAX_LIVE];

/* The pool: free blocks are a list, each begins with the address of the next. */
static void *free_blocks;

static void *pool_take(size_t size)
{
    void *block = free_blocks;

    (void)size;
    if (block)
        memcpy(&free_blocks, block, sizeof free_blocks);
    return block;
}

static void pool_give(void *block)
{
    memcpy(block, &free_blocks, sizeof free_blocks);
    free_blocks = block;
}

/* Blocks of this size and one more, from one mapping. None if there is no memory. */
static void pool_begin(size_t size, uint64_t count)
{
    const size_t bytes = size < sizeof(void *) ? sizeof(void *) : (size + 15) / 16 * 16;
    unsigned char *mapping = private_pages(bytes * (count + 1), 0);

    for (uint64_t i = count + 1; mapping && i-- > 0;)
        pool_give(mapping + i * bytes);
}

/* Which block is freed when, or replaced: a permutation, from a fixed seed. */
static void draw(uint64_t live)
{
    uint64_t state = 88172645463325252U;

    for (uint64_t i = 0; i < live; i++)
        drawn[i] = (uint32_t)i;
    for (uint64_t i = live - 1; i > 0; i--) {
        uint64_t j;
        uint32_t other;

        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        j = state % (i + 1);
        other = drawn[i];
        drawn[i] = drawn[j];
        drawn[j] = other;
    }
}

struct allocator {
    void *(*take)(size_t size);
    void (*give)(void *block);
};

static unsigned char *take(const struct allocator *allocator, size_t size)
{
    unsigned char *block = allocator->take(size);

    if (block)
        *(volatile unsigned char *)block = 1;
    USED(block);
    return block;
}

/* All blocks: how many there were. */
static uint64_t take_all(const struct allocator *allocator, const struct order *order)
{
    uint64_t count = 0;

    while (count < order->live && (blocks[count] = take(allocator, order->size)))
        count++;
    return count;
}

/* The other thread: frees what is handed to it. */
static struct {
    sem_t handed, freed;
    const struct allocator *allocator;
    uint64_t count, done, ticks;
} other;

static void *free_what_is_handed(void *unused)
{
    (void)unused;
    for (;;) {
        uint64_t begin;

        while (sem_wait(&other.handed)) /* a signal */
            ;
        begin = tick_begin();
        for (uint64_t i = 0; i < other.count; i++, other.done++)
            other.allocator->give(blocks[i]);
        other.ticks = tick_end() - begin;
        sem_post(&other.freed);
    }
    return NULL;
}

static void begin_other(const struct allocator *allocator)
{
    pthread_t thread;

    other.allocator = allocator;
    if (sem_init(&other.handed, 0, 0) || sem_init(&other.freed, 0, 0) ||
        pthread_create(&thread, NULL, free_what_is_handed, NULL))
        _exit(SMALL_NOT_BEGUN);
}

/* Has the other thread free so many blocks: in how many ticks. */
static uint64_t hand_over(uint64_t count)
{
    other.count = count;
    sem_post(&other.handed);
    while (sem_wait(&other.freed))
        ;
    return other.ticks;
}

static void pass(const struct allocator *allocator, const struct order *order, struct answer *answer)
{
    const uint64_t live = order->live;
    uint64_t done = 0;

    answer->begin = tick_begin();
    if (order->pattern == AT_ONCE)
        for (unsigned char *block; done < live && (block = take(allocator, order->size)); done++)
            allocator->give(block);
    else if (order->pattern == STEADY)
        for (unsigned char *block; done < live; done++) {
            allocator->give(blocks[drawn[done]]);
            block = take(allocator, order->size);
            if (!block)
                _exit(SMALL_NOT_BEGUN); /* what was there a moment ago is gone: no figure can come of this */
            blocks[drawn[done]] = block;
        }
    else
        done = take_all(allocator, order);
    for (uint64_t i = 0; order->pattern > AT_ONCE && order->pattern < STEADY && i < done; i++)
        allocator->give(blocks[order->pattern == LIFO   ? done - 1 - i
                               : order->pattern == FIFO ? i
                                                        : (done == live ? drawn[i] : i)]);
    answer->end = tick_end();
    if (order->pattern == HANDED)
        answer->end += hand_over(done);
    answer->done = done;
    answer->by_other = other.done;
}

/* Blocks that live at once share no memory. This counts those that still have what they were filled with, one after the other. */
static void verify(const struct allocator *allocator, const struct order *order, struct answer *answer)
{
    const uint64_t count = order->pattern == STEADY ? order->live : take_all(allocator, order);
    const size_t last = order->size - 1;

    answer->done = 0;
    for (uint64_t i = 0; i < count; i++)
        memset(blocks[i], (int)(i % 255), order->size);
    for (uint64_t i = 0; i < count; i++)
        answer->done += blocks[i][0] == i % 255 && blocks[i][last / 2] == i % 255 && blocks[i][last] == i % 255;
    for (uint64_t i = 0; i < count; i++)
        allocator->give(blocks[i]);
}

static SMALL_MAIN void serve(void)
{
    const struct allocator library = {malloc, free}, pool = {pool_take, pool_give};
    struct answer answer = {0};
    struct order order;
    int begun = 0;

    file_of_malloc(answer.from, sizeof answer.from);
    while (recv(SMALL_SOCKET, &order, sizeof order, 0) == sizeof order) {
        const struct allocator *allocator = order.pool ? &pool : &library;

        if (!begun) {
            draw(order.live);
            if (order.pool)
                pool_begin(order.size, order.live);
            if (order.pattern == HANDED)
                begin_other(allocator);
            if (order.pattern == STEADY && take_all(allocator, &order) < order.live)
                _exit(SMALL_NOT_BEGUN);
        }
        begun = 1;
        if (order.what == PASS)
            pass(allocator, &order, &answer);
        else
            verify(allocator, &order, &answer);
        if (send(SMALL_SOCKET, &answer, sizeof answer, MSG_NOSIGNAL) != sizeof answer)
            break;
    }
    _exit(0);
}

/* ---- in the engine ---- */

static int ask(struct trial *trial, int what, struct answer *answer)
{
    struct patterns *patterns = trial->state;
    const struct order order = {.what = what,
                                .pattern = (int)trial->value[PATTERN],
                                .pool = trial->value[LIBRARY] == POOL,
                                .size = (uint64_t)trial->value[SIZE],
                                .live = (uint64_t)trial->value[LIVE]};

    patterns->passes += what == PASS;
    return small_ask(trial, &patterns->small, &order, sizeof order, answer, sizeof *answer);
}

static int setup(struct trial *trial)
{
    const int64_t size = trial->value[SIZE], live = trial->value[LIVE];
    const int library = trial->value[LIBRARY] == POOL ? LIBC : (int)trial->value[LIBRARY];
    struct patterns *patterns;
    struct answer answer;
    int status;

    if (size <= 0 || size > MAX_SIZE || live <= 0 || live > MAX_LIVE) {
        trial_fault(trial, "size=%" PRId64 " is not from 1 to %d bytes, or live=%" PRId64 " not from 1 to %d", size,
                    MAX_SIZE, live, MAX_LIVE);
        return -EINVAL;
    }
    /* Twice: what an allocator keeps beside its blocks. */
    if (available_bytes() < 2 * size * live + (64 << 20))
        return trial_needs(trial, "twice as much free memory as all blocks have");
    if (trial->batches > MOST_BATCHES)
        trial->batches = MOST_BATCHES;
    patterns = trial_alloc(trial, sizeof *patterns);
    if (!patterns)
        return -ENOMEM;
    status = start_with_library(trial, &patterns->small, serve, library);
    for (int i = 0; i < 2 && !status; i++)
        status = ask(trial, PASS, &answer);
    if (!status && answer.done < (uint64_t)live)
        return trial_needs(trial, "as much memory, and address space (ulimit -v)");
    return status ? status : library_proven(trial, answer.from, library);
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;
    const double live = (double)trial->value[LIVE];

    for (uint64_t i = 0; i < count; i++) {
        struct answer answer;
        const int status = ask(trial, PASS, &answer);

        if (status)
            return status;
        if ((double)answer.done != live)
            return trial_fault(trial, "%" PRIu64 " of %.0f blocks were given", answer.done, live);
        ticks[i] = llround(fmax(0, net_ticks(trial, answer.begin, answer.end)) * BLOCKS_AN_EVENT / live);
    }
    return (int64_t)count;
}

static int check(struct trial *trial)
{
    struct patterns *patterns = trial->state;
    struct answer answer;
    const int status = ask(trial, VERIFY, &answer);

    if (status)
        return status;
    /* The answer to the last pass is the one that counts here: verifying leaves it as it was. */
    if (trial->value[PATTERN] == HANDED && answer.by_other != patterns->passes * (uint64_t)trial->value[LIVE])
        return trial_fault(trial, "the other thread freed %" PRIu64 " blocks of %" PRIu64, answer.by_other,
                           patterns->passes * (uint64_t)trial->value[LIVE]);
    trial->metric[RESIDENT_KIB] = resident_bytes_of(patterns->small.pid) / 1024;
    trial_count(trial, 0, (int64_t)answer.done, trial->value[LIVE]);
    return 0;
}

static void teardown(struct trial *trial)
{
    struct patterns *patterns = trial->state;

    if (patterns)
        small_end(&patterns->small);
}

static uint64_t cost_ns(const struct trial *trial)
{
    return 6000000 + (MOST_BATCHES + 4) * (20000 + (uint64_t)trial->value[LIVE] * 60);
}

KERNEL(pattern,
    .name             = "alloc/pattern",
    .summary          = "blocks of one size are allocated and freed in some order, by libc, another library, or a pool",
    .unit             = "1000 blocks",
    .threads          = { .min = 1, .max = 1 },
    .subject          = FLAG_FAULTED | FLAG_SWITCHED,
    .parameters       = {
        [PATTERN] = { .name = "pattern", .summary = "order in which they are freed", .labels = "at_once lifo fifo random steady handed",
                      .initial = AT_ONCE, .quick = "at_once random", .standard = "fifo handed", .rigorous = "*" },
        [SIZE]    = { .name = "size", .unit = "bytes", .summary = "of each block", .initial = 64, .quick = "64", .standard = "64",
                      .rigorous = "16 64 256 1000 4096" },
        [LIVE]    = { .name = "live", .unit = "blocks", .summary = "that live at once", .initial = 1000, .quick = "1000", .standard = "1000",
                      .rigorous = "1000 10000" },
        [LIBRARY] = { .name = "library", .summary = "whose malloc", .labels = LIBRARY_LABELS " pool", .initial = LIBC,
                      .quick = "libc pool", .standard = "libc mimalloc pool", .rigorous = "*" },
    },
    .metrics          = { [RESIDENT_KIB] = { "resident_kib", "KiB", "of the process with its blocks" } },
    .counts           = { { "own", "blocks", "blocks that lived at once and were memory of their own" } },
    .flags            = KERNEL_TWIN,
    .setup            = setup,
    .events           = events,
    .events_per_batch = 1,
    .check            = check,
    .teardown         = teardown,
    .cost_ns          = cost_ns);
