/*
 * ring/naive, ring/cached, ring/batched, ring/seq_cst, ring/shared_line:  what makes a ring with two indices fast or
 *                                                                         slow?
 * ring/naive_round_trip, ring/cached_round_trip, ring/seq_cst_round_trip: and how long does it take there and back?
 *
 * One operation is one item, or one item there and back. Each ring (ring/indices.h) differs from the first in one
 * thing:
 *   naive        head and tail on separate lines: every push reads the other's index, and so does every pop
 *   cached       each side remembers the other's index and reads it anew only when the remembered one leaves nothing to
 *                do
 *   batched      cached, and each side publishes only after 8 items, when it has to wait, or when it is flushed
 *   seq_cst      naive, with sequentially consistent loads and stores: a locked exchange for every item on x86
 *   shared_line  naive, with both indices on one line: each store takes it away from the other
 * Excluded:  making the rings, and the team's start.
 * Expect:    reference guest, 1024 items of 8 bytes, ns an item: naive 53, cached 3.8, batched after 8 items 4.8 (after
 *            64, 4.4), seq_cst 194.
 * Hazards:   bistable, like all single items (see ring/spsc). An item that batched keeps back has not been sent yet. So
 *            a producer that stops has to flush.
 * Not shown: rings whose publication lies beside the item (ring/spsc), and items given in batches (its `batch`).
 */
#include "indices.h"
#include "trial.h"

#define RING naive
#include "trial.h"

#define RING cached
#include "trial.h"

#define RING batched
#define RING_HAS_FLUSH
#include "trial.h"

#define RING seq_cst
#include "trial.h"

#define RING shared_line
#include "trial.h"

KERNEL(naive,
    .name    = "ring/naive",
    .summary = "one thread hands items to another through a ring that reads both indices every time",
    RING_TRIAL_THROUGHPUT(naive));
KERNEL(naive_round_trip,
    .name    = "ring/naive_round_trip",
    .summary = "an item goes to another thread and back over two rings that read both indices every time",
    RING_TRIAL_ROUND_TRIP(naive));
KERNEL(cached,
    .name    = "ring/cached",
    .summary = "one thread hands items to another through a ring whose sides remember each other's index",
    RING_TRIAL_THROUGHPUT(cached));
KERNEL(cached_round_trip,
    .name    = "ring/cached_round_trip",
    .summary = "an item goes to another thread and back over two rings whose sides remember each other's index",
    RING_TRIAL_ROUND_TRIP(cached));
KERNEL(batched,
    .name    = "ring/batched",
    .summary = "one thread hands items to another, and each side tells the other after 8 items only",
    RING_TRIAL_THROUGHPUT(batched));
KERNEL(seq_cst,
    .name    = "ring/seq_cst",
    .summary = "one thread hands items to another through the naive ring with sequentially consistent indices",
    RING_TRIAL_THROUGHPUT(seq_cst));
KERNEL(shared_line,
    .name    = "ring/shared_line",
    .summary = "one thread hands items to another through the naive ring with both indices on one line",
    RING_TRIAL_THROUGHPUT(shared_line));
KERNEL(seq_cst_round_trip,
    .name    = "ring/seq_cst_round_trip",
    .summary = "an item goes to another thread and back over two rings with sequentially consistent indices",
    RING_TRIAL_ROUND_TRIP(seq_cst));
