"""noise/gaps: all time is accounted for, and a machine without gaps is a result."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernels.measure import ENOTSUP, built_engine, kernel, measure
from kernels.program import program


def test_gaps_account_for_the_time_asked_for() -> None:
    measured = measure(built_engine(), "noise/gaps", {"duration_ms": "5"})
    assert measured.status == 0, measured.reason
    assert set(measured.metrics) == {"gaps_per_s", "lost_pct", "longest_us"}
    assert 0 <= measured.metrics["lost_pct"] <= 100
    # Not a second long, unless one of the gaps was: then there are fewer in a second than were seen.
    assert (measured.metrics["gaps_per_s"] > 0) == (measured.outcome.events > 0)
    assert (measured.metrics["longest_us"] > 1) == (measured.outcome.events > 0)
    assert len(measured.samples) == min(1, measured.outcome.events)


def test_each_cpu_has_its_own_row() -> None:
    assert kernel("noise/gaps").place == "each_cpu"
    assert [kernel("noise/gaps").parameters[0].sweep(profile) for profile in ("quick", "standard", "rigorous")] == [
        (20,),
        (50,),
        (200,),
    ]


@pytest.mark.parametrize("duration", ["0", "-1", "10001"])
def test_durations_out_of_range_are_refused(duration: str) -> None:
    measured = measure(built_engine(), "noise/gaps", {"duration_ms": duration})
    assert measured.status not in (0, ENOTSUP)
    assert f"duration_ms={duration}" in measured.reason


# A tick counter for the kernel to read: moves by 10 ticks a read (1 ns each), and on demand by more.
CLOCK = """
#include "engine/engine.h"
static uint64_t fake_ticks, reads, gap_at[3], gap_ticks[3];
static uint64_t fake_tick_now(void)
{
    fake_ticks += 10;
    for (int i = 0; i < 3; i++)
        if (gap_at[i] && reads == gap_at[i])
            fake_ticks += gap_ticks[i];
    reads++;
    return fake_ticks;
}
static uint64_t fake_now_ns(void)
{
    return fake_ticks;
}
#define tick_now fake_tick_now
#define now_ns fake_now_ns
"""

RUN = """
    if (trial_begin(&trial, &kernel_gaps, (int64_t[]){1}, 8)) { puts("setup failed"); return 0; }
    struct gaps *gaps = trial.state;
    int64_t ticks[CAPACITY] = {0};
    trial.tick_hz = 1e9;
"""


def test_gaps_are_found_by_length_and_a_clean_run_has_none(tmp_path: Path) -> None:
    lines = program(
        tmp_path,
        "noise/gaps.c",
        RUN
        + """
    printf("%d\\n", (int)events(&worker, ticks, CAPACITY));
    printf("%d\\n", check(&trial));
    printf("%g %g %g\\n", trial.metric[0], trial.metric[1], trial.metric[2]);
    reads = 0;
    /* Behind the 1002 reads that find the usual step: just below the limit, just above it, long. */
    gap_at[0] = 5000, gap_ticks[0] = 1000;
    gap_at[1] = 6000, gap_ticks[1] = 1001;
    gap_at[2] = 7000, gap_ticks[2] = 50000;
    const int found = (int)events(&worker, ticks, CAPACITY);
    printf("%d %d %d\\n", found, (int)ticks[0], (int)ticks[1]);
    printf("%d\\n", check(&trial));
    printf("%.0f %.4f %.3f\\n", trial.metric[0], trial.metric[1], trial.metric[2]);
""",
        CLOCK,
    )
    assert lines[:3] == ["0", "0", "0 0 0"]
    # 2 gaps and 51001 ticks in the two looks of a millisecond.
    assert lines[3:] == ["2 1001 50000", "0", "1000 2.5500 50.000"]


def test_more_gaps_than_room_still_count(tmp_path: Path) -> None:
    lines = program(
        tmp_path,
        "noise/gaps.c",
        RUN
        + """
    gap_at[0] = 5000, gap_ticks[0] = 2000, gap_at[1] = 6000, gap_ticks[1] = 3000, gap_at[2] = 7000, gap_ticks[2] = 4000;
    printf("%d %d\\n", (int)events(&worker, ticks, 1), (int)ticks[1]);
    printf("%d\\n", check(&trial));
    printf("%.0f %d\\n", trial.metric[2] * 1000, (int)gaps->count);
""",
        CLOCK,
    )
    assert lines == ["1 0", "0", "4000 3"]


@pytest.mark.parametrize(
    "fault", ["gaps->between += 10", "gaps->elapsed *= 2, gaps->between *= 2", "gaps->wall_ns /= 2", "gaps->lost++"]
)
def test_check_notices_time_that_does_not_add_up(fault: str, tmp_path: Path) -> None:
    lines = program(
        tmp_path,
        "noise/gaps.c",
        RUN
        + f"""
    events(&worker, ticks, CAPACITY);
    printf("%d\\n", check(&trial));
    {fault};
    printf("%d\\n", check(&trial) != 0);
""",
        CLOCK,
    )
    assert lines == ["0", "1"]
