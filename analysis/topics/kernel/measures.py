"""What is computed from several rows of the topic kernel."""

from __future__ import annotations

SIZES = (1, 64, 1024, 4096, 16384, 65536, 262144, 1048576)
"""Bytes of the transfers of kernel/copy, as its metrics are named."""
