/*
 * Every kernel, run and checked by a plain C program: for sanitizers, for valgrind, and for architectures on which no Python is at
 * hand. Prints one line a case in the manner of TAP; the exit status is the number of failures.
 *
 *   selftest                 every kernel: its default case, and each label of each parameter in turn (opt-in kernels: the default only)
 *   selftest NAME…           these kernels only
 *   selftest NAME:A=1,B=2…   this one case, in longer batches: values as numbers (of labels, their place), the others as by default
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
static struct settings settings = {.batches = 2, .warmup_batches = 1, .batch_ns = 20000};
/* For a case of its own, whose loop is to be looked into: its ends must not weigh against it. */
#define LONG_BATCH_NS 400000
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

static int labels_in(const char *labels)
{
    int count = 0;

    for (; *labels; labels++)
        count += *labels != ' ' && (labels[1] == ' ' || labels[1] == '\0');
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

/* Values from "a=1,b=2". 0, or -EINVAL where that names no parameter of the kernel. */
static int read_values(const struct kernel *kernel, const char *text, int64_t *values)
{
    while (*text) {
        const size_t length = strcspn(text, "=");
        unsigned i = 0;
        char *end;

        while (i < MAX_PARAMETERS && kernel->parameters[i].name &&
               (strlen(kernel->parameters[i].name) != length || strncmp(text, kernel->parameters[i].name, length) != 0))
            i++;
        if (i == MAX_PARAMETERS || !kernel->parameters[i].name || text[length] != '=')
            return -EINVAL;
        values[i] = strtoll(text + length + 1, &end, 0);
        text = *end == ',' ? end + 1 : end;
        if (text == end && *end)
            return -EINVAL;
    }
    return 0;
}

static unsigned team_size_of(const struct kernel *kernel, unsigned cpu_count)
{
    if ((kernel->place != PLACE_ALL && kernel->place != PLACE_SWEEP) || cpu_count <= kernel->threads.min)
        return kernel->threads.min;
    return cpu_count < kernel->threads.max ? cpu_count : kernel->threads.max;
}

/* The default case, and each label of each parameter in turn; or the one case that `only` describes. */
static unsigned try_kernel(const struct kernel *kernel, const char *only, const int *cpus, unsigned cpu_count,
                           unsigned *number)
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
    settings.batch_ns = only ? LONG_BATCH_NS : settings.batch_ns;
    if (only && read_values(kernel, only, values)) {
        printf("not ok %u - %s # cannot read the case %s\n", ++*number, kernel->name, only);
        return 1;
    }
    failures += (unsigned)try_case(kernel, values, cpus, team_size, number);
    if (only || kernel->flags & KERNEL_OPT_IN)
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
        const size_t length = strlen(kernel->name);

        if (argc < 2)
            failures += try_kernel(kernel, NULL, cpus, cpu_count, &number);
        for (int j = 1; j < argc; j++)
            if (strncmp(argv[j], kernel->name, length) == 0 && (argv[j][length] == '\0' || argv[j][length] == ':'))
                failures += try_kernel(kernel, argv[j][length] ? argv[j] + length + 1 : NULL, cpus, cpu_count, &number);
    }
    printf("1..%u\n", number);
    return failures > 100 ? 100 : (int)failures;
}
