/* Members of a team that are separate processes. See peer.c. The part for kernels is in kernel.h. */
#ifndef FENCEPOST_PEER_H
#define FENCEPOST_PEER_H

#include <signal.h>

#include "engine.h"

/* See to it that ended children can be waited for, and put the disposition of SIGCHLD back as it was found. */
void children_begin(struct sigaction *found);
void children_end(const struct sigaction *found);

/*
 * Worker 1 or a later one: part(worker, context) in a process of its own, on the CPU of this thread. Returns when the process has ended.
 * One that ends in any other way than by returning from `part` fails the team, and ends all who may wait for it.
 */
void peer_run(struct worker *worker, void (*part)(struct worker *worker, void *context), void *context);

/* Worker 0: wait until the threads that make processes have left the meetings to these. Without processes this does nothing. */
void peers_await(struct team *team);

/*
 * Between yes and no, worker 0 may be ended in the middle of the kernel's own code if a process that it waits for has died. Elsewhere it
 * is not ended, because the engine's code has locks. Without processes this does nothing.
 */
void peer_endable(const struct trial *trial, int yes);

/* To be called first by what tidies up after worker 0, which may have been ended by force. Only the address sanitizer needs it. */
void peer_left(void);

/* End this member, which waits for one that is dead. Does not return. */
void peer_leave(void) __attribute__((noreturn));

#endif
