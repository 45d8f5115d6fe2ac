"""What users call their machines, and which runs are of one machine."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import NamedTuple

from fencepost.analysis.text.escape import one_line
from fencepost.bench.documents import RunJson
from fencepost.bench.labels import HOST, LABELS_AFTER, LONGEST_LABEL, NAME


class MachineIdentity(NamedTuple):
    """What tells machines apart: the key of their make, the name that the user gave, the name of the host."""

    key: str
    name: str = ""
    host: str = ""

    def __str__(self) -> str:
        told = ", ".join(filter(None, (self.name, self.host)))
        return f"{self.key} ({told})" if told else self.key


NO_MACHINE = MachineIdentity("")


class Kinship(StrEnum):
    """How the machines of several runs are related."""

    ONE = "one machine"
    MAKE = "one make"
    MAKES = "several makes"


def label_of(run: RunJson, key: str = NAME) -> str:
    """A label of the run, by default the name that the user gave to the machine; empty where there is none."""
    return one_line(run.get("labels", {}).get(key, ""), LONGEST_LABEL)


def told_labels(run: RunJson) -> list[tuple[str, str]]:
    """All labels of a run with their keys, the name first. It stands under the key ``label``."""
    labels = run.get("labels", {})
    order = sorted(labels, key=lambda key: (key != NAME, key != HOST, key))
    return [("label" if key == NAME else key, label_of(run, key)) for key in order]


def called(run: RunJson, processor: str) -> str:
    """A machine by its label, or its host, and processor; or by its processor alone."""
    label = label_of(run) or label_of(run, HOST)
    return f"{label}: {processor}" if label else processor


def identity_of(run: RunJson) -> MachineIdentity:
    """What tells machines apart, see `identities`."""
    return MachineIdentity(str(run["machine_key"]), label_of(run), label_of(run, HOST))


def without_host(run: RunJson) -> RunJson:
    """run.json without what says which machine of a network it was: label, words of the id and of the command."""
    labels = {key: value for key, value in run.get("labels", {}).items() if key != HOST}
    if labels == run.get("labels", {}):
        return run
    command: list[str] = []
    for word in run["command"]:
        if word.removeprefix("--label=").startswith(f"{HOST}="):
            if command and command[-1] == "--label":
                command.pop()
        else:
            command.append(word)
    found: RunJson = {**run, "id": bare_id(run), "command": command, "labels": labels}
    if not labels:
        del found["labels"]
    return found


def bare_id(run: RunJson) -> str:
    """The id without the words of labels, as a published run has it."""
    return str(run["id"]).partition(LABELS_AFTER)[0]


def identities(machines: Iterable[MachineIdentity]) -> list[MachineIdentity]:
    """For each of several runs its machine, with the name and host that other runs of the same machine tell.

    Two names are two machines, even of one key, and so are two hosts: machines of one make have the same key. A run
    that lacks one of them may be of the one machine that has it, as labels are often given later, and older versions
    stored no host.
    """
    given = list(machines)
    # Of years of runs there are few machines.
    found = {one: one for one in given}
    for wanted, by in (("host", "name"), ("name", "host")):
        told = set(found.values())
        lacking = {one: _only(one, told, wanted, by) for one in told if not getattr(one, wanted)}
        found = {one: now._replace(**{wanted: lacking[now]}) if now in lacking else now for one, now in found.items()}
    return [found[one] for one in given]


def _only(one: MachineIdentity, among: Collection[MachineIdentity], wanted: str, by: str) -> str:
    """The only value of `wanted` among machines that may be `one`; empty where there are several.

    Those count that have its `by` where it has one, and others of its key that have none.
    """
    own = getattr(one, by)
    alike = [other for other in among if other.key == one.key and (not own or getattr(other, by) in ("", own))]
    same = [other for other in alike if own and getattr(other, by) == own]
    for group in (same, alike):
        values = {getattr(other, wanted) for other in group} - {""}
        if values:
            return "".join(values) if len(values) == 1 else ""
    return ""


def machine_ids(machines: Iterable[MachineIdentity]) -> list[str]:
    """The machine of each of several runs as text, see `identities`."""
    return list(map(str, identities(machines)))


def relation_of(machines: Iterable[MachineIdentity]) -> Kinship:
    """Whether runs are of one machine, of several of one make, or of several makes."""
    found = set(identities(machines))
    if len(found) <= 1:
        return Kinship.ONE
    return Kinship.MAKE if len({one.key for one in found}) == 1 else Kinship.MAKES


def relation_text(machines: Iterable[MachineIdentity]) -> str:
    """The relation as a reader sees it: ``one machine``, ``3 machines of one make``, ``3 machines of 2 makes``."""
    given = list(machines)
    relation, found = relation_of(given), set(identities(given))
    if relation is Kinship.ONE:
        return "one machine"
    makes = "one make" if relation is Kinship.MAKE else f"{len({one.key for one in found})} makes"
    return f"{len(found)} machines of {makes}"
