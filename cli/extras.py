"""What a thin installation leaves out: it measures, and what turns samples into figures is an extra."""

from __future__ import annotations

from importlib.util import find_spec

from fencepost.bench.errors import UsageError

EXTRAS = {
    "analysis": ("duckdb", "jinja2", "markupsafe", "matplotlib", "pandas", "scipy"),
    "pytest": ("pytest", "pytest_benchmark"),
}
"""Of each extra of pyproject.toml the modules by which it is known. Each extra that reads runs brings the analysis."""


def missing(extra: str = "analysis") -> str:
    """What to do where an extra is not installed, in one sentence; empty where it is."""
    # Not by importing it, which takes a second.
    if all(find_spec(name) for name in EXTRAS[extra]):
        return ""
    return _sentence(extra)


def require(extra: str = "analysis") -> None:
    """Raise `UsageError` before a command measures what it could not evaluate."""
    if told := missing(extra):
        raise UsageError(told)


def advice(error: BaseException) -> str:
    """What to do where a module of an extra is missing; empty for all other errors."""
    name = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    return next((_sentence(extra) for extra, names in EXTRAS.items() if name in names), "")


def _sentence(extra: str) -> str:
    what = "figures need the analysis" if extra == "analysis" else f"this needs {extra}"
    return f"{what}, which is not installed here; pip install 'fencepost[{extra}]'"
