/*
 * Shared by all queues of this folder. The folder is a small, separate library of queues that give out the least of
 * their keys. So a scheduler finds the task that needs its turn most. It includes nothing of the suite and needs gcc or
 * clang. Copy the folder.
 *
 *   rb       red-black tree that knows its leftmost node        rb.h
 *   avl      AVL tree that knows its leftmost node              avl.h
 *   heap     binary heap whose nodes know their places          heap.h
 *   pairing  pairing heap                                       pairing.h
 *   skip     skip list                                          skip.h
 *   list     sorted list                                        list.h
 *   scan     unsorted list, through which each question walks   list.h
 *   arrays   the O(1) scheduler's two arrays of 140 lists       arrays.h
 *
 * Conventions (X is one of the names above, and a queue that departs from them says so in its header):
 *
 *   void X_add(queue, node, counts)       The node's key is set, and the node is in no queue.
 *   node *X_first(queue, counts)          The node with the least key, or NULL. It stays where it is.
 *   void X_remove(queue, node, counts)    Any node that is in the queue.
 *   const char *X_fault(queue, count)     NULL, or the fault of a queue that should have `count` nodes. It looks at
 *                                         all of them.
 *
 * A queue of zeros is empty, unless its header names an X_init. Nodes lie in the caller's own structures, and the
 * queues take no memory. Of equal keys, all but the two heaps give out first the one that was added first. Nothing here
 * is for several threads at once.
 *
 * `counts` adds up the steps of an operation. With a constant NULL the compiler drops the counting, so that the same
 * code is counted and timed.
 */
#ifndef TREE_TREE_H
#define TREE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TREE_INLINE static inline __attribute__((always_inline, unused))

struct tree_counts {
    uint64_t comparisons; /* of two keys */
    uint64_t rotations;
};

TREE_INLINE bool tree_before(uint64_t a, uint64_t b, struct tree_counts *counts)
{
    if (counts)
        counts->comparisons++;
    return a < b;
}

/*
 * Shared by red-black and AVL trees: search trees with links both ways. Children have numbers instead of names, so that
 * each case is written once. `side` is the child in question, `!side` the other.
 */
struct tree_node {
    uint64_t key;
    struct tree_node *parent, *child[2];
    int mark; /* in rb.h whether it is red, in avl.h its balance */
};

struct tree {
    struct tree_node *root,
        *first; /* of all nodes the leftmost: so the question for the least key follows one pointer */
};

TREE_INLINE int tree_side(const struct tree_node *node)
{
    return node->parent && node->parent->child[1] == node;
}

/* The link that pointed down to `old` points to `with`, which may be NULL. */
TREE_INLINE void tree_replace(struct tree *tree, struct tree_node *old, struct tree_node *with)
{
    if (old->parent)
        old->parent->child[tree_side(old)] = with;
    else
        tree->root = with;
    if (with)
        with->parent = old->parent;
}

/* The node goes down on `side`, and its child on the other side comes up in its place. */
TREE_INLINE void tree_rotate(struct tree *tree, struct tree_node *node, int side, struct tree_counts *counts)
{
    struct tree_node *up = node->child[!side], *between = up->child[side];

    if (counts)
        counts->rotations++;
    tree_replace(tree, node, up);
    up->child[side] = node;
    node->parent = up;
    node->child[!side] = between;
    if (between)
        between->parent = node;
}

/* The next in order. NULL after the last. */
TREE_INLINE struct tree_node *tree_next(const struct tree_node *node)
{
    struct tree_node *next = node->child[1];

    if (next) {
        while (next->child[0])
            next = next->child[0];
        return next;
    }
    while (tree_side(node))
        node = node->parent;
    return node->parent;
}

/* Hang the node where its key belongs, as a leaf with mark 0, behind equal ones. The caller then mends the shape. */
TREE_INLINE void tree_hang(struct tree *tree, struct tree_node *node, struct tree_counts *counts)
{
    struct tree_node *parent = NULL;
    int side = 0;

    for (struct tree_node *next = tree->root; next;) {
        /* Both are loaded while the keys are compared. So the way down waits for one load at each level, not for
           two. */
        struct tree_node *const left = next->child[0], *const right = next->child[1];

        parent = next;
        side = !tree_before(node->key, parent->key, counts);
        next = side ? right : left;
    }
    if (parent)
        parent->child[side] = node;
    else
        tree->root = node;
    /* The leftmost node has nothing to its left. A node that is added there becomes the first. */
    if (parent == tree->first && !side)
        tree->first = node;
    node->parent = parent;
    node->child[0] = node->child[1] = NULL;
    node->mark = 0;
}

/*
 * The state after a removal. `child` (or nothing) is below `parent`, on `side`. Before, a node with this mark was
 * there, with `child` below it.
 */
struct tree_gap {
    struct tree_node *parent, *child;
    int side, mark;
};

/*
 * Take the node out. A node with two children gives its place and its mark to the next in order. Then the gap is
 * where that one was.
 */
TREE_INLINE struct tree_gap tree_take(struct tree *tree, struct tree_node *node)
{
    struct tree_node *out = node->child[0] && node->child[1] ? tree_next(node) : node;
    struct tree_gap gap = {out->parent, out->child[!out->child[0]], tree_side(out), out->mark};

    if (tree->first == node)
        tree->first = tree_next(node);
    tree_replace(tree, out, gap.child);
    if (out == node)
        return gap;
    if (gap.parent == node)
        gap.parent = out;
    tree_replace(tree, node, out);
    for (int side = 0; side < 2; side++) {
        out->child[side] = node->child[side];
        if (out->child[side])
            out->child[side]->parent = out;
    }
    out->mark = node->mark;
    return gap;
}

/* Levels of nodes: 0 of none. Walks through all of them. */
unsigned tree_height(const struct tree_node *node);
/*
 * As X_fault in the conventions, of what every search tree must be: keys in order, links both ways, `first` the
 * first.
 */
const char *tree_fault(const struct tree *tree, size_t count);

#endif
