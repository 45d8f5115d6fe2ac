#!/bin/sh
# compile_once.sh MADE COMMAND…: `COMMAND… -o MADE`, or a copy of what the same command made of the same files before.
#
# The tests and the self-test compile the same sources again and again. What a compiler makes is kept in build/objects under a hash
# of the compiler, of the words of the command, of the text that its preprocessor makes of the sources, and of the other files that
# it names. A change in a header that a source does not include keeps what was made of it. Paths are no part of the hash, because
# tests work in folders that have a new name each time.
set -u
store=$(dirname "$0")/../build/objects
made=$1
shift

# preprocessed COMMAND…: what the compiler reads, without paths; nothing where the command names no source
preprocessed() {
    found=no
    for word; do
        case $word in
        -*) ;;
        *.c | *.cc)
            found=yes
            # __FILE__ is a name without its folder.
            set -- "$@" "-fmacro-prefix-map=$(dirname "$word")/="
            ;;
        esac
    done
    # A source that cannot be read is for the compiler to say.
    [ $found = no ] || "$@" -E -P 2>/dev/null
}

inputs() {
    compiler=$(command -v "$1") && ls -lL "$compiler"
    preprocessed "$@"
    # What stays in "$@" are the other files, which one process hashes: to link an engine names dozens.
    for word; do
        shift
        case $word in
        -I?* | *.c | *.cc) ;;
        *)
            if [ -f "$word" ] && [ "$word" != "$compiler" ]; then
                set -- "$@" "$word"
            else
                printf '%s\n' "$word"
            fi
            ;;
        esac
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
    # Another compilation may end, and rename its file, meanwhile.
    find "$store" -ignore_readdir_race -type f -mtime +14 -delete
else
    touch "$kept"
fi
# A copy, and no link: a library that is opened twice must be two. Laid in place at once: what was there may be open, and a process
# that has it mapped would run on into the new one.
cp "$kept" "$made.$$" && mv "$made.$$" "$made"
