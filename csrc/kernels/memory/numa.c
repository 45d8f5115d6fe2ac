/*
 * memory/numa: what does a load cost by the node of the thread and the node of the memory?
 *
 * Machines with several sockets have several nodes, and so have some with one. Each node has its own memory. A load
 * from another node's memory goes over a link. One operation is 1000 loads, each from an address that the load before
 * gave, and none in a cache. The thread runs on a CPU of node `thread`, and its memory lies on node `memory`, put there
 * by mbind(2).
 * Excluded:  making the cycle, and moving the thread to its node and back.
 * Expect:    80 to 100 ns a load on the same node, 130 to 200 on another [K].
 * Hazards:   a hypervisor may show false nodes, or hide real ones. With one node only there is nothing to compare, and
 *            the row is not measurable. The check asks where pages lie.
 * Not shown: bandwidth between nodes, caches of other nodes, memory without CPUs.
 */
#define _GNU_SOURCE
#include "kernels/cpus.h"
#include "kernels/memory/cold.h"
#include "kernels/memory_limits.h"
#include "kernels/memory_nodes.h"

enum { THREAD, MEMORY };
enum { LOAD_NS };

#define EVENTS_A_BATCH 4
#define BATCHES 16
/* Pages that are asked for their node: some of the first, some of the last, some between. */
#define ASKED_PAGES 16

struct place {
    struct cold cold;
    void *memory;
    int cpu; /* of the node of the thread */
    uint64_t events;
    double ticks[EVENTS_A_BATCH * BATCHES];
};

/* A CPU of a node on which this thread may run: its own where that lies there. -1 where there is none. */
static int cpu_on(int64_t node, int own)
{
    const long most = sysconf(_SC_NPROCESSORS_CONF);
    int found = -1;

    if (node_of(own) == node)
        return own;
    for (int cpu = 0; cpu < most && found < 0; cpu++)
        if (node_of(cpu) == node && run_on(&cpu, 1) == 0)
            found = cpu;
    run_on(&own, 1);
    return found;
}

static int setup(struct trial *trial)
{
    const int64_t thread = trial->value[THREAD], memory = trial->value[MEMORY];
    struct place *place;

    if (thread < 0 || memory < 0 || thread >= MAX_NODES || memory >= MAX_NODES) {
        trial_fault(trial, "thread=%" PRId64 " or memory=%" PRId64 " is not a node from 0 to %d", thread, memory,
                    MAX_NODES - 1);
        return -EINVAL;
    }
    if (nodes_with_memory() < 2)
        return trial_needs(trial, "more than one node of memory");
    if (!has_memory(memory)) {
        snprintf(trial->explanation, sizeof trial->explanation, "memory on node %" PRId64, memory);
        return trial_needs(trial, trial->explanation);
    }
    place = trial_alloc(trial, sizeof *place);
    if (!place)
        return -ENOMEM;
    place->cpu = cpu_on(thread, trial->cpus[0]);
    if (place->cpu < 0) {
        snprintf(trial->explanation, sizeof trial->explanation, "a CPU on node %" PRId64, thread);
        return trial_needs(trial, trial->explanation);
    }
    if (available_bytes() < (int64_t)COLD_BYTES * 2)
        return trial_needs(trial, "32 MiB of free memory");
    place->memory = private_pages(COLD_BYTES, 1);
    if (!place->memory)
        return trial_needs(trial, "as much address space (ulimit -v)");
    if (bind_to_node(place->memory, COLD_BYTES, (int)memory))
        return trial_needs(trial, "permission to place memory on nodes (mbind)");
    cold_lay(&place->cold, place->memory);
    return 0;
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;
    struct place *place = trial->state;
    int status = run_on(&place->cpu, 1);

    for (uint64_t i = 0; i < count && !status; i++) {
        const uint64_t begin = tick_begin();
        double found;

        cold_walk(&place->cold);
        found = net_ticks(trial, begin, tick_end());
        if (place->events < EVENTS_A_BATCH * BATCHES)
            place->ticks[place->events++] = found;
        ticks[i] = llround(found);
    }
    run_on(&worker->cpu, 1);
    return status ? status : (int64_t)count;
}

/* The memory lies where it should, and the loads went where they lead. */
static int check(struct trial *trial)
{
    struct place *place = trial->state;

    for (size_t i = 0; i < ASKED_PAGES; i++) {
        const size_t at = (COLD_BYTES - 1) / (ASKED_PAGES - 1) * i;
        const int node = node_of_page((char *)place->memory + at);

        if (node != (int)trial->value[MEMORY])
            return trial_fault(trial, "the page at %zu MiB lies on node %d", at >> 20, node);
    }
    if (cold_check(trial, &place->cold))
        return -EILSEQ;
    trial->metric[LOAD_NS] = median_of(place->ticks, place->events) / trial->tick_hz * 1e9 / COLD_LOADS;
    return 0;
}

static void teardown(struct trial *trial)
{
    struct place *place = trial->state;

    if (place && place->memory)
        munmap(place->memory, COLD_BYTES);
}

/* A flush of each line, and walks at up to 200 ns a load. */
static uint64_t cost_ns(const struct trial *trial)
{
    (void)trial;
    return nodes_with_memory() < 2 ? 0 : COLD_LINES * 20 + EVENTS_A_BATCH * BATCHES * COLD_LOADS * UINT64_C(200);
}

KERNEL(numa,
    .name             = "memory/numa",
    .summary          = "loads from memory that depend on each other, by the node of the thread and that of the memory",
    .unit             = "1000 loads",
    .threads          = { .min = 1, .max = 1 },
    .parameters       = { [THREAD] = { .name = "thread", .unit = "node", .summary = "node on whose CPU the thread runs", .initial = 0, .standard = "0 1",
                                       .rigorous = "0 1 2 3" },
                          [MEMORY] = { .name = "memory", .unit = "node", .summary = "node on which the memory lies", .initial = 1, .standard = "0 1",
                                       .rigorous = "0 1 2 3" } },
    .metrics          = { [LOAD_NS] = { "load_ns", "ns", "of one load" } },
    .setup            = setup,
    .events           = events,
    .events_per_batch = EVENTS_A_BATCH,
    .batches          = BATCHES,
    .check            = check,
    .teardown         = teardown,
    .cost_ns          = cost_ns);
