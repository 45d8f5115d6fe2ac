"""What has to be planted in stored rows for each verdict on filters."""

from __future__ import annotations

from topics.stored import Change, Plant, Planted, Stored, in_turn

from fencepost.analysis.topics.claim import Outcome


def two_stages(small: Change, large: Change) -> Plant:
    """Without a hit two stages take so many times what they are stored with, in the small set and in the large one."""

    def plant(run: Stored) -> Stored:
        run = run.scale(small, "filter/bloom", by="two_stages", hits_pct=0, keys=1000)
        return run.scale(large, "filter/bloom", by="two_stages", hits_pct=0, keys=100000)

    return plant


PLANTED: Planted = {
    "filter/two_stages": {
        Outcome.CONFIRMED: two_stages(0.1, 0.1),
        Outcome.DEPENDS: two_stages(3.0, 0.1),
        Outcome.UNDECIDED: two_stages(3.0, in_turn(0.1, 100.0)),
        Outcome.REFUTED: two_stages(3.0, 100.0),
    },
}
