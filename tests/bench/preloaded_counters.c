/*
 * To be loaded before libc: a machine on which the hardware counts. Three cycles pass in a nanosecond, and six instructions. Of the rest there
 * are 30 in a microsecond: the known work of the engine takes more than a millisecond, and misses 20 000 branches. Everything else goes to libc.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/perf_event.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MOST_FILES 4096

/* By file: 1 + its place in its group, 0: none of ours; and by leader, what each place counts a microsecond. */
static unsigned char place[MOST_FILES];
static int group[MOST_FILES];
static unsigned rate[MOST_FILES][4];

long syscall(long number, ...)
{
    long (*const libc)(long, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    long word[6];
    va_list rest;

    va_start(rest, number);
    for (int i = 0; i < 6; i++)
        word[i] = va_arg(rest, long);
    va_end(rest);
    if (number == SYS_perf_event_open) {
        const struct perf_event_attr *about = (const struct perf_event_attr *)word[0];
        const int leader = (int)word[3];

        if (about->type == PERF_TYPE_HW_CACHE || (about->type == PERF_TYPE_HARDWARE && about->read_format)) {
            const int file = memfd_create("counter", MFD_CLOEXEC), lead = leader < 0 ? file : leader;

            if (file < 0 || file >= MOST_FILES)
                return file;
            group[lead] = leader < 0 ? 1 : group[lead] + 1;
            place[file] = (unsigned char)group[lead];
            rate[lead][group[lead] - 1] = about->type == PERF_TYPE_HW_CACHE             ? 30
                                          : about->config == PERF_COUNT_HW_CPU_CYCLES   ? 3000
                                          : about->config == PERF_COUNT_HW_INSTRUCTIONS ? 6000
                                                                                        : 30;
            return file;
        }
    }
    return libc(number, word[0], word[1], word[2], word[3], word[4], word[5]);
}

int ioctl(int file, unsigned long request, ...)
{
    int (*const libc)(int, unsigned long, ...) = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
    va_list rest;
    void *word;

    va_start(rest, request);
    word = va_arg(rest, void *);
    va_end(rest);
    return file >= 0 && file < MOST_FILES && place[file] ? 0 : libc(file, request, word);
}

int close(int file)
{
    int (*const libc)(int) = (int (*)(int))dlsym(RTLD_NEXT, "close");

    if (file >= 0 && file < MOST_FILES)
        place[file] = 0;
    return libc(file);
}

ssize_t read(int file, void *to, size_t bytes)
{
    ssize_t (*const libc)(int, void *, size_t) = (ssize_t(*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
    uint64_t *words = to, ns;
    struct timespec now;

    if (file < 0 || file >= MOST_FILES || place[file] != 1)
        return libc(file, to, bytes);
    clock_gettime(CLOCK_MONOTONIC, &now);
    ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    words[0] = (uint64_t)group[file];
    words[1] = words[2] = ns;
    for (int i = 0; i < group[file]; i++)
        words[3 + i] = ns * rate[file][i] / 1000;
    return (ssize_t)((3 + (size_t)group[file]) * sizeof *words);
}
