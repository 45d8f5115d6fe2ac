"""The walls of the house: which room may know which, and what every file owes its reader."""

from __future__ import annotations

import ast
import builtins
import functools
import hashlib
import itertools
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

from fencepost.analysis.runs.row import COLUMNS
from fencepost.analysis.topics.claim import claims
from fencepost.bench import engine

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("bench", "analysis", "cli")


@functools.cache
def syntax(path: Path) -> ast.Module:
    """A file of Python, parsed. Nobody may change what is returned."""
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def imports(path: Path) -> list[tuple[int, str]]:
    """All modules that a file names in import statements, wherever they stand, with their lines."""
    package = "fencepost." + ".".join(path.relative_to(ROOT).parent.parts)
    found = []
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([base] if base else [])])
            # `from fencepost.bench import schema` names fencepost.bench.schema
            found += [(node.lineno, f"{base}.{alias.name}") for alias in node.names]
    return found


def python_files(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def violations(room: str, forbidden: str, allowed: str = r"(?!)") -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in python_files(room)
        for line, name in imports(path)
        if re.match(forbidden, name) and not re.match(allowed, name)
    ]


def test_bench_knows_neither_pandas_nor_the_other_rooms() -> None:
    assert violations("bench", r"(pandas|scipy|matplotlib|fencepost\.(analysis|cli))\b") == []


def test_analysis_knows_only_the_format_of_bench() -> None:
    """The rule by which a batch is quiet belongs to the format: the sampler and the analysis apply the same."""
    assert (
        violations(
            "analysis",
            r"fencepost\.(bench|cli)\b",
            r"fencepost\.bench\.(caches|schema|documents|files|labels|witness)\b",
        )
        == []
    )


def test_what_kernels_and_python_agree_on_has_a_number_of_its_own() -> None:
    """Without a new number, engines and objects compiled from older headers would be taken, and read wrongly."""
    text = (ROOT / "csrc" / "kernel.h").read_text(encoding="utf-8")
    code = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)
    abi = re.search(r"#define ENGINE_ABI (\d+)", code)
    assert abi is not None and int(abi[1]) == engine.ABI
    digest = hashlib.sha256("".join(code.split()).encode()).hexdigest()[:16]
    assert digest == "a40feac621014337", (
        "csrc/kernel.h has changed: add 1 to its ENGINE_ABI and to ABI of bench/engine.py, note the new digest here"
    )


ORDER = ("text", "stats", "draw", "runs", "topics", "compare", "report", "exchange", "gallery")
"""The rooms of analysis: each may import those before it."""


