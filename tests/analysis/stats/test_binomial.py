"""The binomial distribution and the fitted line, against scipy.stats."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from fencepost.analysis.stats.binomial import at_least, at_most
from fencepost.analysis.stats.curves import line_through
from fencepost.analysis.stats.verdict import bound_rank


@pytest.mark.parametrize("share", [0.05, 0.5, 0.97])
@pytest.mark.parametrize("n", [1, 6, 20, 129])
def test_both_tails_are_those_of_scipy(n: int, share: float) -> None:
    from scipy import stats  # imported by few: it takes a second

    for k in range(-1, n + 1):
        assert math.isclose(at_most(k, n, share), stats.binom.cdf(k, n, share), rel_tol=1e-10, abs_tol=1e-300)
        assert math.isclose(at_least(k, n, share), stats.binom.sf(k - 1, n, share), rel_tol=1e-10, abs_tol=1e-300)


@pytest.mark.parametrize("error", [0.4, 0.05, 0.01, 1e-6, 1e-40])
def test_a_rank_is_the_largest_that_the_error_allows(error: float) -> None:
    from scipy import stats  # imported by few: it takes a second

    for n in (1, 5, 6, 20, 101, 2000):
        k = bound_rank(n, error)
        assert k == 0 or stats.binom.cdf(k - 1, n, 0.5) <= error
        assert stats.binom.cdf(k, n, 0.5) > error


def test_a_line_is_that_of_scipy() -> None:
    from scipy import stats  # imported by few: it takes a second

    x = np.array([24.0, 32, 48, 64])
    y = x * 0.9 + np.array([0.1, -0.2, 0.3, 0.0])
    fit = stats.linregress(x, y)
    assert line_through(x, y) == (fit.slope, fit.intercept)


@pytest.mark.slow  # all modules in a process of their own
def test_an_answer_does_not_import_scipy_stats() -> None:
    code = (
        "import sys\nimport fencepost.analysis.compare.runs, fencepost.analysis.report.data\n"
        "import fencepost.analysis.compare.fleet, fencepost.analysis.compare.selfcheck\n"
        "from fencepost.analysis.topics.claim import claims\nclaims()\nsys.exit(repr('scipy.stats' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "False"
