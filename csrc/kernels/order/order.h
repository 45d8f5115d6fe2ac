/*
 * Two threads that keep each other out with loads and stores alone, as in textbooks. Both algorithms raise a flag and
 * then look at the other's. These are a store and a load of another place. If the load passes the store, both threads
 * go in. Shared by order/peterson.c and order/dekker.c, which define enter() and leave().
 *
 * The parameter `order` chooses the order between flag and look. The rest is the same for all:
 *   none         relaxed, in the order written. The processor may reorder it
 *   c11_acq_rel  stores release, loads acquire. Neither keeps a store before a later load, so this is not enough
 *   c11_seq_cst  all of the algorithm's accesses. This is enough
 *   others       as c11_acq_rel, with this fence between flag and look. This is enough
 * The section adds one to a counter by a load and a store. Each lost addition shows the bug.
 */
#ifndef FENCEPOST_ORDER_H
#define FENCEPOST_ORDER_H

#include <errno.h>
#include <inttypes.h>
#include <sched.h>

#include "kernel.h"

#define INLINE static inline __attribute__((always_inline))

enum { NONE, MFENCE, LOCK_ADD, DMB_ISH, FENCE_RW_RW, C11_ACQ_REL, C11_SEQ_CST, ORDERS };
#define ORDER_LABELS "none mfence lock_add dmb_ish fence_rw_rw c11_acq_rel c11_seq_cst"
#define C11_WORDS "c11_acq_rel c11_seq_cst"

#if defined(HAS_X86_64)
#define SWEEP_NATIVE "none mfence lock_add " C11_WORDS
#define NATIVE_ORDERS(X) X(NONE) X(MFENCE) X(LOCK_ADD) X(C11_ACQ_REL) X(C11_SEQ_CST)
#elif defined(HAS_AARCH64)
#define SWEEP_NATIVE "none dmb_ish " C11_WORDS
#define NATIVE_ORDERS(X) X(NONE) X(DMB_ISH) X(C11_ACQ_REL) X(C11_SEQ_CST)
#elif defined(HAS_RISCV64)
#define SWEEP_NATIVE "none fence_rw_rw " C11_WORDS
#define NATIVE_ORDERS(X) X(NONE) X(FENCE_RW_RW) X(C11_ACQ_REL) X(C11_SEQ_CST)
#else
#define SWEEP_NATIVE "none " C11_WORDS
#define NATIVE_ORDERS(X) X(NONE) X(C11_ACQ_REL) X(C11_SEQ_CST)
#endif

/* Looks in vain before a thread gives its CPU away, which it may share with the one that is inside. */
#define LOOKS_BEFORE_YIELD 1000
/* Sections between two questions whether the first thread is done. */
#define SECTIONS_A_BLOCK 16

enum { ORDER };
enum { LOST, LOST_PER_MILLION, SECTIONS };

struct order_state {
    /* Each on its own pair of lines: only the algorithm's own traffic is to be seen. */
    struct {
        _Alignas(128) uint32_t up;
    } flag[2];
    _Alignas(128) uint32_t turn;
    _Alignas(128) uint64_t count;
    struct {
        _Alignas(128) uint64_t made;
    } side[2];
};

/* Release pairs with look()'s acquire: whoever sees the flag down sees the counter. Relaxed for `none`, which is the bug. */
INLINE void put(int order, uint32_t *word, uint32_t value)
{
    if (order == NONE)
        __atomic_store_n(word, value, __ATOMIC_RELAXED);
    else if (order == C11_SEQ_CST)
        __atomic_store_n(word, value, __ATOMIC_SEQ_CST); /* one order with all looks: none of them passes it */
    else
        __atomic_store_n(word, value, __ATOMIC_RELEASE);
    __asm__ volatile("" : : : "memory"); /* in the order written: the compiler moves nothing */
}

INLINE uint32_t look(int order, const uint32_t *word)
{
    uint32_t value;

    if (order == NONE)
        value = __atomic_load_n(word, __ATOMIC_RELAXED);
    else if (order == C11_SEQ_CST)
        value = __atomic_load_n(word, __ATOMIC_SEQ_CST);
    else
        value = __atomic_load_n(word, __ATOMIC_ACQUIRE);
    __asm__ volatile("" : : : "memory");
    return value;
}

