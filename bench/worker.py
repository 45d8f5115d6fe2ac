"""The worker: one round in one fresh process. Run as a script, it imports the C engine and the standard library only.

It reads one JSON spec from standard input and writes frames to standard output. A frame is one line of JSON, followed
by as many raw bytes as its keys ``samples_bytes`` and ``buckets_bytes`` say (both 0 where absent):

``{"kind": "hello", ...}``
    what this process is: its clock, its CPUs, how long it took to start;
``{"kind": "begin", "case": id}``
    before each case, so that whoever finds this process dead knows what it was doing; ``"beside": id`` names a second
    case whose batches take turns with it;
``{"kind": "case", "case": id, ...}``
    how the case went, then its array of ``struct sample`` and its array of ``struct bucket``;
``{"kind": "end", ...}``
    all cases were run. Without this frame the round is incomplete.

Every time is taken in C. The parent makes standard output a file in memory, not a pipe: nobody is woken by a write, so
the parent does not run on the measured CPUs between two cases.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fencepost.bench.messages import BeginFrame, CaseFrame, Frame, HelloFrame, Spec, SpecCase

SPIN_NS = 5_000_000
_JSON = json.JSONEncoder(allow_nan=False)
"""Made once: json.dumps with an option makes one a call, between two cases."""
ENGINE_METRICS = ("operation_ticks", "control_ticks", "loaded_pct")
"""Metrics that the engine itself has of some cases: members of C's ``struct outcome``, NaN for the others."""
HARDWARE = "hw_"
"""How the names of metrics begin that the hardware counted, each for one operation."""
IDLE_NS = 20_000_000
"""Asleep before the first case where the energy of a package can be read: 20 steps of its counter, good to 5 %."""
AGAIN_BATCHES = 4
"""Of a visit that looks for quiet batches: while one after the other is free, it goes on by itself. Fewer could hold no
quiet one."""
LOOKS = 8
"""How often in a round those that lack quiet batches come again: once a second at most, since a neighbour that never
pauses stays for seconds."""
HOPELESS = 50
"""So many visits after one another without a quiet batch end a look, after some 60 ms. The time that is left is for a
later one."""
FEWEST_ROUNDS = 6
"""Quiet ones, without which a row is not alone: `FEWEST_PROCESSES` of analysis."""
ENOUGH_ROUNDS = 10
"""Quiet ones, for an interval of a median that spares one value at each end."""
EXIT_ORPHAN = 4
EXIT_OUTPUT = 5
EXIT_ENGINE = 6
EXIT_FRAMES = 7
FRAMES_LOST = "found the file of its frames closed or written to by a kernel"
"""What is said with it: a kernel may end its process with the same status."""


def urgency(quiet_rounds: int, cost_ns: int) -> tuple[int, int, int]:
    """By what cases that lack quiet batches are sorted, the most urgent first.

    First come those that are not alone yet, then those with too few rounds for a good interval, then the rest. Of each
    the one that is nearest to its goal comes first: where free moments are few, some rows are alone and not none. Of
    those the quick ones come first, because a core that is free stays so for some milliseconds.
    """
    stage = (quiet_rounds >= FEWEST_ROUNDS) + (quiet_rounds >= ENOUGH_ROUNDS)
    return stage, -quiet_rounds, cost_ns


class FramesLostError(Exception):
    """A kernel has closed the file of the frames, or written to it."""


def load_extension(name: str, path: str) -> ModuleType:
    """Load the extension module `name` from the file `path`, without any search."""
    spec = spec_from_file_location(name, path, loader=ExtensionFileLoader(name, path))
    if spec is None:
        raise ImportError(f"{path}: not an extension module")
    module = module_from_spec(spec)
    sys.modules[name] = module
    loader = spec.loader
    assert loader is not None
    loader.exec_module(module)
    return module


def write_frame(descriptor: int, record: Frame, *arrays: memoryview) -> None:
    """Write one frame whole, however little a single write takes."""
    pieces = [memoryview(_JSON.encode(record).encode() + b"\n"), *arrays]
    for piece in pieces:
        rest = piece.cast("B") if piece.nbytes else piece
        while rest.nbytes:
            rest = rest[os.write(descriptor, rest) :]


def traced() -> bool:
    """Whether another process traces this one (strace, a debugger); False where Linux does not say."""
    try:
        with open("/proc/self/status", "rb") as file:  # noqa: PTH123 (pathlib would be one import more)
            lines = file.read().splitlines()
    except OSError:
        return False
    return any(line.startswith(b"TracerPid:") and int(line.split()[1]) != 0 for line in lines)


def place_of(descriptor: int) -> tuple[int, int, int]:
    """Which file a descriptor means, and where in it the next write goes; -1 where it is closed."""
    try:
        found = os.fstat(descriptor)
        return found.st_dev, found.st_ino, os.lseek(descriptor, 0, os.SEEK_CUR)
    except OSError:
        return -1, -1, -1


