#!/bin/sh
# The rings under two threads for long: 10^9 items through the SPSC ring, in several shapes (ITEMS=… for fewer).
set -u
out=build/soak
mkdir -p "$out" || exit 2
"${CC:-cc}" -std=gnu11 -O2 -g -Wall -Wextra -pthread -Icsrc -o "$out/soak" tools/soak.c csrc/ring/*.c || exit 2
exec "$out/soak" spsc "${ITEMS:-1000000000}"
