"""Cases of the topic coroutine with a known truth."""

from __future__ import annotations

from runs.write import Case

ROUND_TRIP_NS = {
    "call": 2.0,
    "jump": 7.0,
    "ret": 21.0,
    "jump_fp": 13.0,
    "longjmp": 41.0,
    "swapcontext": 540.0,
    "boost": 14.0,
}


def coroutine_cases() -> list[Case]:
    """coroutine/switch by each way; a hundred coroutines take twice as long as one."""
    return [
        Case(
            "coroutine/switch",
            {"by": by, "coroutines": count, "stacks": "coloured"},
            ns=ns * (1 if count == 1 else 2),
            unit="round trip",
        )
        for by, ns in ROUND_TRIP_NS.items()
        for count in (1, 100)
    ]
