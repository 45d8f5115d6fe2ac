"""litmus/*: verdicts that a second model derives again, fences where they belong, and checks that notice."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import pairwise, permutations, product
from pathlib import Path

import pytest
from compile import CSRC
from engine.build import Engine
from kernels.disassemble import TOOLCHAINS, Instruction, Toolchain, functions
from kernels.measure import EILSEQ, ENOTSUP, built_engine, kernel, measure
from kernels.plant import engine_of
from runs import measure as runtime

from fencepost.bench import profiles

FILES = sorted((CSRC / "kernels" / "litmus").glob("*.c"))
TESTS = [path.stem for path in FILES]


def program_of(test: str) -> tuple[str, str, str]:
    """Program, final values and weak outcome of a test, from the columns and the line `Weak` of its file's header.

    Thread by thread: W place value, R place, F the fence; the weak outcome is what the registers hold, in order, then
    what is left in the places named.
    """
    header = (CSRC / "kernels" / "litmus" / f"{test}.c").read_text(encoding="utf-8").partition("*/")[0]
    first, *rows = header[header.rindex("\n", 0, header.index("thread 0")) + 1 :].split("\n")
    starts = [found.start() for found in re.finditer(r"thread \d", first)]
    threads: list[list[str]] = [[] for _ in starts]
    for row in rows[: rows.index(" *")]:
        for thread, (start, end) in enumerate(pairwise([*starts, len(row) + 1])):
            threads[thread].append(row[start:end].strip())
    words = {r"fence": "F", r"r\d = ([XYZ])": r"R\1", r"([XYZ]) = (\d)": r"W\1\2"}
    parts = []
    for steps in threads:
        said = [
            (step, [re.sub(p, w, step) for p, w in words.items() if re.fullmatch(p, step)]) for step in steps if step
        ]
        assert all(len(found) == 1 for _, found in said), f"{test}: {said}"
        parts.append(" ".join(found[0] for _, found in said))
    weak = re.search(r"^ \* Weak: ([^.]*)\.", header, re.MULTILINE)
    assert weak is not None, test
    values = dict(item.split(" = ") for item in weak[1].split(", "))
    finals = "".join(name for name in values if name in "XYZ")
    registers = [name for name in values if name not in "XYZ"]
    assert (
        registers
        == [f"r{k}" for k in range(len(registers))]
        == re.findall(r"r\d", " ".join(step for steps in threads for step in steps))
    )
    return " | ".join(parts), finals, "".join(values.values())


PROGRAMS = {test: program_of(test) for test in TESTS}
# Which pairs of accesses to different places stay in order: always, and across each fence.
ALL = {"RR", "RW", "WW", "WR"}
TSO = {"RR", "RW", "WW"}
MODELS: dict[str, dict[str, set[str]]] = {
    "x86_64": {"none": TSO, "sfence": TSO, "lfence": TSO, "mfence": ALL, "lock_add": ALL, "xchg": ALL},
    "aarch64": {
        "none": set(),
        "dmb_ish": ALL,
        "dmb_ishld": {"RR", "RW"},
        "dmb_ishst": {"WW"},
        "dsb_ish": ALL,
        "isb": set(),
    },
    "riscv64": {
        "none": set(),
        "fence_rw_rw": ALL,
        "fence_r_r": {"RR"},
        "fence_w_w": {"WW"},
        "fence_tso": TSO,
    },
}


State = tuple[tuple[frozenset[int], ...], tuple[tuple[str, str], ...], tuple[tuple[tuple[int, int], str], ...]]


def outcomes(program: str, finals: str, kept: set[str], always: set[str]) -> set[str]:
    """All outcomes of a machine whose memory is one for all (all three architectures are multi-copy atomic).

    Each thread performs its accesses in any order that keeps these pairs, and those to one place; a load may take the
    value of an own store that waits.
    """
    threads: list[list[tuple[str, str, str]]] = []
    fences: list[list[int]] = []
    for part in program.split("|"):
        words = part.split()
        threads.append([(word[0], word[1], word[2:]) for word in words if word != "F"])
        fences.append([sum(w != "F" for w in words[:i]) for i, word in enumerate(words) if word == "F"])

    def must_wait(thread: int, earlier: int, later: int) -> bool:
        (a, x, _), (b, y, _) = threads[thread][earlier], threads[thread][later]
        if x == y:
            return a + b != "WR"  # forwarded
        pair = a + b
        return pair in always or (pair in kept and any(earlier < place <= later for place in fences[thread]))

    def steps(state: State) -> Iterator[State]:
        done, memory, read = state
        for thread, accesses in enumerate(threads):
            for i, (kind, place, value) in enumerate(accesses):
                if i in done[thread] or any(j not in done[thread] and must_wait(thread, j, i) for j in range(i)):
                    continue
                after = tuple(d | {i} if t == thread else d for t, d in enumerate(done))
                if kind == "W":
                    yield after, tuple(sorted({**dict(memory), place: value}.items())), read
                    continue
                waiting = [
                    v for j, (k, p, v) in enumerate(accesses[:i]) if (k, p) == ("W", place) and j not in done[thread]
                ]
                got = waiting[-1] if waiting else dict(memory).get(place, "0")
                yield after, memory, tuple(sorted({**dict(read), (thread, i): got}.items()))

    start: State = (tuple(frozenset() for _ in threads), (), ())
    seen, waiting, found = {start}, [start], set()
    while waiting:
        state = waiting.pop()
        following = list(steps(state))
        if not following:
            found.add(
                "".join(value for _, value in state[2]) + "".join(dict(state[1]).get(place, "0") for place in finals)
            )
        for item in following:
            if item not in seen:
                seen.add(item)
                waiting.append(item)
    return found


def forbidden(test: str) -> dict[str, set[str]]:
    """FORBIDDEN of a test's file, by architecture."""
    source = (CSRC / "kernels" / "litmus" / f"{test}.c").read_text(encoding="utf-8")
    return {
        name: set(words.split())
        for name, words in re.findall(r'\.(x86_64|aarch64|riscv64|c11)\s*=\s*"([^"]*)"', source)
    }