def finite(value: float) -> float | None:
    """A number that JSON has, or None."""
    return value if value - value == 0 else None


def hardware_of(outcome: Any, names: Sequence[str]) -> dict[str, float]:
    """What the hardware counted for one operation, and how many instructions that is a cycle, where it counted both."""
    each = zip(names, outcome.hardware, strict=True)
    found = {HARDWARE + name: value for name, value in each if finite(value) is not None}
    cycles, instructions = (found.get(HARDWARE + name, 0) for name in ("cycles", "instructions"))
    return found | ({HARDWARE + "ipc": instructions / cycles} if cycles > 0 and instructions > 0 else {})


def energy_of(package_w: float, idle_w: float) -> dict[str, float]:
    """Power of the package beside a case, while the process slept, and the difference. Nothing where one is not
    known.
    """
    known = finite(package_w) is not None and finite(idle_w) is not None
    return {"energy_w": package_w, "energy_idle_w": idle_w, "energy_extra_w": package_w - idle_w} if known else {}


def add_results(record: CaseFrame, outcome: Any, case: SpecCase, counted: dict[str, float]) -> None:
    """Say in the frame of a case what its ``struct outcome`` holds, and what was `counted` beside it."""
    counts = range(case.get("counts", 0))
    record |= {
        "events": outcome.events,
        "overhead_ticks": finite(outcome.overhead_ticks),
        "tick_hz": finite(outcome.tick_hz),
        "core_hz": finite(outcome.core_hz),
        "core_hz_before": finite(outcome.core_hz_before),
        "core_hz_after": finite(outcome.core_hz_after),
        "chain_ratio": finite(outcome.chain_ratio),
        "raw_before_ticks": finite(outcome.raw_before_ticks),
        "raw_after_ticks": finite(outcome.raw_after_ticks),
        "metrics": [finite(outcome.metric[i]) for i in range(case["metrics"])],
        "engine_metrics": {
            name: value for name in ENGINE_METRICS if (value := finite(getattr(outcome, name))) is not None
        }
        | counted,
        "counts": [
            [outcome.count[i].found, outcome.count[i].expected] if outcome.count[i].taken else None for i in counts
        ],
        "elapsed_ns": outcome.elapsed_ns,
        "quiet_batches": outcome.quiet_batches,
        "turn_batches": outcome.turn_batches,
    }


