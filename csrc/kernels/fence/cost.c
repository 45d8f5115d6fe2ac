/*
 * fence/cost: what does a fence, a locked instruction or a C11 order cost, and what does the cost depend on?
 *
 * One operation is one turn of a context with one fence in it. A fence has no fixed price, since it waits for
 * everything that is under way. So the same instruction is put into five contexts. The context without a fence ("none")
 * is the control to subtract.
 *   bare        nothing else
 *   store_hit   after a store to a line that is ours: the store buffer must drain
 *   load_miss   after a load from a random line of 64 MiB: the load must come back
 *   store_miss  after a store to such a line: its ownership must be fetched
 *   chain       between blocks of 10 dependent multiplications: how much of the fence hides behind them
 * Excluded:  building the 64 MiB, which all cases of a process share.
 * Expect:    bare: mfence 38 cycles, lock add 18, lfence 12, sfence 6. After a hit store: mfence 45, lock add 25. In
 *            the chain a locked add hides almost completely and mfence not at all (Intel family 6 model 207). AMD and
 *            Arm differ, and that is the question.
 * Hazards:   independent chains of neighbouring turns would overlap, so the chain goes through one register from turn
 *            to turn. cmpxchg_ok includes the load of the value that it expects. A last cache of 64 MiB or more answers
 *            the "misses".
 * Not shown: a line that another CPU wants (the topic line), nor whether a fence is needed (the topic litmus).
 */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "kernels/random.h"

enum { FENCE, CONTEXT };
enum { FOOTPRINT };
enum { BARE, STORE_HIT, LOAD_MISS, STORE_MISS, CHAIN };

#define FIELD_BYTES ((uint64_t)64 << 20)
/* The top 20 bits of the generator choose one of 2^20 lines of 64 bytes. */
#define FIELD_SHIFT 44
#define LINE_WORDS 8
/* Knuth's MMIX generator: its high bits look random to a prefetcher. */
#define LCG_FACTOR 6364136223846793005u
#define LCG_STEP 1442695040888963407u
/* Odd, so that the chain of products never collapses, and its value after n turns can be recomputed. */
#define CHAIN_FACTOR 0x9e3779b97f4a7c15u
#define CHAIN_LENGTH 10

struct yard {
    _Alignas(128) _Atomic uint64_t cell; /* what the locked operations work on */
    _Alignas(128) uint64_t stored;       /* what the context's store hits */
    _Alignas(128) uint64_t turns, random, chain;
};

/* Mapped at first use and kept for the process: zeroing it in each of some thirty cases would cost more than all of them. */
static uint64_t *field;

typedef _Atomic uint64_t cell_t;

/* ---- the fences: each a function of the cell it may use ---- */

#define NO_FENCE(id)                                                                                                   \
    static inline __attribute__((always_inline)) void fence_##id(cell_t *cell)                                         \
    {                                                                                                                  \
        (void)cell;                                                                                                    \
    }
#define ASM_FENCE(id, text)                                                                                            \
    static inline __attribute__((always_inline)) void fence_##id(cell_t *cell)                                         \
    {                                                                                                                  \
        (void)cell;                                                                                                    \
        __asm__ volatile(text : : : "memory", "cc");                                                                   \
    }
#define C11_FENCE(id, order)                                                                                           \
    static inline __attribute__((always_inline)) void fence_##id(cell_t *cell)                                         \
    {                                                                                                                  \
        (void)cell;                                                                                                    \
        atomic_thread_fence(order); /* alone: nobody pairs with it, its price is the question */                       \
    }

NO_FENCE(none)
ASM_FENCE(compiler, "")
C11_FENCE(c11_acquire, memory_order_acquire)
C11_FENCE(c11_release, memory_order_release)
C11_FENCE(c11_seq_cst, memory_order_seq_cst)