def test_the_header_says_what_the_code_looks_for() -> None:
    assert PROGRAMS["sb"] == ("WX1 F RY | WY1 F RX", "", "00")
    assert PROGRAMS["wrc"] == ("WX1 | RX F WY1 | RY F RX", "", "110")
    assert PROGRAMS["r"] == ("WX1 F WY1 | WY2 F RX", "Y", "02")
    for test, (program, finals, weak) in PROGRAMS.items():
        source = (CSRC / "kernels" / "litmus" / f"{test}.c").read_text(encoding="utf-8")
        assert f'#define WEAK "{weak}"' in source
        assert f'#define FINALS "{"".join(str("XYZ".index(name)) for name in finals)}"' in source
        assert f"#define THREADS {program.count('|') + 1}" in source
        # What thread() does, read off its text in the order of its branches.
        body = source[source.index("INLINE void thread(") : source.index('#include "run.h"')]
        steps = re.findall(
            r"(store)\(order, &cells\[(\w)\], base \+ (\d)\)|(load)\(order, &cells\[(\w)\]\)|(fence)\(", body
        )
        done = [f"W{place}{value}" if w else f"R{read}" if r else "F" for w, place, value, r, read, _ in steps]
        assert done == program.replace("|", "").split(), test


@pytest.mark.parametrize("arch", MODELS)
@pytest.mark.parametrize("test", PROGRAMS)
def test_verdicts_are_those_of_the_model(test: str, arch: str) -> None:
    program, finals, weak = PROGRAMS[test]
    always = MODELS[arch]["none"]
    derived = {fence for fence, kept in MODELS[arch].items() if weak not in outcomes(program, finals, kept, always)}
    assert forbidden(test)[arch] == derived


@pytest.mark.parametrize("test", PROGRAMS)
def test_the_weak_outcome_is_in_no_interleaving_and_the_listed_ones_are_all(test: str) -> None:
    program, finals, weak = PROGRAMS[test]
    assert weak not in outcomes(program, finals, ALL, ALL)
    assert "c11_seq_cst" in forbidden(test)["c11"]
    listed = {
        metric.name.removeprefix("seen_")
        for metric in kernel(f"litmus/{test}").metrics
        if metric.name.startswith("seen_")
    }
    for always in (set(), TSO, ALL):
        assert outcomes(program, finals, set(), always) <= listed


