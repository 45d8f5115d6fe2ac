"""Topic line: work counted exactly, contention for a time, bare loops, and threads that outnumber the CPUs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from kernels.disassemble import TOOLCHAINS, Instruction, Toolchain, functions, innermost_loops
from kernels.measure import CPUS, built_engine, kernel, measure
from kernels.plant import expect_no_thread_more_than, threads
from kernels.program import program

from fencepost.bench.engine import load

BLOCK = 16
HERE = [CPUS[-1]] * 2
"""Two threads on one CPU: a team that every machine can have."""


@dataclass(frozen=True)
class Team:
    """What a case of several threads came to. `made`: operations by (batch, thread)."""

    status: int
    reason: str
    made: dict[tuple[int, int], int]
    ticks: dict[tuple[int, int], int]
    flags: int
    overhead: float
    metrics: dict[str, float]


def run_team(
    name: str, parameters: dict[str, str] | None = None, cpus: list[int] | None = None, batches: int = 3
) -> Team:
    """One case; on as many distinct CPUs as the kernel needs, or on `cpus`."""
    measured = measure(built_engine(), name, parameters, cpus, batches)
    return Team(
        measured.status,
        measured.reason,
        {(sample.batch, sample.thread): sample.operations for sample in measured.samples},
        {(sample.batch, sample.thread): sample.ticks for sample in measured.samples},
        max((sample.flags for sample in measured.samples), default=0),
        measured.outcome.overhead_ticks,
        measured.metrics,
    )


def labelled_cases() -> list[tuple[str, dict[str, str]]]:
    names = ("line/pingpong", "line/false_sharing", "line/contended", "line/read_mostly", "line/state")
    return [
        (name, {parameter.name: label})
        for name in names
        for parameter in kernel(name).parameters
        for label in parameter.labels
    ]


@pytest.mark.parametrize(("name", "parameters"), labelled_cases(), ids=str)
def test_two_cpus_do_what_the_check_expects(name: str, parameters: dict[str, str]) -> None:
    team = run_team(name, parameters, CPUS[:2] if len(CPUS) > 1 else HERE)
    assert team.status == 0, team.reason
    assert team.made


@pytest.mark.parametrize(("name", "parameters"), labelled_cases(), ids=str)
def test_threads_that_share_a_cpu_do_not_hang(name: str, parameters: dict[str, str]) -> None:
    before = threads()
    team = run_team(name, parameters, HERE)
    assert team.status == 0, team.reason
    expect_no_thread_more_than(before)


@pytest.mark.parametrize("op", ["atomic_add", "plain_add", "store", "load"])
def test_alone(op: str) -> None:
    assert run_team("line/alone", {"op": op}).status == 0


@pytest.mark.parametrize("op", ["fetch_add", "cas", "xchg"])
@pytest.mark.parametrize("count", [1, 2, 4, 9])
def test_any_number_of_threads(op: str, count: int) -> None:
    team = run_team("line/contended", {"op": op}, [CPUS[i % len(CPUS)] for i in range(count)])
    assert team.status == 0, team.reason
    assert {thread for _, thread in team.made} == set(range(count))
    if op == "cas":
        assert team.metrics["failed_per_operation"] >= 0


@pytest.mark.slow  # smaller teams: the tests above
def test_hundreds_of_threads_lose_no_increment() -> None:
    before = threads()
    team = run_team("line/contended", {"op": "fetch_add"}, [CPUS[i % len(CPUS)] for i in range(100)], batches=1)
    assert team.status == 0, team.reason
    expect_no_thread_more_than(before)


@pytest.mark.parametrize("between", [0, 1, 1000])
@pytest.mark.parametrize("op", ["FETCH_ADD", "CAS", "XCHG"])
def test_work_between_the_operations(op: str, between: int, tmp_path: Path) -> None:
    assert run_team("line/contended", {"op": op.lower(), "between": str(between)}, CPUS[:1]).status == 0
    # Each multiplication goes through OPAQUE, so that no compiler drops it: counted there.
    count = """
