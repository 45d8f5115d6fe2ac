/*
 * Red-black tree. Conventions: tree.h. Its queue is a struct tree, its nodes are struct tree_node, their mark is 1 for
 * red.
 *
 * Three rules keep it in shape. The root is black. A red node has no red child. Each way from the root down to a place
 * where a node could hang passes the same number of black nodes (the black height). So no way is more than twice as
 * long as another, and n nodes are at most 2 * log2(n + 1) levels high.
 */
#ifndef TREE_RB_H
#define TREE_RB_H

#include "tree.h"

TREE_INLINE bool rb_is_red(const struct tree_node *node)
{
    return node && node->mark;
}

TREE_INLINE struct tree_node *rb_first(const struct tree *tree)
{
    return tree->first;
}

/* A new node is red: it changes no black height, but its parent may be red as well. */
TREE_INLINE void rb_add(struct tree *tree, struct tree_node *node, struct tree_counts *counts)
{
    tree_hang(tree, node, counts);
    node->mark = 1;
    while (rb_is_red(node->parent)) {
        struct tree_node *parent = node->parent, *above = parent->parent; /* is there, since a root is black */
        const int side = tree_side(parent);

        if (rb_is_red(above->child[!side])) {
            /* Both children of `above` give it their black: one level up the question is the same. */
            parent->mark = above->child[!side]->mark = 0;
            above->mark = 1;
            node = above;
            continue;
        }
        if (tree_side(node) != side) {
            tree_rotate(tree, parent, side, counts);
            parent = node;
        }
        parent->mark = 0;
        above->mark = 1;
        tree_rotate(tree, above, !side, counts);
        break;
    }
    tree->root->mark = 0;
}

/* The ways through the gap lack a black node: mend that, or hand it one level up. */
TREE_INLINE void rb_fill(struct tree *tree, struct tree_gap gap, struct tree_counts *counts)
{
    struct tree_node *parent = gap.parent;
    int side = gap.side;

    while (parent) {
        struct tree_node *other = parent->child[!side]; /* is there: its ways have a black node more */

        if (other->mark) {
            other->mark = 0;
            parent->mark = 1;
            tree_rotate(tree, parent, side, counts);
            other = parent->child[!side];
        }
        if (rb_is_red(other->child[0]) || rb_is_red(other->child[1])) {
            if (!rb_is_red(other->child[!side])) {
                other->child[side]->mark = 0;
                other->mark = 1;
                tree_rotate(tree, other, !side, counts);
                other = parent->child[!side];
            }
            other->mark = parent->mark;
            parent->mark = other->child[!side]->mark = 0;
            tree_rotate(tree, parent, side, counts);
            return;
        }
        /* Now both sides lack one, and all ways through `parent` do, unless it was red. */
        other->mark = 1;
        if (parent->mark) {
            parent->mark = 0;
            return;
        }
        side = tree_side(parent);
        parent = parent->parent;
    }
}

TREE_INLINE void rb_remove(struct tree *tree, struct tree_node *node, struct tree_counts *counts)
{
    const struct tree_gap gap = tree_take(tree, node);

    if (gap.mark)
        return;
    if (rb_is_red(gap.child))
        gap.child->mark = 0;
    else
        rb_fill(tree, gap, counts);
}

const char *rb_fault(const struct tree *tree, size_t count);

#endif
