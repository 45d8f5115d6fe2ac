/*
 * AVL tree. Conventions: tree.h. Its queue is a struct tree, its nodes are struct tree_node, and their mark is the
 * balance. That is the height of the right side less that of the left.
 *
 * One rule keeps it in shape: the balance is -1, 0 or 1. The trees with the fewest nodes for their height that keep it
 * are the Fibonacci trees. So n nodes are at most 1.4405 * log2(n + 2) - 0.3277 levels high (Knuth, The Art of Computer
 * Programming 3, 6.2.3).
 */
#ifndef TREE_AVL_H
#define TREE_AVL_H

#include "tree.h"

TREE_INLINE struct tree_node *avl_first(const struct tree *tree)
{
    return tree->first;
}

/* The gain in a parent's balance when this side of it gets higher. */
TREE_INLINE int avl_weight(int side)
{
    return side ? 1 : -1;
}

/* A node whose balance is 2 or -2 comes down. Returns the node that takes its place. */
TREE_INLINE struct tree_node *avl_rebalance(struct tree *tree, struct tree_node *node, struct tree_counts *counts)
{
    const int side = node->mark > 0, weight = avl_weight(side);
    struct tree_node *child = node->child[side], *inner;

    if (child->mark != -weight) {
        tree_rotate(tree, node, !side, counts);
        /* A child in balance happens after removals only: the place stays as high as it was. */
        node->mark = child->mark ? 0 : weight;
        child->mark = child->mark ? 0 : -weight;
        return child;
    }
    inner = child->child[!side];
    tree_rotate(tree, child, side, counts);
    tree_rotate(tree, node, !side, counts);
    node->mark = inner->mark == weight ? -weight : 0;
    child->mark = inner->mark == -weight ? weight : 0;
    inner->mark = 0;
    return inner;
}

/* Up from the new node, as long as what lies below has become higher. */
TREE_INLINE void avl_add(struct tree *tree, struct tree_node *node, struct tree_counts *counts)
{
    tree_hang(tree, node, counts);
    for (struct tree_node *parent = node->parent; parent; node = parent, parent = node->parent) {
        parent->mark += avl_weight(tree_side(node));
        if (!parent->mark)
            return;
        if (parent->mark > 1 || parent->mark < -1) {
            avl_rebalance(tree, parent, counts);
            return;
        }
    }
}

/* Up from the gap, as long as what lies below has become lower. */
TREE_INLINE void avl_remove(struct tree *tree, struct tree_node *node, struct tree_counts *counts)
{
    const struct tree_gap gap = tree_take(tree, node);
    struct tree_node *parent = gap.parent;
    int side = gap.side;

    while (parent) {
        parent->mark -= avl_weight(side);
        if (parent->mark > 1 || parent->mark < -1)
            parent = avl_rebalance(tree, parent, counts);
        if (parent->mark)
            return;
        side = tree_side(parent);
        parent = parent->parent;
    }
}

const char *avl_fault(const struct tree *tree, size_t count);
/* Give each node the colour of a red-black tree in place of its balance. Afterwards it is one, for rb.h. */
void avl_colour(struct tree *tree);

#endif
