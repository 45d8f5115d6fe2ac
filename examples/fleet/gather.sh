#!/bin/sh
# gather.sh HOST...: measures hosts over ssh, and fetches their runs into runs/HOST/RUN. Each has fencepost, flock, rsync.
# The same command again completes what is missing. WORDS has the words for `fencepost run`.
set -u
# shellcheck disable=SC2029 # the names of the host and the words are known here
for host in "$@"; do
    [ -e "runs/$host" ] || ssh "$host" "mkdir -p fp && setsid nohup flock -n fp/lock sh -c '
        run=\$(ls fp/runs/*/run.json)
        set -- --out fp/runs --label host=$host ${WORDS:---profile quick}
        [ -z \"\$run\" ] || set -- --resume \"\${run%/run.json}\"
        fencepost run -q \"\$@\"
        [ \$? -le 1 ] && touch fp/done' >fp/log 2>&1 </dev/null & sleep 2"
done
for host in "$@"; do # the hosts measure at the same time, and this sleeps until each has ended
    [ -e "runs/$host" ] || { ssh "$host" 'flock fp/lock test -e fp/done' && mkdir -p "runs/.$host" &&
        rsync -a "$host:fp/runs/" "runs/.$host/" && mv "runs/.$host" "runs/$host"; } ||
        echo "$host: not complete; the same command again continues" >&2
done
