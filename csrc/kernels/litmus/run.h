/*
 * Runs a litmus test. The file that includes this has defined
 *   thread()   the work of thread `number` in one trial, in `order`: accesses to cells[X], [Y], [Z]. Loaded values go
 *              to seen[0..]
 *   THREADS    how many
 *   SEEN_BY    which thread fills in each place of seen, as digits: "01"
 *   FINALS     cells that are looked at when all are done, as digits after those: "" or "0" for X
 *   WEAK       the outcome to look for, in the digits of both
 *   FORBIDDEN  struct verdicts: in which orders it must not be seen
 * and names its outcomes as metrics seen_<digits>, after LITMUS_METRICS.
 *
 * A block is a number of trials in a row, each with its own cells. Nothing is reset. The values of a block are larger
 * than all before, and anything smaller is the old value, 0. Before a block each thread reads all of its cells. So a
 * load in a trial finds its line, and a store has to take the line from the others. There a store waits, and the next
 * load may pass it.
 *
 * The runner brings the threads of a trial together. It matters more for the rates than the CPU does:
 *   array       nothing: all start at one time and go through the trials as fast as they can
 *   barrier     they meet before each trial
 *   rendezvous  trial i begins at a tick, start + i x window, that all know. The window is the shortest in which hardly
 *               a thread is late. Each process searches for it. Threads beyond the first are shifted against it by
 *               -OFFSET to +OFFSET, trial by trial.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <string.h>

#if defined(__SANITIZE_THREAD__)
#define LITMUS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LITMUS_SANITIZED 1
#endif
#endif

enum { RUNNER, ORDER };
enum { ARRAY, BARRIER, RENDEZVOUS };
enum { WEAK_PER_MILLION, WEAK_PER_S, WEAK_COUNT, TRIALS, IS_FORBIDDEN, WINDOW_TICKS, BEST_OFFSET_TICKS, FIRST_OUTCOME };

#define LITMUS_METRICS                                                                                                 \
    [WEAK_PER_MILLION] = {"weak_per_million", "1e-6", "weak outcomes in a million trials"},                            \
    [WEAK_PER_S] = {"weak_per_s", "1/s", "weak outcomes per second, counting them included"},                          \
    [WEAK_COUNT] = {"weak", "trials", "with the weak outcome"}, [TRIALS] = {"trials", "trials", "in this process"},    \
    [IS_FORBIDDEN] = {"forbidden", "fact", "1: the weak outcome must not be seen in this order"},                      \
    [WINDOW_TICKS] = {"window_ticks", "ticks", "from trial to trial of the runner rendezvous"},                        \
    [BEST_OFFSET_TICKS] = {"best_offset_ticks", "ticks", "the others behind the first thread where most were weak"}

/*
 * Cells of a block fit a cache of the second level. A block is long against its start, which takes some microseconds.
 */
#define BLOCK 256
#define SEEN 4
/* A window is good if fewer than one trial in this number found a thread late. */
#define LATE_SHARE 20
#define FIRST_WINDOW_NS 60
#define LAST_WINDOW_NS 20000
#define CALIBRATION_TRIALS 64
/*
 * Half of the time that a line takes from CPU to CPU. Shifted by more, the accesses of a trial hardly meet (seen with
 * 80: half as many weak).
 */
#define OFFSET_NS 40
#define OFFSETS 9
/* From the agreement on a start to the start: long enough for the others to see it. */
#define START_NS 1000
/* Looks in vain before a thread that may share its CPU with the one it waits for gives it away. */
#define LOOKS_BEFORE_YIELD 1000
#define OUTCOME_CODES 256 /* four digits of base 4 */

struct side {
    _Alignas(128) uint32_t seen[BLOCK][SEEN];
    uint64_t late, met;
    uint64_t kept; /* what warming up has read, so that it is not left out */
};

struct litmus {
    _Alignas(128) uint64_t arrived; /* A: counts for ever, see meet() */
    _Alignas(128) uint64_t start, window;
    int64_t offsets[OFFSETS];
    uint64_t block, trials;
    int runner, calibrated;
    uint64_t busy_ticks, strange;
    uint32_t strange_code;
    uint64_t count[OUTCOME_CODES], weak_at[OFFSETS];
    uint8_t outcome[OUTCOME_CODES]; /* 1 + its metric's place, 0: nothing that the accesses could have left */
    unsigned weak_code;
    void (*threads[THREADS])(struct litmus *litmus, unsigned number);
    struct side sides[THREADS];
    struct cell cells[BLOCK][CELLS];
};

