/*
 * order/peterson: does Peterson's algorithm keep two threads apart, and what does the fence cost that it needs?
 *
 *     flag[me] = 1;  turn = other;  FENCE;  while (flag[other] && turn == other) wait;  section;  flag[me] = 0;
 *
 * One operation is one section of the first thread: enter, add one to a shared counter, leave.
 * Excluded:  nothing. The other thread does the same all the while.
 * Expect:    `none` and `c11_acq_rel` lose additions on every CPU that lets a load pass a store (x86-64: 5 to 2000 in a
 *            million, by process). A full fence loses none. Reference guest, ns per section: 288-415 without, 303-419
 *            with mfence. The line that goes back and forth costs more than the fence does.
 * Hazards:   losses differ between processes by a factor of a hundred. Use quantiles over processes, never their mean.
 * Not shown: more than two threads. On weaker CPUs `none` also lacks the acquire and release of the others.
 */
#include "order.h"

INLINE void enter(int order, struct order_state *state, unsigned me)
{
    const unsigned other = 1 - me;
    uint64_t looks = 0;

    put(order, &state->flag[me].up, 1);
    put(order, &state->turn, other);
    flag_before_look(order);
    while (look(order, &state->flag[other].up) && look(order, &state->turn) == other)
        wait_a_little(&looks);
}

INLINE void leave(int order, struct order_state *state, unsigned me)
{
    put(order, &state->flag[me].up, 0);
}

KERNEL(peterson,
    .name       = "order/peterson",
    .summary    = "two threads add under Peterson's algorithm, with a fence or at the risk of lost additions",
    ORDER_ROW);
