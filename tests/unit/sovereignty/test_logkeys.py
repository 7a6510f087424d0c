"""The key file of the ledger."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from andromede.errors import Conflict, Fatal
from andromede.ledger.note import ED25519, MLDSA44, BadNote, checkpoint_text, open_note
from andromede.sovereignty.logkeys import LogKeys
from tests.support.clock import FakeIds

ORIGIN = "andromede-000000000000/t/0000000000000001"


def test_a_key_file_is_private_made_once_and_read_back(tmp_path: Path, ids: FakeIds) -> None:
    path = tmp_path / "keys" / "ledger.json"
    made = LogKeys.create(path, ids)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(Conflict):
        LogKeys.create(path, ids)
    assert LogKeys.open(path).verifiers(ORIGIN) == made.verifiers(ORIGIN)
    path.write_text('{"v": 1, "ed25519": "AAAA", "mldsa44": "AAAA"}')
    with pytest.raises(Fatal, match="restore"):
        LogKeys.open(path)
    path.unlink()
    with pytest.raises(Fatal, match="restore"):
        LogKeys.open(path)


def test_both_keys_sign_under_the_origin(ids: FakeIds, tmp_path: Path) -> None:
    keys = LogKeys.create(tmp_path / "ledger.json", ids)
    note = keys.sign(checkpoint_text(ORIGIN, 5, bytes(32)))
    text, signatures = open_note(note, keys.verifiers(ORIGIN))
    assert text == checkpoint_text(ORIGIN, 5, bytes(32))
    assert [(s.verifier.kind, s.verifier.name, s.time) for s in signatures] == [
        (ED25519, ORIGIN, None),
        (MLDSA44, ORIGIN, 0),
    ]
    with pytest.raises(BadNote):
        open_note(note, keys.verifiers("andromede-000000000000/t/0000000000000002"))
    with pytest.raises(BadNote):
        open_note(note.replace("\n5\n", "\n6\n"), keys.verifiers(ORIGIN))