@functools.cache
def modules_imported() -> dict[str, set[str]]:
    """Modules of the three rooms, and those of them that each imports, also inside of functions."""
    names = {}
    for path in (path for room in ROOMS for path in python_files(room)):
        parts = path.relative_to(ROOT).with_suffix("").parts
        names["fencepost." + ".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    found: dict[str, set[str]] = {}
    for module, path in names.items():
        named = {name if name in names else name.rpartition(".")[0] for _, name in imports(path)}
        found[module] = named & names.keys() - {module}
    return found


def test_rooms_of_the_analysis_import_one_way() -> None:
    wrong = []
    for module, others in modules_imported().items():
        for other in others:
            rooms = [name.split(".")[2:3] for name in (module, other)]
            if all(name.startswith("fencepost.analysis.") for name in (module, other)) and rooms[0] != rooms[1]:
                own, used = (ORDER.index(room[0]) for room in rooms)
                if used > own:
                    wrong.append(f"{module} imports {other}")
    assert wrong == []


def test_no_module_imports_itself_over_others() -> None:
    """A module without imports among the rest is taken away, again and again: what stays has a circle."""
    left = modules_imported()
    while free := {module for module, others in left.items() if not others & left.keys()}:
        left = {module: others for module, others in left.items() if module not in free}
    assert sorted(left) == []


def test_columns_of_a_row_are_listed_in_one_place() -> None:
    """Five names or more, all of columns, are a list of columns."""
    found = []
    for path in (path for room in ("analysis", "cli") for path in python_files(room)):
        for node in ast.walk(syntax(path)):
            names = [word.value for word in getattr(node, "elts", ()) if isinstance(word, ast.Constant)]
            if len(names) >= 5 and set(names) <= set(COLUMNS):
                found.append(path.relative_to(ROOT).as_posix())
    assert set(found) == {"analysis/runs/row.py"}


def test_the_scan_sees_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "bad.py").write_text(
        "def f():\n    import pandas as pd\n    from ..analysis import frame\n    from fencepost import analysis\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    assert [text.split()[-1] for text in violations("bench", r"(pandas|fencepost\.analysis)\b")] == [
        "pandas",
        "fencepost.analysis.frame",
        "fencepost.analysis",
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_refuse_their_plain_name(room: str) -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {room}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert f"import fencepost.{room}, not {room}" in run.stderr


PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def links_of(page: Path) -> list[Path]:
    """Files that a page links to, as paths."""
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    return [page.parent / target for target in targets if "://" not in target]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    assert [str(target) for target in links_of(page) if not target.exists()] == []


def test_the_index_lists_every_page() -> None:
    listed = {target.resolve() for page in (ROOT / "docs").rglob("README.md") for target in links_of(page)}
    missing = [page.relative_to(ROOT).as_posix() for page in PAGES if page.name != "README.md" and page not in listed]
    assert missing == [], "docs/README.md is the index of all pages"


def drawn_paths(page: Path) -> list[str]:
    """Paths of a tree that a page draws in its first block: two spaces a level, names before the column of words."""
    block = page.read_text(encoding="utf-8").split("```text\n")[1].split("```")[0]
    found: list[str] = []
    parents: list[str] = []
    for line in block.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        names = re.split(r" {2,}", line.strip())[0].split()
        found += ["/".join([*parents[:depth], name.rstrip("/")]) for name in names]
        parents[depth:] = [names[-1].rstrip("/")]
    return found


def test_the_tree_that_architecture_draws_is_the_real_one() -> None:
    drawn = drawn_paths(ROOT / "ARCHITECTURE.md")
    assert [path for path in drawn if not any(ROOT.glob(path.replace("TOPIC", "*")))] == []
    sources = [path.relative_to(ROOT) for room in ("csrc", *ROOMS) for path in (ROOT / room).rglob("*.[chp]*")]
    rooms = {folder.as_posix() for path in sources for folder in path.parents if 0 < len(folder.parts) <= 2}
    unnamed = [room for room in rooms if not any(path == room or path.startswith(f"{room}/") for path in drawn)]
    assert sorted(room for room in unnamed if not room.endswith("__pycache__")) == []


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", ".pre-commit-config.yaml", ".ci/run"])
def test_each_make_that_is_named_can_be_made(name: str) -> None:
    made = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = (ROOT / name).read_text(encoding="utf-8")
    called = set(re.findall(r"(?:^|`|entry: )make ([a-z][a-z-]*)", text, re.MULTILINE))
    assert called
    assert sorted(called - made) == []


def test_pre_commit_runs_what_lint_runs() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"entry: (.*)", text) == ["make lint"]


def test_the_workflow_runs_the_projects_own_script() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    called = re.findall(r"bash (\S+)", text)
    assert called == [".ci/run"]
    assert (ROOT / called[0]).is_file()


