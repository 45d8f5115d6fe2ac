"""Profiles: how much is measured of each case, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypedDict


class Amount(TypedDict):
    """How much is measured of a case in a round: members of C's ``struct settings``, and fields of `Plan`."""

    batches: int
    warmup_batches: int
    batch_ns: int
    quiet_batches: int
    most_batches: int


@dataclass(frozen=True)
class Profile:
    """How much is measured: rounds (processes), and batches in each case of a round."""

    name: str
    rounds: int
    batches: int
    warmup_batches: int
    batch_ns: int
    most_threads_per_cpu: int = 4
    """Placements with more threads on a CPU than this are for longer profiles."""
    sweeps: str = ""
    """The profile whose values of parameters it runs through, if not its own."""
    kernels: tuple[str, ...] = ()
    """What it measures where nothing is named; all kernels that are not opt-in, if empty."""
    quiet_batches: int = 8
    """A case of one thread goes on in its round until so many batches were quiet, see `fencepost.bench.witness`."""
    most_batches: int = 160
    """And to no more batches than this."""

    @property
    def amount(self) -> Amount:
        """How much is measured of a case in a round."""
        return {
            "batches": self.batches,
            "warmup_batches": self.warmup_batches,
            "batch_ns": self.batch_ns,
            "quiet_batches": self.quiet_batches,
            "most_batches": self.most_batches,
        }


_PROFILES = {
    "quick": Profile("quick", rounds=8, batches=12, warmup_batches=2, batch_ns=25_000, most_threads_per_cpu=1),
    "standard": Profile("standard", rounds=20, batches=30, warmup_batches=4, batch_ns=25_000, most_threads_per_cpu=2),
    "rigorous": Profile("rigorous", rounds=40, batches=60, warmup_batches=3, batch_ns=25_000, most_batches=320),
}
PROFILES: Mapping[str, Profile] = {
    **_PROFILES,
    # With an engine of its own: bench/pgo.py.
    "pgo": replace(_PROFILES["standard"], name="pgo", sweeps="standard", kernels=("branch/likely", "branch/pgo")),
}
