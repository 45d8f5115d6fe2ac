/*
 * ring_mpmc with one slot, two producers and two consumers of one item each (so two laps), under weak orders by per-thread views.
 *
 * Orders are those of views.h. Fences and seq_cst are not used by the rings.
 *
 * -DPUBLISH=0, -DFREE=0, -DSEE=0   a weaker order: of the producer's stamp, of the consumer's, of loads of stamps
 * -DEARLY=1                        the slot is freed before its item is loaded
 * -DBLIND=1                        "full" and "empty" by the stamp alone
 */
#ifndef PUBLISH
#define PUBLISH 1
#endif
#ifndef FREE
#define FREE 1
#endif
#ifndef SEE
#define SEE 1
#endif
#ifndef EARLY
#define EARLY 0
#endif
#ifndef BLIND
#define BLIND 0
#endif

#define ITEMS 2                 /* one a producer */
#define LAP 2                   /* the power of two beyond the capacity of 1 */
#define THREADS 4
#define MOST 6                  /* values of one location */

/* Stamps of slot 0 and its item are the weak locations; tail and head are only exchanged or looked at, as below. */
#define LOCATIONS 4             /* stamp 0, item 0, tail, head */
#define STAMP 0
#define ITEM 1
#define TAIL 2
#define HEAD 3

#include "views.h"

byte popped[ITEMS + 1];
byte in_order;

proctype producer(byte me) {
    byte i, k, at, stamp, other, done;

    do
    :: load(me, TAIL, 0, at);
       load(me, STAMP, SEE, stamp);
       if
       :: stamp == at ->
           exchange(me, TAIL, at, at + LAP, 0, done);
           if
           :: done -> break
           :: else
           fi
       :: stamp < at ->
           /* Full is true only if an item is in the ring: a claim of a producer that no claim of a consumer has answered. */
           load(me, HEAD, 1, other);
           if
           :: BLIND || other + LAP == at ->
               /* What the view knows to be claimed is not popped as far as the view knows. */
               assert(memory[HEAD].value[view[me].from[HEAD]] + LAP <= at)
           :: else
           fi
       :: else
       fi
    od;
    skip;
    plain_store(me, ITEM, me + 1);
    store(me, STAMP, at + 1, PUBLISH)
}

proctype consumer(byte me) {
    byte i, k, at, stamp, other, done, item;

    do
    :: load(me, HEAD, 0, at);
       load(me, STAMP, SEE, stamp);
       if
       :: stamp == at + 1 ->
           exchange(me, HEAD, at, at + LAP, 0, done);
           if
           :: done -> break
           :: else
           fi
       :: stamp < at + 1 ->
           load(me, TAIL, 1, other);
           if
           :: BLIND || other == at ->
               assert(memory[TAIL].value[view[me].from[TAIL]] <= at)
           :: else
           fi
       :: else
       fi
    od;
    skip;
    if
    :: EARLY -> store(me, STAMP, at + LAP, FREE); plain_load(me, ITEM, item)
    :: else -> plain_take(me, ITEM, item);
               store(me, STAMP, at + LAP, FREE)
    fi;
    d_step {
        assert(item >= 1 && item <= ITEMS && popped[item] == 0);
        popped[item] = 1
    }
}

init {
    atomic {
        memory[STAMP].count = 1; memory[ITEM].count = 1; memory[TAIL].count = 1; memory[HEAD].count = 1;
        run producer(0); run producer(1); run consumer(2); run consumer(3)
    }
}
