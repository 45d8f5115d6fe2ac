"""Plain words: short sentences in all texts that a user meets, and none of the habits that were dropped.

Looked at are the pages, the help of all commands, messages and figures' words in Python, the report's templates, and
the comments that C files begin with.
"""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from fencepost.cli import fleet
from fencepost.cli.main import COMMANDS, cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "ARCHITECTURE", "SECURITY")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
SOURCES = [path for root in ("cli", "bench", "analysis") for path in sorted((ROOT / root).rglob("*.py"))]
TEMPLATES = sorted((ROOT / "analysis" / "report" / "templates").glob("*.j2"))

HEADERS = sorted((ROOT / "csrc").rglob("*.[ch]"))

MOST_WORDS = 25
LONGEST_LINE = 250

HABITS = {
    "a clause with what or who as the subject": r"^(?:- )?(?:What|Who|Whoever|Whatever|Whichever)\b(?!.*\?$)",
    "of its own": r"\bof (?:an? user's|the user's|one's|your|its|their|his|our|my) own\b",
    "is no such thing": r"(?<!there )(?<!There )\b(?:is|are|was|were) no (?!longer|more)[a-z]",
    "so many": r"\bso (?:many|much|far)\b(?! as)",
    "stands": r"\bstand(?:s|ing)?\b",
    "holds": r"\bholds?\b",
}
SEMICOLON = {"a semicolon": ";"}
"""On pages. A message names the fault, and after a semicolon the remedy."""

HEADINGS = ("What it does not show", "What was left out")
"""Sections that the report finds by these names."""

KERNEL = re.compile(r"\block/hold\b")
"""A kernel whose name is one of the words."""


