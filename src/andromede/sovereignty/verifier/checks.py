"""Receipts, checkpoints and consistency proofs under the reader's own policy."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from andromede.ledger.note import BadNote, checkpoint_fields, decode, split_note
from andromede.ledger.receipt import Receipt, entry_of
from andromede.ledger.tree import EMPTY_ROOT, check_consistency
from andromede.sovereignty.verifier.report import Report, Unreadable, instant, plain
from andromede.sovereignty.verifier.trust import Trust, standing

MAXIMUM_PROOF = 64


def note_of(text: str, name: str) -> tuple[str, int, bytes]:
    """(origin, size, root) of a checkpoint note, its signatures not looked at; Unreadable when it is none."""
    try:
        return checkpoint_fields(split_note(text)[0])
    except BadNote as error:
        raise Unreadable(f"{name} is not a signed checkpoint: {error}") from error


def event_lines(event: bytes) -> list[str]:
    """An event in words: what, on what, by whom, when, then its bytes as they were logged."""
    raw = event.decode("utf-8", "backslashreplace")
    lines = [f"event: {raw}"]
    try:
        fields = json.loads(event)
        words = [f"{name} {fields[name]}" for name in ("action", "object", "actor", "purpose", "outcome")]
        lines.insert(0, f"at {instant(int(fields['ts']) // 1_000_000)}: {', '.join(words)}")
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    return lines


def check_receipt(name: str, text: str, trust: Trust) -> Report:
    """Whether a `.tlog-proof` file proves its event under the policy."""
    try:
        receipt = Receipt.parse(text)
    except BadNote as error:
        raise Unreadable(f"{name} is not a receipt: {error}") from error
    try:
        checkpoint = receipt.verify(trust.policy)
    except BadNote as error:
        return Report(name, False, str(error))
    lines, facts = standing(trust, checkpoint, receipt.checkpoint)
    facts = {
        "index": receipt.index,
        "event": receipt.event.decode("utf-8", "backslashreplace"),
        "entry": entry_of(receipt.salt, receipt.event).hex(),
        **facts,
    }
    verdict = f"the event is entry {receipt.index} of {checkpoint.origin}, in its tree of {checkpoint.size} entries"
    return Report(name, True, verdict, (*event_lines(receipt.event), *lines), facts)


def check_checkpoint(name: str, text: str, trust: Trust) -> Report:
    """Whether a signed note is a checkpoint that the policy accepts."""
    note_of(text, name)
    try:
        checkpoint = trust.accept(text)
    except BadNote as error:
        return Report(name, False, str(error))
    lines, facts = standing(trust, checkpoint, text)
    verdict = f"{checkpoint.origin} has {checkpoint.size} entries under root {checkpoint.root.hex()}"
    return Report(name, True, verdict, tuple(lines), facts)


def proof_of(text: str, name: str) -> list[bytes]:
    """The hashes of a consistency proof: one base64 line each; Unreadable otherwise."""
    lines = [line for line in text.split("\n") if line]
    if len(lines) > MAXIMUM_PROOF:
        raise Unreadable(f"{name} has more than {MAXIMUM_PROOF} lines")
    try:
        steps = [decode(line, f"a line of {name}") for line in lines]
    except BadNote as error:
        raise Unreadable(str(error)) from error
    if any(len(step) != len(EMPTY_ROOT) for step in steps):
        raise Unreadable(f"a line of {name} is not a hash of {len(EMPTY_ROOT)} bytes")
    return steps


def check_growth(names: tuple[str, str, str], texts: tuple[str, str, str], trust: Trust) -> Report:
    """Whether the log of the first checkpoint is a prefix of the log of the second, by the proof."""
    old_name, new_name, proof_name = names
    subject = f"{old_name} -> {new_name}"
    note_of(texts[0], old_name)
    note_of(texts[1], new_name)
    steps = proof_of(texts[2], proof_name)
    try:
        old, new = trust.accept(texts[0]), trust.accept(texts[1])
    except BadNote as error:
        return Report(subject, False, str(error))
    lines, facts = standing(trust, new, texts[1])
    facts = {"old": {"size": old.size, "root": old.root.hex()}, **facts}
    if old.origin != new.origin:
        return Report(subject, False, f"two logs: {old.origin} and {new.origin}", (), facts)
    if old.size > new.size:
        return Report(subject, False, f"the first has {old.size} entries, the second only {new.size}", (), facts)
    if old.size == new.size and old.root != new.root:
        return Report(subject, False, f"CONTRADICTION: two signed roots for {old.size} entries", (), facts)
    if not check_consistency(old.size, new.size, old.root, new.root, steps):
        return Report(subject, False, f"the proof does not lead from {old.size} entries to {new.size}", (), facts)
    verdict = f"the {new.size} entries of {new.origin} begin with the {old.size} entries signed before"
    return Report(subject, True, verdict, tuple(lines), facts)


@dataclass(frozen=True, slots=True)
class Kind:
    """A form of certificate: what its first line is, and what checks it."""

    name: str
    check: Callable[[str, str, Trust], Report]


KINDS: dict[str, Kind] = {"c2sp.org/tlog-proof@v1": Kind("receipt", check_receipt)}
"""First line -> kind. Certificates of a later time are added here and nowhere else."""


def check_certificate(name: str, text: str, trust: Trust) -> Report:
    """Check a file by what its first line says that it is; a signed checkpoint has no such line."""
    head = text.split("\n", 1)[0]
    if head in KINDS:
        return KINDS[head].check(name, text, trust)
    if text.count("\n\n") == 1 and not head.startswith("{"):
        return check_checkpoint(name, text, trust)
    raise Unreadable(f"{name} is of no kind that this verifier knows (first line {plain(head, 60)!r})")
