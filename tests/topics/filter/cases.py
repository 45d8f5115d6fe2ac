"""Cases of the topic filter with a known truth."""

from __future__ import annotations

from runs.write import Case

WRONG_PCT = 0.82


def bloom_cases(in_cache: float = 1.05, wrong_pct: float = WRONG_PCT) -> list[Case]:
    """filter/bloom. In the large set two stages cost as much as the set at 25 % of hits. `in_cache`: how many times as
    much they cost in the small one, without a hit.
    """
    truth = {
        ("set", 1000): (20.0, 20.0),
        ("two_stages", 1000): (20.0 * in_cache, 25.0),
        ("set", 100000): (60.0, 60.0),
        ("two_stages", 100000): (30.0, 150.0),
        ("keys", 1000): (4.0, 4.0),
        ("keys", 100000): (4.0, 4.0),
    }
    return [
        Case(
            "filter/bloom",
            {"by": by, "hits_pct": hits, "keys": keys},
            ns=none + (every - none) * hits / 100,
            unit="question",
            process_noise=0.002,
            counts={"members": 1000},
            metrics={"wrong_pct": wrong_pct, "predicted_pct": 0.8194, "footprint_bytes": 16.0 * keys},
        )
        for (by, keys), (none, every) in truth.items()
        for hits in (0, 50, 100)
    ]