#include "kernel.h"
static uint64_t multiplications;
#undef OPAQUE
#define OPAQUE(x) do { multiplications++; __asm__ volatile("" : "+r"(x)); } while (0)
"""
    body = (
        BEGIN % (f"{op}, {between}", "contended") + 'trial.run(&worker, 80); printf("%" PRIu64 "\\n", multiplications);'
    )
    assert program(tmp_path, "line/contended.c", body, count) == [str(80 * between)]


def test_the_leader_makes_what_it_is_asked_for_and_the_others_go_on_until_it_has() -> None:
    team = run_team("line/contended", None, HERE)
    leader = {made for (_, thread), made in team.made.items() if thread == 0}
    others = [made for (_, thread), made in team.made.items() if thread == 1]
    assert len(leader) == 1
    assert all(made >= BLOCK and made % BLOCK == 0 for made in [*leader, *others])


def test_shares_are_those_of_the_samples() -> None:
    team = run_team("line/contended", None, [CPUS[i % len(CPUS)] for i in range(3)])
    by_thread: dict[int, int] = defaultdict(int)
    by_batch: dict[int, int] = defaultdict(int)
    for (batch, thread), made in team.made.items():
        by_thread[thread] += made
        by_batch[batch] += made
    assert team.metrics["fairness"] == pytest.approx(min(by_thread.values()) / max(by_thread.values()))
    rates = sorted((team.ticks[batch, 0] - team.overhead) / made for batch, made in by_batch.items())
    middle = (rates[(len(rates) - 1) // 2] + rates[len(rates) // 2]) / 2
    assert team.metrics["aggregate_ticks"] == pytest.approx(middle)


def test_oversubscribed_windows_hold_turns_and_are_not_flagged_for_it() -> None:
    flags = load().lib
    team = run_team("line/contended", None, [CPUS[-1]] * 3)
    assert {batch for batch, _ in team.made} == {0, 1}
    assert team.flags & (flags.FLAG_SWITCHED | flags.FLAG_LOW_OVERLAP) == 0


@pytest.mark.parametrize("guard", ["atomic", "rwlock", "seqlock"])
def test_only_readers_are_reported(guard: str) -> None:
    team = run_team(
        "line/read_mostly", {"guard": guard, "reads_per_write": "100"}, [CPUS[i % len(CPUS)] for i in range(4)]
    )
    assert team.status == 0, team.reason
    assert {thread for _, thread in team.made} == {0, 1, 2}


def test_no_writes_is_the_control() -> None:
    team = run_team("line/read_mostly", {"guard": "seqlock", "reads_per_write": "0"}, HERE)
    assert team.metrics["reads_per_write_seen"] != team.metrics["reads_per_write_seen"]  # nothing to divide by
    assert team.metrics["retries_per_read"] == 0


def test_the_figure_of_reader_and_writer_is_the_readers() -> None:
    team = run_team("line/false_sharing", {"op": "reader_writer"}, HERE)
    assert {thread for _, thread in team.made} == {0}


@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [
        *(("line/false_sharing", "stride", value) for value in ("0", "-8", "4", "12", "4104")),
        ("line/contended", "between", "-1"),
        ("line/contended", "between", "1000001"),
        ("line/read_mostly", "reads_per_write", "-1"),
    ],
)
def test_impossible_values_are_refused_with_the_range(name: str, parameter: str, value: str) -> None:
    team = run_team(name, {parameter: value}, HERE)
    assert team.status < 0
    assert f"{parameter}={value} is not" in team.reason


def test_sweeps_hold_their_controls() -> None:
    sharing = kernel("line/false_sharing").parameter("stride")
    for profile in ("quick", "standard", "rigorous"):
        strides = sharing.sweep(profile)
        assert min(strides) == 8 and max(strides) >= 512
        assert {56, 64} <= set(strides)
        assert 0 in kernel("line/read_mostly").parameter("reads_per_write").sweep(profile)
        assert "own" in {
            kernel("line/state").parameter("state").show(value)
            for value in kernel("line/state").parameter("state").sweep(profile)
        }
    assert kernel("line/contended").oversubscribe
    assert kernel("line/contended").threads_min == 1  # alone: the control


# ---- faults, planted ----

BEGIN = """
    static unsigned ended;
    int64_t values[MAX_PARAMETERS] = {%s};
    trial.kernel = &kernel_%s;
    trial.team_size = 2;
    trial.granule = 1;
    memcpy(trial.value, values, sizeof values);
    if (trial.kernel->setup(&trial)) { puts("setup failed"); return 0; }
    worker.leader_end = &ended;
    worker.team_size = 2;
