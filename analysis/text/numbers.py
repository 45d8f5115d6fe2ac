"""Tables and numbers as text: one way of writing them, for the terminal, HTML and Markdown alike."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from fencepost.analysis.text.table import DASH, SPACE, THIN_SPACE


def plain(value: float | None, digits: int = 4) -> str:
    """A number with `digits` significant digits and never an exponent: ``0.2501``, ``12.34``, ``1 234``; a dash for
    NaN and None.
    """
    if value is None or not math.isfinite(value):
        return DASH
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value)) + 1e-12))
    text = f"{value:,.{min(decimals, 9)}f}".replace(",", THIN_SPACE)
    return text.replace("-", "\N{MINUS SIGN}")


def short(value: float, digits: int = 3) -> str:
    """A number as ``{:.3g}`` writes it, without zeros at its end, and never with an exponent: ``2``, ``27 000``."""
    text = f"{value:.{digits}g}"
    return plain(value, digits) if "e" in text else text


def count(value: float | None) -> str:
    """A whole number: ``1 604``; other numbers as `plain` writes them."""
    if value is None or not math.isfinite(value) or value != round(value):
        return plain(value)
    return f"{int(value):,}".replace(",", THIN_SPACE).replace("-", "\N{MINUS SIGN}")


def counted(number: int, word: str) -> str:
    """A number of things: ``1 row``, ``2 rows``."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


_NS_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))


def _ns_scale(value: float) -> tuple[float, str]:
    return next(((scale, unit) for scale, unit in _NS_UNITS if abs(value) >= scale), (1.0, "ns"))


def nanoseconds(value: float | None, digits: int = 4) -> str:
    """A time given in ns, in the unit that suits it: ``0.2706 ns``, ``1.503 µs``. Below a thousandth of a ns it is
    0.
    """
    if value is None or not math.isfinite(value):
        return DASH
    scale, unit = _ns_scale(value)
    return f"{plain(0.0 if abs(value) < 5e-4 else value / scale, digits)}{SPACE}{unit}"


def bounds(low: float | None, high: float | None, scale: float = 1.0, digits: int = 4) -> str:
    """An interval as ``[low, high]``, or a dash where there is none."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return DASH
    return f"[{plain(low / scale, digits)},{SPACE}{plain(high / scale, digits)}]"


def ns_bounds(value: float, low: float, high: float) -> str:
    """``[12.01, 12.05]`` in the unit in which `nanoseconds` writes `value`."""
    return bounds(low, high, _ns_scale(value)[0])


def ns_with_bounds(value: float, low: float, high: float) -> str:
    """``12.03 ns [12.01, 12.05]``: all three in one unit; without the brackets where there is no interval."""
    text = ns_bounds(value, low, high)
    return nanoseconds(value) if text == DASH else f"{nanoseconds(value)} {text}"


def with_bounds(value: float, low: float, high: float, unit: str = "") -> str:
    """``3.004 [3.001, 3.010] unit``, without the brackets where there is no interval."""
    number, interval = plain(value), bounds(low, high)
    return " ".join(part for part in (number, "" if interval == DASH else interval, unit) if part)


def size(value: float) -> str:
    """Bytes as ``32 KiB``, ``1 MiB``; rounded to three digits where it is not a whole number of them."""
    for scale, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value:.0f} B"


_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)


def size_bytes(value: object) -> float:
    """Bytes from ``4096``, ``"4096"``, ``"4KiB"``, ``"1 MiB"``; NaN for anything else."""
    match = _SIZE.fullmatch(str(value).strip())
    return float(match[1]) * 1024 ** " KMGT".index(match[2].upper() or " ") if match else math.nan


_NUMBER = re.compile(r"(\d+(?:\.\d+)?(?:[KMGT]iB|[kM]|[nu]s|ms|s)?(?![A-Za-z]))")
_SCALES = {
    **{f"{letter}iB": 1024.0**power for power, letter in enumerate("KMGT", 1)},
    "k": 1e3,
    "M": 1e6,
    "ns": 1.0,
    "us": 1e3,
    "ms": 1e6,
    "s": 1e9,
}


def natural(name: str) -> tuple[str | float, ...]:
    """What to sort names by so that 9 comes before 10 and 8KiB before 1MiB: texts and numbers in turn."""
    parts: list[str | float] = list(_NUMBER.split(name))
    for place in range(1, len(parts), 2):
        text = str(parts[place])
        number = text.rstrip("kKMGTiBnums")
        parts[place] = float(number) * _SCALES.get(text.removeprefix(number), 1.0)
    return tuple(parts)


def case_label(parameters: Mapping[str, object], *leave_out: str) -> str:
    """Parameters as ``read=rdtsc, via=libc``; names in `leave_out` are not said."""
    return ", ".join(f"{name}={value}" for name, value in parameters.items() if name not in leave_out)


def powers(value: float) -> str:
    """A count that grows by powers of two: ``512``, ``4 Ki``, ``1 Mi``; three digits where it is not a whole one."""
    for scale, unit in ((1 << 20, "Mi"), (1 << 10, "Ki")):
        if value >= scale:
            return f"{value / scale:.3g}{SPACE}{unit}"
    return f"{value:.3g}"


def thousands(value: float) -> str:
    """A round count on an axis: ``100``, ``10k``, ``1M``, as parameters are written."""
    for scale, unit in ((1e6, "M"), (1e3, "k")):
        if value >= scale:
            return f"{value / scale:.3g}{unit}"
    return f"{value:.3g}"


def cpu_list(cpus: Iterable[int]) -> str:
    """CPUs in the kernel's short form: ``0-3,8``."""
    runs: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if runs and runs[-1][1] == cpu - 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
