"""`fencepost peers`: the library's rings beside those of others, in one run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fencepost.cli.options import json_option, label_option, load_kernel_files, verbose_option

if TYPE_CHECKING:
    from rich.console import Console

    from fencepost.analysis.compare.peers import PeerComparison
    from fencepost.analysis.compare.peers_latency import LatencyRow


@click.command(name="peers")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[FOLDER | FILE...]")
@click.option(
    "--include",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of headers of other libraries.",
)
@click.option("--rounds", type=click.IntRange(1, 100_000), help="Number of rounds (processes).  [default: 20]")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Seed for the order of cases.  [default: random]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for run folders.  [default: results/runs]")
@label_option
@click.option(
    "--picture",
    type=click.Path(path_type=Path),
    metavar="FILE.svg",
    help="Draw the picture here.  [default: peers.svg in the run]",
)
@click.option("--from", "stored", metavar="RUN", help="Print the tables of this run again, and measure nothing.")
@json_option
@verbose_option
def peers_command(
    paths: tuple[Path, ...],
    include: tuple[Path, ...],
    rounds: int | None,
    seed: int | None,
    out: Path | None,
    labels: dict[str, str],
    picture: Path | None,
    stored: str | None,
    as_json: bool,
) -> int:
    """Compare fencepost's rings (csrc/lib/ring) with those of other libraries, and print the ratios.

    The package knows several libraries, and measures those whose headers are installed. Name a FOLDER to measure the
    queues of its files instead.

    A FILE has your own queues, as `fencepost new --ring NAME` writes it. They are measured beside all others.
    All are rows of one run. Each round measures every queue once, in shuffled order, on the same two CPUs.

    A picture shows latency against throughput. If a queue of a FILE fails its check, the other rows are kept, and the
    exit code is 1.
    """
    from fencepost.bench import runfolder
    from fencepost.bench.errors import EXIT_GATE, UsageError
    from fencepost.cli import extras

    extras.require()

    if picture is not None and (picture.suffix != ".svg" or not picture.parent.is_dir()):
        raise UsageError(f"--picture {picture}: write a name that ends in .svg, in a folder that exists")
    given = _given(paths, include)
    if stored is not None and labels:
        raise UsageError("--label with --from: the labels are those of the run that was measured; leave it out")
    path = runfolder.find(stored) if stored is not None else _measure(given, rounds, seed, out, labels, quiet=as_json)
    from fencepost.analysis.compare import peers_json, peers_latency
    from fencepost.analysis.compare.peers import compare_peers
    from fencepost.analysis.runs.estimate import analyse
    from fencepost.cli import display

    mine = _own_kernels(path)
    analysis = analyse(path)
    comparison, latency = compare_peers(analysis, mine), peers_latency.latency_rows(analysis)
    drawn = _draw(comparison, picture or path / "peers.svg")
    if as_json:
        shown = None if drawn is None else str(drawn)
        found = {**peers_json.as_json(comparison), "latency": peers_latency.as_json(latency)}
        display.print_json({"folder": str(path), "picture": shown, **found})
    else:
        _show(comparison, latency, path)
        if drawn is not None:
            click.echo(f"picture: {display.short_path(drawn)}")
    faults = _faults(comparison, latency, mine)
    for sentence in faults:
        click.echo(f"fencepost: {sentence}", err=True)
    return EXIT_GATE if faults else 0


@dataclass(frozen=True)
class _Given:
    """What is to be measured: the files of a folder that name their header, and files of the user's own."""

    folder: Path
    files: tuple[Path, ...]
    include: tuple[Path, ...]
    """Folders of headers."""


def _given(paths: Sequence[Path], include: Sequence[Path]) -> _Given:
    from fencepost.bench import sources
    from fencepost.bench.errors import UsageError

    folders = [path for path in paths if path.is_dir()]
    if len(folders) > 1:
        raise UsageError(f"{folders[1]}: a second folder; name one folder, and files")
    missing = next((path for path in (*paths, *include) if not path.exists()), None)
    if missing is not None:
        raise UsageError(f"{missing}: no such file or folder")
    return _Given(
        folders[0] if folders else sources.PEERS,
        tuple(path for path in paths if not path.is_dir()),
        tuple(include),
    )


