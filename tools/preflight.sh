#!/bin/sh
# Is everything here that fencepost needs from the system? Plain sh, because Python may be what is missing.
#
#   preflight.sh build        checks Python, its venv module and headers, and a C compiler; prints "PYTHON<newline>COMPILER"
#   preflight.sh tools NAME…  checks that the named commands can be found
#
# PYTHON and CC name other ones than python3 and gcc, clang or cc. The first thing missing is told in one sentence on standard
# error, with the package that holds it; exit status 2.
set -u

MINIMUM=11 # of Python 3

fail() {
    printf 'fencepost: %s\n' "$*" >&2
    exit 2
}

# install DEBIAN FEDORA: the end of every sentence
install() {
    printf "install it with 'apt-get install %s' (Debian, Ubuntu) or 'dnf install %s' (Fedora)" "$1" "$2"
}

found() {
    command -v "$1" >/dev/null 2>&1
}

# Another Python on the PATH that would do, as the end of a sentence.
other_python() {
    for other in python3.14 python3.13 python3.12 python3.11; do
        if found "$other" && "$other" -c '' >/dev/null 2>&1; then
            printf "; %s is here, so 'make PYTHON=%s' would do" "$other" "$other"
            return
        fi
    done
}

check_python() {
    python=${PYTHON:-python3}
    found "$python" || fail "$python was not found: fencepost needs Python 3.$MINIMUM or newer; $(install "python3 python3-venv python3-dev" python3-devel)$(other_python)"
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) ||
        fail "$python does not run: fencepost needs Python 3.$MINIMUM or newer; $(install "python3 python3-venv python3-dev" python3-devel)$(other_python)"
    case $version in
    3.*) [ "${version#3.}" -ge "$MINIMUM" ] || old=yes ;;
    *) old=yes ;;
    esac
    [ -z "${old-}" ] || fail "$python is Python $version, and fencepost needs 3.$MINIMUM or newer: $(install "python3.$MINIMUM python3.$MINIMUM-venv python3.$MINIMUM-dev" "python3.$MINIMUM-devel")$(other_python)"
    "$python" -c 'import sysconfig; raise SystemExit(bool(sysconfig.get_config_var("Py_GIL_DISABLED")))' ||
        fail "$python (Python $version) is a free-threaded build, and the extension uses the stable ABI, which such a build lacks; name the usual build, as in 'make PYTHON=python$version'"

    # Debian keeps ensurepip in a package of its own; which one depends on whether this is the system's default Python.
    case $python in
    python3 | */python3) prefix=python3 ;;
    *) prefix=python$version ;;
    esac
    "$python" -c 'import venv, ensurepip' >/dev/null 2>&1 ||
        fail "$python (Python $version) cannot create virtual environments, its modules venv and ensurepip are missing: $(install "$prefix-venv" "$prefix-libs")"
    include=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["include"])') ||
        fail "$python (Python $version) does not know where its header files are: $(install "$prefix-dev" "$prefix-devel")"
    [ -f "$include/Python.h" ] ||
        fail "the header files of $python (Python $version) are missing, $include/Python.h does not exist: $(install "$prefix-dev" "$prefix-devel")"
}

check_compiler() {
    compiler=${CC:-}
    if [ -z "$compiler" ]; then
        for candidate in gcc clang cc; do
            if found "$candidate"; then
                compiler=$candidate
                break
            fi
        done
    fi
    [ -n "$compiler" ] || fail "no C compiler was found (neither gcc, clang nor cc): $(install "gcc libc6-dev" "gcc glibc-devel")"
    # CC may carry options ("ccache gcc", "gcc -m64"), hence no quotes around it.
    # shellcheck disable=SC2086
    set -- $compiler
    found "$1" || fail "the C compiler $1 (from the variable CC) was not found: $(install "gcc libc6-dev" "gcc glibc-devel") or choose another, as in 'make CC=clang'"
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/fencepost.XXXXXX") || fail "cannot write to ${TMPDIR:-/tmp}: set TMPDIR to a folder where files can be created"
    trap 'rm -rf "$scratch"' EXIT
    printf '#include <pthread.h>\n#include <stdio.h>\n#include <linux/perf_event.h>\nint main(void) { return 0; }\n' >"$scratch/probe.c"
    message=$("$@" -o "$scratch/probe" "$scratch/probe.c" -lm -pthread 2>&1) ||
        fail "the C compiler $compiler cannot build a small program ($(printf '%s\n' "$message" | sed -n '/error/{p;q;}')); the C library's or the kernel's header files may be missing: $(install "gcc libc6-dev linux-libc-dev" "gcc glibc-devel kernel-headers")"
}

# Debian's and Fedora's packages of the commands that the checks of the source use.
packages_of() {
    case $1 in
    gcc) echo "gcc gcc" ;;
    taskset | setarch) echo "util-linux util-linux" ;;
    objdump) echo "binutils binutils" ;;
    clang-format) echo "clang-format clang-tools-extra" ;;
    shellcheck) echo "shellcheck ShellCheck" ;;
    qemu-aarch64 | qemu-riscv64) echo "qemu-user qemu-user" ;;
    musl-gcc) echo "musl-tools musl-gcc" ;;
    aarch64-linux-gnu-gcc) echo "gcc-aarch64-linux-gnu gcc-aarch64-linux-gnu" ;;
    riscv64-linux-gnu-gcc) echo "gcc-riscv64-linux-gnu gcc-riscv64-linux-gnu" ;;
    *) echo "$1 $1" ;;
    esac
}

case ${1-} in
build)
    [ "$(uname -s)" = Linux ] || fail "this is $(uname -s), and fencepost measures Linux only: run it on a Linux machine"
    check_python
    check_compiler
    printf '%s\n%s\n' "$python" "$compiler"
    ;;
tools)
    shift
    for tool in "$@"; do
        if ! found "$tool"; then
            # shellcheck disable=SC2046
            set -- $(packages_of "$tool")
            fail "$tool was not found: $(install "$1" "$2")"
        fi
    done
    ;;
*)
    fail "usage: preflight.sh build | preflight.sh tools NAME…"
    ;;
esac
