/*
 * Pairing heap (Fredman, Sedgewick, Sleator and Tarjan, The pairing heap, 1986). Conventions: tree.h.
 *
 * A tree of any shape in which no key is less than that of its parent. To join two trees is one comparison: the larger
 * root becomes a child of the other. So adding is one comparison. Taking out the root joins its children, first in
 * pairs, from left to right, and then those into one, from right to left. All the work is put off until then.
 */
#ifndef TREE_PAIRING_H
#define TREE_PAIRING_H

#include "tree.h"

struct pairing_node {
    uint64_t key;
    struct pairing_node *child, *next; /* the child that came last, the sibling that came before */
    struct pairing_node *back;         /* the sibling that came after. The last child: its parent. The root: NULL */
};

struct pairing {
    struct pairing_node *root;
};

TREE_INLINE struct pairing_node *pairing_first(const struct pairing *heap)
{
    return heap->root;
}

/* Neither has siblings. */
TREE_INLINE struct pairing_node *pairing_join(struct pairing_node *a, struct pairing_node *b,
                                              struct tree_counts *counts)
{
    struct pairing_node *above = a, *below = b;

    if (tree_before(b->key, a->key, counts)) {
        above = b;
        below = a;
    }
    below->next = above->child;
    if (below->next)
        below->next->back = below;
    below->back = above;
    above->child = below;
    return above;
}

/* A row of siblings as one tree. NULL for none. */
TREE_INLINE struct pairing_node *pairing_join_all(struct pairing_node *row, struct tree_counts *counts)
{
    struct pairing_node *pairs = NULL, *one = NULL;

    while (row) {
        struct pairing_node *a = row, *b = a->next;

        row = b ? b->next : NULL;
        if (b)
            a = pairing_join(a, b, counts);
        a->next = pairs; /* while they wait, the last pair first */
        pairs = a;
    }
    while (pairs) {
        struct pairing_node *next = pairs->next;

        one = one ? pairing_join(one, pairs, counts) : pairs;
        pairs = next;
    }
    if (one)
        one->next = one->back = NULL;
    return one;
}

TREE_INLINE void pairing_add(struct pairing *heap, struct pairing_node *node, struct tree_counts *counts)
{
    node->child = node->next = node->back = NULL;
    heap->root = heap->root ? pairing_join(heap->root, node, counts) : node;
}

TREE_INLINE void pairing_remove(struct pairing *heap, struct pairing_node *node, struct tree_counts *counts)
{
    struct pairing_node *below = pairing_join_all(node->child, counts);

    if (node == heap->root) {
        heap->root = below;
        return;
    }
    if (node->back->child == node)
        node->back->child = node->next;
    else
        node->back->next = node->next;
    if (node->next)
        node->next->back = node->back;
    if (below)
        heap->root = pairing_join(heap->root, below, counts);
}

const char *pairing_fault(const struct pairing *heap, size_t count);

#endif