/* All threads are here. Afterwards all see everything that each wrote before. */
static void meet(struct litmus *litmus, struct side *side)
{
    uint64_t looks = 0;

    side->met += THREADS;
    /* A: acquire and release, pairs with itself and with B. Without it a tally could read what is not yet written. */
    __atomic_fetch_add(&litmus->arrived, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(&litmus->arrived, __ATOMIC_ACQUIRE) < side->met) /* B: acquire, pairs with A */
        if (++looks % LOOKS_BEFORE_YIELD == 0)
            sched_yield();
}

/* The place of trial `i` in the sweep of offsets. Neighbours differ, and all come equally often. */
INLINE unsigned offset_of(uint64_t i)
{
    return (unsigned)(i * 5 % OFFSETS);
}

/* Until trial `i` may begin. Inlined into every thread, so that all get there alike. */
INLINE void await_trial(struct litmus *litmus, struct side *side, unsigned number, uint64_t i)
{
    if (litmus->runner == BARRIER) {
        meet(litmus, side);
    } else if (litmus->runner == RENDEZVOUS) {
        const uint64_t shift = number == 0 ? 0 : (uint64_t)(litmus->offsets[offset_of(i + number - 1)]);
        const uint64_t slot = litmus->start + (i + 1) * litmus->window + shift;
        uint64_t now = tick_now();

        side->late += now > slot;
        while (now < slot)
            now = tick_now();
    }
    /* A trial is a separate region for the compiler, whatever its order. */
    __asm__ volatile("" : : : "memory");
}

