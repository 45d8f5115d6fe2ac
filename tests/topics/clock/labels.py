"""What the variants of clock are called, from the sources of their kernels."""

from __future__ import annotations

import re
import time

from kernels.plant import KERNELS

LENGTHS = (0, 1, 2, 4, 8, 12, 16, 24, 32, 48, 64)


def labels_of(file: str, macro: str) -> list[str]:
    """First arguments of an X-macro in a C source: so that cases can be named before anything is compiled."""
    match = re.search(rf"#define {macro}\(X\)((?:.*\\\n)*.*\n)", (KERNELS / file).read_text(encoding="utf-8"))
    assert match is not None, macro
    return ["_to_".join(re.split(r",\s*", words)) for words in re.findall(r"X\(([a-z0-9_, ]+)\)", match[1])]


X86_64_READS = labels_of("clock/reads.h", "X86_64_READS")
READS = [
    *X86_64_READS,
    *labels_of("clock/reads.h", "AARCH64_READS"),
    *labels_of("clock/reads.h", "RISCV64_READS"),
    "monotonic_raw",
]
X86_64_PAIRS = labels_of("clock/bias.c", "X86_64_PAIRS")
PAIRS = [*X86_64_PAIRS, *labels_of("clock/bias.c", "AARCH64_PAIRS"), *labels_of("clock/bias.c", "RISCV64_PAIRS")]
UNORDERED = {"rdtsc", "cntvct", "rdtime"}
"""Nothing keeps two of these in order: that the second says less is unheard of, and allowed."""
CLOCKS = {
    "monotonic": time.CLOCK_MONOTONIC,
    "monotonic_raw": time.CLOCK_MONOTONIC_RAW,
    "monotonic_coarse": 6,  # CLOCK_MONOTONIC_COARSE, which Python does not name
    "boottime": time.CLOCK_BOOTTIME,
    "realtime": time.CLOCK_REALTIME,
    "thread_cputime": time.CLOCK_THREAD_CPUTIME_ID,
    "process_cputime": time.CLOCK_PROCESS_CPUTIME_ID,
}


def architecture_of(label: str) -> str | None:
    """Which machine has the instruction that a read, or the first of a pair, is named for."""
    if "cntvct" in label:
        return "aarch64"
    if "rdtime" in label:
        return "riscv64"
    return None if label == "monotonic_raw" else "x86_64"
