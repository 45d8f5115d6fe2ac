"""What matplotlib draws, made fit for a page and for other programs: small, without ids of its own, with words to hover
over, and safe.

A label is data: whatever a name holds stays text, because it is parsed as such and written out as such. Looks are
presentation attributes with colours in full, which every program that shows SVG understands. A page changes them with
its style sheet, for a dark screen.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

from fencepost.analysis.draw.paths import compact, rounded, shortened, stroke_from
from fencepost.analysis.text.escape import REPLACEMENT, visible

_GEOMETRY = {"x", "y", "x1", "x2", "y1", "y2", "width", "height", "points", "cx", "cy", "r", "transform"}


_LOOKS = {
    *("fill", "fill-opacity", "fill-rule", "opacity"),
    *("stroke", "stroke-opacity", "stroke-width", "stroke-dasharray", "stroke-dashoffset"),
    *("stroke-linecap", "stroke-linejoin"),
    *("font-size", "font-style", "font-weight", "text-anchor"),
    *("stop-color", "stop-opacity", "image-rendering"),
}
"""Properties that are attributes too (SVG 2, section 6.6). The page's font is the one that fits: no family."""


_FONT = re.compile(r"(?:(\w+) )?(?:(\w+) )?([\d.]+)px .*")
"""What matplotlib writes as ``font: italic 700 10px 'DejaVu Sans'``; the first two may be missing."""


_NO_XML = re.compile("[\ufffe\uffff]")
"""What XML does not allow beside what `visible` replaces (XML 1.0, section 2.2)."""


_REFERENCE = re.compile(r"url\(#([^)]+)\)")


_NAMES = (
    'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
    "font-family=\"Helvetica, Arial, 'DejaVu Sans', sans-serif\""
)
"""What a browser does not need on a page, and other programs do. A program takes the first font that it has."""


_WORDS = "|".join(sorted(_GEOMETRY | _LOOKS | {"id", "class", "role", "d", "viewBox", "aria-labelledby", "offset"}))

INERT = re.compile(
    rf"""(?: [^<>&]++ | &\#?\w+; | </\w+>
      | <(?:svg|g|defs|clipPath|path|use|rect|circle|text|tspan|title|desc|a|image|linearGradient|stop)
          (?:\ {re.escape(_NAMES)})?+
          (?:\ (?:{_WORDS})="[^"<>&]*"
            |\ clip-path="url\(\#[\w.:-]+\)"
            |\ (?:xlink:)?href="(?:\#[\w.:-]*|data:image/png;base64,[\w+/=\s]*)"
          )*+ \ ?/?> )++""",
    re.VERBOSE,
)
"""All that `tidy` can write: shapes, words and places of the same page. No script, style, event or other address.
It never goes back, so that no text takes it long."""


def tidy(
    text: str,
    name: str,
    title: str,
    description: str,
    colours: Mapping[str, str],
    said: Mapping[str, Sequence[str]] | None = None,
    links: Mapping[str, str] | None = None,
    *,
    ink: str = "#1b1b1b",
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
        colours by those that shall stand in their place.
    said
        by an artist's gid, what shows when the pointer rests on its marks, one text each in the order drawn; a single
        text is for the artist as a whole.
    links
        by an artist's gid, where a click on it leads.
    ink
        the colour of words, and of whatever names no other.
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
        _shorten(element, short)
        _show(element, colours, ink)
    _splice(root)
    _style_shapes(root)
    _draw_ticks(root)
    _join_lines(root)
    for element in root.iter("path"):
        element.attrib["d"] = compact(element.attrib["d"])
    _head(root, name, ink, clickable=bool(links))
    for place, (tag, words) in enumerate((("title", title), ("desc", description))):
        child = Element(tag, {"id": f"{name}-{tag}"})
        child.text = visible(words)
        root.insert(place, child)
    # Within words and attributes the sign is written as an entity.
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True).replace(" />", "/>")


def named(svg: str) -> str:
    """An SVG as `tidy` makes it, with the names that other programs ask for: it may be copied out of a page.

    Word processors and Inkscape show copies of a shape only where their address has the older of its two names.
    """
    return re.sub(r"(<use [^>]*?)(?<!:)\bhref=", r"\1xlink:href=", svg.replace("<svg ", f"<svg {_NAMES} ", 1))


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


def _head(root: Element, name: str, ink: str, *, clickable: bool) -> None:
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
            "fill": ink,
        }
    )
    sizes = Counter(text.attrib.get("font-size") for text in root.iter("text"))
    usual = sizes.most_common(1)[0][0] if sizes else None
    if usual is not None:
        root.attrib["font-size"] = usual
        for text in root.iter("text"):
            if text.attrib.get("font-size") == usual:
                del text.attrib["font-size"]


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


