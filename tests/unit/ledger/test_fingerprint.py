"""What people compare over another channel."""

from __future__ import annotations

import hashlib

from andromede.ledger.note import ED25519, Signer, Verifier


def test_a_fingerprint_depends_on_the_key_and_not_on_the_name_of_the_log() -> None:
    one, other = (Signer(name, ED25519, bytes(32)).verifier for name in ("a/t/1", "a/t/2"))
    assert one.id != other.id
    assert one.fingerprint == other.fingerprint
    assert one.fingerprint.replace(" ", "") == hashlib.sha256(b"\x01" + one.public).hexdigest()[:32]
    assert Verifier("a/t/1", ED25519, bytes(32)).fingerprint != one.fingerprint
