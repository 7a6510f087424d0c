"""The offline verifier as a stranger runs it, and material for it from the vectors or from a log of our own."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from andromede.ledger import tree
from andromede.ledger.note import COSIGNATURE, ED25519, MLDSA44, Signer, checkpoint_text
from andromede.ledger.receipt import Receipt, entry_of

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "tlog.json").read_text())
PROGRAM = Path(str(resources.files("andromede.sovereignty"))) / "files" / "andromede-verify"


def run(
    words: Sequence[str], folder: Path, command: Sequence[str] = (sys.executable,), env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`andromede-verify WORDS` in a folder, as a process of its own without the product on its path."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE", "COV_"))}
    return subprocess.run(
        [*command, str(PROGRAM), *words],
        cwd=folder, env={**clean, **(env or {})}, capture_output=True, text=True, timeout=120, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def base64_text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def reader(leaves: Sequence[bytes]) -> tree.Reader:
    """A tree in memory."""
    levels = [list(leaves)]
    while len(levels[-1]) >= tree.TILE_WIDTH:
        row = levels[-1]
        levels.append([tree.fold(row[i : i + 256]) for i in range(0, len(row) - 255, 256)])
    return lambda level, first, count: levels[level][first : first + count]


@dataclass(slots=True)
class Book:
    """A small log of our own with two witnesses: every text that the product would publish of it."""

    origin: str = "andromede-00112233aabb/t/0123456789abcdef"
    events: list[tuple[bytes, bytes]] = field(default_factory=list)
    witnesses: dict[str, Signer] = field(default_factory=dict)

    @classmethod
    def of(cls, count: int, **changed: str) -> Book:
        """`count` events; `changed` as `e3="object"` puts another object into event 3."""
        book = cls()
        for n in range(count):
            fields = {"action": "object.put", "actor": "user:1", "object": changed.get(f"e{n}", f"été-{n}"), "seq": n}
            fields |= {
                "outcome": "success",
                "purpose": "CUSTOMER_ACCESS",
                "source": "api-1",
                "ts": 1790000000000000 + n,
            }
            book.events.append((n.to_bytes(32, "big"), json.dumps(fields, sort_keys=True, ensure_ascii=False).encode()))
        book.witnesses = {f"w{n}": Signer(f"witness{n}.example/w", COSIGNATURE, bytes([n]) * 32) for n in range(1, 3)}
        return book

    @property
    def signers(self) -> tuple[Signer, Signer]:
        return Signer(self.origin, ED25519, b"\x07" * 32), Signer(self.origin, MLDSA44, b"\x08" * 32)

    @property
    def entries(self) -> list[bytes]:
        return [entry_of(salt, event) for salt, event in self.events]

    @property
    def read(self) -> tree.Reader:
        return reader([tree.leaf_hash(entry) for entry in self.entries])

    def root(self, size: int) -> bytes:
        return tree.subtree(self.read, 0, size)

    def note(self, size: int, witnesses: Sequence[str] = ("w1", "w2")) -> str:
        """The signed and cosigned checkpoint of the first `size` events."""
        text = checkpoint_text(self.origin, size, self.root(size))
        lines = [signer.line(text) for signer in self.signers]
        lines += [self.witnesses[name].line(text, 1790000000 + n) for n, name in enumerate(witnesses)]
        return text + "\n" + "".join(lines)

    def policy(self, quorum: str = "group both all w1 w2\nquorum both") -> str:
        logs = "".join(f"log {signer.verifier}\n" for signer in self.signers)
        names = "".join(f"witness {name} {signer.verifier}\n" for name, signer in self.witnesses.items())
        return f"{logs}{names}{quorum}\n"

    def receipt(self, index: int, size: int) -> str:
        salt, event = self.events[index]
        return str(Receipt(salt, event, index, tuple(tree.inclusion(self.read, index, size)), self.note(size)))

    def proof(self, old: int, new: int) -> str:
        return "".join(base64.b64encode(h).decode() + "\n" for h in tree.consistency(self.read, old, new))

    def line(self, index: int, pruned: bool = False) -> dict[str, Any]:
        """One line of an export."""
        salt, event = self.events[index]
        entry = base64.b64encode(self.entries[index]).decode()
        if pruned:
            return {"index": index, "salt": None, "event": None, "entry": entry}
        return {"index": index, "salt": base64.b64encode(salt).decode(), "event": event.decode(), "entry": entry}

    def export(self, folder: Path, pruned: Sequence[int] = ()) -> Path:
        """The whole log as a directory of the export format."""
        folder.mkdir(exist_ok=True)
        size = len(self.events)
        (folder / "checkpoint").write_bytes(self.note(size).encode())
        (folder / "policy").write_bytes(self.policy().encode())
        lines = [json.dumps(self.line(n, n in pruned), ensure_ascii=False) + "\n" for n in range(size)]
        (folder / "log.jsonl").write_bytes("".join(lines).encode())
        return folder
