/*
 * Ways by which one thread wakes another and hands it a number. ipc/switch times them. Each has a mailbox for both
 * directions, and one that a thread shares with itself alone, for the control.
 */
#ifndef FENCEPOST_IPC_WAYS_H
#define FENCEPOST_IPC_WAYS_H

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "kernels/system.h"

/* The labels of the parameter, in the order of the enum. */
#define WAY_LABELS "pipe eventfd futex semaphore condition unix_stream unix_seqpacket yield signal"
enum { PIPE, EVENTFD, FUTEX, SEMAPHORE, CONDITION, UNIX_STREAM, UNIX_SEQPACKET, YIELD, SIGNAL };

/* From worker 0, to worker 0, and of worker 0 alone. */
enum { THERE, BACK, ALONE, MAILBOXES };

struct mailbox {
    int to, from;                        /* file descriptors, one number twice for an eventfd. -1: none */
    _Alignas(128) _Atomic uint32_t full; /* of a futex */
    uint32_t number;                     /* of what has no place for it */
    sem_t semaphore;
    pthread_mutex_t lock;
    pthread_cond_t filled;
    int is_full;           /* of a condition */
    pid_t process, thread; /* of whoever takes signals out of it */
};

struct ways {
    struct mailbox mailboxes[MAILBOXES];
};

static inline void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static inline void futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static inline void write_number(int to, const void *number, size_t bytes)
{
    while (write(to, number, bytes) < 0 && errno == EINTR)
        ;
}

static inline void read_number(int from, void *number, size_t bytes)
{
    while (read(from, number, bytes) < 0 && errno == EINTR)
        ;
}

/* To a thread of any process, with a number. */
static inline void queue_signal(const struct mailbox *mailbox, uint32_t number)
{
    siginfo_t about = {.si_code = SI_QUEUE};

    about.si_value.sival_int = (int)number;
    syscall(SYS_rt_tgsigqueueinfo, mailbox->process, mailbox->thread, SIGUSR1, &about);
}

static inline uint32_t take_signal(void)
{
    siginfo_t about = {0};
    sigset_t only;

    sigemptyset(&only);
    sigaddset(&only, SIGUSR1);
    while (sigwaitinfo(&only, &about) < 0 && errno == EINTR)
        ;
    return (uint32_t)about.si_value.sival_int;
}

/* A signal that is taken by a call must not be handled before: it is blocked meanwhile, in this thread. */
static inline void block_signal(int by, sigset_t *found)
{
    sigset_t only;

    sigemptyset(&only);
    if (by == SIGNAL)
        sigaddset(&only, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &only, found);
}

/* `number` is not 0. */
static inline void give(struct mailbox *mailbox, int by, uint32_t number)
{
    const uint64_t wide = number;

    switch (by) {
    case EVENTFD:
        write_number(mailbox->to, &wide, sizeof wide);
        return;
    case FUTEX:
        /* Release, pairs with the acquire in take(): the number that the word stands for has been written. */
        mailbox->number = number;
        atomic_store_explicit(&mailbox->full, 1, memory_order_release);
        futex_wake(&mailbox->full);
        return;
    case SEMAPHORE:
        mailbox->number = number;
        sem_post(&mailbox->semaphore);
        return;
    case CONDITION:
        pthread_mutex_lock(&mailbox->lock);
        mailbox->number = number;
        mailbox->is_full = 1;
        pthread_mutex_unlock(&mailbox->lock);
        /* After the lock is free: whoever wakes up would only wait for it. */
        pthread_cond_signal(&mailbox->filled);
        return;
    case SIGNAL:
        queue_signal(mailbox, number);
        return;
    default:
        write_number(mailbox->to, &number, sizeof number);
    }
}

static inline uint32_t take(struct mailbox *mailbox, int by)
{
    uint64_t wide = 0;
    uint32_t number = 0;

    switch (by) {
    case EVENTFD:
        read_number(mailbox->from, &wide, sizeof wide);
        return (uint32_t)wide;
    case FUTEX:
        /* Always a call, as of a thread that has to wait: alone it returns at once, since the word has changed. */
        do
            futex_wait(&mailbox->full, 0);
        while (atomic_load_explicit(&mailbox->full, memory_order_acquire) == 0);
        number = mailbox->number;
        /* Relaxed: the answer that is given next orders it. */
        atomic_store_explicit(&mailbox->full, 0, memory_order_relaxed);
        return number;
    case SEMAPHORE:
        while (sem_wait(&mailbox->semaphore))
            ;
        return mailbox->number;
    case CONDITION:
        pthread_mutex_lock(&mailbox->lock);
        while (!mailbox->is_full)
            pthread_cond_wait(&mailbox->filled, &mailbox->lock);
        mailbox->is_full = 0;
        number = mailbox->number;
        pthread_mutex_unlock(&mailbox->lock);
        return number;
    case SIGNAL:
        return take_signal();
    default:
        read_number(mailbox->from, &number, sizeof number);
        return number;
    }
}

/* Files of a mailbox. 0 or -errno. */
static inline int open_files(struct mailbox *mailbox, int by)
{
    int ends[2], failed = 0;

    if (by == EVENTFD) {
        ends[0] = ends[1] = eventfd(0, EFD_CLOEXEC);
        failed = ends[0] < 0;
    } else if (by == PIPE) {
        failed = pipe2(ends, O_CLOEXEC);
    } else if (by == UNIX_STREAM || by == UNIX_SEQPACKET) {
        failed = socketpair(AF_UNIX, (by == UNIX_STREAM ? SOCK_STREAM : SOCK_SEQPACKET) | SOCK_CLOEXEC, 0, ends);
    } else {
        return 0;
    }
    if (failed)
        return -errno;
    mailbox->from = ends[0];
    mailbox->to = ends[1];
    return 0;
}

/* In memory that threads and processes share. 0, or -errno: trial_needs() where files are scarce. */
static inline int ways_begin(struct trial *trial, struct ways *ways, int by)
{
    pthread_mutexattr_t lock;
    pthread_condattr_t filled;
    int status = 0;

    for (int i = 0; i < MAILBOXES; i++)
        ways->mailboxes[i].to = ways->mailboxes[i].from = -1;
    pthread_mutexattr_init(&lock);
    pthread_mutexattr_setpshared(&lock, PTHREAD_PROCESS_SHARED);
    pthread_condattr_init(&filled);
    pthread_condattr_setpshared(&filled, PTHREAD_PROCESS_SHARED);
    for (int i = 0; i < MAILBOXES && !status; i++) {
        struct mailbox *mailbox = &ways->mailboxes[i];

        sem_init(&mailbox->semaphore, 1, 0);
        pthread_mutex_init(&mailbox->lock, &lock);
        pthread_cond_init(&mailbox->filled, &filled);
        status = open_files(mailbox, by);
    }
    pthread_mutexattr_destroy(&lock);
    pthread_condattr_destroy(&filled);
    if (status == -EMFILE || status == -ENFILE)
        return trial_needs(trial, "permission for more open files (ulimit -n, fs.file-max)");
    return status;
}

static inline void ways_end(const struct ways *ways)
{
    for (int i = 0; i < MAILBOXES; i++) {
        const struct mailbox *mailbox = &ways->mailboxes[i];

        if (mailbox->from >= 0)
            close(mailbox->from);
        if (mailbox->to >= 0 && mailbox->to != mailbox->from)
            close(mailbox->to);
    }
}

#endif
