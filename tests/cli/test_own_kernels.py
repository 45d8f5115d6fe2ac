"""Kernels of a user's own: compiled, loaded beside the suite, measured; and each fault in one sentence."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernels.own import PLAIN, write
from runs import measure as runtime

from fencepost.bench import engine as engines
from fencepost.bench import objects, profiles, schema, sources
from fencepost.bench.catalog import read_catalog, read_object
from fencepost.bench.documents import RunJson
from fencepost.bench.errors import MeasureError, UsageError
from fencepost.bench.runfolder import read_round_record


def need_cxx(name: str) -> None:
    """C++ is for those who write in it: without a compiler for it nothing else is missing."""
    if name.endswith((".cc", ".cpp", ".cxx")) and not any(map(shutil.which, ("c++", "g++", "clang++"))):
        assert not os.environ.get("CI"), "CI needs a C++ compiler"
        pytest.skip("needs a C++ compiler")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    yield folder


def fencepost(*arguments: str | Path | int, cwd: Path) -> runtime.Answer:
    return runtime.fencepost_inside(*map(str, arguments), cwd=cwd)


def record_of(folder: Path) -> RunJson:
    (run,) = (folder / "results" / "runs").iterdir()
    return schema.read_run(run)


@pytest.mark.parametrize("suffix", [".c", ".cc", ".cpp", ".cxx"])
def test_a_file_is_compiled_loaded_and_listed(suffix: str, tmp_path: Path) -> None:
    need_cxx(suffix)
    file = write(tmp_path, f"mine{suffix}")
    answer = fencepost("list", "--kernel", file, "--json", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    (kernel,) = json.loads(answer.stdout)
    assert (kernel["kernel"], kernel["object"]) == ("own/one", f"mine{suffix}")


def test_two_objects_with_one_name_stand_side_by_side(tmp_path: Path) -> None:
    engine = engines.load_from(runtime.engine_path())
    for label, answer in (("old", "1"), ("new", "2")):
        built = objects.build(write(tmp_path / label, answer=answer), label)
        engine.load_object(label, built.path)
    pointers = [engine.descriptors(label)[0].check for label in ("old", "new")]
    assert pointers[0] != pointers[1]
    assert [kernel.object for label in ("old", "new") for kernel in read_object(engine, label)] == ["old", "new"]


def test_one_file_under_two_labels_is_two_objects(tmp_path: Path) -> None:
    """Both sides of a comparison of a file with itself have static data and addresses of their own."""
    engine = engines.load_from(runtime.engine_path())
    file = write(tmp_path)
    a, b = (objects.build(file, label) for label in ("old", "new"))
    assert a.sha256 == b.sha256
    first, second = (engine.load_object(item.label, item.path).kernels[0] for item in (a, b))
    assert first != second and first.run != second.run


def test_the_same_text_gives_the_same_bytes_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = set()
    for place in ("here", "there"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / place / "cache"))
        built = objects.build(write(tmp_path / place), "x")
        hashes.add((built.sha256, built.key))
        assert str(tmp_path).encode() not in built.path.read_bytes()
        assert str(tmp_path) not in json.dumps(built.as_json())
    assert len(hashes) == 1


def test_a_changed_header_compiles_anew(tmp_path: Path) -> None:
    file = write(tmp_path, text='#include "mine.h"\n' + PLAIN, answer="NUMBER")
    (tmp_path / "mine.h").write_text("#define NUMBER 1\n")
    first = objects.build(file, "x")
    assert objects.build(file, "x").path == first.path
    (tmp_path / "mine.h").write_text("#define NUMBER 2\n")
    assert objects.build(file, "x").sha256 != first.sha256


def test_options_come_from_the_file_and_from_the_command(tmp_path: Path) -> None:
    file = write(tmp_path, answer="A + B", text="/* fencepost: cflags -DA=40 '-DC=\"x y\"' */\n" + PLAIN)
    assert "-DA=40" in objects.build(file, "x", ["-DB=2"]).flags
    with pytest.raises(UsageError, match=r"does not compile:\n.*mine.c"):
        objects.build(file, "x")


def test_a_run_measures_it_beside_the_suite(tmp_path: Path) -> None:
    file = write(tmp_path)
    answer = fencepost(
        "run", "own/one", "good/once", "--kernel", file, "--profile", "quick", "--rounds", 2, "--json", cwd=tmp_path
    )
    assert answer.returncode == 0, answer.stderr
    record = record_of(tmp_path)
    (item,) = record["objects"]
    assert item["files"] == ["mine.c"] and item["label"] == "mine.c"
    assert {case["kernel"]: case.get("object") for case in record["plan"]["cases"]} == {
        "own/one": "mine.c",
        "good/once": None,
    }
    (run,) = (tmp_path / "results" / "runs").iterdir()
    cases = read_round_record(schema.round_file(run, 1))["cases"]
    (own,) = (case for name, case in cases.items() if name.startswith("own/one"))
    assert own["status"] == "ok" and own["metrics"] == {"answer": 42}


def test_a_prebuilt_object_is_taken_as_it_is(tmp_path: Path) -> None:
    file = write(tmp_path)
    made = tmp_path / "mine.so"
    compiler = os.environ.get("CC") or "cc"
    flags = fencepost("config", "--cflags", cwd=tmp_path).stdout.split()
    subprocess.run([compiler, *flags, "-shared", "-o", str(made), str(file)], check=True)
    answer = fencepost("list", "--kernel", made, "--json", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)[0]["kernel"] == "own/one"


NO_CHECK = PLAIN.replace(", .check = fine", "").replace("static int fine", "int fine")
TWICE = PLAIN + PLAIN[PLAIN.index("KERNEL(") :].replace("(one,", "(two,")
FOREIGN_ABI = '#include "kernel.h"\n#undef ENGINE_ABI\n#define ENGINE_ABI 1\n'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("int unrelated;\n", "mine.c: registers no kernel: it must include kernel.h"),
        ('#include "kernel.h"\n', r"mine.c: registers no kernel: it needs a KERNEL\(...\) line"),
        (NO_CHECK, "mine.c: kernel own/one .* has no check: what is not verified is not timed"),
        (TWICE, "mine.c: two kernels are named own/one"),
        (PLAIN.replace("OPAQUE(i)", "missing_function()"), "does not compile:\n(.*\n)*.*missing_function"),
        ("extern void gone(void);\n" + PLAIN.replace("OPAQUE(i)", "gone()"), "mine.c: cannot be loaded .*gone"),
        (PLAIN.replace('"kernel.h"', '"no_such.h"'), "does not compile:\n(.*\n)*.*no_such.h"),
        (PLAIN.replace("NAME", "good/once"), "mine.c: its kernel good/once has the name of a kernel of the suite"),
        (PLAIN.replace("NAME", "Bad"), "is not named topic/variant"),
    ],
)
def test_each_fault_of_a_file_is_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    file = write(tmp_path, text=text)
    engine = engines.load_from(runtime.engine_path())
    with pytest.raises(UsageError, match=sentence):
        engine.load_object("mine.c", objects.build(file, "mine.c").path, "mine.c")
        read_catalog(engine, ["mine.c"])


def test_another_abi_is_refused(tmp_path: Path) -> None:
    text = "const struct { unsigned abi, bytes; void *b, *e; } fencepost_object = {1, 8, 0, 0};\n"
    file = write(tmp_path, text=text.replace("const", '__attribute__((visibility("default"))) const', 1))
    engine = engines.load_from(runtime.engine_path())
    with pytest.raises(UsageError, match=r"compiled for engine ABI 1, this fencepost has [0-9]+: compile it again"):
        engine.load_object("mine.c", objects.build(file, "mine.c").path, "mine.c")


def test_files_that_cannot_be_taken(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a"), write(tmp_path / "b")
    for arguments, sentence in (
        ([first, second], "mine.c#2: its kernel own/one has the name of a kernel of that name in mine.c; rename it"),
        ([first, first], "the same file is given twice"),
        ([tmp_path / "none.c"], "none.c: cannot be read (no such file or directory)"),
        ([tmp_path], "a folder, where a file is needed"),
        ([write(tmp_path, "mine.txt")], "not a kernel file by its name; it must end in .c, .cc"),
        ([write(tmp_path, "not.so")], "cannot be loaded"),
    ):
        given = [word for file in arguments for word in ("--kernel", file)]
        answer = fencepost("run", *given, "--dry-run", cwd=tmp_path)
        assert answer.returncode == 2 and sentence in answer.stderr, answer.stderr
        assert "Traceback" not in answer.stderr


def test_no_compiler_and_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path)
    with monkeypatch.context() as patch:
        patch.setenv("CC", "no-such-compiler")
        with pytest.raises(MeasureError, match="CC=no-such-compiler: no such compiler"):
            objects.build(file, "x")
        patch.delenv("CC")
        patch.setenv("PATH", str(tmp_path))
        with pytest.raises(
            MeasureError, match=r"no C compiler \(cc, gcc, clang\); install one.*The kernels of the suite need none"
        ):
            objects.build(file, "x")
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    answer = fencepost("list", "--kernel", file, cwd=tmp_path)
    assert answer.returncode == 3 and "set XDG_CACHE_HOME to a folder that can be written" in answer.stderr


@pytest.mark.slow  # two runs; runs of the suite are resumed in test_cli.py
def test_a_run_is_resumed_with_the_same_kernels_only(tmp_path: Path, cache: Path) -> None:
    file = write(tmp_path)
    answer = fencepost("run", "own/one", "--kernel", file, "--rounds", 2, "-q", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    (run,) = (tmp_path / "results" / "runs").iterdir()
    schema.round_file(run, 2).unlink()
    file.write_text(file.read_text().replace("42", "43"))
    changed = fencepost("run", "--resume", run, "--kernel", file, "-q", cwd=tmp_path)
    assert changed.returncode == 2 and "not the kernels that this run began with" in changed.stderr
    again = fencepost("run", "--resume", run, "-q", cwd=tmp_path)  # from the cache
    assert again.returncode == 0, again.stderr
    assert schema.round_file(run, 2).is_file()
    schema.round_file(run, 2).unlink()
    shutil.rmtree(cache)
    gone = fencepost("run", "--resume", run, "-q", cwd=tmp_path)
    assert gone.returncode == 2 and "add --kernel with its file" in gone.stderr
    file.write_text(file.read_text().replace("43", "42"))
    assert fencepost("run", "--resume", run, "--kernel", file, "-q", cwd=tmp_path).returncode == 0


FAULTS = {
    "own/fine": None,
    "own/talk": None,
    "own/segfault[size=1]": "was killed by SIGSEGV",
    "own/abort": "was killed by SIGABRT",
    "own/exit": r"ended with status 7 \(good bye\)",
    "own/hang": "took longer than",
    "own/error": "setup failed: Input/output error",
    "own/past": "wrote past the end of its buffer",
    "own/wrong": "check failed: two and two are 5",
    "good/once": None,
}


def test_each_faulty_kernel_loses_its_own_rows_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime.impatient(monkeypatch, "own/hang")
    file = runtime.ROOT / "tests" / "cli" / "own_faults.c"
    answer = fencepost(
        "run", "own", "good/once", "--kernel", file, "--profile", "quick", "--rounds", 1, "-q", cwd=tmp_path
    )
    assert answer.returncode == 1, answer.stderr
    assert "11 cases failed" in answer.stderr and "own/wrong@" in answer.stderr
    (run,) = (tmp_path / "results" / "runs").iterdir()
    cases = read_round_record(schema.round_file(run, 1))["cases"]
    for name, sentence in FAULTS.items():
        found = [case for full, case in cases.items() if full.partition("@")[0] == name]
        if name.startswith("own/segfault"):  # which two of its five cases come first, the seed decides
            found = [case for full, case in cases.items() if full.startswith("own/segfault")]
            reasons = sorted(str(case["reason"]) for case in found)
            assert len(found) == 5
            assert [reason.startswith("left out: 2 cases of this kernel") for reason in reasons] == [True] * 3 + [
                False
            ] * 2
            found = [case for case in found if not str(case["reason"]).startswith("left out")]
        for case in found:
            assert (case["status"] == "ok") == (sentence is None), case
            assert sentence is None or re.search(sentence, str(case["reason"])), case
        assert found, name


@pytest.mark.parametrize("language", [[], ["--cxx"]])
def test_new_writes_a_kernel_that_runs(language: list[str], tmp_path: Path) -> None:
    need_cxx(".cc" if language else ".c")
    answer = fencepost("new", "speed/mine", *language, cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    (file,) = tmp_path.glob("speed_mine.c*")
    built = objects.build(file, "x")
    assert built.warnings == ""
    done = fencepost("run", "speed/mine", "--kernel", file, "--rounds", 1, "--profile", "quick", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["unmeasurable"] == []
    before = file.read_text()
    again = fencepost("new", "speed/mine", *language, cwd=tmp_path)
    assert again.returncode == 2 and "exists already" in again.stderr and file.read_text() == before


@pytest.mark.parametrize("name", ["Upper", "a/b/c", "1st", "a-b", "", "../x", "x/"])
def test_new_takes_kernel_names_only(name: str, tmp_path: Path) -> None:
    answer = fencepost("new", name, cwd=tmp_path)
    assert answer.returncode == 2 and "not a kernel's name" in answer.stderr
    assert not list(tmp_path.glob("*.c"))


TWO_SIDES = ["handover.c", "line_trace.c"]
NOT_HANDED_OVER = "needs two CPUs: nothing is handed over between threads of one"


@pytest.mark.parametrize(
    "name",
    [
        "division.c",
        "one_thread.c",
        pytest.param("handover.c", marks=pytest.mark.slow),
        pytest.param("line_trace.c", marks=pytest.mark.slow),
        pytest.param("lookup.cc", marks=pytest.mark.slow),
    ],
)
def test_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_cxx(name)
    if name in TWO_SIDES and len(os.sched_getaffinity(0)) < 2:
        pytest.skip(NOT_HANDED_OVER)
    monkeypatch.setattr(profiles, "PROFILES", {"quick": runtime.TINY})
    file = runtime.ROOT / "examples" / "own" / name
    answer = fencepost("run", "own", "--kernel", file, "--profile", "quick", "--rounds", 1, "--json", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["unmeasurable"] == [] and "compiler warns" not in answer.stderr


@pytest.mark.slow  # compiles
@pytest.mark.parametrize("name", TWO_SIDES)
def test_examples_measure_the_ring_beside_them_and_check_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip(NOT_HANDED_OVER)
    monkeypatch.setattr(profiles, "PROFILES", {"quick": runtime.TINY})
    file = Path(shutil.copy(runtime.ROOT / "examples" / "own" / name, tmp_path))
    ring = Path(shutil.copytree(runtime.ROOT / "csrc" / "lib" / "ring", tmp_path / "lib" / "ring")) / "spsc.h"
    before, popped = ring.read_text(), "    memcpy(item, slot, item_bytes);\n"
    assert before.count(popped) == 1
    # Every fourth item comes out changed.
    ring.write_text(before.replace(popped, popped + "    *(unsigned char *)item ^= (head & 3) == 3;\n"))
    answer = fencepost("run", "own", "--kernel", file, "--profile", "quick", "--rounds", 1, cwd=tmp_path)
    assert answer.returncode == 1 and "items came out of order" in answer.stdout + answer.stderr


@pytest.mark.slow  # compiles
def test_a_trace_says_how_far_ahead_the_producer_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip(NOT_HANDED_OVER)
    monkeypatch.setattr(profiles, "PROFILES", {"quick": runtime.TINY})
    file = runtime.ROOT / "examples" / "own" / "line_trace.c"
    asked = ["-p", "capacity=64", "-p", "every=0,1", "-p", "pause=no"]
    answer = fencepost(
        "run", "own", "--kernel", file, "--profile", "quick", "--rounds", 1, *asked, "--json", cwd=tmp_path
    )
    assert answer.returncode == 0, answer.stderr
    control, traced = (row["metrics"] for row in json.loads(answer.stdout)["rows"])
    assert "ahead_50_lines" not in control and "full_per_item" in control
    ahead = [traced[f"ahead_{share}_lines"]["value"] for share in (10, 50, 90)]
    # Ten lines hold 64 items. A stamp may be early, and the counters of two CPUs differ.
    assert ahead == sorted(ahead) and ahead[0] >= -10 and ahead[2] <= 20
    assert traced["producer_line_ticks"]["value"] > 0 and 0 <= traced["consumer_slow_pct"]["value"] <= 100


@pytest.mark.slow  # runs setup.py
def test_the_package_carries_what_kernel_files_include(tmp_path: Path) -> None:
    command = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(tmp_path / "lib")]
    subprocess.run(
        [*command, "egg_info", "--egg-base", str(tmp_path)], cwd=runtime.ROOT, check=True, capture_output=True
    )
    installed = tmp_path / "lib" / "fencepost" / "csrc"
    for pattern in ("**/*.h", "**/*.c", "own/*", "build_kernels.py"):
        wanted = {path.relative_to(runtime.ROOT / "csrc") for path in (runtime.ROOT / "csrc").glob(pattern)}
        assert wanted and wanted <= {path.relative_to(installed) for path in installed.glob(pattern)}
    assert (installed / "own" / "peer_template.h").is_file()  # the harness of `fencepost new --ring`
    # The queues of `fencepost peers`, where an installed package looks for them, and the jobs of `fencepost new --ci`.
    for folder in (sources.PEERS.relative_to(runtime.ROOT), Path("cli") / "templates"):
        names = {path.name for path in (runtime.ROOT / folder).iterdir()}
        assert names and names == {path.name for path in (installed.parent / folder).iterdir()}


def test_show_knows_every_kernel_and_placement(tmp_path: Path) -> None:
    for name in read_catalog(runtime.fault_engine()).kernels:
        answer = fencepost("show", name, "--no-source", "--no-disassembly", cwd=tmp_path)
        assert answer.returncode == 0, answer.stderr
