/*
 * output/print:  what does a line of output cost, by the layers between the program and its file?
 * output/format: and how much of that is to make a line of a number?
 *
 * One operation is one line of 16 bytes with a number in it. output/format makes it in memory by snprintf, and nothing
 * more: the control.
 *   buffered  fprintf to a stream with a buffer of 4 KiB, which is written when it is full
 *   unlocked  the same with locking left to the caller (__fsetlocking)
 *   line      fprintf to a stream that is written at the end of each line
 *   flushed   fprintf and fflush
 *   write     write(2) of a line that is there already: no format, no stream
 * Excluded:  opening and closing. A file is begun anew after a MiB, a pipe is emptied after half of one.
 * Expect:    guest of an AMD EPYC, Linux 6.18, ns a line: format 110. To /dev/null: buffered 86, write 294, flushed
 *            453, line 490. To a file in memory: write 1001, buffered 97, flushed 1236.
 * Hazards:   /dev/null hides the cost of a file. The bytes that arrived are counted, except there.
 * Not shown: a terminal, whose other end draws, files on a device, several threads at one stream.
 */
#define _GNU_SOURCE
#include "kernels/system.h"

#include <stdio_ext.h>

enum { HOW, TO };
enum { BUFFERED, UNLOCKED, LINE, FLUSHED, WRITE, FORMAT };
enum { TO_NULL, TO_FILE, TO_PIPE };

#define LINE_BYTES 16
#define FORM "line %010u\n"
#define STREAM_BYTES 4096
#define MOST_BYTES ((uint64_t)1 << 20)

struct output {
    FILE *stream;  /* NULL: none */
    int file, out; /* what is written to, and the other end of a pipe, or -1 */
    int null;      /* where a pipe is emptied to */
    uint32_t printed;
    uint64_t failed;
    uint64_t pending, gone; /* bytes that were printed since it was begun or emptied, and those that were emptied */
    char buffer[STREAM_BYTES];
    char line[LINE_BYTES + 1];
};

/* output/format has no parameters: as if it went to /dev/null. */
static int way_of(const struct trial *trial)
{
    return trial->kernel->parameters[HOW].name ? (int)trial->value[HOW] : FORMAT;
}

/* Empties the pipe without a copy. Returns how many bytes it had. */
static uint64_t empty_pipe(const struct output *output)
{
    uint64_t bytes = 0;
    ssize_t got;

    while ((got = splice(output->out, NULL, output->null, NULL, MOST_BYTES, SPLICE_F_NONBLOCK)) > 0)
        bytes += (uint64_t)got;
    return bytes;
}

/* Seldom: room for what comes. */
static void make_room(struct output *output, int to)
{
    if (output->pending < MOST_BYTES / 2)
        return;
    if (output->stream)
        fflush(output->stream);
    if (to == TO_PIPE)
        output->gone += empty_pipe(output);
    else if (to == TO_FILE && lseek(output->file, 0, SEEK_SET) < 0)
        output->failed++;
    output->pending = 0;
}

static void print_line(struct output *output, int how)
{
    const uint32_t number = output->printed++;

    switch (how) {
    case FORMAT:
        output->failed += snprintf(output->line, sizeof output->line, FORM, number) != LINE_BYTES;
        return;
    case WRITE:
        output->failed += write(output->file, output->line, LINE_BYTES) != LINE_BYTES;
        return;
    case FLUSHED:
        output->failed += fprintf(output->stream, FORM, number) != LINE_BYTES || fflush(output->stream);
        return;
    default:
        output->failed += fprintf(output->stream, FORM, number) != LINE_BYTES;
    }
}

static void run(struct worker *worker, uint64_t operations)
{
    struct output *output = worker->trial->state;
    const int how = way_of(worker->trial), to = (int)worker->trial->value[TO];

    make_room(output, to);
    for (uint64_t i = 0; i < operations; i++)
        print_line(output, how);
    output->pending += operations * LINE_BYTES;
}

