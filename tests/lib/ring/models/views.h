/*
 * Weak orders by views. A location is a list of its values in modification order. Each thread has a view: the oldest value of each location
 * that it may still read. A relaxed load takes any value not older than that (stale reads). A release store attaches the thread's view to the
 * value; an acquire load that reads it joins that view to the reader's. An exchange reads the newest value. This is C11's release and
 * acquire without promises (no load reads from a later store of its thread). Stores come last in modification order, but for
 * store_anywhere(), which takes any place that its thread does not know to be past.
 */
typedef location { byte value[MOST]; byte count; };
typedef seen { byte from[LOCATIONS]; };
typedef attached { byte from[LOCATIONS]; };
location memory[LOCATIONS];
seen view[THREADS];
attached message[LOCATIONS * MOST];

inline load(thread, where, acquires, into) {
    d_step { i = view[thread].from[where]; }
    do
    :: i + 1 < memory[where].count -> i++
    :: break
    od;
    skip;
    d_step {
        into = memory[where].value[i];
        view[thread].from[where] = i;
        if
        :: acquires ->
            for (k : 0 .. LOCATIONS - 1) {
                if
                :: message[where * MOST + i].from[k] > view[thread].from[k] ->
                    view[thread].from[k] = message[where * MOST + i].from[k]
                :: else
                fi
            }
        :: else
        fi;
        k = 0; i = 0
    }
}

inline store(thread, where, what, releases) {
    d_step {
        i = memory[where].count;
        assert(i < MOST);
        memory[where].value[i] = what;
        memory[where].count++;
        view[thread].from[where] = i;
        if
        :: releases ->
            for (k : 0 .. LOCATIONS - 1) { message[where * MOST + i].from[k] = view[thread].from[k] }
        :: else -> message[where * MOST + i].from[where] = i
        fi;
        k = 0; i = 0
    }
}

/* The same at any place of the modification order after what the thread's view has seen: whoever has seen later places sees them moved. */
inline store_anywhere(thread, where, what, releases) {
    d_step { i = view[thread].from[where] + 1 }
    do
    :: i < memory[where].count -> i++
    :: break
    od;
    skip;
    d_step {
        assert(memory[where].count < MOST);
        k = memory[where].count;
        do
        :: k > i ->
            memory[where].value[k] = memory[where].value[k - 1];
            for (j : 0 .. LOCATIONS - 1) {
                message[where * MOST + k].from[j] = message[where * MOST + k - 1].from[j]
            }
            k--
        :: else -> break
        od;
        for (k : 0 .. LOCATIONS * MOST - 1) {
            if
            :: message[k].from[where] >= i -> message[k].from[where]++
            :: else
            fi
        }
        for (k : 0 .. THREADS - 1) {
            if
            :: view[k].from[where] >= i -> view[k].from[where]++
            :: else
            fi
        }
        memory[where].value[i] = what;
        memory[where].count++;
        view[thread].from[where] = i;
        for (k : 0 .. LOCATIONS - 1) {
            if
            :: releases -> message[where * MOST + i].from[k] = view[thread].from[k]
            :: else -> message[where * MOST + i].from[k] = 0
            fi
        }
        message[where * MOST + i].from[where] = i;
        k = 0; i = 0; j = 0
    }
}

/* Compare and exchange: the newest value; the message of the value before is carried on (release sequence). */
inline exchange(thread, where, old, new, acquires, done) {
    d_step {
        i = memory[where].count - 1;
        if
        :: memory[where].value[i] == old ->
            memory[where].value[i + 1] = new;
            memory[where].count++;
            for (k : 0 .. LOCATIONS - 1) {
                message[where * MOST + i + 1].from[k] = message[where * MOST + i].from[k];
                if
                :: acquires && message[where * MOST + i].from[k] > view[thread].from[k] ->
                    view[thread].from[k] = message[where * MOST + i].from[k]
                :: else
                fi
            }
            message[where * MOST + i + 1].from[where] = i + 1;
            view[thread].from[where] = i + 1;
            done = 1
        :: else -> done = 0
        fi;
        k = 0; i = 0
    }
}

/* A plain access that does not come after the newest write of its location, in the thread's view, is a data race. */
inline plain_load(thread, where, into) {
    d_step {
        assert(view[thread].from[where] == memory[where].count - 1);
        into = memory[where].value[view[thread].from[where]]
    }
}

inline plain_store(thread, where, what) {
    d_step { assert(view[thread].from[where] == memory[where].count - 1) }
    store(thread, where, what, 0)
}

/* A plain load that the next write of the location has to come after: an event, modelled as a write of the same value. */
inline plain_take(thread, where, into) {
    plain_load(thread, where, into);
    store(thread, where, into, 0)
}
