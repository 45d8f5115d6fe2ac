"""How far a run can be trusted: the verdict, the facts behind it, and what the doctor found when it was made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from fencepost.analysis.report.causes import causes, largest_loss_pct, traced_rounds
from fencepost.analysis.report.marks import HARDLY, NOT_KNOWN, NOT_YET, WITH_CARE, YES, reach_of, word_of
from fencepost.analysis.runs.clock import core_clock_of_rounds, tick_hz
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.shares import shares_of
from fencepost.analysis.stats.interval import FEWEST_PROCESSES
from fencepost.analysis.text.numbers import count, counted, plain
from fencepost.analysis.text.table import DASH, Table, table
from fencepost.analysis.topics.noise.measures import lost_pct
from fencepost.bench.documents import DISTURBED, FIT, NOT_FIT, doctor_word

_ORDER = (YES, WITH_CARE, NOT_KNOWN, HARDLY)

_MEANING = {
    YES: "Differences of more than {reach} % between rows mean something.",
    WITH_CARE: "Believe only differences of more than {reach} %.",
    HARDLY: "Believe orders of magnitude, and no small differences. The same code run twice may differ by {reach} %.",
}

_ELSEWHERE = {YES: "yes in", WITH_CARE: "with care in", NOT_KNOWN: "not known for", HARDLY: "hardly in"}

_SPOILT = {"noisy", "modes"}

MOST_SPOILT = 0.2
"""Of a topic's rows. With more, its twins may be among the few that were not."""

GAPS_PCT = 10.0
"""A CPU that loses more than this to other work is no quiet place, whatever the medians say."""


class TopicTrustJson(TypedDict):
    """The verdict on a topic: what equal code may differ by, and the share of its batches that were free."""

    topic: str
    trust: str
    reach_pct: float | None
    free_pct: float | None


@dataclass(frozen=True)
class Trust:
    """The trust panel's one verdict: a word and a sentence."""

    word: str
    sentence: str
    meaning: str = ""
    """The part of the sentence that says what the word means for a reader, without topics and causes."""


@dataclass(frozen=True)
class TopicTrust:
    """How far the rows of a topic can be trusted. `reach_pct`: by how much the intervals of its twins let equal code
    differ; NaN where it has none. `free_pct`: share of the batches of one thread with the core free; NaN if not known.
    """

    topic: str
    word: str
    rows: int
    reach_pct: float
    free_pct: float

    def as_json(self) -> TopicTrustJson:
        """As ``--json`` prints it."""
        return {"topic": self.topic, "trust": self.word, "reach_pct": self.reach_pct, "free_pct": self.free_pct}


def trust_of_topics(analysis: Analysis) -> list[TopicTrust]:
    """One verdict a topic, from its own twins, its noisy rows and its modes."""
    return [_of_topic(analysis, topic) for topic in dict.fromkeys(row.topic for row in analysis.measured())]


def _of_topic(analysis: Analysis, topic: str) -> TopicTrust:
    rows = [row for row in analysis.topic(topic) if row.measured]
    reach = reach_of(twin for twin in analysis.twins if twin.original.partition("/")[0] == topic)
    found = shares_of(rows)
    noisy = sum(bool(_SPOILT & set(row.flags)) for row in rows) > MOST_SPOILT * len(rows)
    word = word_of(reach)
    return TopicTrust(
        topic,
        WITH_CARE if noisy and word == YES else word,
        len(rows),
        reach,
        math.nan if found is None else found.free_pct,
    )


def trust_verdict(analysis: Analysis) -> Trust:
    """One verdict in words on how far the figures of a run can be trusted: the one that half of its rows reach."""
    rounds, planned = analysis.rounds, analysis.planned_rounds
    if rounds == 0:
        return Trust(
            "Nothing to trust yet",
            f"No round of this run is complete ({planned} are planned), so there are no figures; `fencepost run "
            "--resume` goes on.",
        )
    if rounds < FEWEST_PROCESSES:
        return Trust(
            NOT_YET,
            f"{counted(rounds, 'round')} of {planned} {'is' if rounds == 1 else 'are'} complete, and fewer than "
            f"{FEWEST_PROCESSES} give no interval: take the figures as first impressions.",
        )
    if traced := traced_rounds(analysis):
        return Trust(
            HARDLY,
            f"Another process (strace, a debugger) traced the worker in {traced} of {counted(rounds, 'round')}, which "
            "slows each system call and fault: measure again without it.",
        )
    topics = trust_of_topics(analysis)
    known = [topic for topic in topics if not math.isnan(topic.reach_pct)]
    if not topics:
        return Trust("Nothing to trust", "No row of this run has a time. Each row says why.")
    if not known:
        return Trust(
            NOT_KNOWN,
            "Intervals are there, but no A/A row was run: how far equal code differs on this machine is not known.",
        )
    reach = _middle_reach(known)
    word = word_of(reach)
    trusted = sum(topic.rows for topic in known if topic.word == YES)
    if word == YES and (largest_loss_pct(analysis) > GAPS_PCT or trusted * 2 < sum(topic.rows for topic in known)):
        word = WITH_CARE
    meaning = _MEANING[word].format(reach=plain(max(reach, 0.1), 2))
    said = f"{meaning} {_topics_in_words(topics, word)}"
    return Trust(word, " ".join((said.strip(), *_causes(analysis))), meaning)


