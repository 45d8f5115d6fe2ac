"""Folders of many hosts' runs, packed with figures that were chosen: no batch is written for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from runs.write import plain_cases, write_run

from fencepost.analysis.runs import kept, packed
from fencepost.analysis.runs.estimated import analysis_of
from fencepost.analysis.runs.row import SERIES_COLUMNS
from fencepost.bench import schema

START = datetime(2026, 1, 2, tzinfo=UTC)


class FleetWriter:
    """Writes runs that are like one model run of `cases` cases, but for their figures."""

    def __init__(self, folder: Path, cases: int) -> None:
        self.model = write_run(folder / "model", plain_cases(cases), rounds=6, unmeasurable=[])
        analysis_of(self.model)
        self.run, self.machine = schema.read_run(self.model), (self.model / schema.MACHINE_FILE).read_bytes()
        table = packed.read(self.model, kept.key_of(self.model), packed.LAYOUT.names)
        assert table is not None
        place = table.schema.get_field_index(packed.REDUCED)
        self.table = table.set_column(place, packed.REDUCED, pa.array([b""] * len(table)))

    def write(
        self,
        folder: Path,
        factors: npt.NDArray[np.float64],
        *,
        created: datetime = START,
        labels: Mapping[str, str] | None = None,
        **changes: Any,
    ) -> Path:
        """A run in which each case takes `factors` (cases,) times as long as in the model.

        `changes` are fields of run.json, such as ``machine_key``.
        """
        folder.mkdir(parents=True)
        when = f"{created:%Y-%m-%dT%H:%M:%SZ}"
        name = str(folder.relative_to(folder.parents[1])).replace("/", "-")
        document: dict[str, Any] = {
            **self.run,
            "id": name,
            "created_utc": when,
            **({"labels": dict(labels)} if labels else {}),
        }
        document |= changes
        (folder / schema.RUN_FILE).write_text(json.dumps(document))
        (folder / schema.MACHINE_FILE).write_bytes(self.machine)
        (folder / schema.ROWS_FILE).write_bytes(b"")
        of_run = {"run": document["id"], "created_utc": when, "machine_key": document["machine_key"]}
        of_run |= {"host": (labels or {}).get("host", ""), "label": (labels or {}).get("name", "")}
        made_with = json.loads(self.table["made_with"][0].as_py()) | {"engine": document["engine"]["sha256"]}
        of_run["made_with"] = json.dumps(made_with)
        columns = {column: pa.array([value] * len(self.table)) for column, value in of_run.items()}
        columns |= {column: pa.array(self.table[column].to_numpy() * factors) for column in SERIES_COLUMNS}
        varied = pa.table([columns.get(column, self.table[column]) for column in packed.LAYOUT.names], packed.LAYOUT)
        kept.put(folder, packed.NAME, packed.sealed(varied, kept.key_of(folder) or ""))
        return folder

    def fleet(self, base: Path, factors: npt.NDArray[np.float64], **more: Any) -> Path:
        """Hosts ``h00``, ``h01``, …; `factors` has shape (hosts, runs, cases)."""
        for host, own in enumerate(factors):
            for number, run in enumerate(own):
                created = START + timedelta(minutes=10 * number)
                self.write(base / f"h{host:02d}" / f"run{number}", run, created=created, **more)
        return base
