"""The rules of a witness (C2SP tlog-witness): cosign only what extends what was cosigned before."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from andromede.ledger.note import BadNote, Signer, Verifier, checkpoint_fields, decode, number, open_note, split_note
from andromede.ledger.tree import EMPTY_ROOT, check_consistency


def origin_hash(origin: str) -> str:
    """The name of a log in a witness's URLs."""
    return hashlib.sha256(origin.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, content type and body of an `add-checkpoint` call."""

    status: int
    body: str = ""
    content_type: str = "text/plain; charset=utf-8"


class Logs(Protocol):
    """The keys that a witness accepts for an origin; None for an origin that it does not know."""

    def get(self, origin: str, /) -> Sequence[Verifier] | None: ...


class Memory(Protocol):
    """What a witness remembers of each origin. `advance` must be durable before it returns, and must
    return False when the stored size is no longer `old`."""

    def latest(self, origin: str) -> tuple[int, bytes, str] | None: ...
    def advance(self, origin: str, old: int, size: int, root: bytes, note: str) -> bool: ...


def parse_request(body: str) -> tuple[int, list[bytes], str]:
    """(old size, proof, checkpoint note) of an `add-checkpoint` body."""
    head, blank, note = body.partition("\n\n")
    lines = head.split("\n")
    if not blank or not lines[0].startswith("old ") or len(lines) > 64:
        raise BadNote("the request needs an `old` line, at most 63 proof lines, a blank line and a checkpoint")
    size = number(lines[0].removeprefix("old "), "the old size")
    proof = [decode(line, "a proof line") for line in lines[1:]]
    if any(len(step) != 32 for step in proof):
        raise BadNote("a proof line is not a hash")
    return size, proof, note


def known_signatures(note: str, known: Sequence[Verifier]) -> str:
    """The note with the signature lines of known keys only, one each: what strangers added is not remembered."""
    text, lines = split_note(note)
    kept = {(name, blob[:4]): blob for name, blob in reversed(lines)}
    found = [(key.name, kept[key.name, key.id]) for key in known if (key.name, key.id) in kept]
    return f"{text}\n" + "".join(f"— {name} {base64.b64encode(blob).decode()}\n" for name, blob in found)


class Witness:
    """Cosigns checkpoints of the logs it knows."""

    def __init__(self, logs: Logs, signers: tuple[Signer, ...], memory: Memory) -> None:
        self._logs = logs
        self._signers = signers
        self._memory = memory

    def add_checkpoint(self, body: str, now: Callable[[], int]) -> Answer:
        """Answer one call; `now` gives whole seconds."""
        try:
            old, proof, note = parse_request(body)
            text, _ = split_note(note)
            origin, size, root = checkpoint_fields(text)
        except BadNote as error:
            return Answer(400, f"{error}\n")
        keys = self._logs.get(origin)
        if keys is None:
            return Answer(404, "unknown origin\n")
        try:
            open_note(note, keys)
        except BadNote as error:
            return Answer(403, f"{error}\n")
        if old > size:
            return Answer(400, "the old size is greater than the checkpoint's\n")
        return self._extend(origin, (old, size, root), proof, known_signatures(note, keys), now())

    def _extend(self, origin: str, step: tuple[int, int, bytes], proof: list[bytes], note: str, now: int) -> Answer:
        old, size, root = step
        known = self._memory.latest(origin)
        known_size, known_root = (known[0], known[1]) if known else (0, EMPTY_ROOT)
        if old != known_size:
            return Answer(409, f"{known_size}\n", "text/x.tlog.size")
        if not check_consistency(old, size, known_root, root, proof):
            return Answer(422, "the proof does not lead from the remembered root to this one\n")
        text, _ = split_note(note)
        lines = "".join(signer.line(text, now) for signer in self._signers)
        if not self._memory.advance(origin, old, size, root, note + lines):
            latest = self._memory.latest(origin)
            return Answer(409, f"{latest[0] if latest else 0}\n", "text/x.tlog.size")
        return Answer(200, lines)
