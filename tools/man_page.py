"""Writes the manual page before fencepost is installed: `man_page.py FILE`. setup.py calls it; it needs click alone."""

from __future__ import annotations

import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Import the commands from the checkout under the name that they have when they are installed."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "fencepost"
        package.mkdir()
        for room in ("bench", "cli"):
            (package / room).symlink_to(ROOT / room)
        sys.path.insert(0, folder)
        from fencepost.cli.main import cli
        from fencepost.cli.manual import page

        version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
        target = Path(sys.argv[1])
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page(cli, version), encoding="utf-8")


if __name__ == "__main__":
    main()
