"""The verdict on a fleet: a host that was made slow is named, the others are not, and the page shows it."""

from __future__ import annotations

import json
import math
import re
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from runs.fleets import START, FleetWriter
from runs.measure import fencepost_inside
from runs.pages import pictures

from fencepost.analysis.compare.fleet import FleetReport, fleet_change, fleet_report
from fencepost.analysis.report.fleet import as_page

HOSTS, RUNS, CASES = 8, 3, 12
SLOW, WHERE, BY = 5, (2, 3, 7, 9), 1.08
Values = npt.NDArray[np.float64]


def factors(hosts: int = HOSTS, seed: int = 1) -> Values:
    generator = np.random.default_rng(seed)
    between = 0.005 * generator.standard_normal((hosts, 1, CASES))
    return np.exp(between + 0.005 * generator.standard_normal((hosts, RUNS, CASES)))


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> FleetWriter:
    return FleetWriter(tmp_path_factory.mktemp("fleet"), CASES)


@pytest.fixture(scope="module")
def base(writer: FleetWriter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    planted = factors()
    planted[SLOW, :, WHERE] *= BY
    return writer.fleet(tmp_path_factory.mktemp("fleets") / "fleet", planted)


@pytest.fixture(scope="module")
def report(base: Path) -> FleetReport:
    return fleet_report(base)


def test_the_slow_host_is_named_with_its_cases_and_no_other(report: FleetReport) -> None:
    (make,) = report.makes
    (found,) = make.verdicts
    assert found.host == f"h{SLOW:02d}"
    assert {f"plain/loop[i={i}]@cpu1" for i in WHERE} == set(found.cases)
    assert found.low < BY < found.high
    assert found.p <= 0.005
    assert set(found.alone) <= set(found.cases)


def test_spread_is_told_of_each_case(report: FleetReport) -> None:
    (make,) = report.makes
    assert len(make.cases) == CASES
    quiet = [one for place, one in enumerate(make.cases) if place not in WHERE]
    assert 0.3 < float(np.median([one.between_pct for one in quiet])) < 0.8
    assert 0.3 < float(np.median([one.within_pct for one in quiet])) < 0.7
    assert all(one.between_low_pct <= one.between_pct <= one.between_high_pct for one in make.cases)


def test_the_page_has_a_picture_a_host_and_the_slow_one_first(report: FleetReport) -> None:
    page = as_page(report)
    hosts = re.findall(r"<figcaption><strong>(h\d\d)</strong>", page)
    assert len(pictures(page)) == HOSTS
    assert hosts[0] == f"h{SLOW:02d}"
    assert sorted(hosts) == [f"h{host:02d}" for host in range(HOSTS)]
    marked = re.findall(r'class="marked" d="([^"]*)"', page)
    assert [path.count("M") for path in marked] == [len(WHERE), *[0] * (HOSTS - 1)]
    assert "<script" not in page
    assert "h05</strong> is slower in 4 cases: 1.0" in page


def test_the_command_shows_the_same(base: Path, tmp_path: Path) -> None:
    done = fencepost_inside("fleet", "report", str(base), "--html", str(tmp_path / "fleet.html"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"h{SLOW:02d} is slower in 4 cases" in done.stdout
    assert (tmp_path / "fleet.html").read_text().startswith("<!DOCTYPE html>")
    found = json.loads(fencepost_inside("fleet", "report", str(base), "--json", cwd=tmp_path).stdout)
    assert [one["host"] for make in found["makes"] for one in make["verdicts"]] == [f"h{SLOW:02d}"]


def test_hosts_before_and_after(writer: FleetWriter, base: Path, tmp_path: Path) -> None:
    after = factors(seed=2)
    after[SLOW, :, WHERE] *= BY  # as before: this is no change
    after[:, :, 4] *= 1.05
    writer.fleet(tmp_path / "after", after)
    writer.write(tmp_path / "after" / "new" / "run", np.ones(CASES))
    found = fleet_change(base, tmp_path / "after")
    (make,) = found.makes
    assert [one.case for one in make.changes if one.changed] == ["plain/loop[i=4]@cpu1"]
    (change,) = [one for one in make.changes if one.changed]
    assert change.low < 1.05 < change.high
    assert make.verdicts == []
    assert "new: left out, measured on one side only" in found.notes
    done = fencepost_inside("fleet", "report", str(base), str(tmp_path / "after"), cwd=tmp_path)
    assert "1 of 12 cases changed over all hosts" in done.stdout


def test_a_label_tells_before_from_after(writer: FleetWriter, tmp_path: Path) -> None:
    ones = factors(hosts=6)
    for host, own in enumerate(ones):
        for number, run in enumerate(own):
            folder = tmp_path / "fleet" / f"h{host}"
            writer.write(folder / f"a{number}", run, labels={"bios": "f2"})
            writer.write(folder / f"b{number}", run * 1.1, labels={"bios": "f1"}, created=START + timedelta(hours=1))
    found = fleet_change(tmp_path / "fleet", key="bios")
    assert (found.before, found.after) == ("f2", "f1")
    assert all(one.changed and math.isclose(one.ratio, 1.1) for make in found.makes for one in make.changes)
    done = fencepost_inside("fleet", "report", str(tmp_path / "fleet"), "--by", "rack", cwd=tmp_path)
    assert done.returncode == 2
    assert "has no label rack" in done.stderr


def test_few_hosts_and_single_runs_are_told(writer: FleetWriter, tmp_path: Path) -> None:
    writer.fleet(tmp_path / "few", factors(hosts=2)[:, :1])
    found = fleet_report(tmp_path / "few")
    assert any("2 hosts, too few to tell whether one of them differs" in note for note in found.notes)
    assert any("one run a host" in note for note in found.notes)
    assert "NaN" not in fencepost_inside("fleet", "report", str(tmp_path / "few"), "--json", cwd=tmp_path).stdout
    assert as_page(found)
