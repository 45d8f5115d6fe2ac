"""What a thin installation leaves out: it measures, and what turns samples into figures is an extra."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from fencepost.bench.errors import UsageError

EXTRAS = {
    "analysis": ("duckdb", "jinja2", "markupsafe", "matplotlib", "numpy", "pandas", "pyarrow", "scipy"),
    "pytest": ("pytest", "pytest_benchmark"),
    "fleet": ("ansible",),
    "dask": ("distributed",),
}
"""Of each extra of pyproject.toml the modules by which it is known. Each extra that reads runs brings the analysis."""


def missing(extra: str = "analysis") -> str:
    """What to do where an extra is not installed as a whole, in one sentence; empty where it is."""
    # Not by importing it, which takes a second.
    absent = [name for name in EXTRAS[extra] if not find_spec(name)]
    return _sentence(extra, () if absent == list(EXTRAS[extra]) else absent) if absent else ""


def require(extra: str = "analysis") -> None:
    """Raise `UsageError` before a command measures what it could not evaluate."""
    if told := missing(extra):
        raise UsageError(told)


def advice(error: BaseException) -> str:
    """What to do where a module of an extra is missing; empty for all other errors."""
    name = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    extra = next((extra for extra, names in EXTRAS.items() if name in names), None)
    return "" if extra is None else missing(extra) or _sentence(extra, [name])


def _sentence(extra: str, absent: Sequence[str] = ()) -> str:
    """`absent`: the modules that are missing, where others of the extra are here."""
    what = "figures need the analysis" if extra == "analysis" else f"this needs {extra}"
    which = f"of which {' and '.join(absent)} {'is' if len(absent) == 1 else 'are'}" if absent else "which is"
    return f"{what}, {which} not installed here; pip install 'fencepost[{extra}]'"
