/*
 * Nodes of memory: which there are, on which one a CPU lies, and pages on a chosen one. They are found by system calls
 * and sysfs, so that no library is needed. A system without nodes counts as one.
 */
#ifndef FENCEPOST_MEMORY_NODES_H
#define FENCEPOST_MEMORY_NODES_H

#include <sched.h>
#include <sys/syscall.h>

#include "kernels/system.h"

#define NODES_FOLDER "/sys/devices/system/node"
/* As many as one word has bits: the largest machines of today have 64. */
#define MAX_NODES 64
/* Of <linux/mempolicy.h>, which is not installed everywhere. */
#define POLICY_BIND 2
#define MOVE_PAGES 2

/* Whether a number is in a list such as "0-3,8". Sets `highest`, if given, to the highest of the list. */
static inline int in_list(const char *list, long number, long *highest)
{
    int found = 0;

    while (*list && *list != '\n') {
        char *end;
        const long first = strtol(list, &end, 10), last = *end == '-' ? strtol(end + 1, &end, 10) : first;

        if (end == list)
            break;
        found |= first <= number && number <= last;
        if (highest)
            *highest = last;
        list = end + (*end == ',');
    }
    return found;
}

/* How many nodes have memory. */
static inline int nodes_with_memory(void)
{
    char list[256];
    int count = 0;

    if (procfs_text(NODES_FOLDER "/has_memory", list, sizeof list) < 0)
        return 1;
    for (int node = 0; node < MAX_NODES; node++)
        count += in_list(list, node, NULL);
    return count ? count : 1;
}

/* Whether this node has memory. -1 in place of a node has none. */
static inline int has_memory(int64_t node)
{
    char list[256];

    if (procfs_text(NODES_FOLDER "/has_memory", list, sizeof list) < 0)
        return node == 0;
    return node >= 0 && in_list(list, node, NULL);
}

/* The node on which a CPU lies. 0 if the system does not say. */
static inline int node_of(int cpu)
{
    for (int node = 0; node < MAX_NODES; node++) {
        char path[64], list[4096];

        snprintf(path, sizeof path, NODES_FOLDER "/node%d/cpulist", node);
        if (procfs_text(path, list, sizeof list) > 0 && in_list(list, cpu, NULL))
            return node;
    }
    return 0;
}

/* The pages of a mapping are to lie on this node, those that are there already as well. 0 or -errno. */
static inline int bind_to_node(void *start, size_t bytes, int node)
{
    const unsigned long nodes = 1UL << node;

    /* The system takes the number of bits less one. */
    return syscall(SYS_mbind, start, bytes, POLICY_BIND, &nodes, MAX_NODES + 1UL, MOVE_PAGES) ? -errno : 0;
}

/* On which node the page of this address lies, or -errno. */
static inline int node_of_page(void *address)
{
    int node = -1;
    void *pages[] = {address};

    if (syscall(SYS_move_pages, 0, 1UL, pages, NULL, &node, 0))
        return -errno;
    return node;
}

#endif
