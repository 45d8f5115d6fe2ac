"""What SECURITY.md promises: each promise names its test, and nothing leaves the machine."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@functools.cache
def syntax(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_each_promise_of_security_names_a_test_that_exists() -> None:
    """Each line of the table of promises has one, and each has what it is named after."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    table = re.search(r"\| promise \| test \|\n\| --- \| --- \|\n((?:\|.*\n)+)", text)
    assert table is not None
    promises = table[1].splitlines()
    named = [re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", line) for line in promises]
    assert len(promises) >= 20 and [line for line, tests in zip(promises, named, strict=True) if not tests] == []
    assert [pair for tests in named for pair in tests if not is_a_test(*pair)] == []


def is_a_test(file: str, name: str) -> bool:
    path = ROOT / file
    if not path.is_file():
        return False
    tests = [node.name for node in ast.walk(syntax(path)) if isinstance(node, ast.FunctionDef)]
    return any(test.startswith("test_") and name in ("", test) for test in tests)


def test_a_promise_without_its_test_is_seen() -> None:
    here = "tests/test_promises.py"
    assert is_a_test(here, "") and is_a_test(here, "test_a_promise_without_its_test_is_seen")
    assert not is_a_test(here, "test_no_such") and not is_a_test("tests/none.py", "")


CONNECTING = re.compile(
    r"(asyncio|distributed|ftplib|http|imaplib|poplib|requests|smtplib|socketserver|ssl|urllib\.request|xmlrpc)\b"
)
ASKED_FOR = {"executors.py": ["distributed.Client", "distributed.KilledWorker"]}
"""--executor dask:// connects, as SECURITY.md says. `fencepost fleet run` leaves it to Ansible, in another process."""
NAMED = re.compile(CONNECTING.pattern.replace(r"urllib\.request", "urllib|socket"))
"""Only a file with such a word can import one: to parse all files takes over a second."""
CALLS = re.compile(r"\bsocket\.(?!gethostname\b)\w+")
"""What asks for the name of the host opens nothing."""


def connecting(path: Path) -> list[str]:
    """What of a file could open a connection."""
    modules: list[str] = []
    if not NAMED.search(path.read_text(encoding="utf-8")):
        return modules
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules += [f"{node.module}.{alias.name}" for alias in node.names]
    calls = CALLS.findall(path.read_text(encoding="utf-8")) if "socket" in modules else []
    return [name for name in modules if CONNECTING.match(name) or name.startswith("socket.")] + calls


def test_nothing_of_ours_opens_a_connection() -> None:
    """Kernels have sockets within the machine, which are part of what they measure."""
    found = {
        path.name: connecting(path) for room in ("bench", "analysis", "cli") for path in (ROOT / room).rglob("*.py")
    }
    assert {name: what for name, what in found.items() if what} == ASKED_FOR
    texts = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "csrc").rglob("*.[ch]")}
    away = [name for name, text in texts.items() if "AF_INET" in text and "INADDR_LOOPBACK" not in text]
    assert away == []


def test_what_could_open_a_connection_is_seen(tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.py", tmp_path / "good.py"
    bad.write_text("import socket, http.client\nfrom urllib import request\nsocket.create_connection(at)\n")
    assert connecting(bad) == ["http.client", "urllib.request", "socket.create_connection"]
    good.write_text("import socket\nfrom urllib.parse import quote\nsocket.gethostname()\n")
    assert connecting(good) == []
