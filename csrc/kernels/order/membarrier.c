/*
 * order/membarrier: does it pay to let one side fence for both, by membarrier(2)?
 *
 * In store buffering both threads need a full fence. If one of them is rare, the frequent one may go without. The rare
 * one then asks the kernel to run a fence on every CPU that the process is on. Both sides store to their own place and
 * load the other's.
 *   fast    the frequent side: a barrier to the compiler alone, no instruction
 *   fenced  its control: the architecture's full fence
 *   slow    the rare side: membarrier(2), PRIVATE_EXPEDITED, while the other thread runs the fast side
 *   none    the control of `slow`: nothing, while the other thread runs the fast side, so loads pass stores on both
 *           sides
 * The break-even ratio is slow / (fenced - fast). With more fast turns for each slow one, the asymmetric fence pays.
 *
 * One event is one turn: store, fence, load. It is the mean of 256 in one window for fast and fenced, and the mean of
 * 32 for none.
 * Excluded:  the window's own reading, and registering with the kernel.
 * Expect:    reference guest: slow takes 17-19 us, for an interrupt to the other CPU, which a hypervisor makes dear. On
 *            bare metal 1-3 us. There mfence takes 12 ns more than nothing, so the break-even is at some 1300. With
 *            slow no trial is weak, with none some are.
 * Hazards:   without a thread that runs elsewhere the kernel has nothing to do, and the call takes 0.1 us. Hence the
 *            running sibling.
 * Not shown: many CPUs. The interrupts go to each that runs a thread of the process.
 */
#define _GNU_SOURCE
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__has_include)
#if __has_include(<linux/membarrier.h>)
#include <linux/membarrier.h>
#define HAS_MEMBARRIER 1
#endif
#endif

#define INLINE static inline __attribute__((always_inline))
#define EVENTS 16
#define TURNS 256
/* Of `none`, in one event. */
#define NONE_TRIALS 32
/* More than any profile makes: 40 batches of 16 events of 32. */
#define TRIALS_MAX ((uint64_t)1 << 15)
#define LOOKS_BEFORE_YIELD 1000

enum { SIDE };
enum { FAST, FENCED, SLOW, NONE };
enum { TURN_TICKS, WEAK, TRIALS };

struct asymmetric {
    _Alignas(128) uint64_t x;           /* the fast side's place: the number of its turn */
    _Alignas(128) uint64_t y;           /* the slow side's place: the number of its trial */
    _Alignas(128) uint64_t go, stopped; /* the sibling's generations, begun and ended */
    _Alignas(128) uint64_t turns;       /* of the fast side */
    uint64_t seen;                      /* the last trial that the fast side has seen */
    uint64_t first[TRIALS_MAX];         /* the turn in which it saw trial i for the first time */
    _Alignas(128) uint64_t trials;
    uint64_t saw[TRIALS_MAX]; /* the turn that trial i saw */
    uint64_t windows;
    double window[TRIALS_MAX];  /* ticks of a turn */
    _Alignas(128) uint64_t own; /* what fast and fenced work on: nobody else wants it */
    _Alignas(128) uint64_t other;
};

