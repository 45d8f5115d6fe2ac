"""The command: what it prints, its exit codes, and that no expected fault shows a traceback."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from jsonschema_rs import Draft202012Validator
from runs import measure as runtime
from runs.measure import any_cpu, fault_engine, fencepost, fencepost_inside, tiny_plan

from fencepost.bench import schema
from fencepost.bench.errors import MeasureError, UsageError
from fencepost.bench.runfolder import read_round_record
from fencepost.cli import disassembly, display, faults, kernels, main
from fencepost.cli.expected import expected
from fencepost.cli.schemas import schema_of

CPU = any_cpu()
QUICK = ("--profile", "quick", "--rounds", "2")


def command(*arguments: str, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str] | runtime.Answer:
    """A process of its own where environment or launching matter, otherwise the same code in this one."""
    return fencepost(*arguments, cwd=cwd, **options) if options else fencepost_inside(*arguments, cwd=cwd)


def ok(*arguments: str, cwd: Path, **options: Any) -> str:
    done = command(*arguments, cwd=cwd, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(code: int, *arguments: str, cwd: Path, **options: Any) -> str:
    """Standard error of a command that ends with `code`: one sentence, no traceback."""
    done = command(*arguments, cwd=cwd, **options)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `fencepost run` has measured once."""
    cwd = tmp_path_factory.mktemp("measured")
    ok("run", "good/steady", "good/events", "bad/crowd", *QUICK, "--seed", "7", "--quiet", cwd=cwd)
    return cwd


def only_run(cwd: Path) -> Path:
    (folder,) = (cwd / "results" / "runs").iterdir()
    return folder


def test_help_names_every_command_and_the_exit_codes(tmp_path: Path) -> None:
    out = ok("--help", cwd=tmp_path)
    for name in main.COMMANDS:
        assert f"  {name} " in out
        assert "Usage: fencepost" in ok(name, "--help", cwd=tmp_path)
    assert "Exit codes: 0 success, 1 a gate failed, 2 wrong use" in " ".join(out.split())


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom fencepost.cli.main import COMMANDS, run\nrun(['--help'])\n"
        "heavy = {'numpy', 'pandas', 'pyarrow', 'rich', 'scipy', 'matplotlib', 'cffi', '_cffi_backend'}\n"
        "heavy |= {'jsonschema_rs', *(f'fencepost.cli.{module}' for module, _ in COMMANDS.values())}\n"
        "sys.exit(repr(sorted(heavy & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "[]"


