"""Two signed notes: what convicts, what stays open, what proves nothing."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from andromede.ledger import tree
from andromede.ledger.contradiction import EVIDENCE, judge_evidence
from andromede.ledger.note import COSIGNATURE, ED25519, MLDSA44, BadNote, Signer, checkpoint_text
from tests.unit.ledger.test_vectors import reader

ORIGIN = "andromede-0123456789ab/t/0123456789abcdef"
LOG, PQ = Signer(ORIGIN, ED25519, bytes(32)), Signer(ORIGIN, MLDSA44, bytes(32))
WITNESS = Signer("witness.example", COSIGNATURE, b"w" * 32)
KEYS = [LOG.verifier, PQ.verifier]


def leaves(count: int, word: bytes = b"") -> list[bytes]:
    return [tree.leaf_hash(word + n.to_bytes(4, "big")) for n in range(count)]


def note(size: int, root: bytes, time: int = 0, origin: str = ORIGIN) -> str:
    text = checkpoint_text(origin, size, root)
    return text + "\n" + LOG.line(text) + PQ.line(text) + (WITNESS.line(text, time) if time else "")


def root(row: list[bytes]) -> bytes:
    return tree.subtree(reader(row), 0, len(row))


def evidence(one: str, other: str, nodes: list[bytes] | None = None) -> dict[str, Any]:
    proof = [base64.b64encode(node).decode() for node in nodes or ()]
    return {"format": EVIDENCE, "notes": [{"note": one}, {"note": other}], "proof": proof}


def kind(found: dict[str, Any]) -> str:
    return judge_evidence(found, KEYS, [WITNESS.verifier]).kind


def full_proof(row: list[bytes], old: int) -> list[bytes]:
    proof = tree.consistency(reader(row), old, len(row))
    return [tree.subtree(reader(row), 0, old), *proof] if old & (old - 1) == 0 else proof


def test_two_roots_of_one_size_are_a_fork() -> None:
    verdict = judge_evidence(evidence(note(5, bytes(32)), note(5, b"x" * 32)), KEYS, [])
    assert (verdict.kind, verdict.proved) == ("fork", True)
    assert "size 5" in verdict.text


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 300), st.data())
def test_a_larger_tree_that_does_not_begin_with_the_smaller(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size - 1))
    shown, other = leaves(size), leaves(old, b"other")
    nodes = full_proof(shown, old)
    assert kind(evidence(note(old, root(other)), note(size, root(shown)), nodes)) == "not-a-prefix"
    assert kind(evidence(note(old, root(shown[:old])), note(size, root(shown)), nodes)) == "open"
    with pytest.raises(BadNote, match="does not lead"):
        kind(evidence(note(old, root(other)), note(size, root(shown)), [bytes(32), *nodes[1:]]))


def test_the_order_of_two_checkpoints_is_proved_by_a_witness_only() -> None:
    row = leaves(9)
    small, large = root(row[:4]), root(row)
    assert kind(evidence(note(9, large, time=100), note(4, small, time=101))) == "rollback"
    assert kind(evidence(note(9, large, time=101), note(4, small, time=100))) == "open"
    assert kind(evidence(note(9, large), note(4, small))) == "open"
    assert kind(evidence(note(9, large), note(0, tree.EMPTY_ROOT))) == "open"


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (evidence(note(5, bytes(32)), note(5, bytes(32))), "the same"),
        (evidence(note(5, bytes(32)), note(5, b"x" * 32, origin="another")), "no accepted log"),
        ({**evidence("", ""), "format": "x"}, "form"),
        ({"format": EVIDENCE, "notes": []}, "no pair"),
        ({"format": EVIDENCE, "notes": 3}, "no pair"),
        ({"format": EVIDENCE, "notes": [{"note": "x"}, {"note": "y"}], "proof": ["!"]}, "no pair"),
        ({"format": EVIDENCE, "notes": [{"note": "x"}, {"note": "y"}], "proof": ["AAAA"]}, "list of hashes"),
        (evidence("x", "y"), "blank line"),
        (evidence(note(5, bytes(32)).replace("\n5\n", f"\n{'9' * 30}\n"), note(5, bytes(32))), "verify"),
    ],
)
def test_what_proves_nothing(found: dict[str, Any], word: str) -> None:
    with pytest.raises(BadNote, match=word):
        kind(found)


def test_two_logs_do_not_contradict_each_other() -> None:
    other = Signer("another", ED25519, bytes(32))
    text = checkpoint_text("another", 5, b"x" * 32)
    pair = evidence(note(5, bytes(32)), text + "\n" + other.line(text))
    with pytest.raises(BadNote, match="two logs"):
        judge_evidence(pair, [*KEYS, other.verifier], [])