@pytest.mark.parametrize("test", PROGRAMS)
def test_the_page_has_the_verdicts_of_the_code(test: str) -> None:
    page = (CSRC.parent / "docs" / "topics" / "litmus.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| `{test}` \| (.*) \| (.*) \| (.*) \| (.*) \|$", page, re.MULTILINE)
    found = [set(cell.split(", ")) - {"–"} for cell in row]
    assert found == [forbidden(test)[name] for name in ("x86_64", "aarch64", "riscv64", "c11")]


Pairs = set[tuple[int, int]]


def closed(pairs: Pairs) -> Pairs:
    """Transitive closure."""
    while more := {(a, d) for a, b in pairs for c, d in pairs if b == c} - pairs:
        pairs = pairs | more
    return pairs


def c11_outcomes(program: str, finals: str, mode: str) -> set[str]:
    """All outcomes that C11 allows where every access has this mode: candidate executions, judged by coherence and by
    the order of seq_cst accesses as Lahav et al. have repaired it ("Repairing Sequential Consistency in C/C++11", PLDI
    2017), without that paper's ban on cycles of program order and reads-from, which C11 does not have.
    """
    accesses = [
        (thread, word[0], word[1], word[2:])
        for thread, part in enumerate(program.split("|"))
        for word in part.split()
        if word != "F"
    ]
    places = sorted({place for _, _, place, _ in accesses})
    events = [(-1, "W", place, "0") for place in places] + accesses
    every = range(len(events))
    reads = [e for e in every if events[e][1] == "R"]
    writes = {place: [e for e in every if events[e][1:3] == ("W", place)] for place in places}
    before = {
        (a, b) for a in every for b in every if a < b and events[a][0] in (-1, events[b][0]) and events[b][0] >= 0
    }

    def one_place(pairs: Pairs, same: bool) -> Pairs:
        return {(a, b) for a, b in pairs if (events[a][2] == events[b][2]) == same}

    def then(*steps: Pairs) -> Pairs:
        found = steps[0]
        for step in steps[1:]:
            found = {(a, d) for a, b in found for c, d in step if b == c}
        return found

    found = set()
    orders = [[(writes[place][0], *rest) for rest in permutations(writes[place][1:])] for place in places]
    for sources, modification in product(product(*(writes[events[r][2]] for r in reads)), product(*orders)):
        from_ = set(zip(sources, reads, strict=True))
        changes = {(a, b) for order in modification for i, a in enumerate(order) for b in order[i + 1 :]}
        overtaken = then({(r, w) for w, r in from_}, changes)
        # Release stores and acquire loads; those at the start, too, come before everything.
        happens = closed(before | (from_ if mode != "c11_relaxed" else set()))
        communication = closed(from_ | changes | overtaken)
        if any((b, a) in communication or a == b for a, b in happens) or any(a == b for a, b in communication):
            continue
        if mode == "c11_seq_cst":
            apart = one_place(before, same=False)
            total = closed(before | then(apart, happens, apart) | one_place(happens, same=True) | changes | overtaken)
            if any(a == b for a, b in total):
                continue
        values = dict(zip(reads, (events[w][3] for w in sources), strict=True))
        last = {place: events[order[-1]][3] for place, order in zip(places, modification, strict=True)}
        found.add("".join(values[r] for r in reads) + "".join(last[place] for place in finals))
    return found


@pytest.mark.parametrize("test", PROGRAMS)
def test_verdicts_of_c11_are_those_of_its_model(test: str) -> None:
    program, finals, weak = PROGRAMS[test]
    modes = ("c11_relaxed", "c11_acq_rel", "c11_seq_cst")
    assert forbidden(test)["c11"] == {mode for mode in modes if weak not in c11_outcomes(program, finals, mode)}
    # In seq_cst order it is the machine on which nothing is reordered.
    assert c11_outcomes(program, finals, "c11_seq_cst") == outcomes(program, finals, ALL, ALL)


