/*
 * Binary heap whose nodes know their places. Conventions: tree.h. The caller gives it an array with room for all nodes.
 *
 * No key is less than that of its parent, so the least is at the top. A node knows its place, so any node can be taken
 * out in log2(n) steps. Without that it would have to be looked for. Keys are in the array, so that comparing touches
 * no node. A move writes the new place into the node, and does not wait for it.
 */
#ifndef TREE_HEAP_H
#define TREE_HEAP_H

#include "tree.h"

struct heap_node {
    uint64_t key;
    size_t place;
};

struct heap_entry {
    uint64_t key;
    struct heap_node *node;
};

struct heap {
    struct heap_entry *entries;
    size_t count;
};

TREE_INLINE struct heap_node *heap_first(const struct heap *heap)
{
    return heap->count ? heap->entries[0].node : NULL;
}

TREE_INLINE void heap_put(struct heap *heap, size_t place, struct heap_entry entry)
{
    heap->entries[place] = entry;
    entry.node->place = place;
}

/* From a free place upwards: parents with a larger key come down. */
TREE_INLINE void heap_rise(struct heap *heap, size_t place, struct heap_entry entry, struct tree_counts *counts)
{
    while (place && tree_before(entry.key, heap->entries[(place - 1) / 2].key, counts)) {
        heap_put(heap, place, heap->entries[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    heap_put(heap, place, entry);
}

/* From a free place downwards: the lesser child comes up while it is less than the entry. */
TREE_INLINE void heap_sink(struct heap *heap, size_t place, struct heap_entry entry, struct tree_counts *counts)
{
    for (size_t child; (child = 2 * place + 1) < heap->count; place = child) {
        if (child + 1 < heap->count)
            child += tree_before(heap->entries[child + 1].key, heap->entries[child].key, counts);
        if (!tree_before(heap->entries[child].key, entry.key, counts))
            break;
        heap_put(heap, place, heap->entries[child]);
    }
    heap_put(heap, place, entry);
}

TREE_INLINE void heap_add(struct heap *heap, struct heap_node *node, struct tree_counts *counts)
{
    heap_rise(heap, heap->count++, (struct heap_entry){node->key, node}, counts);
}

/* The last one takes the free place, and goes on from there, up or down. */
TREE_INLINE void heap_remove(struct heap *heap, struct heap_node *node, struct tree_counts *counts)
{
    const struct heap_entry last = heap->entries[--heap->count];
    const size_t place = node->place;

    if (place == heap->count)
        return;
    if (place && tree_before(last.key, heap->entries[(place - 1) / 2].key, counts))
        heap_rise(heap, place, last, counts);
    else
        heap_sink(heap, place, last, counts);
}

const char *heap_fault(const struct heap *heap, size_t count);

#endif
