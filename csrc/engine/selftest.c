/*
 * Every kernel, run and checked by a plain C program: for sanitizers, for valgrind, and for architectures on which no Python is at
 * hand. Prints one line a case in the manner of TAP; the exit status is the number of failures.
 *
 *   selftest          every kernel: its default case, and each label of each parameter in turn (opt-in kernels: the default only)
 *   selftest NAME…    these kernels only
 *
 * It judges no figure: under a sanitizer or an emulator there is none to judge.
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
static const struct settings settings = {.batches = 2, .warmup_batches = 1, .batch_ns = 20000};
static struct sample samples[MAX_SAMPLES];
static struct bucket buckets[MAX_BUCKETS];

static unsigned usable_cpus(int *cpus, unsigned capacity)
{
    unsigned count = 0;
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set))
        return 0;
    for (int cpu = 0; cpu < CPU_SETSIZE && count < capacity; cpu++)
        if (CPU_ISSET(cpu, &set))
            cpus[count++] = cpu;
    return count;
}

/* Prints the outcome; returns whether it is a failure. */
static int try_case(const struct kernel *kernel, const int64_t *values, const int *cpus, unsigned team_size,
                    unsigned *number)
{
    struct outcome outcome;
    const int status =
        trial_measure(kernel, values, cpus, team_size, &settings, samples, MAX_SAMPLES, buckets, MAX_BUCKETS, &outcome);

    printf("%s %u - %s", status == 0 || status == -ENOTSUP ? "ok" : "not ok", ++*number, kernel->name);
    for (unsigned i = 0; i < MAX_PARAMETERS && kernel->parameters[i].name; i++)
        printf(" %s=%lld", kernel->parameters[i].name, (long long)values[i]);
    printf(status == 0 ? "\n" : status == -ENOTSUP ? " # SKIP %s\n" : " # %s\n", outcome.reason);
    fflush(stdout);
    return status != 0 && status != -ENOTSUP;
}

static unsigned team_size_of(const struct kernel *kernel, unsigned cpu_count)
{
    if ((kernel->place != PLACE_ALL && kernel->place != PLACE_SWEEP) || cpu_count <= kernel->threads.min)
        return kernel->threads.min;
    return cpu_count < kernel->threads.max ? cpu_count : kernel->threads.max;
}

/* The default case, and each label of each parameter in turn. */
static unsigned try_kernel(const struct kernel *kernel, const int *cpus, unsigned cpu_count, unsigned *number)
{
    const unsigned team_size = team_size_of(kernel, cpu_count);
    int64_t values[MAX_PARAMETERS] = {0};
    unsigned failures = 0;

    if (team_size > cpu_count) {
        printf("ok %u - %s # SKIP needs %u CPUs, there are %u\n", ++*number, kernel->name, team_size, cpu_count);
        return 0;
    }
    for (unsigned i = 0; i < MAX_PARAMETERS && kernel->parameters[i].name; i++)
        values[i] = kernel->parameters[i].initial;
    failures += (unsigned)try_case(kernel, values, cpus, team_size, number);
    if (kernel->flags & KERNEL_OPT_IN)
        return failures;
    for (unsigned i = 0; i < MAX_PARAMETERS && kernel->parameters[i].name; i++) {
        const struct parameter *parameter = &kernel->parameters[i];

        for (int label = 0; parameter->labels && label < labels_in(parameter->labels); label++) {
            if (label == parameter->initial)
                continue;
            values[i] = label;
            failures += (unsigned)try_case(kernel, values, cpus, team_size, number);
        }
        values[i] = parameter->initial;
    }
    return failures;
}

int main(int argc, char **argv)
{
    static int cpus[CPU_SETSIZE];
    const unsigned cpu_count = usable_cpus(cpus, CPU_SETSIZE);
    const char *fault = registry_fault();
    unsigned failures = 0, number = 0;

    if (fault) {
        printf("not ok 1 - registry # %s\n", fault);
        return 1;
    }
    printf("ok %u - registry of %u kernels on %s\n", ++number, registry_count(), arch_name());
    for (unsigned i = 0; i < registry_count(); i++) {
        const struct kernel *kernel = registry_get(i);

        if (argc < 2)
            failures += try_kernel(kernel, cpus, cpu_count, &number);
        for (int j = 1; j < argc; j++)
            if (strcmp(argv[j], kernel->name) == 0)
                failures += try_kernel(kernel, cpus, cpu_count, &number);
    }
    printf("1..%u\n", number);
    return failures > 100 ? 100 : (int)failures;
}