FENCES = {
    "x86_64": {
        "none": "",
        "int": "",
        "c11_relaxed": "",
        "c11_acq_rel": "",
        "sfence": "sfence",
        "lfence": "lfence",
        "mfence": "mfence",
        "lock_add": r"lock addl",
        "xchg": r"xchg .*\(%rsp\)",
        "c11_seq_cst": r"xchg .*|mfence",
    },
    "aarch64": {
        "none": "",
        "dmb_ish": "dmb ish$",
        "dmb_ishld": "dmb ishld",
        "dmb_ishst": "dmb ishst",
        "dsb_ish": "dsb",
        "isb": "isb",
    },
    "riscv64": {
        "none": "",
        "fence_rw_rw": "fence rw,rw",
        "fence_r_r": "fence r,r",
        "fence_w_w": "fence w,w",
        "fence_tso": "fence.tso",
    },
}
ORDERING = re.compile(r"[lms]fence|lock .*|xchg %.*\(.*|dmb .*|dsb .*|isb|fence.*")


def wording(step: Instruction) -> str:
    return re.sub(r"\s*(//|#).*", "", f"{step.mnemonic} {step.operands}".strip())


ADDRESS = {
    "x86_64": re.compile(r"(?P<offset>-?0x[0-9a-f]+)?\((?P<base>%[^)]*)\)"),
    "aarch64": re.compile(r"\[(?P<base>\w+)(?:, #(?P<offset>-?\w+))?\]"),
    "riscv64": re.compile(r"(?P<offset>-?\d+)\((?P<base>\w+)\)"),
}
# From X to Y of a trial; the second where the compiler has moved on to the next trial's three cells between the two.
NEXT_CELL = (128, 128 - 3 * 128)


def between(steps: list[Instruction], arch: str, accesses: str) -> list[list[str]]:
    """What orders anything between an access to one cell and the next access to the following one, wherever a function
    has them: `accesses` is WR or WW.
    """
    stores = {"aarch64": ("str", "stur", "stlr"), "riscv64": ("sw",)}
    found = []

    def place(step: Instruction) -> tuple[str, int] | None:
        at = ADDRESS[arch].search(step.operands)
        return None if at is None else (at["base"], int(at["offset"] or "0", 0))

    def writes(step: Instruction) -> bool:
        return step.operands.endswith(")") if arch == "x86_64" else step.mnemonic in stores[arch]

    for i, first in enumerate(steps):
        at = place(first)
        if at is None or not writes(first) or first.mnemonic in ("lock add", "lock addl"):
            continue
        for k, second in enumerate(steps[i + 1 : i + 8], i + 1):
            if place(second) in [(at[0], at[1] + step) for step in NEXT_CELL] and writes(second) == (
                accesses[1] == "W"
            ):
                found.append([word for word in map(wording, steps[i + 1 : k]) if ORDERING.fullmatch(word)])
    return found


@pytest.mark.parametrize("toolchain", TOOLCHAINS, ids=lambda toolchain: toolchain.name)
@pytest.mark.parametrize(("file", "accesses"), [("litmus/sb.c", "WR"), ("litmus/mp.c", "WW")])
def test_the_fence_stands_between_the_accesses(file: str, accesses: str, toolchain: Toolchain) -> None:
    """Of the first thread, in every order that has a fence of its own or none: that fence, and no other."""
    if toolchain.arch not in FENCES:
        pytest.skip(f"the fences are not written for {toolchain.arch}")
    found = functions(file, toolchain)
    for order, pattern in FENCES[toolchain.arch].items():
        if order == "int" or order.startswith("c11_"):  # the compiler's to arrange
            continue
        places = between(found[f"run_{order}_0"], toolchain.arch, accesses)
        assert places, f"{order}: the accesses were not found"
        for fences in places:
            assert len(fences) == bool(pattern), f"{order}: {fences}"
            assert all(re.match(pattern, fence) for fence in fences), f"{order}: {fences}"


@pytest.mark.parametrize("toolchain", TOOLCHAINS[:2], ids=lambda toolchain: toolchain.name)
def test_a_sequentially_consistent_store_is_a_full_fence(toolchain: Toolchain) -> None:
    if toolchain.arch != "x86_64":
        pytest.skip("looked at on x86-64")
    steps = [wording(step) for step in functions("litmus/sb.c", toolchain)["run_c11_seq_cst_0"]]
    assert any(re.fullmatch(r"xchg %\w+,.*\(.*\)|mfence", step) for step in steps)