def _own_kernels(path: Path) -> dict[str, str]:
    """Of each kernel of the user's files its file."""
    from fencepost.bench import schema, sources

    shipped = {file.name for file in sources.PEERS.glob("*")}
    labels = {case["kernel"]: case.get("object", "") for case in schema.read_run(path)["plan"]["cases"]}
    return {name: label for name, label in labels.items() if label and label not in shipped}


def _faults(comparison: PeerComparison, latency: Sequence[LatencyRow], mine: Mapping[str, str]) -> list[str]:
    """A sentence for each queue of the user's that failed."""
    # A case has a cell for each place of the CPUs, and counts once.
    failed: dict[str, dict[str, str | None]] = {}
    rings = [(ring.name, ring.case, ring.reason) for cell in comparison.cells for ring in cell.rings if ring.faults]
    for name, case, reason in (*rings, *((row.name, row.case, row.reason) for row in latency if row.reason)):
        if name in mine:
            failed.setdefault(name, {})[case] = reason
    return [
        f"{mine[name]}: {name} failed in {'1 row' if len(rows) == 1 else f'{len(rows)} rows'}: "
        f"{next(iter(rows.values()))}"
        for name, rows in failed.items()
    ]


def _draw(comparison: PeerComparison, path: Path) -> Path | None:
    """Write the picture; None where there is nothing to draw."""
    from fencepost.analysis.compare.peers_picture import draw_peers

    figure = draw_peers(comparison)
    if figure is None:
        return None
    path.write_text(figure.standalone(), encoding="utf-8")
    return path


def _measure(
    given: _Given, rounds: int | None, seed: int | None, out: Path | None, labels: dict[str, str], *, quiet: bool
) -> Path:
    import os
    import secrets

    from fencepost.bench import runfolder, sources
    from fencepost.bench.catalog import read_catalog
    from fencepost.bench.describe import describe_run
    from fencepost.bench.engine import load
    from fencepost.bench.machine import describe_machine
    from fencepost.bench.peers_plan import find_peers, peers_plan, require_rings
    from fencepost.bench.placement import allowed_cpus
    from fencepost.bench.plan import placer_on
    from fencepost.bench.progress import Progress
    from fencepost.bench.runner import Runner
    from fencepost.bench.topology import read_topology

    engine = load()
    with sources.headers_in(given.include):
        found = find_peers(given.folder)
        for name, header, where in found.missing:
            click.echo(f"{name}: left out, {header} is not installed ({where})", err=True)
        files = (*found.files, *given.files)
        if not quiet:
            click.echo(f"compiling {', '.join(file.name for file in files) or 'nothing'} …", err=True)
        own = load_kernel_files(engine, files, "")
    catalog = read_catalog(engine, [item.label for item in own])
    require_rings(catalog, {item.label: file for file, item in zip(files, own, strict=True) if file in given.files})
    topology = read_topology(cpus=os.sched_getaffinity(0))
    allowed = allowed_cpus(topology)
    plan = peers_plan(
        engine,
        catalog,
        lambda cpus: placer_on(topology, cpus),
        allowed,
        rounds=rounds,
        seed=secrets.randbits(32) if seed is None else seed,
    )
    machine = describe_machine(
        topology=topology,
        cpus=allowed,
        capabilities=engine.capabilities(),
        perf_events=engine.perf_events(),
        tick=engine.tick(),
    )
    base = out or runfolder.DEFAULT_BASE
    progress = Progress()
    if not quiet:
        from fencepost.cli.progress import progress_on

        progress = progress_on()
    with runfolder.create(base, machine, describe_run(engine, plan, own, labels=labels)) as run:
        Runner(engine, run, progress).run()
        return run.path


