"""The text format of OpenMetrics, as the textfile collector of Prometheus's node_exporter takes it.

Source: OpenMetrics 1.0, https://prometheus.io/docs/specs/om/open_metrics_spec/, sections "Text Format" and "Units and
Base Units". Samples have no time, as that collector refuses one; when the run began is a sample by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime

from fencepost.analysis.exchange.exported import Exported
from fencepost.analysis.exchange.formats import measured
from fencepost.analysis.exchange.table import digits
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.labels import bare_id, label_of
from fencepost.analysis.runs.row import Row

_FIGURES: tuple[tuple[str, str, Callable[[Row], float]], ...] = (
    ("fencepost_case_seconds", "Time of one operation, the median over processes.", lambda row: row.time.value / 1e9),
    ("fencepost_case_low_seconds", "Lower end of its interval.", lambda row: row.time.low / 1e9),
    ("fencepost_case_high_seconds", "Upper end of its interval.", lambda row: row.time.high / 1e9),
)


def openmetrics(analysis: Analysis) -> Exported:
    run = analysis.run
    of_run = {"machine": str(run["machine_key"]), "label": label_of(run)}
    rows, _ = measured(analysis)
    lines = []
    for name, words, value in _FIGURES:
        lines += _head(name, words)
        for item in rows:
            figure = value(item.row)
            if math.isfinite(figure):
                of_row = {"case": item.row.case, "kernel": item.row.kernel, "basis": item.row.basis or ""}
                lines.append(f"{name}{_labels({**of_row, **of_run})} {digits(figure)}")
    name = "fencepost_run_created_timestamp_seconds"
    created = datetime.fromisoformat(run["created_utc"]).timestamp()
    lines += [*_head(name, "When the run began."), f"{name}{_labels({'run': bare_id(run), **of_run})} {created}"]
    return Exported("\n".join([*lines, "# EOF", ""]), [])


def _head(name: str, words: str) -> list[str]:
    return [f"# TYPE {name} gauge", f"# UNIT {name} seconds", f"# HELP {name} {words}"]


def _labels(values: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in values.items() if value) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
