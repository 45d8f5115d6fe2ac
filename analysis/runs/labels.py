"""What users call their machines, and which runs are of one machine."""

from __future__ import annotations

from collections.abc import Iterable

from fencepost.analysis.text.escape import one_line
from fencepost.bench.documents import RunJson
from fencepost.bench.schema import LONGEST_LABEL


def label_of(run: RunJson) -> str:
    """The name that the user gave to the machine; empty where there is none."""
    return one_line(run.get("labels", {}).get("name", ""), LONGEST_LABEL)


def called(run: RunJson, processor: str) -> str:
    """A machine by its label and processor, or by its processor alone."""
    label = label_of(run)
    return f"{label}: {processor}" if label else processor


def key_and_label(run: RunJson) -> tuple[str, str]:
    """What tells machines apart, see `machine_ids`."""
    return str(run["machine_key"]), label_of(run)


def machine_ids(machines: Iterable[tuple[str, str]]) -> list[str]:
    """For the key and label of each of several runs its machine: the key, with a label where there is one.

    Two labels are two machines, even of one key: machines of one make have the same. A run without a label may be of
    the one machine that has one, as labels are often given later.
    """
    pairs = list(machines)
    labels: dict[str, set[str]] = {key: set() for key, _ in pairs}
    for key, label in pairs:
        labels[key] |= {label} if label else set()
    return [with_label(key, label if len(labels[key]) > 1 else "".join(labels[key])) for key, label in pairs]


def with_label(key: str, label: str) -> str:
    """A machine's key, and its label if it has one."""
    return f"{key} ({label})" if label else key
