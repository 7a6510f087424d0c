"""The published verifier is what its generator makes of the product's own modules, and is shipped."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = resources.files("andromede.sovereignty") / "files" / "andromede-verify"


def test_the_file_is_current() -> None:
    done = subprocess.run([sys.executable, "tools/verifier", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_is_executable_and_within_the_package() -> None:
    assert PROGRAM.is_file()
    assert os.access(str(PROGRAM), os.X_OK)
    assert PROGRAM.read_text(encoding="utf-8").startswith("#!/usr/bin/env python3\n")


def test_it_depends_on_cryptography_alone() -> None:
    found = set()
    for node in ast.walk(ast.parse(PROGRAM.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    assert found - set(sys.stdlib_module_names) == {"cryptography"}


def test_it_opens_no_connection_and_writes_no_file() -> None:
    text = PROGRAM.read_text(encoding="utf-8")
    names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    calls = {node.attr for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)}
    assert not names & {"socket", "urllib", "http", "subprocess", "eval", "exec", "pickle", "Signer"}
    assert not calls & {"write_text", "write_bytes", "system", "popen", "unlink"}


def test_the_generator_refuses_names_that_two_modules_define(tmp_path: Path) -> None:
    for name in ("ledger", "sovereignty/verifier"):
        (tmp_path / "src/andromede" / name).mkdir(parents=True)
        for path in (ROOT / "src/andromede" / name).glob("*.py"):
            (tmp_path / "src/andromede" / name / path.name).write_text(path.read_text(encoding="utf-8"))
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/verifier").write_text((ROOT / "tools/verifier").read_text(encoding="utf-8"))

    def generate() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(tmp_path / "tools/verifier")]
        return subprocess.run(command, capture_output=True, text=True)

    assert generate().returncode == 0
    made = tmp_path / "src/andromede/sovereignty/files/andromede-verify"
    assert made.read_bytes() == PROGRAM.read_bytes()
    policy = tmp_path / "src/andromede/ledger/policy.py"
    original = policy.read_text(encoding="utf-8")
    for addition, word in (
        ("\ndef leaf_hash() -> None: ...\n", "leaf_hash"),
        ("\nimport socket as s\n", "another name"),
        ("\nimport andromede.errors\n", "import names"),
    ):
        policy.write_text(original + addition)
        refused = generate()
        assert refused.returncode == 1
        assert word in refused.stderr


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.12", "3.13"])
def test_it_compiles_for_the_pythons_that_it_names(version: str) -> None:
    major, minor = map(int, version.split("."))
    ast.parse(PROGRAM.read_text(encoding="utf-8"), feature_version=(major, minor))
