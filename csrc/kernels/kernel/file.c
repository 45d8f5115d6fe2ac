/*
 * kernel/file: what does it cost to read a file that Linux writes anew for each reader?
 *
 * One operation is one opening, reading and closing of a small file, or one reading of it while it stays open.
 *   tmpfs   an ordinary file in memory: the control
 *   sysfs   /sys/devices/system/cpu/online, one value
 *   uptime  /proc/uptime, two numbers
 *   stat    /proc/self/stat, one line about this process
 * Excluded:  making the file in memory.
 * Expect:    guest of an AMD EPYC, Linux 6.18, us, open+read+close: tmpfs 4.5, sysfs 8.5, uptime 6.7, stat 11. A
 *            reading alone 0.69, 1.1, 1.4 and the difference of stat.
 * Hazards:   the path is part of the opening (kernel/path). Security modules look at each opening. Containers may mount
 *            their own procfs (lxcfs), whose files are another program's.
 * Not shown: writing to such files, large ones (kernel/maps), directories.
 */
#define _GNU_SOURCE
#include "kernels/folder.h"
#include "kernels/groups.h"

#include <arpa/inet.h>
#include <sys/socket.h>

enum { FILE_OF, HOW };
enum { TMPFS_FILE, SYSFS, UPTIME, STAT };
enum { OPENED, READ_ALONE };
enum { STATED_BYTES, READ_BYTES, FOLLOWED };

#define PACKETS "/sys/class/net/lo/statistics/rx_packets"
/* So many that a figure of Linux's that stands still cannot be taken for one that moves. */
#define DATAGRAMS 16

struct reads {
    struct folder folder;
    char path[FOLDER_PATH_BYTES];
    char text[4096];
    int file; /* -1: none */
    uint64_t made, right;
    ssize_t bytes; /* of the last one */
};

static void open_read_close(struct worker *worker, uint64_t operations)
{
    struct reads *reads = worker->trial->state;

    for (uint64_t i = 0; i < operations; i++) {
        const int file = open(reads->path, O_RDONLY | O_CLOEXEC);

        reads->bytes = read(file, reads->text, sizeof reads->text);
        reads->right += (reads->bytes > 0) & (close(file) == 0);
    }
    reads->made += operations;
}

static void read_again(struct worker *worker, uint64_t operations)
{
    struct reads *reads = worker->trial->state;

    for (uint64_t i = 0; i < operations; i++) {
        reads->bytes = pread(reads->file, reads->text, sizeof reads->text, 0);
        reads->right += reads->bytes > 0;
    }
    reads->made += operations;
}

static int setup(struct trial *trial)
{
    static const char *const paths[] = {
        [SYSFS] = "/sys/devices/system/cpu/online", [UPTIME] = "/proc/uptime", [STAT] = "/proc/self/stat"};
    const int64_t which = trial->value[FILE_OF];
    struct reads *reads = trial_alloc(trial, sizeof *reads);
    int status, again;

    if (!reads)
        return -ENOMEM;
    reads->file = reads->folder.file = reads->folder.gate = -1;
    if (which == TMPFS_FILE) {
        status = folder_begin(trial, &reads->folder, IN_MEMORY, 0);
        if (status)
            return status;
        snprintf(reads->path, sizeof reads->path, "%s/" FOLDER_FILE, reads->folder.path);
    } else {
        snprintf(reads->path, sizeof reads->path, "%s", paths[which]);
    }
    reads->file = open(reads->path, O_RDONLY | O_CLOEXEC);
    again = reads->file < 0 ? -1 : open(reads->path, O_RDONLY | O_CLOEXEC); /* as each operation does */
    if (again < 0 && (errno == EMFILE || errno == ENFILE))
        return -errno;
    if (again >= 0)
        close(again);
    if (reads->file < 0)
        return trial_needs(trial, which == SYSFS ? "/sys/devices/system/cpu/online (sysfs)" : "/proc (procfs)");
    trial->run = trial->value[HOW] == OPENED ? open_read_close : read_again;
    return 0;
}

/*
 * Whether a value in sysfs follows what Linux does. It is the count of packets of the loopback device, before and after some that this
 * process sends to itself. 100 or 0. NaN if there is no such device.
 */
static double look_whether_it_follows(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    const int64_t before = number_in(PACKETS, NULL);
    const int to = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int sent = 0;

    if (to >= 0 && bind(to, (struct sockaddr *)&address, sizeof address) == 0 &&
        getsockname(to, (struct sockaddr *)&address, &length) == 0)
        while (sent < DATAGRAMS && sendto(to, "", 1, MSG_DONTWAIT, (struct sockaddr *)&address, length) == 1)
            sent++;
    if (to >= 0)
        close(to);
    if (before < 0 || sent < DATAGRAMS)
        return NAN;
    return number_in(PACKETS, NULL) - before >= DATAGRAMS ? 100 : 0;
}

/* Every file was read, and holds what it holds. */
static int check(struct trial *trial)
{
    const int64_t which = trial->value[FILE_OF];
    struct reads *reads = trial->state;
    struct stat about;

    if (reads->right != reads->made)
        return trial_fault(trial, "%" PRIu64 " of %" PRIu64 " files were read and closed", reads->right, reads->made);
    if (which == TMPFS_FILE && (reads->bytes != (ssize_t)sizeof FOLDER_CONTENT - 1 ||
                                memcmp(reads->text, FOLDER_CONTENT, sizeof FOLDER_CONTENT - 1) != 0))
        return trial_fault(trial, "the file holds %zd bytes, and not those that were written", reads->bytes);
    if (which == STAT && atoi(reads->text) != (int)getpid())
        return trial_fault(trial, "/proc/self/stat speaks of process %d", atoi(reads->text));
    if (fstat(reads->file, &about))
        return -errno;
    trial->metric[STATED_BYTES] = (double)about.st_size;
    trial->metric[READ_BYTES] = (double)reads->bytes;
    if (which == SYSFS)
        trial->metric[FOLLOWED] = look_whether_it_follows();
    return 0;
}

static void teardown(struct trial *trial)
{
    struct reads *reads = trial->state;

    if (!reads)
        return;
    if (reads->file >= 0)
        close(reads->file);
    folder_end(&reads->folder);
}

KERNEL(file,
    .name       = "kernel/file",
    .summary    = "a program reads a small file, which Linux makes while it is read, or which lies in memory",
    .unit       = "file",
    .threads    = { .min = 1, .max = 1 },
    .flags      = KERNEL_TWIN,
    .parameters = { [FILE_OF] = { .name = "file", .summary = "which file", .labels = "tmpfs sysfs uptime stat", .initial = UPTIME,
                                  .quick = "*", .standard = "*", .rigorous = "*" },
                    [HOW]     = { .name = "how", .summary = "opened, read and closed, or read while it is open",
                                  .labels = "open read", .initial = OPENED, .quick = "*", .standard = "*", .rigorous = "*" } },
    .metrics    = { [STATED_BYTES] = { "stated_bytes", "B", "how long the file says that it is" },
                    [READ_BYTES]   = { "read_bytes", "B", "how much a reading gives" },
                    [FOLLOWED]     = { "followed_pct", "%", "a counter of sysfs went up with the packets that were sent" } },
    .setup      = setup,
    .run        = open_read_close,
    .check      = check,
    .teardown   = teardown);
