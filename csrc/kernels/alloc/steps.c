/*
 * alloc/steps: at which sizes does malloc change its way?
 *
 * One operation is one block, and nothing is timed. The sizes are found by halving an interval. The search looks at the
 * behaviour of malloc, and uses no knowledge of any library.
 *   cached_to  up to this size a freed block is handed out again as it is. Above, blocks that are freed side by side
 *              become one
 *   heap_to    up to this size blocks lie in the heap, which brk(2) makes. Above, each comes from mmap(2)
 * Each size is looked at in a separate process, a fork of one whose allocator nobody has used. Otherwise the traces of
 * one size would change the next. The result is tested again: 64 blocks of the size heap_to must lie in the heap, and
 * 64 of one byte more must not.
 * Excluded:  times (alloc/size). The free rest of a fresh heap. As long as it lasts, glibc takes larger blocks from
 *            there too. So most of it is used up first.
 * Expect:    glibc 2.36 on 64 bits: cached_to 1032 bytes. The limit heap_to is 131048 fixed, and 32 MiB less some bytes
 *            dynamic, where each freed block raises the threshold. In musl and mimalloc no block is in the heap.
 * Hazards:   limits of address space and of data segments (ulimit -v, -d) move heap_to. One page of each block is
 *            touched at most.
 * Not shown: heaps of other threads, which come from mmap in any case, calloc and realloc.
 */
#define _GNU_SOURCE
#include "kernels/alloc/server.h"

#include <sys/wait.h>

enum { CACHED_TO, HEAP_TO, SMALL_IN_HEAP_PCT, LARGE_IN_HEAP_PCT };
enum { BELOW, ABOVE };
enum { BEGIN, CACHED, HEAP };

#define BLOCKS 64
/* So many tell on which side of the step a size lies, while the step is looked for. */
#define FEW_BLOCKS 8
/* A cache keeps a few blocks of a size. With this number some are left over. */
#define SIDE_BY_SIDE 16
/* Of the 132 KiB that glibc's heap begins with. */
#define REST_BYTES 100000
#define SMALL_BYTES 1000
#define LARGE_BYTES ((uint64_t)1 << 20)
#define LEAST 16
#define MOST ((uint64_t)64 << 20)
/* No library keeps larger blocks as they are for a thread: glibc's limit is 4 MiB at most, by a tunable. */
#define MOST_CACHED ((uint64_t)4 << 20)
/* Where this process's heap begins, in /proc/self/stat. The name of the program, in brackets, is field 2. */
#define START_BRK_FIELD 47

struct order {
    int what, threshold, blocks;
    uint64_t size;
};

struct answer {
    int64_t found; /* blocks in the heap, or whether a block was handed out again */
    uint64_t given;
    int failed; /* no process, or one that died */
};

struct steps {
    struct small small;
};

/* ---- in the small process ---- */

static uintptr_t heap_begin(void)
{
    char text[PROCFS_BYTES];
    const char *at = procfs_text("/proc/self/stat", text, sizeof text) < 0 ? NULL : strrchr(text, ')');

    for (int field = 2; at && field < START_BRK_FIELD; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at, NULL, 10) : 0;
}

static int in_heap(uintptr_t begin, const void *block)
{
    return begin && (uintptr_t)block >= begin && (uintptr_t)block < (uintptr_t)sbrk(0);
}

/* Blocks of which each is freed before the next: how many lie in the heap. */
static void look_at_heap(uint64_t size, int blocks, struct answer *answer)
{
    const uintptr_t begin = heap_begin();

    /* The first frees may raise the threshold: what is as usual comes after them. */
    for (int i = -2; i < blocks; i++) {
        unsigned char *block = malloc(size);

        if (block && i >= 0) {
            answer->found += in_heap(begin, block);
            answer->given++;
        }
        if (block)
            *(volatile unsigned char *)block = 1;
        USED(block);
        free(block);
    }
}

/* Whether a block that was freed among others is handed out again as it was. If all became one block, it begins at the lowest of them. */
static void look_at_cache(uint64_t size, struct answer *answer)
{
    unsigned char *blocks[SIDE_BY_SIDE], *again, *lowest = NULL;
    const uintptr_t begin = heap_begin();

    for (int i = 0; i < SIDE_BY_SIDE; i++) {
        blocks[i] = malloc(size);
        answer->given += blocks[i] != NULL;
        lowest = !lowest || blocks[i] < lowest ? blocks[i] : lowest;
        USED(blocks[i]);
    }
    for (int i = 0; i < SIDE_BY_SIDE; i++)
        free(blocks[i]);
    again = malloc(size);
    for (int i = 0; i < SIDE_BY_SIDE; i++)
        answer->found |= again == blocks[i] && again != lowest && in_heap(begin, again);
    USED(again);
    free(again);
}

