/*
 * ipc/zero_copy: from which size on does it pay to hand pages over instead of bytes?
 *
 * One event is 64 KiB that go from memory or a file through Linux and are read at the other end, handed over as pages.
 * Beside each the same is done with four other sizes. Each size is also done with a copy in place of the pages, in
 * turn: the control.
 *   vmsplice  pages of this process into a pipe, beside write(). vmsplice_huge is the same from a page of 2 MiB
 *   splice    pages of a file in memory into a pipe, beside pread() and write()
 *   sendfile  pages of a file in memory into a unix socket, in pieces of 64 KiB, beside pread() and write()
 *   uring     both ends in one call of io_uring, beside write() and read(): calls are saved, and no copy
 * Excluded:  making the pipe, the socket and the file. Either way the other end copies once, into its own memory, and
 *            looks at each page.
 * Expect:    guest of an AMD EPYC, Linux 6.18: with vmsplice 4 KiB cost about the same, 16 KiB half, 64 KiB and more a
 *            third.
 * Hazards:   pages that are handed over still belong to the sender. If it writes to them before they are read, the
 *            reader finds the new bytes. So each transfer carries a different number on each page, and the reader
 *            compares them.
 * Not shown: SPLICE_F_GIFT, buffers and files that io_uring knows beforehand, readers that splice on without looking.
 *            Devices and networks, which save the second copy too.
 */
#define _GNU_SOURCE
#include "kernels/ipc/uring.h"

#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { VMSPLICE, VMSPLICE_HUGE, SPLICE, SENDFILE, URING };
enum { COPY, HAND_OVER };

#define SIZES 5
static const size_t sizes[SIZES] = {4096, 16384, 65536, 262144, 1048576};
#define MOST_BYTES ((size_t)1 << 20)
#define OF_64_KIB 2
/* What a unix socket takes without anybody who reads meanwhile. */
#define PIECE ((size_t)65536)
#define TURNS 20
/* On each page there is the number of its transfer. Small pages of the smallest kind: larger ones have several. */
#define PAGE ((size_t)4096)

/* Three for each size: both times, and their ratio. */
enum { PAYS_FROM = 3 * SIZES, FOOTPRINT };

struct hand_over {
    unsigned char *from, *to;
    unsigned char *mapped; /* the file in memory, or NULL */
    int file, in, out;     /* -1: none */
    struct uring uring;
    uint64_t number, made, failed, stale;
    double ticks[2][SIZES][TURNS];
    unsigned turns;
};

/* Pages of this process, and not of a file. */
static int of_memory(int by)
{
    return by == VMSPLICE || by == VMSPLICE_HUGE || by == URING;
}

static void stamp(unsigned char *pages, size_t size, uint64_t number)
{
    for (size_t at = 0; at < size; at += PAGE)
        memcpy(pages + at, &number, sizeof number);
}

/* One piece into the pipe or socket, as bytes or as pages. How much went in, or -1. */
static ssize_t put(const struct hand_over *hands, int by, int how, size_t at, size_t bytes)
{
    struct iovec pages = {hands->from + at, bytes};
    off_t begin = (off_t)at;

    if (how == COPY) {
        if (of_memory(by))
            return write(hands->in, hands->from + at, bytes);
        if (pread(hands->file, hands->from, bytes, begin) != (ssize_t)bytes)
            return -1;
        return write(hands->in, hands->from, bytes);
    }
    switch (by) {
    case VMSPLICE:
    case VMSPLICE_HUGE:
        return vmsplice(hands->in, &pages, 1, 0);
    case SPLICE:
        return splice(hands->file, &begin, hands->in, NULL, bytes, 0);
    default:
        return sendfile(hands->in, hands->file, &begin, bytes);
    }
}

/* The read begins when the write is done: they are linked. The pipe has room for all. */
static int both_ends(struct hand_over *hands, size_t size)
{
    int32_t went[2] = {0, 0};

    uring_prepare(&hands->uring, 0, IORING_OP_WRITE, hands->in, hands->from, size, IOSQE_IO_LINK);
    uring_prepare(&hands->uring, 1, IORING_OP_READ, hands->out, hands->to, size, 0);
    return uring_call(&hands->uring, 2, went) == 0 && went[0] == (int32_t)size && went[1] == (int32_t)size;
}

