/*
 * Why do other tools print other figures for the first touch of a page than memory/fault? Loops that differ in one
 * thing each, in turn: see docs/crosscheck.md.
 *
 *     cc -O2 benchmarks/touches.c -lm && taskset -c 0 ./a.out SECONDS
 */
#define _GNU_SOURCE
#include "leaving_out.h"

#include <sys/mman.h>
#include <unistd.h>

#define PAGES 1024
#define PAGES_A_WINDOW 64

struct touch {
    const char *name;
    int shuffled, file, reads, alone, whole, mapping; /* whole: one window for all pages */
};

static const struct touch touches[] = {
    {.name = "ours: a write to each page, forward"},
    {.name = "in random order", .shuffled = 1},
    {.name = "the clock read around each page", .alone = 1},
    {.name = "with mmap and munmap", .whole = 1, .mapping = 1},
    {.name = "a read", .reads = 1},
    {.name = "a cached file, random: lat_pagefault", .file = 1, .reads = 1, .shuffled = 1, .whole = 1},
    {.name = "a cached file, forward", .file = 1, .reads = 1},
};

#define COUNT (sizeof touches / sizeof *touches)

static void visit(const struct touch *touch, struct way *way, int turn, int file, const uint32_t *order[2])
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const int together = touch->alone ? 1 : touch->whole ? PAGES : PAGES_A_WINDOW;
    const double begin_ns = now_ns();
    double windows[PAGES];
    int count = 0;
    volatile char *memory = mmap(NULL, PAGES * page, touch->file ? PROT_READ : PROT_READ | PROT_WRITE,
                                 touch->file ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, touch->file ? file : -1, 0);

    if (memory == MAP_FAILED)
        exit(1);
    if (!touch->file)
        madvise((void *)memory, PAGES * page, MADV_NOHUGEPAGE);
    for (int i = 0; i < PAGES; i += together) {
        const double window_ns = now_ns();

        for (int j = i; j < i + together; j++) {
            volatile char *at = memory + order[touch->shuffled][j] * page;

            if (touch->reads)
                (void)*at;
            else
                *at = 1;
        }
        windows[count++] = (now_ns() - window_ns) / together;
    }
    munmap((void *)memory, PAGES * page);
    if (touch->mapping)
        windows[0] = (now_ns() - begin_ns) / PAGES;
    keep(way, turn, windows, count);
}

int main(int argc, char **argv)
{
    static struct way ways[COUNT];
    const double end_ns = now_ns() + (argc > 1 ? atof(argv[1]) : 10) * 1e9;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    FILE *file = tmpfile();
    uint32_t *forward = numbers(PAGES), *shuffled = numbers(PAGES), *turns = numbers(COUNT);
    const uint32_t *order[2] = {forward, shuffled};
    int turn = 0;

    if (!file)
        return 1;
    shuffle(shuffled, PAGES);
    for (size_t i = 0; i < PAGES * page; i++)
        putc(1, file);
    fflush(file);
    for (size_t i = 0; i < COUNT; i++)
        ways[i].name = touches[i].name;
    for (; turn < MOST_TURNS && (turn < 3 || now_ns() < end_ns); turn++) {
        shuffle(turns, COUNT);
        for (size_t i = 0; i < COUNT; i++)
            visit(&touches[turns[i]], &ways[turns[i]], turn, fileno(file), order);
    }
    report(ways, COUNT, turn);
    return 0;
}
