"""Two signed statements of one log that cannot both be true: proof that its key signed two histories."""

from __future__ import annotations

import json
from dataclasses import dataclass

from andromede.ledger.note import BadNote, checkpoint_fields, open_note
from andromede.ledger.policy import Policy
from andromede.ledger.receipt import Receipt, entry_of
from andromede.ledger.tree import check_consistency
from andromede.sovereignty.verifier.checks import proof_of
from andromede.sovereignty.verifier.report import Report, Unreadable, signature_fact
from andromede.sovereignty.verifier.trust import Trust


@dataclass(frozen=True, slots=True)
class Statement:
    """What a note or receipt claims, and with it the log's own signature."""

    name: str
    origin: str
    size: int
    root: bytes
    facts: dict[str, object]
    receipt: Receipt | None = None


def statement_of(name: str, text: str, trust: Trust) -> Statement:
    """Read a signed checkpoint or a receipt whose log signature verifies; BadNote when it does not. Witnesses do
    not matter here: the log's own signature is the evidence against it."""
    receipt = Receipt.parse(text) if text.startswith("c2sp.org/tlog-proof@v1\n") else None
    note = receipt.checkpoint if receipt else text
    text, signatures = open_note(note, trust.policy.logs)
    origin, size, root = checkpoint_fields(text)
    own = [signature for signature in signatures if signature.verifier.name == origin]
    if not own:
        raise BadNote(f"{name}: no key of the policy is the log {origin}")
    if receipt is not None:
        receipt.verify(Policy(logs=trust.policy.logs))
    facts: dict[str, object] = {
        "file": name, "origin": origin, "size": size, "root": root.hex(),
        "signatures": [signature_fact(signature) for signature in own],
    }  # fmt: skip
    return Statement(name, origin, size, root, facts, receipt)


@dataclass(frozen=True, slots=True)
class Fork:
    """The root that the larger tree has at the smaller size, and the proof that it does."""

    root: bytes
    proof: tuple[bytes, ...]


def fork_of(text: str, name: str) -> Fork:
    """Read base64 lines: the other root at the smaller size, then the consistency proof from it."""
    first, *rest = proof_of(text, name) or [b""]
    if not first:
        raise Unreadable(f"{name} is empty: the other root at the smaller size is wanted, then its proof")
    return Fork(first, tuple(rest))


def judge(a: Statement, b: Statement, fork: Fork | None) -> tuple[bool, str]:
    """Whether two statements exclude each other, and why or why not."""
    if a.origin != b.origin:
        return False, f"they are about two logs: {a.origin} and {b.origin}"
    if a.size == b.size and a.root != b.root:
        return True, f"the log signed two roots for its first {a.size} entries"
    if a.receipt and b.receipt and a.receipt.index == b.receipt.index:
        entries = {entry_of(r.salt, r.event) for r in (a.receipt, b.receipt)}
        if len(entries) == 2:
            return True, f"the log signed two different entries {a.receipt.index}"
    small, large = sorted((a, b), key=lambda statement: statement.size)
    if fork is not None and check_consistency(small.size, large.size, fork.root, large.root, fork.proof):
        if fork.root != small.root:
            return True, f"the larger tree has another root at {small.size} entries than the one that was signed"
        return False, f"they agree: the larger tree begins with the {small.size} entries of the smaller"
    if a.size == b.size:
        return False, f"they say the same: one root for {a.size} entries"
    why = "the proof given does not fit" if fork else "a proof of the larger tree's root at that size would tell"
    return False, f"both can be true, {small.size} and {large.size} entries: {why}"


def check_contradiction(names: tuple[str, str], texts: tuple[str, str], fork: Fork | None, trust: Trust) -> Report:
    """PROVEN means that the log contradicted itself: nobody without its key can have made both statements."""
    subject = f"{names[0]} against {names[1]}"
    try:
        a, b = (statement_of(names[n], texts[n], trust) for n in (0, 1))
    except BadNote as error:
        return Report(subject, False, f"a statement is not the log's own: {error}")
    proven, why = judge(a, b, fork)
    facts: dict[str, object] = {"contradiction": proven, "statements": [a.facts, b.facts]}
    lines = [f"{s.name}: {s.size} entries, root {s.root.hex()}, signed by {s.origin}" for s in (a, b)]
    return Report(subject, proven, f"CONTRADICTION: {why}" if proven else why, tuple(lines), facts)


def evidence_of(text: str, name: str) -> tuple[tuple[str, str], Fork | None, str]:
    """((note, note), fork or None, policy) of a monitor's evidence file; Unreadable when it is none."""
    try:
        found = json.loads(text)
        first, second = found["notes"]
        fork = found.get("fork")
        policy = found.get("policy", "")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Unreadable(f"{name} is not an evidence file") from error
    if not all(isinstance(value, str) for value in (first, second, policy)):
        raise Unreadable(f"{name} is not an evidence file: notes and policy are texts")
    if fork is None:
        return (first, second), None, policy
    if not isinstance(fork, list) or not all(isinstance(line, str) for line in fork):
        raise Unreadable(f"{name} is not an evidence file: fork is a list of base64 hashes")
    return (first, second), fork_of("\n".join(fork), name), policy