def test_version(tmp_path: Path) -> None:
    assert ok("--version", cwd=tmp_path).startswith("fencepost ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("rnu",), "did you mean run"),
        (("run", "good/stedy"), "did you mean good/steady"),
        (("show", "good/stedy"), "did you mean good/steady"),
        (("list", "goood/*"), "did you mean"),
        (("run", "good/steady", "--set", "sise=3"), "did you mean size"),
        (("run", "good/steady", "-p", "mode=fency"), "did you mean fancy"),
        (("run", "good/steady", "--set", "size"), "write kernel.parameter=value"),
        (("run", "--cpus", "banana"), "not a list of CPUs"),
        (("run", "--cpus", "9999"), "may not be used here"),
        (("run", "--profile", "quck"), "quick"),
        (("run", "--rounds", "0"), "--rounds"),
        (("run", "--resume", "nowhere"), "no such run folder"),
        (("run", "good", "--at-most", "5m"), "add --until quiet"),
        (("run", "good", "--until", "quiet", "--at-most", "5"), "--at-most 5: not a time"),
        (("run", "good", "--until", "quiet", "--at-most", "1s", "--rounds", "1000"), "the rounds alone take about"),
        (("report",), "no run yet"),
        (("report", "nowhere"), "no such run folder"),
        (("report", "no\r\nwhere\n"), "no\ufffdwhere\ufffd: no such run folder"),
        (("doctor", "--root", "nowhere"), "no such directory"),
    ],
)
def test_wrong_use_is_one_sentence_and_2(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    assert sentence in refused(2, *arguments, cwd=tmp_path)


def test_what_cannot_be_measured_is_3(tmp_path: Path) -> None:
    assert "needs 1024 CPUs" in refused(3, "run", "bad/crowd", cwd=tmp_path)


@pytest.mark.parametrize(
    ("bad", "failure", "said"),
    [
        ("bad/wrong", "check", "check failed: 1"),
        ("bad/crash", "worker", "worker lost: 1"),
    ],
)
def test_a_case_that_failed_ends_the_run_with_1_when_all_is_kept(
    tmp_path: Path, bad: str, failure: str, said: str
) -> None:
    done = fencepost_inside("run", "good/steady", bad, *QUICK, "--json", cwd=tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"fencepost: 1 case failed ({said}). They have no figures:\n  {bad}@" in done.stderr
    summary = json.loads(done.stdout)
    assert [(row["case"], row["failure"]) for row in summary["failed"]] == [(f"{bad}@cpu{CPU}", failure)]
    assert summary["unmeasurable"] == []
    folder = only_run(tmp_path)
    assert sorted(schema.round_files(folder)) == [1, 2]
    record = read_round_record(schema.round_file(folder, 2))["cases"]
    assert {name.partition("/")[0]: case["failure"] for name, case in record.items()} == {"good": None, "bad": failure}
    assert "good/steady" in ok("report", "latest", "--json", cwd=tmp_path)
    # What another process has left complete is judged alike.
    assert fencepost_inside("run", "--resume", "latest", "-q", cwd=tmp_path).returncode == 1


def test_one_failed_round_is_enough(tmp_path: Path) -> None:
    """The failure stands in the record as data; the reason's words decide nothing."""
    ok("run", "good/once", "good/steady", *QUICK, "-q", cwd=tmp_path)
    folder = only_run(tmp_path)
    path = schema.round_file(folder, 2)
    table = pq.read_table(path)
    record = json.loads(table.schema.metadata[schema.ROUND_KEY])
    steady = next(case for name, case in record["cases"].items() if name.startswith("good/steady"))
    steady |= {"status": "failed", "reason": "x", "failure": "check"}
    rewritten = table.replace_schema_metadata({schema.ROUND_KEY: json.dumps(record)})
    pq.write_table(rewritten, path)
    done = fencepost_inside("run", "--resume", "latest", "-q", cwd=tmp_path)
    assert done.returncode == 1 and "1 case failed (check failed: 1)" in done.stderr


def test_what_this_machine_lacks_is_no_failure_and_alone_it_is_3(tmp_path: Path) -> None:
    out = ok("run", "good/steady", "bad/lacking", *QUICK, "--json", cwd=tmp_path)
    assert [row["case"] for row in json.loads(out)["unmeasurable"]] == [f"bad/lacking@cpu{CPU}"]
    sentence = refused(3, "run", "bad/lacking", *QUICK, "-q", cwd=tmp_path)
    assert sentence.startswith("fencepost: nothing could be measured on this machine:") and "unicorn" in sentence


def test_a_missing_engine_is_3_and_says_what_to_run(tmp_path: Path) -> None:
    env = runtime.environment(FENCEPOST_ENGINE=str(tmp_path / "absent.so"))
    assert "no such file" in refused(3, "list", cwd=tmp_path, env=env)


@pytest.mark.parametrize("verbose", [("-v",), ()])
def test_the_traceback_is_there_on_demand(tmp_path: Path, verbose: tuple[str, ...]) -> None:
    env = runtime.environment(FENCEPOST_DEBUG="1" if not verbose else None)
    done = fencepost("show", "nothing", *verbose, cwd=tmp_path, env=env)
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("fencepost: no kernel 'nothing'")


def test_list(tmp_path: Path) -> None:
    out = ok("list", cwd=tmp_path)
    assert "good/steady" in out and "a loop of nothing" in out
    rows = json.loads(ok("list", "good", "--json", cwd=tmp_path))
    assert [row["kernel"] for row in rows] == ["good/events", "good/once", "good/pair", "good/steady"]
    steady = rows[-1]
    assert steady["parameters"][0]["sweeps"] == {"quick": [4096, 2097152]}
    assert steady["parameters"][1]["labels"] == ["plain", "fancy"]
    assert steady["threads"] == {"min": 1, "max": 1}


def test_show_has_description_parameters_metrics_source_and_code(tmp_path: Path) -> None:
    out = ok("show", "good/steady", cwd=tmp_path)
    for part in (
        "a loop of nothing",
        "Kernels for the tests of the runtime",
        "plain fancy",
        "echo_bytes",
        "source: ",
        "static void spin(",
        "spin (run)",
        "its twin shows the noise floor",
    ):
        assert part in out
    assert "static void spin(" not in ok("show", "good/steady", "--no-source", "--no-disassembly", cwd=tmp_path)


def test_show_as_json(tmp_path: Path) -> None:
    document = json.loads(ok("show", "bad/foreign", "--json", cwd=tmp_path))
    assert document["needs"] == document["missing_here"] != []
    assert document["description"].startswith("Kernels for the tests")
    assert "KERNEL(steady" in document["source"]
    assert document["disassembly"][0]["role"] == "run"


def test_the_disassembly_is_of_that_kernel() -> None:
    from fencepost.bench.catalog import read_catalog

    catalog = read_catalog(fault_engine())
    events = disassembly.hot_functions(fault_engine(), catalog.get("good/events"))
    assert events.missing is None
    first = events.functions[0]
    assert (first.name, first.role) == ("count_up", "events")
    assert "ret" in first.text
    names = {function.name for function in events.functions}
    # Neither what is not timed, nor loops of the other kernels of that file.
    assert not names & {"fine", "wrong", "lacking", "spin", "crash", "hang"}


def test_show_says_so_when_objdump_is_missing(tmp_path: Path) -> None:
    env = runtime.environment(PATH=str(tmp_path))
    assert "objdump is not installed" in ok("show", "good/steady", cwd=tmp_path, env=env)
    document = json.loads(ok("show", "good/steady", "--json", cwd=tmp_path, env=env))
    assert document["disassembly"] == []
    assert "binutils" in document["disassembly_missing"]


def test_a_header_comment_loses_its_stars() -> None:
    assert kernels.header_comment("/*\n * one\n *\n *   two\n */\nint x;") == "one\n\n  two"
    assert kernels.header_comment("int x; /* later */") is None


def test_dry_run_prints_the_plan_and_measures_nothing(tmp_path: Path) -> None:
    out = ok("run", "good", "bad/crowd", "--dry-run", *QUICK, cwd=tmp_path)
    assert f"good/steady[size=4KiB,mode=plain]@cpu{CPU}~twin" in out
    assert "needs 1024 CPUs" in out
    assert "Expected time: " in out and " beside busy neighbours." in out
    document = json.loads(ok("run", "good", "--dry-run", "--json", *QUICK, "--seed", "3", cwd=tmp_path))
    assert document["seed"] == 3
    assert document["rounds"] == 2
    assert 0 < document["expected_ns"] < document["expected_calm_ns"] < document["expected_most_ns"]
    assert {case["case"] for case in document["cases"]} >= {f"good/once@cpu{CPU}"}
    assert not (tmp_path / "results").exists()


def test_until_quiet_grants_the_time_that_is_left(tmp_path: Path) -> None:
    arguments = ("run", "good", "--until", "quiet", "--dry-run", "--json", *QUICK)
    default, minute = (json.loads(ok(*arguments, *more, cwd=tmp_path)) for more in ((), ("--at-most", "1m")))
    for document, most_s in ((default, 600), (minute, 60)):
        whole_ns = document["expected_ns"] + document["rounds"] * document["again_ns"]
        assert whole_ns == pytest.approx(most_s * 1e9, rel=1e-6)


def test_a_run_leaves_a_folder_that_says_how_it_was_made(measured: Path) -> None:
    folder = only_run(measured)
    run = schema.read_run(folder)
    assert run["command"][:2] == ["fencepost", "run"]
    assert run["launcher"] in ("taskset", "sched_setaffinity")
    assert run["plan"]["seed"] == 7
    assert run["engine"]["sha256"] == fault_engine().sha256
    assert {"fencepost", "python", "cffi"} <= set(run["versions"])
    machine = schema.read_machine(folder)
    assert machine["key"] == run["machine_key"]
    assert machine["tick"] is not None and machine["tick"]["hz"] > 0
    assert machine["capabilities"]
    assert sorted(schema.round_files(folder)) == [1, 2]


def test_run_tells_progress_on_stderr_and_its_summary_on_stdout(tmp_path: Path) -> None:
    done = fencepost_inside("run", "good/steady", "bad/lacking", *QUICK, "--out", "here", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "round 2 of 2" in done.stderr
    assert "round 1 of 2, " in done.stderr
    assert "Trust: " in done.stdout
    assert "a unicorn" in done.stdout
    assert "; 1 cannot be measured on this machine." in done.stdout
    assert "fencepost report here/" in done.stdout
    (folder,) = (path.parent for path in tmp_path.glob("here/*/run.json"))
    assert (folder / "cache" / "rows.parquet").is_file(), "a run is packed at its end"


def test_run_as_json(tmp_path: Path) -> None:
    done = fencepost_inside("run", "good/steady", "bad/crowd", *QUICK, "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert Path(document["folder"]) == only_run(tmp_path)
    assert document["rounds"] == 2
    assert [item["reason"].startswith("needs 1024 CPUs") for item in document["unmeasurable"]] == [True]
    assert "good/steady" in [row["kernel"] for row in document["rows"]] and document["trust"]["word"]
    assert (document["label"], document["headlines"]) == (None, [])
    Draft202012Validator(schema_of("run")).validate(document)


@pytest.mark.slow  # the plan of one CPU: tests/bench/test_placement.py
def test_run_on_one_cpu_only(tmp_path: Path) -> None:
    prefix = ("taskset", "-c", str(CPU))
    document = json.loads(ok("run", "good", "--dry-run", "--json", *QUICK, cwd=tmp_path, prefix=prefix))
    assert document["cpus"] == [CPU]
    assert [item["kernel"] for item in document["unmeasurable"]] == ["good/pair"]
    ok("run", "good", *QUICK, "--quiet", cwd=tmp_path, prefix=prefix)


def test_run_without_taskset_says_so_in_run_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ok("run", "good/once", *QUICK, "--quiet", cwd=tmp_path)
    assert schema.read_run(only_run(tmp_path))["launcher"] == "sched_setaffinity"


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file in the way")
    assert "cannot be written" in refused(3, "run", "good/once", *QUICK, "--quiet", cwd=tmp_path)


def test_a_limit_on_file_size(tmp_path: Path) -> None:
    done = subprocess.run(
        runtime.command("run", "good/once", *QUICK, "--quiet"),
        cwd=tmp_path,
        env=runtime.environment(),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512)),
    )
    assert done.returncode == 3
    assert "ulimit -f" in done.stderr
    assert "Traceback" not in done.stderr


def test_resume_of_a_complete_run_measures_nothing(measured: Path) -> None:
    folder = only_run(measured)
    before = {path: path.stat().st_mtime_ns for path in (folder / "rounds").iterdir()}
    ok("run", "--resume", "latest", "--quiet", cwd=measured)
    assert {path: path.stat().st_mtime_ns for path in (folder / "rounds").iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--seed", "8"), "--seed 8: the run in .* was started with 7"),
        (("--profile", "rigorous"), "--profile rigorous: .* started with quick"),
        (("--rounds", "9"), "--rounds 9: .* started with 2"),
        (("good/once",), "KERNEL with --resume"),
        (("--set", "size=1"), "--set with --resume"),
        (("--cpus", "0"), "--cpus with --resume"),
        (("--until", "quiet"), "--until with --resume"),
    ],
)
def test_resume_refuses_another_plan(measured: Path, arguments: tuple[str, ...], sentence: str) -> None:
    import re

    assert re.search(sentence, refused(2, "run", "--resume", "latest", *arguments, cwd=measured))


def test_resume_accepts_the_same_plan(measured: Path) -> None:
    ok("run", "--resume", only_run(measured).name, "--seed", "7", "--profile", "quick", "--quiet", cwd=measured)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda run: run["engine"].update(sha256="0" * 64), "another engine"),
        (lambda run: run.update(machine_key="elsewhere"), "measured on elsewhere"),
        (lambda run: run["plan"].update(seed=8), "field plan"),
        (lambda run: run.update(schema=2), "newer"),
    ],
)
def test_resume_refuses_another_engine_machine_or_hand(
    tmp_path: Path, measured: Path, change: Any, sentence: str
) -> None:
    import shutil

    folder = Path(shutil.copytree(only_run(measured), tmp_path / "copy"))
    run = json.loads((folder / "run.json").read_text())
    change(run)
    (folder / "run.json").write_text(json.dumps(run))
    assert "field sha256" in refused(2, "run", "--resume", str(folder), cwd=tmp_path) or sentence == "newer"
    run["sha256"] = schema.hash_of(run)  # somebody has made it anew
    (folder / "run.json").write_text(json.dumps(run))
    assert sentence in refused(2, "run", "--resume", str(folder), cwd=tmp_path)


