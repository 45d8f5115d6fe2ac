/*
 * ipc/switch:      what does it cost to go from one thread to another on the same CPU, apart from the calls that bring
 *                  it about?
 * ipc/across:      what does it cost to wake one on another CPU, and how much of that is because that CPU sleeps?
 * ipc/working_set: does a switch cost more where both sides use memory, or does the memory cost?
 *
 * Two workers hand a number back and forth. One event is one message, half of a round trip, less its control. It is the
 * mean of ROUND_TRIPS. The control is the same calls by one worker that gives and takes by itself, while the other
 * sleeps. So an event is one switch, and it may be negative. With memory each worker writes to each line of its part
 * before it gives. The control writes to both parts in turn. So the difference does not contain the caches.
 *   signal  a queued signal, taken by sigwaitinfo
 *   yield   both workers call sched_yield, and nobody hands over anything. Its control is sched_yield with nobody to go
 *           to
 * Excluded:  the first round trip of each event, and making files and processes.
 * Expect:    guest of an AMD EPYC, Linux 6.18, ns: pipe 2850 on one CPU, across 30000, and 20000 where both CPUs are
 *            kept awake. Threads and processes within 2 %, by yield 16 %. Nothing is left of a working set (-40, 780
 *            and -1050 with 64 KiB, 256 KiB and 1 MiB).
 * Hazards:   a worker that still runs when its message comes was not switched to. Another process may also have had the
 *            CPU. So switches of both are counted, and an event whose messages and switches do not add up is left out.
 *            Where that is most of them, the CPUs were too busy, and there is no figure.
 *            Waiting on a semaphore or a condition makes system calls that its control does not make. They are part of
 *            the switch.
 * Not shown: more than two threads, real-time policies, other hyperthreads of one core.
 */
#define _GNU_SOURCE
#include "ways.h"

enum { BY, PARTNER, TOUCHED, AWAKE };
enum { THREAD, PROCESS };
enum { SWITCHES, INVOLUNTARY_PCT, REFUSED_PCT, FOOTPRINT };

/* Of a pipe on one CPU 60 us: as long as a batch of any kernel. */
#define ROUND_TRIPS 8
#define MESSAGES (2 * ROUND_TRIPS)
/* One more or less: the tick of another. */
#define EDGE 1
#define PAIRS_A_BATCH 8
#define BATCHES 3
#define LINE_BYTES 64
#define MAX_TOUCHED ((int64_t)64 << 20)

struct desk {
    struct ways ways;
    _Alignas(128) _Atomic uint32_t yielding; /* worker 1 yields, or is to */
    _Alignas(128) _Atomic uint32_t controls; /* that are over: worker 1 sleeps until this changes */
    uint32_t slept;                          /* through so many of them, as worker 1 knows */
    _Atomic uint32_t sleeping;               /* worker 1 is about to sleep */
    _Atomic uint32_t known;                  /* who the partner is, and that it is ready */
    unsigned char *memory[2];                /* of each worker, or NULL */
    size_t touched;
    uint64_t messages, wrong, events, refused;
    uint64_t otherwise;            /* of the refused: by what the workers did, and not by another's turn on their CPU */
    int64_t switches, involuntary; /* of events that were not refused */
};

static void touch(const struct desk *desk, int whose)
{
    volatile unsigned char *memory = desk->memory[whose];

    for (size_t at = 0; at < desk->touched; at += LINE_BYTES)
        memory[at]++;
}

/* Switches of the partner so far. It waits, so that they stand still. */
static struct thread_counts counts_of(pid_t thread)
{
    struct thread_counts found = {0};
    char path[64], text[PROCFS_BYTES];
    const char *line;

    snprintf(path, sizeof path, "/proc/%d/status", (int)thread);
    if (procfs_text(path, text, sizeof text) < 0)
        return found;
    line = strstr(text, "\nvoluntary_ctxt_switches:");
    if (line)
        sscanf(line, "\nvoluntary_ctxt_switches: %" SCNd64 " nonvoluntary_ctxt_switches: %" SCNd64, &found.voluntary,
               &found.involuntary);
    return found;
}

static struct thread_counts counts_of_both(const struct desk *desk)
{
    struct thread_counts own = thread_counts();
    const struct thread_counts other = counts_of(desk->ways.mailboxes[THERE].thread);

    own.voluntary += other.voluntary;
    own.involuntary += other.involuntary;
    return own;
}

