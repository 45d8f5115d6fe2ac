/*
 * process/peek: what does it cost to read the memory of another process?
 *
 * One event is a reading of 4 KiB from a child that sleeps. Readings of 8 bytes and of 64 KiB take turns with it.
 *   peekdata  PTRACE_PEEKDATA, a word with each call. The child is stopped for it
 *   mem       pread of /proc/PID/mem
 *   vm        process_vm_readv
 *   own       memcpy from the memory of this process: the control
 * Excluded:  making the child and stopping it.
 * Expect:    guest of an AMD EPYC, Linux 6.18, ns for 8 bytes: peekdata 1930, mem 1600, vm 1780. For 4 KiB: peekdata
 *            1070000, mem 1500, vm 1880.
 * Hazards:   child and parent have different bytes at the same address. The bytes that were read must be the child's. A
 *            word that PTRACE_POKEDATA writes must be the child's afterwards. Yama and seccomp forbid it on some
 *            systems.
 * Not shown: registers, a process that runs meanwhile, and memory that the other has not touched.
 */
#define _GNU_SOURCE
#include "kernels/other_process.h"

#include <sys/uio.h>

enum { PEEKDATA, MEM, VM, OWN };
enum { B8_NS, B4096_NS, B65536_NS };

#define SIZES 3
static const size_t sizes[SIZES] = {8, 4096, 65536};
#define MOST_BYTES ((size_t)65536)
#define OF_4_KIB 1
#define TURNS 8
/* 64 KiB by words take 16 ms. */
#define TURNS_OF_MOST_BY_WORDS 2
/* Of 8 bytes so many are timed together. */
#define IN_A_ROW 16

struct peeks {
    unsigned char *from, *to; /* `from`: at the same address in both processes */
    pid_t other;              /* 0: none */
    int mem;                  /* -1: none */
    int stopped;
    uint64_t made, failed;
    double ticks[SIZES][TURNS];
    unsigned turns, of_most;
};

static unsigned char content_of(size_t at, int own)
{
    return (unsigned char)(at % 251 + (own ? 1 : 3));
}

/* The other process: bytes of its own, a word that it has them, and then nothing. Never returns. */
static void be_the_other(const struct peeks *peeks, int ready)
{
    for (size_t i = 0; i < MOST_BYTES; i++)
        peeks->from[i] = content_of(i, 0);
    (void)!write(ready, "", 1);
    for (;;)
        pause();
}

static int peek_words(const struct peeks *peeks, size_t size)
{
    for (size_t at = 0; at < size; at += sizeof(long)) {
        long word;

        errno = 0;
        word = ptrace(PTRACE_PEEKDATA, peeks->other, peeks->from + at, NULL);
        if (errno)
            return 0;
        memcpy(peeks->to + at, &word, sizeof word);
    }
    return 1;
}

static int peek(const struct peeks *peeks, int by, size_t size)
{
    struct iovec to = {peeks->to, size}, from = {peeks->from, size};

    switch (by) {
    case PEEKDATA:
        return peek_words(peeks, size);
    case MEM:
        return pread(peeks->mem, peeks->to, size, (off_t)(uintptr_t)peeks->from) == (ssize_t)size;
    case VM:
        return process_vm_readv(peeks->other, &to, 1, &from, 1, 0) == (ssize_t)size;
    default:
        memcpy(peeks->to, peeks->from, size);
        __asm__ volatile("" : : "r"(peeks->to) : "memory");
        return 1;
    }
}

static __attribute__((noinline)) void peeks_of(struct peeks *peeks, int by, size_t size, size_t count)
{
    for (size_t i = 0; i < count; i++)
        peeks->failed += !peek(peeks, by, size);
    peeks->made += count;
}

static int start(struct trial *trial, struct peeks *peeks)
{
    int ready[2], other;
    char word;
    ssize_t got;

    if (pipe2(ready, O_CLOEXEC))
        return -errno;
    other = other_start(trial);
    if (other == 0)
        be_the_other(peeks, ready[1]);
    close(ready[1]);
    peeks->other = other > 0 ? other : 0;
    do
        got = other > 0 ? read(ready[0], &word, 1) : 1;
    while (got < 0 && errno == EINTR);
    close(ready[0]);
    if (other < 0)
        return other;
    return got == 1 ? 0 : trial_fault(trial, "the other process ended before it had its memory");
}

/* Stop it, for ptrace, or open its memory as a file. 0 or -errno. */
static int look_into(struct trial *trial, struct peeks *peeks, int by)
{
    char path[64];
    int status;

    if (by == PEEKDATA) {
        if (ptrace(PTRACE_ATTACH, peeks->other, NULL, NULL))
            return trial_needs(trial, NO_TRACING);
        peeks->stopped = 1;
        return other_stops(peeks->other, &status);
    }
    if (by == MEM) {
        snprintf(path, sizeof path, "/proc/%d/mem", (int)peeks->other);
        peeks->mem = open(path, O_RDWR | O_CLOEXEC);
        if (peeks->mem < 0)
            return trial_needs(trial, NO_TRACING);
    }
    return 0;
}

