"""`fencepost peers`: the library's rings beside those of others, in one run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fencepost.cli.options import json_option, load_kernel_files, verbose_option

if TYPE_CHECKING:
    from fencepost.analysis.compare.peers import PeerComparison


@click.command(name="peers")
@click.argument("folder", type=click.Path(path_type=Path), default=Path("examples") / "peers")
@click.option("--rounds", type=click.IntRange(1, 100_000), help="Number of rounds (processes).  [default: 20]")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Seed for the order of cases.  [default: random]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for run folders.  [default: results/runs]")
@click.option("--from", "stored", metavar="RUN", help="Print the tables of this run again; measure nothing.")
@json_option
@verbose_option
def peers_command(
    folder: Path, rounds: int | None, seed: int | None, out: Path | None, stored: str | None, as_json: bool
) -> None:
    """Compare our rings (csrc/lib/ring) with those of other libraries, and print the ratios.

    FOLDER has one file for each library; a library is measured if its headers are installed. All are rows of one run:
    each round measures every ring once, in shuffled order, on the same two CPUs.
    """
    from fencepost.bench import runfolder

    path = runfolder.find(stored) if stored is not None else _measure(folder, rounds, seed, out, quiet=as_json)
    from fencepost.analysis.compare import peers
    from fencepost.analysis.compare.peers import compare_peers
    from fencepost.analysis.runs.estimate import analyse
    from fencepost.cli import display

    comparison = compare_peers(analyse(path))
    if as_json:
        display.print_json({"folder": str(path), **peers.as_json(comparison)})
    else:
        _show(comparison, path)


def _measure(folder: Path, rounds: int | None, seed: int | None, out: Path | None, *, quiet: bool) -> Path:
    import os
    import secrets

    from fencepost.bench import runfolder
    from fencepost.bench.catalog import read_catalog
    from fencepost.bench.describe import describe_run
    from fencepost.bench.engine import load
    from fencepost.bench.machine import describe_machine
    from fencepost.bench.peers_plan import find_peers, peers_plan
    from fencepost.bench.placement import allowed_cpus
    from fencepost.bench.plan import placer_on
    from fencepost.bench.progress import Progress
    from fencepost.bench.runner import Runner
    from fencepost.bench.topology import read_topology

    engine = load()
    found = find_peers(folder)
    for name, header, package in found.missing:
        click.echo(f"{name}: left out, {header} is not installed (Debian: apt install {package})", err=True)
    if not quiet:
        click.echo(f"compiling {', '.join(file.name for file in found.files) or 'nothing'} …", err=True)
    own = load_kernel_files(engine, found.files, "")
    topology = read_topology(cpus=os.sched_getaffinity(0))
    allowed = allowed_cpus(topology)
    plan = peers_plan(
        engine,
        read_catalog(engine, [item.label for item in own]),
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
    with runfolder.create(base, machine, describe_run(engine, plan, own)) as run:
        Runner(engine, run, progress).run()
        return run.path


def _show(comparison: PeerComparison, path: Path) -> None:
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
    bars: list[tuple[Any, ...]] = []
    for bar in comparison.bars:
        asked = f"{'≥' if bar.at_least else '≤'} {bar.limit:g}{' x' if bar.at_least else ''}"
        bars.append((bar.what, bar.against, asked, _figure(bar.seen.value), _range(bar.seen), bar.verdict))
    columns = ("bar", "against", "asked", "seen", "95 % interval", "verdict")
    right = ("asked", "seen", "95 % interval")
    out.print(display.table("time of the peer ÷ ours", columns, bars, right=right, whole=columns[1:]))
    out.print(
        f"{comparison.measured} values, {comparison.set_aside} of them set aside because the raw hand-over drifted by "
        f"more than 1.35 x beside them; samples: {display.short_path(path)}",
        soft_wrap=True,
    )


def _figure(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3g}"


def _range(interval: Any) -> str:
    return "" if math.isnan(interval.low) else f"[{interval.low:.3g}, {interval.high:.3g}]"
