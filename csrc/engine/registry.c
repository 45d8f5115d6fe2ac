/*
 * The catalogue. Every KERNEL line leaves a pointer in the linker section fencepost_kernels. The linker names its two
 * ends. There is no list by hand. So this file looks for the faults that a list would show (a name used twice, a row
 * half filled in).
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "engine.h"

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x) /* twice, so that a macro's value comes out, not its name */

#ifndef FENCEPOST_FLAGS
#define FENCEPOST_FLAGS "unknown"
#endif

int engine_abi(void)
{
    return ENGINE_ABI;
}

const char *arch_name(void)
{
    return ARCH_NAME;
}

const char *compiler_name(void)
{
#if defined(__clang__)
    return "clang " TEXT(__clang_major__) "." TEXT(__clang_minor__) "." TEXT(__clang_patchlevel__);
#else
    return "gcc " __VERSION__;
#endif
}

const char *compiler_flags(void)
{
    return FENCEPOST_FLAGS;
}

unsigned registry_count(void)
{
    return (unsigned)(__stop_fencepost_kernels - __start_fencepost_kernels);
}

const struct kernel *registry_get(unsigned index)
{
    return index < registry_count() ? __start_fencepost_kernels[index] : NULL;
}

static int word(const char *text, const char *end)
{
    if (text == end || !islower((unsigned char)*text))
        return 0;
    for (; text < end; text++)
        if (!islower((unsigned char)*text) && !isdigit((unsigned char)*text) && *text != '_')
            return 0;
    return 1;
}

/* topic/variant, both of [a-z][a-z0-9_]*: the name is part of file names, of commands and of case ids. */
static int well_named(const char *name)
{
    const char *slash = name ? strchr(name, '/') : NULL;

    return slash && word(name, slash) && word(slash + 1, name + strlen(name));
}

int labels_in(const char *labels)
{
    int count = 0;

    for (; *labels; labels++)
        count += *labels != ' ' && (labels[1] == ' ' || labels[1] == '\0');
    return count;
}

static const char *parameters_fault(const struct kernel *kernel)
{
    for (unsigned i = 0; i < MAX_PARAMETERS && kernel->parameters[i].name; i++) {
        const struct parameter *parameter = &kernel->parameters[i];

        if (!word(parameter->name, parameter->name + strlen(parameter->name)))
            return "has a parameter whose name is not of the form [a-z][a-z0-9_]*";
        if (!parameter->summary || (!parameter->unit && !parameter->labels)) /* words have no unit */
            return "has a parameter without unit or summary";
        if (parameter->labels && (parameter->initial < 0 || parameter->initial >= labels_in(parameter->labels)))
            return "has a parameter whose default is not one of its labels";
        for (unsigned j = 0; j < i; j++)
            if (strcmp(kernel->parameters[j].name, parameter->name) == 0)
                return "has two parameters of one name";
    }
    return NULL;
}

static const char *metrics_fault(const struct kernel *kernel)
{
    for (unsigned i = 0; i < MAX_METRICS && kernel->metrics[i].name; i++) {
        if (!kernel->metrics[i].unit || !kernel->metrics[i].summary)
            return "has a metric without unit or summary";
        for (unsigned j = 0; j < i; j++)
            if (strcmp(kernel->metrics[j].name, kernel->metrics[i].name) == 0)
                return "has two metrics of one name";
    }
    return NULL;
}

static const char *counts_fault(const struct kernel *kernel)
{
    for (unsigned i = 0; i < MAX_COUNTS && kernel->counts[i].name; i++) {
        if (!kernel->counts[i].unit || !kernel->counts[i].summary)
            return "has a count without unit or summary";
        for (unsigned j = 0; j < i; j++)
            if (strcmp(kernel->counts[j].name, kernel->counts[i].name) == 0)
                return "has two counts of one name";
    }
    return kernel->work && !kernel->counts[0].name ? "has work but no counts: nothing would come of it" : NULL;
}

static const char *descriptor_fault(const struct kernel *kernel)
{
    const char *fault;

    if (!well_named(kernel->name))
        return "is not named topic/variant in lower case, digits and underscores";
    if (!kernel->summary || !kernel->unit)
        return "has no summary or no unit";
    if (!kernel->check)
        return "has no check: what is not verified is not timed";
    if (!!kernel->run + !!kernel->events + !!kernel->work != 1)
        return "needs exactly one of run, events and work";
    if (kernel->events && kernel->events_per_batch == 0)
        return "has events but no events_per_batch";
    if (kernel->control && !kernel->events)
        return "has a control but no events";
    if (kernel->threads.min < 1 || kernel->threads.max < kernel->threads.min || kernel->threads.max > MAX_TEAM)
        return "has an impossible range of threads";
    if (kernel->place > PLACE_ONE_CPU)
        return "has an unknown placement";
    if (kernel->subject & ~(unsigned)(FLAG_MIGRATED | FLAG_SWITCHED | FLAG_FAULTED))
        return "has a subject other than migrations, context switches and page faults";
    fault = parameters_fault(kernel);
    if (!fault)
        fault = metrics_fault(kernel);
    return fault ? fault : counts_fault(kernel);
}

int kernels_fault(const struct kernel *const *kernels, unsigned count, char *sentence)
{
    for (unsigned i = 0; i < count; i++) {
        const struct kernel *kernel = kernels[i];
        const char *fault = descriptor_fault(kernel);

        if (fault) {
            snprintf(sentence, REASON_BYTES, "kernel %s (%s) %s", kernel->name ? kernel->name : "without a name",
                     kernel->file, fault);
            return 1;
        }
        for (unsigned j = 0; j < i; j++)
            if (strcmp(kernels[j]->name, kernel->name) == 0) {
                snprintf(sentence, REASON_BYTES, "two kernels are named %s: one in %s, one in %s", kernel->name,
                         kernels[j]->file, kernel->file);
                return 1;
            }
    }
    return 0;
}

const char *registry_fault(void)
{
    static char sentence[REASON_BYTES];

    return kernels_fault(__start_fencepost_kernels, registry_count(), sentence) ? sentence : NULL;
}
