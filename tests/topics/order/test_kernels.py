"""order/*: nothing is lost under a full fence, and the checks notice where it is."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from compile import CSRC
from kernels.measure import ENOTSUP, SHARING, TEAMS, built_engine, first_that
from kernels.plant import engine_of

ORDERS = ("none", "mfence", "lock_add", "dmb_ish", "fence_rw_rw", "c11_acq_rel", "c11_seq_cst")
SIDES = ("fast", "fenced", "slow", "none")
MAY_LOSE = {"none", "c11_acq_rel"}


@pytest.mark.parametrize("algorithm", ["peterson", "dekker"])
def test_nothing_is_lost_under_a_full_fence(algorithm: str) -> None:
    engine = built_engine()
    for cpus in TEAMS[2:]:
        for number, order in enumerate(ORDERS):
            measured = engine.trial(f"order/{algorithm}", (number,), cpus)
            if measured.status == ENOTSUP:
                assert "another architecture" in measured.reason
                continue
            assert measured.status == 0, f"{order}: {measured.reason}"
            found = measured.metrics
            assert found["sections"] > 0
            assert found["lost"] == 0 or order in MAY_LOSE


@pytest.mark.parametrize("algorithm", ["peterson", "dekker"])
def test_a_lock_that_keeps_nobody_out_is_caught(algorithm: str, tmp_path: Path) -> None:
    # The addition is torn apart by a yield, so that a thread that is let in finds the other inside on any machine.
    torn = (
        "        state->count++;",
        "        { uint64_t old = state->count; sched_yield(); state->count = old + 1; }",
    )
    header = (CSRC / "kernels" / "order" / "order.h").read_text(encoding="utf-8")
    assert torn[0] in header
    (tmp_path / "torn.h").write_text(header.replace(*torn), encoding="utf-8")
    engine = engine_of(
        tmp_path,
        f"order/{algorithm}.c",
        ('#include "order.h"', f'#include "{tmp_path}/torn.h"'),
        ("put(order, &state->flag[me].up, 1);\n    ", "put(order, &state->flag[me].up, 0);\n    "),
    )
    case = (ORDERS.index("c11_seq_cst"),)
    measured = first_that(
        lambda measured: measured.status < 0, lambda: engine.trial(f"order/{algorithm}", case, SHARING)
    )
    assert measured.status < 0
    assert "additions were lost under a full fence" in measured.reason


def test_membarrier_pays_for_both() -> None:
    engine = built_engine()
    for cpus in TEAMS[2:]:
        for number, side in enumerate(SIDES):
            measured = engine.trial("order/membarrier", (number,), cpus)
            if measured.status == ENOTSUP:
                pytest.skip(measured.reason)
            assert measured.status == 0, f"{side}: {measured.reason}"
            found = measured.metrics
            assert math.isfinite(found["turn_ticks"])
            if side == "slow":
                assert found["weak"] == 0 and found["trials"] > 0


def test_membarrier_that_is_missing_is_refused_with_its_need(tmp_path: Path) -> None:
    engine = engine_of(tmp_path, "order/membarrier.c", ("#define HAS_MEMBARRIER 1", "#define HAS_MEMBARRIER 0"))
    measured = engine.trial("order/membarrier", (2,), SHARING)
    assert measured.status == ENOTSUP
    assert measured.reason.startswith("needs membarrier(2) with MEMBARRIER_CMD_PRIVATE_EXPEDITED")


def test_a_weak_trial_across_membarrier_is_caught(tmp_path: Path) -> None:
    engine = engine_of(
        tmp_path,
        "order/membarrier.c",
        ("both->first[i] > next", "both->first[i] + TRIALS_MAX > 0"),
        ("if (next > both->turns)", "if (next == 0)"),  # on one CPU the fast side hardly comes so far
    )
    measured = engine.trial("order/membarrier", (2,), SHARING)
    if measured.status != ENOTSUP:
        assert "FORBIDDEN outcome seen" in measured.reason
