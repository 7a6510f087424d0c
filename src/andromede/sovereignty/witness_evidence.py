"""What a witness refused to cosign, as evidence files that `andromede-verify contradiction` judges."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from andromede.clock import iso_second
from andromede.ledger.contradiction import EVIDENCE, Verdict, judge_pair, signed_by_log
from andromede.ledger.note import BadNote, Verifier, checkpoint_fields, split_note
from andromede.ledger.tree import prefix_roots
from andromede.ledger.witness import origin_hash, parse_request
from andromede.sovereignty import witness_store as store
from andromede.sovereignty.witness_server import TrustedLogs


@dataclass(frozen=True, slots=True)
class Refusal:
    """A checkpoint that the log signed and that does not extend what was cosigned. `document`: the evidence file."""

    origin: str
    at_us: int
    verdict: Verdict
    document: dict[str, Any]
    name: str


def refusals(db: store.Read, logs: TrustedLogs) -> list[Refusal]:
    """Everything that is kept, oldest first."""
    found = []
    for number, origin, at_us, request, known in store.evidence(db):
        _, proof, note = parse_request(bytes(request).decode())
        nodes = _nodes(str(known or ""), note, proof)
        document = {
            "format": EVIDENCE,
            "origin": str(origin),
            "found": iso_second(int(at_us)),
            "by": "a witness, which cosigned the first note and was then asked to cosign the second",
            "notes": [{"note": str(known or "")}, {"note": note}],
            "proof": [base64.b64encode(node).decode() for node in nodes],
        }
        rule = logs.rule(str(origin))
        keys = rule[1] if rule else []
        if keys:
            document["policy"] = "".join(f"log {key}\n" for key in keys) + "quorum none\n"
        verdict = _judge((str(known or ""), note), nodes, keys)
        found.append(Refusal(str(origin), int(at_us), verdict, document, f"{origin_hash(origin)[:16]}-{number}.json"))
    return found


def _judge(notes: tuple[str, str], nodes: Sequence[bytes], keys: Sequence[Verifier]) -> Verdict:
    try:
        return judge_pair(signed_by_log(notes[0], keys), signed_by_log(notes[1], keys), nodes)
    except BadNote as error:
        return Verdict("open", str(error))


def _nodes(known: str, note: str, proof: list[bytes]) -> list[bytes]:
    """The nodes of the request's proof where they lead to the refused root; those of a wrong one prove nothing."""
    try:
        _, small, _ = checkpoint_fields(split_note(known)[0])
        _, large, root = checkpoint_fields(split_note(note)[0])
    except BadNote:
        return []
    roots = prefix_roots(small, large, proof)
    return proof if roots is not None and roots[1] == root else []