def test_the_compiler_answers_the_second_look_with_the_first() -> None:
    """A plain int is loaded once from X, a volatile one twice: what litmus/mp_twice shows is the compiler's doing."""
    if TOOLCHAINS[0].arch != "x86_64":
        pytest.skip("looked at on x86-64")

    def loads(order: str) -> int:
        steps = functions("litmus/mp_twice.c", TOOLCHAINS[0])[f"run_{order}_1"]
        return sum(
            step.mnemonic == "mov" and re.fullmatch(r"[^,]*\(.*\),%\w+", step.operands) is not None for step in steps
        )

    assert loads("none") - loads("int") >= 1


@pytest.mark.parametrize("runner", ["array", "barrier", "rendezvous"])
def test_trials_add_up(runner: str, engine_of_sb: Engine) -> None:
    engine = engine_of_sb
    done = measure(engine, "litmus/sb", {"runner": runner, "order": "none"})
    assert done.status == 0, done.reason
    found = done.metrics
    assert sum(value for name, value in found.items() if name.startswith("seen_")) == found["trials"] > 0
    assert found["weak"] == found["seen_00"]
    assert found["forbidden"] == 0


def test_an_order_of_another_architecture_is_refused(engine_of_sb: Engine) -> None:
    foreign = "dmb_ish" if TOOLCHAINS[0].arch == "x86_64" else "mfence"
    done = measure(engine_of_sb, "litmus/sb", {"order": foreign})
    assert done.status == ENOTSUP and "another architecture" in done.reason


@pytest.fixture(scope="module")
def engine_of_sb() -> Engine:
    return built_engine()


def test_a_forbidden_outcome_fails_the_case(tmp_path: Path) -> None:
    """A wrong verdict, on a machine that shows every outcome: a trial that loads what was there before."""
    stale = ("const uint32_t r0 = load(order, &cells[Y]);", "const uint32_t r0 = 0;")
    also = ("const uint32_t r1 = load(order, &cells[X]);", "const uint32_t r1 = 0;")
    engine = engine_of(tmp_path, "litmus/sb.c", stale, also)
    assert measure(engine, "litmus/sb", {"order": "none"}).status == 0
    done = measure(engine, "litmus/sb", {"order": "c11_seq_cst"})
    assert done.status == EILSEQ
    assert re.search(r"FORBIDDEN outcome 00 seen \d+ times in \d+ trials", done.reason)


@pytest.mark.slow
def test_a_run_that_sees_what_its_table_forbids_ends_with_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way: a wrong verdict in a kernel file, a run of it, its exit code and the reason."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("litmus/sb needs 2 CPUs")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(profiles, "PROFILES", {"quick": runtime.TINY})
    source = (CSRC / "kernels" / "litmus/sb.c").read_text(encoding="utf-8")
    for old, new in (
        ('"litmus/sb"', '"mine/sb"'),
        ('#include "litmus.h"', '#include "kernels/litmus/litmus.h"'),
        ('#include "run.h"', '#include "kernels/litmus/run.h"'),
        ('.c11 = "c11_seq_cst"', '.c11 = "c11_relaxed"'),
        ("const uint32_t r0 = load(order, &cells[Y]);", "const uint32_t r0 = 0;"),
        ("const uint32_t r1 = load(order, &cells[X]);", "const uint32_t r1 = 0;"),
    ):
        assert old in source
        source = source.replace(old, new)
    file = tmp_path / "mine.c"
    file.write_text(source, encoding="utf-8")
    asked = ("run", "mine/sb", "--kernel", str(file), "--profile", "quick", "--rounds", "1", "-q")
    sane = runtime.fencepost_inside(*asked, "--set", "mine/sb.order=c11_acq_rel", cwd=tmp_path)
    assert sane.returncode == 0, sane.stderr
    done = runtime.fencepost_inside(*asked, "--set", "mine/sb.order=c11_relaxed", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "check failed: 2" in done.stderr  # the case and its twin
    assert re.search(r"mine/sb\[.*: .*FORBIDDEN outcome 00 seen \d+ times", done.stderr)


def test_an_outcome_that_no_access_can_leave_fails_the_case(tmp_path: Path) -> None:
    strange = [
        (f"store(order, &cells[{place}], base + 1)", f"store(order, &cells[{place}], base + 3)") for place in "XY"
    ]
    engine = engine_of(tmp_path, "litmus/sb.c", *strange)
    # In this order one of the two sees what the other has stored, in every trial.
    done = measure(engine, "litmus/sb", {"order": "c11_seq_cst"})
    assert done.status == EILSEQ and "no accesses can leave" in done.reason