def _shorten(element: Element, short: Mapping[str, str]) -> None:
    """Give an element a short id, and round its coordinates."""
    attributes = element.attrib
    if "id" in attributes:
        if attributes["id"] in short:
            attributes["id"] = short[attributes["id"]]
        else:
            del attributes["id"]
    for key, value in list(attributes.items()):
        if key == "d":
            attributes[key] = shortened(rounded(value))
        elif key in _GEOMETRY:
            attributes[key] = rounded(value)
        elif key == "href" and value.startswith("#") and value[1:] in short and element.tag == "use":
            attributes[key] = f"#{short[value[1:]]}"
        elif key == "clip-path":
            attributes[key] = _REFERENCE.sub(lambda match: f"url(#{short[match[1]]})", value)
    if attributes.get("transform", "").startswith("rotate(0 ") or attributes.get("transform", "").startswith(
        "rotate(-0 "
    ):
        del attributes["transform"]


def _show(element: Element, colours: Mapping[str, str], ink: str) -> None:
    """Turn an element's style into attributes."""
    for declaration in element.attrib.pop("style", "").split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        if name == "font":
            # matplotlib names a font of its own for every text.
            match = _FONT.fullmatch(value)
            if match is not None:
                element.attrib["font-size"] = match[3]
                for word in match.groups()[:2]:
                    if word and (word.isdigit() or word == "bold"):
                        element.attrib["font-weight"] = word
        elif name in _LOOKS:
            value = colours.get(value, value).removesuffix("px")
            element.attrib[name] = re.sub(r"(?<![\d#.])0(?=\.\d)", "", value) if not value.startswith("#") else value
    # What holds for words anyway: the picture as a whole says it, or nobody need.
    if element.tag == "text":
        for name, value in (("fill", ink), ("text-anchor", "start")):
            if element.attrib.get(name) == value:
                del element.attrib[name]


def _style_shapes(root: Element) -> None:
    """Where all copies of a shape look alike, the shape says how, and not each of them."""
    copies: dict[str, list[Element]] = {}
    for element in root.iter("use"):
        copies.setdefault(element.attrib["href"][1:], []).append(element)
    for shape in root.iter("path"):
        alike = copies.get(shape.attrib.get("id", ""), [])
        if not alike or any(_looks(copy) != _looks(alike[0]) for copy in alike):
            continue
        given, own = _looks(alike[0]), _looks(shape)
        # What is not inherited holds for the copy and for the shape in it: both opacities count.
        if "opacity" in given and "opacity" in own:
            continue
        shape.attrib |= given | own
        for copy in alike:
            for name in given:
                del copy.attrib[name]


def _looks(element: Element) -> dict[str, str]:
    return {name: value for name, value in element.attrib.items() if name in _LOOKS}


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
        elif child.tag == "path" and (not child.attrib.get("d") or _unseen(child)):
            element.remove(child)
        else:
            place += 1


def _unseen(shape: Element) -> bool:
    return shape.attrib.get("fill") == "none" and shape.attrib.get("opacity") == "0"


def _draw_ticks(root: Element) -> None:
    """Draw ticks as strokes of paths, in place of copies of a shape: there are dozens on a logarithmic axis."""
    shapes = {shape.attrib["id"]: shape for shape in root.iter("path") if "id" in shape.attrib}
    for parent in list(root.iter()):
        for place, child in enumerate(list(parent)):
            if child.tag != "use" or len(child) or set(child.attrib) != {"x", "y", "href"}:
                continue
            shape = shapes[child.attrib["href"][1:]]
            stroke = stroke_from(shape.attrib["d"], child.attrib["x"], child.attrib["y"])
            if stroke is not None:
                parent[place] = Element("path", {"d": stroke, **_looks(shape), "fill": "none"})
    used = {element.attrib["href"][1:] for element in root.iter("use")}
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == "defs":
                for shape in list(child):
                    if shape.tag == "path" and shape.attrib.get("id", "") not in used:
                        child.remove(shape)
                if not len(child):
                    parent.remove(child)


def _join_lines(parent: Element) -> None:
    """Make one path of lines that look alike, such as those of a grid, where the first of them is.

    Lines with words of their own stay apart, and so do filled shapes.
    """
    first: dict[tuple[tuple[str, str], ...], Element] = {}
    for child in list(parent):
        if len(child):
            _join_lines(child)
        looks = {name: value for name, value in child.attrib.items() if name != "d"}
        if child.tag != "path" or len(child) or "id" in looks or looks.get("fill") != "none":
            continue
        key = tuple(sorted(looks.items()))
        if key in first:
            first[key].attrib["d"] += child.attrib["d"]
            parent.remove(child)
        else:
            first[key] = child
