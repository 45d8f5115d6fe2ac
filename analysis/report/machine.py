"""What a run ran on and what was run: the machine in words, versions, compiler, hashes."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from pathlib import Path

from fencepost.analysis.report.trust import virtual
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.labels import told_labels
from fencepost.analysis.runs.machine import FACT_WORDS
from fencepost.analysis.runs.pruning import DROPPED, was_pruned
from fencepost.analysis.text.numbers import count, counted, size
from fencepost.analysis.text.table import Table, table
from fencepost.bench.caches import caches
from fencepost.bench.documents import EngineJson, MachineJson
from fencepost.bench.schema import MACHINE_FILE, ROWS_FILE, RUN_FILE, round_files


def machine_table(machine: MachineJson, engine: EngineJson | None = None) -> Table:
    """What machine.json says, in words; what it does not know is said to be not known."""
    told: Mapping[str, object] = machine
    facts = [(word, _fact(told[name])) for name, word in FACT_WORDS.items() if name in told]
    topology = machine["topology"]
    if isinstance(topology, Mapping):
        counts = [
            (len(groups or ()), one, several)
            for groups, one, several in (
                (topology.get("cpus"), "CPU", "CPUs"),
                (topology.get("cores"), "core", "cores"),
                (topology.get("packages"), "package", "packages"),
                (topology.get("numa"), "NUMA node", "NUMA nodes"),
            )
        ]
        facts.append(
            (
                "topology",
                ", ".join(f"{count} {one if count == 1 else several}" for count, one, several in counts if count)
                or "not known",
            )
        )
    known = caches(machine)
    if known:
        facts.append(("caches", ", ".join(f"{name} {size(value)}" for name, value in known)))
    memory = machine.get("memory_bytes")
    if isinstance(memory, int | float):
        facts.append(("memory", size(memory)))
    facts.append(("virtualisation", virtual(machine.get("hypervisor"))))
    boot = machine.get("boot_parameters")
    if isinstance(boot, list | tuple):
        facts.append(("kernel parameters that matter", ", ".join(map(str, boot)) or "none given"))
    mitigations = machine.get("mitigations")
    if isinstance(mitigations, Mapping):
        active = [f"{name}: {text}" for name, text in mitigations.items() if text != "Not affected"]
        facts.append(("mitigations", "; ".join(active) or "not affected by any that the kernel knows"))
    if engine:
        facts += [("compiler", engine["compiler"]), ("flags", engine["flags"])]
    return table("The machine", ("what", "value"), facts)


def _fact(value: object) -> str:
    if value is None or value == "" or value == []:
        return "not known"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def run_hash(folder: Path) -> str:
    """SHA-256 of a run: what ``cat run.json machine.json rounds/*.parquet | sha256sum`` in its folder says; with
    rows.parquet in place of the rounds where they were reduced to it.
    """
    digest = hashlib.sha256()
    samples = [folder / ROWS_FILE] if (folder / ROWS_FILE).exists() else round_files(folder).values()
    for path in (folder / RUN_FILE, folder / MACHINE_FILE, *samples):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def data_table(analysis: Analysis) -> Table:
    """What was run, with what command, compiler and versions."""
    run, plan = analysis.run, analysis.run["plan"]
    engine = run["engine"]
    facts = [
        ("run", run["id"]),
        *told_labels(run),
        (
            "sha256 of the run",
            f"{run_hash(analysis.reduced.folder)} (of its run.json, machine.json and rounds, in this order)",
        ),
        *(
            ()
            if "sha256" in run or (analysis.reduced.folder / ROWS_FILE).exists()  # the gallery checks those itself
            else (("checked", "no: an older version wrote run.json without its hash. A changed bit is not noticed"),)
        ),
        ("made", run["created_utc"]),
        *((("pruned", DROPPED.replace("`", "")),) if was_pruned(analysis) else ()),
        ("command", shlex.join(run["command"])),
        (
            "profile",
            (
                f"{plan['profile']}: {counted(plan['rounds'], 'round')}, {plan['batches']} batches of "
                f"{plan['batch_ns'] // 1000} µs a case, seed {plan['seed']}"
            ),
        ),
        ("launcher", run["launcher"]),
        ("engine", f"{engine['arch']}, {engine['compiler']}, {engine['flags']}"),
        ("sha256 of the engine", engine["sha256"]),
        ("versions", ", ".join(f"{name} {version}" for name, version in run["versions"].items())),
        ("batches", count(float(sum(row.batches for row in analysis.rows)))),
    ]
    return table("The run and its tools", ("what", "value"), facts)
