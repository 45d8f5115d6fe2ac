/*
 * Weak orders by views. A location is a list of its values in modification order. Each thread has a view: the oldest value of each location
 * that it may still read. A relaxed load takes any value not older than that (stale reads). A release store attaches the thread's view to the
 * value; an acquire load that reads it joins that view to the reader's. An exchange reads the newest value. This is C11's release and
 * acquire without promises (no load reads from a later store of its thread) and with stores in modification order as they are made.
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

/* Relaxed compare and exchange: the newest value; the message of the value before is carried on (release sequence). */
inline exchange(thread, where, old, new, done) {
    d_step {
        i = memory[where].count - 1;
        if
        :: memory[where].value[i] == old ->
            memory[where].value[i + 1] = new;
            memory[where].count++;
            for (k : 0 .. LOCATIONS - 1) {
                message[where * MOST + i + 1].from[k] = message[where * MOST + i].from[k]
            }
            message[where * MOST + i + 1].from[where] = i + 1;
            view[thread].from[where] = i + 1;
            done = 1
        :: else -> done = 0
        fi;
        k = 0; i = 0
    }
}