class RoundRunner:
    """The cases of one spec, measured one after the other."""

    def __init__(self, ffi: Any, lib: Any, spec: Spec, output: int) -> None:
        self.ffi, self.lib, self.spec, self.output = ffi, lib, spec, output
        self.settings = ffi.new("struct settings *", spec["settings"])
        # The hardware has counted before.
        self.again = ffi.new("struct settings *", {**spec["settings"], "batches": AGAIN_BATCHES, "counter_turn": 0})
        self.part = ffi.new("struct settings *", {**spec["settings"], "batches": spec["part_batches"]})
        counters = range(lib.HARDWARE_COUNTERS)
        self.counters = [ffi.string(lib.hardware_counter_name(counter)).decode() for counter in counters]
        self.idle_w = float("nan")  # power of the package, see hello()
        self.again_ns = 0  # taken by visits that looked for quiet batches
        self.cases = {case["case"]: case for case in spec["cases"]}
        self.cost_ns: dict[str, int] = {}  # of the last visit, by case
        self.quiet: dict[str, int] = {}  # batches, by case
        self.kernels = {}
        for index in range(lib.registry_count()):
            kernel = lib.registry_get(index)
            self.kernels["", ffi.string(kernel.name).decode()] = kernel
        for item in spec.get("objects", ()):
            self._load(item["label"], item["path"])
        # One buffer for all cases, as large as the largest needs and touched before the first; two for sides in turns.
        self.capacity = max((self._samples_of(case) for case in spec["cases"]), default=1)
        sides = 2 if any(case["in_turns"] for case in spec["cases"]) else 1
        self.samples = [ffi.new("struct sample[]", self.capacity) for _ in range(sides)]
        self.buckets = ffi.new("struct bucket[]", lib.MAX_BUCKETS)

    def hello(self, started_ns: int) -> None:
        """Say what this process is; measures its clock and brings the core to its working frequency."""
        lib, ffi = self.lib, self.ffi
        facts = ffi.new("struct clock_facts *")
        lib.clock_measure(facts)
        self.idle_w = self._idle_watts()
        lib.spin_ns(SPIN_NS)
        record: HelloFrame = {
            "kind": "hello",
            "tick_source": ffi.string(facts.source).decode() if facts.source else "unknown",
            "tick_hz": facts.tick_hz,
            "tick_hz_error_ppm": finite(facts.tick_hz_error_ppm),
            "quantum_ticks": facts.quantum_ticks,
            "overhead_ticks": facts.overhead_ticks,
            "startup_ms": round((started_ns - self.spec["spawn_ns"]) / 1e6, 3),
            "cpus": sorted(os.sched_getaffinity(0)),
            "pid": os.getpid(),
            "traced": traced(),
        }
        write_frame(self.output, record)

    def _idle_watts(self) -> float:
        """Begin to read the energy of the package where the machine tells it; its power asleep, else NaN."""
        source, lib = self.spec["energy"], self.lib
        if source is None:
            return float("nan")
        if source["kind"] == "file":
            failed = lib.energy_open_file(os.fsencode(source["path"]), source["range_uj"])
        else:
            failed = lib.energy_open_event(source["type"], source["config"], source["joules"], source["cpu"])
        return float("nan") if failed else float(lib.energy_idle_watts(IDLE_NS))

    def run(self) -> None:
        """Measure every case in the order of the spec, and now and then those again that lack quiet batches."""
        cases = self.spec["cases"]
        # The moments of one case are far apart, and looks fall between them.
        last = {case["case"]: place for place, case in enumerate(cases) if case["visits"] == 1}
        open_until, looks = 0, 0
        for place, case in enumerate(cases):
            if case["in_turns"]:
                self._visit(cases[place : place + 2], self.settings)
            elif not (place and cases[place - 1]["in_turns"]):
                self._visit([case], self.settings if case["visits"] == 1 else self.part)
            open_until = max(open_until, last.get(case["case"], place))
            # At places that are fixed beforehand, so that they fall on no kind of moment; never between two sides.
            if open_until == place and (place + 1) * LOOKS >= (looks + 1) * len(cases):
                looks = (place + 1) * LOOKS // len(cases)
                self._again(self.spec["again_ns"] * looks // LOOKS)
        elapsed_ms = round((self.lib.now_ns() - self.spec["spawn_ns"]) / 1e6, 3)
        write_frame(
            self.output, {"kind": "end", "elapsed_ms": elapsed_ms, "again_ns": self.again_ns, "traced": traced()}
        )

    def _visit(self, cases: Sequence[SpecCase], settings: Any) -> bool:
        """Measure a case, or two in turns, and count their quiet batches; whether there were any."""
        began_ns = self.lib.now_ns()
        found = self._measure(cases, settings)
        for case, quiet in zip(cases, found, strict=True):
            before = self.quiet.get(case["case"], 0)
            # Negative where it has none by design, in any of its visits.
            self.quiet[case["case"]] = min(quiet, before) if min(quiet, before) < 0 else before + quiet
            self.cost_ns[case["case"]] = (self.lib.now_ns() - began_ns) // len(cases)
        return max(found) > 0

    def _again(self, granted_ns: int) -> None:
        """Visit cases again until each has its quiet batches, the time is up, or it is hopeless.

        The witness alone says which case comes again, and how often; never a value (`urgency`).
        """
        lacking = sorted(
            (case for case in self.cases.values() if self._lacks(case)),
            key=lambda case: urgency(case["quiet_rounds"], self.cost_ns[case["case"]]),
        )
        began_ns, in_vain = self.lib.now_ns() - self.again_ns, 0
        while lacking and in_vain < HOPELESS:
            for case in lacking:
                self.again_ns = self.lib.now_ns() - began_ns
                if self.again_ns > granted_ns or in_vain == HOPELESS:
                    return
                in_vain = 0 if self._visit([case], self.again) else in_vain + 1
            lacking = [case for case in lacking if self._lacks(case)]
        self.again_ns = self.lib.now_ns() - began_ns

    def _lacks(self, case: SpecCase) -> bool:
        """Whether a case was visited and has too few quiet batches."""
        return 0 <= self.quiet.get(case["case"], -1) < self.spec["settings"]["quiet_batches"]

    def _load(self, label: str, path: str) -> None:
        """Add the kernels of a user's own object."""
        ffi, lib = self.ffi, self.lib
        count = ffi.new("unsigned *")
        reason = ffi.new("char[]", lib.REASON_BYTES)
        kernels = lib.object_load(os.fsencode(path), count, reason)
        if not kernels:
            raise ImportError(f"{path}: {ffi.string(reason).decode('utf-8', 'replace')}")
        for index in range(count[0]):
            self.kernels[label, ffi.string(kernels[index].name).decode()] = kernels[index]

    def _samples_of(self, case: SpecCase) -> int:
        kernel = self._kernel_of(case)
        if kernel is None:
            return 1
        wanted = (self.lib.trial_samples(kernel, len(case["cpus"]), item) for item in (self.settings, self.again))
        return int(max(1, *wanted))

    def _kernel_of(self, case: SpecCase) -> Any:
        return self.kernels.get((case.get("object", ""), case["kernel"]))

    def _measure(self, cases: Sequence[SpecCase], settings: Any) -> list[int]:
        """Visit a case, or two in turns. Returns how many batches of each were quiet, -1 if it has none by design."""
        kernels = [self._kernel_of(case) for case in cases]
        if len(cases) > 1 and not all(kernel is not None and self.lib.trial_takes_turns(kernel) for kernel in kernels):
            return [quiet for case in cases for quiet in self._measure([case], settings)]
        begin: BeginFrame = {"kind": "begin", "case": cases[0]["case"]}
        if len(cases) > 1:
            begin["beside"] = cases[1]["case"]
        write_frame(self.output, begin)
        if kernels[0] is None:
            reason = f"kernel {cases[0]['kernel']} is not in this engine"
            write_frame(self.output, {**_failed(cases[0]), "reason": reason})
            return [-1]
        before = place_of(self.output)
        outcomes = self._trials(kernels, cases, settings)
        if place_of(self.output) != before:
            raise FramesLostError
        return [self._report(*side) for side in zip(cases, outcomes, self.samples, strict=False)]

    def _report(self, case: SpecCase, outcome: Any, samples: Any) -> int:
        """Write how a case went; how many of its batches were quiet."""
        ffi, record = self.ffi, _failed(case)
        status = int(outcome.status)
        batches = buckets = memoryview(b"")
        if status < 0:
            # The module errno would be one import more.
            if status == -95:  # ENOTSUP
                record |= {"status": "unsupported", "failure": None}
            elif status == -84:  # EILSEQ, which is what trial_fault() returns
                record["failure"] = "check"
            record["reason"] = ffi.string(outcome.reason).decode("utf-8", "replace") or os.strerror(-status)
        else:
            record |= {"status": "ok", "failure": None}
            batches = memoryview(ffi.buffer(samples, outcome.samples * ffi.sizeof("struct sample")))
            buckets = memoryview(ffi.buffer(self.buckets, outcome.buckets * ffi.sizeof("struct bucket")))
        record |= {"samples_bytes": batches.nbytes, "buckets_bytes": buckets.nbytes}
        counted = hardware_of(outcome, self.counters) | energy_of(outcome.package_w, self.idle_w)
        add_results(record, outcome, case, counted)
        write_frame(self.output, record, batches, buckets)
        return -1 if status < 0 else int(outcome.quiet_batches)

    def _trials(self, kernels: Sequence[Any], cases: Sequence[SpecCase], settings: Any) -> list[Any]:
        """Measure a case, or two in turns, into this round's buffers; C's ``struct outcome`` of each."""
        ffi, lib = self.ffi, self.lib
        values = [ffi.new(f"int64_t[{lib.MAX_PARAMETERS}]", case["values"]) for case in cases]
        outcomes = [ffi.new("struct outcome *") for _ in cases]
        size = len(cases[0]["cpus"])
        cpus = ffi.new("int[]", cases[0]["cpus"])
        if len(cases) > 1:
            lib.trial_measure_in_turns(kernels, values, cpus, size, settings, self.samples, self.capacity, outcomes)
        else:
            where = (self.samples[0], self.capacity, self.buckets, lib.MAX_BUCKETS, outcomes[0])
            lib.trial_measure(kernels[0], values[0], cpus, size, settings, *where)
        return outcomes


def _failed(case: SpecCase) -> CaseFrame:
    """The frame of a case before anything is known of it."""
    return {"kind": "case", "case": case["case"], "status": "failed", "failure": "error", "reason": None}


def main() -> int:
    """Run the round that standard input describes; the exit status is 0 when every frame was written."""
    gc.disable()
    spec = json.load(sys.stdin.buffer)
    # The frames keep a descriptor of their own: what a kernel prints goes where faults go, and spoils none of them.
    output = os.dup(1)
    os.dup2(2, 1)
    try:
        load_extension("_cffi_backend", spec["backend"])
        engine: Any = load_extension("_kernels", spec["engine"])
    except ImportError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_ENGINE
    started_ns = engine.lib.now_ns()
    engine.lib.die_with_parent()
    # The parent may have died before that request: then nobody will read this.
    if os.getppid() != spec["parent"]:
        return EXIT_ORPHAN
    try:
        measured_round = RoundRunner(engine.ffi, engine.lib, spec, output)
        measured_round.hello(started_ns)
        measured_round.run()
    except ImportError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_ENGINE
    except FramesLostError:
        sys.stderr.write(f"{FRAMES_LOST}\n")
        return EXIT_FRAMES
    except OSError as error:
        sys.stderr.write(f"{(error.strerror or str(error)).lower()}\n")  # as words_of, which is not imported here
        return EXIT_OUTPUT
    except MemoryError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_OUTPUT
    return 0


if __name__ == "__main__":
    sys.exit(main())
