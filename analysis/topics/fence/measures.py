"""What the rows of ``fence/cost`` say together: the price of a fence is what it adds to its context, round by round."""

from __future__ import annotations

from dataclasses import dataclass

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import Grid, grid
from fencepost.analysis.stats.interval import Floats, Interval, above, pooled, quotient

CONTROL = "none"


CONTEXTS = {
    "bare": "bare",
    "store_hit": "after a store that hits",
    "load_miss": "with load misses under way",
    "store_miss": "with store misses under way",
    "chain": "inside a chain of multiplications",
}


FULL = ("mfence", "c11_seq_cst", "lock_add", "xchg", "lock_inc", "lock_xadd", "dmb_ish", "dsb_ish", "fence_rw_rw")
"""Full barriers: nothing passes them in either direction. A locked operation on x86-64 is one (Intel SDM vol. 3, 9.2.3;
AMD APM vol. 2, 7.4.2)."""


LEAST_NS = 0.05
"""A fence that costs less than this alone, a fifth of a cycle, has nothing to hide."""


@dataclass(frozen=True)
class Cost:
    """What one fence adds in one context. `hidden_pct`: how much of its bare cost does not show here."""

    fence: str
    context: str
    case: str
    ns: Interval
    cycles: Interval
    hidden_pct: Interval


@dataclass(frozen=True)
class Costs:
    """All fences in all contexts, less the context without a fence."""

    table: Grid
    items: dict[tuple[str, str], Cost]

    @property
    def fences(self) -> list[str]:
        """Names in the order of the plan, the control left out."""
        return list(dict.fromkeys(fence for fence, _ in self.items))

    @property
    def contexts(self) -> list[str]:
        """Contexts in the order of the plan."""
        return list(dict.fromkeys(context for _, context in self.items))

    @property
    def unit(self) -> str:
        """``cycles`` where every row has them, else ``ns``."""
        return self.table.unit

    def interval(self, item: Cost) -> Interval:
        """The cost in `unit`."""
        return item.cycles if self.unit == "cycles" else item.ns

    def ratio(self, above: str, below: str, context: str) -> Interval:
        """How many times as much one fence adds as another, paired by round; rounds in which the other adds nothing
        are left out.
        """
        a, b = self._added(above, context), self._added(below, context)
        return pooled([]) if a is None or b is None else quotient(a[0], b[0], a[1], b[1])

    def _added(self, fence: str, context: str) -> tuple[Floats, Floats] | None:
        place, control = (self.table.find(fence=name, context=context) for name in (fence, CONTROL))
        return None if place is None or control is None else _difference(self.table, place, control)


def _difference(table: Grid, more: int, less: int) -> tuple[Floats, Floats]:
    """What a row adds to another in each process, in ns, and by how much that may be off for the counter's steps."""
    return table.ns[:, more] - table.ns[:, less], table.steps[:, more] + table.steps[:, less]


def costs(analysis: Analysis) -> Costs:
    """``fence/cost`` by fence and context; contexts without their control are left out."""
    table = grid(analysis, "fence/cost")
    items: dict[tuple[str, str], Cost] = {}
    for place, row in enumerate(table.rows):
        fence, context = (str(row.parameter(name)) for name in ("fence", "context"))
        control = table.find(fence=CONTROL, context=context)
        if fence == CONTROL or control is None:
            continue
        hidden = pooled([])
        bare, nothing = (table.find(fence=name, context="bare") for name in (fence, CONTROL))
        if bare is not None and nothing is not None and context != "bare":
            added, added_steps = _difference(table, place, control)
            alone, alone_steps = _difference(table, bare, nothing)
            if above(pooled(alone, alone_steps), LEAST_NS):
                left = quotient(added, alone, added_steps, alone_steps)
                hidden = left._replace(
                    value=(1 - left.value) * 100, low=(1 - left.high) * 100, high=(1 - left.low) * 100
                )
        items[fence, context] = Cost(
            fence,
            context,
            row.case,
            *table.difference(place, control),
            hidden,
        )
    return Costs(table, items)


def cheapest_full(found: Costs) -> Cost | None:
    """The cheapest full barrier after a store that hits: the case in which one is needed. Bare, where that was not
    measured.
    """
    for context in ("store_hit", "bare"):
        full = [found.items[name, context] for name in FULL if (name, context) in found.items]
        known = [item for item in full if item.ns.n]
        if known:
            return min(known, key=lambda item: item.ns.value)
    return None
