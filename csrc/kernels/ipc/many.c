/*
 * ipc/many: how long is a message on its way where many send to many?
 *
 * Half of the workers send and half receive. Each sender writes a message of 100 bytes to each receiver in turn,
 * through the pipe or the unix socket of that receiver. One event is one message, from before it was written until
 * worker 0, a receiver, had read it.
 * Excluded:  making the pipes, the sockets and the threads. `hackbench` prints the total of these, and one mean.
 * Expect:    two CPUs of an EPYC guest, two threads: 5000 to 30000 ns. With more threads than CPUs, the time that
 *            others run comes on top.
 * Hazards:   the tick counters of the CPUs must agree, as clock/offset shows. A message that waits behind others in a
 *            pipe includes their time too. The 99th percentile shows that.
 * Not shown: processes instead of threads (ipc/switch).
 */
#define _GNU_SOURCE
#include "kernels/system.h"

#include <stdatomic.h>
#include <sys/socket.h>

/* As hackbench has it. */
#define MESSAGE_BYTES 100
#define EVENTS 64
#define BATCHES 6
#define MOST_WORKERS 64

enum { PIPE, UNIX_STREAM };
enum { FOOTPRINT };

struct message {
    uint64_t ticks;
    uint32_t sender, number;
    unsigned char rest[MESSAGE_BYTES - 16];
};

struct receiver {
    int in, out; /* -1: none */
    uint64_t received, wrong;
    uint32_t last[MOST_WORKERS]; /* by sender */
};

struct crowd {
    unsigned pairs;
    uint32_t sent[MOST_WORKERS]; /* by sender: to each receiver so many */
    _Atomic uint64_t failed;
    struct receiver receivers[MOST_WORKERS];
};

/* Whole messages: they are shorter than PIPE_BUF, and a stream of a unix socket takes each as one. */
static void send_all(struct crowd *crowd, unsigned sender)
{
    struct message message = {.sender = sender};

    for (unsigned i = 0; i < EVENTS / crowd->pairs; i++) {
        message.number = ++crowd->sent[sender];
        for (unsigned to = 0; to < crowd->pairs; to++) {
            message.ticks = tick_now();
            if (write(crowd->receivers[to].in, &message, sizeof message) != sizeof message)
                atomic_fetch_add_explicit(&crowd->failed, 1, memory_order_relaxed);
        }
    }
}

/* Those of all senders. The ticks of each, if somebody wants them, and how many there are. */
static int64_t receive_all(struct trial *trial, struct receiver *receiver, unsigned pairs, int64_t *ticks)
{
    const unsigned count = EVENTS / pairs * pairs;

    for (unsigned i = 0; i < count; i++) {
        struct message message = {.sender = 0};
        const ssize_t got = read(receiver->out, &message, sizeof message);
        const uint64_t now = tick_now();

        receiver->received++;
        if (got != sizeof message || message.sender >= pairs || message.number != receiver->last[message.sender] + 1) {
            receiver->wrong++;
            continue;
        }
        receiver->last[message.sender] = message.number;
        if (ticks)
            ticks[i] = llround(fmax(0, net_ticks(trial, message.ticks, now)));
    }
    return count;
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct crowd *crowd = worker->trial->state;

    /* Receivers are even, so that worker 0 is one. */
    if (worker->index % 2 == 0)
        return receive_all(worker->trial, &crowd->receivers[worker->index / 2], crowd->pairs, count ? ticks : NULL);
    send_all(crowd, worker->index / 2);
    return 0;
}

static int setup(struct trial *trial)
{
    struct crowd *crowd;

    if (trial->team_size % 2)
        return trial_needs(trial, "an even number of threads: half of them send");
    crowd = trial_alloc(trial, sizeof *crowd);
    if (!crowd)
        return -ENOMEM;
    crowd->pairs = trial->team_size / 2;
    for (unsigned i = 0; i < crowd->pairs; i++)
        crowd->receivers[i].in = crowd->receivers[i].out = -1;
    for (unsigned i = 0; i < crowd->pairs; i++) {
        int ends[2];

        if (trial->value[0] == PIPE ? pipe2(ends, O_CLOEXEC) : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
            return errno == EMFILE ? trial_needs(trial, "permission for more open files (ulimit -n)") : -errno;
        crowd->receivers[i].out = ends[0];
        crowd->receivers[i].in = ends[1];
    }
    return 0;
}

/* Each receiver got each message of each sender, in order. */
static int check(struct trial *trial)
{
    const struct crowd *crowd = trial->state;

    for (unsigned i = 0; i < crowd->pairs; i++) {
        const struct receiver *receiver = &crowd->receivers[i];

        if (receiver->wrong || crowd->failed)
            return trial_fault(trial, "of %" PRIu64 " messages %" PRIu64 " were not the next of their sender",
                               receiver->received, receiver->wrong + crowd->failed);
        for (unsigned sender = 0; sender < crowd->pairs; sender++)
            if (receiver->last[sender] != crowd->sent[sender])
                return trial_fault(trial, "sender %u sent %u messages, and %u came", sender, crowd->sent[sender],
                                   receiver->last[sender]);
    }
    trial->metric[FOOTPRINT] = (double)crowd->pairs * 65536; /* the most in a pipe. In a socket there is no more */
    return 0;
}

static void teardown(struct trial *trial)
{
    const struct crowd *crowd = trial->state;

    for (unsigned i = 0; crowd && i < crowd->pairs; i++) {
        if (crowd->receivers[i].in >= 0)
            close(crowd->receivers[i].in);
        if (crowd->receivers[i].out >= 0)
            close(crowd->receivers[i].out);
    }
}

/* Seen 5 us a message and thread of one CPU. */
static uint64_t cost_ns(const struct trial *trial)
{
    return BATCHES * EVENTS * trial->team_size * UINT64_C(8000);
}

KERNEL(many,
    .name             = "ipc/many",
    .summary          = "half of the threads send messages to each of the other half, through pipes or unix sockets",
    .unit             = "message",
    .threads          = { .min = 2, .max = MOST_WORKERS },
    .place            = PLACE_SWEEP,
    .flags            = KERNEL_OVERSUBSCRIBE,
    .subject          = FLAG_SWITCHED | FLAG_FAULTED,
    .parameters       = { { .name = "through", .summary = "what each receiver reads from", .labels = "pipe unix_stream",
                            .initial = PIPE, .quick = "pipe", .standard = "*", .rigorous = "*" } },
    .metrics          = { [FOOTPRINT] = { "footprint_bytes", "bytes", "what the pipes may hold" } },
    .setup            = setup,
    .events           = events,
    .events_per_batch = EVENTS,
    .batches          = BATCHES,
    .check            = check,
    .teardown         = teardown,
    .cost_ns          = cost_ns);