/* All loops have one source. `order` and `number` are constants in each. */
#define INSTANCE(id, number)                                                                                           \
    static __attribute__((noinline)) void run_##id##_##number(struct litmus *litmus, unsigned self)                    \
    {                                                                                                                  \
        struct side *side = &litmus->sides[self];                                                                      \
        const uint32_t base = (uint32_t)litmus->block * 4;                                                             \
        for (uint64_t i = 0; i < litmus->trials; i++) {                                                                \
            await_trial(litmus, side, number, i);                                                                      \
            thread(ORDER_##id, number, litmus->cells[i], base, side->seen[i]);                                         \
        }                                                                                                              \
    }
#if THREADS == 2
#define INSTANCES(id) INSTANCE(id, 0) INSTANCE(id, 1)
#define ROW(id) [ORDER_##id] = {run_##id##_0, run_##id##_1},
#elif THREADS == 3
#define INSTANCES(id) INSTANCE(id, 0) INSTANCE(id, 1) INSTANCE(id, 2)
#define ROW(id) [ORDER_##id] = {run_##id##_0, run_##id##_1, run_##id##_2},
#else
#define INSTANCES(id) INSTANCE(id, 0) INSTANCE(id, 1) INSTANCE(id, 2) INSTANCE(id, 3)
#define ROW(id) [ORDER_##id] = {run_##id##_0, run_##id##_1, run_##id##_2, run_##id##_3},
#endif
NATIVE_ORDERS(INSTANCES)

static void (*const instances[ORDER_COUNT][THREADS])(struct litmus *, unsigned) = {NATIVE_ORDERS(ROW)};

/* Read everything, so that each line is shared when the trials begin. */
static void warm_up(struct litmus *litmus, struct side *side)
{
    uint64_t sum = 0;

    for (int i = 0; i < BLOCK; i++)
        for (int cell = 0; cell < CELLS; cell++)
            sum += __atomic_load_n(&litmus->cells[i][cell].word, __ATOMIC_RELAXED); /* only to have the line */
    side->kept = sum;
}

/* One block of trials by the whole team. Ticks of the first thread from the start to its last trial. */
static uint64_t run_block(struct litmus *litmus, struct worker *worker, uint64_t trials)
{
    struct side *side = &litmus->sides[worker->index];

    side->late = 0;
    warm_up(litmus, side);
    meet(litmus, side);
    if (worker->index == 0) {
        litmus->block++;
        litmus->trials = trials;
        litmus->start = tick_now() + (uint64_t)(worker->trial->tick_hz * START_NS / 1e9);
    }
    meet(litmus, side);
    while (tick_now() < litmus->start)
        ;
    litmus->threads[worker->index](litmus, worker->index);
    {
        const uint64_t took = tick_now() - litmus->start;

        meet(litmus, side);
        return took;
    }
}

/* The shortest window, in steps of a fifth, in which hardly any thread finds its slot already past. All threads compute the same. */
static void find_window(struct litmus *litmus, struct worker *worker)
{
    const double tick_ns = 1e9 / worker->trial->tick_hz;
    struct side *side = &litmus->sides[worker->index];

    for (double ns = FIRST_WINDOW_NS;; ns *= 1.2) {
        uint64_t late = 0;

        if (worker->index == 0)
            litmus->window = (uint64_t)(ns / tick_ns) + 1; /* passed on by the meetings before the start */
        run_block(litmus, worker, CALIBRATION_TRIALS);
        for (unsigned i = 0; i < THREADS; i++)
            late += litmus->sides[i].late;
        meet(litmus, side); /* all have looked before the counts begin anew */
        if (late * LATE_SHARE <= CALIBRATION_TRIALS || ns > LAST_WINDOW_NS)
            return;
    }
}

/* Value of a digit: what this block wrote, or 0. */
static unsigned digit(const struct litmus *litmus, uint32_t value)
{
    const uint32_t base = (uint32_t)litmus->block * 4;

    return value > base && value < base + 4 ? value - base : 0;
}

static void tally(struct litmus *litmus)
{
    static const char seen_by[] = SEEN_BY, finals[] = FINALS;

    for (uint64_t i = 0; i < litmus->trials; i++) {
        unsigned code = 0;

        for (unsigned k = 0; seen_by[k]; k++)
            code = code * 4 + digit(litmus, litmus->sides[seen_by[k] - '0'].seen[i][k]);
        for (unsigned k = 0; finals[k]; k++)
            code = code * 4 +
                   digit(litmus, __atomic_load_n(&litmus->cells[i][finals[k] - '0'].word, __ATOMIC_RELAXED)); /* idle */
        litmus->count[code]++;
        if (!litmus->outcome[code]) {
            litmus->strange++;
            litmus->strange_code = code;
        }
        litmus->weak_at[offset_of(i)] += code == litmus->weak_code;
    }
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct litmus *litmus = worker->trial->state;
    uint64_t began;

    (void)count; /* only the first thread is told: always one block */
    team_start(worker);
    if (litmus->runner == RENDEZVOUS && !litmus->calibrated) {
        find_window(litmus, worker);
        if (worker->index == 0)
            litmus->calibrated = 1; /* passed on by the meetings of the block below */
    }
    began = tick_now();
    {
        const uint64_t took = run_block(litmus, worker, BLOCK);

        if (worker->index)
            return 0;
        ticks[0] = (int64_t)(took / BLOCK);
    }
    tally(litmus);
    litmus->busy_ticks += tick_now() - began;
    return 1;
}

/* Digits of base 4 as a number. */
static unsigned code_of(const char *digits)
{
    unsigned code = 0;

    for (; *digits; digits++)
        code = code * 4 + (unsigned)(*digits - '0');
    return code;
}

static int setup(struct trial *trial)
{
    const int64_t order = trial->value[ORDER];
    struct litmus *litmus;

#if LITMUS_SANITIZED
    return trial_needs(trial,
                       "a build without ThreadSanitizer, which takes the races that are put to the test for faults");
#endif
    if (!instances[order][0])
        return trial_needs(trial, "another architecture: this one has no such instruction");
    litmus = trial_alloc(trial, sizeof *litmus);
    if (!litmus)
        return -ENOMEM;
    litmus->runner = (int)trial->value[RUNNER];
    memcpy(litmus->threads, instances[order], sizeof litmus->threads);
    for (int i = 0; i < OFFSETS; i++)
        litmus->offsets[i] = (int64_t)((double)(i - OFFSETS / 2) * OFFSET_NS / (OFFSETS / 2) * trial->tick_hz / 1e9);
    for (unsigned i = FIRST_OUTCOME; i < MAX_METRICS && trial->kernel->metrics[i].name; i++)
        litmus->outcome[code_of(trial->kernel->metrics[i].name + strlen("seen_"))] = (uint8_t)(1 + i);
    litmus->weak_code = code_of(WEAK);
    return 0;
}

/* Whether the label of `order` is among the words. */
static int has_label(const char *words, int64_t order)
{
    static const char labels[] = ORDER_LABELS;
    const char *label = labels;
    size_t length;

    for (; order > 0; order--)
        label = strchr(label, ' ') + 1;
    for (; *words; words += length, words += *words == ' ') {
        length = strcspn(words, " ");
        if (length == strcspn(label, " ") && strncmp(words, label, length) == 0)
            return 1;
    }
    return 0;
}

/* Whether the weak outcome must not be seen in this order here. Plain ints promise nothing. */
static int is_forbidden(int64_t order)
{
    static const struct verdicts verdicts = FORBIDDEN;

#if defined(FENCEPOST_EMULATED)
    return 0 *
           has_label(verdicts.c11, order); /* an emulator's order is not the architecture's: see tools/selftest.sh */
#endif
    if (order == ORDER_int)
        return 0;
    return has_label(order >= ORDER_c11_relaxed ? verdicts.c11 : verdicts.HERE, order);
}

/* A forbidden outcome is a failure, of the machine, the compiler or the table. One that is allowed is never asked for. */
static int check(struct trial *trial)
{
    const struct litmus *litmus = trial->state;
    const uint64_t weak = litmus->count[litmus->weak_code];
    const int forbidden = is_forbidden(trial->value[ORDER]);
    uint64_t trials = 0;
    unsigned best = 0;

    for (unsigned code = 0; code < OUTCOME_CODES; code++) {
        trials += litmus->count[code];
        if (litmus->outcome[code])
            trial->metric[litmus->outcome[code] - 1] = (double)litmus->count[code];
    }
    /* Plain ints may read or write anything. */
    if (litmus->strange && trial->value[ORDER] != ORDER_int)
        return trial_fault(trial,
                           "%" PRIu64 " of %" PRIu64 " trials ended as no accesses can leave them (the last as %u)",
                           litmus->strange, trials, litmus->strange_code);
    if (forbidden && weak)
        return trial_fault(trial, "FORBIDDEN outcome " WEAK " seen %" PRIu64 " times in %" PRIu64 " trials", weak,
                           trials);
    trial->metric[WEAK_PER_MILLION] = (double)weak / (double)trials * 1e6;
    trial->metric[WEAK_PER_S] = (double)weak / (double)litmus->busy_ticks * trial->tick_hz;
    trial->metric[WEAK_COUNT] = (double)weak;
    trial->metric[TRIALS] = (double)trials;
    trial->metric[IS_FORBIDDEN] = forbidden;
    if (litmus->runner == RENDEZVOUS) {
        trial->metric[WINDOW_TICKS] = (double)litmus->window;
        for (unsigned i = 1; i < OFFSETS; i++)
            best = litmus->weak_at[i] > litmus->weak_at[best] ? i : best;
        if (weak)
            trial->metric[BEST_OFFSET_TICKS] = (double)litmus->offsets[best];
    }
    return 0;
}

static uint64_t cost_ns(const struct trial *trial)
{
    /* Seen: a trial with its share of warming up and counting, and the search for the window. */
    static const uint64_t trial_ns[] = {[ARRAY] = 20, [BARRIER] = 90, [RENDEZVOUS] = 90};

    return trial->batches * BLOCK * trial_ns[trial->value[RUNNER]] + (trial->value[RUNNER] == RENDEZVOUS ? 300000 : 0);
}

#define LITMUS_PARAMETERS(runners, quick_orders, standard_orders)                                                      \
    {                                                                                                                  \
        [RUNNER] = {.name = "runner",                                                                                  \
                    .summary = "what brings the threads of a trial together",                                          \
                    .labels = "array barrier rendezvous",                                                              \
                    .initial = RENDEZVOUS,                                                                             \
                    .standard = runners,                                                                               \
                    .rigorous = "*"},                                                                                  \
        [ORDER] = {                                                                                                    \
            .name = "order",                                                                                           \
            .summary = "what stands between the accesses; none is the positive control",                               \
            .labels = ORDER_LABELS,                                                                                    \
            .initial = ORDER_none,                                                                                     \
            .quick = quick_orders,                                                                                     \
            .standard = standard_orders,                                                                               \
            .rigorous = SWEEP_NATIVE                                                                                   \
        }                                                                                                              \
    }

/* All of a test's row but its name, its outcomes and what is swept. */
#define LITMUS_ROW                                                                                                     \
    .unit = "trial", .threads = {.min = THREADS, .max = THREADS}, .needs = NEED_TICKS, .setup = setup,                 \
    .events = events, .events_per_batch = 1, .check = check, .cost_ns = cost_ns
