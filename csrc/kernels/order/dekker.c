/*
 * order/dekker: does Dekker's algorithm keep two threads apart, and what does the fence cost that it needs?
 *
 *     flag[me] = 1;  FENCE;
 *     while (flag[other])
 *         if (turn == other) { flag[me] = 0;  while (turn == other && flag[other]) wait;  flag[me] = 1;  FENCE; }
 *     section;  turn = other;  flag[me] = 0;
 *
 * One operation is one section of the first thread: enter, add one to a shared counter, leave.
 * Excluded:  nothing. The other thread does the same all the while.
 * Expect:    as order/peterson: losses for `none` and `c11_acq_rel`, none under a full fence.
 * Hazards:   losses differ between processes by a factor of a hundred. Use quantiles over processes, never their mean.
 * Not shown: more than two threads. On weaker CPUs `none` also lacks the acquire and release of the others.
 */
#include "order.h"

INLINE void enter(int order, struct order_state *state, unsigned me)
{
    const unsigned other = 1 - me;
    uint64_t looks = 0;

    put(order, &state->flag[me].up, 1);
    flag_before_look(order);
    while (look(order, &state->flag[other].up)) {
        if (look(order, &state->turn) == other) {
            put(order, &state->flag[me].up, 0);
            /* The flag too: where both were inside, which is the bug, the turn of who left first may be the last to land. */
            while (look(order, &state->turn) == other && look(order, &state->flag[other].up))
                wait_a_little(&looks);
            put(order, &state->flag[me].up, 1);
            flag_before_look(order);
        }
        wait_a_little(&looks);
    }
}

INLINE void leave(int order, struct order_state *state, unsigned me)
{
    put(order, &state->turn, 1 - me);
    put(order, &state->flag[me].up, 0);
}

KERNEL(dekker,
    .name       = "order/dekker",
    .summary    = "two threads add under Dekker's algorithm, with a fence or at the risk of lost additions",
    .flags      = KERNEL_TWIN,
    ORDER_ROW);
