#!/bin/sh
# Runs on a target. Measures a series of runs, one after the other, and continues what was cut.
#
#   measure.sh install FOLDER WHAT LINKS                      installs fencepost into FOLDER/venv
#   measure.sh ask FENCEPOST ARGUMENT...                      name, version, clock, and what a run takes
#   measure.sh start FOLDER RUNS HERE FENCEPOST ARGUMENT...   starts the job, which no logout ends
#   measure.sh job FOLDER RUNS HERE FENCEPOST ARGUMENT...     the job
#   measure.sh wait FOLDER HERE SECONDS                       sleeps until the job has ended
#   measure.sh pack FOLDER HERE                               writes FOLDER/runs.tar with the complete runs
#
# `start` and `wait` print how many runs are complete, how many rounds there are, and the end of the log.
# FOLDER/runs has the runs, FOLDER/done a file for each that is complete. HERE names runs that were fetched before.
set -u

say() {
    printf 'fencepost: %s\n' "$*" >&2
}

# WHAT is the path of a wheel or a name for pip, LINKS a folder with all wheels or nothing. A new wheel often has the
# version of the old one, so its sum tells whether it is installed.
install() {
    wanted="$2 ${PYTHON:-python3}"
    case $2 in *.whl) wanted="$wanted $(sha256sum <"$2")" || exit 3 ;; esac
    [ "$(cat "$1/venv/installed" 2>/dev/null)" != "$wanted" ] || return 0
    for lock in "$1"/series/*/lock; do
        if [ -e "$lock" ] && ! flock -n "$lock" true; then
            echo "a job measures here, so the fencepost that it uses stays"
            return 0
        fi
    done
    "${PYTHON:-python3}" -m venv --clear "$1/venv" || exit 3
    "$1/venv/bin/pip" install --quiet --disable-pip-version-check ${3:+--no-index --find-links "$3"} "$2" || exit 3
    printf '%s\n' "$wanted" >"$1/venv/installed"
}

# The lines: name; version; rounds, expected time in ns, and at most; seconds since 1970.
ask() {
    command=$1
    shift
    uname -n
    "$command" --version || exit 3
    "$command" run "$@" --dry-run --json | "${PYTHON:-python3}" -c '
import json, sys
plan = json.load(sys.stdin)
print(plan["rounds"], plan["expected_calm_ns"], plan["expected_most_ns"])' || exit 3
    date +%s
}

start() {
    folder=$1 here=$3
    mkdir -p "$folder" && rm -f "$folder/started" || exit 3
    # A job of systemd outlives the connection. That of a user does so only where the user may linger.
    if [ "$(id -u)" = 0 ]; then
        set -- "" "$@"
    elif [ "$(loginctl show-user "$(id -un)" --property=Linger --value 2>/dev/null)" = yes ]; then
        set -- --user "$@"
    else
        set -- none "$@"
    fi
    manager=$1
    shift
    # shellcheck disable=SC2086 # one word or none
    if [ "$manager" != none ] && systemd-run $manager --quiet --collect --setenv=HOME="$HOME" --setenv=PATH="$PATH" \
        --working-directory="$PWD" /bin/sh "$0" job "$@" 2>/dev/null; then
        begun
        return
    fi
    # A session and a group without terminal: neither a hang-up nor the end of the connection reaches it.
    setsid nohup /bin/sh "$0" job "$@" </dev/null >/dev/null 2>&1 &
    begun
}

# Until the job has its lock, `wait` would take it for ended.
begun() {
    tries=0
    while [ ! -e "$folder/started" ] && [ "$tries" -lt 200 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    state "$folder" "$here"
}

job() {
    folder=$1 runs=$2 here=$3 command=$4
    shift 4
    exec 9>"$folder/lock"
    # The command that measures inherits the lock: where only this shell was killed, nobody measures beside it.
    flock -n 9
    locked=$?
    : >"$folder/started"
    [ "$locked" = 0 ] || exit 0
    exec >"$folder/log" 2>&1
    mkdir -p "$folder/runs" "$folder/done" || exit 3
    for run in $here; do # this machine has lost it, or is new
        [ -e "$folder/runs/$run" ] || runs=$((runs - 1))
    done
    for run in $(unfinished); do
        if [ -e "$folder/runs/$run/run.json" ]; then
            "$command" run --resume "$folder/runs/$run" --quiet
            ended $?
        else
            rm -rf "$folder/runs/$run" # it had not begun
        fi
    done
    while [ "$(find "$folder/runs" -mindepth 1 -maxdepth 1 -type d | wc -l)" -lt "$runs" ]; do
        "$command" run "$@" --out "$folder/runs" --quiet
        ended $?
    done
}

unfinished() {
    for run in "$folder"/runs/*/; do
        run=$(basename "$run")
        if [ -d "$folder/runs/$run" ] && [ ! -e "$folder/done/$run" ]; then
            printf '%s\n' "$run"
        fi
    done
}

# 0 and 1 end a whole run: with 1, some cases failed. One run after the other is measured.
ended() {
    [ "$1" -le 1 ] || exit "$1"
    for run in $(unfinished); do
        : >"$folder/done/$run" || exit 3
        return
    done
}

state() {
    complete=0
    [ -d "$1/done" ] && complete=$(find "$1/done" -type f | wc -l)
    for run in $2; do
        [ -e "$1/done/$run" ] || complete=$((complete + 1))
    done
    rounds=0
    [ -d "$1/runs" ] && rounds=$(find "$1/runs" -path '*/rounds/[0-9]*.parquet' | wc -l)
    printf '%d %d\n' "$complete" "$rounds"
    [ -s "$1/log" ] && tail -n 3 "$1/log" | cut -c 1-400
    # Where the disk is full, the log is not written either.
    if [ -d "$1" ] && ! echo try 2>/dev/null >"$1/try"; then
        printf 'fencepost: %s: no space left on its disk, or it cannot be written; free some\n' "$1"
    fi
    rm -f "$1/try"
    return 0
}

wait_for_end() {
    timeout "$3" flock "$1/lock" true
    state "$1" "$2"
}

pack() {
    rm -f "$1/runs.tar"
    for run in "$1"/done/*; do
        run=$(basename "$run")
        case " $2 " in *" $run "*) continue ;; esac
        if [ -e "$1/done/$run" ]; then
            tar -C "$1/runs" -rf "$1/runs.tar" -- "$run/run.json" "$run/machine.json" "$run/rounds" || exit 3
        fi
    done
}

what=$1
shift
case $what in
install | ask | start | job | pack) "$what" "$@" ;;
wait) wait_for_end "$@" ;;
*)
    say "measure.sh: no command $what"
    exit 2
    ;;
esac