def _show(comparison: PeerComparison, latency: Sequence[LatencyRow], path: Path) -> None:
    from fencepost.cli import display

    out = display.console()
    for cell in comparison.cells:
        rows = [
            (
                ring.name,
                _figure(ring.value.value),
                _range(ring.value),
                _figure(ring.refused_full),
                _figure(ring.refused_empty),
                ring.reason or "",
            )
            for ring in cell.rings
        ]
        columns = ("ring", cell.unit, "95 % interval", "full/item", "empty/item", "fault")
        out.print(display.table(cell.title, columns, rows, right=columns[1:5], whole=columns[:5]))
    _show_latency(out, latency)
    if comparison.own:
        _show_own(out, comparison)
    else:
        _show_bars(out, comparison)
    display.say(out, _conditions(comparison))
    out.print(f"samples: {display.short_path(path)}", soft_wrap=True)


def _conditions(comparison: PeerComparison) -> list[str]:
    """Sentences on the hour in which it was measured."""
    found = []
    if any(cell.unit == "xraw" for cell in comparison.cells):
        found.append(
            "xraw is the time of an item, in round trips of a bare cache line between the two CPUs. Less is faster. "
            "full/item and empty/item count refused pushes and pops for each item."
        )
    if comparison.places:
        places = [
            f"{place.name} ({_figure(place.distance_ns)} ns there and back) in {place.share * 100:.0f} % of the batches"
            for place in comparison.places
        ]
        found.append(
            f"The host moved the two CPUs: {', '.join(places)}. Each place has its own cells. The rows of latency "
            "are of all batches."
        )
    else:
        found.append(
            f"{comparison.measured} values, {comparison.set_aside} of them set aside because the raw hand-over "
            "drifted by more than ×1.35 beside them."
        )
    if not math.isnan(comparison.quiet):
        found.append(f"The consumer's core was quiet in {comparison.quiet * 100:.0f} % of the batches.")
    return found


def _show_latency(out: Console, latency: Sequence[LatencyRow]) -> None:
    from fencepost.analysis.text.numbers import nanoseconds, short
    from fencepost.cli import display

    for gap_ns in dict.fromkeys(row.gap_ns for row in latency):
        rows = [
            (
                row.name,
                *(_time(quantile.value) for quantile in (row.p50, row.p99, row.p99_9)),
                "" if math.isnan(row.late_pct) else f"{short(row.late_pct, 2)} %",
                _figure(row.ratio.value),
                _range(row.ratio),
                row.reason or "",
            )
            for row in latency
            if row.gap_ns == gap_ns
        ]
        columns = ("ring", "p50", "p99", "p99.9", "late", "p50 ÷ ours", "95 % interval", "fault")
        title = f"latency of an item from when it is due, one item each {nanoseconds(gap_ns, 3)}"
        out.print(display.table(title, columns, rows, right=columns[1:6], whole=columns[:7]))


def _show_own(out: Console, comparison: PeerComparison) -> None:
    from fencepost.cli import display

    rows = [
        (one.name, one.cell, one.against, _figure(one.ratio.value), _range(one.ratio))
        for one in sorted(comparison.own, key=lambda one: one.name)
    ]
    columns = ("queue", "use", "fastest other", "ratio", "95 % interval")
    out.print(
        display.table("time of your queue ÷ the fastest other", columns, rows, right=columns[3:], whole=columns[2:])
    )


def _show_bars(out: Console, comparison: PeerComparison) -> None:
    from fencepost.cli import display

    bars: list[tuple[Any, ...]] = []
    for bar in comparison.bars:
        asked = f"{'≥' if bar.at_least else '≤'} {bar.limit:g}{' x' if bar.at_least else ''}"
        bars.append((bar.what, bar.against, asked, _figure(bar.seen.value), _range(bar.seen), bar.verdict))
    columns = ("bar", "against", "asked", "seen", "95 % interval", "verdict")
    right = ("asked", "seen", "95 % interval")
    out.print(display.table("time of the peer ÷ ours", columns, bars, right=right, whole=columns[1:]))


def _figure(value: float) -> str:
    from fencepost.analysis.text.numbers import short

    return "" if math.isnan(value) else short(value)


def _time(value: float) -> str:
    from fencepost.analysis.text.numbers import nanoseconds

    return "" if math.isnan(value) else nanoseconds(value, 3)


def _range(interval: Any) -> str:
    return "" if math.isnan(interval.low) else f"[{_figure(interval.low)}, {_figure(interval.high)}]"
