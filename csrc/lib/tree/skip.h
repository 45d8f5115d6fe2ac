/*
 * Skip list (Pugh, Skip lists: a probabilistic alternative to balanced trees, 1990). Conventions: tree.h.
 *
 * A sorted list with lanes above it. Each node is in the lowest lane. It is in each lane above by chance, one in four
 * of those of the lane below. A search goes ahead in the highest lane first, and down where it would go too far.
 * Nothing is ever balanced.
 */
#ifndef TREE_SKIP_H
#define TREE_SKIP_H

#include "tree.h"

/* Enough for 4^12 nodes, 16 million: with more the highest lane gets longer. */
#define SKIP_LANES 12

struct skip_node {
    uint64_t key;
    unsigned lanes;
    struct skip_node *next[SKIP_LANES];
};

struct skip {
    struct skip_node head; /* in all lanes. Its key is nobody's, and its `lanes` are those that are in use */
    uint64_t random;
};

TREE_INLINE struct skip_node *skip_first(const struct skip *skip)
{
    return skip->head.next[0];
}

/*
 * One, and a further one with a chance of one in four each. By Knuth's congruential generator, whose upper bits are
 * good.
 */
TREE_INLINE unsigned skip_draw(struct skip *skip)
{
    uint64_t bits;

    skip->random = skip->random * 6364136223846793005u + 1442695040888963407u;
    /* A bit at the end, so that there are never more lanes than can be. */
    bits = skip->random >> 40 | (uint64_t)1 << 2 * (SKIP_LANES - 1);
    return 1 + (unsigned)__builtin_ctzll(bits) / 2;
}

TREE_INLINE void skip_add(struct skip *skip, struct skip_node *node, struct tree_counts *counts)
{
    struct skip_node *at = &skip->head, *before[SKIP_LANES];

    for (unsigned lane = skip->head.lanes; lane-- > 0; before[lane] = at)
        while (at->next[lane] && !tree_before(node->key, at->next[lane]->key, counts))
            at = at->next[lane];
    node->lanes = skip_draw(skip);
    while (skip->head.lanes < node->lanes)
        before[skip->head.lanes++] = &skip->head;
    for (unsigned lane = 0; lane < node->lanes; lane++) {
        node->next[lane] = before[lane]->next[lane];
        before[lane]->next[lane] = node;
    }
}

/* A lane leads only forwards: what comes before the node has to be looked for. */
TREE_INLINE void skip_remove(struct skip *skip, struct skip_node *node, struct tree_counts *counts)
{
    struct skip_node *at = &skip->head;

    for (unsigned lane = skip->head.lanes; lane-- > 0;) {
        while (at->next[lane] && at->next[lane] != node && tree_before(at->next[lane]->key, node->key, counts))
            at = at->next[lane];
        if (lane >= node->lanes)
            continue;
        while (at->next[lane] != node) /* others of the same key */
            at = at->next[lane];
        at->next[lane] = node->next[lane];
    }
    while (skip->head.lanes && !skip->head.next[skip->head.lanes - 1])
        skip->head.lanes--;
}

const char *skip_fault(const struct skip *skip, size_t count);

#endif
