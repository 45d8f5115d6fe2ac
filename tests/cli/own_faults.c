/* Kernels of a user's own that each go wrong in a way of their own, and one that does not: for test_own_kernels.py. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernel.h"

static int fine(struct trial *trial)
{
    (void)trial;
    return 0;
}

static void spin(struct worker *worker, uint64_t operations)
{
    (void)worker;
    for (uint64_t i = 0; i < operations; i++)
        OPAQUE(i);
}

static void talk(struct worker *worker, uint64_t operations)
{
    printf("{\"kind\": \"end\"}\n");
    fflush(stdout);
    spin(worker, operations);
}

static void segfault(struct worker *worker, uint64_t operations)
{
    (void)worker;
    (void)operations;
    *(volatile int *)8 = 1;
}

static void give_up(struct worker *worker, uint64_t operations)
{
    (void)worker;
    (void)operations;
    abort();
}

static void leave(struct worker *worker, uint64_t operations)
{
    (void)worker;
    (void)operations;
    fprintf(stderr, "good bye\n");
    exit(7);
}

static void hang(struct worker *worker, uint64_t operations)
{
    (void)operations;
    for (;;)
        OPAQUE(worker);
}

static int error(struct trial *trial)
{
    (void)trial;
    return -EIO;
}

static int buffer(struct trial *trial)
{
    return trial_alloc(trial, 100) ? 0 : -ENOMEM;
}

static void past(struct worker *worker, uint64_t operations)
{
    spin(worker, operations);
    ((volatile char *)worker->trial->state)[100] = 1;
}

static int wrong(struct trial *trial)
{
    return trial_fault(trial, "two and two are %d", 5);
}

#define LOOP(id, title, run_, check_)                                                                                  \
    KERNEL(id, .name = title, .summary = "s", .unit = "u", .threads = {1, 1}, .run = run_, .check = check_)

LOOP(fine, "own/fine", spin, fine)
LOOP(talk, "own/talk", talk, fine)
LOOP(give_up, "own/abort", give_up, fine)
LOOP(leave, "own/exit", leave, fine)
LOOP(hang, "own/hang", hang, fine)
LOOP(wrong, "own/wrong", spin, wrong)
KERNEL(segfault, .name = "own/segfault", .summary = "s", .unit = "u", .threads = {1, 1},
       .parameters = {{"size", "1", "s", NULL, 1, "1 2 3 4 5", NULL, NULL}}, .run = segfault, .check = fine)
KERNEL(error, .name = "own/error", .summary = "s", .unit = "u", .threads = {1, 1}, .setup = error, .run = spin,
       .check = fine)
KERNEL(past, .name = "own/past", .summary = "s", .unit = "u", .threads = {1, 1}, .setup = buffer, .run = past,
       .check = fine)
