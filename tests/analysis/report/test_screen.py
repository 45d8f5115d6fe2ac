"""The end of a run on one screen, and the README's sample of it."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from published.compare import RUN, UPDATE
from runs.analysed import analysed
from runs.write import Case, pair_case
from topics.suite import suite_cases

from fencepost.analysis.report.screen import NARROWEST
from fencepost.analysis.report.screen import screen as lines_of
from fencepost.analysis.report.summary import brief, next_step, summary_of
from fencepost.analysis.runs.estimate import Analysis, analyse
from fencepost.analysis.runs.machine import microarchitecture
from fencepost.analysis.runs.named import machine_name

pytestmark = pytest.mark.usefixtures("undrawn")

README = Path(__file__).resolve().parents[3] / "README.md"
ZEN_3 = {"cpu_vendor": "AuthenticAMD", "cpu_family": "25", "cpu_model_number": "1"}


def screen(analysis: Analysis, columns: int = NARROWEST) -> list[str]:
    summary = summary_of(analysis)
    assert summary is not None
    return lines_of(summary, columns)


@pytest.fixture(scope="module")
def suite() -> Analysis:
    return analysed(suite_cases(), rounds=8)


def test_the_screen_is_eighty_columns_wide_and_names_what_it_must(suite: Analysis) -> None:
    lines = screen(suite)
    assert max(map(len, lines)) <= NARROWEST and len(lines) <= 22
    assert lines[0] == machine_name(suite)
    assert any(line.startswith("Trust: ") for line in lines)
    topics = {row.topic for row in suite.measured()}
    marked = " ".join(line for line in lines if re.match(r"  [-+~?] | {14}\w", line))
    assert all(re.search(rf"\b{topic}\b", marked) for topic in topics)
    (bar,) = [line for line in lines if "ask libc for the time" in line]
    assert re.search(r"[\d.]+.ns +±[\d.]+ % +█+$", bar)


def test_more_room_shows_whole_labels(suite: Analysis) -> None:
    label = "load from the first-level cache (4 KiB, small pages)"
    assert any(label in line for line in screen(suite, 120))
    assert not any(label in line for line in screen(suite)) and any(label[:31] in line for line in screen(suite))
    assert screen(suite, 20) == screen(suite), "the terminal folds what it has no room for"


def test_longer_bars_are_higher_costs(suite: Analysis) -> None:
    bars = [line.count("█") for line in screen(suite) if "█" in line]
    assert bars == sorted(bars) and bars[0] == 1 and bars[-1] > bars[0]


def test_regimes_stand_beside_each_other_and_have_no_interval() -> None:
    places = ((105.0, 0.4, 1.0), (400.0, 0.6, 3.5))
    trips = [
        pair_case("line/pingpong", {"variant": "load_store", "pause": "no"}, 104.0, cpus=cpus, places=places)
        for cpus in ((0, 1), (1, 0))
    ]
    lines = screen(analysed(trips, rounds=8, batches=60, unmeasurable=[]))
    (line,) = [line for line in lines if "a cache line to another CPU" in line]
    assert re.search(r"\b5\d\.\d / 1\d\d.ns", line) and "±" not in line


def test_each_figure_says_whether_it_is_alone() -> None:
    chain = Case("pipeline/chain", {"op": "add", "chains": 1}, ns=0.27, neighbour=0.3)
    lines = screen(analysed([chain], batches=40))
    assert sum(" alone " in line for line in lines) == 1
    found = screen(analysed([replace(chain, neighbour=1.0)], batches=40))
    assert sum(" found " in line for line in found) == 1


def test_the_next_step_is_against_the_largest_disturbance() -> None:
    rows = [Case("pipeline/chain", {"op": "add", "chains": 1}, ns=0.27, neighbour=share) for share in (0.8, 0.0)]
    busy, calm = (analysed([row], batches=40) for row in rows)
    assert "neighbour" in next_step(busy) and "fencepost neighbours" in next_step(busy)
    assert next_step(calm) == ""


def test_a_run_without_headlines_has_no_screen() -> None:
    assert summary_of(analysed([Case("own/a")])) is None


@given(st.text(st.sampled_from("abc ,(-)"), min_size=1, max_size=60), st.integers(20, 60))
def test_a_brief_label_fits_and_begins_as_the_label(label: str, room: int) -> None:
    shorter = brief(label, room)
    assert len(shorter) <= room
    if len(label) <= room:
        assert shorter == label


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        (ZEN_3, "Zen 3"),
        (ZEN_3 | {"cpu_model_number": "17"}, "Zen 4"),
        (ZEN_3 | {"cpu_family": "26", "cpu_model_number": "2"}, "Zen 5"),
        ({"cpu_vendor": "GenuineIntel", "cpu_family": 6, "cpu_model_number": 0x8F}, "Sapphire Rapids"),
        (ZEN_3 | {"cpu_model_number": None}, None),
        (ZEN_3 | {"cpu_family": "99"}, None),
        ({}, None),
    ],
)
def test_processors_of_one_name_are_told_apart(facts: dict[str, object], name: str | None) -> None:
    assert microarchitecture(facts) == name


def test_a_machine_is_named_by_what_tells_it_apart(suite: Analysis) -> None:
    facts: Any = suite.machine | ZEN_3 | {"cpu_model": "AMD EPYC", "cpus_present": [0]}
    facts["hypervisor"] = {"guest": True, "kind": "kvm"}
    name = machine_name(replace(suite, reduced=replace(suite.reduced, machine=facts)))
    assert re.fullmatch(r"AMD EPYC \(Zen 3\), 1 CPU, [\d.]+ GHz, KVM guest", name)


@pytest.mark.slow  # reads a whole run
def test_the_sample_of_the_readme_is_what_the_published_run_shows() -> None:
    if not RUN.parent.exists():
        pytest.skip("the source distribution comes without results")
    text = README.read_text(encoding="utf-8")
    shown = "\n".join(screen(analyse(RUN), 100)).rstrip()
    block = re.search(r"(?<=```text\n).*?(?=\n```)", text, re.DOTALL)
    assert block is not None
    if os.environ.get(UPDATE):
        README.write_text(text.replace(block.group(), shown, 1), encoding="utf-8")
    else:
        assert block.group().replace("\u00a0", " ") == shown.replace("\u00a0", " ")
