/*
 * kernel/copy: what does it cost to bring bytes into Linux and out of it, apart from the call itself?
 *
 * One event is one transfer of 4 KiB, the mean of several in a row. Beside each the same is done with seven other
 * sizes, from 1 byte to 1 MiB, in turn. Medians of all eight make a straight line. A transfer of n bytes takes call_ns
 * + n * kib_ns / 1024.
 *   pipe    write to a pipe and read from it: two calls, two copies
 *   file    pread from a file in memory (tmpfs): one copy
 *   vm      process_vm_readv from this process itself: one copy
 *   zero    read of /dev/zero, which clears and copies nothing
 *   null    write to /dev/null, which does neither: the control. It must be flat
 *   memcpy  in the program, without a call: the floor
 * Excluded:  making the file and filling it, and the first transfer of each size.
 * Expect:    guest of an AMD EPYC, Linux 6.18. call_ns: null 230, zero 250, file 540, pipe 800, vm 1320. kib_ns: null
 *            0, zero 28, memcpy 35, file 80, vm 92. The pipe has 200 or more, since each page of it is allocated.
 * Hazards:   256 KiB and 1 MiB leave the second-level cache, and bend the line. The metric fit is its R squared, and
 *            spread is the dearest size over the cheapest. A null with a spread above 1.1 shows that the machine
 *            changed between the sizes.
 * Not shown: files on a device, several processes, and ways that pass pages instead of bytes.
 */
#define _GNU_SOURCE
#include "kernels/straight.h"
#include "kernels/system.h"

#include <sys/uio.h>

enum { PIPE, FILE_IN_MEMORY, VM, ZERO, NULL_DEVICE, MEMCPY };

/* From one byte to more than a second-level cache, densest where one page becomes several. */
#define SIZES 8
static const double sizes[SIZES] = {1, 64, 1024, 4096, 16384, 65536, 262144, 1048576};
#define MOST_BYTES ((size_t)1 << 20)
#define OF_4_KIB 3

enum { CALL_NS = SIZES, KIB_NS, FIT, SPREAD, FOOTPRINT };

#define TURNS 24
/* One transfer of 1 MiB takes some 100 us. Of smaller ones so many are timed together, as long as that is less, but no more. */
#define MOST_IN_A_ROW 32
#define BYTES_IN_A_ROW ((size_t)1 << 17)

struct transfers {
    unsigned char *from, *to;
    int ends[2];   /* of a pipe. A file or device has the first alone. -1 if there is none */
    pid_t process; /* this one */
    uint64_t made, short_ones;
    double ticks[SIZES][TURNS];
    uint64_t turns;
};

static size_t in_a_row(const struct trial *trial, size_t size)
{
    const size_t fit = BYTES_IN_A_ROW / size;

    /* A null has the same number for each size: else the loop's own share would be a slope. */
    if (trial->value[0] == NULL_DEVICE || fit > MOST_IN_A_ROW)
        return MOST_IN_A_ROW;
    return fit ? fit : 1;
}

