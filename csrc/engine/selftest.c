/*
 * Every kernel, run and checked by a plain C program: for sanitizers, for valgrind, and for architectures on which no
 * Python is at hand. Prints one line a case in the manner of TAP. The exit code is the number of failures.
 *
 *   selftest          every kernel: its default case, and each label of each parameter in turn (opt-in kernels: the default)
 *   selftest NAME…    these kernels only
 *
 * Kernels that take turns are also two sides of a row, as `fencepost ab` measures them: two teams on the same threads.
 * It judges no figure, since under a sanitizer or an emulator there is none to judge. It fails if nothing could run.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"

#define MAX_SAMPLES 65536
/* A few short batches: enough to run every line, few enough for valgrind. */
static const struct settings settings = {
    .batches = 2, .warmup_batches = 1, .batch_ns = 20000, .most_turn_bytes = UINT64_MAX};
static struct sample samples[2][MAX_SAMPLES];
static struct bucket buckets[MAX_BUCKETS];

/* So far: lines, cases that ran, and cases that failed. */
static unsigned lines, ran, failures;

/* The CPUs that this process may use, or NULL. A mask of fixed size ends at 1024 CPUs, and Linux refuses one that is too short. */
static int *usable_cpus(unsigned *count)
{
    for (size_t capacity = CPU_SETSIZE; capacity <= (size_t)1 << 20; capacity *= 2) {
        cpu_set_t *set = CPU_ALLOC(capacity);
        const size_t bytes = CPU_ALLOC_SIZE(capacity);
        int *cpus;

        if (!set || sched_getaffinity(0, bytes, set)) {
            CPU_FREE(set);
            continue;
        }
        cpus = malloc((size_t)CPU_COUNT_S(bytes, set) * sizeof *cpus);
        for (size_t cpu = 0; cpus && cpu < capacity; cpu++)
            if (CPU_ISSET_S(cpu, bytes, set))
                cpus[(*count)++] = (int)cpu;
        CPU_FREE(set);
        return cpus;
    }
    return NULL;
}

/* Prints an outcome, and counts it. */
static void tell(const struct kernel *kernel, const int64_t *values, const char *how, const struct outcome *outcome)
{
    const int status = outcome->status, fails = status != 0 && status != -ENOTSUP;

    printf("%s %u - %s%s", fails ? "not ok" : "ok", ++lines, kernel->name, how);
    for (unsigned i = 0; i < MAX_PARAMETERS && kernel->parameters[i].name; i++)
        printf(" %s=%lld", kernel->parameters[i].name, (long long)values[i]);
    printf(status == 0 ? "\n" : status == -ENOTSUP ? " # SKIP %s\n" : " # %s\n", outcome->reason);
    fflush(stdout);
    ran += status == 0;
    failures += (unsigned)fails;
}

static void try_case(const struct kernel *kernel, const int64_t *values, const int *cpus, unsigned team_size)
{
    struct outcome outcome;

    trial_measure(kernel, values, cpus, team_size, &settings, samples[0], MAX_SAMPLES, buckets, MAX_BUCKETS, &outcome);
    tell(kernel, values, "", &outcome);
}

static void try_in_turns(const struct kernel *kernel, const int64_t *values, const int *cpus, unsigned team_size)
{
    const struct kernel *kernels[] = {kernel, kernel};
    const int64_t *both[] = {values, values};
    struct sample *sides[] = {samples[0], samples[1]};
    struct outcome outcomes[2], *told[] = {&outcomes[0], &outcomes[1]};

    trial_measure_in_turns(kernels, both, cpus, team_size, &settings, sides, MAX_SAMPLES, told);
    for (int side = 0; side < 2; side++)
        tell(kernel, values, told[side]->turn_batches ? " in turns" : " beside itself, no turns", told[side]);
}

static unsigned team_size_of(const struct kernel *kernel, unsigned cpu_count)
{
    if ((kernel->place != PLACE_ALL && kernel->place != PLACE_SWEEP) || cpu_count <= kernel->threads.min)
        return kernel->threads.min;
    return cpu_count < kernel->threads.max ? cpu_count : kernel->threads.max;
}

/* The default case, and each label of each parameter in turn. */
static void try_kernel(const struct kernel *kernel, const int *cpus, unsigned cpu_count)
{
    const unsigned team_size = team_size_of(kernel, cpu_count);
    int64_t values[MAX_PARAMETERS] = {0};

    if (team_size > cpu_count) {
        printf("ok %u - %s # SKIP needs %u CPUs, there are %u\n", ++lines, kernel->name, team_size, cpu_count);
        return;
    }
    for (unsigned i = 0; i < MAX_PARAMETERS && kernel->parameters[i].name; i++)
        values[i] = kernel->parameters[i].initial;
    try_case(kernel, values, cpus, team_size);
    if (kernel->flags & KERNEL_OPT_IN)
        return;
    if (trial_takes_turns(kernel))
        try_in_turns(kernel, values, cpus, team_size);
    for (unsigned i = 0; i < MAX_PARAMETERS && kernel->parameters[i].name; i++) {
        const struct parameter *parameter = &kernel->parameters[i];

        for (int label = 0; parameter->labels && label < labels_in(parameter->labels); label++) {
            if (label == parameter->initial)
                continue;
            values[i] = label;
            try_case(kernel, values, cpus, team_size);
        }
        values[i] = parameter->initial;
    }
}

int main(int argc, char **argv)
{
    unsigned cpu_count = 0;
    int *cpus = usable_cpus(&cpu_count);
    const char *fault = registry_fault();

    if (fault || !cpu_count) {
        printf("not ok 1 - registry # %s\n", fault ? fault : "no CPU that this process may use");
        return 1;
    }
    printf("ok %u - registry of %u kernels on %s\n", ++lines, registry_count(), arch_name());
    for (unsigned i = 0; i < registry_count(); i++) {
        const struct kernel *kernel = registry_get(i);

        if (argc < 2)
            try_kernel(kernel, cpus, cpu_count);
        for (int j = 1; j < argc; j++)
            if (strcmp(argv[j], kernel->name) == 0)
                try_kernel(kernel, cpus, cpu_count);
    }
    free(cpus);
    if (!ran) {
        failures++;
        printf("not ok %u - nothing ran\n", ++lines);
    }
    printf("1..%u\n", lines);
    return failures > 100 ? 100 : (int)failures;
}
