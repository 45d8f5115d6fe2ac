"""Faults planted in the queues of csrc/lib/tree: each breaks a rule, and the walks and the model find it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from compile import CSRC, UNTIMED, compile_once

TREE = CSRC / "lib" / "tree"
DRIVER = Path(__file__).with_name("driver.c")
NUMBERS = {"bitmap": 1, "rb": 2, "avl": 3, "heap": 4, "skip": 5, "pairing": 6, "list": 7, "scan": 8}

COLOURS = "two ways down pass different numbers of black nodes"
REDS = "a red node has a red child"
BALANCE = "a balance is not that of the heights, or not -1, 0 or 1"
FEWER = "there are fewer nodes than were added"
FIRST = "the node that is kept as the first is not the leftmost"
ROOT = "the root is red"
BELOW = "a key is less than that of its parent"
BIT = "a bit does not say whether its list is empty"
ORDER = "a key stands before a smaller one"
DUE = "another task is due"
ENDED = ""
"""It does not come back, or ends the program: the fault is found by that."""

MUTANTS: list[tuple[str, str, str, str, tuple[str, ...]]] = [
    # What red-black and AVL trees share.
    ("rb", "tree.h", "if (tree->first == node)", "if (0)", (DUE, FIRST)),
    ("avl", "tree.h", "if (parent == tree->first && !side)", "if (parent == tree->first)", (FIRST,)),
    ("rb", "tree.h", "    if (between)\n        between->parent = node;\n",
     "", ("a child does not know its parent",)),
    ("avl", "tree.h", "out->mark = node->mark;", "", (BALANCE,)),
    ("rb", "tree.h", "out->mark = node->mark;", "", (COLOURS, REDS, ROOT)),
    ("rb", "tree.h", "if (gap.parent == node)", "if (0)", (COLOURS, "a child does not know its parent", ENDED)),
    ("avl", "tree.h", "side = !tree_before(node->key, parent->key, counts);",
     "side = tree_before(parent->key, node->key, counts);", (DUE,)),
    ("rb", "tree.h", "out = node->child[0] && node->child[1]",
     "out = node->child[0] && node->child[0]", (FEWER, ENDED)),
    # Red-black.
    ("rb", "rb.h", "parent->mark = above->child[!side]->mark = 0;", "parent->mark = 0;", (COLOURS,)),
    ("rb", "rb.h", "            node = above;\n            continue;", "            break;", (REDS,)),
    ("rb", "rb.h", "if (tree_side(node) != side)", "if (0)", (REDS, ENDED)),
    ("rb", "rb.h", "        tree_rotate(tree, above, !side, counts);\n", "", (COLOURS, ENDED)),
    ("rb", "rb.h", "    tree->root->mark = 0;\n", "", (ROOT, ENDED)),
    ("rb", "rb.h", "    node->mark = 1;\n", "", (COLOURS,)),
    ("rb", "rb.h", "    if (gap.mark)\n        return;\n", "", (COLOURS, ENDED)),
    ("rb", "rb.h", "    if (rb_is_red(gap.child))\n        gap.child->mark = 0;\n    else\n",
     "", (COLOURS, REDS, ROOT, ENDED)),
    ("rb", "rb.h", "        rb_fill(tree, gap, counts);", "        (void)0;", (COLOURS,)),
    ("rb", "rb.h", "        if (other->mark) {", "        if (0) {", (COLOURS, REDS, ENDED)),
    ("rb", "rb.h", "if (!rb_is_red(other->child[!side]))", "if (0)", (COLOURS, ENDED)),
    ("rb", "rb.h", "other->mark = parent->mark;", "other->mark = 0;", (COLOURS, ROOT)),
    ("rb", "rb.h", "        if (parent->mark) {\n            parent->mark = 0;\n            return;\n        }\n",
     "", (COLOURS, REDS)),
    # AVL.
    ("avl", "avl.h", "if (!parent->mark)\n            return;", "", (BALANCE, ENDED)),
    ("avl", "avl.h", "            avl_rebalance(tree, parent, counts);\n            return;",
     "            return;", (BALANCE,)),
    ("avl", "avl.h", "if (child->mark != -weight)", "if (1)", (BALANCE,)),
    ("avl", "avl.h", "node->mark = child->mark ? 0 : weight;", "node->mark = 0;", (BALANCE,)),
    ("avl", "avl.h", "child->mark = child->mark ? 0 : -weight;", "child->mark = 0;", (BALANCE,)),
    ("avl", "avl.h", "node->mark = inner->mark == weight ? -weight : 0;", "node->mark = 0;", (BALANCE,)),
    ("avl", "avl.h", "child->mark = inner->mark == -weight ? weight : 0;", "child->mark = 0;", (BALANCE,)),
    ("avl", "avl.h", "    tree_rotate(tree, child, side, counts);\n", "", (BALANCE, ENDED)),
    ("avl", "avl.h", "        if (parent->mark)\n            return;", "        return;", (BALANCE,)),
    ("avl", "avl.h", "            parent = avl_rebalance(tree, parent, counts);", "            return;", (BALANCE,)),
    # Heaps.
    ("heap", "heap.h", "entry.node->place = place;", "(void)0;", ("a node does not know its place", ENDED)),
    ("heap", "heap.h", "        heap_rise(heap, place, last, counts);\n    else\n        heap_sink",
     "        heap_sink(heap, place, last, counts);\n    else\n        heap_sink", (BELOW,)),
    ("heap", "heap.h", "if (child + 1 < heap->count)", "if (0)", (BELOW,)),
    ("heap", "heap.h", "(place - 1) / 2].key, counts)) {", "place / 2].key, counts)) {", (BELOW, ENDED)),
    ("pairing", "pairing.h", "if (tree_before(b->key, a->key, counts))", "if (0)", (BELOW,)),
    ("pairing", "pairing.h", "    if (node->next)\n        node->next->back = node->back;\n",
     "", ("a node does not know who stands before it",)),
    ("pairing", "pairing.h", "    if (below)\n        heap->root = pairing_join",
     "    if (0)\n        heap->root = pairing_join", (FEWER,)),
    ("pairing", "pairing.h", "one->next = one->back = NULL;",
     "(void)0;", ("the root has a parent or a sibling", ENDED)),
    ("pairing", "pairing.h", "row = b ? b->next : NULL;", "row = NULL;", (FEWER,)),
    # Lists.
    ("list", "list.h", "    while (at != &list->head && !tree_before",
     "    while (at != &list->head && tree_before", (ORDER, DUE)),
    ("scan", "list.h", "if (tree_before(at->key, least->key, counts))",
     "if (!tree_before(least->key, at->key, counts))", (DUE,)),
    ("scan", "list.h", "node->next->prev = node->prev;",
     "(void)0;", ("a node is not the neighbour of its neighbour",)),
    ("skip", "skip.h", "while (at->next[lane] != node)", "while (0)", (FEWER, ORDER, ENDED)),
    ("skip", "skip.h", "before[skip->head.lanes++] = &skip->head;", "skip->head.lanes++;", (ENDED, ORDER, FEWER)),
    ("skip", "skip.h", "        skip->head.lanes--;",
     "        break;", ("the head does not say how many lanes are in use",)),
    ("skip", "skip.h", "lane < node->lanes; lane++", "lane < 1; lane++", (FEWER, ENDED)),
    # The O(1) scheduler.
    ("bitmap", "arrays.h", "    arrays_append(arrays->expired, node);",
     "    arrays_append(arrays->active, node);", (DUE,)),
    ("bitmap", "arrays.h", "half->bitmap[level / 64] |= (uint64_t)1",
     "half->bitmap[level / 64] |= (uint64_t)0", (BIT,)),
    ("bitmap", "arrays.h", "if (!list_first(&half->levels[level]))", "if (0)", (BIT,)),
    ("bitmap", "arrays.h", "    half->count--;", "", ("an array does not hold as many nodes as it says",)),
    ("bitmap", "arrays.h", "    node->half = half;", "", ("a node is not where it says it is",)),
    ("bitmap", "arrays.h", "        arrays->expired = empty;", "", (DUE,)),
    ("bitmap", "arrays.h", "unsigned word = 0;", "unsigned word = half->bitmap[1] ? 1 : 0;", (DUE, ENDED)),
]  # fmt: skip


def said(folder: Path, by: list[str], *planted: tuple[str, str, str]) -> list[str]:
    """What histories by chance say of queues, one after the other, with a fault in the library."""
    copied = folder / "lib" / "tree"
    copied.mkdir(parents=True)
    for path in TREE.glob("*.[ch]"):
        text = path.read_text(encoding="utf-8")
        for file, whole, fault in planted:
            if path.name == file:
                assert text.count(whole) == 1, f"{file} no longer has once what this test breaks: {whole}"
                text = text.replace(whole, fault)
        (copied / path.name).write_text(text, encoding="utf-8")
    made = folder / "history"
    sources = [DRIVER, *sorted(copied.glob("*.c"))]
    compile_once(made, ["gcc", "-std=gnu11", *UNTIMED, "-w", "-DPROGRAM", f"-I{folder}", f"-I{CSRC}", *sources])
    numbers = [str(NUMBERS[name]) for name in by]
    return subprocess.run([made, *numbers], capture_output=True, text=True, check=False).stdout.splitlines()


@pytest.mark.slow  # test_queues.py replays sequences without a fault
def test_a_queue_without_a_fault_has_none(tmp_path: Path) -> None:
    assert said(tmp_path, list(NUMBERS)) == ["-"] * len(NUMBERS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("by", "file", "whole", "broken", "found"), MUTANTS, ids=[f"{by}-{n}" for n, (by, *_) in enumerate(MUTANTS)]
)
def test_a_fault_is_found(tmp_path: Path, by: str, file: str, whole: str, broken: str, found: tuple[str, ...]) -> None:
    assert (said(tmp_path, [by], (file, whole, broken)) or [ENDED])[0] in found
