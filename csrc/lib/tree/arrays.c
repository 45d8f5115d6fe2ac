/* Whether the bitmaps agree with the lists. */
#include "arrays.h"

/* As arrays_fault, of one array. `*seen` counts its nodes. */
static const char *half_fault(const struct arrays_half *half, size_t *seen)
{
    *seen = 0;
    for (uint64_t level = 0; level < ARRAYS_LEVELS; level++) {
        const struct list *list = &half->levels[level];
        size_t here = 0;

        if ((list_first(list) != NULL) != (half->bitmap[level / 64] >> level % 64 & 1))
            return "a bit does not say whether its list is empty";
        for (const struct list_node *at = list->head.next; at != &list->head && here <= half->count; at = at->next) {
            if (at->key != level || ((const struct arrays_node *)at)->half != half)
                return "a node is not where it says it is";
            here++;
        }
        if (scan_fault(list, here))
            return "a list is not whole";
        *seen += here;
    }
    return *seen == half->count ? NULL : "an array does not hold as many nodes as it says";
}

const char *arrays_fault(const struct arrays *arrays, size_t count)
{
    size_t seen[2];
    const char *fault = half_fault(&arrays->halves[0], &seen[0]);

    fault = fault ? fault : half_fault(&arrays->halves[1], &seen[1]);
    if (fault)
        return fault;
    return seen[0] + seen[1] == count ? NULL : "the arrays do not hold as many nodes as were added";
}