static void round_trips(struct desk *desk, int by, uint32_t count)
{
    struct mailbox *mailboxes = desk->ways.mailboxes;

    for (uint32_t i = 1; i <= count; i++) {
        touch(desk, 0);
        give(&mailboxes[THERE], by, i);
        desk->wrong += take(&mailboxes[BACK], by) != i;
    }
    desk->messages += 2 * (uint64_t)count;
}

static void yield(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        sched_yield();
}

/*
 * Whether the workers themselves did something else than sleep once for each message. Another's turn on their CPU is an
 * involuntary switch. It never makes a worker sleep more often. On one CPU no message can come without a switch. Of two,
 * one may stand still for the host, and find its message there.
 */
static int slept_otherwise(const struct trial *trial, int64_t voluntary, int64_t switches)
{
    return voluntary > MESSAGES + EDGE || (trial->kernel->place == PLACE_ONE_CPU && switches < MESSAGES - EDGE);
}

/* The leader's half of an event: 1, or 0 where its switches do not add up. */
static int64_t lead(struct trial *trial, int64_t *ticks)
{
    struct desk *desk = trial->state;
    struct thread_counts before, after;
    const int by = (int)trial->value[BY];
    uint64_t begin, end;
    int64_t switches;

    if (by == YIELD) /* relaxed, as all of these words: what they order, the meetings of the engine have ordered */
        while (atomic_load_explicit(&desk->yielding, memory_order_relaxed) == 0)
            sched_yield();
    else
        round_trips(desk, by, 1);
    before = counts_of_both(desk);
    begin = tick_begin();
    if (by == YIELD)
        yield(ROUND_TRIPS);
    else
        round_trips(desk, by, ROUND_TRIPS);
    end = tick_end();
    after = counts_of_both(desk);
    atomic_store_explicit(&desk->yielding, 0, memory_order_relaxed);
    if (by != YIELD)
        give(&desk->ways.mailboxes[THERE], by, MESSAGES);
    switches = after.voluntary - before.voluntary + after.involuntary - before.involuntary;
    desk->events++;
    if (llabs(switches - MESSAGES) > EDGE) {
        desk->refused++;
        desk->otherwise += slept_otherwise(trial, after.voluntary - before.voluntary, switches);
        return 0;
    }
    desk->switches += switches;
    desk->involuntary += after.involuntary - before.involuntary;
    *ticks = llround(net_ticks(trial, begin, end) / MESSAGES);
    return 1;
}

/* The partner's half. It is asleep, or yields, when its switches are counted. */
static void follow(struct trial *trial)
{
    struct desk *desk = trial->state;
    struct mailbox *mailboxes = desk->ways.mailboxes;
    const int by = (int)trial->value[BY];

    if (by == YIELD) {
        atomic_store_explicit(&desk->yielding, 1, memory_order_relaxed);
        while (atomic_load_explicit(&desk->yielding, memory_order_relaxed))
            sched_yield();
        return;
    }
    for (int i = 0; i <= ROUND_TRIPS; i++) {
        const uint32_t number = take(&mailboxes[THERE], by);

        touch(desk, 1);
        give(&mailboxes[BACK], by, number);
    }
    take(&mailboxes[THERE], by);
}

/* Who takes what the other gives: for signals. */
static void say_who(struct mailbox *mailbox)
{
    mailbox->process = getpid();
    mailbox->thread = (pid_t)syscall(SYS_gettid);
}

static int64_t events(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct desk *desk = worker->trial->state;
    const int by = (int)worker->trial->value[BY];
    int64_t made = 0;
    sigset_t found;

    (void)count;
    block_signal(by, &found);
    if (worker->index == 0) {
        while (atomic_load_explicit(&desk->known, memory_order_acquire) == 0)
            sched_yield(); /* the partner has not said who it is, and may not have blocked its signal */
        made = lead(worker->trial, ticks);
        atomic_store_explicit(&desk->known, 0, memory_order_relaxed); /* until the next event */
    } else {
        say_who(&desk->ways.mailboxes[THERE]);
        /* Release, pairs with the acquire above. */
        atomic_store_explicit(&desk->known, 1, memory_order_release);
        follow(worker->trial);
    }
    pthread_sigmask(SIG_SETMASK, &found, NULL);
    return made;
}

