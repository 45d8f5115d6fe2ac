"""What the role asks the controller, as ``python -m fencepost.cli.fleet_hosts.receive``. It prints JSON.

===============================  ================================================================
``fetched PLACE SERIES``         whole runs of a series in the folder of a host, and half ones
``take ARCHIVE PLACE HOST SERIES``  puts the runs of an archive into that folder
``oddities TARGETS``             sentences about what targets tell of themselves, a list of lists
===============================  ================================================================
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from fencepost.bench.errors import UsageError
from fencepost.bench.files import parse_json
from fencepost.cli import faults
from fencepost.cli.fleet_hosts.taking import Told, fetched, oddities, take


def main(words: Sequence[str]) -> int:
    """Answer; returns the exit code."""
    try:
        print(json.dumps(_answer(*words)))
    except (Exception, KeyboardInterrupt) as error:
        return faults.report(error)
    return 0


def _answer(what: str, *words: str) -> object:
    if what == "fetched":
        place, series = words
        return fetched(Path(place), series)._asdict()
    if what == "take":
        archive, place, host, series = words
        return take(Path(archive), Path(place), host, series)._asdict()
    (targets,) = words
    found = parse_json("the targets", targets, UsageError, of_ours=False)
    assert isinstance(found, list)  # the role writes it
    return oddities([Told(str(one[0]), str(one[1]), str(one[2]), float(one[3])) for one in found])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