/* All of `size` bytes into the pipe and out of it: it has room for them. */
static ssize_t through_pipe(const struct transfers *transfers, size_t size)
{
    size_t done = 0;

    if (write(transfers->ends[1], transfers->from, size) != (ssize_t)size)
        return -1;
    while (done < size) {
        const ssize_t got = read(transfers->ends[0], transfers->to + done, size - done);

        if (got <= 0)
            return -1;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

static ssize_t transfer(const struct transfers *transfers, int by, size_t size)
{
    struct iovec to = {transfers->to, size}, from = {transfers->from, size};

    switch (by) {
    case PIPE:
        return through_pipe(transfers, size);
    case FILE_IN_MEMORY:
        return pread(transfers->ends[0], transfers->to, size, 0);
    case VM:
        return process_vm_readv(transfers->process, &to, 1, &from, 1, 0);
    case ZERO:
        return read(transfers->ends[0], transfers->to, size);
    case NULL_DEVICE:
        return write(transfers->ends[0], transfers->from, size);
    default:
        memcpy(transfers->to, transfers->from, size);
        __asm__ volatile("" : : "r"(transfers->to) : "memory");
        return (ssize_t)size;
    }
}

/* So many transfers of one size. Not inlined: what is timed is one call, whoever asks for it. */
static __attribute__((noinline)) void transfers_of(struct transfers *transfers, int by, size_t size, size_t count)
{
    for (size_t i = 0; i < count; i++)
        transfers->short_ones += transfer(transfers, by, size) != (ssize_t)size;
    transfers->made += count;
}

/* 0 or -errno. */
static int open_way(struct trial *trial, struct transfers *transfers)
{
    const int by = (int)trial->value[0];

    if (by == PIPE) {
        if (pipe2(transfers->ends, O_CLOEXEC))
            return -errno;
        if (fcntl(transfers->ends[1], F_SETPIPE_SZ, (int)MOST_BYTES) < (int)MOST_BYTES)
            return trial_needs(trial, "a pipe of 1 MiB (fs.pipe-max-size, fs.pipe-user-pages-soft)");
    } else if (by == FILE_IN_MEMORY) {
        transfers->ends[0] = memfd_create("copy", MFD_CLOEXEC);
        if (transfers->ends[0] < 0 || write(transfers->ends[0], transfers->from, MOST_BYTES) != (ssize_t)MOST_BYTES)
            return trial_needs(trial, "a file of 1 MiB in memory (memfd_create, ulimit -f)");
    } else if (by == ZERO || by == NULL_DEVICE) {
        transfers->ends[0] = open(by == ZERO ? "/dev/zero" : "/dev/null", O_RDWR | O_CLOEXEC);
        if (transfers->ends[0] < 0)
            return trial_needs(trial, by == ZERO ? "/dev/zero" : "/dev/null");
    }
    return 0;
}

static unsigned char content_of(size_t at)
{
    return (unsigned char)(at % 251 + 1);
}

static int setup(struct trial *trial)
{
    struct transfers *transfers = trial_alloc(trial, sizeof *transfers);
    int status;

    if (!transfers)
        return -ENOMEM;
    transfers->ends[0] = transfers->ends[1] = -1;
    transfers->process = getpid();
    transfers->from = trial_alloc(trial, MOST_BYTES);
    transfers->to = trial_alloc(trial, MOST_BYTES);
    if (!transfers->from || !transfers->to)
        return -ENOMEM;
    for (size_t i = 0; i < MOST_BYTES; i++)
        transfers->from[i] = content_of(i);
    memset(transfers->to, 255, MOST_BYTES);
    status = open_way(trial, transfers);
    if (status)
        return status;
    for (int i = 0; i < SIZES; i++)
        transfers_of(transfers, (int)trial->value[0], (size_t)sizes[i], 1);
    if (transfers->short_ones && trial->value[0] == VM)
        return trial_needs(trial, "process_vm_readv (a filter of system calls forbids it)");
    return 0;
}

/* One turn: each size once, so that all of them meet the same machine. */
static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;
    struct transfers *transfers = trial->state;
    uint64_t made = 0;

    for (; made < count && transfers->turns < TURNS; made++, transfers->turns++) {
        for (int i = 0; i < SIZES; i++) {
            const size_t several = in_a_row(trial, (size_t)sizes[i]);
            const uint64_t begin = tick_begin();
            uint64_t end;

            transfers_of(transfers, (int)trial->value[0], (size_t)sizes[i], several);
            end = tick_end();
            transfers->ticks[i][transfers->turns] = fmax(0, net_ticks(trial, begin, end)) / (double)several;
        }
        ticks[made] = llround(transfers->ticks[OF_4_KIB][transfers->turns]);
    }
    return (int64_t)made;
}

/* Every transfer was whole, and what arrived is what was sent: nothing at /dev/null, zeros of /dev/zero. */
static int check(struct trial *trial)
{
    const int by = (int)trial->value[0];
    struct transfers *transfers = trial->state;
    double ns[SIZES];
    struct straight line;

    if (transfers->short_ones)
        return trial_fault(trial, "%" PRIu64 " of %" PRIu64 " transfers were not whole", transfers->short_ones,
                           transfers->made);
    memset(transfers->to, 255, MOST_BYTES);
    transfers_of(transfers, by, MOST_BYTES, 1);
    for (size_t i = 0; i < MOST_BYTES; i++) {
        const unsigned char wanted = by == ZERO ? 0 : by == NULL_DEVICE ? 255 : content_of(i);

        if (transfers->to[i] != wanted)
            return trial_fault(trial, "byte %zu is %u instead of %u", i, transfers->to[i], wanted);
    }
    for (int i = 0; i < SIZES; i++) {
        ns[i] = median_of(transfers->ticks[i], transfers->turns) / trial->tick_hz * 1e9;
        trial->metric[i] = ns[i];
    }
    line = straight_through(sizes, ns, SIZES);
    trial->metric[CALL_NS] = line.start;
    trial->metric[KIB_NS] = line.slope * 1024;
    trial->metric[FIT] = line.fit;
    trial->metric[SPREAD] = line.spread;
    trial->metric[FOOTPRINT] = by == NULL_DEVICE ? 0 : 2.0 * MOST_BYTES;
    return 0;
}

static void teardown(struct trial *trial)
{
    const struct transfers *transfers = trial->state;

    for (int i = 0; transfers && i < 2; i++)
        if (transfers->ends[i] >= 0)
            close(transfers->ends[i]);
}

/* Seen 1.2 ms a turn of the dearest. */
static uint64_t cost_ns(const struct trial *trial)
{
    return TURNS * (trial->value[0] == NULL_DEVICE ? UINT64_C(60000) : UINT64_C(600000)) + 5000000;
}

KERNEL(copy,
    .name             = "kernel/copy",
    .summary          = "a program hands bytes to Linux and takes them back, in eight sizes from 1 byte to 1 MiB",
    .unit             = "transfer of 4 KiB",
    .threads          = { .min = 1, .max = 1 },
    .parameters       = { { .name = "by", .summary = "the way of the bytes", .labels = "pipe file vm zero null memcpy", .initial = PIPE,
                            .quick = "*", .standard = "*", .rigorous = "*" } },
    .metrics          = { { "b1_ns", "ns", "a transfer of 1 byte" },
                          { "b64_ns", "ns", "a transfer of 64 bytes" },
                          { "b1024_ns", "ns", "a transfer of 1 KiB" },
                          { "b4096_ns", "ns", "a transfer of 4 KiB" },
                          { "b16384_ns", "ns", "a transfer of 16 KiB" },
                          { "b65536_ns", "ns", "a transfer of 64 KiB" },
                          { "b262144_ns", "ns", "a transfer of 256 KiB" },
                          { "b1048576_ns", "ns", "a transfer of 1 MiB" },
                          [CALL_NS]   = { "call_ns", "ns", "what the straight line says of no bytes at all" },
                          [KIB_NS]    = { "kib_ns", "ns", "what each further KiB adds, by the straight line" },
                          [FIT]       = { "fit", "1", "R squared of the straight line" },
                          [SPREAD]    = { "spread", "1", "the dearest of the eight over the cheapest" },
                          [FOOTPRINT] = { "footprint_bytes", "bytes", "both ends of a transfer of 1 MiB" } },
    .setup            = setup,
    .events           = events,
    .events_per_batch = 1,
    .batches          = TURNS,
    .check            = check,
    .teardown         = teardown,
    .cost_ns          = cost_ns);
