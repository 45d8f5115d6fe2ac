#!/bin/sh
# compile_once.sh MADE COMMAND…: `COMMAND… -o MADE`, or a copy of what the same command made of the same files before.
#
# The tests and the self-test compile the same sources again and again. What a compiler makes is kept in build/objects under a hash
# of the compiler, of the words of the command, and of all that it may read: each file that it names, each source and header beside
# such a file, and those in the folders of -I. Paths are no part of it, because tests work in folders that have a new name each time.
set -u
store=$(dirname "$0")/../build/objects
made=$1
shift

# sources_in FOLDER DEPTH: hash and path of each C source and header
sources_in() {
    (cd "$1" && find . -maxdepth "$2" -name '*.[ch]' -type f | LC_ALL=C sort | xargs -r sha256sum)
}

inputs() {
    compiler=$(command -v "$1") && ls -lL "$compiler"
    # What stays in "$@" are the files, which one process hashes: to link an engine names dozens.
    for word; do
        shift
        case $word in
        -I?*)
            sources_in "${word#-I}" 9
            continue
            ;;
        esac
        if [ -f "$word" ] && [ "$word" != "$compiler" ]; then
            set -- "$@" "$word"
            case $word in *.c) sources_in "$(dirname "$word")" 1 ;; esac
        else
            printf '%s\n' "$word"
        fi
    done
    [ $# -eq 0 ] || sha256sum "$@" | cut -c 1-64
}

key=$(inputs "$@" | sha256sum) || exit 2
kept=$store/${key%% *}
if [ ! -f "$kept" ]; then
    mkdir -p "$store" || exit 2
    "$@" -o "$kept.$$" || exit
    mv "$kept.$$" "$kept" || exit 2
    # What no test has asked for in a fortnight belongs to sources that are gone.
    find "$store" -type f -mtime +14 -delete
else
    touch "$kept"
fi
# A copy, and no link: a library that is opened twice must be two. Laid in place at once: what was there may be open, and a process
# that has it mapped would run on into the new one.
cp "$kept" "$made.$$" && mv "$made.$$" "$made"
