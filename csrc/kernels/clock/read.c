/*
 * clock/read:  what does it cost to read the clock, for each way of reading it?
 * clock/delta: how close can two readings in a row be, and how fine is the counter?
 *
 * One operation of clock/read is one reading, as a 64-bit value in a register, in a loop of nothing else. So it is
 * throughput. One event of clock/delta is the difference of two readings in a row, as an empty interval looks through
 * this clock. The empty window is not subtracted, because the event is an empty window.
 * Excluded:  the sampler's window (clock/read), and nothing for clock/delta. The store of each difference runs beside
 *            the reading.
 * Expect:    reference guest (Intel family 6 model 207, TSC 2.3 GHz). The p50 of clock/delta in ticks: rdtsc 22, rdtscp
 *            36, lfence_rdtsc 36, lfence_rdtsc_lfence 46, rdtscp_lfence 46, mfence_lfence_rdtsc 60, serialize_rdtsc
 *            104. There cpuid_rdtsc is 19120, an exit to the hypervisor (about 100-200 on bare metal). For clock/read:
 *            rdtsc 22.3, rdtscp 36.1, lfence_rdtsc_lfence 47.6. On aarch64 and riscv64: unknown here. Steps of 10-40 ns
 *            and up to 1 us are usual.
 * Hazards:   a counter may move in steps (quantum_ticks) larger than a reading takes. Its deltas are then 0 or a whole
 *            step, the median says nothing, and the mean is the figure to read. Deltas include every gap in which
 *            something else ran. Some cores never give the same value twice (seen on Zen 4, steps of 26 ticks). There a
 *            second plain rdtsc within a step reads 1 more, so deltas are 1, 25 and 26. Then quantum_ticks of rdtsc is
 *            1, and that of slower variants is the step.
 * Not shown: how far an unfenced reading strays from its place in the program (clock/bias).
 */
#include "reads.h"

#include <errno.h>
#include <stdlib.h>

#define DELTAS_PER_BATCH 1024
#define DELTA_BATCHES 10 /* 10 240 in a process, 204 800 in the 20 of the standard profile */
/* A reading that leaves the guest takes microseconds: 2000 in a standard run are enough. */
#define SLOW_DELTAS_PER_BATCH 10
#define SLOT_BITS 14 /* more slots than deltas in a process, so that every one could be distinct */
#define SLOTS (1 << SLOT_BITS)

/* One list for all architectures, as an enumeration and as words ("rdtsc rdtscp …", whose first space is skipped). */
#define ALL_READS(X) X86_64_READS(X) AARCH64_READS(X) RISCV64_READS(X) ANYWHERE_READS(X)
#define VALUE(name) READ_##name,
#define WORD(name) " " #name
#define LABELS &ALL_READS(WORD)[1]
/* A sweep has those of this architecture. One of another can be named, and is refused with the reason. */
#define NATIVE_LABELS &NATIVE_READS(WORD) ANYWHERE_READS(WORD)[1]
#define VALUE_OF(name) VALUE_OF_EXPANDED(name)
#define VALUE_OF_EXPANDED(name) READ_##name
#define LOOP_OF(name) LOOP_OF_EXPANDED(name)
#define LOOP_OF_EXPANDED(name) loop_##name

enum { ALL_READS(VALUE) READ_COUNT };

#define NEED_OF_X86_64(name) [READ_##name] = NEED_X86_64,
#define NEED_OF_AARCH64(name) [READ_##name] = NEED_AARCH64,
#define NEED_OF_RISCV64(name) [READ_##name] = NEED_RISCV64,

static const unsigned need_of[READ_COUNT] = {X86_64_READS(NEED_OF_X86_64) AARCH64_READS(NEED_OF_AARCH64)
                                                 RISCV64_READS(NEED_OF_RISCV64)};

struct readings {
    uint64_t first, last; /* ends of all batches so far */
    uint64_t batches, backward;
};

/* After each batch: the clock has not gone back since the batch before. */
static void note(struct readings *readings, uint64_t now)
{
    if (readings->batches++ == 0)
        readings->first = now;
    else if (now < readings->last)
        readings->backward++;
    readings->last = now;
}