static inline __attribute__((always_inline)) void fence_c11_xchg(cell_t *cell)
{
    atomic_exchange_explicit(cell, 1, memory_order_seq_cst); /* alone, as above */
}

static inline __attribute__((always_inline)) void fence_c11_fetch_add(cell_t *cell)
{
    atomic_fetch_add_explicit(
        cell, 1, memory_order_relaxed); /* relaxed: the price of atomicity without order, where there is a difference */
}

#if defined(HAS_X86_64)

ASM_FENCE(sfence, "sfence") /* SDM vol. 2: orders stores */
ASM_FENCE(lfence, "lfence") /* waits for all earlier instructions to complete */
ASM_FENCE(mfence, "mfence")
/*
 * A locked instruction on the stack's own line that changes nothing, as compilers and kernels use it. 64 bytes down is
 * inside the red zone, and adding 0 harms nothing.
 */
ASM_FENCE(lock_add, "lock addl $0, -64(%%rsp)")
ASM_FENCE(serialize, ".byte 0x0f, 0x01, 0xe8") /* SERIALIZE, spelt out for assemblers that do not know it */

static inline __attribute__((always_inline)) void fence_xchg(cell_t *cell)
{
    uint64_t value = 1;

    __asm__ volatile("xchg %0, %1" : "+r"(value), "+m"(*cell) : : "memory"); /* locked without a prefix */
}

static inline __attribute__((always_inline)) void fence_lock_inc(cell_t *cell)
{
    __asm__ volatile("lock incq %0" : "+m"(*cell) : : "memory", "cc");
}

static inline __attribute__((always_inline)) void fence_lock_xadd(cell_t *cell)
{
    uint64_t value = 1;

    __asm__ volatile("lock xaddq %0, %1" : "+r"(value), "+m"(*cell) : : "memory", "cc");
}

static inline __attribute__((always_inline)) void fence_cmpxchg_ok(cell_t *cell)
{
    uint64_t expected = atomic_load_explicit(cell, memory_order_relaxed); /* nobody else writes it */
    const uint64_t desired = expected + 1;

    __asm__ volatile("lock cmpxchgq %2, %1" : "+a"(expected), "+m"(*cell) : "r"(desired) : "memory", "cc");
}

static inline __attribute__((always_inline)) void fence_cmpxchg_fail(cell_t *cell)
{
    uint64_t expected = UINT64_MAX; /* the cell counts up from 0 and never gets there */

    __asm__ volatile("lock cmpxchgq %2, %1" : "+a"(expected), "+m"(*cell) : "r"((uint64_t)0) : "memory", "cc");
}

#define ARCH_FENCES(X)                                                                                                 \
    X(sfence)                                                                                                          \
    X(lfence) X(mfence) X(lock_add) X(xchg) X(lock_inc) X(lock_xadd) X(cmpxchg_ok) X(cmpxchg_fail) X(serialize)
#define MULTIPLY "imul %[factor], %[x]\n\t"

#elif defined(HAS_AARCH64)

ASM_FENCE(dmb_ish, "dmb ish") /* Arm ARM, "Data Memory Barrier" */
ASM_FENCE(dmb_ishld, "dmb ishld")
ASM_FENCE(dmb_ishst, "dmb ishst")
ASM_FENCE(dsb_ish, "dsb ish")
ASM_FENCE(isb, "isb")

static inline __attribute__((always_inline)) void fence_ldar(cell_t *cell)
{
    uint64_t value;

    __asm__ volatile("ldar %0, %1" : "=r"(value) : "Q"(*cell) : "memory");
}

static inline __attribute__((always_inline)) void fence_stlr(cell_t *cell)
{
    __asm__ volatile("stlr xzr, %0" : "=Q"(*cell) : : "memory");
}

#define ARCH_FENCES(X) X(dmb_ish) X(dmb_ishld) X(dmb_ishst) X(dsb_ish) X(isb) X(ldar) X(stlr)
#define MULTIPLY "mul %[x], %[x], %[factor]\n\t"

