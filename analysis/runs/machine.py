"""Facts of machine.json that several topics use."""

from __future__ import annotations

from collections.abc import Mapping

FACT_WORDS = {
    "cpu_model": "processor",
    "arch": "architecture",
    "cpu_vendor": "vendor",
    "cpu_family": "family",
    "cpu_model_number": "model",
    "stepping": "stepping",
    "microcode": "microcode",
    "kernel": "kernel",
    "kernel_version": "kernel build",
    "libc": "C library",
    "clocksource": "clock source",
    "frequency_driver": "frequency driver",
    "governor": "governor",
    "turbo": "turbo",
    "smt": "sibling threads (SMT)",
    "thp": "transparent huge pages",
    "aslr": "address-space randomisation",
}
"""What reports call facts of machine.json, in their order there."""


def fact_word(name: str) -> str:
    """What a table calls a fact of machine.json."""
    return FACT_WORDS.get(name) or name.removesuffix("_bytes").replace("_", " ")


_MICROARCHITECTURES: dict[tuple[str, int], tuple[tuple[range, str], ...]] = {
    ("AuthenticAMD", 0x17): ((range(0x30), "Zen"), (range(0x30, 0x100), "Zen 2")),
    ("AuthenticAMD", 0x19): (
        (range(0x10), "Zen 3"),
        (range(0x10, 0x20), "Zen 4"),
        (range(0x20, 0x60), "Zen 3"),
        (range(0x60, 0xB0), "Zen 4"),
    ),
    ("AuthenticAMD", 0x1A): ((range(0x50), "Zen 5"), (range(0x60, 0x80), "Zen 5")),
    ("GenuineIntel", 6): (
        (range(0x3C, 0x3D), "Haswell"),
        (range(0x3F, 0x40), "Haswell"),
        (range(0x45, 0x47), "Haswell"),
        (range(0x3D, 0x3E), "Broadwell"),
        (range(0x47, 0x48), "Broadwell"),
        (range(0x4F, 0x50), "Broadwell"),
        (range(0x56, 0x57), "Broadwell"),
        (range(0x4E, 0x4F), "Skylake"),
        (range(0x5E, 0x5F), "Skylake"),
        (range(0x55, 0x56), "Skylake-SP or Cascade Lake"),
        (range(0x8E, 0x8F), "Kaby Lake or Coffee Lake"),
        (range(0x9E, 0x9F), "Kaby Lake or Coffee Lake"),
        (range(0xA5, 0xA7), "Comet Lake"),
        (range(0x7D, 0x7F), "Ice Lake"),
        (range(0x6A, 0x6B), "Ice Lake-SP"),
        (range(0x6C, 0x6D), "Ice Lake-SP"),
        (range(0x8C, 0x8E), "Tiger Lake"),
        (range(0xA7, 0xA8), "Rocket Lake"),
        (range(0x97, 0x98), "Alder Lake"),
        (range(0x9A, 0x9B), "Alder Lake"),
        (range(0xB7, 0xB8), "Raptor Lake"),
        (range(0xBA, 0xBB), "Raptor Lake"),
        (range(0xBF, 0xC0), "Raptor Lake"),
        (range(0xAA, 0xAB), "Meteor Lake"),
        (range(0xC5, 0xC7), "Arrow Lake"),
        (range(0x8F, 0x90), "Sapphire Rapids"),
        (range(0xCF, 0xD0), "Emerald Rapids"),
        (range(0xAD, 0xAF), "Granite Rapids"),
        (range(0xAF, 0xB0), "Sierra Forest"),
    ),
}
"""By vendor and family, the models of each microarchitecture, as Linux lists them (intel-family.h, and amd.c of
arch/x86/kernel/cpu). A guest is often told a name of no model, such as "AMD EPYC", beside the true numbers."""


def microarchitecture(machine: Mapping[str, object]) -> str | None:
    """The microarchitecture of an x86-64 processor, as ``Zen 3``; None where its numbers tell nothing."""
    try:
        family, model = (int(str(machine.get(name))) for name in ("cpu_family", "cpu_model_number"))
    except ValueError:
        return None
    listed = _MICROARCHITECTURES.get((str(machine.get("cpu_vendor")), family), ())
    return next((name for models, name in listed if model in models), None)
