"""What matplotlib draws, made fit for a page: small, without ids of its own, with words to hover over, and safe.

A label is data: whatever a name holds stays text, because it is parsed as such and written out as such.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

from fencepost.analysis.text.escape import REPLACEMENT, visible

_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")


_GEOMETRY = {"d", "x", "y", "x1", "x2", "y1", "y2", "width", "height", "points", "cx", "cy", "r", "transform"}


_FONT = re.compile(r"font: ([\d.]+)px [^;]*")


_FAMILY = re.compile(r"(?:^|; )font-family: [^;]*")


_WEIGHT = re.compile(r"font: (\w+ )?(\w+) ([\d.]+)px [^;]*")


_NO_XML = re.compile("[\ufffe\uffff]")
"""What XML does not allow beside what `visible` replaces (XML 1.0, section 2.2)."""


_NOTHING = "fill:none;opacity:0"


_REFERENCE = re.compile(r"url\(#([^)]+)\)")


_GIVEN = re.compile("(?:^|;)(?:fill:currentColor|text-anchor:start)(?=;|$)")
"""What holds for words anyway: the picture as a whole says it, or nobody need."""


_SEGMENT = re.compile(r"([A-Za-z])([^A-Za-z]*)")


def tidy(
    text: str,
    name: str,
    title: str,
    description: str,
    colours: Mapping[str, str],
    said: Mapping[str, Sequence[str]] | None = None,
    links: Mapping[str, str] | None = None,
) -> str:
    """An SVG as matplotlib writes it, as an element for an HTML page.

    Parameters
    ----------
    text
        the file as written, from ``<svg`` on or with what stands before it.
    name
        put before every id, so that ids are unique on the page.
    title, description
        what a screen reader says in place of the picture.
    colours
        colours by what shall stand in their place, such as ``var(--c0, #0072b2)``.
    said
        by an artist's gid, what shows when the pointer rests on its marks, one text each in the order drawn; a single
        text is for the artist as a whole.
    links
        by an artist's gid, where a click on it leads.
    """
    root = ElementTree.fromstring(_NO_XML.sub(REPLACEMENT, visible(text[text.index("<svg ") :])))
    said, links = said or {}, links or {}
    _plain_names(root)
    _drop_extras(root)
    wanted = _referenced(root)
    for element in root.iter():
        _say(element, said, links)
    short = {old: f"{name}-{place}" for place, old in enumerate(dict.fromkeys(_ids(root, wanted)))}
    for element in root.iter():
        _shorten(element, short, colours)
    _splice(root)
    _style_shapes(root)
    _head(root, name, clickable=bool(links))
    for place, (tag, words) in enumerate((("title", title), ("desc", description))):
        child = Element(tag, {"id": f"{name}-{tag}"})
        child.text = visible(words)
        root.insert(place, child)
    # Within words and attributes the sign is written as an entity.
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True).replace(" />", "/>")


def _drop_extras(root: Element) -> None:
    """Take out what is for an SVG as a file of its own: metadata and a style sheet."""
    for element in list(root):
        if element.tag == "metadata" or (element.tag == "defs" and element.find("style") is not None):
            root.remove(element)


def _referenced(root: Element) -> set[str]:
    """All ids that some attribute refers to."""
    return {
        match
        for element in root.iter()
        for value in element.attrib.values()
        for match in [*_REFERENCE.findall(value), value[1:] if value.startswith("#") else ""]
    }


def _head(root: Element, name: str, *, clickable: bool) -> None:
    """Give the picture the attributes of a figure of the page, in place of its own."""
    view = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib.update(
        {
            "viewBox": view,
            "class": "figure tall" if clickable else "figure",
            # With links in it, it is no mere picture: a screen reader has to reach them.
            "role": "group" if clickable else "img",
            "aria-labelledby": f"{name}-title" if clickable else f"{name}-title {name}-desc",
            "stroke-linejoin": "round",
            "stroke-linecap": "butt",
            "fill": "currentColor",
        }
    )


def _plain_names(root: Element) -> None:
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        for key in [key for key in element.attrib if key.startswith("{")]:
            element.attrib[key.rpartition("}")[2]] = element.attrib.pop(key)
        if element.tag != "text" and element.tag != "tspan":
            element.text = None
        element.tail = None


def _say(element: Element, said: Mapping[str, Sequence[str]], links: Mapping[str, str]) -> None:
    gid = element.attrib.get("id", "")
    if gid in said:
        texts = said[gid]
        marks = [mark for mark in _drawn(element) if mark.tag == "use"] or list(_drawn(element))
        targets = marks if len(marks) == len(texts) else [element] if len(texts) == 1 else []
        for target, words in zip(targets, texts, strict=False):
            child = Element("title")
            child.text = visible(words)
            target.insert(0, child)
    if gid in links:
        inside = list(element)
        for child in inside:
            element.remove(child)
        anchor = Element("a", {"href": links[gid]})
        anchor.extend(inside)
        element.append(anchor)


def _drawn(element: Element) -> list[Element]:
    found = []
    for child in element:
        if child.tag in ("use", "path"):
            found.append(child)
        elif child.tag != "defs":
            found += _drawn(child)
    return found


def _ids(root: Element, wanted: set[str]) -> list[str]:
    return [element.attrib["id"] for element in root.iter() if element.attrib.get("id") in wanted]


def _shorten(element: Element, short: Mapping[str, str], colours: Mapping[str, str]) -> None:
    attributes = element.attrib
    if "id" in attributes:
        if attributes["id"] in short:
            attributes["id"] = short[attributes["id"]]
        else:
            del attributes["id"]
    for key, value in list(attributes.items()):
        if key in _GEOMETRY:
            attributes[key] = " ".join(_NUMBER.sub(_rounded, value).split())
            if key == "d":
                attributes[key] = _short_path(attributes[key])
        elif key == "href" and value.startswith("#") and value[1:] in short and element.tag == "use":
            attributes[key] = f"#{short[value[1:]]}"
        elif key == "clip-path":
            attributes[key] = _REFERENCE.sub(lambda match: f"url(#{short[match[1]]})", value)
        elif key == "style":
            # matplotlib names a font of its own for every text; the page's font is the one that fits.
            style = _WEIGHT.sub(lambda match: f"font-weight: {match[2]}; font-size: {match[3]}px", value)
            style = _FAMILY.sub("", _FONT.sub(lambda match: f"font-size: {match[1]}px", style)).removeprefix("; ")
            for colour, instead in colours.items():
                style = style.replace(colour, instead)
            attributes[key] = re.sub("([:;]) ", r"\1", style)
            if element.tag == "text":
                attributes[key] = _GIVEN.sub("", attributes[key]).removeprefix(";")
    if attributes.get("transform", "").startswith("rotate(-0 "):
        del attributes["transform"]


def _rounded(match: re.Match[str]) -> str:
    """A coordinate to a hundredth of a point, finer than any screen."""
    text = f"{float(match[0]):.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _short_path(path: str) -> str:
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


def _style_shapes(root: Element) -> None:
    """Where all copies of a shape look alike, the shape says how, and not each of them."""
    copies: dict[str, list[Element]] = {}
    for element in root.iter("use"):
        copies.setdefault(element.attrib["href"][1:], []).append(element)
    for shape in root.iter("path"):
        alike = copies.get(shape.attrib.get("id", ""), [])
        if not alike or len({copy.attrib.get("style") for copy in alike}) > 1:
            continue
        given, own = _declared(alike[0]), _declared(shape)
        # What is not inherited holds for the copy and for the shape in it: both opacities count.
        if "opacity" in given and "opacity" in own:
            continue
        shape.attrib["style"] = ";".join(f"{name}:{value}" for name, value in (given | own).items())
        for copy in alike:
            copy.attrib.pop("style", None)


def _declared(element: Element) -> dict[str, str]:
    declarations = element.attrib.get("style", "").split(";")
    return dict(declaration.split(":", 1) for declaration in declarations if declaration)


def _splice(element: Element) -> None:
    """Take out groups that say nothing, and shapes that cannot be seen."""
    place = 0
    while place < len(element):
        child = element[place]
        _splice(child)
        bare = child.tag == "g" and not child.attrib and (not len(child) or child[0].tag != "title")
        if bare:
            element.remove(child)
            for inner in reversed(list(child)):
                element.insert(place, inner)
            place += len(child)
        elif child.tag == "path" and child.attrib.get("style") == _NOTHING:
            element.remove(child)
        else:
            place += 1
