"""A log in memory with the key pair of an installation: leaves in, signed checkpoints and witness requests out."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

from andromede.ledger import tree
from andromede.ledger.note import ED25519, MLDSA44, Signer, checkpoint_text

SEEDS = (b"\x01" * 32, b"\x02" * 32)


def signers(name: str, seeds: tuple[bytes, bytes] = SEEDS) -> tuple[Signer, Signer]:
    """The Ed25519 and ML-DSA-44 signer of a log."""
    return Signer(name, ED25519, seeds[0]), Signer(name, MLDSA44, seeds[1])


@dataclass
class ToyLog:
    """`leaves` may be replaced to rewrite history."""

    origin: str
    leaves: list[bytes] = field(default_factory=list)
    seeds: tuple[bytes, bytes] = SEEDS
    _notes: dict[str, str] = field(default_factory=dict)

    def grow(self, count: int, word: str = "leaf") -> ToyLog:
        first = len(self.leaves)
        self.leaves += [tree.leaf_hash(f"{word} {n}".encode()) for n in range(first, first + count)]
        return self

    def read(self, level: int, first: int, count: int) -> Sequence[bytes]:
        rows = [self.leaves]
        while len(rows) <= level:
            row = rows[-1]
            rows.append([tree.fold(row[i : i + 256]) for i in range(0, len(row) - 255, 256)])
        return rows[level][first : first + count]

    def root(self, size: int | None = None) -> bytes:
        return tree.subtree(self.read, 0, len(self.leaves) if size is None else size)

    def note(self, size: int | None = None) -> str:
        size = len(self.leaves) if size is None else size
        text = checkpoint_text(self.origin, size, self.root(size))
        if text not in self._notes:  # signatures of ML-DSA are drawn anew each time
            lines = (signer.line(text) for signer in signers(self.origin, self.seeds))
            self._notes[text] = f"{text}\n" + "".join(lines)
        return self._notes[text]

    def request(self, old: int, size: int | None = None) -> str:
        size = len(self.leaves) if size is None else size
        proof = tree.consistency(self.read, old, size) if old <= size else []
        lines = "".join(base64.b64encode(step).decode() + "\n" for step in proof)
        return f"old {old}\n{lines}\n{self.note(size)}"
