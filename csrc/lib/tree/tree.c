/* Walks through search trees, for checks and tests. */
#include "tree.h"

unsigned tree_height(const struct tree_node *node)
{
    unsigned left, right;

    if (!node)
        return 0;
    left = tree_height(node->child[0]);
    right = tree_height(node->child[1]);
    return 1 + (left > right ? left : right);
}

const char *tree_fault(const struct tree *tree, size_t count)
{
    const struct tree_node *node = tree->root;
    size_t seen = 0;

    if (node && node->parent)
        return "the root has a parent";
    while (node && node->child[0])
        node = node->child[0];
    if (node != tree->first)
        return "the node that is kept as the first is not the leftmost";
    for (const struct tree_node *before = NULL; node; before = node, node = tree_next(node)) {
        for (int side = 0; side < 2; side++)
            if (node->child[side] && node->child[side]->parent != node)
                return "a child does not know its parent";
        if (before && before->key > node->key)
            return "a key stands before a smaller one";
        /* A link that leads back would be followed for ever. */
        if (++seen > count)
            return "there are more nodes than were added";
    }
    return seen == count ? NULL : "there are fewer nodes than were added";
}
