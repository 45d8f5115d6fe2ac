"""How verdicts are shown: as a table on the terminal, and in Markdown for a pull request."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from fencepost.bench.errors import UsageError
from fencepost.cli.options import Command

if TYPE_CHECKING:
    from fencepost.analysis.compare.comparison import ComparedRow, RunComparison
    from fencepost.analysis.stats.verdict import Decision

HEADER = ("case", "old", "new", "ratio", "interval", "figure", "verdict")
LARGEST_MARGIN_PCT = 50.0
SMALLEST_MARGIN_PCT = 0.01
"""Identical code has been seen to differ by more in calm runs of the steadiest kernels: see docs/experiments.md."""


def margin_option(command: Command) -> Command:
    """``--margin``, passed on as the share `margin`."""
    return click.option(
        "--margin",
        callback=_margin,
        default="1%",
        show_default=True,
        metavar="PERCENT",
        help="Ratios that differ from 1 by at most this margin count as the same.",
    )(command)


def markdown_option(command: Command) -> Command:
    """``--markdown``, passed on as `as_markdown`."""
    return click.option(
        "--markdown", "as_markdown", is_flag=True, help="Print Markdown, for a pull request, instead of tables."
    )(command)


def _margin(_context: click.Context, _parameter: click.Parameter, text: str) -> float:
    number = text.strip().removesuffix("%").strip()
    try:
        percent = float(number)
    except ValueError:
        percent = math.nan
    if math.isnan(percent):
        raise UsageError(f"--margin {text}: not a percentage; write 1% or 0.5%")
    if percent <= 0:
        raise UsageError(f"--margin {text}: must be above 0, as no two measurements are exactly alike; write 1%")
    if percent < 1 and "%" not in text:
        raise UsageError(f"--margin {text}: {percent:g}% or {percent * 100:g}%? Write the sign")
    if percent < SMALLEST_MARGIN_PCT:
        raise UsageError(
            f"--margin {text}: finer than identical code can be told apart; write {SMALLEST_MARGIN_PCT:g}% or more"
        )
    if percent > LARGEST_MARGIN_PCT:
        raise UsageError(
            f"--margin {text}: so coarse that what takes half as long again counts as the same; write "
            f"{LARGEST_MARGIN_PCT:.0f}% or less"
        )
    return percent / 100


def ratio(decision: Decision) -> str:
    """``+2.01 %``, by how much new differs from old; ``x 1.530`` where that is far."""
    return _ratio(decision.ratio)


def interval(decision: Decision) -> str:
    """The bounds of a ratio, in the same way."""
    if not (math.isfinite(decision.low) and math.isfinite(decision.high)):
        return "–"
    return f"[{_ratio(decision.low)}, {_ratio(decision.high)}]"


def _ratio(value: float) -> str:
    from fencepost.analysis.text.numbers import short

    if not math.isfinite(value):
        return "–"
    if 0.5 <= value <= 1.5:
        percent = f"{(value - 1) * 100:+.2f} %"
        return percent.lstrip("+-") if float(percent.rstrip(" %")) == 0 else percent
    return f"x {value:.3f}" if value < 10 else f"x {short(value, 4)}"


def words(row: ComparedRow, round_s: float = math.nan) -> str:
    """The verdict with what belongs to it. `round_s`: how long a round of this comparison takes, in seconds."""
    from fencepost.analysis.stats.verdict import ChangeVerdict

    decision = row.decision
    if decision.verdict is ChangeVerdict.CHANGED:
        return "changed: slower" if decision.ratio > 1 else "changed: faster"
    if decision.verdict is ChangeVerdict.SAME:
        return "same"
    if decision.reason:
        return f"{decision.verdict}: {decision.reason}"
    if not decision.more:
        return "undecided"
    rounds = decision.rounds + decision.more
    return ", ".join(filter(None, (f"undecided: needs {rounds} rounds", time_of(rounds, round_s))))


def time_of(rounds: int, round_s: float) -> str:
    """How long a number of rounds takes, such as ``9 s``; empty where it is not known."""
    from fencepost.cli.display import duration

    return duration(float(f"{rounds * round_s * 1e9:.2g}")) if math.isfinite(round_s) else ""


def cells(row: ComparedRow, round_s: float = math.nan) -> tuple[str, ...]:
    """A row of the table."""
    from fencepost.analysis.text.numbers import nanoseconds

    return (
        row.case,
        nanoseconds(row.old_ns),
        nanoseconds(row.new_ns),
        ratio(row.decision),
        interval(row.decision),
        row.basis,
        words(row, round_s),
    )


def verdict_sentence(comparison: RunComparison) -> str:
    """The report in one sentence."""
    if not comparison.rows:
        return "no row has figures on both sides"
    from fencepost.analysis.stats.verdict import ChangeVerdict
    from fencepost.analysis.text.numbers import short

    counts = [f"{comparison.count(verdict)} {verdict}" for verdict in ChangeVerdict if comparison.count(verdict)]
    rows = "1 row" if len(comparison.rows) == 1 else f"{len(comparison.rows)} rows"
    sentence = f"{rows}: {', '.join(counts)}; margin {comparison.margin * 100:.3g} %"
    if math.isfinite(comparison.noise_floor):
        sentence += f", noise floor {short(comparison.noise_floor * 100, 2)} % (identical code under two names)"
    return sentence


def show(comparison: RunComparison, title: str | None = None) -> None:
    """Print a comparison on the terminal."""
    from fencepost.cli import display

    out = display.console()
    shown = [cells(row, comparison.round_s) for row in comparison.rows]
    if shown:
        out.print(display.table(title, HEADER, shown, right=HEADER[1:5], whole=HEADER[1:5]))
    extra = [(row, "identical code") for row in comparison.twins] + [(row, "control") for row in comparison.controls]
    if extra:
        rows = [(kind, *cells(row)) for row, kind in extra]
        out.print(display.table("beside them", ("", *HEADER), rows, right=HEADER[1:5], whole=HEADER[1:5]))
    display.say(out, (*comparison.notes, verdict_sentence(comparison)))


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table in Markdown; everything in it is text."""
    from fencepost.analysis.text.escape import markdown

    lines = ["| " + " | ".join(map(markdown, header)) + " |", "|" + " --- |" * len(header)]
    return lines + ["| " + " | ".join(markdown(cell) or " " for cell in row) + " |" for row in rows]


def as_markdown(comparison: RunComparison, title: str) -> str:
    """A comparison in Markdown."""
    from fencepost.analysis.text.escape import markdown

    said = [*comparison.sentences, verdict_sentence(comparison)]
    lines = [f"### {markdown(title)}", "", *(line for sentence in said for line in (markdown(sentence), ""))]
    if comparison.rows:
        lines += markdown_table(HEADER, [cells(row, comparison.round_s) for row in comparison.rows])
    extra = [(row, "identical code") for row in comparison.twins] + [(row, "control") for row in comparison.controls]
    if extra:
        beside = markdown_table(("", *HEADER), [(kind, *cells(row)) for row, kind in extra])
        lines += ["", "<details><summary>Identical code, and controls</summary>", "", *beside, "", "</details>"]
    for note in comparison.notes:
        lines += ["", markdown(note)]
    return "\n".join(lines) + "\n"
