"""What a log publishes, as files: from a book of our own, or fetched from a live installation."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from andromede.ledger import tree
from andromede.ledger.note import checkpoint_fields, split_note
from tests.support.clients import BUILD, program
from tests.support.verifier import Book

THIRD_PARTY = Path(__file__).resolve().parents[1] / "e2e" / "third_party"
GO_SOURCES = "/usr/share/gocode"


def tile_paths(size: int) -> list[str]:
    """The path of every tile and bundle of entries of a tree."""
    found = []
    for level, full, width in tree.tiles(size):
        numbered = [(n, 0) for n in range(full)] + ([(full, width)] if width else [])
        found += [tree.tile_path(level, n, w) for n, w in numbered]
        if level == 0:
            found += [tree.tile_path(0, n, w).replace("tile/0/", "tile/entries/", 1) for n, w in numbered]
    return found


def write(folder: Path, name: str, data: bytes) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def publish(book: Book, folder: Path, old: int, index: int) -> Path:
    """The files that an installation would serve of this book."""
    size = len(book.events)
    texts = {
        "policy": book.policy(), "old": book.note(old), "checkpoint": book.note(size),
        "proof": book.proof(old, size), "receipt": book.receipt(index, size),
    }  # fmt: skip
    for name, text in texts.items():
        write(folder, name, text.encode())
    entries, read = book.entries, book.read
    for level, full, width in tree.tiles(size):
        for number in range(full + bool(width)):
            count = 256 if number < full else width
            part = 0 if number < full else width
            write(folder, tree.tile_path(level, number, part), b"".join(read(level, number * 256, count)))
            if level == 0:
                name = tree.tile_path(0, number, part).replace("tile/0/", "tile/entries/", 1)
                write(folder, name, b"".join(b"\x00\x20" + e for e in entries[number * 256 :][:count]))
    return folder


@dataclass(frozen=True, slots=True)
class Door:
    """The ledger's API with a token."""

    url: str
    token: str

    def get(self, path: str, status: int = 200) -> bytes:
        answer = httpx.get(f"{self.url}/{path}", headers={"X-Auth-Token": self.token}, timeout=60, trust_env=False)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text[:300]}"
        return answer.content

    def allocated(self) -> int:
        """How many places of the log are given out."""
        return int(json.loads(self.get("status"))["allocated"])

    def size(self) -> int:
        """The size of the newest checkpoint, 0 before there is one."""
        if json.loads(self.get("status"))["checkpoint"] is None:
            return 0
        return checkpoint_fields(split_note(self.get("checkpoint").decode())[0])[1]


def fetch(door: Door, folder: Path, old: bytes, index: int) -> Path:
    """The same files, fetched from a live installation; `old` is a checkpoint fetched before."""
    write(folder, "old", old)
    for name, path in (("policy", "policy"), ("checkpoint", "checkpoint"), ("receipt", f"receipts/{index}")):
        write(folder, name, door.get(path))
    before, size = (
        checkpoint_fields(split_note((folder / name).read_text(encoding="utf-8"))[0])[1]
        for name in ("old", "checkpoint")
    )
    write(folder, "proof", door.get(f"consistency?old={before}&size={size}"))
    for path in tile_paths(size):
        write(folder, path, door.get(path))
    return folder


Done = subprocess.CompletedProcess[str]


def go_check() -> Callable[..., Done]:
    """Go's verdict, the program built once; the test is skipped where Go or its package is missing."""
    go = program("go")
    program("sumdb")
    built = BUILD / "go-check"
    source = THIRD_PARTY / "check.go"
    if not built.exists() or built.stat().st_mtime < source.stat().st_mtime:
        BUILD.mkdir(parents=True, exist_ok=True)
        env = {
            **os.environ,
            "GO111MODULE": "off",
            "GOPATH": GO_SOURCES,
            "GOFLAGS": "",
            "GOCACHE": str(BUILD / "go-cache"),
        }
        command = [go, "build", "-o", str(built), str(source)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
    return lambda *words, token="": _run([str(built), *words], token)


def python_check() -> Callable[..., Done]:
    """The verdict of aics-tlog, dilithium-py and pymerkle; skipped where they are not installed."""
    python = program("tlog")
    return lambda *words: _run([python, str(THIRD_PARTY / "second_opinion.py"), *words])


def _run(command: list[str], token: str = "") -> Done:
    env = {"PATH": os.environ.get("PATH", ""), "ANDROMEDE_TOKEN": token}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
