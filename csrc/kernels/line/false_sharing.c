/*
 * line/false_sharing, line/alone: what do two CPUs pay that share nothing but a cache line?
 *
 * One operation is one access of a thread to its own word. The two words lie `stride` bytes apart, the first at the
 * start of a page. If both fall into one line, each access needs the line that the other CPU has just taken.
 *   atomic_add     a relaxed fetch_add: waits for the line each time
 *   plain_add      load, add, store: the store buffer hides most of the wait
 *   store          a running number, stored
 *   reader_writer  worker 0 loads its word, worker 1 stores to its own. The figure is the reader's
 * line/alone is the control, the same loops with nobody beside them (`load`: the reader). Strides of 512 and more are
 * another control.
 * Excluded:  the team's start. Worker 1 works for as long as worker 0's window lasts, whatever each gets done.
 * Expect:    atomic_add 30-34 ns below 64 bytes, from there on as alone, 6 (reference guest: x 4.8). plain_add and
 *            store hardly differ (0.54 against 0.49 ns), so they cannot show false sharing. On Intel cores the
 *            adjacent-line prefetcher may leave a trace at 64 that is gone at 128. So pad to 128.
 * Hazards:   lines of 128 bytes (some Arm, POWER) end the sharing at 128.
 * Not shown: more than two CPUs (line/contended), and how the two words relate to each other (the topic litmus).
 */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>

#include "kernels/shares.h"

enum { OP, STRIDE }; /* of line/alone: only the first */
enum { ATOMIC_ADD, PLAIN_ADD, STORE, READER_WRITER };

#define LARGEST_STRIDE 4096
/* The value that the reader finds and nobody changes. It is odd, so a sum of n of them is 0 for no small n. */
#define UNCHANGED UINT64_C(0x9e3779b97f4a7c15)

struct field {
    unsigned char words[LARGEST_STRIDE + 128];
    struct {
        _Alignas(128) _Atomic uint64_t *word;
        uint64_t made, sum; /* in all batches */
    } side[2];
};

/* All relaxed: the words carry nothing but themselves, and each has one writer. The price of the line is the question. */
#define LOOP(name, step)                                                                                               \
    static void name(struct worker *worker, uint64_t operations)                                                       \
    {                                                                                                                  \
        struct field *field = worker->trial->state;                                                                    \
        _Atomic uint64_t *word = field->side[worker->index].word;                                                      \
        uint64_t number = field->side[worker->index].made, sum = 0;                                                    \
        (void)number;                                                                                                  \
        MAKE_BLOCKS(worker, operations, step);                                                                         \
        field->side[worker->index].made += operations;                                                                 \
        field->side[worker->index].sum += sum;                                                                         \
    }

LOOP(atomic_add, atomic_fetch_add_explicit(word, 1, memory_order_relaxed);)
LOOP(plain_add,
     atomic_store_explicit(word, atomic_load_explicit(word, memory_order_relaxed) + 1, memory_order_relaxed);)
LOOP(store, atomic_store_explicit(word, ++number, memory_order_relaxed);)
LOOP(load, sum += atomic_load_explicit(word, memory_order_relaxed);)

static void reader_writer(struct worker *worker, uint64_t operations)
{
    (worker->index == 0 ? load : store)(worker, operations);
}

static int begin(struct trial *trial, uint64_t stride)
{
    struct field *field = trial_alloc(trial, sizeof *field);

    if (!field)
        return -ENOMEM;
    for (unsigned i = 0; i < 2; i++)
        field->side[i].word = (_Atomic uint64_t *)(void *)(field->words + i * stride);
    if (trial->value[OP] == READER_WRITER) {
        atomic_init(field->side[0].word, UNCHANGED);
        trial->measured = 1;
    }
    trial->granule = BLOCK;
    trial->run = (void (*const[])(struct worker *, uint64_t)){
        [ATOMIC_ADD] = atomic_add,
        [PLAIN_ADD] = plain_add,
        [STORE] = store,
        [READER_WRITER] = trial->team_size == 2 ? reader_writer : load,
    }[trial->value[OP]];
    return 0;
}

static int setup_sharing(struct trial *trial)
{
    const int64_t stride = trial->value[STRIDE];

    if (stride < 8 || stride > LARGEST_STRIDE || stride % 8) {
        trial_fault(trial, "stride=%" PRId64 " is not a multiple of 8 from 8 to %d", stride, LARGEST_STRIDE);
        return -EINVAL; /* a word that straddles two lines is another matter: fence/split_lock */
    }
    return begin(trial, (uint64_t)stride);
}

static int setup_alone(struct trial *trial)
{
    return begin(trial, LARGEST_STRIDE);
}

/* No access is lost: words are private, however close. The reader found what nobody changed. */
static int check(struct trial *trial)
{
    const struct field *field = trial->state;

    for (unsigned i = 0; i < trial->team_size; i++) {
        const int reads = trial->value[OP] == READER_WRITER && i == 0;
        const uint64_t expected = reads ? UNCHANGED : field->side[i].made;
        const uint64_t word = atomic_load_explicit(field->side[i].word, memory_order_relaxed); /* all have met since */

        if (word != expected)
            return trial_fault(trial, "the word of thread %u holds %" PRIu64 " instead of %" PRIu64, i, word, expected);
        if (reads && field->side[i].sum != UNCHANGED * field->side[i].made)
            return trial_fault(trial, "%" PRIu64 " loads did not all find the word as it is", field->side[i].made);
    }
    return 0;
}

#define STRIDE_SUMMARY "from the one word to the other"

KERNEL(sharing,
    .name       = "line/false_sharing",
    .summary    = "two threads each access a word of their own, a set distance apart",
    .unit       = "access",
    .threads    = { .min = 2, .max = 2 },
    .parameters = {
        { "op", "", "what each does to its word", "atomic_add plain_add store reader_writer", ATOMIC_ADD, NULL, "*", "*" },
        { "stride", "bytes", STRIDE_SUMMARY, NULL, 8, "8 56 64 512", "8 32 56 64 128 512", "8 16 32 56 64 72 128 192 256 512" },
    },
    .setup      = setup_sharing,
    .run        = atomic_add,
    .check      = check);

KERNEL(alone,
    .name       = "line/alone",
    .summary    = "one thread makes the accesses of line/false_sharing with nobody beside it, as a control",
    .unit       = "access",
    .threads    = { .min = 1, .max = 1 },
    .parameters = { { "op", "", "what is done to the word", "atomic_add plain_add store load", ATOMIC_ADD, NULL, "*", "*" } },
    .setup      = setup_alone,
    .run        = atomic_add,
    .check      = check);