/* OPAQUE: the whole 64-bit value is made in every turn, whichever the compiler. */
#define LOOP(name)                                                                                                     \
    static void loop_##name(struct worker *worker, uint64_t operations)                                                \
    {                                                                                                                  \
        uint64_t now = 0;                                                                                              \
                                                                                                                       \
        for (uint64_t i = 0; i < operations; i++) {                                                                    \
            now = read_##name();                                                                                       \
            OPAQUE(now);                                                                                               \
        }                                                                                                              \
        note(worker->trial->state, now);                                                                               \
    }

#define DELTAS(name)                                                                                                   \
    static void deltas_##name(int64_t *deltas, uint64_t count)                                                         \
    {                                                                                                                  \
        uint64_t before = read_##name();                                                                               \
                                                                                                                       \
        for (uint64_t i = 0; i < count; i++) {                                                                         \
            const uint64_t now = read_##name();                                                                        \
                                                                                                                       \
            deltas[i] = (int64_t)(now - before);                                                                       \
            before = now;                                                                                              \
        }                                                                                                              \
    }

#define ONCE(name)                                                                                                     \
    static uint64_t once_##name(void)                                                                                  \
    {                                                                                                                  \
        return read_##name();                                                                                          \
    }

NATIVE_READS(LOOP)
NATIVE_READS(DELTAS)
NATIVE_READS(ONCE)
ANYWHERE_READS(LOOP)
ANYWHERE_READS(DELTAS)

struct reader {
    void (*loop)(struct worker *worker, uint64_t operations);
    void (*deltas)(int64_t *deltas, uint64_t count);
    uint64_t (*once)(void); /* NULL where the value is not the tick counter's */
};

#define READER(name) [READ_##name] = {loop_##name, deltas_##name, once_##name},

static const struct reader readers[READ_COUNT] = {
    [READ_monotonic_raw] = {loop_monotonic_raw, deltas_monotonic_raw, NULL}, NATIVE_READS(READER)};

static int read_needs(struct trial *trial)
{
    const int64_t read = trial->value[0];

    if (!readers[read].loop)
        return trial_needs(trial, capability_text(need_of[read]));
    if (read == READ_serialize_rdtsc && !(capabilities() & NEED_SERIALIZE))
        return trial_needs(trial, capability_text(NEED_SERIALIZE));
    return 0;
}

static int read_setup(struct trial *trial)
{
    const int error = read_needs(trial);

    if (error)
        return error;
    trial->run = readers[trial->value[0]].loop;
    return trial_alloc(trial, sizeof(struct readings)) ? 0 : -ENOMEM;
}

/* The clock went on from batch to batch, and the value is the counter's: between two ordered readings around it. */
static int read_check(struct trial *trial)
{
    const struct readings *readings = trial->state;
    const struct reader *reader = &readers[trial->value[0]];

    if (readings->batches < 2 || readings->backward || readings->last <= readings->first)
        return trial_fault(trial, "the clock did not go forward: %llu of %llu batches ended before the one before them",
                           (unsigned long long)readings->backward, (unsigned long long)readings->batches);
    if (reader->once) {
        const uint64_t before = tick_now(), value = reader->once(), after = tick_now();

        if (value < before || value > after || readings->last > before)
            return trial_fault(trial, "the value read is not the tick counter's");
    }
    return 0;
}

struct deltas {
    int64_t count, negative, distinct;
    struct {
        int64_t delta, seen;
    } slots[SLOTS]; /* a hash table of the deltas seen */
};

static int delta_setup(struct trial *trial)
{
    const int error = read_needs(trial);

    if (error)
        return error;
    return trial_alloc(trial, sizeof(struct deltas)) ? 0 : -ENOMEM;
}

static void account(struct deltas *deltas, int64_t delta)
{
    /* Fibonacci hashing: the upper bits of a product with 2^64 / golden ratio spread even multiples of one quantum. */
    uint64_t slot = (uint64_t)delta * UINT64_C(0x9e3779b97f4a7c15) >> (64 - SLOT_BITS);

    deltas->count++;
    deltas->negative += delta < 0;
    while (deltas->slots[slot].seen && deltas->slots[slot].delta != delta)
        slot = (slot + 1) % SLOTS;
    /* One slot stays empty, or a search could go round for ever. */
    if (!deltas->slots[slot].seen && deltas->distinct == SLOTS - 1)
        return;
    deltas->distinct += !deltas->slots[slot].seen++;
    deltas->slots[slot].delta = delta;
}

