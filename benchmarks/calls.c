/*
 * Why does perf bench print other times for a system call and for a futex than kernel/call? A call that finds nothing
 * to do, and calls that do one thing more each, in turn: see docs/crosscheck.md.
 *
 *     cc -O2 benchmarks/calls.c -lm && taskset -c 0 ./a.out SECONDS
 */
#define _GNU_SOURCE
#include "leaving_out.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CALLS 200
#define WINDOWS 20
#define FUTEXES 1024
#define UNKNOWN 100

enum { PLAIN, SWITCHED, UNKNOWN_FUTEX, WAKE, WAIT, WAIT_ON_MANY, WAYS };

static uint32_t futexes[FUTEXES];
static volatile int chosen;

static long futex(uint32_t *address, int operation, uint32_t value)
{
    return syscall(SYS_futex, address, operation | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

/* perf bench syscall chooses the call within its loop. */
static void switched(void)
{
    switch (chosen) {
    case SYS_getppid:
        getppid();
        break;
    case SYS_getpgid:
        getpgid(0);
        break;
    default:
        break;
    }
}

static __attribute__((noinline)) double call_ns(int way)
{
    const double begin_ns = now_ns();

    for (int i = 0; i < CALLS; i++) {
        if (way == PLAIN)
            getppid();
        else if (way == SWITCHED)
            switched();
        else if (way == UNKNOWN_FUTEX)
            futex(futexes, UNKNOWN, 0);
        else if (way == WAKE)
            futex(futexes, FUTEX_WAKE, 1);
        else
            futex(&futexes[way == WAIT ? 0 : i * 5 % FUTEXES], FUTEX_WAIT, 1234);
    }
    return (now_ns() - begin_ns) / CALLS;
}

int main(int argc, char **argv)
{
    static struct way ways[WAYS] = {
        [PLAIN] = {.name = "getppid through libc"},
        [SWITCHED] = {.name = "getppid, chosen by a switch"},
        [UNKNOWN_FUTEX] = {.name = "futex, of an unknown kind"},
        [WAKE] = {.name = "futex, wake where nobody waits"},
        [WAIT] = {.name = "futex, wait for another value"},
        [WAIT_ON_MANY] = {.name = "the same on many futexes"},
    };
    const double end_ns = now_ns() + (argc > 1 ? atof(argv[1]) : 10) * 1e9;
    double windows[WINDOWS];
    uint32_t *order = numbers(WAYS);
    int turn = 0;

    chosen = SYS_getppid;
    for (; turn < MOST_TURNS && (turn < 3 || now_ns() < end_ns); turn++) {
        shuffle(order, WAYS);
        for (int i = 0; i < WAYS; i++) {
            for (int j = 0; j < WINDOWS; j++)
                windows[j] = call_ns((int)order[i]);
            keep(&ways[order[i]], turn, windows, WINDOWS);
        }
    }
    report(ways, WAYS, turn);
    return 0;
}
