/*
 * clock/offset: do the tick counters of two CPUs agree?
 *
 * One event is a round trip. Worker 0 notes its counter and sends the value through a cache line. Worker 1 notes its
 * own counter on arrival, and again before it answers. A message leaves at t0 (first CPU's counter) and arrives at t1
 * (second's). It reads t1 - t0 = way + offset. The answer leaves at t2 (second's), arrives at t3 (first's), and reads
 * t3 - t2 = way - offset. No way takes less than nothing, so
 *     -(smallest t3 - t2) <= offset <= smallest t1 - t0
 * and this interval is all that can be known. It is widened by one step of the counter at each end, since each reading
 * may be up to a step behind.
 * Excluded:  the first trip, which meets a cold line. Nothing is subtracted. The readings are part of the way.
 * Expect:    reference guest, CPUs 0 and 1: smallest way there 186, back 398 ticks. So the offset is -106 ± 292, no
 *            different from 0. A line goes from core to core in 25-100 ns (clock ticks at 2-3 GHz: 50-300). A fenced
 *            reading on each side comes on top.
 * Hazards:   an unequal way looks like an offset, and only the interval allows for it. Do not use the middle of the
 *            interval as an estimate.
 * Not shown: drift between the counters. A process is too short for that.
 */
#include "kernel.h"

#include <errno.h>
#include <stdatomic.h>

#define TRIPS_PER_BATCH 200
#define BATCHES 10

struct letter {
    /* Alone on its pair of lines. `number` and the payload share one: both come with one transfer. */
    _Alignas(128) _Atomic uint64_t number;
    uint64_t stamp;
};

struct offset {
    struct letter there, back;
    /* Each worker's own side of the matter. */
    struct {
        _Alignas(128) uint64_t trips, disorder, last_stamp;
        int64_t shortest;
    } side[2];
};

static int setup(struct trial *trial)
{
    struct offset *offset = trial_alloc(trial, sizeof *offset);

    if (!offset)
        return -ENOMEM;
    offset->side[0].shortest = offset->side[1].shortest = INT64_MAX;
    return 0;
}

static uint64_t send(struct letter *letter, uint64_t number)
{
    const uint64_t now = tick_now();

    letter->stamp = now;
    /* A: release, pairs with B in the other worker. A reader that sees the number sees the stamp. Without it the stamp of the
       letter before could be read, and a way would come out too long. */
    atomic_store_explicit(&letter->number, number, memory_order_release);
    return now;
}

/* Wait for a letter and note the time of arrival and its way by the two counters. */
static uint64_t receive(struct offset *offset, unsigned side, struct letter *letter, uint64_t number, int64_t *way)
{
    uint64_t seen, now, stamp;

    /* B: acquire, pairs with A. */
    while ((seen = atomic_load_explicit(&letter->number, memory_order_acquire)) == number - 1)
        cpu_relax();
    now = tick_now();
    stamp = letter->stamp;
    if (seen != number || stamp < offset->side[side].last_stamp)
        offset->side[side].disorder++;
    offset->side[side].last_stamp = stamp;
    *way = (int64_t)(now - stamp);
    return now;
}

static void keep_shortest(struct offset *offset, unsigned side, int64_t way)
{
    if (way < offset->side[side].shortest)
        offset->side[side].shortest = way;
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct offset *offset = worker->trial->state;
    const unsigned side = worker->index;
    int64_t way;

    (void)count; /* only worker 0 is told. Both make the same number of trips, and the first is not kept */
    team_start(worker);
    for (unsigned i = 0; i <= TRIPS_PER_BATCH; i++) {
        const uint64_t number = ++offset->side[side].trips;

        if (side == 0) {
            const uint64_t sent = send(&offset->there, number);
            const uint64_t arrived = receive(offset, side, &offset->back, number, &way);

            if (i)
                ticks[i - 1] = (int64_t)(arrived - sent);
        } else {
            receive(offset, side, &offset->there, number, &way);
            send(&offset->back, number);
        }
        if (i)
            keep_shortest(offset, side, way);
    }
    return side == 0 ? TRIPS_PER_BATCH : 0;
}

/* Every letter arrived once and in order, and the interval is not empty: a round trip takes time. */
static int check(struct trial *trial)
{
    const struct offset *offset = trial->state;
    const double step = (double)trial->quantum_ticks;

    if (offset->side[0].disorder || offset->side[1].disorder || offset->side[0].trips != offset->side[1].trips ||
        !offset->side[0].trips)
        return trial_fault(trial, "of %llu letters there and %llu back, %llu came out of order",
                           (unsigned long long)offset->side[1].trips, (unsigned long long)offset->side[0].trips,
                           (unsigned long long)(offset->side[0].disorder + offset->side[1].disorder));
    trial->metric[0] = -(double)offset->side[0].shortest - step;
    trial->metric[1] = (double)offset->side[1].shortest + step;
    trial->metric[2] = (double)offset->side[1].shortest;
    trial->metric[3] = (double)offset->side[0].shortest;
    if (trial->metric[0] > trial->metric[1])
        return trial_fault(trial, "the shortest ways there and back (%.0f and %.0f ticks) leave no offset possible",
                           trial->metric[2], trial->metric[3]);
    return 0;
}

static uint64_t cost_ns(const struct trial *trial)
{
    (void)trial;
    return TRIPS_PER_BATCH * BATCHES * UINT64_C(300);
}

KERNEL(offset,
    .name             = "clock/offset",
    .summary          = "messages between two CPUs bound how far apart their tick counters are",
    .unit             = "round trip",
    .threads          = { .min = 2, .max = 2 },
    .place            = PLACE_PAIRS,
    .needs            = NEED_TICKS,
    .metrics          = { { "offset_low_ticks", "ticks", "second counter less first, at least" },
                          { "offset_high_ticks", "ticks", "second counter less first, at most" },
                          { "one_way_there_min_ticks", "ticks", "shortest way there, by the two counters" },
                          { "one_way_back_min_ticks", "ticks", "shortest way back, by the two counters" } },
    .setup            = setup,
    .events           = events,
    .events_per_batch = TRIPS_PER_BATCH,
    .batches          = BATCHES,
    .check            = check,
    .cost_ns          = cost_ns);
