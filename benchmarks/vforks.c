/*
 * Why does process/create print more for a vfork than a loop like that of lmbench? The same child after other things,
 * in turn: see docs/crosscheck.md.
 *
 *     cc -O2 benchmarks/vforks.c -lm && taskset -c 0 ./a.out SECONDS
 */
#define _GNU_SOURCE
#include "leaving_out.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN 40
#define WRITTEN_BYTES ((size_t)2 << 20)

enum { NOTHING, MESSAGE, WRITES, SLEEP, BEFORE };

static int to_partner;
static volatile char *written;

static void before(int what)
{
    char byte = 1;

    if (what == MESSAGE && (write(to_partner, &byte, 1) != 1 || read(to_partner, &byte, 1) != 1))
        exit(1);
    for (size_t i = 0; what == WRITES && i < WRITTEN_BYTES; i += 64)
        written[i]++;
    if (what == SLEEP)
        usleep(1000);
}

static __attribute__((noinline)) double child_ns(int forked)
{
    const double begin_ns = now_ns();
    const pid_t child = forked ? fork() : vfork();

    if (child == 0)
        _exit(1);
    if (child < 0 || waitpid(child, NULL, 0) != child)
        exit(1);
    return now_ns() - begin_ns;
}

static pid_t partner(void)
{
    int ends[2];
    char byte;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0 || (pid = fork()) < 0)
        exit(1);
    if (pid == 0) {
        close(ends[0]);
        while (read(ends[1], &byte, 1) == 1 && write(ends[1], &byte, 1) == 1)
            ;
        _exit(0);
    }
    close(ends[1]);
    to_partner = ends[0];
    return pid;
}

int main(int argc, char **argv)
{
    static struct way ways[2][BEFORE] = {
        {{.name = "vfork, a tight loop"},
         {.name = "after a message to another process"},
         {.name = "after writes to 2 MiB"},
         {.name = "after a sleep of 1 ms"}},
        {{.name = "fork, a tight loop"},
         {.name = "after a message to another process"},
         {.name = "after writes to 2 MiB"},
         {.name = "after a sleep of 1 ms"}},
    };
    const double end_ns = now_ns() + (argc > 1 ? atof(argv[1]) : 10) * 1e9;
    const pid_t other = partner();
    double windows[CHILDREN];
    uint32_t *order = numbers(2 * BEFORE);
    int turn = 0;

    written = calloc(1, WRITTEN_BYTES);
    if (!written)
        return 1;
    for (; turn < MOST_TURNS && (turn < 3 || now_ns() < end_ns); turn++) {
        shuffle(order, 2 * BEFORE);
        for (int i = 0; i < 2 * BEFORE; i++) {
            const int forked = (int)order[i] / BEFORE, what = (int)order[i] % BEFORE;

            for (int j = 0; j < CHILDREN; j++) {
                before(what);
                windows[j] = child_ns(forked);
            }
            keep(&ways[forked][what], turn, windows, CHILDREN);
        }
    }
    report(ways[0], BEFORE, turn);
    report(ways[1], BEFORE, turn);
    kill(other, SIGKILL);
    return 0;
}
