"""Two signed notes: what convicts, what stays open, what proves nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from andromede.ledger import tree
from andromede.ledger.contradiction import Verdict, judge_pair, signed_by_log
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


def judge(one: str, other: str, nodes: list[bytes] | None = None) -> Verdict:
    first, second = (signed_by_log(text, KEYS, [WITNESS.verifier]) for text in (one, other))
    return judge_pair(first, second, nodes or [])


def full_proof(row: list[bytes], old: int) -> list[bytes]:
    proof = tree.consistency(reader(row), old, len(row))
    return [tree.subtree(reader(row), 0, old), *proof] if old & (old - 1) == 0 else proof


def test_two_roots_of_one_size_are_a_fork() -> None:
    verdict = judge(note(5, bytes(32)), note(5, b"x" * 32))
    assert (verdict.kind, verdict.proved) == ("fork", True)
    assert "size 5" in verdict.text


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 300), st.data())
def test_a_larger_tree_that_does_not_begin_with_the_smaller(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size - 1))
    shown, other = leaves(size), leaves(old, b"other")
    nodes = full_proof(shown, old)
    assert judge(note(old, root(other)), note(size, root(shown)), nodes).kind == "not-a-prefix"
    assert judge(note(old, root(shown[:old])), note(size, root(shown)), nodes).kind == "open"
    with pytest.raises(BadNote, match="does not lead"):
        judge(note(old, root(other)), note(size, root(shown)), [bytes(32), *nodes[1:]])


def test_the_order_of_two_checkpoints_is_proved_by_a_witness_only() -> None:
    row = leaves(9)
    small, large = root(row[:4]), root(row)
    assert judge(note(9, large, time=100), note(4, small, time=101)).kind == "rollback"
    assert judge(note(9, large, time=101), note(4, small, time=100)).kind == "open"
    assert judge(note(9, large), note(4, small)).kind == "open"
    assert judge(note(9, large), note(0, tree.EMPTY_ROOT)).kind == "open"


def test_what_proves_nothing() -> None:
    with pytest.raises(BadNote, match="the same"):
        judge(note(5, bytes(32)), note(5, bytes(32)))
    for text in ("x", note(5, bytes(32), origin="another"), note(5, bytes(32)).replace("\n5\n", f"\n{'9' * 30}\n")):
        with pytest.raises(BadNote):
            signed_by_log(text, KEYS)


def test_two_logs_do_not_contradict_each_other() -> None:
    other = Signer("another", ED25519, bytes(32))
    text = checkpoint_text("another", 5, b"x" * 32)
    stranger = signed_by_log(text + "\n" + other.line(text), [other.verifier])
    with pytest.raises(BadNote, match="two logs"):
        judge_pair(signed_by_log(note(5, bytes(32)), KEYS), stranger)
