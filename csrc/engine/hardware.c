/*
 * Events of the hardware beside a case: cycles, instructions, misses, of worker 0 and in user mode.
 *
 * A CPU counts few events at once. Asked for more, Linux lets them take turns within a window and scales the counts. So
 * each process has one group that fits, and the groups take turns from process to process. A thread that is counted
 * switches at another price. So windows of a loop that are counted follow those that are timed. Of a kernel of events
 * the last batch is counted, and timed like the others.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/perf_event.h>
#include <math.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine.h"

#define CACHE_READ_MISS(cache)                                                                                         \
    ((cache) | PERF_COUNT_HW_CACHE_OP_READ << 8 | (uint64_t)PERF_COUNT_HW_CACHE_RESULT_MISS << 16)

/* What known_work() raises at least. Its pages hold little, so that some cores miss none of it. */
static const struct {
    const char *name;
    uint32_t type;
    uint64_t config;
    uint64_t expect;
} counters[HARDWARE_COUNTERS] = {
    /* The first group. Most CPUs have two of these three beside the counters that are free to choose. */
    {"cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, KNOWN_ROUNDS},
    {"instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS, KNOWN_ROUNDS},
    {"branch_misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES, KNOWN_ROUNDS / 10},
    /* The second. */
    {"l1_misses", PERF_TYPE_HW_CACHE, CACHE_READ_MISS(PERF_COUNT_HW_CACHE_L1D), 1},
    {"llc_misses", PERF_TYPE_HW_CACHE, CACHE_READ_MISS(PERF_COUNT_HW_CACHE_LL), 0},
    {"dtlb_misses", PERF_TYPE_HW_CACHE, CACHE_READ_MISS(PERF_COUNT_HW_CACHE_DTLB), 1},
};

#define GROUPS (HARDWARE_COUNTERS / HARDWARE_GROUP)

struct reading {
    uint64_t members, enabled_ns, running_ns, value[HARDWARE_GROUP];
};

const char *hardware_counter_name(unsigned counter)
{
    return counter < HARDWARE_COUNTERS ? counters[counter].name : NULL;
}

static int counter_open(unsigned counter, int leader)
{
    struct perf_event_attr attributes = {
        .type = counters[counter].type,
        .size = sizeof attributes,
        .config = counters[counter].config,
        .disabled = leader < 0,
        .pinned = leader < 0, /* counted always or never: one that has lost its place reads as nothing */
        .exclude_kernel = 1,  /* all that perf_event_paranoid = 2 grants */
        .exclude_hv = 1,
        .read_format = PERF_FORMAT_GROUP | PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
    };

    return (int)syscall(SYS_perf_event_open, &attributes, 0, -1, leader, PERF_FLAG_FD_CLOEXEC);
}

/* Those of a group that are wanted and that open. The others are left out. */
static void group_open(struct hardware *hardware, unsigned group, unsigned wanted)
{
    *hardware = (struct hardware){.members = 0};
    for (unsigned i = 0; i < HARDWARE_GROUP; i++) {
        const unsigned counter = group * HARDWARE_GROUP + i;
        const int file = wanted & 1u << i ? counter_open(counter, hardware->members ? hardware->files[0] : -1) : -1;

        if (file < 0)
            continue;
        hardware->files[hardware->members] = file;
        hardware->counter[hardware->members++] = counter;
    }
    if (hardware->members)
        ioctl(hardware->files[0], PERF_EVENT_IOC_ENABLE, PERF_IOC_FLAG_GROUP);
}

static int group_read(const struct hardware *hardware, struct reading *found)
{
    const ssize_t bytes = (ssize_t)((3 + hardware->members) * sizeof(uint64_t));

    return hardware->members && read(hardware->files[0], found, sizeof *found) == bytes;
}

void hardware_begin(struct hardware *hardware)
{
    struct reading now;

    hardware->spoilt |= !group_read(hardware, &now);
    for (unsigned i = 0; i < hardware->members && !hardware->spoilt; i++)
        hardware->begin[i] = now.value[i];
}

void hardware_end(struct hardware *hardware, int sign)
{
    struct reading now;

    hardware->spoilt |= !group_read(hardware, &now) || now.enabled_ns != now.running_ns;
    for (unsigned i = 0; i < hardware->members && !hardware->spoilt; i++)
        hardware->sum[i] += sign * (double)(now.value[i] - hardware->begin[i]);
}

void hardware_close(struct hardware *hardware)
{
    while (hardware->members)
        close(hardware->files[--hardware->members]);
}

/* Of the known work: opened counters that read too little of it are not believed. */
static unsigned find_members(unsigned group)
{
    struct hardware hardware;
    unsigned found = 0;

    group_open(&hardware, group, ~0u);
    if (hardware.members) { /* else there is no need to work */
        hardware_begin(&hardware);
        known_work();
        hardware_end(&hardware, 1);
    }
    for (unsigned i = 0; i < hardware.members && !hardware.spoilt; i++)
        if (hardware.sum[i] >= (double)counters[hardware.counter[i]].expect)
            found |= 1u << hardware.counter[i] % HARDWARE_GROUP;
    hardware_close(&hardware);
    return found;
}

static unsigned members_of(unsigned group)
{
    static struct {
        int known;
        unsigned members;
    } found[GROUPS];

    if (!found[group].known) {
        found[group].members = find_members(group);
        found[group].known = 1;
    }
    return found[group].members;
}

int hardware_counts(uint64_t turn)
{
    return turn > 0 && members_of((unsigned)(turn - 1) % GROUPS) != 0;
}

void hardware_open(struct hardware *hardware, uint64_t turn)
{
    const unsigned group = (unsigned)(turn - 1) % GROUPS;

    group_open(hardware, group, members_of(group));
}

void hardware_conclude(const struct hardware *hardware, double operations, double *per_operation)
{
    for (unsigned i = 0; i < hardware->members && !hardware->spoilt && operations > 0; i++)
        per_operation[hardware->counter[i]] = hardware->sum[i] / operations;
}
