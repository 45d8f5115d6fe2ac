/*
 * memory/overcommit: does the system promise more memory than there is?
 *
 * One operation is one request for private memory that nobody ever touches. Nothing is timed.
 *   pieces     16 blocks of half of the machine's memory each: 8 times as much as there is
 *   block      one block of twice the memory and the swap
 *   noreserve  the same with MAP_NORESERVE
 * Excluded:  touching any of it. A page that is in memory afterwards fails the case.
 * Expect:    by vm.overcommit_memory. With 0: pieces 16 of 16, block refused, noreserve accepted. With 1: all accepted.
 *            With 2: only as much as CommitLimit leaves, of any kind.
 * Hazards:   a limit of address space (ulimit -v) refuses for another reason, and so does an address space with too few
 *            bits. Both are a need. A process whose future pages are locked would get them at once, so such a process
 *            makes no request. Control groups limit touched memory, not promised memory. The metric times_memory is the
 *            accepted memory divided by the memory that this process may have.
 * Not shown: the end of the promise. If too much of it is touched, the system ends some process.
 */
#define _GNU_SOURCE
#include "kernels/memory_limits.h"
#include "kernels/system.h"

enum { PIECES, BLOCK, NORESERVE };
enum { ACCEPTED_GIB, TIMES_MEMORY, RESIDENT_KIB, POLICY };

/* Of vm.overcommit_memory. */
enum { GUESS, ALWAYS, NEVER };

#define MOST_PIECES 16
/* More addresses than 16 TiB are never asked for: the user's half of the smallest usual address space has 128. */
#define MOST_BYTES ((int64_t)1 << 44)
#define TAKEN_BYTES ((double)(1 << 20))

struct requests {
    int64_t total, swap; /* of the machine, in bytes */
    int64_t policy;
    int64_t accepted, accepted_bytes, room; /* room: left to CommitLimit before */
    double resident_before, resident_after;
    int present; /* a page of what was promised is in memory */
};

static int is_present(const unsigned char *mapping, size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char first = 0, last = 0;

    return (mincore((void *)(uintptr_t)mapping, page, &first) == 0 && (first & 1)) ||
           (mincore((void *)(uintptr_t)(mapping + bytes - page), page, &last) == 0 && (last & 1));
}

/* How much each request of this kind asks for, and how often. Multiples of a page. */
static size_t request_bytes(const struct requests *requests, int ask)
{
    const int64_t bytes = ask == PIECES ? requests->total / 2 : 2 * (requests->total + requests->swap);

    return (size_t)(bytes / sysconf(_SC_PAGESIZE) * sysconf(_SC_PAGESIZE));
}

static int request_count(int ask)
{
    return ask == PIECES ? MOST_PIECES : 1;
}

static int setup(struct trial *trial)
{
    struct requests *requests = trial_alloc(trial, sizeof *requests);
    const int ask = (int)trial->value[0];
    struct rlimit limit;
    size_t bytes;
    void *addresses;

    if (!requests)
        return -ENOMEM;
    if (EMULATED)
        return trial_needs(trial, "a system that is not emulated");
    requests->policy = number_in("/proc/sys/vm/overcommit_memory", NULL);
    requests->total = number_in("/proc/meminfo", "MemTotal:") * 1024;
    requests->swap = number_in("/proc/meminfo", "SwapTotal:") * 1024;
    if (requests->policy < 0 || requests->total <= 0 || requests->swap < 0)
        return trial_needs(trial, "/proc/meminfo and vm.overcommit_memory");
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        return trial_needs(trial, "no limit of address space (ulimit -v)");
    if (number_in("/proc/self/status", "VmLck:") > 0)
        return trial_needs(trial, "a process without locked memory");
    bytes = request_bytes(requests, ask) * (size_t)request_count(ask);
    if (bytes > (size_t)MOST_BYTES)
        return trial_needs(trial, "a machine with less memory: 16 TiB of addresses are asked for at most");
    /* Addresses alone, which nobody has to vouch for. */
    addresses = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (addresses == MAP_FAILED)
        return trial_needs(trial, "so many addresses");
    munmap(addresses, bytes);
    return 0;
}

static int work(struct worker *worker)
{
    struct trial *trial = worker->trial;
    struct requests *requests = trial->state;
    const int ask = (int)trial->value[0], count = request_count(ask);
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | (ask == NORESERVE ? MAP_NORESERVE : 0);
    const size_t bytes = request_bytes(requests, ask);
    unsigned char *given[MOST_PIECES];

    requests->room = (number_in("/proc/meminfo", "CommitLimit:") - number_in("/proc/meminfo", "Committed_AS:")) * 1024;
    requests->resident_before = resident_bytes();
    while (requests->accepted < count) {
        void *piece = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);

        if (piece == MAP_FAILED)
            break;
        given[requests->accepted++] = piece;
    }
    requests->resident_after = resident_bytes();
    for (int64_t i = 0; i < requests->accepted; i++) {
        requests->present |= is_present(given[i], bytes);
        munmap(given[i], bytes);
    }
    requests->accepted_bytes = requests->accepted * (int64_t)bytes;
    return 0;
}

/* What this policy accepts, of so many requests for so many bytes each. */
static int64_t expected_of(const struct requests *requests, int ask)
{
    const int64_t bytes = (int64_t)request_bytes(requests, ask), count = request_count(ask);
    const int64_t fit = requests->room > 0 ? requests->room / bytes : 0;
    const int64_t most = fit < count ? fit : count;

    if (requests->policy == ALWAYS)
        return count;
    if (requests->policy == GUESS)
        return ask == BLOCK ? 0 : count;
    /* CommitLimit holds a reserve back, and others take and give meanwhile: one piece more or less is no other policy. */
    return ask == PIECES && llabs(requests->accepted - most) <= 1 ? requests->accepted : most;
}

/* What was accepted is what the policy promises, and none of it is in memory. */
static int check(struct trial *trial)
{
    const int ask = (int)trial->value[0];
    const struct requests *requests = trial->state;
    const double taken = requests->resident_after - requests->resident_before;

    if (requests->present || taken > TAKEN_BYTES)
        return trial_fault(trial, "%.0f bytes of what nobody touched are in memory", taken);
    trial->metric[ACCEPTED_GIB] = (double)requests->accepted_bytes / 0x1p30;
    trial->metric[TIMES_MEMORY] = (double)requests->accepted_bytes / (double)memory_there_is();
    trial->metric[RESIDENT_KIB] = fmax(0, taken) / 1024;
    trial->metric[POLICY] = (double)requests->policy;
    trial_count(trial, 0, requests->accepted, expected_of(requests, ask));
    return 0;
}

KERNEL(overcommit,
    .name       = "memory/overcommit",
    .summary    = "how much memory the system promises that nobody ever touches",
    .unit       = "request",
    .threads    = { .min = 1, .max = 1 },
    .parameters = { { .name = "ask", .summary = "for what", .labels = "pieces block noreserve", .initial = PIECES,
                      .quick = "*", .standard = "*", .rigorous = "*" } },
    .metrics    = { [ACCEPTED_GIB] = { "accepted_gib", "GiB", "what was promised" },
                    [TIMES_MEMORY] = { "times_memory", "times", "that over what this process may have, by the machine and its control group" },
                    [RESIDENT_KIB] = { "resident_kib", "KiB", "memory that the promises took" },
                    [POLICY]       = { "policy", "policy", "vm.overcommit_memory: 0 guesses, 1 always, 2 never beyond the limit" } },
    .counts     = { { "accepted", "requests", "requests that were accepted, and what the policy says of them" } },
    .setup      = setup,
    .work       = work,
    .check      = check);
