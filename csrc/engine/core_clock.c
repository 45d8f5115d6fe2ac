/*
 * The core clock beside a case: how fast the core runs while it is measured, and whether that reading can be trusted.
 */
#include <math.h>

#include "session.h"

/* For how long a reading of the core clock counts as present. That is time for a check, a record and the next team's threads. A clock
   wanders over seconds (seen 2.7-3.0 GHz in 30 s), and a governor looks every few milliseconds at best. */
#define SAME_CLOCK_NS 1e6

/*
 * The core clock from the multiply chain, three cycles an instruction. This chain has slack, so a busy sibling thread of the host
 * disturbs it less than the add chain (seen: 3 % on the add, nothing on the multiply). The add chain is the control. The figure is
 * in cycles only if the two are 1 to 3.
 */
double core_hz(const struct chains *chains)
{
    return 3 * chains->mul_hz;
}

/* The latest reading of the core clock in this process. Worker 0 of one team after the other writes it. */
static struct {
    struct chains chains;
    uint64_t ticks; /* 0: none yet */
    int cpu;
} latest_clock;

void read_clock(const struct worker *worker, struct chains *chains)
{
    probe_chains(worker->trial->tick_hz, chains);
    latest_clock.chains = *chains;
    latest_clock.cpu = worker->cpu;
    latest_clock.ticks = tick_now();
}

void read_clock_before(const struct worker *worker, struct chains *chains)
{
    const double since_ns = (double)(tick_now() - latest_clock.ticks) * 1e9 / worker->trial->tick_hz;

    if (latest_clock.ticks && latest_clock.cpu == worker->cpu && since_ns <= SAME_CLOCK_NS)
        *chains = latest_clock.chains;
    else
        read_clock(worker, chains);
}
