"""Files of other tools, and the runs that they are imported as."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fencepost.analysis.exchange.formats import Parsed
from fencepost.analysis.exchange.importing import import_files, parse, read_bytes
from fencepost.bench import runfolder, schema

GOOGLE: dict[str, Any] = {
    "context": {"date": "2026-01-01", "num_cpus": 2, "library_version": "v1.9"},
    "benchmarks": [
        {"name": "BM_a", "run_name": "BM_a", "run_type": "iteration", "real_time": 2.0, "time_unit": "us"},
        {"name": "BM_a", "run_name": "BM_a", "run_type": "iteration", "real_time": 4.0, "time_unit": "us"},
        {
            "name": "BM_a_mean",
            "run_name": "BM_a",
            "run_type": "aggregate",
            "aggregate_name": "mean",
            "real_time": 3.0,
            "time_unit": "us",
        },
        {
            "name": "BM_b_median",
            "run_name": "BM_b",
            "run_type": "aggregate",
            "aggregate_name": "median",
            "real_time": 7.0,
            "time_unit": "ms",
        },
        {"name": "BM_c", "run_name": "BM_c", "error_occurred": True, "error_message": "no such device"},
    ],
}


def pytest_file(values: list[float], name: str = "test_a", **stats: Any) -> dict[str, Any]:
    return {
        "machine_info": {"cpu": {"brand_raw": "Some CPU"}},
        "benchmarks": [{"fullname": name, "stats": {"data": values, **stats}}],
        "version": "5.1.0",
    }


def parsed_file(path: Path) -> Parsed:
    return parse(str(path), read_bytes(path))


def imported(tmp_path: Path, *files: Path | str) -> Path:
    """The run folder that `files` come to."""
    document, machine, rows = import_files(files)
    with runfolder.create(tmp_path / "runs", machine, document) as folder:
        runfolder.atomic_write(folder.path / schema.ROWS_FILE, rows(folder.run))
    return folder.path


def stored(tmp_path: Path, content: str | bytes | dict[str, Any], name: str = "file.json") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else _text(content).encode())
    return path


def _text(content: str | dict[str, Any]) -> str:
    return content if isinstance(content, str) else json.dumps(content)
