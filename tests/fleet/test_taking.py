"""What was fetched from a target is put in place when it is whole, and read only."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from runs.measure import fencepost_inside

from fencepost.bench import schema
from fencepost.bench.errors import EXIT_MEASURE, EXIT_USAGE, UsageError
from fencepost.cli import extras
from fencepost.cli.fleet_hosts import receive
from fencepost.cli.fleet_hosts.taking import Told, fetched, oddities, take


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the series first, measured on web1."""
    cwd = tmp_path_factory.mktemp("target")
    labels = ("--label", "host=web1", "--label", "series=first")
    done = fencepost_inside("run", "good/steady", "--rounds", "3", "-q", "--out", "runs", *labels, cwd=cwd)
    assert done.returncode == 0, done.stderr
    (run,) = (cwd / "runs").iterdir()
    return run


def packed(run: Path, archive: Path, change: Callable[[tarfile.TarFile], None] = lambda _tar: None) -> Path:
    with tarfile.open(archive, "w") as tar:
        for name in (schema.RUN_FILE, schema.MACHINE_FILE, schema.ROUNDS_FOLDER):
            tar.add(run / name, f"{run.name}/{name}")
        change(tar)
    return archive


def test_a_whole_run_gets_its_place(measured: Path, tmp_path: Path) -> None:
    archive = packed(measured, tmp_path / "web1.tar")
    found = take(archive, tmp_path / "web1", "web1", "first")
    assert found == ([measured.name], []) and not archive.exists()
    there = tmp_path / "web1" / measured.name
    for number, path in schema.round_files(measured).items():
        assert schema.round_file(there, number).read_bytes() == path.read_bytes()
    assert fetched(tmp_path / "web1", "second") == ([], []) == fetched(tmp_path / "nowhere", "first")
    assert [path.name for path in (tmp_path / "web1").iterdir()] == [measured.name]


def test_a_run_that_is_there_stays(measured: Path, tmp_path: Path) -> None:
    there = tmp_path / "web1" / measured.name
    shutil.copytree(measured, there)
    (there / "note.txt").write_text("mine")
    assert take(packed(measured, tmp_path / "a.tar"), there.parent, "web1", "first").runs == [measured.name]
    assert (there / "note.txt").exists()


def test_a_folder_that_lacks_rounds_is_named_and_replaced(measured: Path, tmp_path: Path) -> None:
    there = tmp_path / "web1" / measured.name
    shutil.copytree(measured, there)
    (there / "rounds" / "0002.parquet").unlink()
    (tmp_path / "web1" / ".incoming-x").mkdir()
    assert fetched(there.parent, "first") == ([], [str(there), str(there.parent / ".incoming-x")])
    assert take(packed(measured, tmp_path / "a.tar"), there.parent, "web1", "first") == ([measured.name], [])
    (there / schema.RUN_FILE).write_text("{")
    assert fetched(there.parent, "first").half == [str(there)]


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9])
def test_a_cut_archive_puts_nothing_in_place(share: float, measured: Path, tmp_path: Path) -> None:
    archive = packed(measured, tmp_path / "web1.tar")
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(share * len(whole.rstrip(b"\0")))])
    with pytest.raises(UsageError, match="the same command again fetches it anew"):
        take(archive, tmp_path / "web1", "web1", "first")
    assert list((tmp_path / "web1").iterdir()) == []


def link(kind: bytes, name: str, to: str) -> Callable[[tarfile.TarFile], None]:
    def add(tar: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, to
        tar.addfile(member)

    return add


def file(name: str, data: bytes = b"x") -> Callable[[tarfile.TarFile], None]:
    def add(tar: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))

    return add


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (file("../outside"), "has a file '../outside', which no run has"),
        (file("/tmp/outside"), "has a file '/tmp/outside'"),
        (file("a/../../outside/run.json"), "has a file 'a/../../outside/run.json'"),
        (file("run/run.sh"), "has a file 'run/run.sh'"),
        (file("run/rounds/0001.parquet.py"), "has a file"),
        (link(tarfile.SYMTYPE, "run/run.json", "/etc/passwd"), "has a link, a device or a pipe 'run/run.json'"),
        (link(tarfile.LNKTYPE, "run/run.json", "/etc/passwd"), "has a link, a device or a pipe"),
        (link(tarfile.FIFOTYPE, "run/run.json", ""), "has a link, a device or a pipe"),
        (link(tarfile.CHRTYPE, "run/run.json", ""), "has a link, a device or a pipe"),
        (file("run/run.json", b"{}"), "run.json"),
        (file("run/machine.json"), "run/run.json"),
    ],
)
def test_a_hostile_archive_puts_nothing_in_place(
    change: Callable[[tarfile.TarFile], None], sentence: str, measured: Path, tmp_path: Path
) -> None:
    archive = packed(measured, tmp_path / "web1.tar", change)
    with pytest.raises(UsageError) as found:
        take(archive, tmp_path / "web1", "web1", "first")
    assert sentence in str(found.value) and "\n" not in str(found.value)
    assert {path.name for path in tmp_path.iterdir()} == {"web1", "web1.tar"}
    assert list((tmp_path / "web1").iterdir()) == []


