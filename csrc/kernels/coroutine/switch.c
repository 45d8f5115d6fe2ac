/*
 * coroutine/switch: what does it cost to go on in another coroutine and to come back, by how it is done?
 *
 * One operation is one round trip: a coroutine is resumed, counts, and yields. They come in turn. Each has its own
 * stack.
 *   call         a function is called through a pointer, counts, and returns. The control
 *   jump         own assembly, which leaves by a jump
 *   ret          the same registers, which leaves by a return
 *   jump_fp      as jump, with the control words of floating point
 *   longjmp      _setjmp and _longjmp, from stack to stack
 *   swapcontext  the C library's: it also asks Linux for the signals that are blocked, twice a round trip
 *   boost        jump_fcontext of Boost.Context, if it is installed
 * Excluded:  making the stacks, and the first round trip of each coroutine.
 * Expect:    guest of an AMD EPYC (Zen 4), ns: call 2, jump 7, jump_fp 13, boost 14, ret 21, longjmp 41, swapcontext
 *            540. From some 128 coroutines on their stacks leave the first cache: jump 10 with 128, 35 with 1000.
 * Hazards:   a core keeps a stack of return addresses. `ret` leaves it out of step, so each return of a round trip is
 *            mispredicted. Stacks that all begin at one offset in their pages share few sets of the first cache.
 *            `stacks=coloured` spreads them over the page. Shadow stacks forbid ret and longjmp, and _FORTIFY_SOURCE
 *            forbids longjmp to a stack above.
 * Not shown: schedulers of coroutines, and coroutines of compilers, such as those of C++20, which have no stack.
 */
#define _GNU_SOURCE
#undef _FORTIFY_SOURCE /* its longjmp wants a stack above, and ends the process */
#include "kernels/system.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <ucontext.h>

#include "kernels/coroutine/contexts.h"

enum { BY, COROUTINES, STACKS };
enum { CALL, JUMP, RET, JUMP_FP, LONGJMP, SWAPCONTEXT, BOOST };

#define MAX_COROUTINES 10000
/* A handler of signals may run on it, and with the widest vectors that alone takes 11 KiB. */
#define STACK_BYTES 16384
#define PAGE_BYTES 4096
/* Two lines apart, so that the pairs which cores fetch together are apart, too. */
#define COLOUR_BYTES 128

#ifdef HAS_COROUTINES

/* Of Boost.Context, as its documentation states it: where the other side was, and a word for it. */
struct transfer {
    void *from, *word;
};
#ifdef __GLIBC__
#define CONTEXTS_THERE 1
#else /* musl has none of them. Weak, so that all else can be linked there. */
__typeof__(getcontext) getcontext __attribute__((weak));
__typeof__(makecontext) makecontext __attribute__((weak));
__typeof__(swapcontext) swapcontext __attribute__((weak));
#define CONTEXTS_THERE (getcontext && makecontext && swapcontext)
#endif

typedef struct transfer jump_fcontext(void *to, void *word);
typedef void *make_fcontext(void *end, size_t bytes, void (*entry)(struct transfer));

struct coroutine {
    _Alignas(64) uint64_t made;
    void *place; /* of its stack, while it does not run */
    int begun;
    jmp_buf jump;
    ucontext_t context;
};

struct room {
    uint64_t count, next, resumed;
    void *place; /* of the stack that resumes, while a coroutine runs */
    jmp_buf jump;
    ucontext_t context;
    void (*called)(struct coroutine *coroutine);
    jump_fcontext *boost;
    struct coroutine *coroutines;
};

/* Who begins, for a function that begins on a new stack and has no argument. One trial at a time in a process, on one thread. */
static struct room *beginning_in;
static struct coroutine *beginning;

/* Not inlined, so that a longjmp comes back to a function that has kept nothing in registers. */
static __attribute__((noinline)) void longjmp_back(struct room *room, struct coroutine *coroutine)
{
    if (_setjmp(coroutine->jump) == 0)
        _longjmp(room->jump, 1);
}

