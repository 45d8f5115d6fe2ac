/*
 * The two arrays of Linux's O(1) scheduler (2.6.0 to 2.6.22, Ingo Molnar). Conventions: tree.h, but for arrays_init,
 * and for the order in which nodes are given out.
 *
 * There are 140 levels, 0 the first: 100 for real time and 40 for nice values. Each has a list, and a bitmap says which
 * lists are not empty. So the first one is found in at most three words, however many nodes there are. A node that had
 * its turn goes into the expired array. When the active one is empty the two change names. So nobody has a second turn
 * before all have had one. Nodes of a level are in order of time only. A key is a level, so there are 140 keys.
 */
#ifndef TREE_ARRAYS_H
#define TREE_ARRAYS_H

#include "list.h"

#define ARRAYS_LEVELS 140
#define ARRAYS_WORDS ((ARRAYS_LEVELS + 63) / 64)

struct arrays_half {
    uint64_t count, bitmap[ARRAYS_WORDS];
    struct list levels[ARRAYS_LEVELS];
};

struct arrays_node {
    struct list_node list; /* its key is the level */
    struct arrays_half *half;
};

struct arrays {
    struct arrays_half *active, *expired;
    struct arrays_half halves[2];
};

TREE_INLINE void arrays_init(struct arrays *arrays)
{
    *arrays = (struct arrays){.active = &arrays->halves[0], .expired = &arrays->halves[1]};
    for (int level = 0; level < ARRAYS_LEVELS; level++) {
        list_init(&arrays->active->levels[level]);
        list_init(&arrays->expired->levels[level]);
    }
}

TREE_INLINE void arrays_append(struct arrays_half *half, struct arrays_node *node)
{
    const uint64_t level = node->list.key;

    scan_add(&half->levels[level], &node->list);
    half->bitmap[level / 64] |= (uint64_t)1 << level % 64;
    half->count++;
    node->half = half;
}

/* A node that has just become ready may still have its turn in this lap. */
TREE_INLINE void arrays_add(struct arrays *arrays, struct arrays_node *node)
{
    arrays_append(arrays->active, node);
}

/* A node that has had its turn waits for the next lap. */
TREE_INLINE void arrays_expire(struct arrays *arrays, struct arrays_node *node)
{
    arrays_append(arrays->expired, node);
}

/* The lowest bit that is set. There is one. */
TREE_INLINE unsigned arrays_lowest(const struct arrays_half *half)
{
    unsigned word = 0;

    while (!half->bitmap[word])
        word++;
    return word * 64 + (unsigned)__builtin_ctzll(half->bitmap[word]);
}

/* The one that has waited longest in the first level of the active array. May change the names of the arrays. */
TREE_INLINE struct arrays_node *arrays_first(struct arrays *arrays)
{
    if (!arrays->active->count) {
        struct arrays_half *empty = arrays->active;

        arrays->active = arrays->expired;
        arrays->expired = empty;
        if (!arrays->active->count)
            return NULL;
    }
    return (struct arrays_node *)list_first(&arrays->active->levels[arrays_lowest(arrays->active)]);
}

TREE_INLINE void arrays_remove(struct arrays_node *node)
{
    struct arrays_half *half = node->half;
    const uint64_t level = node->list.key;

    list_unlink(&node->list);
    half->count--;
    if (!list_first(&half->levels[level]))
        half->bitmap[level / 64] &= ~((uint64_t)1 << level % 64);
}

const char *arrays_fault(const struct arrays *arrays, size_t count);

#endif
