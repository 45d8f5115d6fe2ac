"""litmus/*: verdicts that a second model derives again, fences where they belong, and checks that notice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from engines import Engine
from kernels.disassembly import CSRC, TOOLCHAINS, Instruction, Toolchain, functions
from kernels.family import EILSEQ, ENOTSUP, measure, metrics
from kernels.faults import engine_of
from kernels.trial import kernel

FILES = sorted((CSRC / "kernels").glob("litmus_*.c"))
TESTS = [path.stem.removeprefix("litmus_") for path in FILES]

# Thread by thread: W place value, R place, F the fence; and the weak outcome: registers in order, then final values of
# the places named.
PROGRAMS: dict[str, tuple[str, str, str]] = {
    "sb": ("WX1 F RY | WY1 F RX", "", "00"),
    "sb_rfi": ("WX1 RX F RY | WY1 RY F RX", "", "1010"),
    "r": ("WX1 F WY1 | WY2 F RX", "Y", "02"),
    "mp": ("WX1 F WY1 | RY F RX", "", "10"),
    "mp_twice": ("WX1 F WY1 | RX F RY F RX", "", "010"),
    "lb": ("RX F WY1 | RY F WX1", "", "11"),
    "s": ("WX2 F WY1 | RY F WX1", "X", "12"),
    "two_two_w": ("WX1 F WY2 | WY1 F WX2", "XY", "11"),
    "corr": ("WX1 | RX F RX", "", "10"),
    "n5": ("WX1 F RX | WX2 F RX", "", "21"),
    "iriw": ("WX1 | WY1 | RX F RY | RY F RX", "", "1010"),
    "wrc": ("WX1 | RX F WY1 | RY F RX", "", "110"),
    "isa2": ("WX1 F WY1 | RY F WZ1 | RZ F RX", "", "110"),
}
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
    source = (CSRC / "kernels" / f"litmus_{test}.c").read_text(encoding="utf-8")
    return {
        name: set(words.split())
        for name, words in re.findall(r'\.(x86_64|aarch64|riscv64|c11)\s*=\s*"([^"]*)"', source)
    }


def test_every_test_has_its_program() -> None:
    assert set(TESTS) == set(PROGRAMS)
    for test, (_, _, weak) in PROGRAMS.items():
        source = (CSRC / "kernels" / f"litmus_{test}.c").read_text(encoding="utf-8")
        assert f'#define WEAK "{weak}"' in source


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
    page = (CSRC.parent / "docs" / "litmus.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| `{test}` \| (.*) \| (.*) \| (.*) \| (.*) \|$", page, re.MULTILINE)
    found = [set(cell.split(", ")) - {"–"} for cell in row]
    assert found == [forbidden(test)[name] for name in ("x86_64", "aarch64", "riscv64", "c11")]


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


@pytest.mark.parametrize("toolchain", TOOLCHAINS, ids=lambda toolchain: toolchain.name)
def test_store_buffering_is_store_fence_load(toolchain: Toolchain) -> None:
    """After the last reading of the counter: the store, the order's own fence and no other, the load."""
    if toolchain.arch not in FENCES:
        pytest.skip(f"the fences are not written for {toolchain.arch}")
    found = functions("litmus_sb.c", toolchain)
    for order, pattern in FENCES[toolchain.arch].items():
        steps = [wording(step) for step in found[f"run_{order}_0"]]
        if not pattern:
            continue
        assert any(re.match(pattern, step) for step in steps), f"{order}: {steps}"
    for order in FENCES[toolchain.arch]:
        others = [
            p for o, p in FENCES[toolchain.arch].items() if p and o != order and o in ("mfence", "sfence", "fence_tso")
        ]
        steps = [wording(step) for step in found[f"run_{order}_0"]]
        assert not any(re.match(p, step) for p in others for step in steps if order != "c11_seq_cst"), order


def test_the_compiler_answers_the_second_look_with_the_first() -> None:
    """A plain int is loaded once from X, a volatile one twice: what litmus/mp_twice shows is the compiler's doing."""
    if TOOLCHAINS[0].arch != "x86_64":
        pytest.skip("looked at on x86-64")

    def loads(order: str) -> int:
        steps = functions("litmus_mp_twice.c", TOOLCHAINS[0])[f"run_{order}_1"]
        return sum(
            step.mnemonic == "mov" and re.fullmatch(r"[^,]*\(.*\),%\w+", step.operands) is not None for step in steps
        )

    assert loads("none") - loads("int") >= 1


@pytest.mark.parametrize("runner", ["array", "barrier", "rendezvous"])
def test_trials_add_up(runner: str, engine_of_sb: Engine) -> None:
    engine = engine_of_sb
    done = measure(engine, "litmus/sb", {"runner": runner, "order": "none"})
    assert done.status == 0, done.reason
    found = metrics(engine, "litmus/sb", done)
    assert sum(value for name, value in found.items() if name.startswith("seen_")) == found["trials"] > 0
    assert found["weak"] == found["seen_00"]
    assert found["forbidden"] == 0


def test_an_order_of_another_architecture_is_refused(engine_of_sb: Engine) -> None:
    foreign = "dmb_ish" if TOOLCHAINS[0].arch == "x86_64" else "mfence"
    done = measure(engine_of_sb, "litmus/sb", {"order": foreign})
    assert done.status == ENOTSUP and "another architecture" in done.reason


@pytest.fixture(scope="module")
def engine_of_sb(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return engine_of(tmp_path_factory.mktemp("litmus"), "litmus_sb.c")


def test_a_forbidden_outcome_fails_the_case(tmp_path: Path) -> None:
    """A wrong verdict, on a machine that shows every outcome: a trial that loads what was there before."""
    stale = ("const uint32_t r0 = load(order, &cells[Y]);", "const uint32_t r0 = 0;")
    also = ("const uint32_t r1 = load(order, &cells[X]);", "const uint32_t r1 = 0;")
    engine = engine_of(tmp_path, "litmus_sb.c", stale, also)
    assert measure(engine, "litmus/sb", {"order": "none"}).status == 0
    done = measure(engine, "litmus/sb", {"order": "c11_seq_cst"})
    assert done.status == EILSEQ
    assert re.search(r"FORBIDDEN outcome 00 seen \d+ times in \d+ trials", done.reason)


def test_an_outcome_that_no_access_can_leave_fails_the_case(tmp_path: Path) -> None:
    engine = engine_of(
        tmp_path, "litmus_sb.c", ("store(order, &cells[X], base + 1)", "store(order, &cells[X], base + 3)")
    )
    done = measure(engine, "litmus/sb", {"order": "c11_seq_cst"})
    assert done.status in (0, EILSEQ) and (done.status == 0 or "no accesses can leave" in done.reason)