/* A fork of this process does it and leaves its answer in memory that both share. */
static void look_in_a_fork(const struct order *order, struct answer *answer)
{
    int status = 0;
    pid_t child;

    *answer = (struct answer){0};
    child = fork();
    if (child == 0) {
        unsigned char *rest = malloc(REST_BYTES);

        USED(rest);
        if (order->what == CACHED)
            look_at_cache(order->size, answer);
        else
            look_at_heap(order->size, order->blocks, answer);
        _exit(0);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    answer->failed = child < 0 || status != 0;
}

static SMALL_MAIN void serve(void)
{
    struct answer *answer = mmap(NULL, sizeof *answer, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct order order;

    if (answer == MAP_FAILED)
        _exit(SMALL_NOT_BEGUN);
    while (recv(SMALL_SOCKET, &order, sizeof order, 0) == sizeof order) {
        if (order.what == BEGIN)
            set_threshold(order.threshold);
        else
            look_in_a_fork(&order, answer);
        if (send(SMALL_SOCKET, answer, sizeof *answer, MSG_NOSIGNAL) != sizeof *answer)
            break;
    }
    _exit(0);
}

/* ---- in the engine ---- */

static int ask(struct trial *trial, int what, uint64_t size, int blocks, struct answer *answer)
{
    struct steps *steps = trial->state;
    const struct order order = {.what = what, .threshold = (int)trial->value[0], .blocks = blocks, .size = size};
    const int status = small_ask(trial, &steps->small, &order, sizeof order, answer, sizeof *answer);

    if (!status && answer->failed)
        return trial_fault(trial, "the process that was to allocate %" PRIu64 " bytes died", size);
    if (!status && what != BEGIN && answer->given < (uint64_t)blocks)
        return trial_needs(trial, "1 GiB of address space (ulimit -v)");
    return status;
}

static int setup(struct trial *trial)
{
    struct steps *steps = trial_alloc(trial, sizeof *steps);
    struct answer answer;
    int status = threshold_allowed(trial, (int)trial->value[0]);

    if (!steps)
        return -ENOMEM;
    if (!status)
        status = small_start(trial, &steps->small, serve);
    return status ? status : ask(trial, BEGIN, 0, 0, &answer);
}

/* The largest size for which `what` is true. 0 if there is none. */
static int find_step(struct trial *trial, int what, int64_t wanted, uint64_t *largest)
{
    uint64_t low = LEAST - 1, high = (what == CACHED ? MOST_CACHED : MOST) + 1;

    while (high - low > 1) {
        const uint64_t middle = low + (high - low) / 2;
        struct answer answer;
        const int status = ask(trial, what, middle, what == HEAP ? FEW_BLOCKS : SIDE_BY_SIDE, &answer);

        if (status)
            return status;
        if (answer.found >= wanted)
            low = middle;
        else
            high = middle;
    }
    *largest = low < LEAST ? 0 : low;
    return 0;
}

static int work(struct worker *worker)
{
    struct trial *trial = worker->trial;
    uint64_t cached_to = 0, heap_to = 0;
    int status = find_step(trial, CACHED, 1, &cached_to);

    if (!status)
        status = find_step(trial, HEAP, FEW_BLOCKS, &heap_to);
    trial->metric[CACHED_TO] = cached_to ? (double)cached_to : NAN;
    trial->metric[HEAP_TO] = heap_to ? (double)heap_to : NAN;
    return status;
}

static int check(struct trial *trial)
{
    const double heap_to = trial->metric[HEAP_TO];
    /* Where nothing lies in the heap, neither size does. */
    const uint64_t step = isnan(heap_to) ? SMALL_BYTES : (uint64_t)heap_to;
    const uint64_t sizes[] = {step, SMALL_BYTES, LARGE_BYTES, step + 1};
    struct answer answers[4];

    for (int i = 0; i < 4; i++) {
        const int status = ask(trial, HEAP, sizes[i], BLOCKS, &answers[i]);

        if (status)
            return status;
    }
    trial->metric[SMALL_IN_HEAP_PCT] = 100.0 * (double)answers[1].found / BLOCKS;
    trial->metric[LARGE_IN_HEAP_PCT] = 100.0 * (double)answers[2].found / BLOCKS;
    trial_count(trial, BELOW, answers[0].found, isnan(heap_to) ? 0 : BLOCKS);
    trial_count(trial, ABOVE, answers[3].found, 0);
    return 0;
}

static void teardown(struct trial *trial)
{
    struct steps *steps = trial->state;

    if (steps)
        small_end(&steps->small);
}

static uint64_t cost_ns(const struct trial *trial)
{
    (void)trial;
    return 5000000 + 60 * UINT64_C(500000);
}

KERNEL(steps,
    .name     = "alloc/steps",
    .summary  = "the sizes at which malloc changes its way: the end of its cache, and the end of its heap",
    .unit     = "block",
    .threads  = { .min = 1, .max = 1 },
    .parameters = { { .name = "threshold", .summary = "from which size on blocks come from mmap", .labels = THRESHOLD_LABELS,
                      .initial = DYNAMIC, .quick = "*", .standard = "*", .rigorous = "*" } },
    .metrics  = { [CACHED_TO]         = { "cached_to", "bytes", "largest block that is handed out again as it was freed" },
                  [HEAP_TO]           = { "heap_to", "bytes", "largest block in the heap" },
                  [SMALL_IN_HEAP_PCT] = { "small_in_heap_pct", "%", "blocks of 1000 bytes that lie in the heap" },
                  [LARGE_IN_HEAP_PCT] = { "large_in_heap_pct", "%", "blocks of 1 MiB that do" } },
    .counts   = { [BELOW] = { "below", "blocks", "blocks of the size heap_to that lie in the heap, in another process" },
                  [ABOVE] = { "above", "blocks", "blocks of one byte more that do" } },
    .setup    = setup,
    .work     = work,
    .check    = check,
    .teardown = teardown,
    .cost_ns  = cost_ns);