def _middle_reach(topics: Sequence[TopicTrust]) -> float:
    """The reach that half of the rows do not exceed."""
    ordered = sorted(topics, key=lambda topic: topic.reach_pct)
    counts = np.cumsum([topic.rows for topic in ordered])
    return ordered[int(np.searchsorted(counts, counts[-1] / 2))].reach_pct


def _topics_in_words(topics: Sequence[TopicTrust], word: str) -> str:
    """The topics with another verdict than the run."""
    others = {other: [topic.topic for topic in topics if topic.word == other] for other in _ORDER if other != word}
    parts = [f"{_ELSEWHERE[other]} {', '.join(names)}" for other, names in others.items() if names]
    return f"{'; '.join(parts).capitalize()}." if parts else ""


def _causes(analysis: Analysis) -> list[str]:
    """What disturbed the run, and the one thing that helps most against the largest part of it."""
    found = causes(analysis)
    return [*(cause.said for cause in found), found[0].helps] if found else []


def trust_table(analysis: Analysis) -> Table:
    """The facts behind the verdict."""
    run, plan, machine = analysis.run, analysis.run["plan"], analysis.machine
    facts: list[tuple[str, str]] = [
        ("complete rounds", f"{analysis.rounds} of {analysis.planned_rounds} planned; each is a fresh process")
    ]
    if analysis.rounds:
        floor = analysis.noise_floor_pct
        facts.append(
            (
                "noise floor (A/A)",
                "not measured: this run has no A/A row"
                if math.isnan(floor)
                else f"{plain(floor, 2)} %: the largest difference among {counted(len(analysis.twins), 'pair')} of the "
                "same code under two names",
            )
        )
        facts.append(("trust by topic", _by_topic(trust_of_topics(analysis))))
        facts.append(("free batches", _free(analysis)))
        facts.append(("time lost in gaps", _gaps(analysis)))
        middle, low, high = core_clock_of_rounds(analysis)
        facts.append(
            (
                "core clock over the run",
                f"{plain(middle.value)} GHz, from {plain(low)} to {plain(high)} in different rounds"
                if middle.n
                else "unknown: the chains that measure it did not agree",
            )
        )
        ticks = tick_hz(analysis)
        worker = analysis.reduced.workers
        facts.append(
            (
                "tick counter",
                (
                    f"{worker['tick_source'].iloc[0]} at {plain(ticks.value / 1e6, 7)} MHz, in steps of "
                    f"{count(float(worker['quantum_ticks'].median()))} ticks"
                ),
            )
        )
        measured = analysis.measured()
        flagged = sum(bool(set(row.flags) - {"once"}) for row in measured)
        facts.append(("rows with a remark", f"{flagged} of {len(measured)}"))
    facts.append(("pinning", f"{run['launcher']}, CPU {', '.join(map(str, plan['cpus']))}"))
    facts.append(("virtualisation", virtual(machine.get("hypervisor"))))
    missing = sum(row.reason is not None for row in analysis.rows)
    facts.append(
        (
            "not measurable here",
            f"{counted(missing, 'row')}; the section of the topic gives the reasons"
            if missing
            else "none: every row of the plan was measured",
        )
    )
    return table("The facts behind the verdict", ("what", "seen"), facts)


MOST_CPUS_NAMED = 8


def _by_topic(topics: Sequence[TopicTrust]) -> str:
    """Each verdict with its topics; of a topic with twins, by how much equal code may differ there."""
    parts = []
    for word in _ORDER:
        names = [
            topic.topic if math.isnan(topic.reach_pct) else f"{topic.topic} ({plain(topic.reach_pct, 2)} %)"
            for topic in topics
            if topic.word == word
        ]
        if names:
            parts.append(f"{word}: {', '.join(names)}")
    return "; ".join(parts)


def _free(analysis: Analysis) -> str:
    """How often the core was free, and in how many rows that gives a figure *alone*."""
    found = shares_of(analysis.rows)
    if found is None:
        return "not known: this run has no witnesses, so that every figure is as found"
    shared = f", and {found.shared} go through memory that other cores use" if found.shared else ""
    return f"{found.sentence}; {found.alone} of {counted(found.rows, 'row')} of one thread have a figure alone{shared}"


