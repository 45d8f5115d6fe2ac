"""`fencepost ab` and `selfcheck`: plans with sides, real short runs, gates, and every way to ask wrongly."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema_rs import Draft202012Validator
from kernels.measure import kernel
from kernels.own import write
from runs import measure as runtime
from runs.sides import fencepost, interrupted, refused, row
from runs.write import plain_cases, write_run

from fencepost.analysis.compare.side_ratios import read_rows
from fencepost.analysis.compare.sides import compare_sides, judge_rounds
from fencepost.analysis.runs.rounds import iter_rounds
from fencepost.bench import plan as plans
from fencepost.bench import revisions, schema
from fencepost.bench.ab_plan import AbSide, Pair, make_ab_plan
from fencepost.bench.case import SIDES, TWIN_SUFFIX
from fencepost.bench.catalog import read_catalog
from fencepost.bench.errors import UsageError
from fencepost.bench.runfolder import read_round_record
from fencepost.cli import ab, verdicts
from fencepost.cli.schemas import schema_of

SLOW = """
#include "kernel.h"
static void spin(struct worker *worker, uint64_t n)
{
    (void)worker;
    for (uint64_t i = 0; i < n * ANSWER; i++)
        OPAQUE(i);
}
static int fine(struct trial *trial)
{
    (void)trial;
    return 0;
}
KERNEL(one, .name = "NAME", .summary = "s", .unit = "u", .threads = {1, 1}, .run = spin, .check = fine);
"""
ROUNDS = 12
"""So many decide a row though one of them is out of line."""
FEW = ("--rounds", str(ROUNDS), "-q")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    # One for all tests of this file: the same text is compiled once.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "ab-cache"))


@pytest.fixture(autouse=True)
def _heeds_signals() -> Iterator[None]:
    with runtime.heeding_signals():
        yield


def small_plan(rows: int = 3, rounds: int = 4) -> plans.Plan:
    engine = runtime.fault_engine()
    kernel = read_catalog(engine).get("good/steady")
    pairs = [Pair(AbSide(kernel, (4096, 0)), AbSide(kernel, (4096 * (row + 1), 1))) for row in range(rows)]
    return make_ab_plan(engine, pairs, runtime.TINY, runtime.one_cpu, rounds=rounds, seed=5)


def test_a_round_visits_both_sides_in_turn() -> None:
    plan = small_plan()
    starts: Counter[str | None] = Counter()
    for number in range(1, 41):
        order = plan.order(number)
        assert order == plan.order(number)
        for i in range(0, len(order), 4):
            four = order[i : i + 4]
            assert len({case.row for case in four}) == 1
            assert tuple(case.side for case in four) in plans.ORDERS
            starts[four[0].side] += 1
    for four_sides in plans.ORDERS:  # a drift that is linear in time adds as much to one side as to the other
        assert len({sum(i for i, side in enumerate(four_sides) if side == one) for one in SIDES}) == 1
    assert min(starts.values()) > 40  # of 160: neither side is always the first
    assert len({tuple(case.case for case in plan.order(number)) for number in range(1, 9)}) > 4


def test_a_plan_with_sides_survives_its_file() -> None:
    plan = small_plan()
    assert plans.plan_from_json(json.loads(json.dumps(plan.as_json()))) == plan
    assert len({case.case for case in plan.cases}) == len(plan.cases)
    twins = [case for case in plan.cases if case.row is not None and case.row.endswith(TWIN_SUFFIX)]
    assert [case.side for case in twins] == ["old", "new"]
    assert len({case.values for case in twins}) == 1


def test_an_ordinary_plan_says_nothing_of_sides() -> None:
    assert all("side" not in case for case in runtime.tiny_plan(["good/*"]).as_json()["cases"])


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A real comparison of two files, of which the new one does so much more work that no noise hides it."""
    cwd = tmp_path_factory.mktemp("measured")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "ab-cache"))
        old, new = (write(cwd, f"{name}.c", answer=work, text=SLOW) for name, work in (("old", "1"), ("new", "16")))
        done = fencepost("ab", old, new, *FEW, "--label", "rack=b12", "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return cwd, json.loads(done.stdout)


def test_much_more_work_is_changed(measured: tuple[Path, dict[str, Any]]) -> None:
    _, document = measured
    (row,) = document["rows"]
    assert {"case", "ratio", "low", "high", "verdict", "rounds"} <= set(row)
    assert row["verdict"] == "changed"
    # A row alone stands on the rounds in which both sides were quiet.
    assert row["rounds"] == ROUNDS or (row["basis"] == "alone" and row["rounds"] < ROUNDS)
    assert 1.01 < row["low"] <= row["ratio"] <= row["high"]  # beyond the margin of 1 %, in the right direction
    assert document["noise_floor_pct"] >= 0
    assert [twin["case"].endswith("~twin") for twin in document["twins"]] == [True]
    Draft202012Validator(schema_of("ab")).validate(document)


def test_what_a_comparison_leaves_behind(measured: tuple[Path, dict[str, Any]]) -> None:
    _, document = measured
    folder = Path(document["folder"])
    run = schema.read_run(folder)
    assert [item["label"] for item in run["objects"]] == ["old", "new"]
    assert run["labels"]["rack"] == "b12" and folder.name.endswith("b12")
    record = read_round_record(schema.round_file(folder, 1))
    batches = run["plan"]["batches"]
    schema_columns = ("case", "batch", "ticks", "overhead_ticks", "operations")
    assert len(record["order"]) == 2 * len(run["plan"]["cases"])
    # A visit goes on while its core is free, and further ones look for quiet batches.
    assert all(len(case["visits"]) >= 2 <= batches <= min(case["visits"][:2]) for case in record["cases"].values())
    (item,) = [item for item in iter_rounds(folder, ("case", "batch")) if item.number == 1]
    frame = item.rows.to_pandas()
    for name, own in frame.groupby("case", observed=True):
        assert sorted(own["batch"]) == list(range(sum(record["cases"][str(name)]["visits"])))
    # A side's value: the lower quartile of its turns, each by its shortest batch.
    rounds = {item.number: item for item in iter_rounds(folder, schema_columns)}
    for row_read in read_rows(folder):
        for item, value in zip((rounds[number] for number in sorted(rounds)), row_read.old_ns, strict=True):
            own = item.rows.to_pandas().query("case == @row_read.old").reset_index(drop=True)
            ns = (own["ticks"] - own["overhead_ticks"]) / own["operations"] / item.record["worker"]["tick_hz"] * 1e9
            entry = item.record["cases"][row_read.old]
            first, second = entry["visits"][:2]
            starts = [*range(0, first, entry["turn_batches"]), *range(first, first + second, entry["turn_batches"])]
            turns = np.minimum.reduceat(ns[: first + second].to_numpy(), starts)
            assert row_read.alone or value == pytest.approx(np.quantile(turns, 0.25), rel=1e-12)
    # The report of such a run, and its rows, are those of any other.
    assert fencepost("report", folder, "--json", cwd=folder.parent).returncode == 0


@pytest.mark.parametrize(("gate", "code"), [("slower", 1), ("changed", 1), ("undecided", 0)])
def test_gates_end_with_one(measured: tuple[Path, dict[str, Any]], gate: str, code: int) -> None:
    cwd, document = measured
    told = ("--junit", "rows.xml", "--annotations", "github")
    done = fencepost("ab", "--resume", document["folder"], "-q", "--fail-on", gate, *told, cwd=cwd)
    assert done.returncode == code
    assert "::error title=own/one" in done.stderr and "::" not in done.stdout
    assert 'failures="1"' in (cwd / "rows.xml").read_text()
    assert "changed: slower" in done.stdout and "noise floor" in done.stdout


@pytest.mark.slow  # one more comparison that is measured
def test_the_gate_for_slower_code_lets_faster_code_pass(measured: tuple[Path, dict[str, Any]]) -> None:
    cwd, _ = measured
    told = ("--fail-on", "slower", "--markdown", "--annotations", "github")
    faster = fencepost("ab", "new.c", "old.c", *FEW, *told, cwd=cwd)
    assert faster.returncode == 0 and "| changed: faster |" in faster.stdout
    assert "::notice file=old.c,title=own/one" in faster.stderr


def test_markdown_is_text(measured: tuple[Path, dict[str, Any]]) -> None:
    _, document = measured
    found = compare_sides(document["folder"], 0.01)
    text = verdicts.as_markdown(found, "<script>|x|")
    assert "<script>" not in text and "| case | old | new | ratio | interval | figure | verdict |" in text


@pytest.mark.slow
def test_parameters_on_both_sides(tmp_path: Path) -> None:
    done = fencepost(
        "ab",
        "good/steady[mode=plain]",
        "good/steady[mode=fancy]",
        "--set",
        "size=4KiB,8KiB",
        "--json",
        *FEW,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert [row["case"].partition("@")[0] for row in document["rows"]] == [
        "good/steady[size=4KiB,mode=plain:fancy]",
        "good/steady[size=8KiB,mode=plain:fancy]",
    ]
    assert len(document["twins"]) == 1


def test_different_kernels_are_said_to_be() -> None:
    one, other = (AbSide(kernel(name), ()) for name in ("pipeline/imul100", "clock/null_syscall"))
    assert ab._unlike([Pair(one, one)]) == []
    (sentence,) = ab._unlike([Pair(one, other), Pair(one, one), Pair(one, other)])
    assert sentence == (
        "pipeline/imul100 and clock/null_syscall are different kernels: "
        f"the ratio is of one {other.kernel.unit} to one {one.kernel.unit}"
    )


@pytest.mark.slow
def test_a_kernel_against_itself(tmp_path: Path) -> None:
    done = fencepost("ab", "good/steady", "good/steady", "--json", "--margin", "50%", *FEW, cwd=tmp_path)
    assert json.loads(done.stdout)["rows"][0]["verdict"] != "changed", done.stdout


@pytest.mark.slow
def test_a_side_that_fails_is_undecided_with_its_reason(tmp_path: Path) -> None:
    broken = SLOW.replace("(void)trial;\n    return 0;", 'return trial_fault(trial, "a wrong sum");')
    old, new = write(tmp_path, "old.c", answer="1", text=SLOW), write(tmp_path, "new.c", answer="1", text=broken)
    gates = ("--markdown", "--annotations", "github", "--junit", "rows.xml")
    alone = fencepost("ab", old, new, *FEW, *gates, cwd=tmp_path)
    assert alone.returncode == 1 and "have no figures" in alone.stderr
    # What a pull request shows names the fault, too, although there is no row.
    assert "no row has figures" in alone.stdout and "| case |" not in alone.stdout
    assert "a wrong sum" in alone.stdout and 'errors="1"' in (tmp_path / "rows.xml").read_text()
    assert any(line.startswith("::error ") and "a wrong sum" in line for line in alone.stderr.splitlines())
    registered = SLOW.index("KERNEL")
    second = SLOW[registered:].replace("one", "two").replace("NAME", "own/fine")
    for path in (old, new):
        path.write_text(path.read_text() + second.replace(".check = fine", ".check = right"))
        text = path.read_text()
        right = "static int right(struct trial *trial) { (void)trial; return 0; }\n"
        path.write_text(text.replace('#include "kernel.h"\n', '#include "kernel.h"\n' + right))
    done = fencepost("ab", old, new, *FEW, "--json", cwd=tmp_path)
    assert done.returncode == 1 and "a wrong sum" in done.stderr, done.stderr
    document = json.loads(done.stdout)
    rows = {row["case"].partition("@")[0]: row for row in document["rows"]}
    fine = rows["own/fine"]
    # No round lost the side that is right. A row alone counts those with quiet batches, as many as the machine gives.
    records = [read_round_record(path) for path in schema.round_files(Path(document["folder"])).values()]
    sides = [[case["status"] for name, case in one["cases"].items() if name.startswith("own/fine")] for one in records]
    assert len(rows) == 2 and len(sides) == ROUNDS
    assert all(len(one) >= len(SIDES) and set(one) == {"ok"} for one in sides)
    assert 0 < fine["rounds"] <= ROUNDS if fine["basis"] == "alone" else fine["rounds"] == ROUNDS
    # Decided or not is the machine's affair; that it was judged at all, and on its own windows, is ours.
    assert rows["own/fine"]["ratio"] is not None and "a wrong sum" not in rows["own/fine"]["reason"]
    (broken_row,) = (row for name, row in rows.items() if name != "own/fine")
    assert (broken_row["verdict"], broken_row["ratio"]) == ("undecided", None)
    assert "a wrong sum" in broken_row["reason"] and not any("fewer" in note for note in document["notes"])


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    if shutil.which("git") is None:
        assert not os.environ.get("CI"), "CI needs git"
        pytest.skip("needs git")

    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=n", "-c", "user.email=e@example.com", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q")
    text = SLOW.replace("ANSWER", "WORK").replace('#include "kernel.h"', '#include "kernel.h"\n#include "work.h"')
    write(tmp_path / "k", "mine.c", text=text)
    for work in ("1", "16"):
        (tmp_path / "k" / "work.h").write_text(f"#define WORK {work}\n")
        git("add", ".")
        git("commit", "-qm", f"work {work}")
    return tmp_path


@pytest.mark.slow
def test_revisions_come_with_what_they_include(repository: Path) -> None:
    done = fencepost("ab", "HEAD~1:k/mine.c", "k/mine.c", "--json", *FEW, cwd=repository)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    assert row["verdict"] == "changed" and row["ratio"] > 1.5
    inside = fencepost("ab", "HEAD:mine.c", "mine.c", "--json", *FEW, cwd=repository / "k")
    assert "same machine code" in inside.stdout, inside.stderr
    for text, said in (
        ("nowhere:k/mine.c", "no revision"),
        ("HEAD:k/other.c", "no such file"),
        ("HEAD:/k.c", "no such"),
    ):
        assert said in refused(2, "ab", text, "k/mine.c", cwd=repository)


def test_a_revision_outside_of_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert "git" in refused(2, "ab", "HEAD:mine.c", "good/steady", cwd=tmp_path)
    assert revisions.split("memory/chase") is None and revisions.split("HEAD:x.c") == ("HEAD", "x.c")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("good/steady", "good/stead"), "good/steady"),
        (("good/steady", "nothing.c"), "cannot be read"),
        (("good/steady", "what is this"), "neither a kernel file"),
        (("good/steady[size]", "good/steady"), "parameter=value"),
        (("good/steady[siz=4]", "good/steady"), "did you mean size"),
        (("good/steady[mode=odd]", "good/steady"), "no value 'odd'"),
        (("good/steady", "good/once"), "once"),
        (("good/steady", "good/pair"), "good/pair"),
        (("good/steady", "good/steady", "--margin", "0"), "--margin 0"),
        (("good/steady", "good/steady", "--margin=-1%"), "--margin -1%"),
        (("good/steady", "good/steady", "--margin", "9000%"), "--margin 9000%"),
        (("good/steady", "good/steady", "--margin", "inf%"), "--margin inf%"),
        (("good/steady", "good/steady", "--margin", "nan"), "not a percentage"),
        (("good/steady", "good/steady", "--margin", "0.0001%"), "finer than identical code"),
        (("good/steady", "good/steady", "--margin", "0.02"), "0.02% or 2%"),
        (("good/steady",), "two sides are needed"),
        (("good/steady", "good/steady", "--margin", "some"), "not a percentage"),
        (("good/steady", "good/steady", "--rounds", "1"), "decide nothing"),
        (("good/steady", "good/steady", "--set", "none=3"), "no kernel that is compared"),
        (("good/steady", "good/steady", "--cflags", "-O3"), "there are none"),
        (("good/steady", "good/steady", "--json", "--markdown"), "choose one"),
    ],
)
def test_wrong_use_is_one_sentence(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    # On one CPU a kernel for two cannot be measured, before anything can be said of the pair.
    alone = "good/pair" in arguments and len(os.sched_getaffinity(0)) < 2
    assert said in refused(3 if alone else 2, "ab", *arguments, cwd=tmp_path)
    assert not (tmp_path / "results").exists()


def test_files_without_a_common_kernel(tmp_path: Path) -> None:
    two = (
        SLOW + SLOW.partition("KERNEL")[1] + SLOW.partition("KERNEL")[2].replace("one", "two").replace("NAME", "own/b")
    )
    old = write(tmp_path, "old.c", kernel="own/a", answer="1", text=two)
    new = write(tmp_path, "new.c", kernel="own/c", answer="1", text=SLOW)
    assert "no kernel of the same name" in refused(2, "ab", old, new, *FEW, cwd=tmp_path)


def test_more_rows_want_more_rounds() -> None:
    assert ab.rounds_for(1, "quick", None) == ab.ROUNDS["quick"]
    assert ab.rounds_for(100_000, "quick", None) > 20
    with pytest.raises(UsageError, match="100 rows"):
        ab.rounds_for(100, "quick", 9)


# Ctrl-C, and going on.


@pytest.mark.slow  # a run is interrupted, and resumed twice
def test_an_interrupted_comparison_shows_ratios_and_goes_on(tmp_path: Path) -> None:
    sides = ("good/steady", "good/steady[size=8KiB]")
    options = ("--rounds", "3000", "-q", "--fail-on", "undecided")
    folder, out, last = interrupted(tmp_path, 8, "ab", *sides, *options, load=runtime.fault_engine)
    done = len(schema.round_files(folder))
    assert f"undecided: {done} of 3000 rounds" in out and "1 row: 1 undecided" in out
    assert f"Continue with: fencepost ab --resume {folder.relative_to(tmp_path)}" in last, last
    runtime.shorten(folder, done + 2)
    for _ in range(2):  # the second time it is complete, and only judged
        again = fencepost("ab", "--resume", folder, "--json", "--margin", "50%", cwd=tmp_path)
        assert again.returncode == 0, again.stderr
        (row,) = json.loads(again.stdout)["rows"]
        # A row alone stands on the rounds in which both sides were quiet.
        assert row["rounds"] == done + 2 or (row["basis"] == "alone" and row["rounds"] < done + 2)
        assert "rounds" not in row["reason"]
    assert "leave it out" in refused(2, "ab", "--resume", folder, "--rounds", "9", cwd=tmp_path)
    assert "leave it out" in refused(2, "ab", *sides, "--resume", folder, cwd=tmp_path)
    assert "--label with --resume" in refused(2, "ab", "--resume", folder, "--label", "rack=b12", cwd=tmp_path)


def test_what_is_no_comparison_is_not_gone_on_with(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", plain_cases(2))
    assert "fencepost run --resume" in refused(2, "ab", "--resume", folder, cwd=tmp_path)


def test_undecided_rows_say_how_to_measure_anew() -> None:
    rows = [row("r", [1.0] * 24, [1.0] * 12 + [1.02] * 12), row("s", [1.0] * 24, [1.02] * 24)]
    found = judge_rounds(rows, 0.015)
    wanted = found.rows[0].decision.more
    advice = ab._advice(found)
    assert advice == [] if not wanted else f"--rounds {24 + wanted}" in advice[0]
    noisy = judge_rounds([row("r", [1.0] * 24, [1.0] * 8 + [1.03] * 16)], 0.01)
    assert noisy.rows[0].decision.more and f"--rounds {24 + noisy.rows[0].decision.more}" in ab._advice(noisy)[0]
