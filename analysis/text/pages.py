"""The place of the pages about the topics."""

from pathlib import Path

PAGES = Path(__file__).resolve().parents[2] / "docs" / "topics"
"""docs/topics of a checkout, or the copy that an installed package carries."""