def _gaps(analysis: Analysis) -> str:
    """Share of time lost on each CPU; of many CPUs only the best and the worst."""
    lost = lost_pct(analysis)
    if not lost:
        return "not measured: no noise/gaps in this run"
    if len(lost) <= MOST_CPUS_NAMED:
        return "; ".join(f"CPU {cpu}: {item.text('%')}" for cpu, item in lost)
    lost.sort(key=lambda pair: pair[1].value)
    middle = lost[len(lost) // 2][1].value
    return (
        f"{len(lost)} CPUs: least on CPU {lost[0][0]}, {lost[0][1].text('%')}; at most {plain(middle, 2)} % on half of "
        f"them; most on CPU {lost[-1][0]}, {lost[-1][1].text('%')}"
    )


def virtual(value: object) -> str:
    """What machine.json says of a hypervisor, in words."""
    if isinstance(value, Mapping):
        guest, kind = value.get("guest"), value.get("kind")
        if guest:
            return f"guest of {kind or 'an unnamed hypervisor'}: the hypervisor can take the CPU without a trace"
        return "unknown" if guest is None else "none found"
    return f"guest of {value}" if value else "unknown"


def unmeasurable(analysis: Analysis, topic: str | None = None) -> Table | None:
    """Cases without a figure, by reason: of one topic, or of the whole run; None where there are none."""
    by_reason: dict[str, list[str]] = {}
    for row in analysis.rows if analysis.rounds else ():
        if row.reason is not None and topic in (None, row.topic):
            by_reason.setdefault(row.reason, []).append(row.case)
    cells = [(reason, str(len(cases)), ", ".join(cases)) for reason, cases in by_reason.items()]
    caption = f"Rows{f' of the topic {topic}' if topic else ''} that cannot be measured on this machine, and why"
    return table(caption, ("reason", "rows", "cases"), cells) if cells else None


def twins_table(analysis: Analysis) -> Table | None:
    """The same code under two names: how far the two differ; None where the run has no such pair."""
    cells = [
        (twin.original, twin.effect_pct.text("%"), str(twin.effect_pct.n))
        for twin in analysis.twins
        if twin.effect_pct.n
    ]
    return (
        table(
            "A/A rows: how far the same code differs under two names",
            ("case", "difference [95 % interval]", "rounds"),
            cells,
        )
        if cells
        else None
    )


@dataclass(frozen=True)
class Examination:
    """What the doctor found when the run was made: a sentence, the one change that would help most, and the knobs that
    bend figures.
    """

    sentence: str
    best_change: str
    findings: Table | None


_EXAMINED = {
    FIT: "The doctor found no setting that forbids the profile {profile}. ",
    DISTURBED: "The doctor found this machine disturbed by other work. ",
    NOT_FIT: "The doctor found this machine not fit for the profile {profile}. ",
}
_WORDS = {"unfit": "unfit", "hurts": "hurts", "note": "good to know"}


def examination(run: Mapping[str, object]) -> Examination:
    """The doctor's record in run.json, in words; runs made before there was one say so."""
    record = run.get("doctor")
    if not isinstance(record, Mapping):
        return Examination("This run has no findings of the doctor. Run `fencepost doctor`.", "", None)
    findings = [item for item in record.get("findings") or () if isinstance(item, Mapping)]
    grave = [item for item in findings if item.get("severity") in ("unfit", "hurts")]
    word = doctor_word((item.get("knob"), item.get("severity")) for item in findings)
    # Of the settings alone: whether the figures are sure, the run itself says better.
    sentence = _EXAMINED[word].format(profile=record.get("profile"))
    names = ", ".join(_knob(item) for item in grave)
    sentence += (
        f"{counted(len(grave), 'setting')} {'spoils' if len(grave) == 1 else 'spoil'} figures: {names}."
        if grave
        else "No setting that it can read spoils figures."
    )
    best = next((item for item in grave if item.get("knob") == record.get("best_change")), None)
    change = (
        f"{_knob(best)}, {best.get('change')}{' (needs a reboot)' if best.get('reboot') else ''}"
        if best is not None and best.get("change")
        else ""
    )
    cells = [
        (
            _knob(item),
            _WORDS.get(str(item.get("severity")), str(item.get("severity"))),
            DASH if item.get("value") is None else str(item.get("value")),
            str(item.get("effect", "")),
            f"{item['change']}{' (needs a reboot)' if item.get('reboot') else ''}" if item.get("change") else DASH,
        )
        for item in findings
    ]
    caption = "Findings of the doctor when the run was made: settings that are not as they should be, or cannot be read"
    found = table(caption, ("setting", "severity", "value", "effect", "how to change it"), cells) if cells else None
    return Examination(sentence, change, found)


def _knob(item: Mapping[str, object]) -> str:
    return str(item.get("knob", "")).replace("_", " ")