#elif defined(HAS_RISCV64)

ASM_FENCE(fence_rw_rw, "fence rw, rw") /* unprivileged ISA, "Memory Ordering Instructions" */
ASM_FENCE(fence_r_r, "fence r, r")
ASM_FENCE(fence_w_w, "fence w, w")
ASM_FENCE(fence_tso, "fence.tso")

#define ARCH_FENCES(X) X(fence_rw_rw) X(fence_r_r) X(fence_w_w) X(fence_tso)
#define MULTIPLY "mul %[x], %[x], %[factor]\n\t"

#else
#define ARCH_FENCES(X)
#endif

#define PORTABLE_FENCES(X) X(none) X(compiler) X(c11_acquire) X(c11_release) X(c11_seq_cst) X(c11_xchg) X(c11_fetch_add)

/* ---- the contexts ---- */

static inline uint64_t random_line(uint64_t *state)
{
    *state = *state * LCG_FACTOR + LCG_STEP;
    return (*state >> FIELD_SHIFT) * LINE_WORDS;
}

#if defined(MULTIPLY)
/* One asm, so that the compiler can put nothing between the multiplications, and the product goes on to the next turn. */
#define MULTIPLY_BLOCK(x)                                                                                              \
    __asm__ volatile(".rept 10\n\t" MULTIPLY ".endr" : [x] "+r"(x) : [factor] "r"((uint64_t)CHAIN_FACTOR) : "cc")
#else
#define MULTIPLY_BLOCK(x)                                                                                              \
    do {                                                                                                               \
        for (int link = 0; link < CHAIN_LENGTH; link++) {                                                              \
            x *= CHAIN_FACTOR;                                                                                         \
            OPAQUE(x);                                                                                                 \
        }                                                                                                              \
    } while (0)
#endif

/*
 * The contexts' own accesses. They are plain, since there is one thread, and each keeps its turn. (Of a relaxed atomic store gcc makes an
 * amoswap on RISC-V.)
 */
static inline void store(uint64_t *to, uint64_t value)
{
    *to = value;
    __asm__ volatile("" : : "m"(*to));
}

static inline uint64_t load(const uint64_t *from)
{
    uint64_t value = *from;

    OPAQUE(value);
    return value;
}

#define LOOPS(id)                                                                                                      \
    static void bare_##id(struct worker *worker, uint64_t turns)                                                       \
    {                                                                                                                  \
        struct yard *yard = worker->trial->state;                                                                      \
        for (uint64_t i = 0; i < turns; i++) {                                                                         \
            __asm__ volatile(""); /* keeps the empty loop a loop */                                                    \
            fence_##id(&yard->cell);                                                                                   \
        }                                                                                                              \
        yard->turns += turns;                                                                                          \
    }                                                                                                                  \
    static void store_hit_##id(struct worker *worker, uint64_t turns)                                                  \
    {                                                                                                                  \
        struct yard *yard = worker->trial->state;                                                                      \
        const uint64_t first = yard->turns;                                                                            \
        for (uint64_t i = 1; i <= turns; i++) {                                                                        \
            store(&yard->stored, first + i);                                                                           \
            fence_##id(&yard->cell);                                                                                   \
        }                                                                                                              \
        yard->turns += turns;                                                                                          \
    }                                                                                                                  \
    static void load_miss_##id(struct worker *worker, uint64_t turns)                                                  \
    {                                                                                                                  \
        struct yard *yard = worker->trial->state;                                                                      \
        uint64_t random = yard->random, sum = 0;                                                                       \
        for (uint64_t i = 0; i < turns; i++) {                                                                         \
            sum += load(&field[random_line(&random)]);                                                                 \
            fence_##id(&yard->cell);                                                                                   \
        }                                                                                                              \
        OPAQUE(sum);                                                                                                   \
        yard->random = random;                                                                                         \
        yard->turns += turns;                                                                                          \
    }                                                                                                                  \
    static void store_miss_##id(struct worker *worker, uint64_t turns)                                                 \
    {                                                                                                                  \
        struct yard *yard = worker->trial->state;                                                                      \
        uint64_t random = yard->random;                                                                                \
        for (uint64_t i = 0; i < turns; i++) {                                                                         \
            store(&field[random_line(&random)], i);                                                                    \
            fence_##id(&yard->cell);                                                                                   \
        }                                                                                                              \
        yard->random = random;                                                                                         \
        yard->turns += turns;                                                                                          \
    }                                                                                                                  \
    static void chain_##id(struct worker *worker, uint64_t turns)                                                      \
    {                                                                                                                  \
        struct yard *yard = worker->trial->state;                                                                      \
        uint64_t x = yard->chain;                                                                                      \
        for (uint64_t i = 0; i < turns; i++) {                                                                         \
            MULTIPLY_BLOCK(x);                                                                                         \
            fence_##id(&yard->cell);                                                                                   \
        }                                                                                                              \
        yard->chain = x;                                                                                               \
        yard->turns += turns;                                                                                          \
    }

