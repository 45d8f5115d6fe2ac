/*
 * The core clock beside a case: how fast the core runs while it is measured, and whether that reading can be trusted.
 */
#include <math.h>

#include "session.h"

/* So long a reading of the core clock stands for the present: the time of a check, of a record and of the next team's threads. A clock
   wanders over seconds (seen 2.7-3.0 GHz in 30 s), and a governor looks every few milliseconds at best. */
#define SAME_CLOCK_NS 1e6

/*
 * The core clock from the multiply chain, three cycles an instruction: it has slack, so that a busy sibling thread of the host
 * disturbs it less than the add chain (seen: 3 % on the add, nothing on the multiply). The add chain is the control: only where
 * the two stand 1 to 3 is this figure cycles.
 */
double core_hz(const struct chains *chains)
{
    return 3 * chains->mul_hz;
}

/* The latest reading of the core clock in this process; written by worker 0 of one team after the other. */
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
