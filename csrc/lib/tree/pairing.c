/* Whether a pairing heap is one. */
#include "pairing.h"

static const struct pairing_node *parent_of(const struct pairing_node *node)
{
    while (node->back && node->back->child != node)
        node = node->back;
    return node->back;
}

/* In a walk from the root downwards and to the right. Not by recursion: n keys added downwards are n levels. */
static const struct pairing_node *after(const struct pairing_node *node)
{
    if (node->child)
        return node->child;
    while (node && !node->next)
        node = parent_of(node);
    return node ? node->next : NULL;
}

const char *pairing_fault(const struct pairing *heap, size_t count)
{
    size_t seen = 0, below = 0;

    if (heap->root && (heap->root->back || heap->root->next))
        return "the root has a parent or a sibling";
    for (const struct pairing_node *at = heap->root; at; at = after(at)) {
        const struct pairing_node *before = at;

        for (const struct pairing_node *child = at->child; child; before = child, child = child->next) {
            if (child->back != before)
                return "a node does not know who stands before it";
            if (child->key < at->key)
                return "a key is less than that of its parent";
            /* A link that leads back would be followed for ever. */
            if (++below > count)
                return "there are more nodes than were added";
        }
        if (++seen > count)
            return "there are more nodes than were added";
    }
    return seen == count ? NULL : "there are fewer nodes than were added";
}
