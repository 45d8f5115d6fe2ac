/*
 * Linux's counts for one CPU: /proc/interrupts and /proc/softirqs. They have a column for each CPU that is online and a
 * line for each source.
 */
#ifndef FENCEPOST_INTERRUPTS_H
#define FENCEPOST_INTERRUPTS_H

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INTERRUPTS_BYTES 4096

struct interrupts {
    int64_t named; /* of the line with the name that was asked for, or -1 */
    int64_t all;   /* of all lines. -1 if the file cannot be read or has no such CPU */
};

/*
 * The counts of a CPU. `name` is the first word of a line, as "TLB:". In pieces, since the file may have hundreds of columns. Without stdio,
 * which allocates.
 */
static inline struct interrupts interrupts_of(const char *path, int cpu, const char *name)
{
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    struct interrupts found = {-1, -1};
    char piece[INTERRUPTS_BYTES], word[24];
    int column = -1, columns = 0, at = 0, row = 0, ours = 0;
    ssize_t got;
    size_t length = 0;

    if (file < 0)
        return found;
    while ((got = read(file, piece, sizeof piece)) > 0)
        for (ssize_t i = 0; i < got; i++) {
            if (piece[i] != ' ' && piece[i] != '\n') {
                if (length < sizeof word - 1)
                    word[length++] = piece[i];
                continue;
            }
            word[length] = '\0';
            if (length && row == 0) { /* CPU0 CPU1 ... */
                if (strncmp(word, "CPU", 3) == 0 && atoi(word + 3) == cpu)
                    column = columns;
                columns++;
            } else if (length) {
                ours = at == 0 ? strcmp(word, name) == 0 : ours;
                if (at == column + 1 && column >= 0) {
                    found.all = (found.all < 0 ? 0 : found.all) + atoll(word);
                    found.named = ours ? atoll(word) : found.named;
                }
                at++;
            }
            length = 0;
            if (piece[i] == '\n') {
                row++;
                at = 0;
            }
        }
    close(file);
    return found;
}

#endif
