"""What a comparison of imported runs cannot know, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from fencepost.analysis.runs.estimate import Analysis
from fencepost.bench import schema

CAVEAT = (
    "imported figures: nothing tells how quiet the machine was, and two machines may have processors of one name. "
    "A verdict is about these files"
)
UNNAMED = (
    "the imported files do not name their processor, so these count as several machines. If they are of one, import "
    "them again with the same --label"
)


def facts_of(run: Analysis) -> dict[str, str]:
    """What the files of an imported run say of their machine and tools; empty for another run."""
    return run.run[schema.IMPORTED].get("facts", {}) if schema.IMPORTED in run.run else {}


def notes_on_imports(old: Analysis, new: Analysis) -> list[str]:
    """The caveat of a verdict on imported figures, and in what their files differ."""
    if not any(schema.IMPORTED in run.run for run in (old, new)):
        return []
    first, second = facts_of(old), facts_of(new)
    differ = [
        f"{name} ({first[name]}, then {second[name]})" for name in first if second.get(name, first[name]) != first[name]
    ]
    return [CAVEAT, *([f"the files differ in {', '.join(differ)}: a change may come from it"] if differ else [])]


def unnamed(runs: Sequence[Analysis]) -> list[str]:
    """The way out where imported runs count as several machines because nothing names them."""
    imported = all(schema.IMPORTED in run.run for run in runs)
    return [UNNAMED] if imported and not any("CPU" in facts_of(run) for run in runs) else []
