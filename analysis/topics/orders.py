"""Orders of loads and stores that kernels of several topics take as a parameter."""

from __future__ import annotations

PLAIN = "none"
"""No order at all: the control of those that ask for one."""

NOT_ENOUGH = (PLAIN, "c11_acq_rel")
"""Orders that let a load pass an earlier store: under them losses are no failure."""
