"""How far a run can be trusted: the verdict in words, its causes, and what helps."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from runs import write as synthetic
from runs.analysed import analysed
from runs.write import Case

from fencepost.analysis.report.causes import causes
from fencepost.analysis.report.data import as_json
from fencepost.analysis.report.trust import trust_of_topics, trust_table, trust_verdict
from fencepost.analysis.runs.estimate import analyse

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.mark.parametrize(
    ("cases", "rounds", "word"),
    [
        ([Case("a/b", ns=9, process_noise=0.0), Case("a/b", ns=9, process_noise=0.0, twin_of="a/b@cpu1")], 20, "Yes"),
        (
            [Case("a/b", ns=9, process_noise=0.0), Case("a/b", ns=9.3, process_noise=0.0, twin_of="a/b@cpu1")],
            20,
            "With care",
        ),
        (
            [Case("a/b", ns=9, process_noise=0.0), Case("a/b", ns=12, process_noise=0.0, twin_of="a/b@cpu1")],
            20,
            "Hardly",
        ),
        (
            [Case("a/b", ns=9, process_noise=0.3), Case("a/b", ns=9, process_noise=0.3, twin_of="a/b@cpu1")],
            20,
            "Hardly",
        ),
        ([Case("a/b")], 20, "Not known"),
        ([Case("a/b")], 3, "Not yet"),
        ([Case("a/b")], 0, "Nothing to trust yet"),
        ([Case("a/b", status="unsupported")], 20, "Nothing to trust"),
    ],
)
def test_one_verdict_in_words(cases: list[Case], rounds: int, word: str) -> None:
    analysis = analysed(cases, rounds=rounds, planned_rounds=20)
    assert trust_verdict(analysis).word == word


def test_a_noisy_topic_does_not_spoil_the_others(tmp_path: Path) -> None:
    calm = [Case("calm/loop", {"i": i}, ns=9, process_noise=0.0) for i in range(4)]
    noisy = Case("noisy/loop", ns=9, process_noise=0.0)
    cases = [*calm, calm[0].twin(), noisy, replace(noisy.twin(), ns=12), Case("plain/loop", ns=3)]
    analysis = analyse(synthetic.write_run(tmp_path / "run", cases, rounds=20))
    assert {one.topic: one.word for one in trust_of_topics(analysis)} == {
        "calm": "Yes",
        "noisy": "Hardly",
        "plain": "Not known",
    }
    verdict = trust_verdict(analysis)
    assert verdict.word == "Yes"
    assert "Not known for plain; hardly in noisy." in verdict.sentence
    found = next(cells for cells in trust_table(analysis).rows if cells[0] == "trust by topic")
    assert found[1].startswith("Yes: calm (") and "Hardly: noisy (" in found[1] and "Not known: plain" in found[1]
    assert as_json(analysis.folder)["trust"]["topics"][0]["trust"] == "Yes"


def test_the_cause_is_named_with_what_helps() -> None:
    row = Case("a/b", ns=9, process_noise=0.0, neighbour=0.6)
    analysis = analysed([row, row.twin()], rounds=12, batches=40)
    said = trust_verdict(analysis).sentence
    assert re.search(r"A neighbour shared the core in (5\d|6\d) % of the batches. Use the figures alone", said)


def test_where_a_neighbour_left_nothing_nobody_is_sent_to_figures_alone() -> None:
    row = Case("a/b", ns=9, process_noise=0.0, neighbour=1.0)
    analysis = analysed([row, row.twin()], rounds=12, batches=40)
    said = trust_verdict(analysis).sentence
    assert "Use the figures alone" not in said
    assert "`fencepost ab` compares code even so" in said


def test_a_difference_is_never_a_power_of_ten() -> None:
    row = Case("a/b", ns=9, process_noise=0.0)
    cases = [row, replace(row.twin(), ns=19)]
    said = trust_verdict(analysed(cases, rounds=20)).sentence
    assert "differ by 111 %" in said


def test_a_cpu_that_is_not_ours_spoils_trust() -> None:
    quiet = Case("a/b", ns=9, process_noise=0.0)
    gaps = Case("noise/gaps", kind="events", metrics={"lost_pct": 40.0})
    analysis = analysed([quiet, quiet.twin(), gaps], rounds=20)
    assert trust_verdict(analysis).word == "With care"
    assert "loses 40 % of its time to interrupts and other work" in trust_verdict(analysis).sentence


def test_interrupts_are_named_as_the_cause_with_or_without_a_witness(tmp_path: Path) -> None:
    for name, neighbour in (("with", 0.0), ("without", None)):
        row = Case("a/b", ns=9, process_noise=0.0, neighbour=neighbour, gap_share=0.15)
        folder = synthetic.write_run(tmp_path / name, [row, row.twin()], rounds=12, batches=40)
        said = trust_verdict(analyse(folder)).sentence
        assert re.search(r"Interrupts or other threads broke into 1\d % of the batches. Stop other work", said)


def test_every_cause_is_named_the_largest_first(tmp_path: Path) -> None:
    row = Case("a/b", ns=9, process_noise=0.0, neighbour=0.6, gap_share=0.15)
    folder = synthetic.write_run(tmp_path / "run", [row, row.twin()], rounds=12, batches=40)
    said = [cause.said.partition(" ")[0] for cause in causes(analyse(folder))]
    assert said == ["A", "Interrupts"]
    # One piece of advice, against the largest of them.
    assert trust_verdict(analyse(folder)).sentence.count("`fencepost") == 1
