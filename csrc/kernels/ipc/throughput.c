/*
 * ipc/throughput: how fast do bytes go from one process to another?
 *
 * One operation is one block that worker 0 writes and worker 1 reads, each on a separate CPU.
 * Excluded:  making the pipe or the socket, and the reader's use of the bytes, beyond a look at the number on each
 *            block.
 * Expect:    guest of an AMD EPYC, Linux 6.18: bw_pipe of lmbench has 2700 MB/s with blocks of 64 KiB. A pipe of one
 *            page is far slower, since each block wakes the other side.
 * Hazards:   the room between both decides how often one waits for the other. In a guest each wait may be a sleep of
 *            the CPU. The parameter `room` is the room that was asked for. The metric room_bytes is the room that Linux
 *            gave.
 * Not shown: several writers and readers (ipc/many), and pages in place of bytes (ipc/zero_copy).
 */
#define _GNU_SOURCE
#include "kernels/system.h"

#include <sys/socket.h>

enum { BY, BLOCK, ROOM };
enum { PIPE, UNIX_STREAM };
enum { GIB_S, ROOM_BYTES, FOOTPRINT };

#define MAX_BLOCK ((int64_t)1 << 20)

struct line {
    int in, out; /* -1: none */
    unsigned char *blocks[2];
    size_t bytes;
    _Alignas(128) uint64_t written; /* of worker 0 */
    uint64_t failed_writes;
    _Alignas(128) uint64_t read; /* of worker 1 */
    uint64_t failed_reads, wrong;
};

static void write_blocks(struct line *line, uint64_t operations)
{
    for (uint64_t i = 0; i < operations; i++) {
        size_t done = 0;

        line->written++;
        memcpy(line->blocks[0], &line->written, sizeof line->written);
        while (done < line->bytes) {
            const ssize_t wrote = write(line->in, line->blocks[0] + done, line->bytes - done);

            if (wrote > 0)
                done += (size_t)wrote;
            else if (errno != EINTR) {
                line->failed_writes++;
                break;
            }
        }
    }
}

static void read_blocks(struct line *line, uint64_t operations)
{
    for (uint64_t i = 0; i < operations; i++) {
        size_t done = 0;

        line->read++;
        while (done < line->bytes) {
            const ssize_t got = read(line->out, line->blocks[1] + done, line->bytes - done);

            if (got > 0)
                done += (size_t)got;
            else if (got == 0 || errno != EINTR) {
                line->failed_reads++;
                break;
            }
        }
        line->wrong += memcmp(line->blocks[1], &line->read, sizeof line->read) != 0;
    }
}

static void run(struct worker *worker, uint64_t operations)
{
    (worker->index == 0 ? write_blocks : read_blocks)(worker->trial->state, operations);
}

/* 0 or -errno. */
static int open_line(struct trial *trial, struct line *line)
{
    const int room = (int)trial->value[ROOM], by = (int)trial->value[BY];
    socklen_t length = sizeof room;
    int ends[2], given = 0;

    if (by == PIPE ? pipe2(ends, O_CLOEXEC) : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        return errno == EMFILE ? trial_needs(trial, "permission for more open files (ulimit -n)") : -errno;
    line->out = ends[0];
    line->in = ends[1];
    if (by == PIPE) {
        given = fcntl(line->in, F_SETPIPE_SZ, room);
        if (given < room)
            return trial_needs(trial, "a pipe of this room (fs.pipe-max-size, fs.pipe-user-pages-soft)");
    } else {
        /* What is given at most is the machine's to say (net.core.wmem_max). Linux counts its own book-keeping, too. */
        setsockopt(line->in, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
        getsockopt(line->in, SOL_SOCKET, SO_SNDBUF, &given, &length);
    }
    trial->metric[ROOM_BYTES] = given;
    return 0;
}

static int setup(struct trial *trial)
{
    const int64_t bytes = trial->value[BLOCK], room = trial->value[ROOM];
    struct line *line;

    if (bytes < 8 || bytes > MAX_BLOCK || room < 1 || room > MAX_BLOCK) {
        trial_fault(trial, "block=%" PRId64 " is not 8 bytes to 1 MiB, or room=%" PRId64 " not 1 byte to 1 MiB", bytes,
                    room);
        return -EINVAL;
    }
    trial->processes = 1;
    trial->measured = 1;
    line = trial_alloc(trial, sizeof *line);
    if (!line)
        return -ENOMEM;
    line->in = line->out = -1;
    line->bytes = (size_t)bytes;
    for (int i = 0; i < 2; i++) {
        line->blocks[i] = trial_alloc(trial, line->bytes);
        if (!line->blocks[i])
            return -ENOMEM;
    }
    return open_line(trial, line);
}

static double median_ns(const struct trial *trial)
{
    double *each = malloc(trial->sample_count * sizeof *each), found;

    if (!each)
        return NAN;
    for (uint64_t i = 0; i < trial->sample_count; i++)
        each[i] = (double)trial->samples[i].ticks / (double)trial->samples[i].operations / trial->tick_hz * 1e9;
    found = median_of(each, trial->sample_count);
    free(each);
    return found;
}

/* Every block arrived whole and in order. */
static int check(struct trial *trial)
{
    const struct line *line = trial->state;

    if (line->failed_writes || line->failed_reads || line->written != line->read)
        return trial_fault(trial, "%" PRIu64 " blocks written and %" PRIu64 " read, of which %" PRIu64 " failed",
                           line->written, line->read, line->failed_writes + line->failed_reads);
    if (line->wrong)
        return trial_fault(trial, "%" PRIu64 " of %" PRIu64 " blocks carried another number", line->wrong, line->read);
    trial->metric[GIB_S] = (double)line->bytes / median_ns(trial) * 1e9 / (1 << 30);
    trial->metric[FOOTPRINT] = 2.0 * (double)line->bytes + trial->metric[ROOM_BYTES];
    return 0;
}

static void teardown(struct trial *trial)
{
    const struct line *line = trial->state;

    if (!line)
        return;
    if (line->in >= 0)
        close(line->in);
    if (line->out >= 0)
        close(line->out);
}

KERNEL(throughput,
    .name       = "ipc/throughput",
    .summary    = "a process writes blocks, and another on another CPU reads them",
    .unit       = "block",
    .threads    = { .min = 2, .max = 2 },
    .subject    = FLAG_SWITCHED | FLAG_FAULTED,
    .parameters = { [BY]    = { .name = "by", .summary = "what is between them", .labels = "pipe unix_stream", .initial = PIPE,
                                .quick = "pipe", .standard = "*", .rigorous = "*" },
                    [BLOCK] = { .name = "block", .unit = "bytes", .summary = "of one write", .initial = 65536,
                                .quick = "64KiB", .standard = "4KiB 64KiB", .rigorous = "1KiB 4KiB 64KiB 256KiB" },
                    [ROOM]  = { .name = "room", .unit = "bytes", .summary = "between them, as asked for", .initial = 65536,
                                .quick = "64KiB", .standard = "4KiB 64KiB", .rigorous = "4KiB 64KiB 1MiB" } },
    .metrics    = { [GIB_S]      = { "gib_s", "GiB/s", "bytes of the blocks over their time" },
                    [ROOM_BYTES] = { "room_bytes", "bytes", "between them, as Linux gave it" },
                    [FOOTPRINT]  = { "footprint_bytes", "bytes", "both blocks and what is between them" } },
    .setup      = setup,
    .run        = run,
    .check      = check,
    .teardown   = teardown);
