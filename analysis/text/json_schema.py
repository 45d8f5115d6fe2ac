"""JSON Schemas of the documents that are types in the code: programs that read our answers can check them."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Mapping
from typing import Any

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PLAIN: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    object: {},
    Any: {},
}


def json_schema(document: Any, known: Mapping[Any, Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """The schema of a document.

    Parameters
    ----------
    document
        a TypedDict, or a union of several. It may be made of strings, numbers, lists, dicts with string keys, unions,
        literals and further TypedDicts.
    known
        schemas of types that have one already.

    Returns
    -------
    dict
        a schema of the dialect 2020-12. It allows no key that the type does not have.

    Raises
    ------
    TypeError
        for a type that has no form in JSON.
    """
    definitions: dict[str, Any] = {}
    schema = _of(document, known or {}, definitions)
    return {"$schema": DIALECT, **schema, "$defs": definitions}


def _of(kind: Any, known: Mapping[Any, Mapping[str, Any]], definitions: dict[str, Any]) -> dict[str, Any]:
    if kind in _PLAIN:
        return _PLAIN[kind]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_of(one, known, definitions) for one in arguments]}
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin in (list, tuple):
        return {"type": "array", "items": _of(arguments[0], known, definitions)}
    if origin is dict and arguments[0] is str:
        return {"type": "object", "additionalProperties": _of(arguments[1], known, definitions)}
    if not typing.is_typeddict(kind):
        raise TypeError(f"{kind!r}: has no form in JSON")
    if kind.__name__ not in definitions:
        definitions[kind.__name__] = {}  # a document may hold others of its own kind
        definitions[kind.__name__] = known[kind] if kind in known else _of_keys(kind, known, definitions)
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _of_keys(kind: Any, known: Mapping[Any, Mapping[str, Any]], definitions: dict[str, Any]) -> dict[str, Any]:
    properties, required = {}, []
    # The class itself does not know which keys are optional where its module postpones the evaluation of annotations.
    for name, held in typing.get_type_hints(kind, include_extras=True).items():
        optional = typing.get_origin(held) is typing.NotRequired
        properties[name] = _of(typing.get_args(held)[0] if optional else held, known, definitions)
        required += [] if optional else [name]
    return {
        "description": " ".join((inspect.getdoc(kind) or "").split()),
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": False,
    }
