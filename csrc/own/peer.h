/*
 * The rows of a queue in the table of `fencepost peers`. They are measured by the harness of the suite's rings
 * (csrc/kernels/ring/trial.h, ring/many.h) and with the same parameters. `fencepost new --ring NAME` writes a file that
 * uses it. examples/peers has more.
 *
 * A file says in a line "peer: header FILE package NAME" which header it needs and which package of Debian has it. The
 * line may say "from ADDRESS" instead of the package. `fencepost peers` leaves out files whose header is missing.
 */
#ifndef FENCEPOST_OWN_PEER_H
#define FENCEPOST_OWN_PEER_H

#include "kernels/ring/latency.h"
#include "kernels/ring/many.h"
#include "kernels/ring/trial.h"

#define PEER_SPSC(ring, library)                                                                                       \
    RING_LATENCY(ring, ring##_flush)                                                                                   \
    RING_LATENCY_EVENTS(ring)                                                                                          \
    KERNEL(ring, .name = "peer/" #ring, .summary = library ", one producer and one consumer",                          \
           RING_TRIAL_THROUGHPUT(ring))                                                                                \
    KERNEL(ring##_round_trip, .name = "peer/" #ring "_round_trip",                                                     \
           .summary = library ", an item there and back over two of them", RING_TRIAL_ROUND_TRIP(ring))                \
    KERNEL(ring##_latency, .name = "peer/" #ring "_latency",                                                           \
           .summary = library ", items sent at a fixed rate, each timed from when it is due", .unit = "item",          \
           .threads = {2, 2}, .place = PLACE_ANY, .needs = NEED_TICKS,                                                 \
           .parameters = {{"gap_ns", "ns", "from one item to the next", NULL, 1000, NULL, "1000 10000", NULL},         \
                          {"capacity", "items", "of the ring", NULL, 1024, NULL, NULL, NULL}},                         \
           .metrics = RING_LATENCY_METRICS, .setup = ring##_latency_setup, .events = ring##_latency_batch,             \
           .events_per_batch = RING_LATENCY_EVENTS_PER_BATCH, .check = ring_latency_check,                             \
           .teardown = ring##_teardown, .cost_ns = ring##_latency_cost_ns)

#define PEER_MPMC(ring, library)                                                                                       \
    KERNEL(ring, .name = "peer/" #ring, .summary = library ", several producers and consumers", .unit = "item",        \
           .threads = {2, MAX_TEAM}, .place = PLACE_SWEEP, .flags = KERNEL_OVERSUBSCRIBE,                              \
           .parameters = {RING_MANY_PARAMETERS(NULL, NULL, NULL, NULL), RING_MANY_ROLES("*")},                         \
           .metrics = RING_MANY_METRICS, .setup = ring##_many_setup, .run = ring##_many_8, .check = ring_many_check,   \
           .teardown = ring##_many_teardown)

#endif