/* Relaxed on both sides: what is between them is the question, and nothing else is passed on. */
INLINE void put(uint64_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

INLINE uint64_t look(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static int barrier_on_all(void)
{
#if HAS_MEMBARRIER && defined(__NR_membarrier)
    return (int)syscall(__NR_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) ? -errno : 0;
#else
    return -ENOSYS;
#endif
}

static int setup(struct trial *trial)
{
#if HAS_MEMBARRIER && defined(__NR_membarrier)
    if (syscall(__NR_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0)
        return trial_alloc(trial, sizeof(struct asymmetric)) ? 0 : -ENOMEM;
#endif
    return trial_needs(trial, "membarrier(2) with MEMBARRIER_CMD_PRIVATE_EXPEDITED (Linux 4.14)");
}

/* The fast side, until the first thread says stop. Turn k has seen trial i if k >= first[i]. */
static __attribute__((noinline)) void run_fast_side(struct asymmetric *both, uint64_t generation)
{
    uint64_t turn = both->turns, seen = both->seen;

    do { /* once at least: what the slow side saw before it came to its CPU is decided by the turn that follows */
        for (unsigned i = 0; i < TURNS; i++) {
            uint64_t trial;

            put(&both->x, ++turn);
            __asm__ volatile("" : : : "memory"); /* all that the fast side pays: pairs with membarrier() */
            trial = look(&both->y);
            while (seen < trial)
                both->first[++seen] = turn;
        }
    } while (look(&both->stopped) != generation);
    both->turns = turn;
    both->seen = seen;
}

/* One window of `TURNS` turns alone: the cost of the fast side. */
#define WINDOW(name, FENCE)                                                                                            \
    static __attribute__((noinline)) uint64_t name(struct asymmetric *both)                                            \
    {                                                                                                                  \
        const uint64_t begin = tick_begin();                                                                           \
        for (uint64_t i = 0; i < TURNS; i++) {                                                                         \
            put(&both->own, i);                                                                                        \
            FENCE;                                                                                                     \
            (void)*(volatile uint64_t *)&both->other;                                                                  \
        }                                                                                                              \
        return tick_end() - begin;                                                                                     \
    }
WINDOW(fast_turns, __asm__ volatile("" : : : "memory"))
WINDOW(fenced_turns, fence_full())

/* One trial of store buffering from the slow side. */
INLINE int slow_turn(struct asymmetric *both, int fenced)
{
    const uint64_t trial = ++both->trials;
    int error = 0;

    put(&both->y, trial);
    /* Pairs with the fast side's barrier to the compiler: its CPU runs a full fence between two of its instructions. Without it both
       sides may miss the other's store, which is what `none` shows. */
    if (fenced)
        error = barrier_on_all();
    else
        __asm__ volatile("" : : : "memory");
    both->saw[trial] = look(&both->x);
    return error;
}

static uint64_t slow_turns(struct asymmetric *both, int fenced, uint64_t turns, int *error)
{
    uint64_t ticks = 0, looks = 0;

    for (uint64_t i = 0; i < turns; i++) {
        const uint64_t last = look(&both->x), begin = tick_begin();

        *error |= slow_turn(both, fenced);
        ticks += tick_end() - begin;
        /* Until the other side has gone on, so that each trial meets it in another place. */
        while (look(&both->x) - last < 2 && ++looks < LOOKS_BEFORE_YIELD)
            cpu_relax();
    }
    return ticks;
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    static const uint64_t turns_in[] = {[FAST] = TURNS, [FENCED] = TURNS, [SLOW] = 1, [NONE] = NONE_TRIALS};
    struct trial *trial = worker->trial;
    struct asymmetric *both = trial->state;
    const int64_t side = trial->value[SIDE];
    const uint64_t turns = turns_in[side];
    uint64_t generation, looks = 0;
    int error = 0;

    team_start(worker);
    generation = look(&both->go) + 1; /* the same to both: the sibling moves it on only after it was stopped, below */
    if (worker->index) {
        run_fast_side(both, generation);
        __atomic_store_n(&both->go, generation,
                         __ATOMIC_RELEASE); /* A: pairs with B, and publishes turns, seen and first */
        return 0;
    }
    if (both->windows + count > TRIALS_MAX || both->trials + count * turns >= TRIALS_MAX)
        error = -ENOBUFS;
    for (uint64_t i = 0; i < count && !error; i++) {
        const uint64_t took = side == FAST     ? fast_turns(both)
                              : side == FENCED ? fenced_turns(both)
                                               : slow_turns(both, side == SLOW, turns, &error);
        const double turn = ((double)took - trial->overhead_ticks * (side == NONE ? (double)turns : 1)) / (double)turns;

        both->window[both->windows++] = turn;
        ticks[i] = (int64_t)(turn + 0.5);
    }
    put(&both->stopped, generation);
    while (__atomic_load_n(&both->go, __ATOMIC_ACQUIRE) != generation) /* B: acquire, pairs with A */
        if (++looks % LOOKS_BEFORE_YIELD == 0)
            sched_yield();
    return error ? error : (int64_t)count;
}

/*
 * A trial is weak if neither side saw the other. It read the fast side's turn s, so the store of turn s + 1 came later.
 * And turn s + 1 did not see the trial either. With a fence on the slow side that must not happen.
 */
static int check(struct trial *trial)
{
    struct asymmetric *both = trial->state;
    uint64_t weak = 0, decided = 0;

    for (uint64_t i = 1; i <= both->trials; i++) {
        const uint64_t next = both->saw[i] + 1;

        if (next > both->turns)
            continue; /* the fast side was stopped before that turn */
        decided++;
        weak += i > both->seen || both->first[i] > next;
    }
    if (weak && trial->value[SIDE] == SLOW)
        return trial_fault(trial,
                           "FORBIDDEN outcome seen %" PRIu64 " times in %" PRIu64
                           " trials: neither side saw the other across membarrier(2)",
                           weak, decided);
    trial->metric[TURN_TICKS] = median_of(both->window, both->windows);
    if (both->trials) {
        trial->metric[WEAK] = (double)weak;
        trial->metric[TRIALS] = (double)decided;
    }
    return 0;
}

static uint64_t cost_ns(const struct trial *trial)
{
    static const uint64_t event_ns[] = {[FAST] = 300, [FENCED] = 8000, [SLOW] = 25000, [NONE] = 15000};

    return trial->batches * EVENTS * event_ns[trial->value[SIDE]];
}

KERNEL(membarrier,
    .name             = "order/membarrier",
    .summary          = "the rare side calls membarrier(2), so that the frequent side needs no fence",
    .unit             = "turn",
    .threads          = { .min = 2, .max = 2 },
    .parameters       = {
        [SIDE] = { .name = "side", .summary = "whose turn, and what stands in it", .labels = "fast fenced slow none",
                   .initial = SLOW, .quick = "*", .standard = "*", .rigorous = "*" },
    },
    .metrics          = {
        [TURN_TICKS] = { "turn_ticks", "ticks", "a turn, finer than the counter's steps" },
        [WEAK]       = { "weak", "trials", "in which neither side saw the other's store" },
        [TRIALS]     = { "trials", "trials", "of the slow side against the fast one" },
    },
    .setup            = setup,
    .events           = events,
    .events_per_batch = EVENTS,
    .check            = check,
    .cost_ns          = cost_ns);
