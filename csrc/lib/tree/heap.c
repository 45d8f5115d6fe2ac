/* Whether a heap is one. */
#include "heap.h"

const char *heap_fault(const struct heap *heap, size_t count)
{
    if (heap->count != count)
        return "the heap does not hold as many nodes as were added";
    for (size_t place = 0; place < count; place++) {
        const struct heap_entry *entry = &heap->entries[place];

        if (entry->node->place != place)
            return "a node does not know its place";
        if (entry->node->key != entry->key)
            return "a key is not that of its node";
        if (place && entry->key < heap->entries[(place - 1) / 2].key)
            return "a key is less than that of its parent";
    }
    return NULL;
}
