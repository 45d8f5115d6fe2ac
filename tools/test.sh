#!/bin/sh
# test.sh fast|slow ARGUMENT…: the tests that take minutes together, or the rest; arguments go to pytest.
#
# Tests of the analysis run in two processes. Those that run kernels come after them, one at a time: they want the CPUs for
# themselves.
set -u
python=.venv/bin/python
case ${1-} in
fast) speed='not slow' ;;
slow) speed='slow' ;;
*)
    echo 'usage: test.sh fast|slow [ARGUMENT…]' >&2
    exit 2
    ;;
esac
shift

"$python" -m pytest -m "$speed and not measures" --numprocesses 2 --dist loadfile "$@"
beside=$?
case $beside in 0 | 1 | 5) ;; *) exit "$beside" ;; esac
"$python" -m pytest -m "$speed and measures" "$@"
alone=$?
# 5: nothing was selected, which is a fault only where it is so for both.
[ "$beside" -eq 5 ] && exit "$alone"
[ "$alone" -eq 5 ] && exit "$beside"
[ "$alone" -eq 0 ] && exit "$beside"
exit "$alone"
