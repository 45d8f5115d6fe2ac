/* Whether a tree keeps the rule of balance, and its colours as a red-black tree. */
#include "avl.h"

/* The height as it is, or -1 where a balance is wrong or too large. */
static int height(const struct tree_node *node)
{
    int left, right;

    if (!node)
        return 0;
    left = height(node->child[0]);
    right = height(node->child[1]);
    if (left < 0 || right < 0 || node->mark != right - left || node->mark > 1 || node->mark < -1)
        return -1;
    return 1 + (left > right ? left : right);
}

const char *avl_fault(const struct tree *tree, size_t count)
{
    const char *fault = tree_fault(tree, count);

    if (fault)
        return fault;
    return height(tree->root) < 0 ? "a balance is not that of the heights, or not -1, 0 or 1" : NULL;
}

/*
 * A node is red if its own height is odd and that of its parent even. So a red node has no red child. Heights fall
 * by 1 or 2 from level to level. So each way down from a node of height h passes (h + 1) / 2 black nodes, rounded
 * down.
 */
static int colour(struct tree_node *node)
{
    int heights[2], own;

    if (!node)
        return 0;
    for (int side = 0; side < 2; side++)
        heights[side] = colour(node->child[side]);
    own = 1 + (heights[0] > heights[1] ? heights[0] : heights[1]);
    for (int side = 0; side < 2; side++)
        if (node->child[side])
            node->child[side]->mark = own % 2 == 0 && heights[side] % 2;
    node->mark = 0; /* its parent may know better */
    return own;
}

void avl_colour(struct tree *tree)
{
    colour(tree->root);
}
