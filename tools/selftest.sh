#!/bin/sh
# The C sources without Python: every kernel is built into the self-test, a plain program that runs and checks it.
#
#   selftest.sh warnings        compile everything with gcc, clang and musl, each warning an error; link it with musl and run a case
#   selftest.sh sanitize        run it under the address and undefined behaviour sanitizers, then under the thread sanitizer
#   selftest.sh memory [KERNEL…]  run it under the memory sanitizer, which only clang has; only these kernels
#   selftest.sh architectures   cross-compile it for aarch64 and riscv64, run it under qemu's user emulation
#
# A missing tool skips a part and says which package has it; where CI=true it is an error (exit status 2). Exit status 1: a check
# failed.
set -u

flags="-std=gnu11 -O2 -Wall -Wextra -Werror -pthread -Icsrc"
out=build/selftest
mkdir -p "$out" || exit 2
failed=0

say() {
    printf 'fencepost: %s\n' "$*" >&2
}

# have TOOL…: 0 when all are here; otherwise says which is not and what to install
have() {
    sh tools/preflight.sh tools "$@" && return
    [ "${CI:-}" = true ] && exit 2
    say "skipped: this part needs $*"
    return 1
}

# compile_all FOLDER COMPILER OPTION…: all sources but $without into objects, as many at once as there are CPUs
without=
kernels='csrc/kernels/*/*.c'
of_pages="memory/map memory/cow memory/tlb memory/chase memory/shootdown alloc/size kernel/maps signal/send selfcheck/fault"
compile_all() {
    objects=$1 compiler=$2
    shift 2
    rm -rf "$objects"
    mkdir "$objects" || return 1
    # Several to a process: Python takes as long to begin as some of the sources to compile.
    # shellcheck disable=SC2086
    printf '%s\n' csrc/engine/*.c csrc/lib/*/*.c $kernels | grep -vxF "${without:-none}" |
        xargs -P "$(nproc)" -n 8 "${PYTHON:-python3}" tools/compile_once.py "$objects" "$compiler" $flags "$@" -c --
}

# build NAME COMPILER OPTION…
build() {
    name=$1
    shift
    compile_all "$out/$name.objects" "$@" && "$@" -pthread -o "$out/$name" "$out/$name.objects"/*.o -lm -ldl
}

# run_quietly NAME COMMAND…: what is not ok, or the number of cases that are
run_quietly() {
    name=$1
    shift
    if timeout 1800 "$@" >"$out/$name.log" 2>&1; then
        say "$name: $(grep -c '^ok' "$out/$name.log") cases ok, $(grep -c '^ok.*# SKIP' "$out/$name.log") of them not possible here"
    else
        status=$?
        grep -v '^ok' "$out/$name.log"
        say "$name: the self-test failed (exit status $status; 124: it did not end within 1800 s)"
        failed=1
    fi
}

case ${1-} in
warnings)
    for compiler in gcc clang; do
        have "$compiler" || continue
        # -O2 and not only a syntax check: some warnings come out of the optimizer.
        compile_all "$out/$compiler.objects" "$compiler" || failed=1
    done
    # Another C library has other names and other macros. It comes without the headers of the system calls.
    if have musl-gcc; then
        headers=$out/linux-headers
        mkdir -p "$headers" && ln -sfn /usr/include/linux /usr/include/asm-generic "/usr/include/$(gcc -dumpmachine)/asm" "$headers" || exit 2
        # -O0: what is looked for are its macros, and functions that it lacks. The linker finds the latter.
        if build musl musl-gcc -O0 -g0 -rdynamic -idirafter "$headers"; then
            run_quietly musl "$out/musl" clock/read coroutine/switch
        else
            failed=1
        fi
    fi
    ;;
sanitize)
    compiler=${CC:-gcc}
    have "$compiler" || exit 0
    # -O1: the compiler takes two thirds of the time, and what the sanitizers look for is all there. gcc needs to be told that it may
    # inline what is called through a pointer. -g1: a finding names its line.
    level="-O1 -g1 -findirect-inlining" fences=-Wno-tsan
    case $("$compiler" --version) in *clang*) level="-O1 -g1" fences= ;; esac
    # shellcheck disable=SC2086
    if build address "$compiler" $level -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer; then
        run_quietly address "$out/address"
    else
        failed=1
    fi
    # With much randomness in the address-space layout the thread sanitizer finds its shadow memory taken.
    have setarch || exit "$failed"
    # gcc warns that it cannot follow bare fences. Those of fence/cost order nothing between threads; those of the seqlock of
    # line/read_mostly stand between atomics, which race with nobody.
    # shellcheck disable=SC2086
    if build thread "$compiler" $level -fsanitize=thread $fences; then
        run_quietly thread setarch -R "$out/thread"
    else
        failed=1
    fi
    ;;
memory)
    compiler=${CLANG:-clang}
    have "$compiler" || exit 0
    # Debian has its library in a package of its own.
    if ! echo 'int main(void) { return 0; }' | "$compiler" -fsanitize=memory -x c -o "$out/probe" - 2>/dev/null; then
        say "skipped: this part needs the library of the memory sanitizer (package libclang-rt-dev of this $compiler)"
        [ "${CI:-}" = true ] && exit 2
        exit 0
    fi
    # It does not know what a bare system call has written (capability). Its shadow memory has page faults of its own, which count.
    # A small process begins without it, and an allocator in place of malloc ends it.
    without=$(printf 'csrc/kernels/%s.c\n' alloc/freeze alloc/pattern alloc/size alloc/steps memory/cow memory/fault memory/file \
        memory/ksm namespace/capability namespace/unshare perf/software process/create process/spawn)
    shift
    [ $# -gt 0 ] && kernels=$(printf 'csrc/kernels/%s.c ' "$@")
    if build memory "$compiler" -O1 -g1 -fsanitize=memory -fno-sanitize-recover=memory -fno-omit-frame-pointer; then
        run_quietly memory "$out/memory"
    else
        failed=1
    fi
    ;;
architectures)
    # Linked statically, so that qemu needs no libraries of the other architecture. A static program cannot load the shared objects
    # that object.c is for, and no case of the self-test does.
    without=csrc/engine/object.c
    for arch in aarch64 riscv64; do
        have "$arch-linux-gnu-gcc" "qemu-$arch" || continue
        # Emulated: qemu orders memory as its host does and as its translation leaves it (seen: a load-acquire that passes a
        # store-release, which Arm forbids). The code runs, but nothing is judged about order.
        if build "$arch" "$arch-linux-gnu-gcc" -static -DFENCEPOST_EMULATED; then
            run_quietly "$arch" "qemu-$arch" "$out/$arch"
            # Kernels that care for the size of a page. Those that ask mincore are left out: qemu answers it for its own pages.
            # shellcheck disable=SC2086
            [ "$arch" = aarch64 ] && run_quietly "$arch-16KiB" "qemu-$arch" -p 16384 "$out/$arch" $of_pages
        else
            failed=1
        fi
    done
    ;;
*)
    say "usage: selftest.sh warnings | sanitize | memory | architectures"
    exit 2
    ;;
esac
exit "$failed"
