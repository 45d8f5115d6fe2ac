"""The O(1) scheme, every state of it: with two arrays nobody starves, and with one array somebody may.

A small model checker over the queue itself. A state is the order of the tasks in both arrays. A turn takes the first
task and puts it back at any level, as the worst of all workloads would choose. For one task, each turn that is not its
own leads to a state in which it has waited one turn longer. If these turns form a circle, it may wait for ever.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator

import pytest
from lib.tree.library import Library

TASKS = 3
LEVELS = (0, 70, 139)
"""Each in a word of its own of the bitmap: more levels make more states and nothing new."""

Array = tuple[tuple[int, int], ...]
"""Tasks of an array with their levels, in the order of adding."""

State = tuple[Array, Array]
"""The active array and the expired one."""

Choice = tuple[int, int]
"""The level to which the task goes back, and whether it goes to the expired array: 1, or back to the active one: 0."""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return Library(tmp_path_factory.mktemp("starvation"))


class Scheme:
    """Turns on a real queue, from any state to the next."""

    def __init__(self, library: Library, choices: Callable[[State], list[Choice]]) -> None:
        self.library, self.choices = library, choices
        self.after = functools.cache(self._after)

    def _after(self, state: State) -> tuple[tuple[int, State], ...]:
        return tuple(self._turn(state, choice) for choice in self.choices(state))

    def _turn(self, state: State, choice: Choice) -> tuple[int, State]:
        """Who has the turn, and the state after it."""
        lib, queue = self.library.lib, self.library.queue("bitmap", TASKS)
        for expired, array in enumerate(state):
            for task, level in array:
                lib.add(queue, task, level, expired)
        picked = lib.first(queue)
        lib.take(queue, picked)
        level, expired = choice
        lib.add(queue, picked, level, expired)
        assert self.library.words(lib.fault(queue)) is None
        active, waiting = (state[1], ()) if not state[0] else state
        left = [tuple(pair for pair in array if pair[0] != picked) for array in (active, waiting)]
        left[expired] = (*left[expired], (picked, level))
        return picked, (left[0], left[1])

    def reached(self) -> set[State]:
        """All states that can come about from any start."""
        seen = set(starts())
        front = list(seen)
        while front:
            front = [state for before in front for _, state in self.after(before) if state not in seen]
            seen.update(front)
        return seen

    def longest_wait(self, task: int) -> int | None:
        """The most turns of others, one after the other, that a task may have to wait for. None: for ever."""
        waits: dict[State, int] = {}
        on_the_way: set[State] = set()

        def wait(state: State) -> int | None:
            if state in waits:
                return waits[state]
            if state in on_the_way:
                return None
            on_the_way.add(state)
            longest = 0
            for picked, after in self.after(state):
                if picked != task:
                    further = wait(after)
                    if further is None:
                        return None
                    longest = max(longest, 1 + further)
            on_the_way.discard(state)
            waits[state] = longest
            return longest

        found = [wait(state) for state in self.reached()]
        return None if None in found else max(one for one in found if one is not None)


def starts() -> Iterator[State]:
    """All tasks ready at any levels, in any order of becoming so."""
    for order in itertools.permutations(range(TASKS)):
        for levels in itertools.product(LEVELS, repeat=TASKS):
            yield tuple(zip(order, levels, strict=True)), ()


def to_expired(_: State) -> list[Choice]:
    return [(level, 1) for level in LEVELS]


def to_active(_: State) -> list[Choice]:
    """One array alone: a queue by priority as it was before."""
    return [(level, 0) for level in LEVELS]


def favoured(state: State) -> list[Choice]:
    """Linux 2.6 put back interactive tasks into the active array."""
    return to_expired(state) + to_active(state)


@pytest.mark.parametrize(
    ("choices", "turns"),
    [
        # Each of the others once in this lap and once in the next.
        (to_expired, 2 * (TASKS - 1)),
        (to_active, None),
        (favoured, None),
    ],
)
def test_a_task_waits_as_long_as_the_scheme_says(
    library: Library, choices: Callable[[State], list[Choice]], turns: int | None
) -> None:
    assert Scheme(library, choices).longest_wait(0) == turns


def test_with_two_arrays_no_turn_is_lost_in_any_state(library: Library) -> None:
    """A task that has had its turn in this lap has no other before all have had theirs."""
    scheme = Scheme(library, to_expired)
    for state in scheme.reached():
        for picked, (active, expired) in scheme.after(state):
            before = state[0] or state[1]
            assert picked in {task for task, _ in before}
            assert picked not in {task for task, _ in active}
            assert {task for task, _ in active + expired} == set(range(TASKS))
