"""The topics of the suite: a folder each, and beside them the parts that they share."""

import importlib
import importlib.util
import pkgutil
from types import ModuleType


def modules(name: str) -> list[ModuleType]:
    """The module `name` (``figures``, ``claims``) of every topic that has one. Topics are found by looking."""
    found = []
    for item in pkgutil.iter_modules(__path__):
        module = f"{__name__}.{item.name}.{name}"
        if item.ispkg and importlib.util.find_spec(module) is not None:
            found.append(importlib.import_module(module))
    return found
