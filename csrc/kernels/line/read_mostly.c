/*
 * line/read_mostly: what do readers pay for one writer?
 *
 * One operation is one read by a reader. All threads but the last are readers. The last reads as well, and writes once
 * after every `reads_per_write` reads that it makes (0: never, the control). So nobody has to tell the writer when to
 * write.
 *   atomic   one word: an acquire load
 *   rwlock   pthread_rwlock_t around two words
 *   seqlock  two words between two looks at a sequence number, read again if it was odd or has changed
 * Excluded:  the team's start, and the writer's own rows.
 * Expect:    without writes as from one's own cache. The rwlock is slower, since its readers write to its line and so
 *            bounce it among themselves. With a write each time a transfer of the line per read, falling with the
 *            number of reads between writes.
 * Hazards:   the writer sets the pace, and its reads may be slower than a reader's. The metric reads_per_write_seen is
 *            the resulting ratio. glibc's rwlock prefers readers by default. Where they overlap without a pause, the
 *            writer hardly ever gets in, and the figure is that of readers among themselves.
 * Not shown: the cost for the writer, and several writers (line/contended).
 */
#define _GNU_SOURCE
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "kernels/shares.h"

enum { GUARD, READS_PER_WRITE };
enum { ATOMIC, RWLOCK, SEQLOCK };
enum { SEEN, RETRIES };

/* Of a reader, one after the other, before it gives its CPU away: longer than any write that is not interrupted. */
#define RETRIES_BEFORE_YIELD 1000
#define MOST_READS ((int64_t)1 << 40)

struct board {
    /* The data and its guard are on one line, so a read costs one transfer at most. (The rwlock is a line by itself.)
       */
    _Alignas(128) _Atomic uint64_t sequence;
    _Atomic uint64_t left, right; /* always equal for those who read properly */
    _Alignas(128) pthread_rwlock_t lock;
    uint64_t locked_left, locked_right; /* plain: that is what the lock is for */
    _Alignas(128) uint64_t reads_per_write;
    uint64_t writes, until_write; /* the writer's, in all batches */
    struct {
        _Alignas(128) uint64_t reads, retries, torn, last; /* in all batches */
    } thread[];
};

struct reading {
    uint64_t left, right;
};

/* ---- the guards: one read and one write of each ---- */

static inline struct reading read_atomic(struct board *board, uint64_t *retries)
{
    /* A: acquire, pairs with B. All that the writer did before is seen with the word. One word cannot be torn. */
    const uint64_t word = atomic_load_explicit(&board->left, memory_order_acquire);

    (void)retries;
    return (struct reading){word, word};
}

static inline void write_atomic(struct board *board, uint64_t number)
{
    atomic_store_explicit(&board->left, number, memory_order_release); /* B: release, pairs with A */
}

static inline struct reading read_rwlock(struct board *board, uint64_t *retries)
{
    struct reading reading;

    (void)retries;
    pthread_rwlock_rdlock(&board->lock);
    reading = (struct reading){board->locked_left, board->locked_right};
    pthread_rwlock_unlock(&board->lock);
    return reading;
}

static inline void write_rwlock(struct board *board, uint64_t number)
{
    pthread_rwlock_wrlock(&board->lock);
    board->locked_left = number;
    board->locked_right = number;
    pthread_rwlock_unlock(&board->lock);
}

/* The writer may be waiting for our CPU in the middle of its write. */
static __attribute__((noinline, cold)) void retry(uint64_t *retries)
{
    if (++*retries % RETRIES_BEFORE_YIELD == 0)
        sched_yield();
    else
        cpu_relax();
}

static inline struct reading read_seqlock(struct board *board, uint64_t *retries)
{
    struct reading reading;
    uint64_t before, after;

    for (;;) {
        /* C: acquire, pairs with F. An even number means that the words of that write can be read, and no older ones. */
        before = atomic_load_explicit(&board->sequence, memory_order_acquire);
        /* Relaxed: possibly torn, and then thrown away. Atomic, for they are read while being written. */
        reading.left = atomic_load_explicit(&board->left, memory_order_relaxed);
        reading.right = atomic_load_explicit(&board->right, memory_order_relaxed);
        /* D: acquire fence, pairs with E. A reader of a word of the next write sees its odd number below. */
        atomic_thread_fence(memory_order_acquire);
        after = atomic_load_explicit(&board->sequence, memory_order_relaxed);
        if (__builtin_expect(before == after && !(before & 1), 1))
            return reading;
        retry(retries);
    }
}

static inline void write_seqlock(struct board *board, uint64_t number)
{
    /* Relaxed: only this thread writes it. */
    const uint64_t sequence = atomic_load_explicit(&board->sequence, memory_order_relaxed);

    atomic_store_explicit(&board->sequence, sequence + 1, memory_order_relaxed); /* published by E */
    /* E: release fence, pairs with D. The odd number is there before any of the words. */
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&board->left, number, memory_order_relaxed);
    atomic_store_explicit(&board->right, number, memory_order_relaxed);
    atomic_store_explicit(&board->sequence, sequence + 2, memory_order_release); /* F: release, pairs with C */
}

/* ---- the loops ---- */

#define READ(guard)                                                                                                    \
    reading = read_##guard(board, &retries);                                                                           \
    torn |= reading.left ^ reading.right;

#define WRITER_STEP(guard)                                                                                             \
    READ(guard)                                                                                                        \
    if (--until_write == 0) {                                                                                          \
        write_##guard(board, ++writes);                                                                                \
        until_write = board->reads_per_write;                                                                          \
    }