/* All of it, and what arrives carries the number of this transfer. */
static __attribute__((noinline)) void transfer(struct hand_over *hands, int by, int how, size_t size)
{
    const size_t most = by == SENDFILE ? PIECE : MOST_BYTES;

    if (by == URING && how == HAND_OVER && !both_ends(hands, size)) {
        hands->failed++;
        return;
    }
    for (size_t sent = by == URING && how == HAND_OVER ? size : 0, taken = 0; sent < size;) {
        const ssize_t went = put(hands, by, how, sent, size - sent < most ? size - sent : most);

        if (went <= 0) {
            hands->failed++;
            return;
        }
        sent += (size_t)went;
        while (taken < sent) {
            const ssize_t got = read(hands->out, hands->to + taken, sent - taken);

            if (got <= 0) {
                hands->failed++;
                return;
            }
            taken += (size_t)got;
        }
    }
    for (size_t at = 0; at < size; at += PAGE)
        hands->stale += memcmp(hands->to + at, &hands->number, sizeof hands->number) != 0;
    hands->made++;
}

/* A transfer under a new number. Where it comes from a file, the file has the number. */
static uint64_t timed_transfer(struct hand_over *hands, int by, int how, size_t size)
{
    uint64_t begin;

    hands->number++;
    stamp(of_memory(by) ? hands->from : hands->mapped, size, hands->number);
    begin = tick_begin();
    transfer(hands, by, how, size);
    return tick_end() - begin;
}

/* 0 or -errno. */
static int open_way(struct trial *trial, struct hand_over *hands)
{
    const int by = (int)trial->value[0];
    int ends[2];

    if (by == SENDFILE ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) : pipe2(ends, O_CLOEXEC))
        return errno == EMFILE ? trial_needs(trial, "permission for more open files (ulimit -n)") : -errno;
    hands->out = ends[0];
    hands->in = ends[1];
    if (by != SENDFILE && fcntl(hands->in, F_SETPIPE_SZ, (int)MOST_BYTES) < (int)MOST_BYTES)
        return trial_needs(trial, "a pipe of 1 MiB (fs.pipe-max-size, fs.pipe-user-pages-soft)");
    if (by == URING)
        return uring_begin(trial, &hands->uring);
    if (of_memory(by))
        return 0;
    hands->file = memfd_create("zero_copy", MFD_CLOEXEC);
    if (hands->file < 0 || ftruncate(hands->file, (off_t)MOST_BYTES))
        return trial_needs(trial, "a file of 1 MiB in memory (memfd_create, ulimit -f)");
    hands->mapped = mmap(NULL, MOST_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, hands->file, 0);
    if (hands->mapped == MAP_FAILED) {
        hands->mapped = NULL;
        return -errno;
    }
    return 0;
}

static int setup(struct trial *trial)
{
    const int by = (int)trial->value[0], huge = by == VMSPLICE_HUGE;
    const size_t huge_page = huge_page_bytes();
    struct hand_over *hands = trial_alloc(trial, sizeof *hands);
    int status;

    if (!hands)
        return -ENOMEM;
    hands->file = hands->in = hands->out = hands->uring.file = -1;
    /* Twice as much: what is to be huge is one huge page. */
    hands->from = huge ? trial_alloc_pages(trial, huge_page, 1) : trial_alloc_pages(trial, MOST_BYTES, 0);
    hands->to = trial_alloc(trial, MOST_BYTES);
    if (!hands->from || !hands->to)
        return -ENOMEM;
    memset(hands->from, 1, MOST_BYTES);
    memset(hands->to, 255, MOST_BYTES);
    if (huge && memory_huge_bytes(hands->from, huge_page) != (int64_t)huge_page)
        return trial_needs(trial, "transparent huge pages, and enough of them free");
    status = open_way(trial, hands);
    for (int how = COPY; how <= HAND_OVER && !status; how++)
        timed_transfer(hands, by, how, MOST_BYTES);
    if (!status && hands->failed)
        return trial_needs(trial, "vmsplice, splice, sendfile and io_uring (a filter of system calls forbids one)");
    return status;
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;
    struct hand_over *hands = trial->state;
    const int by = (int)trial->value[0];
    uint64_t made = 0;

    for (; made < count && hands->turns < TURNS; made++, hands->turns++) {
        for (int i = 0; i < SIZES; i++)
            for (int how = COPY; how <= HAND_OVER; how++)
                hands->ticks[how][i][hands->turns] =
                    fmax(1, (double)timed_transfer(hands, by, how, sizes[i]) - trial->overhead_ticks);
        ticks[made] = llround(hands->ticks[HAND_OVER][OF_64_KIB][hands->turns]);
    }
    return (int64_t)made;
}

