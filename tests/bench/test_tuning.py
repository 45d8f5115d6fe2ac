"""Tuning on trees of ordinary files: what is set, what is refused, and that everything comes back whatever happens."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from machines import build, cpuinfo, write

from fencepost.bench.doctor.examine import examine
from fencepost.bench.doctor.finding import IMPACT
from fencepost.bench.errors import MeasureError, UsageError
from fencepost.bench.sysfs import Tree
from fencepost.bench.topology import CPU
from fencepost.bench.tuning import journal as journals
from fencepost.bench.tuning import tuner
from fencepost.bench.tuning.journal import BOOT_ID, NAME, Journal, folder_of, restore
from fencepost.bench.tuning.settings import KNOBS, TuningPlan, make_plan

THP = "sys/kernel/mm/transparent_hugepage/enabled"
ASLR = "proc/sys/kernel/randomize_va_space"
KILLED = 9
"""Exit code of a child that was killed on purpose."""


def freq(cpu: int, **more: object) -> dict[str, object]:
    names = {"scaling_governor": "powersave", "energy_performance_preference": "balance_power", **more}
    return {f"{CPU}/cpu{cpu}/cpufreq/{name}": value for name, value in names.items()}


ADVISED: dict[str, object] = {
    BOOT_ID: "38cacf61-54a4-4245-a972-cf89b4908ff3",
    "proc/self/status": "Cpus_allowed_list:\t2-3",
    THP: "[always] madvise never",
    ASLR: 0,
    "proc/sys/kernel/numa_balancing": 1,
    "sys/devices/system/node/node1/cpulist": "",
    "sys/kernel/mm/ksm/run": 1,
    f"{CPU}/cpufreq/policy2/boost": 1,
    f"{CPU}/cpufreq/policy2/scaling_max_freq": 3000000,
    f"{CPU}/cpufreq/boost": 1,
    "proc/irq/24/smp_affinity_list": "0-3",
    "proc/irq/25/smp_affinity_list": "0,1",
    **{f"{CPU}/cpu{cpu}/online": 1 for cpu in (1, 2, 3)},
    **{path: value for cpu in range(4) for path, value in freq(cpu).items()},
    **{
        f"{CPU}/cpu2/cpuidle/state{number}/{name}": value
        for number, latency in ((1, 2), (3, 890))
        for name, value in (("latency", latency), ("disable", 0), ("name", "C"))
    },
}
"""A machine of two cores with two CPUs each, with nothing as it should be. The command may use CPUs 2-3."""


def machine(root: Path, more: Mapping[str, object] | None = None) -> Path:
    return build(root, [[0, 1], [2, 3]], more={**ADVISED, **(more or {})})


def files(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}


def plan(root: Path) -> TuningPlan:
    return make_plan(Tree(root), examine(root))


def tuned(root: Path) -> list[tuner.SettingChange]:
    tree = Tree(root)
    journal = Journal(tree)
    try:
        return tuner.apply(tree, plan(root), journal)
    finally:
        journal.close()


def refusing(monkeypatch: pytest.MonkeyPatch, refused: Callable[[str], int | None]) -> None:
    """Writing to a file fails with the error that `refused` gives for its path."""
    real = journals.write

    def written(tree: Tree, path: str, *rest: Any) -> None:
        if number := refused(path):
            raise OSError(number, os.strerror(number))
        real(tree, path, *rest)

    monkeypatch.setattr(journals, "write", written)
    monkeypatch.setattr(tuner, "write", written)


def test_each_setting_is_one_of_the_doctors() -> None:
    assert set(KNOBS) <= set(IMPACT)


def test_the_doctor_advises_nothing_of_it_any_more_and_everything_comes_back(tmp_path: Path) -> None:
    root = machine(tmp_path)
    before = files(root)
    advised = {found.knob for found in examine(root).findings if found.change}
    assert set(KNOBS) <= advised
    assert [change for change in tuned(root) if change.refusal] == []
    # A tree of ordinary files does not take a CPU out of its groups.
    (root / f"{CPU}/online").write_text("0-2\n")
    assert {found.knob for found in examine(root, cpus=[2]).findings if found.change} & set(KNOBS) == set()
    assert (root / THP).read_text() == "always [madvise] never\n"
    assert (root / f"{CPU}/cpu3/online").read_text() == "0\n"
    assert (root / "proc/irq/24/smp_affinity_list").read_text() == "0-1\n"
    (root / f"{CPU}/online").write_text(before[f"{CPU}/online"])
    found = restore(Tree(root))
    assert found is not None and found.files == 11 and not found.notes and not found.faults
    assert files(root) == before
    assert restore(Tree(root)) is None


def test_only_the_cpus_of_the_command_are_set(tmp_path: Path) -> None:
    root = machine(tmp_path)
    tuned(root)
    governors = [(root / f"{CPU}/cpu{cpu}/cpufreq/scaling_governor").read_text().strip() for cpu in range(4)]
    assert governors == ["powersave", "powersave", "performance", "powersave"]  # CPU 3 is offline


def test_a_sibling_is_not_the_only_cpu_of_the_command(tmp_path: Path) -> None:
    root = machine(tmp_path, {"proc/self/status": "Cpus_allowed_list:\t3"})
    tuned(root)
    assert [(root / f"{CPU}/cpu{cpu}/online").read_text().strip() for cpu in (1, 2, 3)] == ["1", "0", "1"]


def test_what_another_setting_moves_comes_back_too(tmp_path: Path) -> None:
    """The switch of turbo lowers the limit of the clock, and a CPU that goes offline loses its interrupts."""
    root = machine(tmp_path, {f"{CPU}/cpufreq/policy0/boost": 0})
    before = files(root)
    tuned(root)
    moved = {f"{CPU}/cpufreq/policy2/scaling_max_freq": 2000000, "proc/irq/25/smp_affinity_list": "0"}
    write(root, moved)
    write(root, {f"{CPU}/cpufreq/policy0/boost": 1})  # it was off before, and the one switch moved it
    found = restore(Tree(root))
    assert found is not None and not found.notes
    assert files(root) == before


def test_a_daemon_that_sets_the_same_is_left_alone(tmp_path: Path) -> None:
    root = machine(tmp_path, {"proc/77/comm": "tuned", "proc/78/comm": "irqbalance", "proc/79/comm": "cat"})
    found = plan(root)
    assert {step.setting.knob for group in found.groups for step in group} == {"smt"}
    (first, second) = found.notes
    assert first.startswith("tuned runs here and sets turbo, energy preference, governor,")
    assert second.startswith("irqbalance runs here and sets interrupts; left alone")


def test_a_switch_that_only_a_register_has_is_named(tmp_path: Path) -> None:
    root = build(tmp_path, [[0]], more={"proc/cpuinfo": cpuinfo([0]).replace("GenuineIntel", "AuthenticAMD")})
    (root / "dev/cpu/0").mkdir(parents=True)
    with (root / "dev/cpu/0/msr").open("wb") as file:
        file.truncate(0xC0010015 + 8)  # sparse
    (note,) = plan(root).notes
    assert note.startswith("turbo has no file that tune can set. By hand: sudo modprobe msr")


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EBUSY, errno.EIO, errno.EACCES])
def test_a_refused_value_costs_only_itself(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = machine(tmp_path)
    before = files(root)
    refusing(monkeypatch, lambda path: number if path.endswith("scaling_governor") else None)
    refused = [change for change in tuned(root) if change.refusal]
    assert [change.step.setting.knob for change in refused] == ["governor"]
    assert refused[0].refusal == os.strerror(number).lower()
    assert (root / ASLR).read_text() == "2\n"
    restore(Tree(root))
    assert files(root) == before


def test_a_value_of_which_linux_makes_another_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = machine(tmp_path)
    before = files(root)
    real = journals.write

    def bent(tree: Tree, path: str, setting: Any, value: str) -> None:
        real(tree, path, setting, "1" if path == ASLR and value == "2" else value)

    monkeypatch.setattr(tuner, "write", bent)
    (change,) = [change for change in tuned(root) if change.refusal]
    assert change.refusal == "Linux made 1 of 2"
    found = restore(Tree(root))
    assert found is not None and not found.notes
    assert files(root) == before


def test_a_file_that_cannot_be_opened_is_not_in_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = build(tmp_path, [[0]], more={ASLR: 0})
    real = os.open

    def closed(path: Any, flags: int, *rest: int) -> int:
        if str(path).endswith("randomize_va_space") and flags & os.O_WRONLY:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, flags, *rest)

    monkeypatch.setattr(os, "open", closed)
    (change,) = tuned(root)
    assert change.refusal == "permission denied"
    assert not folder_of(Tree(root)).exists()


def test_after_a_reboot_nothing_is_restored(tmp_path: Path) -> None:
    root = machine(tmp_path)
    tuned(root)
    write(root, {BOOT_ID: "another"})
    after = files(root)
    found = restore(Tree(root))
    assert found is not None and found.files == 0 and "started anew" in found.notes[0]
    assert files(root) == {path: text for path, text in after.items() if not path.endswith(NAME)}


def test_what_somebody_else_has_set_since_is_left_alone(tmp_path: Path) -> None:
    root = machine(tmp_path)
    tuned(root)
    write(root, {ASLR: 1})
    (root / "sys/kernel/mm/ksm/run").unlink()
    found = restore(Tree(root))
    assert found is not None
    assert found.notes == (
        "/sys/kernel/mm/ksm/run is not there any more; it held 1",
        f"/{ASLR} is 1 by now; left alone, it was 0 before the tune",
    )
    assert (root / ASLR).read_text() == "1\n"


def test_what_cannot_be_put_back_stays_in_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = machine(tmp_path)
    before = files(root)
    tuned(root)
    with monkeypatch.context() as patch:
        refusing(patch, lambda path: errno.EBUSY if path == ASLR else None)
        found = restore(Tree(root))
    assert found is not None
    assert found.faults[0] == f"/{ASLR} cannot be put back from 2 to 0 (device or resource busy)"
    assert "tune --restore" in found.faults[1]
    again = restore(Tree(root))
    assert again is not None and again.files == 1
    assert files(root) == before


def test_two_tunes_at_once(tmp_path: Path) -> None:
    tree = Tree(machine(tmp_path))
    with journals.lock(tree), pytest.raises(MeasureError, match="another `fencepost tune`"), journals.lock(tree):
        pass
    with journals.lock(tree):
        pass


def test_without_a_journal_nothing_is_changed(tmp_path: Path) -> None:
    root = machine(tmp_path, {"var": "a file in the way"})
    before = files(root)
    with pytest.raises(MeasureError, match="without a journal no setting is changed"):
        tuned(root)
    assert files(root) == before


ENTRY = {"knob": "aslr", "path": ASLR, "old": "0", "new": "2"}


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (["{"], "line 1: not valid JSON"),
        (["[]"], "not a journal of this version"),
        (['{"format": 99}'], "not a journal of this version"),
        ([{**ENTRY, "path": "etc/passwd"}], "line 2: not an entry"),
        ([{**ENTRY, "path": "proc/sys/kernel/../../../etc/passwd"}], "line 2: not an entry"),
        ([{**ENTRY, "knob": "root"}], "line 2: not an entry"),
        ([{**ENTRY, "old": 0}], "line 2: not an entry"),
        ([{**ENTRY, "new": None}], "line 2: not an entry"),
        ([{"knob": "aslr"}], "line 2: not an entry"),
    ],
)
def test_a_foreign_journal_changes_nothing(lines: list[Any], fault: str, tmp_path: Path) -> None:
    root = machine(tmp_path)
    path = folder_of(Tree(root)) / NAME
    path.parent.mkdir(parents=True)
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    if not isinstance(lines[0], str):
        texts.insert(0, json.dumps({"format": journals.FORMAT, "boot_id": str(ADVISED[BOOT_ID])}))
    path.write_text("\n".join(texts) + "\n")
    before = files(root)
    with pytest.raises(UsageError, match=fault):
        restore(Tree(root))
    assert files(root) == before


def test_a_journal_that_others_can_write_is_refused(tmp_path: Path) -> None:
    root = machine(tmp_path)
    tuned(root)
    (folder_of(Tree(root)) / NAME).chmod(0o666)
    with pytest.raises(UsageError, match="not a journal that only you can write"):
        restore(Tree(root))


def calls_until_killed(root: Path, number: int, *, then: Callable[[], object]) -> bool:
    """Do something in a child that ends at its call `number` of the operating system for files, before or after it;
    whether it got there.
    """
    child = os.fork()
    if child == 0:
        left = number

        def counted(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **named: Any) -> Any:
                nonlocal left
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                if real is os.write and left == 1 and len(arguments[1]) > 1:
                    arguments = (arguments[0], arguments[1][: len(arguments[1]) // 2])  # it got half of it
                return real(*arguments, **named)

            return call

        for name in ("open", "write", "fsync", "unlink", "mkdir"):
            setattr(os, name, counted(getattr(os, name)))
        then()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGKILL)
    return os.waitstatus_to_exitcode(status) != 0


@pytest.mark.slow  # a hundred processes
def test_a_tune_that_is_killed_at_any_step_is_undone(tmp_path: Path) -> None:
    small = {BOOT_ID: "a", THP: "[always] madvise never", ASLR: 0, **freq(0)}
    for number in range(1, 200):
        root = build(tmp_path / str(number), [[0]], more=small)
        before = files(root)
        killed = calls_until_killed(root, number, then=lambda root=root: tuned(root))  # type: ignore[misc]
        restore(Tree(root))
        assert files(root) == before, number
        if not killed:
            assert number > 20
            return
    raise AssertionError("it never came to its end")


@pytest.mark.slow
def test_a_restore_that_is_killed_at_any_step_goes_on(tmp_path: Path) -> None:
    small = {BOOT_ID: "a", THP: "[always] madvise never", ASLR: 0, **freq(0)}
    for number in range(1, 200):
        root = build(tmp_path / str(number), [[0]], more=small)
        before = files(root)
        tuned(root)
        killed = calls_until_killed(root, number, then=lambda root=root: restore(Tree(root)))  # type: ignore[misc]
        restore(Tree(root))
        assert files(root) == before, number
        if not killed:
            assert number > 10
            return
    raise AssertionError("it never came to its end")


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(
    values=st.fixed_dictionaries(
        {},
        optional={
            THP: st.sampled_from(["[always] madvise never", "always madvise [never]", "always [madvise] never"]),
            ASLR: st.integers(0, 2),
            "sys/kernel/mm/ksm/run": st.integers(0, 2),
            f"{CPU}/cpu1/online": st.just(1),
            f"{CPU}/cpu3/online": st.just(1),
            f"{CPU}/cpufreq/boost": st.integers(0, 1),
            f"{CPU}/cpu0/cpufreq/scaling_governor": st.sampled_from(["powersave", "performance", "ondemand"]),
            "proc/irq/24/smp_affinity_list": st.sampled_from(["0", "0-3", "2-3"]),
            "proc/self/status": st.sampled_from(["Cpus_allowed_list:\t0", "Cpus_allowed_list:\t2-3"]),
        },
    ),
    refused=st.sets(st.sampled_from(["enabled", "randomize_va_space", "run", "online", "boost", "smp_affinity_list"])),
    cut=st.integers(0, 20),
)
def test_whatever_is_set_refused_and_cut_comes_back(
    values: dict[str, object], refused: set[str], cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = build(tmp_path_factory.mktemp("tree"), [[0, 1], [2, 3]], more={BOOT_ID: "a", **values})
    before = files(root)
    left = cut

    class CutError(Exception):
        pass

    def refuse(path: str) -> int | None:
        nonlocal left
        left -= 1
        if left == 0:
            raise CutError
        return errno.EINVAL if path.rpartition("/")[2] in refused else None

    with pytest.MonkeyPatch.context() as patch:
        refusing(patch, refuse)
        with contextlib.suppress(CutError):
            tuned(root)
    found = restore(Tree(root))
    assert found is None or not (found.notes or found.faults)
    assert files(root) == before