/* 0 or -errno. */
static int open_output(struct trial *trial, struct output *output)
{
    int ends[2];

    switch (trial->value[TO]) {
    case TO_NULL:
        output->file = open("/dev/null", O_WRONLY | O_CLOEXEC);
        break;
    case TO_FILE:
        output->file = memfd_create("print", MFD_CLOEXEC);
        break;
    default:
        if (pipe2(ends, O_CLOEXEC))
            return -errno;
        output->out = ends[0];
        output->file = ends[1];
        output->null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        /* Nobody reads meanwhile: a pipe that is full must be an error, and not a wait for ever. */
        if (output->null < 0 || fcntl(output->file, F_SETFL, O_NONBLOCK))
            return -errno;
        if (fcntl(output->file, F_SETPIPE_SZ, (int)MOST_BYTES) < (int)MOST_BYTES)
            return trial_needs(trial, "a pipe of 1 MiB (fs.pipe-max-size, fs.pipe-user-pages-soft)");
    }
    return output->file < 0 ? -errno : 0;
}

static int open_stream(struct output *output, int how)
{
    if (how == FORMAT || how == WRITE)
        return 0;
    output->stream = fdopen(output->file, "w");
    if (!output->stream)
        return -errno;
    setvbuf(output->stream, output->buffer, how == LINE ? _IOLBF : _IOFBF, sizeof output->buffer);
    if (how == UNLOCKED)
        __fsetlocking(output->stream, FSETLOCKING_BYCALLER);
    return 0;
}

static int setup(struct trial *trial)
{
    const int how = way_of(trial);
    struct output *output = trial_alloc(trial, sizeof *output);
    struct worker worker = {.trial = trial, .team_size = 1};
    int status;

    if (!output)
        return -ENOMEM;
    output->file = output->out = output->null = -1;
    snprintf(output->line, sizeof output->line, FORM, 0U);
    status = open_output(trial, output);
    if (!status)
        status = open_stream(output, how);
    if (!status)
        run(&worker, 1);
    return status;
}

/* Bytes that arrived since the beginning, or since the file was begun anew. For a pipe these are all. */
static int64_t arrived(const struct output *output, int to)
{
    return to == TO_PIPE ? (int64_t)(output->gone + empty_pipe(output)) : (int64_t)lseek(output->file, 0, SEEK_CUR);
}

/* Every line was printed, and as many arrived. */
static int check(struct trial *trial)
{
    const int how = way_of(trial), to = (int)trial->value[TO];
    struct output *output = trial->state;
    const uint64_t lines = to == TO_PIPE ? output->printed : output->pending / LINE_BYTES;
    int64_t bytes;

    if (output->stream && fflush(output->stream))
        return trial_fault(trial, "the stream cannot be written: %s", strerror(errno));
    if (output->failed)
        return trial_fault(trial, "%" PRIu64 " of %u lines were not whole", output->failed, output->printed);
    if (how == FORMAT) {
        const unsigned last = (unsigned)strtoul(output->line + 5, NULL, 10);

        return last == output->printed - 1 ? 0 : trial_fault(trial, "the last line has the number %u", last);
    }
    if (to == TO_NULL)
        return 0;
    bytes = arrived(output, to);
    if (bytes != (int64_t)(lines * LINE_BYTES))
        return trial_fault(trial, "%" PRId64 " bytes arrived of %" PRIu64 " lines", bytes, lines);
    return 0;
}

static void teardown(struct trial *trial)
{
    struct output *output = trial->state;

    if (!output)
        return;
    if (output->stream)
        fclose(output->stream);
    else if (output->file >= 0)
        close(output->file);
    if (output->out >= 0)
        close(output->out);
    if (output->null >= 0)
        close(output->null);
}

KERNEL(print,
    .name       = "output/print",
    .summary    = "a program prints a line of 16 bytes, by what stands between it and its file",
    .unit       = "line",
    .threads    = { .min = 1, .max = 1 },
    .flags      = KERNEL_TWIN,
    .parameters = { [HOW] = { .name = "how", .summary = "what stands between", .initial = BUFFERED,
                              .labels = "buffered unlocked line flushed write",
                              .quick = "*", .standard = "*", .rigorous = "*" },
                    [TO]  = { .name = "to", .summary = "where the line goes", .labels = "null file pipe", .initial = TO_NULL,
                              .quick = "null", .standard = "*", .rigorous = "*" } },
    .setup      = setup,
    .run        = run,
    .check      = check,
    .teardown   = teardown);
KERNEL(format,
    .name     = "output/format",
    .summary  = "a program makes a line of 16 bytes of a number",
    .unit     = "line",
    .threads  = { .min = 1, .max = 1 },
    .setup    = setup,
    .run      = run,
    .check    = check,
    .teardown = teardown);
