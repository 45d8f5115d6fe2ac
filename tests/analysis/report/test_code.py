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
from fencepost.cli.listing import listing

EVIL = "</script><script>alert(1)</script>"
ASKS = KernelCode(
    "mine/asks", "a summary", "mine/asks: what does it\ncost, <b>twice</b>?\n\nMore.", "mine.c", "int x;", "ret"
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


@pytest.mark.slow
def test_the_report_of_this_build_has_the_machine_code_of_its_loops(tmp_path: Path) -> None:
    done = runtime.fencepost("run", "good/steady", "--profile", "quick", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert runtime.fencepost("report", "--html", "r.html", cwd=tmp_path).returncode == 0
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    data = unpacked(page)
    assert "ret" in data["loops"]["good/steady"] and OTHER_BUILD not in page
    (run,) = (tmp_path / "results" / "runs").glob("*/run.json")
    document = json.loads(run.read_text())
    document["engine"]["sha256"] = "0" * 64
    document["sha256"] = hash_of(document)
    run.write_text(json.dumps(document))
    assert runtime.fencepost("report", "--html", "r.html", cwd=tmp_path).returncode == 0
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert unpacked(page)["loops"] == {} and OTHER_BUILD in page