static int64_t control(struct worker *worker, int64_t *ticks, uint64_t count)
{
    struct trial *trial = worker->trial;
    struct desk *desk = trial->state;
    struct mailbox *alone = &desk->ways.mailboxes[ALONE];
    const int by = (int)trial->value[BY];
    uint64_t begin, end;
    sigset_t found;

    (void)count;
    if (worker->index) {
        /* Asleep, and not in a meeting: there it would yield. It cannot miss the end, which changes the word. */
        atomic_store_explicit(&desk->sleeping, 1, memory_order_relaxed);
        while (atomic_load_explicit(&desk->controls, memory_order_relaxed) == desk->slept)
            futex_wait(&desk->controls, desk->slept);
        desk->slept++;
        return 0;
    }
    while (atomic_load_explicit(&desk->sleeping, memory_order_relaxed) == 0)
        sched_yield();
    sched_yield(); /* it has said so, and now it gets there */
    block_signal(by, &found);
    begin = tick_begin();
    for (uint32_t i = 1; i <= MESSAGES; i++) {
        touch(desk, i % 2 == 0);
        if (by == YIELD) {
            sched_yield();
            continue;
        }
        give(alone, by, i);
        desk->wrong += take(alone, by) != i;
    }
    end = tick_end();
    pthread_sigmask(SIG_SETMASK, &found, NULL);
    atomic_store_explicit(&desk->sleeping, 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&desk->controls, 1, memory_order_relaxed);
    futex_wake(&desk->controls);
    *ticks = llround(net_ticks(trial, begin, end) / MESSAGES);
    return 1;
}

static int check_values(struct trial *trial)
{
    if (trial->value[TOUCHED] < 0 || trial->value[TOUCHED] > MAX_TOUCHED) {
        trial_fault(trial, "touched=%" PRId64 " is not a number of bytes up to 64 MiB", trial->value[TOUCHED]);
        return -EINVAL;
    }
    if (!trial->oversubscribed && trial->value[BY] == YIELD)
        return trial_needs(trial, "both workers on one CPU: to yield is to give this one away");
    return 0;
}

/* Loads that have nothing to do but to keep their CPU from sleeping, and leave it to anybody else. */
static int keep_awake(struct trial *trial)
{
    static const struct schedule idle = {.policy = SCHED_IDLE};
    int status = 0;

    for (int i = 0; i < 2 && !status; i++)
        status = trial_load(trial, trial->cpus[i], &idle);
    return status;
}

static int setup(struct trial *trial)
{
    const size_t touched = (size_t)trial->value[TOUCHED];
    struct desk *desk;
    int status = check_values(trial);

    if (status)
        return status;
    trial->processes = trial->value[PARTNER] == PROCESS;
    desk = trial_alloc(trial, sizeof *desk);
    if (!desk)
        return -ENOMEM;
    desk->touched = touched;
    for (int i = 0; touched && i < 2; i++) {
        desk->memory[i] = trial_alloc(trial, touched);
        if (!desk->memory[i])
            return -ENOMEM;
    }
    status = ways_begin(trial, &desk->ways, (int)trial->value[BY]);
    say_who(&desk->ways.mailboxes[BACK]);
    say_who(&desk->ways.mailboxes[ALONE]);
    if (!status && trial->value[AWAKE])
        status = keep_awake(trial);
    return status;
}

/* Every number came as it was sent, and in most events each message was one switch. */
static int check(struct trial *trial)
{
    const struct desk *desk = trial->state;
    const uint64_t kept = desk->events - desk->refused;

    if (desk->wrong)
        return trial_fault(trial, "%" PRIu64 " of %" PRIu64 " numbers did not come as they were sent", desk->wrong,
                           desk->messages);
    /* The thread sanitizer has locks of its own, for which a thread may sleep once more. */
    if (!SANITIZED && 2 * desk->otherwise > desk->events)
        return trial_fault(trial, "in %" PRIu64 " of %" PRIu64 " events a message was not one switch", desk->otherwise,
                           desk->events);
    if (!kept || (!SANITIZED && 2 * desk->refused > desk->events))
        return trial_needs(trial, "CPUs that others leave alone, so that a message is one switch");
    trial->metric[SWITCHES] = (double)desk->switches / (double)(kept * MESSAGES);
    trial->metric[INVOLUNTARY_PCT] = 100.0 * (double)desk->involuntary / (double)desk->switches;
    trial->metric[REFUSED_PCT] = 100.0 * (double)desk->refused / (double)desk->events;
    trial->metric[FOOTPRINT] = 2.0 * (double)desk->touched;
    return 0;
}

