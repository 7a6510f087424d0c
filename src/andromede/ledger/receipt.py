"""Receipts: an event, its place in a tenant's log, and a cosigned checkpoint (C2SP tlog-proof)."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from andromede.ledger.note import BadNote, decode, number
from andromede.ledger.policy import Checkpoint, Policy
from andromede.ledger.tree import leaf_hash, root_from_path

SALT_SIZE = 32
_HEAD = "c2sp.org/tlog-proof@v1"
_EXTRA = b"andromede/extra/v1\n"


def entry_of(salt: bytes, event: bytes) -> bytes:
    """The 32 bytes that a log stores of an event: SHA-256("andromede/event/v1\\n" || salt || event)."""
    return hashlib.sha256(b"andromede/event/v1\n" + salt + event).digest()


@dataclass(frozen=True, slots=True)
class Receipt:
    """A `.tlog-proof` file that carries the salt and event it proves."""

    salt: bytes
    event: bytes
    index: int
    path: tuple[bytes, ...]
    checkpoint: str

    def __str__(self) -> str:
        extra = base64.b64encode(_EXTRA + self.salt + self.event).decode()
        steps = "".join(base64.b64encode(step).decode() + "\n" for step in self.path)
        return f"{_HEAD}\nextra {extra}\nindex {self.index}\n{steps}\n{self.checkpoint}"

    @staticmethod
    def parse(text: str) -> Receipt:
        """Read a receipt; BadNote when it is malformed."""
        proof, blank, checkpoint = text.partition("\n\n")
        lines = proof.split("\n")
        if not blank or len(lines) < 3 or lines[0] != _HEAD or len(lines) > 3 + 63:
            raise BadNote("not a tlog-proof file")
        if not lines[1].startswith("extra ") or not lines[2].startswith("index "):
            raise BadNote("a receipt needs its extra and index lines")
        index = number(lines[2].removeprefix("index "), "the index of the receipt")
        extra = decode(lines[1].removeprefix("extra "), "the extra line of the receipt")
        path = tuple(decode(line, "a hash of the receipt") for line in lines[3:])
        if (
            not extra.startswith(_EXTRA)
            or len(extra) < len(_EXTRA) + SALT_SIZE
            or any(len(step) != 32 for step in path)
        ):
            raise BadNote("the receipt does not carry an event, or a hash has the wrong size")
        body = extra[len(_EXTRA) :]
        return Receipt(body[:SALT_SIZE], body[SALT_SIZE:], index, path, checkpoint)

    def verify(self, policy: Policy) -> Checkpoint:
        """The accepted checkpoint under which the event stands; BadNote with the reason otherwise."""
        checkpoint = policy.accept(self.checkpoint)
        leaf = leaf_hash(entry_of(self.salt, self.event))
        try:
            root = root_from_path(self.index, checkpoint.size, leaf, self.path)
        except ValueError as error:
            raise BadNote(f"the path of the receipt does not fit: {error}") from error
        if root != checkpoint.root:
            raise BadNote("the event does not lead to the signed root: it, its index or its path was changed")
        return checkpoint
