/*
 * The metrics beside time of kernels under contention: how evenly the threads came to their turns, and how fast the
 * team was together.
 */
#ifndef FENCEPOST_SHARES_H
#define FENCEPOST_SHARES_H

#include <math.h>
#include <stdlib.h>

#include "kernel.h"

struct shares {
    double fairness; /* operations of the thread with the fewest over those of the one with the most, in all batches */
    double
        aggregate_ticks; /* per operation of the whole team: median over batches. A thread's own figure / threads, if all is fair */
};

/* From the samples of a trial whose followers go on until worker 0 has ended. NaN where there are none. */
static inline struct shares team_shares(const struct trial *trial)
{
    const unsigned size = trial->measured;
    const uint64_t batches = size ? trial->sample_count / size : 0;
    double *per_operation = malloc((batches + 1) * sizeof *per_operation);
    int64_t *made = calloc(size + 1, sizeof *made), fewest = INT64_MAX, most = 0;
    struct shares shares = {NAN, NAN};

    if (batches && per_operation && made) {
        for (uint64_t batch = 0; batch < batches; batch++) {
            const struct sample *samples = &trial->samples[batch * size];
            int64_t together = 0;

            for (unsigned i = 0; i < size; i++) {
                made[i] += samples[i].operations;
                together += samples[i].operations;
            }
            per_operation[batch] = ((double)samples[0].ticks - trial->overhead_ticks) / (double)together;
        }
        for (unsigned i = 0; i < size; i++) {
            fewest = made[i] < fewest ? made[i] : fewest;
            most = made[i] > most ? made[i] : most;
        }
        shares = (struct shares){(double)fewest / (double)most, median_of(per_operation, batches)};
    }
    free(per_operation);
    free(made);
    return shares;
}

#define REPEAT_4(step) step step step step
#define REPEAT_16(step) REPEAT_4(REPEAT_4(step))

/*
 * The loop of a kernel under contention. It has blocks of 16 operations, so that neither counting nor asking for the end shows. Worker 0
 * makes as many as it was asked for. The others go on until it has ended. The loop is the same for all, and for a thread alone. Loops that
 * differed only in their end differed by 8 %. Afterwards `operations` is the number that was made.
 */
#define BLOCK 16
#define MAKE_BLOCKS(worker, operations, step)                                                                          \
    do {                                                                                                               \
        uint64_t blocks_ = (worker)->index == 0 ? (operations) / BLOCK : UINT64_MAX;                                   \
        (operations) = 0;                                                                                              \
        do {                                                                                                           \
            REPEAT_16(step)                                                                                            \
            (operations) += BLOCK;                                                                                     \
        } while (--blocks_ && !leader_has_ended(worker));                                                              \
        (worker)->done = (operations);                                                                                 \
    } while (0)

#endif
