/*
 * Members of a team that are separate processes, and children in general.
 *
 *   worker 0, a thread:         setup ......... run ................. check
 *   thread i, pinned, sleeps:          fork ..................... wait, and judge how the process ended
 *   process i:                         `---- run in its place ---- end
 *
 * The team meets in shared memory, so that a process is met like a thread. A process that dies can be met no more. The
 * thread that waits for it notes the failure, ends the other processes, and ends worker 0 wherever it waits. So nobody
 * waits for the dead. Every process asks the system to be killed when the thread that made it is gone. This also works
 * when the engine itself dies by SIGKILL.
 */
#define _GNU_SOURCE
#include "peer.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* With which a process ends that came too late: its maker had died before it could ask to die with it. Nobody is left to read it. */
#define TOO_LATE 1
/* With which a process ends that has taken part to its end. Not 0: with that ends one that leaves by itself in the middle. */
#define ENDED_WELL 86

/* Processes of the one team under way. Threads of this process read and write it, never the processes themselves. */
static struct {
    pthread_mutex_t lock;
    pid_t pids[MAX_TEAM]; /* 0: none, or reaped, and its number may be another's by now */
} peers = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Not 0 in a process that is a member of a team: its own copy, which its maker does not see. */
static int am_peer;

void children_begin(struct sigaction *found)
{
    struct sigaction standard = {.sa_handler = SIG_DFL};

    /* Inherited over exec from whoever ignores it. The system then drops children as they end, and waiting for one gives ECHILD. */
    if (sigaction(SIGCHLD, NULL, found) == 0 && (found->sa_handler == SIG_IGN || found->sa_flags & SA_NOCLDWAIT))
        sigaction(SIGCHLD, &standard, NULL);
}

void children_end(const struct sigaction *found)
{
    sigaction(SIGCHLD, found, NULL);
}

int wait_for_child(int child)
{
    int status;

    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : ENDED_BY_SIGNAL + WTERMSIG(status);
}

void peer_endable(const struct trial *trial, int yes)
{
    if (!trial->processes)
        return;
    if (yes) { /* the type first: a request that has come already then ends the thread here */
        pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    } else {
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    }
}

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ADDRESS_SANITIZER 1
#endif
#endif
#ifdef HAS_ADDRESS_SANITIZER
void __asan_unpoison_memory_region(void const volatile *start, size_t bytes);
#endif

void peer_left(void)
{
#ifdef HAS_ADDRESS_SANITIZER
    const char *here = __builtin_frame_address(0);
    pthread_attr_t attributes;
    void *stack;
    size_t bytes;

    /* The frames that were left by force never took back their marks on the stack. All that lies below this one is free. */
    if (pthread_getattr_np(pthread_self(), &attributes))
        return;
    if (pthread_attr_getstack(&attributes, &stack, &bytes) == 0)
        __asan_unpoison_memory_region(stack, (size_t)(here - (const char *)stack));
    pthread_attr_destroy(&attributes);
#endif
}

void peers_await(struct team *team)
{
    if (!team->trial->processes)
        return;
    /* Acquire, pairs with the release in peer_run(): what those threads read of their last meeting, the next one writes. */
    while (atomic_load_explicit(&team->makers, memory_order_acquire) + 1 < team->size)
        sched_yield();
}

void peer_leave(void)
{
    if (am_peer)
        _exit(ENDED_WELL); /* whoever died first is the one to be named */
    pthread_exit(NULL);
}

/* One of the team is dead: end all that may wait for it. Its own maker calls this, once it has noted why. */
static void end_team(struct team *team)
{
    /* Release, pairs with the acquire in team_meet: whoever leaves for it must see the failure that was noted before. */
    atomic_store_explicit(&team->broken, 1, memory_order_release);
    pthread_mutex_lock(&peers.lock);
    for (unsigned i = 1; i < team->size; i++)
        if (peers.pids[i] > 0)
            kill(peers.pids[i], SIGKILL);
    pthread_mutex_unlock(&peers.lock);
    pthread_cancel(team->leader); /* not joined before this thread is: see team_run */
}

/* Sleep until the process has ended. Returns the answer of wait_for_child(). The process keeps its number until nobody can signal it any more. */
static int reap(unsigned index, pid_t child)
{
    siginfo_t ignored;
    int ended;

    while (waitid(P_PID, (id_t)child, &ignored, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        ;
    pthread_mutex_lock(&peers.lock);
    peers.pids[index] = 0;
    ended = wait_for_child(child);
    pthread_mutex_unlock(&peers.lock);
    return ended;
}

/* A new process. In it the call returns 0 if it may take part. Its maker gets its number, or -errno. */
static int start(unsigned index)
{
    const pid_t engine = getpid();
    pid_t child;

    /* So that whoever ends the team finds each process that there is. The process itself never takes this lock. */
    pthread_mutex_lock(&peers.lock);
    child = fork();
    if (child == 0) {
        am_peer = 1;
        /* The maker may have died in between: then nobody sends the signal that is asked for here. */
        if (die_with_parent() || getppid() != engine)
            _exit(TOO_LATE);
        return 0;
    }
    child = child < 0 ? -errno : child;
    peers.pids[index] = child;
    pthread_mutex_unlock(&peers.lock);
    return child;
}

void peer_run(struct worker *worker, void (*part)(struct worker *worker, void *context), void *context)
{
    struct team *team = worker->trial->team;
    int child, ended;

    /* Release, pairs with the acquire in peers_await(). Before the fork: it must come whatever becomes of that. */
    atomic_fetch_add_explicit(&team->makers, 1, memory_order_release);
    child = start(worker->index);
    if (child == 0) {
        part(worker, context);
        _exit(ENDED_WELL);
    }
    if (child > 0) {
        /* Relaxed, see end_team(): either it has found this process in the list, or this thread finds that the team is broken. */
        if (atomic_load_explicit(&team->broken, memory_order_relaxed))
            kill(child, SIGKILL);
        ended = reap(worker->index, child);
        if (ended == ENDED_WELL)
            return;
        if (ended >= ENDED_BY_SIGNAL)
            team_fail(team, -ECHILD, "the process of worker %u was ended by signal %d in mid-run", worker->index,
                      ended - ENDED_BY_SIGNAL);
        else if (ended >= 0)
            team_fail(team, -ECHILD, "the process of worker %u left with status %d in mid-run", worker->index, ended);
        else
            team_fail(team, ended, "the process of worker %u cannot be waited for (%s)", worker->index,
                      strerror(-ended));
    } else if (child == -EAGAIN || child == -ENOSYS) {
        team_fail(team, -ENOTSUP, "needs permission for one more process (ulimit -u, pids.max of the cgroup)");
    } else {
        team_fail(team, child, "cannot start the process of worker %u (%s)", worker->index, strerror(-child));
    }
    end_team(team);
}
