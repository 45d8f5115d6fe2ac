"""Files of hyperfine (``--export-json``)."""

from __future__ import annotations

from collections.abc import Mapping

from fencepost.analysis.exchange.formats import Benchmark, Parsed, Place, Reading
from fencepost.analysis.text.escape import one_line


def read_hyperfine(at: Place, document: Mapping[str, object]) -> Parsed:
    """Each time of a command is one process of it: hyperfine starts it anew."""
    reading = Reading(at["results"])
    for i, item in enumerate(at["results"].sequence(document["results"])):
        with reading.row():
            here = at["results"][i]
            reading.found.append(_benchmark(here, here.mapping(item)))
    reading.left_out += [
        f"{at.file}: {one_line(item.name, 80)}: {item.failures}" for item in reading.found if item.failed
    ]
    return reading.parsed("hyperfine", None, None)


def _benchmark(here: Place, entry: Mapping[str, object]) -> Benchmark:
    name = here["command"].name(entry.get("command"))
    given = entry.get("parameters")
    if isinstance(given, dict) and given:
        # A command with a name of its own (-n) does not tell its parameters.
        told = ",".join(f"{key}={value}" for key, value in given.items())
        name = here["parameters"].name(f"{name}[{told}]")
    if "times" not in entry:
        value = here["median"].number(entry.get("median", entry.get("mean"))) * 1e9
        floor = here["min"].number(entry.get("min", entry.get("median", entry.get("mean")))) * 1e9
        return Benchmark(name, [[value]], {"unit": "execution"}, floor)
    times = here["times"].sequence(entry["times"])
    codes = entry.get("exit_codes")
    codes = codes if isinstance(codes, list) and len(codes) == len(times) else [0] * len(times)
    failed = tuple(f"exit status {one_line(str(code), 20)}" for code in codes if code != 0)
    values = [here["times"][k].number(value) * 1e9 for k, value in enumerate(times) if codes[k] == 0]
    if not values and not failed:
        raise here["times"].wrong("no time is there")
    return Benchmark(name, [[value] for value in values], {"unit": "execution"}, failed=failed)
