"""SECURITY.md: each line of the threat model is backed by tests that exist, and the other pages lead to it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", PAGE)))


@pytest.mark.parametrize("name", TESTS)
def test_each_named_test_exists(name: str) -> None:
    path, _, function = name.partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    found = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert {each for each in found if each.startswith("test_")}
    assert not function or function in found


def test_each_line_of_the_threat_model_has_its_tests() -> None:
    rows = re.findall(r"^\| \*\*(.+?)\*\*.*\| \[(\d+)\]\(#tests\) \|$", PAGE, re.MULTILINE)
    groups = re.findall(r"^(\d+)\. .+:\n((?: {3}`.+\n)+)", PAGE, re.MULTILINE)
    assert [number for _, number in rows] == [number for number, _ in groups]
    assert len(rows) >= 8
    assert all(text.count("`") // 2 >= 2 for _, text in groups)
    actors = {name for name, _ in rows}
    assert {"Tenant", "Other tenant", "Operator's staff", "Acquirer of the operator", "Home State"} <= actors
    assert {"Foreign State", "Thief of a disk", "Compromised administrator or API host"} <= actors


def test_the_security_model_leads_here_and_does_not_repeat_it() -> None:
    model = (ROOT / "docs" / "security-model.md").read_text(encoding="utf-8")
    assert "../SECURITY.md#threat-model" in model
    assert "| actor |" not in model
