"""ipc/switch, ipc/across and ipc/working_set: each message is one switch, and nobody waits for the dead."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import CPUS, EILSEQ, EINVAL, ENOTSUP, SHARING, built_engine, first_that, measure
from kernels.plant import compile_broken, expect_no_thread_more_than, threads

SWITCH, WAYS_H = "ipc/switch.c", "ipc/ways.h"
MESSAGES = ["pipe", "eventfd", "futex", "semaphore", "condition", "unix_stream", "unix_seqpacket", "signal"]
WAYS = [*MESSAGES, "yield"]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    files, before = set(Path("/proc/self/fd").iterdir()), threads()
    yield
    assert set(Path("/proc/self/fd").iterdir()) <= files
    expect_no_thread_more_than(before)


@pytest.mark.parametrize("partner", ["thread", "process"])
@pytest.mark.parametrize("by", WAYS)
def test_a_message_is_one_switch(engine: Engine, by: str, partner: str) -> None:
    # Whoever is off the CPU during the control may find a message cheaper than its parts.
    measured = first_that(
        lambda found: found.outcome.operation_ticks > found.outcome.control_ticks,
        lambda: measure(engine, "ipc/switch", {"by": by, "partner": partner}, cpus=SHARING),
    )
    assert measured.status == 0, measured.reason
    # An event with more than one switch too many or too few of 16 is left out.
    assert 15 / 16 <= measured.metrics["switches_per_message"] <= 17 / 16
    assert measured.outcome.events > 0
    assert measured.outcome.operation_ticks > measured.outcome.control_ticks > 0


SWITCHES = "switches = after.voluntary - before.voluntary + after.involuntary - before.involuntary;"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """As if nobody else used these CPUs: others, and a partner that spins before it sleeps, change what is counted."""
    return compile_broken(tmp_path_factory.mktemp("undisturbed"), {SWITCH: [(SWITCHES, "switches = MESSAGES;")]})


@pytest.mark.skipif(len(CPUS) < 2, reason="needs two CPUs")
@pytest.mark.parametrize("partner", ["thread", "process"])
@pytest.mark.parametrize("by", MESSAGES)
def test_messages_go_from_one_cpu_to_another(undisturbed: Engine, by: str, partner: str) -> None:
    measured = measure(undisturbed, "ipc/across", {"by": by, "awake": "no", "partner": partner})
    assert measured.status == 0, measured.reason
    assert measured.outcome.events > 0
    assert math.isnan(measured.outcome.loaded_pct)


@pytest.mark.skipif(len(CPUS) < 2, reason="needs two CPUs")
@pytest.mark.parametrize("by", MESSAGES)
def test_two_cpus_may_be_kept_awake(undisturbed: Engine, by: str) -> None:
    measured = measure(undisturbed, "ipc/across", {"by": by, "awake": "yes"})
    # Either the loads ran, or the engine says of one that others left it no time. Without loads it would be neither.
    if measured.status == ENOTSUP:
        assert "a load of the lowest priority" in measured.reason
    else:
        assert measured.status == 0, measured.reason
        assert measured.outcome.loaded_pct >= 0  # NaN without loads; 0 where others left either no time in each window


@pytest.mark.parametrize("touched", [0, 1 << 16])
def test_both_use_memory(engine: Engine, touched: int) -> None:
    measured = measure(engine, "ipc/working_set", {"touched": touched}, cpus=SHARING)
    assert measured.status == 0, measured.reason
    assert measured.metrics["footprint_bytes"] == 2 * touched


@pytest.mark.parametrize("touched", [-1, (64 << 20) + 1])
def test_other_amounts_are_refused(engine: Engine, touched: int) -> None:
    measured = measure(engine, "ipc/working_set", {"touched": touched}, cpus=SHARING)
    assert measured.status == EINVAL
    assert f"touched={touched}" in measured.reason


@pytest.mark.skipif(len(CPUS) < 2, reason="needs two CPUs")
def test_nobody_yields_to_another_cpu(engine: Engine) -> None:
    measured = measure(engine, "ipc/across", {"by": "yield"})
    assert measured.status == ENOTSUP
    assert measured.reason.startswith("needs both workers on one CPU")


ANSWER = "give(&mailboxes[BACK], by, number);"


@pytest.mark.parametrize("partner", ["thread", "process"])
@pytest.mark.parametrize(
    ("file", "whole", "broken", "said"),
    [
        # A number that changes on its way, and a message with two switches more.
        (SWITCH, ANSWER, "give(&mailboxes[BACK], by, number + 1);", "did not come as they were sent"),
        (SWITCH, ANSWER, f"usleep(1); {ANSWER}", "a message was not one switch"),
    ],
)
def test_messages_that_do_otherwise_fail(
    tmp_path: Path, file: str, whole: str, broken: str, said: str, partner: str
) -> None:
    faulty = compile_broken(tmp_path, {file: [(whole, broken)]})
    measured = measure(faulty, "ipc/switch", {"by": "pipe", "partner": partner}, cpus=SHARING)
    assert measured.status == EILSEQ
    assert said in measured.reason


PLACED_OTHERWISE = ("ipc/switch", SHARING), ("ipc/across", CPUS[:2])


@pytest.mark.parametrize(("name", "cpus"), PLACED_OTHERWISE, ids=["one CPU", "two CPUs"])
def test_turns_of_others_are_a_need(tmp_path: Path, name: str, cpus: list[int]) -> None:
    if len(cpus) < 2:
        pytest.skip("needs two CPUs")
    taken = f"after.involuntary = before.involuntary + 3 * MESSAGES; {SWITCHES}"
    faulty = compile_broken(tmp_path, {SWITCH: [(SWITCHES, taken)]})
    measured = measure(faulty, name, {"by": "pipe"}, cpus=cpus)
    assert measured.status == ENOTSUP
    assert measured.reason == "needs CPUs that others leave alone, so that a message is one switch"


@pytest.mark.parametrize(("name", "cpus"), PLACED_OTHERWISE, ids=["one CPU", "two CPUs"])
def test_too_few_switches_are_a_fault_on_one_cpu(tmp_path: Path, name: str, cpus: list[int]) -> None:
    if len(cpus) < 2:
        pytest.skip("needs two CPUs")
    faulty = compile_broken(tmp_path, {SWITCH: [(SWITCHES, "after.voluntary = before.voluntary; switches = 0;")]})
    measured = measure(faulty, name, {"by": "pipe"}, cpus=cpus)
    if name == "ipc/switch":
        assert measured.status == EILSEQ
        assert "a message was not one switch" in measured.reason
    else:
        assert measured.status == ENOTSUP


@pytest.mark.parametrize("by", ["pipe", "futex", "condition"])
def test_a_partner_that_dies_is_a_failure_and_no_hang(tmp_path: Path, by: str) -> None:
    dies = f"if (number == 5) raise(SIGKILL); {ANSWER}"
    include = '#include "ways.h"'
    faulty = compile_broken(tmp_path, {SWITCH: [(ANSWER, dies), (include, f"{include}\n#include <signal.h>")]})
    measured = measure(faulty, "ipc/switch", {"by": by}, cpus=SHARING)
    assert "was ended by signal 9" in measured.reason


@pytest.mark.parametrize(
    ("by", "whole", "broken"),
    [
        ("pipe", "pipe2(ends, O_CLOEXEC)", "(errno = EMFILE, -1)"),
        ("eventfd", "eventfd(0, EFD_CLOEXEC)", "(errno = ENFILE, -1)"),
        ("unix_stream", "failed = socketpair(", "failed = (errno = EMFILE, -1) || socketpair("),
    ],
)
def test_scarce_files_are_a_need(tmp_path: Path, by: str, whole: str, broken: str) -> None:
    faulty = compile_broken(tmp_path, {WAYS_H: [(whole, broken)]})
    measured = measure(faulty, "ipc/switch", {"by": by}, cpus=SHARING)
    assert measured.status == ENOTSUP
    assert measured.reason.startswith("needs permission for more open files")
