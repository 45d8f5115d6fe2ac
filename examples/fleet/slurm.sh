#!/bin/sh
#SBATCH --job-name=fencepost --nodes=1 --exclusive --requeue --open-mode=append --output=%N.log
# Measures one node, into runs/NODE. WORDS has the words for `fencepost run`. For each idle node:
#   sinfo --noheader --Node --states=idle --format=%N | sort -u | xargs -I{} sbatch --nodelist={} slurm.sh
# A job that is requeued, or submitted again, continues its run: at SIGTERM fencepost ends and keeps complete rounds.
set -eu
runs=runs/$SLURMD_NODENAME
# A run that was killed before it began has no run.json.
for run in "$runs"/*/run.json; do
    # fencepost takes the place of this shell, so that it gets the signal.
    [ ! -e "$run" ] || exec fencepost run -q --resume "${run%/run.json}"
done
# shellcheck disable=SC2086 # several words
exec fencepost run -q --out "$runs" --label "host=$SLURMD_NODENAME" ${WORDS:---profile quick}