"""


def planted(folder: Path, source: str, row: str, values: str, work: str, fault: str) -> None:
    """The check of `row` passes after `work`, and not after `fault`."""
    body = (
        BEGIN % (values, row)
        + f'{work}\nprintf("%d\\n", check(&trial));\n{fault};\nprintf("%d\\n", check(&trial) != 0);'
    )
    assert program(folder, source, body) == ["0", "1"]


PAIR = "struct table *table = trial.state; table->side[0].trips = table->side[1].trips = 5; table->there = 10;"


@pytest.mark.parametrize(
    "fault", ["table->there--", "table->side[1].trips--", "table->side[0].disorder = 4", "table->back = 1"]
)
def test_pingpong_notices(fault: str, tmp_path: Path) -> None:
    planted(tmp_path, "line/pingpong.c", "pingpong", "LOAD_STORE", PAIR, fault)


@pytest.mark.parametrize("variant", ["LOAD_STORE", "TWO_LINES"])
def test_pingpong_reports_a_wrong_number_and_does_not_wait_for_ever(variant: str, tmp_path: Path) -> None:
    """A number that nobody should have sent is there when the round trip begins."""
    fault = "worker.index = 1; table->there = 77; trial.run(&worker, 1)"
    work = "struct table *table = trial.state;"
    planted(tmp_path, "line/pingpong.c", "pingpong", variant, work, fault)


@pytest.mark.parametrize(
    ("op", "fault"),
    [
        ("ATOMIC_ADD", "++*field->side[0].word"),
        ("PLAIN_ADD", "field->side[0].made++"),
        ("STORE", "--*field->side[0].word"),
        ("STORE", "*field->side[1].word = 1"),
        ("READER_WRITER", "field->side[0].sum++"),
        ("READER_WRITER", "++*field->side[0].word"),
    ],
)
def test_false_sharing_notices(op: str, fault: str, tmp_path: Path) -> None:
    work = "struct field *field = trial.state; trial.run(&worker, 16 * 5); if (worker.done != 80) return 1;"
    planted(tmp_path, "line/false_sharing.c", "sharing", f"{op}, 8", work, fault)


@pytest.mark.parametrize(
    ("op", "fault"),
    [
        ("FETCH_ADD", "arena->line--"),
        ("CAS", "arena->thread[1].made++"),
        ("XCHG", "arena->thread[0].token = arena->thread[1].token"),
        ("XCHG", "arena->line = 3"),
    ],
)
@pytest.mark.parametrize("between", [0, 3])
def test_contended_notices(op: str, between: int, fault: str, tmp_path: Path) -> None:
    work = "struct arena *arena = trial.state; trial.run(&worker, 16 * 5);"
    planted(tmp_path, "line/contended.c", "contended", f"{op}, {between}", work, fault)


READ_AGAIN = "worker.index = 0; trial.run(&worker, 16)"


@pytest.mark.parametrize(
    ("guard", "fault"),
    [
        ("ATOMIC", f"board->left = 1; {READ_AGAIN}"),
        ("ATOMIC", "board->left++"),
        ("SEQLOCK", f"board->right++; {READ_AGAIN}; board->right--"),
        ("SEQLOCK", f"board->left = board->right = 1; {READ_AGAIN}; board->left = board->right = board->writes"),
        ("RWLOCK", f"board->locked_right--; {READ_AGAIN}; board->locked_right++"),
        ("RWLOCK", "board->writes++"),
    ],
)
def test_read_mostly_notices(guard: str, fault: str, tmp_path: Path) -> None:
    work = """struct board *board = trial.state;
    ended = 1; worker.index = 1; for (int i = 0; i < 20; i++) trial.run(&worker, 16);
    ended = 0; worker.index = 0; trial.run(&worker, 32);
    if (board->writes != 32) return 1;"""
    planted(tmp_path, "line/read_mostly.c", "read_mostly", f"{guard}, 10", work, fault)


@pytest.mark.parametrize(
    ("op", "fault"),
    [
        ("LOAD", "square->order[3]->next = square->order[5]; square->order[9]->next = square->order[9]"),
        ("LOAD", "square->order[7]->word = 1"),
        ("CAS", "square->order[7]->word = 1"),
    ],
)
def test_state_notices_a_line_that_is_not_as_prepared(op: str, fault: str, tmp_path: Path) -> None:
    work = f"""struct square *square = trial.state;
    store_all(square, 1); timed_access(square, {op}, 1);
    square->ticks[square->runs++] = 1000; square->prepared = square->through = 1;"""
    planted(
        tmp_path,
        "line/state.c",
        "state",
        f"OWN, {op}",
        work,
        f"store_all(square, 3); {fault}; timed_access(square, {op}, 2)",
    )


def test_state_notices_a_run_that_was_not_made(tmp_path: Path) -> None:
    work = """struct square *square = trial.state;
    square->ticks[square->runs++] = 1000; square->prepared = square->through = 1;"""
    planted(tmp_path, "line/state.c", "state", "MODIFIED, LOAD", work, "square->prepared = 2")


def test_lines_of_state_are_far_apart_and_in_one_ring(tmp_path: Path) -> None:
    body = (
        BEGIN % ("MODIFIED, LOAD", "state")
        + """
    struct square *square = trial.state;
    struct line *at = square->order[0];
    for (unsigned i = 0; i < LINES; i++, at = at->next)
        printf("%td\\n", (unsigned char *)at - square->lines);
    puts(at == square->order[0] ? "closed" : "open");
