/*
 * Two doubly linked lists. Conventions: tree.h, but for list_init. An empty list is a circle of one head.
 *
 *   list  sorted: adding walks from the front to the node's place, and the first is the least
 *   scan  in the order of adding, as in Linux 2.4: each question for the least walks through all
 */
#ifndef TREE_LIST_H
#define TREE_LIST_H

#include "tree.h"

struct list_node {
    uint64_t key;
    struct list_node *next, *prev;
};

struct list {
    struct list_node head; /* its key is nobody's */
};

TREE_INLINE void list_init(struct list *list)
{
    list->head.next = list->head.prev = &list->head;
}

TREE_INLINE void list_insert_before(struct list_node *at, struct list_node *node)
{
    node->next = at;
    node->prev = at->prev;
    at->prev->next = node;
    at->prev = node;
}

TREE_INLINE void list_unlink(struct list_node *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
}

TREE_INLINE struct list_node *list_first(const struct list *list)
{
    return list->head.next == &list->head ? NULL : list->head.next;
}

TREE_INLINE void list_add(struct list *list, struct list_node *node, struct tree_counts *counts)
{
    struct list_node *at = list->head.next;

    while (at != &list->head && !tree_before(node->key, at->key, counts))
        at = at->next;
    list_insert_before(at, node);
}

TREE_INLINE struct list_node *scan_first(const struct list *list, struct tree_counts *counts)
{
    struct list_node *least = list_first(list);

    if (!least)
        return NULL;
    for (struct list_node *at = least->next; at != &list->head; at = at->next)
        if (tree_before(at->key, least->key, counts))
            least = at;
    return least;
}

TREE_INLINE void scan_add(struct list *list, struct list_node *node)
{
    list_insert_before(&list->head, node);
}

const char *list_fault(const struct list *list, size_t count);
const char *scan_fault(const struct list *list, size_t count);

#endif
