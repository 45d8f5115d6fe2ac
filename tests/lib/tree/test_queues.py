"""The queues of csrc/lib/tree: any sequence against a model, bounds of height, colours, and exact counts."""

from __future__ import annotations

import bisect
import math
import random
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lib.tree.library import STRUCTURES, Library

QUEUES = STRUCTURES[1:]
LEVELS = 140


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return Library(tmp_path_factory.mktemp("tree"))


@pytest.mark.parametrize("by", QUEUES)
@given(
    tasks=st.integers(1, 60), keys=st.integers(1, LEVELS), seed=st.integers(1, 2**63), operations=st.integers(1, 400)
)
def test_any_sequence_does_what_the_model_does(
    library: Library, by: str, tasks: int, keys: int, seed: int, operations: int
) -> None:
    assert library.words(library.lib.replay(STRUCTURES.index(by), tasks, keys, seed, operations)) is None


def fibonacci(number: int) -> int:
    """1, 1, 2, 3, 5 ..."""
    a, b = 0, 1
    for _ in range(number):
        a, b = b, a + b
    return a


def highest_avl(tasks: int) -> int:
    """The largest height of an AVL tree of so many nodes: one of height h has at least F(h + 2) - 1 (Knuth)."""
    return max(h for h in range(60) if fibonacci(h + 2) - 1 <= tasks)


