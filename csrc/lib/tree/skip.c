/* Whether a skip list is sorted, and its lanes are parts of each other. */
#include "skip.h"

/* As skip_fault, of one lane. `below` is how many nodes are in it by what they say of themselves. */
static const char *lane_fault(const struct skip *skip, unsigned lane, size_t due)
{
    size_t seen = 0;

    for (const struct skip_node *at = skip->head.next[lane]; at; at = at->next[lane]) {
        if (at->lanes <= lane || at->lanes > SKIP_LANES)
            return "a node stands in a lane that is not its own";
        if (at->next[lane] && at->key > at->next[lane]->key)
            return "a key stands before a smaller one";
        if (++seen > due)
            return "there are more nodes than were added";
    }
    return seen == due ? NULL : "there are fewer nodes than were added";
}

const char *skip_fault(const struct skip *skip, size_t count)
{
    size_t in_lane[SKIP_LANES] = {0};
    const char *fault = lane_fault(skip, 0, count);

    if (fault)
        return fault;
    for (const struct skip_node *at = skip->head.next[0]; at; at = at->next[0])
        for (unsigned lane = 0; lane < at->lanes; lane++)
            in_lane[lane]++;
    for (unsigned lane = 0; lane < SKIP_LANES && !fault; lane++) {
        if (!in_lane[lane] != (lane >= skip->head.lanes))
            return "the head does not say how many lanes are in use";
        fault = lane_fault(skip, lane, in_lane[lane]);
    }
    return fault;
}
