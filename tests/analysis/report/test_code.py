"""Kernels in the report: their questions, their sources and their machine code, each once."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path

import pytest
from runs import measure as runtime
from runs import write as synthetic
from runs.write import Case
from undrawn import without_drawing

from fencepost.analysis.report.code import NO_CODE, OTHER_BUILD, Code, KernelCode, packed_code
from fencepost.analysis.report.write import write_report
from fencepost.bench.schema import hash_of
from fencepost.cli.code import MOST_INNER_LETTERS, _inner
from fencepost.cli.disassembly import SAME_FILE, Function
from fencepost.cli.listing import inner_loops, listing

EVIL = "</script><script>alert(1)</script>"
ASKS = KernelCode(
    "mine/asks",
    "a summary",
    "mine/asks: what does it\ncost, <b>twice</b>?\n\nMore.",
    "mine.c",
    "int x;",
    "ret",
    inner=f"run\n+0x10:\n  jne <run+0x10> {EVIL}",
)
SAYS = KernelCode("mine/says", "a summary", f"Copyright {EVIL}", "mine.c", "int x;", missing="objdump is not installed")


def page_of(folder: Path, code: Code) -> str:
    run = synthetic.write_run(folder / "run", [Case("mine/asks", ns=3.0)], rounds=6, unmeasurable=[])
    with without_drawing():
        write_report(run, html=folder / "r.html", code=code)
    return (folder / "r.html").read_text(encoding="utf-8")


def unpacked(page: str) -> dict[str, dict[str, str]]:
    (found,) = re.findall(
        r'id="code"><a download="[^"]*-code.json.gz" href="data:application/gzip;base64,([^"]*)"', page
    )
    data: dict[str, dict[str, str]] = json.loads(gzip.decompress(base64.b64decode(found)))
    return data


def test_a_kernel_asks_the_question_of_its_file() -> None:
    assert ASKS.question == "What does it cost, <b>twice</b>?"
    assert SAYS.question == "a summary"


def test_the_section_names_its_kernels_and_the_page_has_their_files_once(tmp_path: Path) -> None:
    page = page_of(tmp_path, packed_code([SAYS, ASKS], same_build=True))
    assert (
        '<details class="kernel" id="kernel-mine-asks"><summary><code>mine/asks</code>What does it cost, &lt;b' in page
    )
    assert page.index("kernel-mine-asks") < page.index("kernel-mine-says") and "<script>alert" not in page
    assert unpacked(page) == {"files": {"mine.c": "int x;"}, "loops": {"mine/asks": "ret"}}
    assert "Machine code: objdump is not installed." in page and OTHER_BUILD not in page
    (loop,) = re.findall(r'<pre tabindex="0" aria-label="Innermost loops of mine/asks">([^<]*)</pre>', page)
    assert "jne &lt;run+0x10&gt;" in loop, "without JavaScript too"


def test_another_build_is_named(tmp_path: Path) -> None:
    assert OTHER_BUILD in page_of(tmp_path, packed_code([SAYS], same_build=False))


def test_a_page_without_code_names_no_kernel(tmp_path: Path) -> None:
    page = page_of(tmp_path, NO_CODE)
    assert 'class="kernel"' not in page and 'id="code"' not in page


DUMP = """\
    1000:       mov    $0x5,%eax
    1005:       data16 cs nopw 0x0(%rax,%rax,1)
    1010:       imul   %rcx,%rax
    1014:       imul   %rcx,%rax
    1018:       dec    %edi
    101a:       jne    1010 <run+0x10>
    101c:       call   2000 <other>
    1021:       ret"""


def test_machine_code_is_shown_by_what_it_does() -> None:
    assert listing(DUMP, "run").splitlines() == [
        "  mov $0x5,%eax",
        "+0x10:",
        "  imul %rcx,%rax  × 2",
        "  dec %edi",
        "  jne <run+0x10>",
        "  call <other>",
        "  ret",
    ]
    assert listing("no code", "run") == "no code"


def test_of_nested_loops_the_innermost_are_found() -> None:
    shown = [
        "  mov",
        "+0x1:",
        "  a",
        "+0x2:",
        "  b",
        "  jne <run+0x2>",
        "  jmp <run+0x9>",
        "  jb <run+0x1>",
        "+0x9:",
        "  ret",
    ]
    assert inner_loops("\n".join(shown)) == ["+0x2:\n  b\n  jne <run+0x2>"]
    arm = "+0x4:\n  subs x0, x0, #0x1\n  b.ne <run+0x4>  // b.any\n+0xc:\n  cbnz x1, <run+0xc>\n  bl <other+0x4>\n  ret"
    assert [loop.partition("\n")[0] for loop in inner_loops(arm)] == ["+0x4:", "+0xc:"]
    assert inner_loops("  jmp <run+0x10>\n+0x10:\n  ret") == [], "a jump forward"


def test_what_has_no_room_as_plain_text_is_counted() -> None:
    def function(name: str, loops: int, role: str = "run") -> Function:
        lines = []
        for place in range(0, 0x1000 * loops, 0x1000):
            lines += [f" {place + step:x}:  imul %r{step},%rax" for step in range(40)]
            lines.append(f" {place + 40:x}:  jne {place:x} <{name}+{place:#x}>")
        return Function(name, role, 0, 1, "\n".join(lines))

    assert _inner("a/b", [function("run", 1), function("helper", 1, SAME_FILE)]).count("jne <+0x0>") == 1
    many = _inner("a/b", [function("run", 9)])
    assert len(many) < MOST_INNER_LETTERS + 100 and re.search(r"\n\n\d more loops: fencepost show a/b$", many)
    assert _inner("a/b", [Function("run", "run", 0, 1, " 0:  ret")]) == "run\n  ret", "it has no loop"


@pytest.mark.slow
def test_the_report_of_this_build_has_the_machine_code_of_its_loops(tmp_path: Path) -> None:
    done = runtime.fencepost("run", "good/steady", "--profile", "quick", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert runtime.fencepost("report", "--html", "r.html", cwd=tmp_path).returncode == 0
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    data = unpacked(page)
    assert "ret" in data["loops"]["good/steady"] and OTHER_BUILD not in page
    assert 'aria-label="Innermost loops of good/steady"' in page
    (run,) = (tmp_path / "results" / "runs").glob("*/run.json")
    document = json.loads(run.read_text())
    document["engine"]["sha256"] = "0" * 64
    document["sha256"] = hash_of(document)
    run.write_text(json.dumps(document))
    assert runtime.fencepost("report", "--html", "r.html", cwd=tmp_path).returncode == 0
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert unpacked(page)["loops"] == {} and OTHER_BUILD in page and "Innermost" not in page