/* The size from which on pages are cheaper, for all larger ones too. NaN if they are not for the largest. */
static double pays_from(const double *ratios)
{
    double from = NAN;

    for (int i = SIZES - 1; i >= 0 && ratios[i] > 1; i--)
        from = (double)sizes[i];
    return from;
}

/* Every transfer was whole, and none brought what an earlier one had left. */
static int check(struct trial *trial)
{
    struct hand_over *hands = trial->state;
    double ratios[SIZES];

    if (hands->failed)
        return trial_fault(trial, "%" PRIu64 " transfers of %" PRIu64 " were not whole", hands->failed,
                           hands->made + hands->failed);
    if (hands->stale)
        return trial_fault(trial, "%" PRIu64 " pages carried the number of another transfer", hands->stale);
    for (int i = 0; i < SIZES; i++) {
        double *times = &trial->metric[3 * i];

        for (int how = COPY; how <= HAND_OVER; how++)
            times[how] = median_of(hands->ticks[how][i], TURNS) / trial->tick_hz * 1e9;
        times[2] = ratios[i] = times[COPY] / times[HAND_OVER];
    }
    trial->metric[PAYS_FROM] = pays_from(ratios);
    trial->metric[FOOTPRINT] = 2.0 * MOST_BYTES;
    return 0;
}

static void teardown(struct trial *trial)
{
    const struct hand_over *hands = trial->state;

    if (!hands)
        return;
    uring_end(&hands->uring);
    if (hands->mapped)
        munmap(hands->mapped, MOST_BYTES);
    if (hands->file >= 0)
        close(hands->file);
    if (hands->in >= 0)
        close(hands->in);
    if (hands->out >= 0)
        close(hands->out);
}

/* Seen 0.8 ms a turn. */
static uint64_t cost_ns(const struct trial *trial)
{
    (void)trial;
    return (TURNS + 2) * UINT64_C(900000) + 3000000;
}

#define OF_SIZE(bytes, words)                                                                                          \
    {"c" #bytes "_ns", "ns", words ", copied"}, {"z" #bytes "_ns", "ns", words ", handed over as pages"},              \
    {                                                                                                                  \
        "r" #bytes, "1", words ", copied over handed over"                                                             \
    }

KERNEL(zero_copy,
    .name             = "ipc/zero_copy",
    .summary          = "pages are handed over through Linux, beside bytes that are copied, in five sizes from 4 KiB to 1 MiB",
    .unit             = "transfer of 64 KiB",
    .threads          = { .min = 1, .max = 1 },
    .parameters       = { { .name = "by", .summary = "which call hands the pages over", .labels = "vmsplice vmsplice_huge splice sendfile uring",
                            .initial = VMSPLICE, .quick = "*", .standard = "*", .rigorous = "*" } },
    .metrics          = { OF_SIZE(4096, "4 KiB"), OF_SIZE(16384, "16 KiB"), OF_SIZE(65536, "64 KiB"),
                          OF_SIZE(262144, "256 KiB"), OF_SIZE(1048576, "1 MiB"),
                          [PAYS_FROM] = { "pays_from_bytes", "bytes", "from this size on pages are cheaper" },
                          [FOOTPRINT] = { "footprint_bytes", "bytes", "both ends of a transfer of 1 MiB" } },
    .setup            = setup,
    .events           = events,
    .events_per_batch = 1,
    .batches          = TURNS,
    .check            = check,
    .teardown         = teardown,
    .cost_ns          = cost_ns);