def test_report_writes_into_the_run_folder(measured: Path) -> None:
    out = ok("report", cwd=measured)
    folder = only_run(measured)
    assert (folder / "report.html").read_text().lstrip().lower().startswith("<!doctype html>")
    assert (folder / "report.md").stat().st_size > 0
    assert "report.html" in out and "report.md" in out


def test_report_as_json_and_to_a_path(measured: Path, tmp_path: Path) -> None:
    document = json.loads(ok("report", "latest", "--json", cwd=measured))
    assert {"schema", "machine", "noise_floor_pct", "rows"} <= set(document)
    names = "case kernel parameters cpus unit ns ns_low ns_high cycles floor_ns rounds batches flags metrics"
    assert set(names.split()) <= set(document["rows"][0])
    assert any(row["reason"] for row in document["rows"] if row["kernel"] == "bad/crowd")
    ok("report", str(only_run(measured)), "--html", str(tmp_path / "x.html"), cwd=tmp_path)
    assert (tmp_path / "x.html").exists()
    assert not (tmp_path / "x.md").exists()


def test_report_on_a_damaged_run_names_file_and_field(tmp_path: Path, measured: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(only_run(measured), tmp_path / "copy"))
    run = json.loads((folder / "run.json").read_text())
    del run["plan"]["cases"][0]["unit"]
    (folder / "run.json").write_text(json.dumps(run))
    assert "run.json: field plan.cases[0]" in refused(2, "report", str(folder), cwd=tmp_path)