static __attribute__((noinline)) void longjmp_to(struct room *room, struct coroutine *coroutine)
{
    if (_setjmp(room->jump))
        return; /* it has yielded */
    if (coroutine->begun)
        _longjmp(coroutine->jump, 1);
    coroutine->begun = 1;
    coroutine_jump(&room->place, coroutine->place);
}

/* `by` is a constant wherever these are inlined, so that nothing asks for it between two switches. */
static inline __attribute__((always_inline)) void leave(int by, void **from, void *to)
{
    if (by == RET)
        coroutine_ret(from, to);
    else if (by == JUMP_FP)
        coroutine_jump_fp(from, to);
    else
        coroutine_jump(from, to);
}

static inline __attribute__((always_inline)) void yield(int by, struct room *room, struct coroutine *coroutine)
{
    if (by == LONGJMP)
        longjmp_back(room, coroutine);
    else if (by == SWAPCONTEXT)
        swapcontext(&coroutine->context, &room->context);
    else if (by == BOOST)
        room->place = room->boost(room->place, NULL).from;
    else
        leave(by, &coroutine->place, room->place);
}

static inline __attribute__((always_inline)) void turns(int by)
{
    struct room *room = beginning_in;
    struct coroutine *coroutine = beginning;

    for (;;) {
        coroutine->made++;
        yield(by, room, coroutine);
    }
}

#define ENTRY(way)                                                                                                     \
    static void way##_entry(void)                                                                                      \
    {                                                                                                                  \
        turns(way);                                                                                                    \
    }
ENTRY(JUMP)
ENTRY(RET)
ENTRY(JUMP_FP)
ENTRY(LONGJMP)
ENTRY(SWAPCONTEXT)

static void boost_entry(struct transfer transfer)
{
    beginning_in->place = transfer.from;
    turns(BOOST);
}

static __attribute__((noinline)) void called(struct coroutine *coroutine)
{
    coroutine->made++;
    OPAQUE(coroutine);
}

static inline __attribute__((always_inline)) void resume(int by, struct room *room, struct coroutine *coroutine)
{
    if (by == CALL)
        room->called(coroutine);
    else if (by == LONGJMP)
        longjmp_to(room, coroutine);
    else if (by == SWAPCONTEXT)
        swapcontext(&room->context, &coroutine->context);
    else if (by == BOOST)
        coroutine->place = room->boost(coroutine->place, NULL).from;
    else
        leave(by, &room->place, coroutine->place);
}

static inline __attribute__((always_inline)) void round_trips(int by, struct room *room, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct coroutine *coroutine = &room->coroutines[room->next];

        room->next = room->next + 1 == room->count ? 0 : room->next + 1;
        beginning = coroutine;
        resume(by, room, coroutine);
    }
    room->resumed += count;
}

static void run(struct worker *worker, uint64_t operations)
{
    struct room *room = worker->trial->state;

    switch (worker->trial->value[BY]) {
    case CALL:
        return round_trips(CALL, room, operations);
    case JUMP:
        return round_trips(JUMP, room, operations);
    case RET:
        return round_trips(RET, room, operations);
    case JUMP_FP:
        return round_trips(JUMP_FP, room, operations);
    case LONGJMP:
        return round_trips(LONGJMP, room, operations);
    case SWAPCONTEXT:
        return round_trips(SWAPCONTEXT, room, operations);
    default:
        return round_trips(BOOST, room, operations);
    }
}