PORTABLE_FENCES(LOOPS)
ARCH_FENCES(LOOPS)

#define ROW(id) {#id, {bare_##id, store_hit_##id, load_miss_##id, store_miss_##id, chain_##id}},
static const struct {
    const char *name;
    void (*run[5])(struct worker *worker, uint64_t turns);
} rows[] = {PORTABLE_FENCES(ROW) ARCH_FENCES(ROW)};

/* All fences of all architectures, so that a case has one name everywhere. rows[] tells which are here. */
#define FENCES                                                                                                         \
    "none compiler c11_acquire c11_release c11_seq_cst c11_xchg c11_fetch_add "                                        \
    "sfence lfence mfence lock_add xchg lock_inc lock_xadd cmpxchg_ok cmpxchg_fail serialize "                         \
    "dmb_ish dmb_ishld dmb_ishst dsb_ish isb ldar stlr fence_rw_rw fence_r_r fence_w_w fence_tso"

#if defined(HAS_X86_64)
#define SWEEP_FEW "none mfence lock_add"
#define SWEEP_NATIVE                                                                                                   \
    "none compiler c11_acquire c11_release c11_seq_cst c11_xchg c11_fetch_add "                                        \
    "sfence lfence mfence lock_add xchg lock_inc lock_xadd cmpxchg_ok cmpxchg_fail serialize"
#elif defined(HAS_AARCH64)
#define SWEEP_FEW "none dmb_ish dmb_ishst"
#define SWEEP_NATIVE                                                                                                   \
    "none compiler c11_acquire c11_release c11_seq_cst c11_xchg c11_fetch_add dmb_ish dmb_ishld dmb_ishst dsb_ish "    \
    "isb ldar stlr"
#elif defined(HAS_RISCV64)
#define SWEEP_FEW "none fence_rw_rw"
#define SWEEP_NATIVE                                                                                                   \
    "none compiler c11_acquire c11_release c11_seq_cst c11_xchg c11_fetch_add fence_rw_rw fence_r_r fence_w_w "        \
    "fence_tso"
#else
#define SWEEP_FEW "none c11_seq_cst"
#define SWEEP_NATIVE "none compiler c11_acquire c11_release c11_seq_cst c11_xchg c11_fetch_add"
#endif

/* Those that leave a trace in the cell: their number, or the 1 that they put there. All others leave it at 0. */
static const char *const counting[] = {"c11_fetch_add", "lock_inc", "lock_xadd", "cmpxchg_ok", NULL};
static const char *const exchanging[] = {"c11_xchg", "xchg", NULL};

/* Value i of a parameter is the i-th word of its labels. */
static int is_label(const char *labels, int64_t index, const char *word)
{
    for (; index > 0; index--)
        labels = strchr(labels, ' ') + 1;
    return strncmp(labels, word, strlen(word)) == 0 && (labels[strlen(word)] == ' ' || labels[strlen(word)] == '\0');
}

