/*
 * The expected cost of a case, for the plan: its samples and its time.
 *
 * Expected times, here and in the kernels' cost_ns, are fitted to stored runs. These are two of the profile standard in
 * calm hours (972 cases, 20 rounds) and one of quick. The machine is a guest of an AMD EPYC with two CPUs.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <string.h>

#include "session.h"

/* A case beside its batches. The core-clock probes, the empty windows and the first steps of the search took 0.35-0.5 ms. Added are the
   windows of the search that are as long as a batch. */
#define CASE_OVERHEAD_NS 450000
#define SEARCH_BATCHES 3
/* Between two batches: the witness, and the counters of the thread. Seen 2.7 to 3.7 us. */
#define LOOK_NS 3000
/* The same of a team, which also meets and sends a line to and fro: seen 8.7 to 13.5 us. */
#define TEAM_LOOK_NS 9000
/* A team beside that: threads that are started and pinned. Seen 1 to 1.4 ms with the raw ping-pong. */
#define TEAM_OVERHEAD_NS 600000
/* One of the two ping-pongs beside each case of a team: see hand_over.c. */
#define RAW_COST_NS 200000
#define SERIES_BATCHES 2048

uint64_t trial_samples(const struct kernel *kernel, unsigned team_size, const struct settings *settings)
{
    const uint64_t batches = kernel->batches ? kernel->batches : settings->batches;

    if (kernel->work) /* nothing is timed */
        return 0;
    if (kernel->run && team_size == 1 && !kernel->batches && settings->most_batches > batches)
        return settings->most_batches; /* while too few are quiet */
    return (kernel->flags & KERNEL_ONCE && batches < SERIES_BATCHES ? SERIES_BATCHES : batches) * team_size;
}

/* How many CPUs this process may use. 1 if that cannot be read. */
static unsigned mask_size(void)
{
    const size_t bytes = CPU_ALLOC_SIZE(MAX_CPUS);
    cpu_set_t *mask = CPU_ALLOC(MAX_CPUS);
    const int known = mask && sched_getaffinity(0, bytes, mask) == 0;
    const unsigned count = known ? (unsigned)CPU_COUNT_S(bytes, mask) : 1;

    CPU_FREE(mask);
    return count;
}

uint64_t trial_cost_ns(const struct kernel *kernel, const int64_t *values, unsigned team_size,
                       const struct settings *settings)
{
    struct trial trial = {.kernel = kernel, .team_size = team_size, .batch_ns = settings->batch_ns};
    const unsigned cpus = mask_size();
    uint64_t cost = CASE_OVERHEAD_NS + (team_size > 1 ? 2 * RAW_COST_NS + TEAM_OVERHEAD_NS * team_size / 2 : 0);

    memcpy(trial.value, values, sizeof trial.value);
    trial.batches = kernel->batches ? kernel->batches : settings->batches;
    if (kernel->run)
        cost += (trial.batches + settings->warmup_batches + SEARCH_BATCHES) * settings->batch_ns +
                trial.batches * (team_size > 1 ? TEAM_LOOK_NS : LOOK_NS);
    if (kernel->run && kernel->flags & KERNEL_OVERSUBSCRIBE && team_size > cpus)
        cost +=
            (OVERSUBSCRIBED_BATCHES + 2) * OVERSUBSCRIBED_NS * team_size / cpus; /* and warming up, and the search */
    return cost + (kernel->cost_ns ? kernel->cost_ns(&trial) : 0);
}
