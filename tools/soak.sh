#!/bin/sh
# The rings under two threads for long: 10^9 items through the SPSC ring, in several shapes (ITEMS=… for fewer).
set -u
out=build/soak
mkdir -p "$out" || exit 2
"${CC:-cc}" -std=gnu11 -O2 -g -Wall -Wextra -pthread -Icsrc -o "$out/soak" tools/soak.c csrc/lib/ring/*.c || exit 2
"${CC:-cc}" -std=gnu11 -O2 -g -Wall -Wextra -pthread -Icsrc -o "$out/threads" tests/lib/ring/threads.c csrc/lib/ring/*.c || exit 2
items=${ITEMS:-1000000000}
failed=0
"$out/soak" spsc "$items" || failed=1
# A tenth of that through each of the rings for several threads: producers, consumers, capacity, items, most at once (overwrite: words).
for team in "mpmc 2 2 1024 $((items / 10)) 1" "mpsc 3 1 1000 $((items / 10)) 1" "overwrite 2 2 100 $((items / 10)) 8"; do
    # shellcheck disable=SC2086
    if "$out/threads" $team; then
        echo "ok - $team"
    else
        echo "not ok - $team"
        failed=1
    fi
done
exit $failed