static int is_one_of(const char *const *words, int64_t fence)
{
    for (; *words; words++)
        if (is_label(FENCES, fence, *words))
            return 1;
    return 0;
}

static int map_field(void)
{
    unsigned char *mapping;

    if (field)
        return 0;
    mapping = mmap(NULL, 2 * FIELD_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED)
        return -errno;
    mapping += FIELD_BYTES - ((uintptr_t)mapping & (FIELD_BYTES - 1)); /* aligned, for huge pages */
    madvise(mapping, FIELD_BYTES, MADV_HUGEPAGE);
    memset(mapping, 0, FIELD_BYTES);
    field = (uint64_t *)mapping;
    return 0;
}

static int setup(struct trial *trial)
{
    struct yard *yard = trial_alloc(trial, sizeof *yard);
    const int64_t context = trial->value[CONTEXT];
    const int misses = context == LOAD_MISS || context == STORE_MISS;

    if (!yard)
        return -ENOMEM;
    trial->metric[FOOTPRINT] = misses ? (double)FIELD_BYTES : 0;
    yard->chain = 1;
    yard->random = fresh_seed();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (is_label(FENCES, trial->value[FENCE], rows[i].name)) {
            trial->run = rows[i].run[context];
#if defined(HAS_X86_64)
            if (strcmp(rows[i].name, "serialize") == 0 && !(capabilities() & NEED_SERIALIZE))
                return trial_needs(trial, capability_text(NEED_SERIALIZE));
#endif
            return misses ? map_field() : 0;
        }
    return trial_needs(trial, "another architecture: this one has no such instruction");
}

/*
 * The results: of the contexts the last stored number and the product of all factors, of the fences the content of the
 * cell.
 */
static int check(struct trial *trial)
{
    const struct yard *yard = trial->state;
    const uint64_t cell =
        atomic_load_explicit(&yard->cell, memory_order_relaxed); /* the team is idle: any order will do */
    uint64_t product = 1, power = CHAIN_FACTOR, expected = 0;

    if (trial->value[CONTEXT] == STORE_HIT && yard->stored != yard->turns)
        return trial_fault(trial, "%" PRIu64 " was stored last instead of %" PRIu64, yard->stored, yard->turns);
    for (uint64_t n = yard->turns * CHAIN_LENGTH; n; n >>= 1, power *= power)
        product *= n & 1 ? power : 1;
    if (trial->value[CONTEXT] == CHAIN && yard->chain != product)
        return trial_fault(trial, "the chain of products is broken");
    if (is_one_of(counting, trial->value[FENCE]))
        expected = yard->turns;
    else if (is_one_of(exchanging, trial->value[FENCE]))
        expected = yard->turns > 0;
    return cell == expected
               ? 0
               : trial_fault(trial, "the cell holds %" PRIu64 " instead of %" PRIu64 " after %" PRIu64 " turns", cell,
                             expected, yard->turns);
}

KERNEL(cost,
    .name       = "fence/cost",
    .summary    = "a loop runs one fence, locked operation or C11 order, after work that it may have to wait for",
    .unit       = "turn",
    .threads    = { 1, 1 },
    .flags      = KERNEL_TWIN | KERNEL_SOLE,
    .parameters = {
        { "fence", "", "what stands in the loop; none is the control", FENCES, 0, SWEEP_FEW, SWEEP_NATIVE, SWEEP_NATIVE },
        { "context", "", "what is under way when it comes", "bare store_hit load_miss store_miss chain", 0, "bare store_hit chain", "*", "*" },
    },
    .metrics    = { [FOOTPRINT] = { "footprint_bytes", "bytes", "random lines, of the contexts that miss" } },
    .setup      = setup,
    .run        = bare_none,
    .check      = check);