/* Boost.Context as it is installed, of whatever version: the two functions have not changed since 1.61. */
static void *boost_library(void)
{
    static const char *const names[] = {"libboost_context.so",        "libboost_context.so.1.90.0",
                                        "libboost_context.so.1.88.0", "libboost_context.so.1.83.0",
                                        "libboost_context.so.1.81.0", "libboost_context.so.1.74.0"};
    void *library = NULL;

    for (size_t i = 0; !library && i < sizeof names / sizeof *names; i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    return library;
}

/* 0 or -errno. The library stays: whatever it has begun might still be there. */
static int prepare_boost(struct trial *trial, struct room *room, unsigned char *stacks, const size_t *colours)
{
    static void *library;
    make_fcontext *make;

    if (!library)
        library = boost_library();
    if (!library)
        return trial_needs(trial, "Boost.Context (the package libboost-context-dev)");
    /* What C cannot convert, a function and a pointer to data, POSIX lets dlsym return. */
    *(void **)&make = dlsym(library, "make_fcontext");
    *(void **)&room->boost = dlsym(library, "jump_fcontext");
    if (!make || !room->boost)
        return trial_needs(trial, "a Boost.Context with make_fcontext and jump_fcontext");
    for (uint64_t i = 0; i < room->count; i++)
        room->coroutines[i].place =
            make(stacks + (i + 1) * STACK_BYTES - colours[i], STACK_BYTES - colours[i], boost_entry);
    return 0;
}

/* By itself, since getcontext counts as a function that may return twice. */
static void prepare_context(ucontext_t *context, unsigned char *stack, size_t bytes, void (*entry)(void))
{
    getcontext(context);
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = bytes;
    makecontext(context, entry, 0);
}

static void prepare(struct room *room, int by, unsigned char *stacks, const size_t *colours)
{
    static void (*const entries[])(void) = {[JUMP] = JUMP_entry,
                                            [RET] = RET_entry,
                                            [JUMP_FP] = JUMP_FP_entry,
                                            [LONGJMP] = LONGJMP_entry,
                                            [SWAPCONTEXT] = SWAPCONTEXT_entry};

    for (uint64_t i = 0; i < room->count; i++) {
        struct coroutine *coroutine = &room->coroutines[i];
        unsigned char *begin = stacks + i * STACK_BYTES;

        coroutine->place = new_stack(begin + STACK_BYTES - colours[i], entries[by]);
        if (by == SWAPCONTEXT)
            prepare_context(&coroutine->context, begin, STACK_BYTES - colours[i], entries[by]);
    }
}

/* Both sides of a switch whose registers are looked at. */
struct side {
    void *place;
    uint64_t values[SAVED_WORDS];
};
static struct {
    switch_function *by;
    struct side here, there;
} kept;

static void fill(struct side *side, uint64_t value)
{
    for (int i = 0; i < SAVED_WORDS; i++)
        side->values[i] = value + (uint64_t)i;
}

/* The first of these registers that is not as it was, or 0. */
static int lost(const struct side *side, uint64_t value)
{
    for (int i = KEPT_FIRST; i < KEPT_END; i++)
        if (i != SAVED_AT && side->values[i] != value + (uint64_t)i)
            return i;
    return 0;
}

static void kept_entry(void)
{
    for (;;)
        coroutine_keep(kept.by, &kept.there.place, kept.here.place, kept.there.values);
}

/* Each side has values of its own in all registers that a called function keeps. They are there again after a switch away and back. */
static int check_registers(struct trial *trial, switch_function *by, unsigned char *stack)
{
    const uint64_t here = 0x1111111100000000, there = 0x2222222200000000;
    int register_lost = 0;

    kept.by = by;
    kept.there.place = new_stack(stack + STACK_BYTES, kept_entry);
    fill(&kept.there, there);
    for (int turn = 0; turn < 2 && !register_lost; turn++) { /* the other side comes back in the second */
        fill(&kept.here, here);
        coroutine_keep(by, &kept.here.place, kept.there.place, kept.here.values);
        register_lost = lost(&kept.here, here);
        register_lost = register_lost ? register_lost : lost(&kept.there, there);
    }
    return register_lost ? trial_fault(trial, "kept register %d did not survive a switch", register_lost) : 0;
}

static int setup(struct trial *trial)
{
    static switch_function *const own[] = {
        [JUMP] = coroutine_jump, [RET] = coroutine_ret, [JUMP_FP] = coroutine_jump_fp};
    const int64_t count = trial->value[COROUTINES];
    const int by = (int)trial->value[BY];
    unsigned char *stacks;
    struct room *room;
    size_t *colours;

    if (count < 1 || count > MAX_COROUTINES) {
        trial_fault(trial, "coroutines=%" PRId64 " is not 1 to %d", count, MAX_COROUTINES);
        return -EINVAL;
    }
    if (SANITIZED && by != CALL)
        return trial_needs(trial, "an engine without sanitizers, which know one stack a thread");
    if (by == SWAPCONTEXT && !CONTEXTS_THERE)
        return trial_needs(trial, "a C library with swapcontext, such as glibc");
    room = trial_alloc(trial, sizeof *room);
    if (!room)
        return -ENOMEM;
    room->count = (uint64_t)count;
    room->called = called;
    room->coroutines = trial_alloc(trial, room->count * sizeof *room->coroutines);
    colours = trial_alloc(trial, room->count * sizeof *colours);
    stacks = by == CALL ? NULL : trial_alloc(trial, room->count * STACK_BYTES);
    if (!room->coroutines || !colours || (!stacks && by != CALL))
        return -ENOMEM;
    for (uint64_t i = 0; trial->value[STACKS] == 0 && i < room->count; i++)
        colours[i] = i * COLOUR_BYTES % PAGE_BYTES;
    /* `stacks` says again what was seen above: gcc, with a sanitizer, does not follow it, and warns of memory at NULL. */
    if (stacks && (by == JUMP || by == RET || by == JUMP_FP)) {
        const int status = check_registers(trial, own[by], stacks); /* the first stack, before it is a coroutine's */

        if (status)
            return status;
    }
    beginning_in = room;
    if (by == BOOST)
        return prepare_boost(trial, room, stacks, colours);
    if (by != CALL)
        prepare(room, by, stacks, colours);
    return 0;
}

/* Each resumption was one turn of the coroutine whose turn it was. */
static int check(struct trial *trial)
{
    const struct room *room = trial->state;

    for (uint64_t i = 0; i < room->count; i++) {
        const uint64_t expected = room->resumed / room->count + (i < room->resumed % room->count);

        if (room->coroutines[i].made != expected)
            return trial_fault(trial, "coroutine %" PRIu64 " was resumed %" PRIu64 " times and counted %" PRIu64, i,
                               expected, room->coroutines[i].made);
    }
    return 0;
}
#else
static int setup(struct trial *trial)
{
    return trial_needs(trial, "x86-64, aarch64 or riscv64 with hardware for floating point");
}

static void run(struct worker *worker, uint64_t operations)
{
    (void)worker;
    (void)operations;
}

static int check(struct trial *trial)
{
    (void)trial;
    return 0;
}
#endif

/* Each stack is a mapping with a guard: seen 14 us to make and to end one. */
static uint64_t cost_ns(const struct trial *trial)
{
    return trial->value[BY] == CALL ? 0 : (uint64_t)trial->value[COROUTINES] * 14000;
}

KERNEL(coroutine_switch,
    .name       = "coroutine/switch",
    .summary    = "coroutines on stacks of their own are resumed in turn, count and yield",
    .unit       = "round trip",
    .threads    = { .min = 1, .max = 1 },
    .flags      = KERNEL_TWIN | KERNEL_SOLE,
    .parameters = { [BY] = { .name = "by", .summary = "how one stack is left for another",
                             .labels = "call jump ret jump_fp longjmp swapcontext boost", .initial = JUMP,
                             .quick = "call jump ret longjmp", .standard = "*", .rigorous = "*" },
                    [COROUTINES] = { .name = "coroutines", .unit = "coroutines", .summary = "that are resumed in turn", .initial = 1,
                                     .quick = "1", .standard = "1 16 128 1000", .rigorous = "1 2 4 16 64 128 256 512 1000" },
                    [STACKS] = { .name = "stacks", .summary = "where in its page each begins", .labels = "coloured aligned",
                                 .initial = 0, .quick = "coloured", .standard = "coloured", .rigorous = "*" } },
    .setup      = setup,
    .run        = run,
    .check      = check,
    .cost_ns    = cost_ns);