"""
    )
    *offsets, end = program(tmp_path, "line/state.c", body)
    places = [int(offset) for offset in offsets]
    assert end == "closed"
    assert len(set(places)) == 128
    assert all(place % 1152 == 0 for place in places)
    steps = [after - before for before, after in pairwise(places)]
    assert max(steps.count(step) for step in set(steps)) <= 8  # no stride for a prefetcher


# ---- what the compiler makes of it ----

X86 = [toolchain for toolchain in TOOLCHAINS if toolchain.arch == "x86_64"]


def block_loop(source: str, function: str, toolchain: Toolchain) -> list[Instruction]:
    """The loop of 16 operations: the longest one without another in it, or around the retries of one."""
    body = functions(source, toolchain)[function]
    return max(innermost_loops(body), key=len)


@pytest.mark.parametrize("toolchain", X86, ids=lambda toolchain: toolchain.name)
@pytest.mark.parametrize(
    ("source", "function", "operation"),
    [
        ("line/false_sharing.c", "atomic_add", ("lock add", "lock inc")),
        ("line/contended.c", "fetch_add", ("lock add", "lock inc")),
        ("line/contended.c", "xchg", ("xchg",)),
    ],
)
def test_the_block_is_sixteen_atomics_and_nothing_else(
    source: str, function: str, operation: tuple[str, ...], toolchain: Toolchain
) -> None:
    loop = block_loop(source, function, toolchain)
    atomics = [step for step in loop if step.mnemonic.startswith(operation) and step.has_memory_operand]
    assert len(atomics) == BLOCK
    first, last = loop.index(atomics[0]), loop.index(atomics[-1])
    assert last - first == BLOCK - 1, "something stands between the operations"
    assert len(loop) - BLOCK <= 8
    assert not any(step.mnemonic.startswith("call") for step in loop)


@pytest.mark.parametrize("toolchain", X86, ids=lambda toolchain: toolchain.name)
@pytest.mark.parametrize("function", ["plain_add", "store", "load"])
def test_plain_accesses_are_not_merged_and_not_locked(function: str, toolchain: Toolchain) -> None:
    loop = block_loop("line/false_sharing.c", function, toolchain)
    assert not any(step.mnemonic.startswith(("lock", "xchg", "call")) for step in loop)
    accesses = [
        step for step in loop if step.has_memory_operand and step.mnemonic != "lea" and "lea" not in step.mnemonic
    ]
    assert len(accesses) >= BLOCK + 1  # and the look at the leader


@pytest.mark.parametrize("toolchain", X86, ids=lambda toolchain: toolchain.name)
def test_compare_and_swap_is_one(toolchain: Toolchain) -> None:
    body = functions("line/contended.c", toolchain)["cas"]
    assert sum(step.mnemonic == "lock cmpxchg" for step in body) >= BLOCK
    assert not any(step.mnemonic.startswith("call") for step in body)


@pytest.mark.parametrize("toolchain", X86, ids=lambda toolchain: toolchain.name)
def test_compare_and_swaps_of_a_run_wait_for_each_other(toolchain: Toolchain) -> None:
    """No branch on the outcome: it would be predicted, and the next line fetched before this one is here."""
    loop = max(innermost_loops(functions("line/state.c", toolchain)["access_cas"]), key=len)
    assert sum(step.mnemonic == "lock cmpxchg" for step in loop) == 8
    assert sum(step.target is not None for step in loop) == 1


@pytest.mark.parametrize("toolchain", X86, ids=lambda toolchain: toolchain.name)
@pytest.mark.parametrize("variant", ["load_store", "cas", "two_lines"])
def test_spin_hints_only_where_they_are_asked_for(variant: str, toolchain: Toolchain) -> None:
    for relax in ("bare", "pause"):
        body = functions("line/pingpong.c", toolchain)[f"{variant}_{relax}"]
        assert ("pause" in {step.mnemonic for step in body}) == (relax == "pause")
        # xchg of a register with itself is padding.
        locked = any(step.mnemonic.startswith(("lock", "xchg")) and step.has_memory_operand for step in body)
        assert locked == (variant == "cas")
        assert not any(step.mnemonic.startswith("call") for step in body)
        if variant != "cas":
            spins = [loop for loop in innermost_loops(body) if len(loop) <= 4 + (relax == "pause")]
            assert len(spins) >= 2, "the wait is more than a load, a comparison and a jump"