/* `last`: what a reader saw last in a block never lies before what it saw last in the block before. */
#define LOOPS(guard)                                                                                                   \
    static __attribute__((noinline)) void readers_##guard(struct worker *worker, uint64_t operations)                  \
    {                                                                                                                  \
        struct board *board = worker->trial->state;                                                                    \
        const uint64_t last = board->thread[worker->index].last;                                                       \
        uint64_t retries = 0, torn = 0;                                                                                \
        struct reading reading = {last, last};                                                                         \
        MAKE_BLOCKS(worker, operations, READ(guard));                                                                  \
        board->thread[worker->index].reads += operations;                                                              \
        board->thread[worker->index].retries += retries;                                                               \
        board->thread[worker->index].torn |= torn | (reading.left < last);                                             \
        board->thread[worker->index].last = reading.left;                                                              \
    }                                                                                                                  \
    static __attribute__((noinline)) void writer_##guard(struct worker *worker, uint64_t operations)                   \
    {                                                                                                                  \
        struct board *board = worker->trial->state;                                                                    \
        uint64_t retries = 0, torn = 0, writes = board->writes, until_write = board->until_write;                      \
        struct reading reading;                                                                                        \
        MAKE_BLOCKS(worker, operations, WRITER_STEP(guard));                                                           \
        board->thread[worker->index].reads += operations;                                                              \
        board->thread[worker->index].torn |= torn;                                                                     \
        board->writes = writes;                                                                                        \
        board->until_write = until_write;                                                                              \
    }                                                                                                                  \
    static void run_##guard(struct worker *worker, uint64_t operations)                                                \
    {                                                                                                                  \
        (worker->index + 1 == worker->team_size ? writer_##guard : readers_##guard)(worker, operations);               \
    }

LOOPS(atomic)
LOOPS(rwlock)
LOOPS(seqlock)

static int setup(struct trial *trial)
{
    const int64_t reads = trial->value[READS_PER_WRITE];
    struct board *board;

    if (reads < 0 || reads > MOST_READS) {
        trial_fault(trial, "reads_per_write=%" PRId64 " is not from 0 to %" PRId64, reads, MOST_READS);
        return -EINVAL;
    }
    board = trial_alloc(trial, sizeof *board + trial->team_size * sizeof board->thread[0]);
    if (!board)
        return -ENOMEM;
    board->reads_per_write = board->until_write = reads ? (uint64_t)reads : UINT64_MAX;
    trial->granule = BLOCK;
    trial->measured = trial->team_size - 1;
    trial->run = (void (*const[])(struct worker *, uint64_t)){
        [ATOMIC] = run_atomic, [RWLOCK] = run_rwlock, [SEQLOCK] = run_seqlock}[trial->value[GUARD]];
    return -pthread_rwlock_init(&board->lock, NULL);
}

/* Nobody saw half a write or an older one after a newer one, and the last write is there. */
static int check(struct trial *trial)
{
    struct board *board = trial->state;
    const uint64_t writes = board->writes, retries = board->thread[0].retries;
    uint64_t torn = 0, left, right;

    for (unsigned i = 0; i < trial->team_size; i++)
        torn |= board->thread[i].torn;
    if (writes)
        trial->metric[SEEN] = (double)board->thread[0].reads / (double)writes;
    if (trial->value[GUARD] == SEQLOCK)
        trial->metric[RETRIES] = (double)retries / (double)board->thread[0].reads;
    /* Relaxed: all have met since. */
    left = atomic_load_explicit(&board->left, memory_order_relaxed);
    right = atomic_load_explicit(&board->right, memory_order_relaxed);
    if (trial->value[GUARD] == RWLOCK) {
        left = board->locked_left;
        right = board->locked_right;
    }
    if (torn)
        return trial_fault(trial, "a reader saw half a write, or an old one after a new one");
    if (left != writes || (trial->value[GUARD] != ATOMIC && right != writes))
        return trial_fault(trial, "%" PRIu64 " writes left %" PRIu64 " and %" PRIu64, writes, left, right);
    return 0;
}

/* A rwlock that is written often puts its threads to sleep and wakes them, seen for half of the time of such a case. */
static uint64_t cost_ns(const struct trial *trial)
{
    const int64_t reads = trial->value[READS_PER_WRITE];

    return trial->value[GUARD] == RWLOCK && reads > 0 && reads < 1000 ? 25000000 : 0; /* seen 20 and 45 ms */
}

KERNEL(read_mostly,
    .name       = "line/read_mostly",
    .summary    = "threads read data that one of them sometimes writes, guarded in one of three ways",
    .unit       = "read",
    .threads    = { .min = 2, .max = MAX_TEAM },
    .place      = PLACE_SWEEP,
    .parameters = {
        { "guard", "", "what keeps a reader from half a write", "atomic rwlock seqlock", ATOMIC, "atomic seqlock", "*", "*" },
        { "reads_per_write", "reads", "of the writer's own, between two writes; 0: no writes", NULL, 1000,
          "0 1k", "0 1 100 10k 1M", "0 1 10 100 1k 10k 100k 1M" },
    },
    .metrics    = {
        { "reads_per_write_seen", "1", "reads of the first reader for each write" },
        { "retries_per_read", "1", "looks at the sequence that a read had to begin again for" },
    },
    .setup      = setup,
    .run        = run_atomic,
    .check      = check,
    .cost_ns    = cost_ns);