static int setup(struct trial *trial)
{
    struct peeks *peeks = trial_alloc(trial, sizeof *peeks);
    const int by = (int)trial->value[0];
    int status;

    if (!peeks)
        return -ENOMEM;
    peeks->mem = -1;
    peeks->from = private_pages(MOST_BYTES, 0);
    peeks->to = trial_alloc(trial, MOST_BYTES);
    if (!peeks->from || !peeks->to)
        return -ENOMEM;
    for (size_t i = 0; i < MOST_BYTES; i++)
        peeks->from[i] = content_of(i, 1);
    status = start(trial, peeks);
    if (!status)
        status = look_into(trial, peeks, by);
    if (status)
        return status;
    peeks_of(peeks, by, sizes[OF_4_KIB], 1);
    return peeks->failed ? trial_needs(trial, NO_TRACING) : 0;
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;
    struct peeks *peeks = trial->state;
    const int by = (int)trial->value[0];
    uint64_t made = 0;

    for (; made < count && peeks->turns < TURNS; made++, peeks->turns++) {
        for (int i = 0; i < SIZES; i++) {
            const size_t several = i == 0 ? IN_A_ROW : 1;
            uint64_t begin, end;

            if (by == PEEKDATA && sizes[i] == MOST_BYTES && peeks->turns >= TURNS_OF_MOST_BY_WORDS)
                continue;
            begin = tick_begin();
            peeks_of(peeks, by, sizes[i], several);
            end = tick_end();
            peeks->ticks[i][peeks->turns] = fmax(0, net_ticks(trial, begin, end)) / (double)several;
            peeks->of_most += sizes[i] == MOST_BYTES;
        }
        ticks[made] = llround(peeks->ticks[OF_4_KIB][peeks->turns]);
    }
    return (int64_t)made;
}

/* A word that is written is the other's, and not this process's. 0 or -errno. */
static int check_write(struct trial *trial, struct peeks *peeks, int by)
{
    const long word = 0x5eed;
    struct iovec from = {(void *)(uintptr_t)&word, sizeof word}, to = {peeks->from, sizeof word};
    int wrote = 1;

    if (by == PEEKDATA)
        wrote = ptrace(PTRACE_POKEDATA, peeks->other, peeks->from, word) == 0;
    else if (by == MEM)
        wrote = pwrite(peeks->mem, &word, sizeof word, (off_t)(uintptr_t)peeks->from) == sizeof word;
    else if (by == VM)
        wrote = process_vm_writev(peeks->other, &from, 1, &to, 1, 0) == sizeof word;
    else
        return 0;
    memset(peeks->to, 0, sizeof word);
    if (!wrote || !peek(peeks, by, sizeof word) || memcmp(peeks->to, &word, sizeof word) != 0)
        return trial_fault(trial, "a word that was written to the other process is not there");
    return peeks->from[0] == content_of(0, 1) ? 0 : trial_fault(trial, "the word was written to this process");
}

/* What was read is the other's. */
static int check(struct trial *trial)
{
    struct peeks *peeks = trial->state;
    const int by = (int)trial->value[0];

    if (peeks->failed)
        return trial_fault(trial, "%" PRIu64 " of %" PRIu64 " readings failed", peeks->failed, peeks->made);
    memset(peeks->to, 0, MOST_BYTES);
    peeks_of(peeks, by, MOST_BYTES, 1);
    for (size_t i = 0; i < MOST_BYTES; i++)
        if (peeks->to[i] != content_of(i, by == OWN))
            return trial_fault(trial, "byte %zu is %u instead of %u", i, peeks->to[i], content_of(i, by == OWN));
    for (int i = 0; i < SIZES; i++) {
        const unsigned known = sizes[i] == MOST_BYTES ? peeks->of_most : TURNS;

        trial->metric[i] = median_of(peeks->ticks[i], known) / trial->tick_hz * 1e9;
    }
    return check_write(trial, peeks, by);
}

static void teardown(struct trial *trial)
{
    struct peeks *peeks = trial->state;

    if (!peeks)
        return;
    if (peeks->mem >= 0)
        close(peeks->mem);
    other_end(peeks->other);
    if (peeks->from)
        munmap(peeks->from, MOST_BYTES);
}

/* A fork of the interpreter, and the words of 64 KiB three times. */
static uint64_t cost_ns(const struct trial *trial)
{
    return trial->value[0] == PEEKDATA ? 5000000 + UINT64_C(70000000) : 6000000;
}

KERNEL(peek,
    .name             = "process/peek",
    .summary          = "a process reads the memory of another, 8 bytes, 4 KiB and 64 KiB",
    .unit             = "reading of 4 KiB",
    .threads          = { .min = 1, .max = 1 },
    .subject          = FLAG_FAULTED | FLAG_SWITCHED,
    .parameters       = { { .name = "by", .summary = "which call reads", .labels = "peekdata mem vm own", .initial = VM,
                            .quick = "*", .standard = "*", .rigorous = "*" } },
    .metrics          = { [B8_NS]     = { "b8_ns", "ns", "a reading of 8 bytes" },
                          [B4096_NS]  = { "b4096_ns", "ns", "a reading of 4 KiB" },
                          [B65536_NS] = { "b65536_ns", "ns", "a reading of 64 KiB" } },
    .setup            = setup,
    .events           = events,
    .events_per_batch = 1,
    .batches          = TURNS,
    .check            = check,
    .teardown         = teardown,
    .cost_ns          = cost_ns);