def highest_rb(tasks: int) -> int:
    """The largest height of a red-black tree of so many nodes.

    The fewest nodes hang on one way down on which red and black take turns. Beside it all is black and full.
    """
    fewest = 0
    for height in range(1, 60):
        fewest += 2 ** ((height - 1) // 2)
        if fewest > tasks:
            return height - 1
    raise AssertionError(tasks)


def test_the_bounds_of_height_are_those_of_the_books() -> None:
    for tasks in range(1, 3000):
        assert highest_avl(tasks) <= 1.4405 * math.log2(tasks + 2) - 0.3277
        assert highest_rb(tasks) <= 2 * math.log2(tasks + 1)


@pytest.mark.parametrize("tasks", [1, 2, 3, 7, 10, 100, 1000, 4095, 4096])
def test_ascending_keys_make_the_lowest_avl_and_the_highest_rb_tree(library: Library, tasks: int) -> None:
    keys = list(range(tasks))
    assert library.lib.height(library.filled("avl", keys)) == tasks.bit_length()
    # One level less where the last leaf has not come yet.
    assert highest_rb(tasks) - 1 <= library.lib.height(library.filled("rb", keys)) <= highest_rb(tasks)


def test_ascending_keys_reach_the_same_heights_on_every_machine(library: Library) -> None:
    heights = {
        by: [library.lib.height(library.filled(by, list(range(tasks)))) for tasks in (10, 100, 1000, 10000)]
        for by in ("rb", "avl")
    }
    assert heights == {"rb": [5, 11, 17, 24], "avl": [4, 7, 10, 14]}


def level_by_level(height: int) -> list[int]:
    """Keys of the Fibonacci tree of this height, the root first: added so, they need no rotation."""
    places, keys = [(0, height)], []
    for low, high in places:
        if high > 0:
            left = fibonacci(high + 1) - 1
            keys.append(low + left)
            places += [(low, high - 1), (low + left + 1, high - 2)]
    return keys


@pytest.mark.parametrize("height", [1, 2, 3, 8, 14])
def test_fibonacci_trees_are_as_high_as_avl_trees_can_be(library: Library, height: int) -> None:
    keys = level_by_level(height)
    queue = library.filled("avl", keys)
    assert sorted(keys) == list(range(fibonacci(height + 2) - 1))
    assert library.lib.height(queue) == height == highest_avl(len(keys))
    assert library.lib.rotations(queue) == 0
    assert library.words(library.lib.fault(queue)) is None


@given(keys=st.lists(st.integers(0, 50), min_size=1, max_size=200), taken=st.sets(st.integers(0, 199)))
def test_every_avl_tree_can_be_coloured_and_none_is_too_high(
    library: Library, keys: list[int], taken: set[int]
) -> None:
    left = len(keys)
    queues = {by: library.filled(by, keys) for by in ("avl", "rb")}
    for task in taken & set(range(len(keys) - 1)):
        left -= 1
        for queue in queues.values():
            library.lib.take(queue, task)
    assert library.lib.height(queues["avl"]) <= highest_avl(left)
    assert library.lib.height(queues["rb"]) <= highest_rb(left)
    assert library.words(library.lib.coloured(queues["avl"])) is None


def test_a_fibonacci_tree_can_be_coloured(library: Library) -> None:
    assert library.words(library.lib.coloured(library.filled("avl", level_by_level(12)))) is None


def test_a_search_tree_that_nobody_mends_cannot_be_coloured(library: Library) -> None:
    """The control: that trees can be coloured says something of AVL trees."""
    chain = library.queue("avl", 3)
    for task in range(3):
        library.lib.hang(chain, task, task)
    assert library.lib.height(chain) == 3
    assert library.words(library.lib.coloured(chain)) == "two ways down pass different numbers of black nodes"


@dataclass
class Leaf:
    """A node of the AVL tree as textbooks have it: recursive, with heights."""

    key: int
    left: Leaf | None = None
    right: Leaf | None = None
    height: int = 1


class Textbook:
    """An AVL tree that counts, written apart from ours."""

    def __init__(self) -> None:
        self.root: Leaf | None = None
        self.comparisons = self.rotations = 0

    def add(self, key: int) -> None:
        self.root = self._added(self.root, key)

    def _added(self, node: Leaf | None, key: int) -> Leaf:
        if node is None:
            return Leaf(key)
        self.comparisons += 1
        if key < node.key:
            node.left = self._added(node.left, key)
        else:
            node.right = self._added(node.right, key)
        return self._balanced(node)

    def _balanced(self, node: Leaf) -> Leaf:
        node.height = 1 + max(high(node.left), high(node.right))
        if high(node.left) > high(node.right) + 1:
            assert node.left is not None
            if high(node.left.right) > high(node.left.left):
                node.left = self._left(node.left)
            return self._right(node)
        if high(node.right) > high(node.left) + 1:
            assert node.right is not None
            if high(node.right.left) > high(node.right.right):
                node.right = self._right(node.right)
            return self._left(node)
        return node

    def _left(self, node: Leaf) -> Leaf:
        up = node.right
        assert up is not None
        node.right, up.left = up.left, node
        return self._turned(node, up)

    def _right(self, node: Leaf) -> Leaf:
        up = node.left
        assert up is not None
        node.left, up.right = up.right, node
        return self._turned(node, up)

    def _turned(self, node: Leaf, up: Leaf) -> Leaf:
        self.rotations += 1
        for changed in (node, up):
            changed.height = 1 + max(high(changed.left), high(changed.right))
        return up


def high(node: Leaf | None) -> int:
    return node.height if node else 0


@pytest.mark.parametrize("keys", [list(range(300)), random.Random(1).choices(range(1000), k=500)], ids=["up", "random"])
def test_counts_of_an_avl_tree_are_exact(library: Library, keys: list[int]) -> None:
    book, queue = Textbook(), library.filled("avl", keys)
    for key in keys:
        book.add(key)
    assert library.lib.comparisons(queue) == book.comparisons
    assert library.lib.rotations(queue) == book.rotations
    assert library.lib.height(queue) == high(book.root)


def test_counts_of_lists_are_exact(library: Library) -> None:
    keys = random.Random(2).choices(range(100), k=200)
    before: list[int] = []
    walked = 0
    for key in keys:
        place = bisect.bisect_right(before, key)
        walked += min(place + 1, len(before))
        before.insert(place, key)
    assert library.lib.comparisons(library.filled("list", keys)) == walked
    scan = library.filled("scan", keys)
    assert library.lib.comparisons(scan) == 0
    library.lib.first(scan)
    assert library.lib.comparisons(scan) == len(keys) - 1


def test_counts_of_a_binary_heap_are_exact(library: Library) -> None:
    keys = random.Random(3).sample(range(10_000), k=300)
    heap: list[int] = []
    compared = 0

    def rise(place: int) -> None:
        nonlocal compared
        while place:
            compared += 1
            above = (place - 1) // 2
            if heap[place] >= heap[above]:
                return
            heap[place], heap[above] = heap[above], heap[place]
            place = above

    def sink(place: int) -> None:
        nonlocal compared
        while below := [child for child in (2 * place + 1, 2 * place + 2) if child < len(heap)]:
            least = min(below, key=heap.__getitem__)
            compared += len(below)  # the two with each other, and the lesser with the one that sinks
            if heap[least] >= heap[place]:
                return
            heap[place], heap[least] = heap[least], heap[place]
            place = least

    queue = library.filled("heap", keys)
    for key in keys:
        heap.append(key)
        rise(len(heap) - 1)
    assert library.lib.comparisons(queue) == compared
    for _ in range(100):
        task = library.lib.first(queue)
        assert keys[task] == heap[0]
        library.lib.take(queue, task)
        heap[0] = heap.pop()
        sink(0)
    assert library.lib.comparisons(queue) == compared


def test_what_a_pairing_heap_puts_off_it_pays_later(library: Library) -> None:
    queue = library.filled("pairing", list(range(100)))
    assert library.lib.comparisons(queue) == 99
    library.lib.take(queue, 0)
    assert library.lib.comparisons(queue) == 99 + 98  # of 99 children one is left


def test_one_node_in_four_is_in_the_next_lane(library: Library) -> None:
    queue = library.filled("skip", random.Random(4).sample(range(100_000), k=4096))
    # A search meets 1/p nodes a lane, less what it does not look at again, and one at its end: from 2 to 4 a lane here.
    a_node = library.lib.comparisons(queue) / 4096
    assert 2 * math.log(4096, 4) < a_node < 5 * math.log(4096, 4)
