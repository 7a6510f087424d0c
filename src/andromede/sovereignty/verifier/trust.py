"""The reader's policy, reduced to what the installed library can check, and what an accepted checkpoint is worth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cryptography
from cryptography.exceptions import UnsupportedAlgorithm

from andromede.ledger.note import MLDSA44, BadNote, Verifier, split_note
from andromede.ledger.policy import Checkpoint, Policy, parse_policy
from andromede.sovereignty.verifier.report import Unreadable, instant, signature_fact

UNWITNESSED = "unwitnessed: only the operator's own signature"
NEEDED = "50"


def post_quantum() -> bool:
    """Whether the installed library verifies ML-DSA-44 (cryptography 50 and later)."""
    try:
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

        MLDSA44PublicKey.from_public_bytes(bytes(1312))
    except (ImportError, UnsupportedAlgorithm):
        return False
    return True


@dataclass(frozen=True, slots=True)
class Trust:
    """A policy and the keys of it that cannot be checked here."""

    policy: Policy
    unchecked: tuple[Verifier, ...] = ()

    def accept(self, note: str) -> Checkpoint:
        """The checkpoint of a note that the policy accepts; BadNote with the reason."""
        return self.policy.accept(note)

    def remarks(self, note: str) -> list[str]:
        """What a reader must know of signatures that were not checked."""
        _, lines = split_note(note)
        present = {(name, blob[:4]) for name, blob in lines}
        return [
            f"NOT CHECKED: the ML-DSA-44 signature of {key.name}: it needs Python's cryptography {NEEDED} or later, "
            f"this is {cryptography.__version__}"
            for key in self.unchecked
            if (key.name, key.id) in present
        ]


def trust_of(text: str, available: bool | None = None) -> Trust:
    """Read a policy. Keys of ML-DSA-44 are set aside when the library lacks it: such a log needs another signature
    that verifies, and such a witness does not count. Unreadable when the policy is none."""
    try:
        policy = parse_policy(text)
    except BadNote as error:
        raise Unreadable(f"the policy does not read: {error}") from error
    if not policy.logs:
        raise Unreadable("the policy names no log: without a key nothing can be checked")
    if post_quantum() if available is None else available:
        return Trust(policy)
    unchecked = tuple(key for key in (*policy.logs, *policy.witnesses.values()) if key.kind == MLDSA44)
    logs = tuple(key for key in policy.logs if key.kind != MLDSA44)
    lacking = {name for name, key in policy.witnesses.items() if key.kind == MLDSA44}
    witnesses = {name: key for name, key in policy.witnesses.items() if name not in lacking}
    never: dict[str, tuple[int, tuple[str, ...]]] = dict.fromkeys(lacking, (1, ()))
    reduced = replace(policy, logs=logs, witnesses=witnesses, members={**never, **policy.members})
    return Trust(reduced, unchecked)


def witnesses_of(policy: Policy, checkpoint: Checkpoint) -> list[tuple[str, int]]:
    """(name in the policy, time) of each witness that cosigned. A log that cosigns itself is no witness."""
    own = {key.public for key in policy.logs}
    times = {signature.verifier: signature.time or 0 for signature in checkpoint.signatures}
    found = [(name, key) for name, key in policy.witnesses.items() if key in times and key.public not in own]
    return [(name, times[key]) for name, key in found]


def standing(trust: Trust, checkpoint: Checkpoint, note: str) -> tuple[list[str], dict[str, object]]:
    """Who vouches for a checkpoint: lines for people, facts for JSON."""
    found = witnesses_of(trust.policy, checkpoint)
    if found:
        seen = ", ".join(f"{name} at {instant(time)}" for name, time in found)
        lines = [f"cosigned by {len(found)} of {len(trust.policy.witnesses)} witnesses of the policy: {seen}"]
        if trust.policy.quorum == "none":
            lines.append("the policy asks for no witness (quorum none)")
    else:
        lines = [UNWITNESSED]
    remarks = trust.remarks(note)
    facts: dict[str, object] = {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "witnessed": bool(found),
        "witnesses": [{"name": name, "time": time} for name, time in found],
        "signatures": [signature_fact(signature) for signature in checkpoint.signatures],
        "not_checked": [{"name": key.name, "key_id": key.id.hex()} for key in trust.unchecked],
    }
    return [*lines, *remarks], facts
