"""Two signed statements of one log that cannot both be true: proof that its key signed two histories."""

from __future__ import annotations

import json
from dataclasses import dataclass

from andromede.ledger.contradiction import EVIDENCE, Signed, judge_pair, signed_by_log
from andromede.ledger.note import BadNote
from andromede.ledger.policy import Policy
from andromede.ledger.receipt import Receipt, entry_of
from andromede.sovereignty.verifier.checks import proof_of
from andromede.sovereignty.verifier.report import Report, Unreadable, instant
from andromede.sovereignty.verifier.trust import Trust


@dataclass(frozen=True, slots=True)
class Statement:
    """What a checkpoint or receipt claims under the log's own signature."""

    name: str
    signed: Signed
    receipt: Receipt | None = None

    def facts(self) -> dict[str, object]:
        signed, times = self.signed, self.signed.cosigned
        return {
            "file": self.name,
            "origin": signed.origin,
            "size": signed.size,
            "root": signed.root.hex(),
            "index": self.receipt.index if self.receipt else None,
            "cosigned": [{"name": key.name, "time": time} for key, time in times.items()],
        }

    def words(self) -> str:
        signed = self.signed
        times = ", ".join(f"{key.name} at {instant(time)}" for key, time in signed.cosigned.items()) or "nobody"
        what = f"entry {self.receipt.index} of " if self.receipt else ""
        return f"{self.name}: {what}{signed.size} entries, root {signed.root.hex()}, cosigned by {times}"


def statement_of(name: str, text: str, trust: Trust) -> Statement:
    """Read a signed checkpoint or a receipt whose log signature verifies; BadNote when it does not. No quorum is
    wanted here: the log's own signature is the evidence against it."""
    receipt = Receipt.parse(text) if text.startswith("c2sp.org/tlog-proof@v1\n") else None
    signed = signed_by_log(
        receipt.checkpoint if receipt else text, trust.policy.logs, list(trust.policy.witnesses.values())
    )
    if receipt is not None:
        receipt.verify(Policy(logs=trust.policy.logs))
    return Statement(name, signed, receipt)


def judge(a: Statement, b: Statement, nodes: list[bytes]) -> tuple[bool, str]:
    """Whether two statements exclude each other, and why or why not."""
    if a.receipt and b.receipt and (a.signed.origin, a.receipt.index) == (b.signed.origin, b.receipt.index):
        entries = {entry_of(receipt.salt, receipt.event) for receipt in (a.receipt, b.receipt)}
        if len(entries) == 2:
            return True, f"the log signed two different entries {a.receipt.index}"
    try:
        verdict = judge_pair(a.signed, b.signed, nodes)
    except BadNote as error:
        return False, str(error)
    return verdict.proved, verdict.text


def check_contradiction(names: tuple[str, str], texts: tuple[str, str], nodes: list[bytes], trust: Trust) -> Report:
    """PROVEN means that the log contradicted itself: nobody without its key can have made both statements. `nodes`:
    a full consistency proof taken from the larger tree, for two sizes."""
    subject = f"{names[0]} against {names[1]}"
    try:
        a, b = (statement_of(names[n], texts[n], trust) for n in (0, 1))
    except BadNote as error:
        return Report(subject, False, f"a statement is not the log's own: {error}")
    proven, why = judge(a, b, nodes)
    facts: dict[str, object] = {"contradiction": proven, "statements": [a.facts(), b.facts()]}
    return Report(subject, proven, f"CONTRADICTION: {why}" if proven else why, (a.words(), b.words()), facts)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A monitor's evidence file: two notes in the order seen, what joins them, and the policy it names, if any."""

    notes: tuple[str, str]
    nodes: list[bytes]
    policy: str


def evidence_of(text: str, name: str) -> Evidence:
    """Read the evidence file that the monitor writes; Unreadable when it is none or holds no pair of notes."""
    try:
        found = json.loads(text)
        known = found["format"] == EVIDENCE
        first, second = (one["note"] for one in found["notes"])
        steps, policy = found.get("proof") or [], found.get("policy") or ""
        nodes = proof_of("\n".join(steps), name)
        for key in found.get("keys") or []:
            policy += f"\nlog {key}"
    except Unreadable:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Unreadable(f"{name} is not an evidence file with a pair of signed notes") from error
    if not known or not all(isinstance(value, str) for value in (first, second, policy)):
        raise Unreadable(f"{name} is not an evidence file of the form {EVIDENCE}")
    if found.get("keys") and not found.get("policy"):
        policy += "\nquorum none\n"
    return Evidence((first, second), nodes, policy)
