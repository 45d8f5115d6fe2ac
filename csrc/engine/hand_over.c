/*
 * One line between workers 0 and 1, by load and store. Every figure with several CPUs is divided by it, so that it can
 * be compared with one taken in another hour.
 */
#include <math.h>

#include "peer.h"
#include "session.h"

/* RAW_COST_NS in expected.c is 5 x 200 round trips, some 0.2 ms. The median of the five dodges gaps. */
#define RAW_TRIPS 200
#define RAW_REPEATS 5
/* The machine's hand-over cost drifts (seen 115-450 ns within an hour). By more than this between before and after: flagged. */
#define RAW_DRIFT 1.35

double raw_round_trip(struct session *session, struct worker *worker)
{
    _Atomic uint64_t *line = &session->raw_line;
    double repeats[RAW_REPEATS];

    if (session->team.size < 2 || session->trial.oversubscribed)
        return NAN;
    for (int repeat = 0; repeat < RAW_REPEATS; repeat++) {
        uint64_t begin;

        if (worker->index == 0)
            atomic_store_explicit(line, 0, memory_order_relaxed); /* published by the meeting in team_start */
        peer_endable(&session->trial, 1); /* who dies here is waited for in a loop without an end */
        team_start(worker);
        begin = tick_begin();
        if (worker->index == 0)
            for (uint64_t i = 1; i < 2 * RAW_TRIPS; i += 2) {
                atomic_store_explicit(line, i,
                                      memory_order_release); /* A: pairs with B, passes nothing but the number */
                while (atomic_load_explicit(line, memory_order_acquire) != i + 1) /* D: pairs with C */
                    ;
            }
        else if (worker->index == 1)
            for (uint64_t i = 1; i < 2 * RAW_TRIPS; i += 2) {
                while (atomic_load_explicit(line, memory_order_acquire) != i) /* B: pairs with A */
                    ;
                atomic_store_explicit(line, i + 1,
                                      memory_order_release); /* C: pairs with D, without it both wait for ever */
            }
        repeats[repeat] = (double)(tick_end() - begin) / RAW_TRIPS;
        peer_endable(&session->trial, 0);
        team_meet(&session->team);
    }
    return median_of(repeats, RAW_REPEATS);
}

/* 1 to 4 us: enough that the counter's step does not tell near from far, few enough to stand beside each batch. */
#define DISTANCE_TRIPS 10

double line_distance(struct session *session, const struct worker *worker, uint64_t turn)
{
    _Atomic uint64_t *line = &session->distance_line;
    /* One trip more than is timed: in the first the two find each other. */
    const uint64_t first = turn * 2 * (DISTANCE_TRIPS + 1) + 1, end = first + 2 * (DISTANCE_TRIPS + 1);
    uint64_t begin = 0;
    double ticks;

    if (session->team.size < 2 || session->trial.oversubscribed || worker->index > 1)
        return NAN;
    peer_endable(&session->trial, 1); /* who dies here is waited for in a loop without an end */
    for (uint64_t i = first; i < end; i += 2) {
        /* The orders are those of raw_round_trip(): the number alone is passed. */
        if (worker->index == 0) {
            atomic_store_explicit(line, i, memory_order_release);
            while (atomic_load_explicit(line, memory_order_acquire) != i + 1)
                ;
        } else {
            while (atomic_load_explicit(line, memory_order_acquire) != i)
                ;
            atomic_store_explicit(line, i + 1, memory_order_release);
        }
        if (i == first)
            begin = tick_begin();
    }
    ticks = (double)(tick_end() - begin) / DISTANCE_TRIPS;
    peer_endable(&session->trial, 0);
    return ticks;
}

int hand_over_drifted(double before_ticks, double after_ticks)
{
    const double drift = after_ticks / before_ticks;

    return drift > RAW_DRIFT || drift < 1 / RAW_DRIFT; /* both false for NaN */
}