def test_a_file_that_comes_twice_is_refused(measured: Path, tmp_path: Path) -> None:
    archive = packed(measured, tmp_path / "a.tar", file(f"{measured.name}/run.json"))
    with pytest.raises(UsageError, match="the same file twice"):
        take(archive, tmp_path / "web1", "web1", "first")


@pytest.mark.parametrize(("host", "series"), [("web2", "first"), ("web1", "second")])
def test_a_run_of_another_host_or_series_is_refused(host: str, series: str, measured: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has the label (host=web1|series=first), where"):
        take(packed(measured, tmp_path / "a.tar"), tmp_path / host, host, series)


def test_a_run_under_another_name_is_refused(measured: Path, tmp_path: Path) -> None:
    shutil.copytree(measured, tmp_path / "other")
    with pytest.raises(UsageError, match="the folder other has the run"):
        take(packed(tmp_path / "other", tmp_path / "a.tar"), tmp_path / "web1", "web1", "first")


def test_the_role_asks_by_commands(measured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive, place = packed(measured, tmp_path / "a.tar"), str(tmp_path / "web1")
    assert receive.main(["take", str(archive), place, "web1", "first"]) == 0
    assert receive.main(["fetched", place, "first"]) == 0
    taken, there = capsys.readouterr().out.splitlines()
    assert json.loads(taken) == json.loads(there) == {"runs": [measured.name], "half": []}
    told = json.dumps([["web1", "a", "0.1.0", "3"], ["web2", "b", "0.1.0", "-9000"]])
    assert receive.main(["oddities", told]) == 0
    (sentence,) = json.loads(capsys.readouterr().out)
    assert sentence.startswith("web2: its clock is 2 h behind")
    archive.write_bytes(b"")
    assert receive.main(["take", str(archive), place, "web1", "first"]) == EXIT_USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"fencepost: {archive}: is cut or damaged")


def test_targets_that_cannot_be_compared_are_named_in_one_sentence_each() -> None:
    same = [Told(f"web{number}", f"ip-{number}", "0.2", 0.5) for number in range(1, 4)]
    assert oddities(same) == []
    clock, name, version = oddities(
        [same[0], Told("web2", "ip-1", "0.3", 4 * 3600.0), *(one._replace(name=f"x{one.host}") for one in same[1:])]
    )
    assert clock.startswith("web2: its clock is 4 h ahead of the one here")
    assert name.startswith("web1 and web2 call themselves ip-1")
    assert "(0.2 on web1, web2 and web3; 0.3 on web2)" in version
    (many,) = oddities([Told(f"web{number}", "localhost", "1", 0.0) for number in range(9)])
    assert many.startswith("web0, web1, web2, web3 and 5 more call themselves localhost")


def test_init_writes_what_ansible_reads_and_nothing_twice(tmp_path: Path) -> None:
    import yaml

    done = fencepost_inside("fleet", "init", cwd=tmp_path)
    assert done.returncode == 0 and "fencepost fleet run fleet" in done.stdout
    (play,) = yaml.safe_load((tmp_path / "fleet" / "playbook.yml").read_text())
    assert play["roles"][0]["vars"]["fencepost_series"] == "first"
    assert list(yaml.safe_load((tmp_path / "fleet" / "inventory.yml").read_text())["all"]["hosts"]) == ["web1", "web2"]
    again = fencepost_inside("fleet", "init", cwd=tmp_path)
    assert again.returncode == EXIT_USAGE and "is there already" in again.stderr


def test_without_ansible_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(extras.EXTRAS, "fleet", ("no_such_module",))
    done = fencepost_inside("fleet", "run", cwd=tmp_path)
    assert done.returncode == EXIT_USAGE
    assert done.stderr == "fencepost: this needs fleet, which is not installed here; pip install 'fencepost[fleet]'\n"
    assert "pip install 'fencepost[fleet]'" in fencepost_inside("fleet", "init", cwd=tmp_path).stdout


def test_a_folder_without_a_playbook_is_named(tmp_path: Path) -> None:
    done = fencepost_inside("fleet", "run", "nowhere", cwd=tmp_path)
    assert done.returncode == EXIT_USAGE and "nowhere/inventory.yml: no such file" in done.stderr


@pytest.mark.slow  # ansible itself
def test_wrong_variables_are_refused_before_anything_is_measured(tmp_path: Path) -> None:
    fencepost_inside("fleet", "init", cwd=tmp_path)
    words = ("-i", "web1,", "--connection", "local", "--extra-vars", '{"fencepost_series": "../x"}')
    done = fencepost_inside("fleet", "run", "fleet", *words, cwd=tmp_path)
    assert done.returncode == EXIT_MEASURE and "not all runs are here" in done.stderr
    assert not (tmp_path / "fleet" / "runs").exists()
