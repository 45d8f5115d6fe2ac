/*
 * The designs that are compared side by side in one kernel, each by its adapter. See ring/trial.h for the definition of
 * an adapter.
 */
#ifndef FENCEPOST_RING_DESIGNS_H
#define FENCEPOST_RING_DESIGNS_H

#include "indices.h"
#include "locked.h"
#include "sleeping.h"
#include "trial.h"

RING_INLINE int spsc_create(void **ring, size_t capacity, size_t item_bytes)
{
    return ring_spsc_create((struct ring_spsc **)ring, capacity, item_bytes, 0);
}

RING_INLINE void spsc_destroy(void *ring)
{
    ring_spsc_destroy(ring);
}

RING_INLINE bool spsc_try_push(void *ring, const void *item, size_t item_bytes)
{
    return ring_spsc_try_push_sized(ring, item, item_bytes);
}

RING_INLINE bool spsc_try_pop(void *ring, void *item, size_t item_bytes)
{
    return ring_spsc_try_pop_sized(ring, item, item_bytes);
}

/* The ring's functions by name, in the order of the labels. */
#define RING_DESIGNS(x) x(spsc) x(naive) x(cached) x(seq_cst) x(mutex_spin) x(mutex_condvar) x(pipe) x(eventfd)
#define RING_DESIGN_LABELS "spsc naive cached seq_cst mutex_spin mutex_condvar pipe eventfd"
enum ring_design {
#define RING_DESIGN_ENUM(name) RING_DESIGN_##name,
    RING_DESIGNS(RING_DESIGN_ENUM)
#undef RING_DESIGN_ENUM
        RING_DESIGN_COUNT
};

static const struct {
    int (*create)(void **ring, size_t capacity, size_t item_bytes);
    void (*destroy)(void *ring);
} ring_designs[RING_DESIGN_COUNT] = {
#define RING_DESIGN_ROW(name) {name##_create, name##_destroy},
    RING_DESIGNS(RING_DESIGN_ROW)
#undef RING_DESIGN_ROW
};

#endif
