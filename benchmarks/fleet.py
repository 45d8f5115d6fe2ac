"""Rates of a fleet's report: how often it names a host that is like the others, and one that is slow.

    python benchmarks/fleet.py --fleets 1000

The noise: runs of a host differ by 1 % (standard deviation of logarithms), hosts by 1 %, both normal. Hosts differ in
each case for itself (``apart``), or half of the variance is common to all cases of a host (``common``), or to groups of
ten cases (``groups``). Runs may have heavy tails (``tails``: t of 3 degrees of freedom), and so may hosts (``far``: t
of 5). One host takes 3 % longer in ten cases that are drawn.
"""

from __future__ import annotations

import argparse
import math
import sys

import numpy as np
import numpy.typing as npt

from fencepost.analysis.stats.hosts import apart, host_values

Values = npt.NDArray[np.float64]
BETWEEN, WITHIN = 0.01, 0.01
FACTOR, CASES_HIT = 1.03, 10
MODELS = ("apart", "common", "groups", "tails", "far")


def fleet(generator: np.random.Generator, shape: tuple[int, int, int], model: str, between: float = BETWEEN) -> Values:
    """Logarithms of a fleet of equal hosts, shape (hosts, runs, cases)."""
    hosts, runs, cases = shape
    own = generator.standard_normal((hosts, 1, cases))
    if model == "common":
        own = (own + generator.standard_normal((hosts, 1, 1))) / math.sqrt(2)
    elif model == "groups":
        groups = generator.standard_normal((hosts, 1, -(-cases // 10)))
        own = (own + np.repeat(groups, 10, axis=2)[:, :, :cases]) / math.sqrt(2)
    elif model == "far":
        own = generator.standard_t(5, (hosts, 1, cases)) / math.sqrt(5 / 3)
    noise = generator.standard_normal((hosts, runs, cases))
    if model == "tails":
        noise = generator.standard_t(3, (hosts, runs, cases)) / math.sqrt(3)
    found: Values = between * own + WITHIN * noise
    return found


def named(values: Values, slow: int | None = None) -> tuple[bool, bool]:
    """Whether the slow host is named, and whether another one is."""
    hosts = {one.host for one in apart(host_values(values))}
    return slow in hosts, bool(hosts - {slow})


def main() -> None:
    """Print the rates that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, number in (("fleets", 1000), ("hosts", 50), ("runs", 5), ("cases", 100), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--between", type=float, default=BETWEEN)
    parser.add_argument("--factor", type=float, default=FACTOR)
    parser.add_argument("--model", choices=MODELS, default=MODELS[0])
    asked = parser.parse_args()
    generator = np.random.default_rng(asked.seed)
    wrong = found = others = 0
    for _ in range(asked.fleets):
        values = fleet(generator, (asked.hosts, asked.runs, asked.cases), asked.model, asked.between)
        wrong += named(values)[1]
        values[0, :, generator.choice(asked.cases, CASES_HIT, replace=False)] += math.log(asked.factor)
        slow, other = named(values, 0)
        found, others = found + slow, others + other
    rates = (f"{count / asked.fleets:.2%}" for count in (wrong, found, others))
    text = "{} of equal fleets with a host named; slow host found in {}; another named in {}".format(*rates)
    sys.stdout.write(f"{asked.model}: {text}\n")


if __name__ == "__main__":
    main()
