"""What every C file owes its reader."""

from __future__ import annotations

import re
from pathlib import Path

from kernels.measure import built_engine, names

ROOT = Path(__file__).resolve().parent.parent
KERNEL_FOLDER = ROOT / "csrc" / "kernels"
KERNELS = sorted(KERNEL_FOLDER.glob("*/*.c"))
C_FILES = [*sorted((ROOT / "csrc" / "engine").glob("*.c")), *sorted((ROOT / "csrc" / "lib").glob("*/*.c")), *KERNELS]


def in_csrc(path: Path) -> str:
    """A file of csrc/ by its path there: several folders have files of one name."""
    return path.relative_to(ROOT / "csrc").as_posix()


def code_of(path: Path) -> str:
    """A C file without comments and strings, its lines kept."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), path.read_text(encoding="utf-8"))


def test_c_prints_nothing_and_exits_nowhere() -> None:
    talks = re.compile(
        r"\b(v?f?printf|v?dprintf|f?puts|f?putc|putchar|perror|warnx?|errx?|exit|_Exit|quick_exit|abort|assert)\s*\("
    )
    silent = [path for path in C_FILES if path.name != "selftest.c" and path.parent.name != "output"]
    found = [
        f"{in_csrc(path)}:{number}: {line.strip()}"
        for path in silent
        for number, line in enumerate(code_of(path).splitlines(), 1)
        if talks.search(line)
    ]
    assert found == []


def header_faults(path: Path) -> list[str]:
    """What the header of a kernel's file lacks."""
    text = path.read_text(encoding="utf-8")
    header = re.match(r"/\*\n(.*?)\*/", text, re.DOTALL)
    names = re.findall(r'\.name\s*=\s*"([a-z0-9_]+/[a-z0-9_]+)"', text)
    if header is None or not names:
        return ["its header comment at the very start" if names else "a KERNEL line with a name"]
    body = header.group(1)
    # Rows that answer one question stand before it together: "line/false_sharing, line/alone: what …?"
    missing = [
        f"the question of {name}"
        for name in names
        if not re.search(rf"^ \* (?:[a-z0-9_/]+, )*{re.escape(name)}(?:, [a-z0-9_/]+)*:\s+\S", body, flags=re.MULTILINE)
    ]
    if "?" not in body.split("\n *\n")[0]:
        missing.append("a question at the start")
    if not re.search(r"\b(One|An) (operation|event)\b", re.sub(r"\s*\n \*\s*", " ", body)):
        missing.append("what one operation (or event) is")
    parts = ("Excluded:", "Expect:", "Not shown:")
    return missing + [part for part in parts if not re.search(rf"^ \* {part} +\S", body, re.MULTILINE)]


def test_a_kernel_file_opens_with_its_question() -> None:
    assert {in_csrc(path): missing for path in KERNELS if (missing := header_faults(path))} == {}


def test_a_header_without_its_parts_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "b.c"
    whole = (
        "/*\n * a/b: what does it cost?\n *\n * One operation is a call.\n * Excluded:  all.\n * Expect:  1 ns.\n"
        ' * Not shown:  much.\n */\nKERNEL(b, .name = "a/b")\n'
    )

    def without(part: str) -> list[str]:
        file.write_text(whole.replace(part, ""))
        return header_faults(file)

    assert without("no such part") == []
    assert without("?") == ["a question at the start"]
    assert without("a/b: ") == ["the question of a/b"]
    assert without("operation ") == ["what one operation (or event) is"]
    assert without(" * Not shown:  much.\n") == ["Not shown:"]
    assert without("/*") == ["its header comment at the very start"]
    assert without(' .name = "a/b"') == ["a KERNEL line with a name"]


def test_the_path_of_a_kernel_file_is_the_kernels_name() -> None:
    """A file may hold several kernels of its topic; a single one is called as the file."""
    for path in KERNELS:
        names = re.findall(r'\.name\s*=\s*"([a-z0-9_]+)/([a-z0-9_]+)"', path.read_text(encoding="utf-8"))
        assert {topic for topic, _ in names} == {path.parent.name}, path
        assert len(names) > 1 or names[0][1] == path.stem, path


def test_what_several_topics_include_lies_beside_the_topics() -> None:
    """csrc/kernels/*.h is for all of them; a header in a topic's folder is for its kernels."""
    wrong = [
        f"{in_csrc(path)} includes {name}"
        for path in sorted(KERNEL_FOLDER.glob("*/*.[ch]"))
        for name in re.findall(r'^#include "kernels/(\w+/.*)"', path.read_text(encoding="utf-8"), re.MULTILINE)
        if not name.startswith(f"{path.parent.name}/")
    ]
    assert wrong == []


def test_every_topic_of_the_catalogue_has_its_page() -> None:
    for topic in {path.parent.name for path in KERNELS}:
        page = ROOT / "docs" / "topics" / f"{topic}.md"
        assert page.exists(), f"docs/topics/{topic}.md is missing"
        text = page.read_text(encoding="utf-8")
        for path in KERNELS:
            for name in re.findall(rf'\.name\s*=\s*"({topic}/[a-z0-9_]+)"', path.read_text(encoding="utf-8")):
                assert f"`{name}`" in text, f"docs/topics/{topic}.md does not mention {name}"


def test_a_kernel_names_only_kernels_that_exist() -> None:
    kernels = names(built_engine())
    topics = {file.parent.name for file in KERNELS}
    missing = []
    for path in KERNELS:
        header = path.read_text(encoding="utf-8").partition("*/")[0]
        named = re.findall(r"(?<![\w/.])([a-z]+/[a-z0-9_]+)(?![\w/.])", header)
        unknown = [name for name in named if name.partition("/")[0] in topics and name not in kernels]
        missing += [(path, name) for name in unknown if not (KERNEL_FOLDER / name).with_suffix(".h").is_file()]
    assert missing == []