def test_readme_names_every_target_it_needs() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for command in ("make bench", "make test", "make lint"):
        assert command in text


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a source distribution would hold: setuptools lists it without packing it."""
    folder = tmp_path_factory.mktemp("sdist")
    command = [sys.executable, "setup.py", "--quiet", "egg_info", "--egg-base", str(folder)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return (folder / "fencepost.egg-info" / "SOURCES.txt").read_text(encoding="utf-8").splitlines()


def test_sdist_holds_all_that_a_build_needs(sdist: list[str]) -> None:
    files = [
        path for folder in ("csrc", *ROOMS) for path in (ROOT / folder).rglob("*") if path.suffix in {".c", ".h", ".py"}
    ]
    wanted = {path.relative_to(ROOT).as_posix() for path in files} - {"bench/_kernels.c"}
    assert sorted(wanted - set(sdist)) == []
    assert {"setup.py", "pyproject.toml", "Makefile", "tools/install.sh", "README.md", "LICENSE"} <= set(sdist)
    assert {page.relative_to(ROOT).as_posix() for page in PAGES} <= set(sdist)


def test_sdist_holds_nothing_built(sdist: list[str]) -> None:
    assert [name for name in sdist if re.search(r"\.(so|o|pyc)$|bench/_kernels\.c$", name)] == []


@pytest.mark.slow  # runs setup.py
def test_an_installed_package_brings_the_words_of_the_report(tmp_path: Path) -> None:
    command = [sys.executable, "setup.py", "--quiet", "build_py", "--build-lib", str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    code = "from fencepost.analysis.text.pages import PAGES; print(PAGES)"
    environment = {"PYTHONPATH": str(tmp_path)}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    pages = tmp_path.resolve() / "fencepost" / "docs" / "topics"
    assert found.stdout.strip() == str(pages)
    assert sorted(pages.iterdir()) == sorted(pages / page.name for page in (ROOT / "docs" / "topics").iterdir())


def test_dependencies_have_a_lower_bound() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = itertools.chain.from_iterable(project["optional-dependencies"].values())
    for requirement in (*project["dependencies"], *extras):
        bare = requirement.partition(";")[0]
        assert re.fullmatch(r"fencepost\[analysis\]|[a-z0-9-]+>=[0-9.]+(,<[0-9]+)?", bare), requirement


NAMED = re.compile(r"(?<![\w/.<-])([a-z]+)/([a-z0-9_]+)(?![\w/.<*])")


def test_each_kernel_that_a_text_names_exists() -> None:
    """A reader tries the name with `fencepost show`. Names of claims look alike."""
    sources = sorted((ROOT / "csrc" / "kernels").rglob("*.[ch]"))
    topics = {path.parent.name for path in sources} - {"kernels"}
    quoted = [re.findall(r'"([a-z]+/[a-z0-9_]+)"', path.read_text(encoding="utf-8")) for path in sources]
    names = {claim.id for claim in claims()}.union(*quoted)
    for path in (*sources, *sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"):
        named = {match[0] for match in NAMED.finditer(path.read_text(encoding="utf-8")) if match[1] in topics}
        assert named <= names, path


def doubled_classes(files: Iterable[Path]) -> dict[str, list[str]]:
    """Names of classes that several files or scopes define, with the files."""
    found: dict[str, list[str]] = {}
    for path in files:
        for node in ast.walk(syntax(path)):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(path.as_posix())
    return {name: places for name, places in found.items() if len(places) > 1}


def test_each_name_of_a_class_means_one_thing() -> None:
    """Whoever looks for a class finds it by its name alone."""
    assert doubled_classes(path for room in ROOMS for path in python_files(room)) == {}


def test_a_doubled_class_is_seen(tmp_path: Path) -> None:
    one, other = tmp_path / "one.py", tmp_path / "other.py"
    one.write_text("class Bar: ...\nclass Dot: ...\n", encoding="utf-8")
    other.write_text("def draw():\n    class Bar: ...\n", encoding="utf-8")
    assert doubled_classes([one, other]) == {"Bar": [one.as_posix(), other.as_posix()]}


LONGEST_FILE = 500
"""Lines of a Python file. Each that was longer held a second subject."""

LONGEST_FUNCTION = 60
"""Lines of a function with its docstring: what a screen shows at once."""


def long_ones(paths: Iterable[Path]) -> list[str]:
    """Files and functions of more lines than are read at once."""
    found = []
    for path in paths:
        text, name = path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()
        if len(text.splitlines()) > LONGEST_FILE:
            found.append(name)
        for node in ast.walk(syntax(path)):
            if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno + 1 > LONGEST_FUNCTION:
                found.append(f"{name} {node.name}")
    return found


MAY_BE_LONG = {
    "tests/lib/ring/many.py between_the_steps",
    "tests/lib/ring/many.py tells_the_truth_at_every_step",
}
"""Properties of rings. Divided, one of them no longer caught four planted faults."""


@pytest.mark.parametrize("room", [*ROOMS, "tests"])
def test_files_and_functions_are_short_enough_to_read(room: str) -> None:
    assert [name for name in long_ones(python_files(room)) if name not in MAY_BE_LONG] == []


MOST_UNTYPED = 62
"""Times that the rooms say ``dict[str, Any]`` or ``Mapping[str, Any]``: a third of what it was before there were types
for documents. What is left are schemas, arguments that are handed on, and what others store.
"""


def test_only_the_rules_of_claims_say_not_measurable() -> None:
    """A claim asks by `needs` and `known`. So each sentence of what is missing is given in one way."""
    claims = sorted((ROOT / "analysis" / "topics").glob("*/*.py"))
    assert claims
    assert [path for path in claims if "Outcome.NOT_MEASURABLE" in path.read_text()] == []


def test_documents_have_types() -> None:
    texts = [path.read_text(encoding="utf-8") for room in ROOMS for path in python_files(room)]
    assert sum(len(re.findall(r"\b(?:dict|Mapping)\[str, Any\]", text)) for text in texts) <= MOST_UNTYPED


def test_tests_wait_for_their_own_children_only() -> None:
    """A pool of workers that another test has started is a child of this process too."""
    whose = re.compile(r"waitpid\(-1\b|\bP_ALL\b")
    waiting = [path for path in sorted((ROOT / "tests").rglob("*.py")) if path != Path(__file__)]
    assert [path.name for path in waiting if whose.search(path.read_text(encoding="utf-8"))] == []


def names_caught(handler: ast.ExceptHandler) -> set[str]:
    whole = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type] if handler.type else []
    return {ast.unparse(part).rpartition(".")[2] for part in whole}


def raw_errors(path: Path) -> list[int]:
    """Lines that print an `OSError` as Python does, with its number in brackets."""
    found = []
    for handler in ast.walk(syntax(path)):
        if not isinstance(handler, ast.ExceptHandler) or not names_caught(handler) & SYSTEM_ERRORS:
            continue
        for node in ast.walk(handler):
            if isinstance(node, ast.FormattedValue):
                put = node.value
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "str" and node.args:
                put = node.args[0]
            else:
                continue
            if ast.unparse(put) == handler.name:
                found.append(node.lineno)
    return found


SYSTEM_ERRORS = {
    name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, OSError)
} | {"SubprocessError"}


def test_no_sentence_has_the_number_of_an_error() -> None:
    """`[Errno 28] No space left on device: '/a'` helps nobody: `bench.files.words_of` says it."""
    found = {path.relative_to(ROOT).as_posix(): raw_errors(path) for room in ROOMS for path in python_files(room)}
    # It imports nothing of ours, and prints these words only where Linux gave none.
    assert {name: lines for name, lines in found.items() if lines}.keys() <= {"bench/worker.py"}


def test_a_number_of_an_error_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text(
        "try:\n    f()\nexcept (ValueError, OSError) as error:\n    g(f'{error}')\n    h(str(error))\n"
        "except ValueError as error:\n    g(f'{error}')\n",
        encoding="utf-8",
    )
    assert sorted(raw_errors(path)) == [4, 5]


def test_no_share_is_written_as_a_power_of_ten() -> None:
    """`.2g` writes 1.1e+02 % for 110 %: `short` does not. The doctor does so below 10 %, and no step is as large."""
    files = [path for part in ("analysis", "bench", "cli") for path in (ROOT / part).rglob("*.py")]
    found = [path.name for path in files if re.search(r"\{[^{}]*:\.[12]g\} %", path.read_text(encoding="utf-8"))]
    assert sorted(found) == ["finding.py", "verdict.py"]
