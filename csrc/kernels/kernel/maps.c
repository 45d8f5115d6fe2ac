/*
 * kernel/maps: does a file of procfs cost more, the more there is to tell?
 *
 * /proc/self/maps has a line for each mapping of a process. One event is one reading of it, with `most` mappings that
 * were made for it. Beside each reading, in turn, a file in memory of the same bytes is read: the control. Both are
 * also read with a tenth and a hundredth of the mappings, so that they make two straight lines.
 * Excluded:  making the mappings.
 * Expect:    guest of an AMD EPYC, Linux 6.18: 340 to 470 ns a mapping, a straight line from 20 to 20000.
 * Hazards:   the process already has some 100 mappings, which are read too. So lines are counted, and the line of times
 *            goes by that count.
 * Not shown: /proc/self/smaps, which also looks at each page.
 */
#define _GNU_SOURCE
#include "kernels/straight.h"
#include "kernels/system.h"

/* `most` / 100, `most` / 10, `most`. */
#define STEPS 3
#define READINGS 6
/* vm.max_map_count is 65530 where nobody has changed it. */
#define MOST_MAPPINGS 50000
/* More than a page at once Linux does not give. */
#define PIECE 65536

enum { MAPPING_NS, FIT, COPY_NS, LINES, FOOTPRINT };
enum { MAPS, COPY };

struct mappings {
    char *first;
    size_t page_bytes, made;
    char piece[PIECE];
    int files[2]; /* /proc/self/maps, and the file in memory */
    double ticks[2][STEPS][READINGS];
    double lines[STEPS];
    uint64_t bytes[2];
    unsigned step, reading;
};

static size_t wanted(const struct trial *trial, unsigned step)
{
    static const size_t parts[STEPS] = {100, 10, 1};

    return (size_t)trial->value[0] / parts[step];
}

/* So many mappings: pages of which each second one may be read, since equal neighbours would be one. 0 or -errno. */
static int make_mappings(struct mappings *mappings, size_t count)
{
    for (; mappings->made < count; mappings->made++)
        if (mappings->made % 2 == 0 &&
            mprotect(mappings->first + mappings->made * mappings->page_bytes, mappings->page_bytes, PROT_READ))
            return -errno;
    return 0;
}

/* All of a file, from its beginning. Its bytes, or -errno. */
static int64_t read_all(struct mappings *mappings, int file)
{
    int64_t bytes = 0;
    ssize_t got;

    if (lseek(file, 0, SEEK_SET) < 0)
        return -errno;
    while ((got = read(file, mappings->piece, PIECE)) > 0)
        bytes += got;
    return got < 0 ? -errno : bytes;
}

/* The file in memory gets what the other tells now, and its lines are counted. 0 or -errno. */
static int copy_maps(struct mappings *mappings, double *lines)
{
    ssize_t got;

    if (lseek(mappings->files[MAPS], 0, SEEK_SET) < 0 || ftruncate(mappings->files[COPY], 0) ||
        lseek(mappings->files[COPY], 0, SEEK_SET) < 0)
        return -errno;
    *lines = 0;
    while ((got = read(mappings->files[MAPS], mappings->piece, PIECE)) > 0) {
        if (write(mappings->files[COPY], mappings->piece, (size_t)got) != got)
            return -errno;
        for (ssize_t i = 0; i < got; i++)
            *lines += mappings->piece[i] == '\n';
    }
    return got < 0 ? -errno : 0;
}

/* The mappings of a step, and the file in memory that goes with them. 0 or -errno. */
static int begin_step(struct trial *trial, unsigned step)
{
    struct mappings *mappings = trial->state;
    const int status = make_mappings(mappings, wanted(trial, step));

    if (status == -ENOMEM)
        return trial_needs(trial, "so many mappings (vm.max_map_count)");
    return status ? status : copy_maps(mappings, &mappings->lines[step]);
}

static int setup(struct trial *trial)
{
    struct mappings *mappings;
    const size_t most = (size_t)trial->value[0];

    if (trial->value[0] < 100 || trial->value[0] > MOST_MAPPINGS) {
        trial_fault(trial, "most=%" PRId64 " is not 100 to %d", trial->value[0], MOST_MAPPINGS);
        return -EINVAL;
    }
    if (EMULATED) /* whose mappings are told by the emulator, as it sees fit */
        return trial_needs(trial, "a system that is not emulated");
    mappings = trial_alloc(trial, sizeof *mappings);
    if (!mappings)
        return -ENOMEM;
    mappings->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    mappings->files[COPY] = -1;
    mappings->files[MAPS] = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (mappings->files[MAPS] < 0)
        return trial_needs(trial, "/proc/self/maps (procfs)");
    mappings->files[COPY] = memfd_create("maps", MFD_CLOEXEC);
    mappings->first = mmap(NULL, most * mappings->page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mappings->first == MAP_FAILED)
        mappings->first = NULL;
    if (mappings->files[COPY] < 0 || !mappings->first)
        return -errno;
    return begin_step(trial, 0);
}

