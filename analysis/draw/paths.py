"""Paths of SVG in few letters."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")


_SEGMENT = re.compile(r"([A-Za-z])([^A-Za-z]*)")


_TICK = re.compile(r"M0 0([HV])(-?[\d.]+)")
"""A straight line from the point where a tick stands."""


def rounded(text: str) -> str:
    """Every coordinate in `text` to a tenth of a point, finer than a dot of paper at 600 dots an inch."""
    return " ".join(_NUMBER.sub(lambda match: _written(float(match[0])), text).split())


def _written(number: float) -> str:
    text = f"{number:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def shortened(path: str) -> str:
    """The same path (of matplotlib's commands, which are absolute): level and upright lines by one number, without the
    points on the way, and no space where a letter parts two numbers.
    """
    found: list[str] = []
    x, y, begun = "", "", ""  # where the line that ends here began: its x if it is level, its y if upright
    for command, rest in _SEGMENT.findall(path):
        numbers = rest.split()
        straight = "H" if command == "L" and numbers[1] == y else "V" if command == "L" and numbers[0] == x else ""
        if straight:
            here, there = (x, numbers[0]) if straight == "H" else (y, numbers[1])
            if found[-1][0] == straight and (float(here) - float(begun)) * (float(there) - float(here)) >= 0:
                found.pop()
            else:
                begun = here
            found.append(straight + there)
        else:
            found.append(command + " ".join(numbers))
        x, y = numbers[-2:] if numbers else ("", "")
    return "".join(found)


def stroke_from(shape: str, x: str, y: str) -> str | None:
    """The path of a tick's shape at a point; None where the shape is no straight line."""
    match = _TICK.fullmatch(shape)
    if match is None:
        return None
    start = float(x) if match[1] == "H" else float(y)
    return f"M{x} {y}{match[1]}{_written(start + float(match[2]))}"


def compact(path: str) -> str:
    """The same path by the way from point to point: two neighbours are mostly near each other.

    The way is between rounded points, so that the roundings of many steps do not add up.
    """
    found, last = [], ""
    x = y = start_x = start_y = 0
    for command, rest in _SEGMENT.findall(path):
        if command in "zZ":
            found.append("z")
            x, y, last = start_x, start_y, "z"
            continue
        numbers = [round(float(number) * 10) for number in re.findall(r"-?[\d.]+", rest)]
        if command == "H":
            steps, x = [numbers[0] - x], numbers[0]
        elif command == "V":
            steps, y = [numbers[0] - y], numbers[0]
        else:
            steps = [number - (y if place % 2 else x) for place, number in enumerate(numbers)]
            x, y = numbers[-2:]
        if command == "M":
            start_x, start_y = x, y
        # The first step leads from nowhere: it is the place itself.
        letter = command.lower() if found else command
        text = _steps(steps)
        same = letter == last and letter != "m"
        found.append((" " if same and not text.startswith("-") else "") + text if same else letter + text)
        last = letter
    return "".join(found)


def _steps(tenths: list[int]) -> str:
    """Numbers after a letter: a minus parts two as well as a space does."""
    text = ""
    for number in tenths:
        whole, part = divmod(abs(number), 10)
        written = ("-" if number < 0 else "") + (f"{whole or ''}.{part}" if part else str(whole))
        text += written if not text or written.startswith("-") else f" {written}"
    return text
