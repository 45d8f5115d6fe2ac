/* Whether a tree keeps the rules of red and black. */
#include "rb.h"

/* Black nodes on each way down, or -1 if the ways differ. Sets `*reds` if a red node has a red child. */
static int black_height(const struct tree_node *node, bool *reds)
{
    int left, right;

    if (!node)
        return 0;
    *reds |= node->mark && (rb_is_red(node->child[0]) || rb_is_red(node->child[1]));
    left = black_height(node->child[0], reds);
    right = black_height(node->child[1], reds);
    return left < 0 || left != right ? -1 : left + !node->mark;
}

const char *rb_fault(const struct tree *tree, size_t count)
{
    const char *fault = tree_fault(tree, count);
    bool reds = false;

    if (fault)
        return fault;
    if (rb_is_red(tree->root))
        return "the root is red";
    if (black_height(tree->root, &reds) < 0)
        return "two ways down pass different numbers of black nodes";
    return reds ? "a red node has a red child" : NULL;
}
