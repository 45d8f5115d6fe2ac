"""`make fuzz`: many hostile inputs over every reader, resumable, with figures by reader.

The state lies in build/fuzz: an interrupted call goes on where it was. Exit status 1: there were faults.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from fuzz import corpus
from fuzz.oracle import CHUNK, Tally, try_chunk
from fuzz.readers import READERS, Reader

STATE = Path("build/fuzz")


def _state_file(seed: int) -> Path:
    return STATE / f"seed-{seed}.json"


def _load(seed: int) -> dict[str, Tally]:
    try:
        found = json.loads(_state_file(seed).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return {name: Tally(**tally) for name, tally in found.items()}


def _keep(seed: int, tallies: dict[str, Tally]) -> None:
    STATE.mkdir(parents=True, exist_ok=True)
    new = _state_file(seed).with_suffix(".new")
    new.write_text(json.dumps({name: asdict(tally) for name, tally in tallies.items()}), encoding="utf-8")
    new.replace(_state_file(seed))


def table(tallies: dict[str, Tally], readers: tuple[Reader, ...]) -> str:
    """Figures by reader as a table in Markdown."""
    lines = [
        "| reader | what is read | inputs | accepted | refused | faults |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    whole = Tally()
    for reader in readers:
        tally = tallies.get(reader.name, Tally())
        whole.add(tally)
        lines.append(_line(reader.name, reader.what, tally))
    return "\n".join([*lines, _line("**all**", "", whole)])


def _line(name: str, what: str, tally: Tally) -> str:
    return f"| {name} | {what} | {tally.inputs} | {tally.accepted} | {tally.refused} | {len(tally.faults)} |"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description="Try hostile inputs over every reader.")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="of all readers together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--reader", action="append", choices=[reader.name for reader in READERS], help="only this one")
    given = parser.parse_args()
    readers = tuple(reader for reader in READERS if given.reader is None or reader.name in given.reader)
    tallies = _load(given.seed)
    corpus.prepare()
    for reader in readers:
        tally = tallies.setdefault(reader.name, Tally())
        wanted = round(reader.of_million * given.inputs / 1_000_000)
        since, before = time.monotonic(), tally.inputs
        while tally.inputs < wanted:
            known = len(tally.faults)
            tally.add(
                try_chunk(reader.make, reader.name, given.seed, range(tally.inputs, min(wanted, tally.inputs + CHUNK)))
            )
            _keep(given.seed, tallies)
            for fault in tally.faults[known:]:
                print(fault, flush=True)
        took = time.monotonic() - since
        print(f"{reader.name}: {tally.inputs - before} inputs in {took:.0f} s", file=sys.stderr, flush=True)
    print(table(tallies, readers))
    return int(any(tallies[reader.name].faults for reader in readers))


if __name__ == "__main__":
    raise SystemExit(main())