def split(text: str) -> list[str]:
    """The sentences of a paragraph or cell; a code span counts as a word."""
    plain = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", re.sub(r"`[^`]*`", "Code", " ".join(text.split())))
    found = re.split(r"(?<=[.?!])\s+(?=[A-Z0-9\"(]|\w+[_/])", KERNEL.sub("Code", plain).replace("*", ""))
    return [sentence for sentence in found if sentence.rstrip(".") not in HEADINGS]


def on_page(page: str) -> list[str]:
    """The sentences of paragraphs, lists and cells of tables."""
    found = []
    for block in re.split(r"\n\s*\n|\n(?=\s*[-*] |\d+\. |\|)", re.sub(r"```.*?```", "", page, flags=re.DOTALL)):
        if block.lstrip().startswith("|"):
            cells = (cell for row in block.splitlines() for cell in row.strip().strip("|").split(" | "))
            found += [sentence for cell in cells for sentence in split(cell)]
        elif not block.lstrip().startswith("#") and not block.startswith("    "):
            found += split(block)
    return found


def strings(source: str) -> Iterator[str]:
    """Texts in Python code with four words or more; what is put into an f-string is a word. No docstrings."""
    nodes = list(ast.walk(ast.parse(source)))
    skipped = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    skipped |= {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in nodes:
        if id(node) in skipped:
            continue
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        if len(text.split()) >= 4 and re.search(r"[a-z]{2} [a-z]", text):
            yield text


def in_templates(source: str) -> Iterator[str]:
    """What a template shows between its tags."""
    text = re.sub(r"<(script|style)\b.*?</\1>|{%.*?%}|{#.*?#}", "\n", source, flags=re.DOTALL)
    for part in re.split(r"\n|</?(?:p|li|h\d|td|th|dt|dd|figcaption|summary|div)\b[^>]*>", text):
        yield html.unescape(re.sub(r"<[^>]+>", "", re.sub(r"{{.*?}}", "X", part)))


def in_help(command: click.Command) -> Iterator[str]:
    """The paragraphs of a command's help and of its options'."""
    yield from (text for text in (command.help, command.short_help, command.epilog) if text)
    yield from (option.help for option in command.params if isinstance(option, click.Option) and option.help)


def in_header(source: str) -> Iterator[str]:
    """The paragraphs of the comment that a C file begins with, without their labels and the kernel's names.

    A line of a list of parameter values is a paragraph: a name, two spaces or more, and what it means. So is the
    question of each kernel, and a line at the margin that follows an indented one. Code is left out.
    """
    comment = re.match(r"\s*/\*(.*?)\*/", source, flags=re.DOTALL)
    text = "\n".join(re.sub(r"^ ?\* ?", "", line) for line in (comment[1] if comment else "").splitlines())
    text = re.sub(r"\n\s+(?:static inline|#define) .*|\n {4}(?: {4})*\S.*[;}]$", "\n", text, flags=re.MULTILINE)
    text = re.sub(r"\n  +(?:int|void|bool|size_t|const char|node)(?:[ ,*]+\w+\([^()\n]*\))+", "\n\n", text)
    text = re.sub(r"(\n\s[^\n]*)\n(?=\S)", r"\1\n\n", text)
    starts = r"[A-Z][A-Za-z ]{2,16}:\s|\s*- |\s*[\w,.:=]+(?: [\w,.:=]+)* {2,}\S|[a-z]+/\w+[,:]"
    for part in re.split(rf"\n\s*\n|\n(?={starts})", text):
        if part.strip():
            yield re.sub(r"^(?:[A-Z][A-Za-z ]{2,16}|(?:[a-z_]+/[a-z_0-9]+(?:,\s+)?)+):\s+", "", part.strip())


def faults(sentences: list[str], habits: dict[str, str]) -> list[str]:
    """What is wrong, each with its sentence."""
    found = [f"{name}: {text}" for text in sentences for name, habit in habits.items() if re.search(habit, text)]
    long = [text for text in sentences if len(re.findall(r"\S*\w\S*", text)) > MOST_WORDS]
    return found + [f"more than {MOST_WORDS} words: {text}" for text in long]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_are_in_plain_words(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert faults(on_page(text), HABITS | SEMICOLON) == []
    lines = [line for line in text.splitlines() if len(line) > LONGEST_LINE and not line.startswith("|")]
    assert lines == []


@pytest.mark.parametrize("name", ["", *COMMANDS, *(f"fleet {name}" for name in fleet.COMMANDS)])
def test_help_is_in_plain_words(name: str) -> None:
    command: click.Command = cli
    for word in name.split():
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), word)
        assert found is not None
        command = found
    paragraphs = [part for text in in_help(command) for part in re.split(r"\n\s*\n", text)]
    assert faults([sentence for part in paragraphs for sentence in split(part)], HABITS) == []


def test_messages_are_in_plain_words() -> None:
    found = {
        str(path.relative_to(ROOT)): faults(
            [part for text in strings(path.read_text()) for part in split(text)], HABITS
        )
        for path in SOURCES
    }
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_are_in_plain_words(template: Path) -> None:
    sentences = [part for text in in_templates(template.read_text()) for part in split(text)]
    assert faults(sentences, HABITS) == []


def test_headers_of_c_files_are_in_plain_words() -> None:
    wrong = {}
    for path in HEADERS:
        sentences = [sentence for part in in_header(path.read_text(encoding="utf-8")) for sentence in split(part)]
        wrong[path] = faults(sentences, HABITS | SEMICOLON)
    assert {path: found for path, found in wrong.items() if found} == {}


def test_a_header_is_read_by_its_parts() -> None:
    source = (
        "/*\n * a/b, a/c: does it\n * cost?\n *\n * One.\n *   x    holds one\n * Excluded:  two.\n */\nint x; /* no */"
    )
    assert list(in_header(source)) == ["does it\ncost?", "One.", "x    holds one", "two."]
    code = "/*\n * Of code:\n *\n *     x = 1; y = 2;\n *\n *   void f(int a)    It holds.\n * Next.\n */"
    assert list(in_header(code)) == ["Of code:", "It holds.", "Next."]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("What is printed is a mean.", "a clause with what or who as the subject"),
        ("It runs in a process of its own.", "of its own"),
        ("A kernel of a user's own.", "of its own"),
        ("That is no failure.", "is no such thing"),
        ("It takes so many rounds.", "so many"),
        ("A dash stands there.", "stands"),
        ("The folder holds files.", "holds"),
        ("It is one; it is two.", "a semicolon"),
        (" ".join(["word"] * 26), "more than 25 words"),
        ("| a cell | it holds a row |", "holds"),
    ],
)
def test_each_habit_is_found(text: str, wrong: str) -> None:
    (found, *_) = faults(on_page(text), HABITS | SEMICOLON)
    assert found.startswith(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "What does it cost?",
        "There is no such row.",
        "As many as there are.",
        "# What it holds",
        "```\nit holds\n```",
        "`holds`",
    ],
)
def test_plain_sentences_pass(text: str) -> None:
    assert faults(on_page(text), HABITS | SEMICOLON) == []


def test_texts_are_found_in_code() -> None:
    source = (
        '"""Docs that hold more."""\nx = f"{x} holds two of them"\nz = ("it stands here " "and there")\ny = "a b"\n'
    )
    assert list(strings(source)) == ["X holds two of them", "it stands here and there"]
    assert [text for text in in_templates("<p>It {{ x }} <b>holds</b></p>{% if a %}") if text] == ["It X holds"]
