/* As much of io_uring as a linked pair of operations takes, by its system calls alone. */
#ifndef FENCEPOST_IPC_URING_H
#define FENCEPOST_IPC_URING_H

#include <linux/io_uring.h>
#include <sys/syscall.h>

#include "kernels/system.h"

#define URING_ENTRIES 2

struct uring {
    int file; /* -1: none */
    char *rings;
    size_t rings_bytes;
    struct io_uring_sqe *submissions;
    struct io_uring_params about;
};

static inline unsigned *uring_word(const struct uring *uring, unsigned offset)
{
    return (unsigned *)(void *)(uring->rings + offset);
}

/* 0, or -errno: trial_needs() where there is none. Ended by uring_end(), after an error too. */
static inline int uring_begin(struct trial *trial, struct uring *uring)
{
    const size_t entries_bytes = URING_ENTRIES * sizeof *uring->submissions;
    void *rings, *submissions;

    uring->file = (int)syscall(SYS_io_uring_setup, URING_ENTRIES, &uring->about);
    if (uring->file < 0)
        return errno == EPERM || errno == EACCES
                   ? trial_needs(trial,
                                 "permission for io_uring (kernel.io_uring_disabled, or a filter of system calls)")
               : errno == ENOSYS ? trial_needs(trial, "a Linux with io_uring")
                                 : -errno;
    if (!(uring->about.features & IORING_FEAT_SINGLE_MMAP))
        return trial_needs(trial, "an io_uring with both rings in one mapping (Linux 5.4)");
    uring->rings_bytes = uring->about.cq_off.cqes + uring->about.cq_entries * sizeof(struct io_uring_cqe);
    if (uring->about.sq_off.array + uring->about.sq_entries * sizeof(unsigned) > uring->rings_bytes)
        uring->rings_bytes = uring->about.sq_off.array + uring->about.sq_entries * sizeof(unsigned);
    rings = mmap(NULL, uring->rings_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, uring->file,
                 IORING_OFF_SQ_RING);
    submissions =
        mmap(NULL, entries_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, uring->file, IORING_OFF_SQES);
    uring->rings = rings == MAP_FAILED ? NULL : (char *)rings;
    uring->submissions = submissions == MAP_FAILED ? NULL : (struct io_uring_sqe *)submissions;
    return uring->rings && uring->submissions ? 0 : -ENOMEM;
}

static inline void uring_end(const struct uring *uring)
{
    if (uring->submissions)
        munmap(uring->submissions, URING_ENTRIES * sizeof *uring->submissions);
    if (uring->rings)
        munmap(uring->rings, uring->rings_bytes);
    if (uring->file >= 0)
        close(uring->file);
}

/* The operation of number `number` of a call. */
static inline void uring_prepare(struct uring *uring, unsigned number, unsigned char operation, int file, void *bytes,
                                 size_t size, unsigned char flags)
{
    const unsigned at =
        (*uring_word(uring, uring->about.sq_off.tail) + number) & *uring_word(uring, uring->about.sq_off.ring_mask);

    uring->submissions[at] = (struct io_uring_sqe){
        .opcode = operation,
        .flags = flags,
        .fd = file,
        .off = (uint64_t)-1, /* pipes have no place */
        .addr = (uintptr_t)bytes,
        .len = (uint32_t)size,
        .user_data = number,
    };
    uring_word(uring, uring->about.sq_off.array)[at] = at;
}

/* One system call that begins so many operations and waits for them. What each answers stands in `results`. 0 or -errno. */
static inline int uring_call(struct uring *uring, unsigned count, int32_t *results)
{
    unsigned *tail = uring_word(uring, uring->about.sq_off.tail), *head = uring_word(uring, uring->about.cq_off.head);
    const struct io_uring_cqe *answers = (const void *)(uring->rings + uring->about.cq_off.cqes);

    /* Release, pairs with Linux: without it, it could see the entries before what they say. */
    __atomic_store_n(tail, *tail + count, __ATOMIC_RELEASE);
    if (syscall(SYS_io_uring_enter, uring->file, count, count, IORING_ENTER_GETEVENTS, NULL, 0) != (long)count)
        return -EIO;
    for (unsigned i = 0; i < count; i++) {
        /* Acquire, pairs with Linux, which counts the tail up once an answer is whole: else it could be read before. */
        if (*head == __atomic_load_n(uring_word(uring, uring->about.cq_off.tail), __ATOMIC_ACQUIRE))
            return -EIO;
        results[answers[*head & *uring_word(uring, uring->about.cq_off.ring_mask)].user_data] =
            answers[*head & *uring_word(uring, uring->about.cq_off.ring_mask)].res;
        /* Release, pairs with Linux, which may write into the place from then on: it has been read before. */
        __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    }
    return 0;
}

#endif
