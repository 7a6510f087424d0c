"""L9: andromede-verify in a network namespace, in an empty directory, without the product."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.support.verifier import PROGRAM, Book

NEEDED = ("cryptography", "cffi", "pycparser")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment that holds `cryptography` and what that needs, made without a network."""
    folder = tmp_path_factory.mktemp("alone") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=120)
    target = next((folder / "lib").glob("python3*")) / "site-packages"
    for name in NEEDED:
        for file in metadata.files(name) or []:
            if ".." in file.parts or "__pycache__" in file.parts:
                continue
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(str(file.locate()), target / file)
    return folder / "bin" / "python"


def namespace() -> list[str] | None:
    """The command that runs another one without any network, None where the system does not allow it."""
    command = ["unshare", "--user", "--map-root-user", "--net"]
    try:
        allowed = subprocess.run([*command, "true"], capture_output=True, timeout=20).returncode == 0
    except OSError:
        allowed = False
    return command if allowed else None


def call(prefix: list[str], words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """With an empty environment, in the folder given."""
    command = [*prefix, *words]
    return subprocess.run(command, cwd=folder, env={"PATH": os.defpath}, capture_output=True, text=True, timeout=120)


@pytest.fixture(params=["namespace", "process"])
def prefix(request: pytest.FixtureRequest) -> list[str]:
    if request.param == "process":
        return []
    found = namespace()
    if found is None:
        pytest.skip("this system allows no network namespace: the verifier runs as a mere process apart")
    return found


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """An empty directory with the verifier and the files that a stranger was handed."""
    book, other = Book.of(300), Book.of(300, e7="forged")
    folder = tmp_path / "stranger"
    folder.mkdir()
    shutil.copy2(PROGRAM, folder / "andromede-verify")
    texts = {
        "policy": book.policy(), "r": book.receipt(7, 300), "old": book.note(256), "new": book.note(300),
        "proof": book.proof(256, 300), "forged": other.receipt(7, 300).split("\n\n")[0] + "\n\n" + book.note(300),
        "fork": other.note(300),
    }  # fmt: skip
    for name, text in texts.items():
        (folder / name).write_text(text)
    book.export(folder / "log", pruned=(3,))
    return folder


def test_l9_every_command_without_product_and_network(alone: Path, prefix: list[str], stranger: Path) -> None:
    python = [str(alone), "-I"]
    missing = call(prefix, [*python, "-c", "import andromede"], stranger)
    assert "ModuleNotFoundError" in missing.stderr
    if prefix:
        probe = "import socket; socket.create_connection(('127.0.0.1', 9), 1)"
        assert "unreachable" in call(prefix, [*python, "-c", probe], stranger).stderr.lower()
    for status, words in (
        (0, ["receipt", "r", "--policy", "policy"]),
        (0, ["checkpoint", "old", "new", "--policy", "policy"]),
        (0, ["consistency", "old", "new", "proof", "--policy", "policy"]),
        (0, ["log", "log", "--policy", "policy"]),
        (0, ["policy", "policy"]),
        (0, ["contradiction", "new", "fork", "--policy", "policy"]),
        (1, ["receipt", "forged", "--policy", "policy"]),
        (1, ["consistency", "old", "fork", "proof", "--policy", "policy"]),
        (1, ["contradiction", "old", "new", "--policy", "policy"]),
        (2, ["receipt", "nothing", "--policy", "policy"]),
    ):
        done = call(prefix, [*python, "andromede-verify", *words], stranger)
        assert done.returncode == status, (words, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        assert "NOT CHECKED" not in done.stdout


def test_l9_without_cryptography_it_says_what_is_missing(stranger: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True, timeout=120)
    done = call([], [str(tmp_path / "bare" / "bin" / "python"), "-I", "andromede-verify", "policy", "policy"], stranger)
    assert done.returncode != 0
    assert "needs the Python package cryptography" in done.stderr
