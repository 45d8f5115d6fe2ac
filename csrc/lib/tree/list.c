/* Whether a list is complete, and sorted. */
#include "list.h"

const char *scan_fault(const struct list *list, size_t count)
{
    size_t seen = 0;

    for (const struct list_node *at = list->head.next; at != &list->head; at = at->next) {
        if (at->next->prev != at || at->prev->next != at)
            return "a node is not the neighbour of its neighbour";
        /* A link that leads back would be followed for ever. */
        if (++seen > count)
            return "there are more nodes than were added";
    }
    return seen == count ? NULL : "there are fewer nodes than were added";
}

const char *list_fault(const struct list *list, size_t count)
{
    const char *fault = scan_fault(list, count);

    if (fault || !count)
        return fault;
    for (const struct list_node *at = list->head.next; at->next != &list->head; at = at->next)
        if (at->key > at->next->key)
            return "a key stands before a smaller one";
    return NULL;
}
