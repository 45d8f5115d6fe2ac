/*
 * namespace/capability: does the loss of a capability take away what it allows, and nothing else?
 *
 * A child asks Linux for one thing a hundred times. It asks as it is, after it gave up the capability for it, and after
 * it gave up all others. One operation is one such child. Nothing is timed: calls that are refused are counted.
 *   nice      a nice value of -1, with CAP_SYS_NICE
 *   hostname  the host name as it is, set anew, with CAP_SYS_ADMIN
 *   chroot    a root folder that is the root, with CAP_SYS_CHROOT
 * Excluded:  making the child.
 * Expect:    0 refused with it, 100 without it, 0 with it alone, of 100 each.
 * Hazards:   a child gives up capabilities for itself only. Limits can grant without a capability, so RLIMIT_NICE is 0
 *            in the child.
 * Not shown: capabilities of files, and the capabilities that a process keeps over exec.
 */
#define _GNU_SOURCE
#include "kernels/other_process.h"

#include <linux/capability.h>
#include <sys/syscall.h>

enum { NICE, HOSTNAME, CHROOT };
enum { REFUSED_WITH, REFUSED_WITHOUT, REFUSED_ALONE, STAGES };

#define ATTEMPTS 100
/* With which a child ends that could not do its part. */
#define NO_CAPABILITY 3
#define NO_CHANGE 4

static const unsigned capability_of[] = {[NICE] = CAP_SYS_NICE, [HOSTNAME] = CAP_SYS_ADMIN, [CHROOT] = CAP_SYS_CHROOT};

struct asked {
    int64_t refused[STAGES]; /* with EPERM or EACCES */
    int64_t failed;          /* with another error */
};

typedef struct __user_cap_data_struct capabilities_held[2];

static int get_held(capabilities_held held)
{
    struct __user_cap_header_struct about = {.version = _LINUX_CAPABILITY_VERSION_3};

    return (int)syscall(SYS_capget, &about, held);
}

/* These, of those that are permitted, and no others are effective. */
static int set_effective(const capabilities_held held, uint32_t low, uint32_t high)
{
    struct __user_cap_header_struct about = {.version = _LINUX_CAPABILITY_VERSION_3};
    capabilities_held now = {held[0], held[1]};

    now[0].effective = held[0].permitted & low;
    now[1].effective = held[1].permitted & high;
    return (int)syscall(SYS_capset, &about, now);
}

static int ask(int64_t what, const char *host)
{
    switch (what) {
    case NICE:
        /* Below what it was before: to go back up would need nothing. */
        return setpriority(PRIO_PROCESS, 0, -1) || setpriority(PRIO_PROCESS, 0, 0);
    case HOSTNAME:
        return sethostname(host, strlen(host));
    default:
        return chroot("/");
    }
}

static void ask_often(struct asked *asked, int stage, int64_t what)
{
    char host[256] = "";

    gethostname(host, sizeof host - 1);
    for (int i = 0; i < ATTEMPTS; i++)
        if (ask(what, host)) {
            asked->refused[stage] += errno == EPERM || errno == EACCES;
            asked->failed += errno != EPERM && errno != EACCES;
        }
}

/* The child. Never returns. */
static __attribute__((noreturn)) void lose_and_ask(struct asked *asked, int64_t what)
{
    const unsigned capability = capability_of[what];
    const uint32_t low = capability < 32 ? 1u << capability : 0, high = capability < 32 ? 0 : 1u << (capability - 32);
    const struct rlimit none = {0, 0};
    capabilities_held held;

    if (setrlimit(RLIMIT_NICE, &none) || get_held(held))
        _exit(NO_CHANGE);
    if (!(held[0].effective & low) && !(held[1].effective & high))
        _exit(NO_CAPABILITY);
    setpriority(PRIO_PROCESS, 0, 0);
    ask_often(asked, REFUSED_WITH, what);
    if (set_effective(held, ~low, ~high))
        _exit(NO_CHANGE);
    ask_often(asked, REFUSED_WITHOUT, what);
    if (set_effective(held, low, high))
        _exit(NO_CHANGE);
    ask_often(asked, REFUSED_ALONE, what);
    _exit(0);
}

static int setup(struct trial *trial)
{
    return trial_alloc_shared(trial, sizeof(struct asked)) ? 0 : -ENOMEM;
}

static int work(struct worker *worker)
{
    struct trial *trial = worker->trial;
    struct asked *asked = trial->state;
    const int child = other_start(trial);
    int ended;

    if (child == 0)
        lose_and_ask(asked, trial->value[0]);
    if (child < 0)
        return child;
    ended = wait_for_child(child);
    if (ended == NO_CAPABILITY)
        return trial_needs(trial, "this capability, to give it up (root)");
    if (ended)
        return trial_fault(trial, "the child ended with %d", ended);
    if (asked->refused[REFUSED_WITH])
        return trial_needs(trial, "a system that lets root do this (a sandbox forbids it)");
    return 0;
}

static int check(struct trial *trial)
{
    const struct asked *asked = trial->state;

    if (asked->failed)
        return trial_fault(trial, "%" PRId64 " calls failed otherwise than for want of a capability", asked->failed);
    for (int stage = 0; stage < STAGES; stage++)
        trial->metric[stage] = 100.0 * (double)asked->refused[stage] / ATTEMPTS;
    trial_count(trial, 0, asked->refused[REFUSED_WITHOUT], ATTEMPTS);
    trial_count(trial, 1, asked->refused[REFUSED_WITH] + asked->refused[REFUSED_ALONE], 0);
    return 0;
}

/* A fork of the interpreter. */
static uint64_t cost_ns(const struct trial *trial)
{
    (void)trial;
    return 7000000;
}

KERNEL(capability,
    .name       = "namespace/capability",
    .summary    = "a child gives up a capability, and asks for what it allows",
    .unit       = "child",
    .threads    = { .min = 1, .max = 1 },
    .parameters = { { .name = "call", .summary = "which is asked for", .labels = "nice hostname chroot", .initial = NICE,
                      .quick = "nice", .standard = "nice", .rigorous = "*" } },
    .metrics    = { [REFUSED_WITH]    = { "refused_with_pct", "%", "of the calls, with the capability" },
                    [REFUSED_WITHOUT] = { "refused_without_pct", "%", "of the calls, with all others" },
                    [REFUSED_ALONE]   = { "refused_alone_pct", "%", "of the calls, with this one alone" } },
    .counts     = { { "refused", "calls", "of 100, without the capability" },
                    { "refused_else", "calls", "of 200, with it" } },
    .setup      = setup,
    .work       = work,
    .check      = check,
    .cost_ns    = cost_ns);
