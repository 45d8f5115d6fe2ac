/*
 * ring_spsc with a capacity of 2 in blocks of 2 items and, with the block kept free, 2 blocks: ITEMS items, pushed and popped by one or two at once.
 * Orders: views.h. The names are those of csrc/lib/ring/spsc.h; items are plain memory, their numbers from 1.
 *
 * -DPUBLISH=0, -DSEE=0     a weaker order: of the word (A), of the look at it (B)
 * -DFREE=0, -DROOM=0       of what the consumer says it has taken (C), of the look at it (D)
 * -DSPARE=0                no block is kept free between producer and consumer
 * -DPER_BLOCK=1            items in blocks of their own: right without the free block, too
 * -DEARLY=1                places are given back before their items are loaded: the free block hides it, so with -DPER_BLOCK=1 -DSPARE=0
 * -DLATE=1                 the last slot of a block is written to (ring_spsc_disown) after its place was given back: likewise
 * -DLAZY=1                 as with RING_SPSC_LAZY, for every size of a group and of a share: after each operation the producer publishes or does
 *                          not, and the consumer gives places back or, while it knows of more, does not
 * -DLAZY=1 -DWRONG=1       the word of the block that the producer is in, not of the first that is new to the consumer
 */
#ifndef PUBLISH
#define PUBLISH 1
#endif
#ifndef SEE
#define SEE 1
#endif
#ifndef FREE
#define FREE 1
#endif
#ifndef ROOM
#define ROOM 1
#endif
#ifndef EARLY
#define EARLY 0
#endif
#ifndef LATE
#define LATE 0
#endif
#ifndef LAZY
#define LAZY 0
#endif
#ifndef WRONG
#define WRONG 0
#endif
#ifndef SPARE
#define SPARE 1
#endif
#ifndef PER_BLOCK
#define PER_BLOCK 2
#endif
#ifndef ITEMS
#define ITEMS 6                 /* each block is come to twice, one three times without the free one */
#endif

#ifndef CAPACITY
#define CAPACITY 2
#endif
#define BLOCKS ((CAPACITY - 1) / PER_BLOCK + 1 + SPARE)
#define THREADS 2
#define MOST (2 * ITEMS + 2)    /* values of one location */
#define LOCATIONS (BLOCKS * (1 + PER_BLOCK) + 1)
#define WORD(block) ((block) * (1 + PER_BLOCK))
#define SLOT(block, left) ((block) * (1 + PER_BLOCK) + 1 + PER_BLOCK - (left))
#define TAKEN (LOCATIONS - 1)

#include "views.h"

byte published; /* items, for whoever could see everything */

proctype producer() {
    byte i, k, tail, limit = CAPACITY, block_end = PER_BLOCK, block, count, left, some, taken, shown, shown_block;
    bool refused;

    do
    :: tail == ITEMS -> break
    :: else ->
       if
       :: count = 1
       :: tail + 2 <= ITEMS -> count = 2
       fi;
       if
       :: limit - tail < count -> load(0, TAKEN, ROOM, taken); limit = taken + CAPACITY
       :: else
       fi;
       left = (limit - tail < count -> limit - tail : count);
       refused = left < count;
       do
       :: left == 0 -> break
       :: else ->
           some = (left < block_end - tail -> left : block_end - tail);
           left = left - some;
           do
           :: some == 0 -> break
           :: else ->
               /* As ring_spsc_slot() does: by what is left of the block. */
               plain_store(0, SLOT(block, block_end - tail), tail + 1);
               tail++;
               some--
           od;
           if
           :: !LAZY -> store(0, WORD(block), tail, PUBLISH); published = tail
           :: LAZY && tail == block_end && block != shown_block -> store(0, WORD(block), tail, 0) /* ring_spsc_pass_over() */
           :: else
           fi;
           if
           :: tail == block_end -> block = (block + 1) % BLOCKS; block_end = block_end + PER_BLOCK
           :: else
           fi
       od;
       if
       :: LAZY && shown != tail ->
           some = (WRONG -> block : shown_block);
           store(0, WORD(some), tail, PUBLISH); /* ring_spsc_flush() */
           shown = tail;
           published = tail;
           shown_block = block
       :: !LAZY || shown == tail || (!refused && tail != ITEMS)
       fi
    od
}

proctype consumer() {
    byte i, k, head, known, block_end = PER_BLOCK, block, count, at, some, in_block, word, item;

    do
    :: head == ITEMS -> break
    :: else ->
       if
       :: count = 1
       :: count = 2
       fi;
       at = head;
       do
       :: at - head == count -> break
       :: else ->
           in_block = block_end - at;
           if
           :: at == known ->
               load(1, WORD(block), SEE, word);
               if
               :: at < word -> known = word
               :: else ->
                   /* "Empty" by the newest word there is: then nothing more has been published. */
                   assert(published <= at || view[1].from[WORD(block)] != memory[WORD(block)].count - 1);
                   break
               fi
           :: else
           fi;
           some = (count - (at - head) < known - at -> count - (at - head) : known - at);
           if
           :: LAZY && some > in_block -> some = in_block
           :: else
           fi;
           assert(some <= in_block); /* or items are read from beyond the block */
           if
           :: EARLY -> store(1, TAKEN, at + some, FREE)
           :: else
           fi;
           in_block = in_block - some;
           do
           :: some == 0 -> break
           :: else ->
               plain_take(1, SLOT(block, block_end - at), item);
               at++;
               assert(item == at);
               some--
           od;
           if
           :: in_block == 0 && !LATE -> plain_store(1, SLOT(block, 1), 0) /* ring_spsc_disown(), at every block */
           :: else
           fi;
           if
           :: in_block == 0 -> block = (block + 1) % BLOCKS; block_end = block_end + PER_BLOCK
           :: else
           fi
       od;
       if
       :: LAZY && at != known -> head = at
       :: at != head ->
           head = at;
           store(1, TAKEN, at, FREE);
           if
           :: LATE -> plain_store(1, SLOT((block + BLOCKS - 1) % BLOCKS, 1), 0)
           :: else
           fi
       :: at == head
       fi
    od
}

init {
    byte count;

    atomic {
        for (count : 0 .. LOCATIONS - 1) { memory[count].count = 1 }
        run producer(); run consumer()
    }
}
