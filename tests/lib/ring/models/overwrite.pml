/*
 * ring_overwrite with one slot for two laps: a writer of each lap, records of two words, a reader that looks twice. Orders: views.h.
 *
 * -DRECHECK=0                          the state is not looked at again
 * -DPUBLISH=0, -DSEE=0                 the state relaxed: when a record is complete, when a reader looks first
 * -DWRITE=0, -DREAD=0                  the words relaxed: stored, loaded
 * -DTAKE=0                             the exchange that takes the slot relaxed
 * -DDROP=0                             a writer takes the slot from one that is still inside
 */
#ifndef RECHECK
#define RECHECK 1
#endif
#ifndef PUBLISH
#define PUBLISH 1
#endif
#ifndef SEE
#define SEE 1
#endif
#ifndef WRITE
#define WRITE 1
#endif
#ifndef READ
#define READ 1
#endif
#ifndef TAKE
#define TAKE 1
#endif
#ifndef DROP
#define DROP 1
#endif

#define THREADS 3
#define MOST 6
#define LOCATIONS 3
#define STATE 0                 /* 2 n: record n is written, 2 n + 1: it is complete */
#define FIRST 1
#define SECOND 2

#include "views.h"

proctype writer(byte me; byte number) {
    byte i, j, k, state, done;

    do
    :: load(me, STATE, 0, state);
       if
       :: state >= 2 * number -> goto end /* a later one was here first */
       :: DROP && state % 2 == 0 -> goto end
       :: else -> exchange(me, STATE, state, 2 * number, TAKE, done)
       fi;
       if
       :: done -> break
       :: else
       fi
    od;
    skip;
    store_anywhere(me, FIRST, number, WRITE);
    store_anywhere(me, SECOND, number, WRITE);
    store(me, STATE, 2 * number + 1, PUBLISH);
end:
    skip
}

proctype reader(byte me) {
    byte i, k, state, again, first, second, looks;

    do
    :: looks < 2 ->
       looks++;
       load(me, STATE, SEE, state);
       load(me, FIRST, READ, first);
       load(me, SECOND, READ, second);
       load(me, STATE, 0, again);
       assert(!(state % 2 == 1 && (!RECHECK || again == state)) || (first == state / 2 && second == state / 2))
    :: else -> break
    od
}

init {
    atomic {
        memory[STATE].count = 1; memory[STATE].value[0] = 1; memory[FIRST].count = 1; memory[SECOND].count = 1;
        run writer(0, 1); run writer(1, 2); run reader(2)
    }
}