static void teardown(struct trial *trial)
{
    if (trial->state)
        ways_end(&((const struct desk *)trial->state)->ways);
}

/* Seen: 3 to 8 us a message on one CPU, and 8 to 16 across. A fork of the interpreter takes 5 ms, memory 3 us for each 64 KiB. */
static uint64_t cost_ns(const struct trial *trial)
{
    const uint64_t across = trial->kernel->place == PLACE_ONE_CPU ? 1 : 3;
    const uint64_t message = 3500 * across + (uint64_t)trial->value[TOUCHED] / 24;

    return BATCHES * PAIRS_A_BATCH * (message * MESSAGES * 3 / 2 + 150000) + 5000000;
}

#define PARAMETERS(ways, all_ways, partners, all_partners, sizes, all_sizes, awakes)                                   \
    {                                                                                                                  \
        [BY] = {.name = "by",                                                                                          \
                .summary = "what wakes the other",                                                                     \
                .labels = WAY_LABELS,                                                                                  \
                .initial = PIPE,                                                                                       \
                .quick = "pipe",                                                                                       \
                .standard = ways,                                                                                      \
                .rigorous = all_ways},                                                                                 \
        [PARTNER] = {.name = "partner",                                                                                \
                     .summary = "who the other is",                                                                    \
                     .labels = "thread process",                                                                       \
                     .initial = PROCESS,                                                                               \
                     .quick = partners,                                                                                \
                     .standard = partners,                                                                             \
                     .rigorous = all_partners},                                                                        \
        [TOUCHED] = {.name = "touched",                                                                                \
                     .unit = "bytes",                                                                                  \
                     .summary = "that each writes to before it gives",                                                 \
                     .initial = 0,                                                                                     \
                     .quick = sizes,                                                                                   \
                     .standard = sizes,                                                                                \
                     .rigorous = all_sizes},                                                                           \
        [AWAKE] = {                                                                                                    \
            .name = "awake",                                                                                           \
            .summary = "a load of the lowest priority keeps each CPU from sleeping",                                   \
            .labels = "no yes",                                                                                        \
            .initial = 0,                                                                                              \
            .quick = awakes,                                                                                           \
            .standard = awakes,                                                                                        \
            .rigorous = awakes                                                                                         \
        }                                                                                                              \
    }

/* What the three have in common. */
#define SHARED                                                                                                         \
    .unit = "message", .threads = {.min = 2, .max = 2}, .subject = FLAG_SWITCHED | FLAG_FAULTED,                       \
    .metrics = {[SWITCHES] = {"switches_per_message", "per message", "of both workers, as Linux counted them"},        \
                [INVOLUNTARY_PCT] = {"involuntary_pct", "%", "of these: the woken preempted its waker"},               \
                [REFUSED_PCT] = {"refused_pct", "%", "events left out, whose switches did not add up"},                \
                [FOOTPRINT] = {"footprint_bytes", "bytes", "both workers' memory"}},                                   \
    .setup = setup, .events = events, .control = control, .events_per_batch = PAIRS_A_BATCH, .batches = BATCHES,       \
    .check = check, .teardown = teardown, .cost_ns = cost_ns

KERNEL(one_cpu,
    .name       = "ipc/switch",
    .summary    = "two workers on one CPU wake each other, less the same calls by one alone",
    .place      = PLACE_ONE_CPU, .flags = KERNEL_TWIN,
    .parameters = PARAMETERS("*", "*", "*", "*", NULL, NULL, NULL),
    SHARED);
KERNEL(across,
    .name       = "ipc/across",
    .summary    = "two workers on two CPUs wake each other, less the same calls by one alone",
    .place      = PLACE_ANY,
    .parameters = PARAMETERS("pipe futex unix_stream",
                             "pipe eventfd futex semaphore condition unix_stream unix_seqpacket signal", NULL, "*", NULL, NULL, "*"),
    SHARED);
KERNEL(working_set,
    .name       = "ipc/working_set",
    .summary    = "two workers on one CPU wake each other after using memory, less one that uses all of it",
    .place      = PLACE_ONE_CPU,
    .parameters = PARAMETERS(NULL, NULL, NULL, NULL, "0 64KiB 256KiB 1MiB", "0 16KiB 64KiB 256KiB 1MiB 4MiB", NULL),
    SHARED);
