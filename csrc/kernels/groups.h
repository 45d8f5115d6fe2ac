/*
 * The control groups that this process is in: of version 2, and of version 1, where each controller has groups of its own.
 */
#ifndef FENCEPOST_GROUPS_H
#define FENCEPOST_GROUPS_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Each process's groups, a line each. */
#define GROUPS_OF_THIS_PROCESS "/proc/self/cgroup"

/* The first number in a file, or the one after `key` at the start of a line; -1 where there is none ("max" of a
   cgroup). */
static inline int64_t number_in(const char *path, const char *key)
{
    FILE *file = fopen(path, "r");
    int64_t number = -1;
    char line[256];

    while (file && number < 0 && fgets(line, sizeof line, file))
        if (!key || strncmp(line, key, strlen(key)) == 0)
            if (sscanf(line + (key ? strlen(key) : 0), "%" SCNd64, &number) != 1)
                number = -1;
    if (file)
        fclose(file);
    return number;
}

/* Whether `word` is one of those that commas separate. */
static inline int has_word(const char *list, const char *word)
{
    const size_t length = strlen(word);

    for (const char *at = list; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, word, length) == 0 && (at[length] == ',' || at[length] == '\0'))
            return 1;
    }
    return 0;
}

/* The group in a line of that file, and which version it is of; NULL where the line is of another controller. */
static inline char *group_in(char *line, const char *controller, int *version)
{
    char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;

    line[strcspn(line, "\n")] = '\0';
    if (!group)
        return NULL;
    *group++ = '\0';
    controllers++;
    *version = *controllers ? 1 : 2;
    return *version == 2 || has_word(controllers, controller) ? group : NULL;
}

#endif
