#!/bin/sh
# Brings .venv up to date: the packages that fencepost needs and its C extension. Does nothing, quickly, where nothing changed.
#
#   install.sh runtime   what measuring and reporting need
#   install.sh dev       the same, and what tests and lint need
#   install.sh wheel     the same as runtime, then dist/fencepost-….whl
#
# What is done is remembered as a checksum of all that it was made from, taken before the work and stored after it. So an
# interrupted or failed installation is never taken for a finished one, and a deleted kernel file counts as a change.
set -u

goal=${1:-runtime}
level=${goal#wheel}
level=${level:-runtime}
root=$(pwd)
venv=.venv
state=$venv/.fencepost
log=$venv/install.log

say() {
    printf 'fencepost: %s\n' "$*" >&2
}

# logged COMMAND…: quiet unless it fails; then its end, less the warnings with which pip buries the cause
logged() {
    "$@" >"$log" 2>&1 && return
    status=$?
    grep -v '^WARNING: ' "$log" | tail -n 80 >&2
    return "$status"
}

is_current() {
    [ -f "$state/$1" ] && [ "$(cat "$state/$1")" = "$2" ]
}

digest() {
    # Names as well as contents: a file that goes away or changes its name is a change.
    for file in "$@"; do
        [ -f "$file" ] && printf '%s\n' "$file"
    done
    cat "$@" 2>/dev/null
}

[ -f csrc/build_kernels.py ] || {
    say "$root is not a checkout of fencepost: run make in the folder that holds the Makefile"
    exit 2
}
unset PYTHONHOME PYTHONPATH
export PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
export PIP_RETRIES="${PIP_RETRIES:-2}" # of each request: without a network the default of 5 takes minutes to give up

# A virtual environment holds absolute paths, so one that was moved is a stranger. PYTHON counts only where it was given.
place=$root
packages=$(digest pyproject.toml | cksum)
extension=$({
    printf '%s\n' "$root" "${CC:-}" "${CFLAGS:-}" "${LDFLAGS:-}" "$packages"
    digest setup.py csrc/*.py csrc/*.[ch] csrc/*/*.[ch] csrc/*/*/*.[ch]
} | cksum)

right_place() {
    is_current place "$place" && { [ -z "${PYTHON:-}" ] || is_current python "$PYTHON"; }
}
has_extension() {
    for file in bench/_kernels*.so; do
        [ -f "$file" ] && return
    done
    return 1
}
current() {
    right_place && is_current "$level" "$packages" && is_current extension "$extension" && has_extension
}

current && [ "$goal" = "$level" ] && exit 0

found=$(sh tools/preflight.sh build) || exit 2
python=$(printf '%s\n' "$found" | sed -n 1p)
CC=$(printf '%s\n' "$found" | sed -n 2p)
export CC

trap 'say "interrupted; the next make goes on from here"; exit 130' INT TERM
if [ -d "$venv" ] && command -v flock >/dev/null 2>&1; then
    exec 9<"$venv"
    flock 9 # another make may be at it
    current && [ "$goal" = "$level" ] && exit 0
fi

if [ -d "$state" ] && ! right_place; then
    say "the virtual environment .venv belongs to another place or another Python: making it anew"
    rm -rf "$venv"
fi
if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    if [ -e "$venv" ] && [ ! -d "$state" ]; then
        say ".venv exists, but has no working Python with pip: remove it, and make will create it"
        exit 2
    fi
    rm -rf "$venv"
    mkdir -p "$state" || exit 2 # first, so that a half-made environment is known as ours
    say "creating .venv with $python"
    logged "$python" -m venv "$venv" || {
        say "$python -m venv failed, see above"
        rm -rf "$venv"
        exit 2
    }
fi
mkdir -p "$state" || exit 2
if [ ! -f "$state/python" ]; then
    printf '%s\n' "${PYTHON:-$python}" >"$state/python"
fi
printf '%s\n' "$place" >"$state/place"

if ! is_current "$level" "$packages"; then
    if [ -f "$state/requirements.txt" ]; then
        say "updating Python packages in .venv …"
    else
        say "installing Python packages into .venv (first time, about 1 minute) …"
    fi
    rm -f "$state/runtime" "$state/dev" "$state/extension"
    "$venv/bin/python" - "$level" >"$state/requirements.txt" <<'PYTHON' || exit 2
import sys
import tomllib

with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)
wanted = project["build-system"]["requires"] + project["project"]["dependencies"]
extras = project["project"]["optional-dependencies"]
for extra in ("analysis", "pytest", *(["fleet", "dask", "dev"] if sys.argv[1] == "dev" else [])):
    wanted += extras[extra]
# What names fencepost itself is in the list already.
print("\n".join(each for each in wanted if not each.startswith("fencepost[")))
PYTHON
    logged "$venv/bin/python" -m pip install --quiet --prefer-binary --requirement "$state/requirements.txt" || {
        say "pip could not install the packages, see above; with the cause removed (no network? disk full?) run make again"
        exit 2
    }
    printf '%s\n' "$packages" >"$state/runtime"
    [ "$level" = dev ] && printf '%s\n' "$packages" >"$state/dev"
fi

if ! is_current extension "$extension" || ! has_extension; then
    say "building the C extension with $CC …"
    rm -f "$state/extension" bench/_kernels*.so
    # --no-index: everything it needs is installed, so a change of a kernel never waits for a network.
    logged "$venv/bin/python" -m pip install --quiet --no-deps --no-index --no-build-isolation --editable . || {
        say "the C extension could not be built with $CC, see above"
        exit 2
    }
    # Not only built but also loadable: an undefined symbol or a kernel name used twice shows here.
    logged "$venv/bin/python" -c 'import fencepost.bench._kernels as k; f = k.lib.registry_fault(); raise SystemExit(k.ffi.string(f).decode() if f else 0)' || {
        say "the C extension was built and cannot be used, see above"
        exit 2
    }
    printf '%s\n' "$extension" >"$state/extension"
fi

if [ "$goal" = wheel ]; then
    rm -rf build/lib* build/temp* build/bdist* # setuptools packs what an earlier build left there
    # Files in a wheel have a time. With that of the commit, two wheels of one commit are equal to the byte.
    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 315532800)}
    export SOURCE_DATE_EPOCH
    logged "$venv/bin/python" -m pip wheel --quiet --no-deps --no-index --no-build-isolation --wheel-dir dist . || {
        say "the wheel could not be built with $CC, see above"
        exit 2
    }
    ls dist/*.whl
fi
