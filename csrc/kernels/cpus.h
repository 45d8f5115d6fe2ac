/* On which CPUs the calling thread may run, whatever their numbers are. A cpu_set_t of fixed size ends at 1024. */
#ifndef FENCEPOST_CPUS_H
#define FENCEPOST_CPUS_H

#include <errno.h>
#include <sched.h>

/* 0 or -errno. */
static inline int run_on(const int *cpus, unsigned count)
{
    int last = cpus[0], status;
    cpu_set_t *set;
    size_t bytes;

    for (unsigned i = 0; i < count; i++)
        last = cpus[i] > last ? cpus[i] : last;
    set = CPU_ALLOC((size_t)last + 1);
    if (!set)
        return -ENOMEM;
    bytes = CPU_ALLOC_SIZE((size_t)last + 1);
    CPU_ZERO_S(bytes, set);
    for (unsigned i = 0; i < count; i++)
        CPU_SET_S((size_t)cpus[i], bytes, set);
    status = sched_setaffinity(0, bytes, set) ? -errno : 0;
    CPU_FREE(set);
    return status;
}

#endif
