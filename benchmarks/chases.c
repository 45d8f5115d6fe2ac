/*
 * Why do multichase and lat_mem_rd print other figures than memory/chase? Walks that differ in one thing each, through
 * the same buffer, in turn: see docs/crosscheck.md.
 *
 *     cc -O2 benchmarks/chases.c -lm && taskset -c 0 ./a.out MEBIBYTES SECONDS
 */
#define _GNU_SOURCE
#include "leaving_out.h"

#include <sys/mman.h>

#define LINE_BYTES 64
#define HUGE_PAGE ((size_t)2 << 20)
#define LINES_A_PAGE 64
/* The locality that multichase has by default: 64 pages. */
#define LINES_A_GROUP 4096
/* One line of 256 bytes, its stride by default. */
#define STRIDE_LINES 4
#define LOADS_A_WINDOW 512
#define MOST_WINDOWS 256
/* Above, memory/chase lets no line be in a cache. */
#define MOST_WARM_LINES ((size_t)1 << 19)

enum { RANDOM, PAGE_BY_PAGE, FORWARD };

struct line {
    struct line *next;
    char unused[LINE_BYTES - sizeof(struct line *)];
};

struct walk {
    const char *name;
    size_t group, stride; /* in lines; group 0: all of them */
    int order, huge, cold;
    uint32_t *places;
    size_t count;
};

static size_t line_count;

/* Groups in random order, and their lines in random order: one line of each `stride`. */
static void draw_random(struct walk *walk)
{
    const size_t group = walk->group ? walk->group : line_count, groups = line_count / group,
                 inside = group / walk->stride;
    uint32_t *order = numbers(groups), *lines = numbers(inside);

    shuffle(order, groups);
    for (size_t i = 0; i < groups; i++) {
        shuffle(lines, inside);
        for (size_t j = 0; j < inside; j++)
            walk->places[walk->count++] =
                (uint32_t)(order[i] * group + lines[j] * walk->stride + drawn() % walk->stride);
    }
    free(order);
    free(lines);
}

/* As lat_mem_rd -t: each load is of another page. */
static void draw_page_by_page(struct walk *walk)
{
    const size_t pages = line_count / LINES_A_PAGE;
    uint32_t *order = numbers(pages), *lines = numbers(LINES_A_PAGE);

    shuffle(order, pages);
    shuffle(lines, LINES_A_PAGE);
    for (size_t j = 0; j < LINES_A_PAGE; j++)
        for (size_t i = 0; i < pages; i++)
            walk->places[walk->count++] = order[i] * LINES_A_PAGE + lines[(i + j) % LINES_A_PAGE];
    free(order);
    free(lines);
}

static void draw(struct walk *walk)
{
    walk->places = numbers(line_count);
    if (walk->order == RANDOM)
        draw_random(walk);
    else if (walk->order == PAGE_BY_PAGE)
        draw_page_by_page(walk);
    else
        walk->count = line_count;
}

static struct line *buffer(int huge)
{
    const size_t bytes = line_count * LINE_BYTES;
    char *memory = mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        exit(1);
    memory += (HUGE_PAGE - (uintptr_t)memory % HUGE_PAGE) % HUGE_PAGE;
    madvise(memory, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    memset(memory, 1, bytes);
    return (struct line *)(void *)memory;
}

static struct line *loads(struct line *at, size_t count)
{
    for (size_t i = 0; i < count / 8; i++) {
        at = at->next->next->next->next->next->next->next->next;
        __asm__ volatile("" : "+r"(at)); /* or the walk could be left out */
    }
    return at;
}

static void push_out(const struct line *lines)
{
#if defined(__x86_64__)
    for (size_t i = 0; i < line_count; i++)
        __builtin_ia32_clflush(&lines[i]);
    __builtin_ia32_mfence();
#else
    (void)lines; /* then it is a warm walk */
#endif
}

static void visit(const struct walk *walk, struct way *way, int turn, struct line *lines)
{
    const size_t most = walk->count / LOADS_A_WINDOW;
    const int count = (int)(most < MOST_WINDOWS ? most : MOST_WINDOWS);
    double windows[MOST_WINDOWS];
    struct line *at = &lines[walk->places[0]];

    for (size_t i = 0; i < walk->count; i++)
        lines[walk->places[i]].next = &lines[walk->places[i + 1 < walk->count ? i + 1 : 0]];
    if (walk->cold)
        push_out(lines);
    /* All of it, or as many as bring the page tables into the caches. */
    at = loads(at, walk->cold ? line_count / LINES_A_PAGE : walk->count);
    for (int i = 0; i < count; i++) {
        const double begin_ns = now_ns();

        at = loads(at, LOADS_A_WINDOW);
        windows[i] = (now_ns() - begin_ns) / LOADS_A_WINDOW;
    }
    keep(way, turn, windows, count);
}

int main(int argc, char **argv)
{
    const double seconds = argc > 2 ? atof(argv[2]) : 10, end_ns = now_ns() + seconds * 1e9;
    const size_t mebibytes = argc > 1 ? (size_t)atoi(argv[1]) : 4;

    line_count = (mebibytes << 20) / LINE_BYTES;
    if (!line_count)
        return 1;

    const int cold = line_count > MOST_WARM_LINES;
    struct walk walks[] = {
        {.name = "ours, small pages", .stride = 1, .cold = cold},
        {.name = "ours, huge pages", .stride = 1, .huge = 1, .cold = cold},
        {.name = "all lines warm, small pages", .stride = 1},
        {.name = "all lines warm, huge pages", .stride = 1, .huge = 1},
        {.name = "groups of 256 KiB, small pages", .group = LINES_A_GROUP, .stride = 1},
        {.name = "groups of 256 KiB, huge pages", .group = LINES_A_GROUP, .stride = 1, .huge = 1},
        {.name = "one line of 256 bytes, small pages", .stride = STRIDE_LINES},
        {.name = "both: multichase as it comes", .group = LINES_A_GROUP, .stride = STRIDE_LINES},
        {.name = "another page each time: lat_mem_rd -t", .order = PAGE_BY_PAGE},
        {.name = "the same on huge pages", .order = PAGE_BY_PAGE, .huge = 1},
        {.name = "forward: lat_mem_rd", .order = FORWARD},
    };
    const uint32_t count = sizeof walks / sizeof *walks;
    struct line *lines[2] = {buffer(0), buffer(1)};
    struct way *ways = calloc(count, sizeof *ways);
    uint32_t *order = numbers(count);
    int turn = 0;

    if (!ways)
        return 1;
    for (uint32_t i = 0; i < count; i++) {
        draw(&walks[i]);
        ways[i].name = walks[i].name;
    }
    for (; turn < MOST_TURNS && (turn < 3 || now_ns() < end_ns); turn++) {
        shuffle(order, count);
        for (uint32_t i = 0; i < count; i++)
            visit(&walks[order[i]], &ways[order[i]], turn, lines[walks[order[i]].huge]);
    }
    report(ways, (int)count, turn);
    return 0;
}