def test_a_run_keeps_what_the_doctor_found_and_no_path(measured: Path) -> None:
    record = json.loads((only_run(measured) / "run.json").read_text())["doctor"]
    assert record["profile"] == "quick" and isinstance(record["fit"], bool)
    assert all(found["severity"] != "ok" and "path" not in found for found in record["findings"])


# ---- claims ----


def test_claims_as_a_table_json_and_pages(measured: Path) -> None:
    folder = only_run(measured)
    out = ok("claims", cwd=measured)
    assert "intel turbo mode 會讓運算速度浮動" in out and "not measurable here" in out and " sentences: " in out
    assert "busybox" in out and "tools, and no figure is stated" in out
    document = json.loads(ok("claims", str(folder), "--json", cwd=measured))
    assert document["run"] == folder.name
    assert {"lines", "words", "reason"} == set(document["left_out"][0])
    assert {item["verdict"] for item in document["claims"]} == {"not measurable here"}
    (measured / "out").mkdir()
    ok("claims", "--html", "out/c.html", "--markdown", "out/c.md", cwd=measured)
    page, text = (measured / "out" / "c.html").read_text(), (measured / "out" / "c.md").read_text()
    assert page.startswith("<!DOCTYPE html>") and '<q lang="zh-Hant">intel turbo mode' in page
    assert "“intel turbo mode" in text and text.count("\n| ") >= len(document["claims"])


