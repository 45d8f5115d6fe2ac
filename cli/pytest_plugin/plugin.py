"""Plugin for pytest: the suite and code of one's own as rows of pytest-benchmark. See docs/pytest.md.

Every pytest of an environment with fencepost loads this module, so it imports nothing but pytest; what works is in
`fencepost.cli.pytest_plugin.rows`, imported when a test asks for one of the fixtures.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fencepost.cli.pytest_plugin.fixture import FencepostBenchmark
    from fencepost.cli.pytest_plugin.rows import BenchmarkRow

ROW = "fencepost_row"


BENCHMARK = "fencepost_benchmark"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the suite; code of one's own needs none."""
    group = parser.getgroup("fencepost")
    group.addoption(
        "--fencepost-profile",
        choices=("quick", "standard", "rigorous"),
        default="quick",
        help="How many processes (8, 20, 40) and which sweeps fencepost measures.  Default: quick.",
    )
    group.addoption(
        "--fencepost-out",
        metavar="DIR",
        help="Keep the run folder with all samples in DIR, e.g. results/runs.  Default: a temporary folder.",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Refuse a path that is not there, of which pytest-benchmark would make an internal error."""
    compare = config.getoption("benchmark_compare", default=None)
    if isinstance(compare, str) and compare.count("/") > 1 and not Path(compare).is_file():
        pytest.exit(
            f"fencepost: --benchmark-compare={compare}: no such file; give one that is there, or a number as 0001",
            returncode=2,
        )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a case of the plan."""
    if ROW in metafunc.fixturenames:
        from fencepost.cli.pytest_plugin.rows import parameters

        metafunc.parametrize(ROW, parameters(metafunc.config), indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test its clock, by the mark that pytest-benchmark has for it."""
    for item in items:
        if BENCHMARK in getattr(item, "fixturenames", ()):
            from fencepost.cli.pytest_plugin.replay import SampleClock

            mark = item.get_closest_marker("benchmark")
            options: dict[str, Any] = dict(mark.kwargs) if mark else {}
            item.add_marker(pytest.mark.benchmark(**options | {"timer": SampleClock()}), append=False)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse options that pytest-benchmark looks at after the last row, where rows of ours are selected."""
    if any({ROW, BENCHMARK}.intersection(getattr(item, "fixturenames", ())) for item in session.items):
        from fencepost.cli.pytest_plugin.rows import require_usable_options

        require_usable_options(session.config)


@pytest.fixture
def fencepost_row(request: pytest.FixtureRequest, benchmark: Any) -> BenchmarkRow:
    """A measured case of the suite. All selected ones are measured together, when the first is asked for."""
    from fencepost.cli.pytest_plugin.rows import row

    return row(request, enabled=benchmark.enabled)


@pytest.fixture
def fencepost_benchmark(request: pytest.FixtureRequest, benchmark: Any) -> FencepostBenchmark:
    """Times Python callables and C kernels with the tick counter, and hands the samples to pytest-benchmark."""
    from fencepost.cli.pytest_plugin.fixture import FencepostBenchmark

    mark = request.node.get_closest_marker("benchmark")
    return FencepostBenchmark(benchmark, mark.kwargs["timer"], request)


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Add what a figure depends on to what pytest-benchmark stores; only sessions that save or compare come here."""
    from fencepost.cli.pytest_plugin.rows import machine_facts

    machine_info["fencepost"] = machine_facts()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: Any) -> Generator[None, object, object]:
    """Say where the samples are, and what the run thinks of itself; where ``--benchmark-compare-fail`` ends the
    session, end it in a sentence.
    """
    import sys

    # Not imported: no test asked for anything of ours.
    rows = sys.modules.get("fencepost.cli.pytest_plugin.rows")
    if rows is None:
        return (yield)
    failed = False
    try:
        result = yield
    except Exception as error:
        if not rows.is_regression(error):
            raise
        failed, result = True, None  # its rows are listed above; a traceback would say no more
    for sentence in rows.closing_words(terminalreporter.config):
        terminalreporter.write_line(sentence)
    if failed:
        pytest.exit("a row is slower than --benchmark-compare-fail allows: see above", returncode=1)
    return result
