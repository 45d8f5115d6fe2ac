"""Types and schemas of the project's documents say the same."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, TypedDict, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from fencepost.bench import documents, schema

JSON_TYPES = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
    NoneType: "null",
}


def drift(described: Mapping[str, Any], hint: Any, place: str) -> list[str]:
    """Where a JSON schema and a type say different things: a key, whether it is required, or what it may hold."""
    options = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    allowed = {"object" if is_typeddict(option) else JSON_TYPES[get_origin(option) or option] for option in options}
    stated = described.get("type", [])
    said = {stated} if isinstance(stated, str) else set(stated)
    said |= {JSON_TYPES[type(value)] for value in described.get("enum", [])}
    if "number" in allowed:
        allowed.add("integer")
    found = [f"{place}: {name} is no {hint}" for name in sorted(said - allowed)]
    for option in options:
        if get_origin(option) is list:
            found += drift(described.get("items", {}), get_args(option)[0], f"{place}[]")
        elif get_origin(option) is dict:
            found += drift(described.get("additionalProperties", {}), get_args(option)[1], f"{place}.*")
        elif is_typeddict(option) and described.keys() & {"properties", "required"}:
            required, inner = set(described.get("required", ())), described.get("properties", {})
            known = required | inner.keys()
            found += [f"{place}: {name} differs" for name in sorted(option.__required_keys__ ^ required)]
            found += [f"{place}: {name} differs" for name in sorted(option.__optional_keys__ ^ (known - required))]
            for name, kind in get_type_hints(option).items():
                found += drift(inner.get(name, {}), kind, f"{place}.{name}")
    return found


@pytest.mark.parametrize(
    ("described", "document"),
    [
        (schema.RUN_SCHEMA, documents.RunJson),
        (schema.MACHINE_SCHEMA, documents.MachineJson),
        (schema.ROUND_SCHEMA, documents.RoundRecord),
        (schema.ROWS_SCHEMA, documents.RowsRecord),
    ],
    ids=["run", "machine", "round", "rows"],
)
def test_types_and_schemas_of_documents_agree(described: Mapping[str, Any], document: type) -> None:
    assert drift(described, document, document.__name__) == []


class Inner(TypedDict):
    number: int


class Needed(TypedDict):
    needed: str


class Outer(Needed, total=False):
    extra: list[Inner]


def test_drift_sees_each_difference() -> None:
    inner = {"type": "object", "required": ["number"], "properties": {"number": {"type": "integer"}}}
    extra = {"type": "array", "items": inner}
    outer: dict[str, Any] = {"type": "object", "required": ["needed"], "properties": {"extra": extra}}
    assert drift(outer, Outer, "it") == []
    assert drift({**outer, "required": []}, Outer, "it") == ["it: needed differs"]
    assert drift({**outer, "properties": {}}, Outer, "it") == ["it: extra differs"]
    assert drift({**outer, "required": ["needed", "more"]}, Outer, "it") == ["it: more differs"]
    outer["properties"]["needed"] = {"type": ["string", "null"]}
    inner["properties"] = {"number": {"type": "number"}}
    assert drift(outer, Outer, "it") == [f"it.needed: null is no {str}", f"it.extra[].number: number is no {int}"]
