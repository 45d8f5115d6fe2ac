"""What tests of branches look for in machine code."""

from __future__ import annotations

import re

import pytest
from kernels.disassemble import TOOLCHAINS

HINTS = ("plain", "likely", "unlikely", "even", "cold")
CHOOSES = re.compile(r"cmov|set|cs(el|inc|inv|et)|cinc|seqz|snez")
"""Instructions that take the place of a jump."""
each_toolchain = pytest.mark.parametrize("toolchain", TOOLCHAINS, ids=lambda toolchain: toolchain.name)
