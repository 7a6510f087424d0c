"""Rules of the house that are read off the source: injected time and chance, one place for SQL, no stray prints."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "andromede"
FILES = sorted(SOURCE.rglob("*.py"))
INJECTED = {SOURCE / "clock.py", SOURCE / "ids.py"}

# module -> the names in it that read the wall clock, sleep or draw chance; None = the whole module
FORBIDDEN: dict[str, frozenset[str] | None] = {
    "time": frozenset({"time", "time_ns", "sleep", "monotonic", "monotonic_ns", "localtime", "gmtime", "perf_counter"}),
    "datetime": frozenset({"now", "utcnow", "today"}),
    "os": frozenset({"urandom", "getrandom"}),
    "uuid": frozenset({"uuid1", "uuid4"}),
    "random": None,
    "secrets": frozenset({"token_bytes", "token_hex", "token_urlsafe", "choice", "randbelow", "randbits"}),
}


def imported(tree: ast.AST) -> dict[str, str]:
    """Local name -> dotted origin, for every import in the file."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = alias.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def dotted(node: ast.expr, names: dict[str, str]) -> str:
    """The dotted origin of an attribute chain, such as `datetime.datetime.now`, or an empty string."""
    if isinstance(node, ast.Name):
        return names.get(node.id, "")
    if isinstance(node, ast.Attribute):
        origin = dotted(node.value, names)
        return f"{origin}.{node.attr}" if origin else ""
    return ""


def uses(source: str) -> list[str]:
    """Every use of a forbidden name in the text of a module, as `line: name`."""
    tree = ast.parse(source)
    names = imported(tree)
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Name | ast.Attribute):
            continue
        origin = dotted(node, names)
        module, _, rest = origin.partition(".")
        if not rest or module not in FORBIDDEN:
            continue
        banned = FORBIDDEN[module]
        if banned is None or rest.rpartition(".")[2] in banned:
            found.append(f"{node.lineno}: {origin}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_time_and_chance_are_injected(path: Path) -> None:
    if path in INJECTED:
        return
    assert uses(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("import time\ntime.time()", 1),
        ("from datetime import datetime\ndatetime.now()", 1),
        ("import datetime as d\nd.datetime.utcnow()", 1),
        ("from uuid import uuid4\nuuid4()", 1),
        ("import os\nos.urandom(4)", 1),
        ("import random\nrandom.shuffle([])", 1),
        ("from time import sleep as rest\nrest(1)", 1),
        ("import time\nformat = time.strftime", 0),
        ("import uuid\nuuid.UUID('x')", 0),
        ("def now(): ...\nnow()", 0),
    ],
)
def test_the_rule_finds_what_it_forbids(source: str, count: int) -> None:
    assert len(uses(source)) == count