/* The greatest common divisor of all deltas: each different one need only be looked at once. */
static uint64_t quantum_of(const struct deltas *deltas)
{
    uint64_t quantum = 0;

    for (unsigned slot = 0; slot < SLOTS; slot++) {
        uint64_t rest = (uint64_t)llabs(deltas->slots[slot].delta);

        while (rest) {
            const uint64_t next = quantum % rest;

            quantum = rest;
            rest = next;
        }
    }
    return quantum;
}

static int64_t delta_events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;

    if (trial->value[0] == READ_cpuid_rdtsc && count > SLOW_DELTAS_PER_BATCH)
        count = SLOW_DELTAS_PER_BATCH;
    readers[trial->value[0]].deltas(ticks, count);
    for (uint64_t i = 0; i < count; i++)
        account(trial->state, ticks[i]);
    if (trial->value[0] == READ_monotonic_raw)
        for (uint64_t i = 0; i < count; i++)
            ticks[i] = (int64_t)((double)ticks[i] * trial->tick_hz / 1e9 + 0.5);
    return (int64_t)count;
}

/* A counter that cannot go back has not. Unfenced readings may be taken in the wrong order: of them it is a result. */
static int never_back(int64_t read)
{
    if (read == READ_rdtsc || read == READ_cntvct || read == READ_rdtime)
        return 0;
#ifdef HAS_X86_64
    uint32_t eax = 0x80000007, ebx, ecx = 0, edx;

    /* CPUID.80000007H:EDX[8], invariant TSC: without it a change of CPU or of frequency may turn it back. */
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return read == READ_monotonic_raw || (edx >> 8 & 1);
#else
    return 1;
#endif
}

static int delta_check(struct trial *trial)
{
    const struct deltas *deltas = trial->state;
    /* Of CLOCK_MONOTONIC_RAW the gcd is in nanoseconds. */
    const double ticks = trial->value[0] == READ_monotonic_raw ? trial->tick_hz / 1e9 : 1;
    const uint64_t quantum = quantum_of(deltas);

    trial->metric[0] = (double)quantum * ticks;
    trial->metric[1] = (double)deltas->distinct;
    trial->metric[2] = (double)deltas->negative;
    if (deltas->count == 0 || quantum == 0)
        return trial_fault(trial, "the clock stood still in all of %lld differences", (long long)deltas->count);
    if (deltas->negative && never_back(trial->value[0]))
        return trial_fault(trial, "%lld of %lld differences are negative, of a counter that never goes back",
                           (long long)deltas->negative, (long long)deltas->count);
    return 0;
}

static uint64_t delta_cost_ns(const struct trial *trial)
{
    if (!readers[trial->value[0]].loop)
        return 0; /* refused in setup */
    return trial->value[0] == READ_cpuid_rdtsc ? 700000 : 1000000;
}

#define READ_PARAMETER                                                                                                 \
    {                                                                                                                  \
        .name = "read", .unit = "instructions", .summary = "how the clock is read", .labels = LABELS,                  \
        .initial = VALUE_OF(NATIVE_BEST), .quick = NATIVE_LABELS, .standard = NATIVE_LABELS, .rigorous = NATIVE_LABELS \
    }

KERNEL(read,
    .name       = "clock/read",
    .summary    = "a loop reads the clock again and again, in one of several ways",
    .unit       = "reading",
    .threads    = { .min = 1, .max = 1 },
    .parameters = { READ_PARAMETER },
    .setup      = read_setup,
    .run        = LOOP_OF(NATIVE_BEST),
    .check      = read_check);

KERNEL(delta,
    .name             = "clock/delta",
    .summary          = "the difference of two readings in a row shows cost, step and order of the counter",
    .unit             = "difference",
    .threads          = { .min = 1, .max = 1 },
    .parameters       = { READ_PARAMETER },
    .metrics          = { { "quantum_ticks", "ticks", "greatest common divisor of all differences: the step" },
                          { "distinct", "values", "number of different differences" },
                          { "negative", "differences", "differences below zero" } },
    .setup            = delta_setup,
    .events           = delta_events,
    .events_per_batch = DELTAS_PER_BATCH,
    .batches          = DELTA_BATCHES,
    .check            = delta_check,
    .cost_ns          = delta_cost_ns);