/* The next reading of both files, with the mappings of its step. */
static int64_t one_reading(struct trial *trial)
{
    struct mappings *mappings = trial->state;
    const unsigned step = mappings->step, reading = mappings->reading;

    if (reading == 0) {
        const int status = begin_step(trial, step);

        if (status)
            return status;
    }
    for (int which = MAPS; which <= COPY; which++) {
        const uint64_t begin = tick_begin();
        const int64_t bytes = read_all(mappings, mappings->files[which]);
        const uint64_t end = tick_end();

        if (bytes < 0)
            return bytes;
        mappings->bytes[which] = (uint64_t)bytes;
        mappings->ticks[which][step][reading] = fmax(1, net_ticks(trial, begin, end));
    }
    mappings->reading = (reading + 1) % READINGS;
    mappings->step += mappings->reading == 0;
    return llround(mappings->ticks[MAPS][step][reading]);
}

/* The smaller steps come first and are no events: an event is a reading with all mappings. */
static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct mappings *mappings = worker->trial->state;
    uint64_t made = 0;

    while (made < count && mappings->step < STEPS) {
        const unsigned step = mappings->step;
        const int64_t took = one_reading(worker->trial);

        if (took < 0)
            return took;
        if (step == STEPS - 1)
            ticks[made++] = took;
    }
    return (int64_t)made;
}

/* Each mapping has its line, and the file in memory is as long as what it is a copy of. */
static int check(struct trial *trial)
{
    struct mappings *mappings = trial->state;
    double ns[2][STEPS];
    struct straight lines[2];

    for (unsigned step = 1; step < STEPS; step++) {
        const double more = mappings->lines[step] - mappings->lines[0];
        const double expected = (double)(wanted(trial, step) - wanted(trial, 0));

        if (fabs(more - expected) > expected / 100)
            return trial_fault(trial, "%g lines more for %g mappings more", more, expected);
    }
    /* A line may come or go meanwhile: a stack that grows, an allocator. */
    if (fabs((double)mappings->bytes[MAPS] - (double)mappings->bytes[COPY]) > (double)mappings->bytes[MAPS] / 100)
        return trial_fault(trial, "%" PRIu64 " bytes instead of %" PRIu64, mappings->bytes[COPY],
                           mappings->bytes[MAPS]);
    for (int which = MAPS; which <= COPY; which++) {
        for (unsigned step = 0; step < STEPS; step++)
            ns[which][step] = median_of(mappings->ticks[which][step], READINGS) / trial->tick_hz * 1e9;
        lines[which] = straight_through(mappings->lines, ns[which], STEPS);
    }
    trial->metric[MAPPING_NS] = lines[MAPS].slope;
    trial->metric[FIT] = lines[MAPS].fit;
    trial->metric[COPY_NS] = lines[COPY].slope;
    trial->metric[LINES] = mappings->lines[STEPS - 1];
    trial->metric[FOOTPRINT] = (double)mappings->bytes[COPY] + PIECE;
    return 0;
}

static void teardown(struct trial *trial)
{
    const struct mappings *mappings = trial->state;

    if (!mappings)
        return;
    for (int which = MAPS; which <= COPY; which++)
        if (mappings->files[which] >= 0)
            close(mappings->files[which]);
    if (mappings->first)
        munmap(mappings->first, (size_t)trial->value[0] * mappings->page_bytes);
}

/* Seen 0.5 us a mapping and reading, and 1 us to make and to unmake it. */
static uint64_t cost_ns(const struct trial *trial)
{
    return 1000000 + (uint64_t)trial->value[0] * (READINGS * UINT64_C(600) + 3000);
}

KERNEL(maps,
    .name             = "kernel/maps",
    .summary          = "a process reads the list of its mappings, which Linux writes line by line",
    .unit             = "reading",
    .threads          = { .min = 1, .max = 1 },
    .parameters       = { { .name = "most", .unit = "mappings", .summary = "made for it", .initial = 2000,
                            .quick = "2000", .standard = "2000", .rigorous = "2000 20000" } },
    .metrics          = { [MAPPING_NS] = { "mapping_ns", "ns", "what each further mapping adds, by a straight line" },
                          [FIT]        = { "fit", "1", "R squared of that line" },
                          [COPY_NS]    = { "copy_ns", "ns", "what the bytes of its line add to a file in memory" },
                          [LINES]      = { "lines", "lines", "of the file, with the process's own mappings" },
                          [FOOTPRINT]  = { "footprint_bytes", "bytes", "the file in memory, and the buffer" } },
    .setup            = setup,
    .events           = events,
    .events_per_batch = 1,
    .batches          = READINGS,
    .check            = check,
    .teardown         = teardown,
    .cost_ns          = cost_ns);
