/*
 * output/loss: how much of a program's output is lost when it ends without its libc?
 *
 * A child prints 100 lines with fprintf to a stream on a pipe and leaves by _exit, which ends a process at once. One
 * operation is one such child.
 *   full     the stream has a buffer of 4 KiB, as libc gives it for files and pipes
 *   line     it is written at the end of each line, as for a terminal
 *   none     it has no buffer
 *   flushed  as full, and fflush before the end: the control
 * Nothing is timed. Of the printed bytes, those that arrive are counted.
 * Excluded:  the start of the child.
 * Expect:    full loses all, since 100 lines fit into its buffer. The others lose nothing.
 * Hazards:   more lines than fit into the buffer are written as it fills. Then only the rest is lost.
 * Not shown: the same by a signal or a crash, which end a process as _exit does.
 */
#define _GNU_SOURCE
#include "kernels/system.h"

#include <signal.h>
#include <sys/prctl.h>

enum { FULL, LINE, NONE, FLUSHED };
enum { LOST_PCT };

#define LINES 100
#define LINE_BYTES 16
#define STREAM_BYTES 4096

struct loss {
    FILE *stream; /* NULL: none */
    int out;      /* -1: none */
    pid_t child;  /* 0: none */
    char buffer[STREAM_BYTES];
};

/* Never returns. The stream was made before: what a child of several threads may do is little. */
static void print_and_leave(const struct loss *loss, int buffer, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    for (unsigned i = 0; i < LINES; i++)
        fprintf(loss->stream, "line %010u\n", i);
    if (buffer == FLUSHED)
        fflush(loss->stream);
    _exit(0);
}

static int open_stream(struct loss *loss, int buffer)
{
    static const int modes[] = {[FULL] = _IOFBF, [LINE] = _IOLBF, [NONE] = _IONBF, [FLUSHED] = _IOFBF};
    int ends[2];

    if (pipe2(ends, O_CLOEXEC))
        return -errno;
    loss->out = ends[0];
    loss->stream = fdopen(ends[1], "w");
    if (!loss->stream) {
        close(ends[1]);
        return -ENOMEM;
    }
    setvbuf(loss->stream, buffer == NONE ? NULL : loss->buffer, modes[buffer], sizeof loss->buffer);
    return 0;
}

static int setup(struct trial *trial)
{
    struct loss *loss = trial_alloc(trial, sizeof *loss);

    if (!loss)
        return -ENOMEM;
    loss->out = -1;
    return open_stream(loss, (int)trial->value[0]);
}

/* What has arrived once nobody has the other end any more. */
static int64_t read_all(const struct loss *loss)
{
    char bytes[LINES * LINE_BYTES];
    int64_t all = 0;
    ssize_t got;

    while ((got = read(loss->out, bytes, sizeof bytes)) != 0) {
        if (got > 0)
            all += got;
        else if (errno != EINTR)
            return -errno;
    }
    return all;
}

static int work(struct worker *worker)
{
    struct trial *trial = worker->trial;
    struct loss *loss = trial->state;
    const int buffer = (int)trial->value[0];
    const pid_t parent = getpid();
    int64_t arrived;
    int ended;

    loss->child = fork();
    if (loss->child == 0)
        print_and_leave(loss, buffer, parent);
    if (loss->child < 0) {
        loss->child = 0;
        return errno == EAGAIN ? trial_needs(trial, "permission for one more process (ulimit -u, pids.max)") : -errno;
    }
    /* This process has printed nothing: its own end closes without a word. */
    fclose(loss->stream);
    loss->stream = NULL;
    arrived = read_all(loss);
    ended = wait_for_child(loss->child);
    loss->child = 0;
    if (arrived < 0)
        return (int)arrived;
    if (ended)
        return trial_fault(trial, "the child ended with %d", ended);
    trial_count(trial, 0, arrived, buffer == FULL ? 0 : LINES * LINE_BYTES);
    trial->metric[LOST_PCT] = 100.0 * (double)(LINES * LINE_BYTES - arrived) / (LINES * LINE_BYTES);
    return 0;
}

static int check(struct trial *trial)
{
    (void)trial;
    return 0;
}

static void teardown(struct trial *trial)
{
    struct loss *loss = trial->state;

    if (!loss)
        return;
    if (loss->stream)
        fclose(loss->stream);
    if (loss->out >= 0)
        close(loss->out);
    if (loss->child)
        wait_for_child(loss->child);
}

static uint64_t cost_ns(const struct trial *trial)
{
    (void)trial;
    return 6000000; /* a fork of the interpreter */
}

KERNEL(loss,
    .name       = "output/loss",
    .summary    = "a child prints 100 lines and leaves by _exit: what arrives of them",
    .unit       = "child",
    .threads    = { .min = 1, .max = 1 },
    .parameters = { { .name = "buffer", .summary = "of the stream", .labels = "full line none flushed", .initial = FULL,
                      .quick = "*", .standard = "*", .rigorous = "*" } },
    .metrics    = { [LOST_PCT] = { "lost_pct", "%", "of the bytes that were printed" } },
    .counts     = { { "arrived", "bytes", "of 1600 that were printed" } },
    .setup      = setup,
    .work       = work,
    .check      = check,
    .teardown   = teardown,
    .cost_ns    = cost_ns);