def test_claims_of_no_run_is_wrong_use(tmp_path: Path) -> None:
    assert "no such run folder" in refused(2, "claims", "nowhere", cwd=tmp_path)


def test_a_reader_that_goes_away_is_no_fault(tmp_path: Path) -> None:
    process = subprocess.Popen(
        runtime.command("show", "good/steady"),
        cwd=tmp_path,
        env=runtime.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(runtime.PATIENCE_S) == 0
    process.stderr.close()


def test_text_from_outside_is_neither_markup_nor_control(capsys: pytest.CaptureFixture[str]) -> None:
    display.console().print(display.table(None, ("a",), [("[red]x[/red] \x1b[2J",)]))
    out = capsys.readouterr().out
    assert "[red]x[/red] \N{REPLACEMENT CHARACTER}[2J" in out


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    display.print_json({"a": [float("nan"), 1.0, {"b": float("inf")}]})
    assert json.loads(capsys.readouterr().out) == {"a": [None, 1.0, {"b": None}]}


def test_exit_codes_of_exceptions() -> None:
    assert faults.exit_code_of(UsageError("x")) == 2
    assert faults.exit_code_of(MeasureError("x")) == 3
    assert faults.exit_code_of(schema.RunFolderError("x")) == 2
    assert faults.exit_code_of(OSError("x")) == 3
    assert faults.exit_code_of(ValueError("a bug")) == 3
    assert faults.exit_code_of(KeyboardInterrupt()) == 3


def test_an_unexpected_fault_asks_for_a_report(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FENCEPOST_DEBUG", raising=False)
    assert faults.report(ZeroDivisionError("oops")) == 3
    assert "internal error: ZeroDivisionError: oops" in capsys.readouterr().err


def test_what_is_missing_of_a_run_is_expected(tmp_path: Path) -> None:
    plan = tiny_plan(["good"], rounds=10)
    whole, half = expected(plan), expected(plan, range(6, 11))
    assert whole.calm_ns > plan.expected_ns and whole.most_ns > whole.calm_ns
    assert whole.calm_ns - half.calm_ns == plan.expected_ns - 5 * plan.round_ns(2)