/* Between flag and look. Without it both threads may find the other's flag down. */
INLINE void flag_before_look(int order)
{
#if defined(HAS_X86_64)
    if (order == MFENCE)
        __asm__ volatile("mfence" : : : "memory"); /* SDM vol. 2 */
    else if (order == LOCK_ADD)
        __asm__ volatile("lock addl $0, -64(%%rsp)"
                         :
                         :
                         : "memory", "cc"); /* a locked no-change in the red zone: SDM vol. 3, 9.2.3 */
#elif defined(HAS_AARCH64)
    if (order == DMB_ISH)
        __asm__ volatile("dmb ish" : : : "memory"); /* Arm ARM, "Data Memory Barrier" */
#elif defined(HAS_RISCV64)
    if (order == FENCE_RW_RW)
        __asm__ volatile("fence rw, rw" : : : "memory"); /* unprivileged ISA, "Memory Ordering Instructions" */
#endif
    (void)order;
}

/* To be called once in each turn of a wait. */
INLINE void wait_a_little(uint64_t *looks)
{
    cpu_relax();
    if (++*looks % LOOKS_BEFORE_YIELD == 0)
        sched_yield();
}

INLINE void enter(int order, struct order_state *state, unsigned me);
INLINE void leave(int order, struct order_state *state, unsigned me);

INLINE void section(int order, struct order_state *state, unsigned me)
{
    enter(order, state, me);
    if (order == C11_SEQ_CST)
        state->count++; /* plain: ThreadSanitizer vouches for it */
    else
        /* Relaxed, and two operations: where both are inside, one addition is lost, and nothing else. */
        __atomic_store_n(&state->count, __atomic_load_n(&state->count, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
    leave(order, state, me);
}

/* The first thread makes the sections of the batch, the other goes on until it is done. */
#define RUN(order)                                                                                                     \
    static void run_##order(struct worker *worker, uint64_t sections)                                                  \
    {                                                                                                                  \
        struct order_state *state = worker->trial->state;                                                              \
        uint64_t made = 0;                                                                                             \
        if (worker->index == 0)                                                                                        \
            for (; made < sections; made++)                                                                            \
                section(order, state, 0);                                                                              \
        else                                                                                                           \
            do                                                                                                         \
                for (unsigned i = 0; i < SECTIONS_A_BLOCK; i++, made++)                                                \
                    section(order, state, 1);                                                                          \
            while (!leader_has_ended(worker));                                                                         \
        worker->done = made;                                                                                           \
        state->side[worker->index].made += made;                                                                       \
    }
NATIVE_ORDERS(RUN)

#define ROW(order) [order] = run_##order,
static void (*const runs[ORDERS])(struct worker *, uint64_t) = {NATIVE_ORDERS(ROW)};

static int setup(struct trial *trial)
{
    trial->run = runs[trial->value[ORDER]];
    if (!trial->run)
        return trial_needs(trial, "another architecture: this one has no such instruction");
    trial->measured = 1;
    return trial_alloc(trial, sizeof(struct order_state)) ? 0 : -ENOMEM;
}

/* Nothing is lost where the order is enough. Where it is not, losses are what there is to see, and none is asked for. */
static int check(struct trial *trial)
{
    const struct order_state *state = trial->state;
    const uint64_t made = state->side[0].made + state->side[1].made, lost = made - state->count;

    if (state->count > made)
        return trial_fault(trial, "the counter holds %" PRIu64 " after %" PRIu64 " sections", state->count, made);
#if !defined(FENCEPOST_EMULATED) /* an emulator's order is not the architecture's: see tools/selftest.sh */
    if (lost && trial->value[ORDER] != NONE && trial->value[ORDER] != C11_ACQ_REL)
        return trial_fault(trial, "FORBIDDEN: %" PRIu64 " of %" PRIu64 " additions were lost under a full fence", lost,
                           made);
#endif
    trial->metric[LOST] = (double)lost;
    trial->metric[LOST_PER_MILLION] = (double)lost / (double)made * 1e6;
    trial->metric[SECTIONS] = (double)made;
    return 0;
}

#define ORDER_ROW                                                                                                      \
    .unit = "section", .threads = {.min = 2, .max = 2}, .setup = setup, .run = run_NONE, .check = check,               \
    .batches = BATCHES,                                                                                                \
    .parameters = {[ORDER] = {.name = "order",                                                                         \
                              .summary = "what keeps the flag before the look; none is the bug",                       \
                              .labels = ORDER_LABELS,                                                                  \
                              .initial = NONE,                                                                         \
                              .quick = SWEEP_NATIVE,                                                                   \
                              .standard = SWEEP_NATIVE,                                                                \
                              .rigorous = SWEEP_NATIVE}},                                                              \
    .metrics = {[LOST] = {"lost", "additions", "lost by both threads together"},                                       \
                [LOST_PER_MILLION] = {"lost_per_million", "1e-6", "additions lost in a million sections"},             \
                [SECTIONS] = {"sections", "sections", "of both threads, in all batches"}}

/* Losses are rare: some ten in a million. So more batches than a price would need. */
#define BATCHES 80

#endif
