"""What the notes say of memory barriers."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.stats.interval import above
from fencepost.analysis.stats.limit import Side, side
from fencepost.analysis.text.numbers import plain
from fencepost.analysis.topics.claim import Outcome, Verdict, claim, known, measure, noise_of
from fencepost.analysis.topics.control import Control, times_of
from fencepost.analysis.topics.fence.measures import CONTEXTS, FULL, LEAST_NS, Cost, Costs, costs

DIFFERENT = 2.0
"""Contexts differ where the dearest costs at least so many times the cheapest."""


BARRIERS = (("mfence", "lock_add"), ("dsb_ish", "dmb_ish"), ("fence_rw_rw", "c11_fetch_add"))
"""Two full barriers to compare, by architecture."""


@claim(
    "fence/cost",
    "為了讓資料一致，需要memory barrier",
    "For data to be consistent, a memory barrier is needed",
    ["fence/cost"],
    "out-of-order execution needs a fence, and a fence costs something, whatever is under way",
    control=Control(
        "without a fence, a turn with a chain under way takes more than twice a bare one",
        times_of("fence/cost", {"fence": "none", "context": "chain"}, {"fence": "none", "context": "bare"}),
        "times",
        above=2.0,
    ),
)
def cost(analysis: Analysis) -> Verdict:
    """What a full barrier adds, by context, and the fence instruction against a locked operation."""
    found = costs(analysis)
    full = [name for name in found.fences if name in FULL]
    pair = next((pair for pair in BARRIERS if set(pair) <= set(found.fences)), None)
    shown = known(list(pair) if pair else full[:1], "needs a full barrier and the row without a fence in one run.")
    figure = "; ".join(f"{name} {_by_context(found, name)}" for name in shown)
    said = ""
    if pair:
        ratios = [(context, found.ratio(*pair, context)) for context in found.contexts]
        words = [
            f"×{ratio.text()} {CONTEXTS.get(context, context)}"
            for context, ratio in ratios
            if ratio.n and above(found.items[pair[1], context].ns, LEAST_NS)
        ]
        said = f" {pair[0]} against {pair[1]}: {', '.join(words)}." if words else ""
    said += " Whether a program needs it is not shown here."
    full_costs = [item for item in found.items.values() if item.fence in FULL and item.ns.n]
    noise, turns = noise_of(analysis, "fence/cost"), _turns(analysis)
    sides = [side(item.ns, LEAST_NS, noise, turns[item.context]) for item in full_costs]
    dear = [item for item, where in zip(full_costs, sides, strict=True) if where is Side.ABOVE]
    free = [item for item, where in zip(full_costs, sides, strict=True) if where is Side.BELOW]
    worst, least = (choose(dear or full_costs, key=lambda item: item.ns.value) for choose in (max, min))
    number = measure(worst.ns, "ns", LEAST_NS)
    if len(free) == len(full_costs):
        return Verdict(Outcome.REFUTED, figure, f"No full barrier added anything in any context.{said}", number)
    times = worst.ns.low / least.ns.high, worst.ns.high / least.ns.low
    if dear and (free or times[0] > DIFFERENT * (1 + noise)):
        because = _no_price_of_its_own(worst, least, free)
        return Verdict(Outcome.DEPENDS, figure, because + said, number)
    if len(dear) < len(full_costs) or not times[1] < DIFFERENT / (1 + noise):
        because = "Within the noise of this run it is open whether a full barrier costs something in every context"
        return Verdict(Outcome.UNDECIDED, figure, f"{because}, and about the same.{said}", number)
    because = f"It costs about the same in all contexts that were measured.{said}"
    return Verdict(Outcome.CONFIRMED, figure, because, number)


def _turns(analysis: Analysis) -> dict[str, float]:
    """By context the longest turn in ns, of which a cost is a difference: as noisy as a turn is the cost."""
    turns: dict[str, float] = {}
    for row in analysis.measured("fence/cost"):
        context = str(row.parameter("context"))
        turns[context] = max(row.time.value, turns.get(context, 0.0))
    return turns


def _no_price_of_its_own(worst: Cost, least: Cost, free: list[Cost]) -> str:
    hidden = sorted({CONTEXTS.get(item.context, item.context) for item in free})
    names = sorted({item.fence for item in free})
    because = (
        f"It costs, but has no fixed price: from {least.ns.ns_text()} ({least.fence} "
        f"{CONTEXTS.get(least.context, least.context)}) to {worst.ns.ns_text()} ({worst.fence} "
        f"{CONTEXTS.get(worst.context, worst.context)}), "
        f"{plain(worst.ns.value / least.ns.value, 2)} times as much."
    )
    return because + (f" Nothing was seen of {', '.join(names)} {', '.join(hidden)}." if free else "")


def _by_context(found: Costs, name: str) -> str:
    """Costs of a fence in its contexts, and `hidden` where nothing of it is seen."""
    words = []
    for context in found.contexts:
        item = found.items.get((name, context))
        if item is not None and item.ns.n:
            seen = above(item.ns, LEAST_NS)
            words.append(f"{context.replace('_', ' ')} {item.ns.ns_text() if seen else 'nothing'}")
    return ", ".join(words)
