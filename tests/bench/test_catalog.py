"""The engine's descriptors in Python's terms: values as users write them, and errors that help."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cffi
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels.measure import kernel
from runs import measure as runtime

from fencepost.bench import catalog, engine
from fencepost.bench.errors import EngineError, FencepostError, UsageError

NUMBER = catalog.Parameter("size", "bytes", "how large", (), 4096, {"quick": (1, 2)})
TIME = dataclasses.replace(NUMBER, name="period", unit="us")
LABEL = dataclasses.replace(NUMBER, name="read", unit="", labels=("rdtsc", "rdtscp", "lfence_rdtsc"), initial=1)


@pytest.fixture(scope="module")
def kernels() -> catalog.Catalog:
    return catalog.read_catalog(runtime.fault_engine())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("-3", -3),
        ("4KiB", 4096),
        (" 2MiB ", 2 * 2**20),
        ("1GiB", 2**30),
        ("10k", 10_000),
        ("0x10", 16),
        ("1_000", 1000),
        ("64B", 64),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, value: int) -> None:
    assert NUMBER.parse(text) == value


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_number_reads_back_as_itself(value: int) -> None:
    assert NUMBER.parse(str(NUMBER.show(value))) == value


@pytest.mark.parametrize(
    "text", ["", "KiB", "4 potatoes", "4kib", "1e3", "2.5", "10us", "9223372036854775808", "99GiBs"]
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="parameter size"):
        NUMBER.parse(text)


def test_times_are_scaled_to_the_unit_of_the_parameter() -> None:
    assert TIME.parse("2ms") == 2000
    assert TIME.parse("50us") == 50
    with pytest.raises(UsageError):
        TIME.parse("50ns")


def test_labels_are_indices() -> None:
    assert LABEL.parse("lfence_rdtsc") == 2
    assert LABEL.show(2) == "lfence_rdtsc"
    with pytest.raises(UsageError, match="did you mean rdtscp"):
        LABEL.parse("rdtsp")


def test_a_star_is_all_labels() -> None:
    assert LABEL.parse_list("*") == (0, 1, 2)
    assert LABEL.parse_list("rdtscp,*") == (1, 0, 2)
    with pytest.raises(UsageError):
        NUMBER.parse_list("*")


def test_lists_take_commas_and_spaces_and_each_value_once() -> None:
    assert NUMBER.parse_list("4KiB, 8 4096,8") == (4096, 8)
    with pytest.raises(UsageError, match="no value"):
        NUMBER.parse_list(" , ")


def test_a_profile_without_sweep_takes_the_default() -> None:
    assert NUMBER.sweep("quick") == (1, 2)
    assert NUMBER.sweep("rigorous") == (4096,)


def test_descriptors_are_read_completely(kernels: catalog.Catalog) -> None:
    steady = kernels.get("good/steady")
    assert (steady.topic, steady.unit, steady.kind, steady.twin, steady.once) == ("good", "turn", "loop", True, False)
    assert [p.name for p in steady.parameters] == ["size", "mode"]
    assert steady.parameter("size").sweeps == {"quick": (4096, 2**21)}
    assert steady.parameter("mode").labels == ("plain", "fancy")
    assert steady.parameter("mode").sweep("rigorous") == (0, 1)
    assert steady.metrics == (catalog.MetricInfo("echo_bytes", "bytes", "the parameter size"),)
    assert kernels.get("good/events").kind == "events"
    assert kernels.get("good/once").once
    pair = kernels.get("good/pair")
    assert (pair.threads_min, pair.threads_max, pair.place) == (2, 2, "pairs")


def test_selection_by_name_glob_and_topic(kernels: catalog.Catalog) -> None:
    assert [k.name for k in kernels.select(["good/steady"])] == ["good/steady"]
    assert [k.name for k in kernels.select(["*/on*", "good/steady"])] == ["good/once", "good/steady"]
    assert {k.topic for k in kernels.select(["bad"])} == {"bad"}
    assert len(kernels.select([])) == len(kernels.kernels)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("good/stedy", "good/steady"), ("steady", "good/steady"), ("god", "good"), ("bad/crsh", "bad/crash")],
)
def test_an_unknown_kernel_suggests_the_nearest(kernels: catalog.Catalog, name: str, meant: str) -> None:
    with pytest.raises(UsageError, match=f"did you mean {meant}"):
        kernels.get(name)
    with pytest.raises(UsageError, match=f"did you mean {meant}"):
        kernels.select([name])


def test_a_kernel_unlike_any_other_points_to_the_list(kernels: catalog.Catalog) -> None:
    with pytest.raises(UsageError, match="fencepost list"):
        kernels.select(["zzzzzz/*"])


def test_an_unknown_parameter_suggests_the_nearest(kernels: catalog.Catalog) -> None:
    with pytest.raises(UsageError, match="did you mean size"):
        kernels.get("good/steady").parameter("sise")
    with pytest.raises(UsageError, match="no parameters"):
        kernels.get("good/once").parameter("size")


def test_needs_in_words() -> None:
    one = runtime.fault_engine()
    foreign = catalog.read_catalog(one).get("bad/foreign")
    assert catalog.missing_needs(one, foreign.needs) == catalog.need_texts(one, foreign.needs)
    assert len(catalog.need_texts(one, foreign.needs)) == 1


def test_the_source_of_a_suites_kernel_is_beside_the_package() -> None:
    files = sorted((runtime.ROOT / "csrc" / "kernels").glob("*/*.c"))
    info = catalog.read_catalog(runtime.fault_engine()).get("good/once")
    for file in files:  # also where two topics have files of one name
        assert dataclasses.replace(info, file=f"csrc/kernels/{file.parent.name}/{file.name}").source() == file
    assert dataclasses.replace(info, file="csrc/kernels/branch/nowhere.c").source() is None


def test_a_missing_extension_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MODULE", "fencepost.bench._not_built")
    monkeypatch.delenv(engine.ENGINE_VARIABLE, raising=False)
    with pytest.raises(ImportError, match="run `make`") as caught:
        engine.load.__wrapped__()
    assert isinstance(caught.value, FencepostError)


def test_a_file_that_is_no_extension_says_what_to_run(tmp_path: Path) -> None:
    (tmp_path / "broken.so").write_bytes(b"not ELF")
    with pytest.raises(EngineError, match="run `make`"):
        engine.load_from(tmp_path / "broken.so")
    with pytest.raises(EngineError, match="no such file"):
        engine.load_from(tmp_path / "absent.so")


def fake(abi: int, fault: str | None) -> engine.Engine:
    ffi = SimpleNamespace(string=lambda text: text.encode())
    lib = SimpleNamespace(engine_abi=lambda: abi, registry_fault=lambda: fault)
    return engine.Engine(ffi, lib, Path("_kernels.so"))


def test_another_abi_is_refused() -> None:
    engine._check(fake(engine.ABI, None))
    with pytest.raises(ImportError, match=f"so: built for engine ABI {engine.ABI + 1}, this fencepost speaks "):
        engine._check(fake(engine.ABI + 1, None))
    nothing = engine.Engine(SimpleNamespace(), SimpleNamespace(), Path("_kernels.so"))
    with pytest.raises(EngineError, match=r"_kernels[.]so: not an engine of fencepost; run `make`"):
        engine._check(nothing)


def test_an_engine_of_older_sources_is_refused_in_one_sentence(tmp_path: Path) -> None:
    """As it was found: `struct settings` had a member less."""
    ffi = cffi.FFI()
    ffi.cdef("int engine_abi(void); struct settings { uint64_t batches, warmup_batches, batch_ns; };")
    ffi.set_source(
        engine.MODULE,
        "#include <stdint.h>\n"
        "int engine_abi(void) { return 2; }\n"
        "struct settings { uint64_t batches, warmup_batches, batch_ns; };\n",
    )
    made = ffi.compile(tmpdir=str(tmp_path))
    env = runtime.environment(FENCEPOST_ENGINE=str(made))
    command = [sys.executable, "-c", "from fencepost.cli.main import main; main()", "list"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3 and "Traceback" not in done.stderr, done.stderr
    assert f"built for engine ABI 2, this fencepost speaks {engine.ABI}; run `make`" in done.stderr


def test_a_fault_of_the_registry_is_the_import_error() -> None:
    with pytest.raises(ImportError, match=r"two kernels are named a/b"):
        engine._check(fake(engine.ABI, "two kernels are named a/b: one in x.c, one in y.c"))


def test_facts_of_the_engine() -> None:
    one = runtime.fault_engine()
    assert len(one.sha256) == 64
    assert len(one.capabilities()) == one.lib.CAPABILITY_COUNT
    assert one.tick()["hz"] > 0
    assert {"name", "hardware", "error", "count", "expect"} == set(one.perf_events()[0])


@pytest.mark.parametrize(
    ("name", "parameter", "refused"),
    [
        ("coroutine/switch", "coroutines", True),
        ("process/zombie", "children", True),
        ("process/create", "touched", False),
    ],
)
def test_none_of_what_a_parameter_counts_is_refused(name: str, parameter: str, refused: bool) -> None:
    row = kernel(name)
    if not refused:
        assert row.given(row.parameter(parameter), "0") == (0,)
        return
    with pytest.raises(UsageError, match=f"parameter {parameter}: 0 {parameter} are nothing to measure"):
        row.given(row.parameter(parameter), "1,0")
