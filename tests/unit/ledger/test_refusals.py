"""What the ledger's readers refuse: everything that is not exactly the form of the specification."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from andromede.ledger import tree
from andromede.ledger.note import BadNote, Verifier, checkpoint_fields, open_note, split_note
from andromede.ledger.policy import parse_policy
from andromede.ledger.receipt import Receipt
from andromede.ledger.witness import Witness
from tests.unit.ledger.test_vectors import Remembered, reader, signer

V: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors" / "tlog.json").read_text())
LEDGER = V["ledger"]
LOG = LEDGER["keys"]["log_ed25519"]["vkey"]
FR1 = LEDGER["keys"]["witnesses"]["fr1"]["vkey"]
NOTE = LEDGER["checkpoint"]["5"]
RECEIPT = LEDGER["receipt_index2_size5"]


@pytest.mark.parametrize(
    "vkey",
    ["", "name", "name+00", "name+00000000+!!", "name+00000000+" + base64.b64encode(b"\x09" + bytes(32)).decode(),
     "name+00000000+" + base64.b64encode(b"\x01" + bytes(31)).decode(), LOG.replace("dd5db43f", "dd5db43e")],
)  # fmt: skip
def test_verifier_keys(vkey: str) -> None:
    with pytest.raises(BadNote):
        Verifier.parse(vkey)


@pytest.mark.parametrize(
    "text",
    ["", "o\n1\n", "\n1\nAAAA\n", "o\n01\n" + base64.b64encode(bytes(32)).decode() + "\n", "o\n1\n!\n",
     "o\n1\nAAAA\n", "o\n-1\n" + base64.b64encode(bytes(32)).decode() + "\n", NOTE.split("\n\n")[0] + "\nextra\n",
     f"o\n{2**63}\n{base64.b64encode(bytes(32)).decode()}\n",
     f"o\n{'9' * 5000}\n{base64.b64encode(bytes(32)).decode()}\n",
     "o" * 256 + f"\n1\n{base64.b64encode(bytes(32)).decode()}\n"],
)  # fmt: skip
def test_checkpoints(text: str) -> None:
    with pytest.raises(BadNote):
        checkpoint_fields(text)


@pytest.mark.parametrize(
    "note",
    ["no blank line\n", "text\n\n", "text\n\nname AAAA\n", "text\n\n— name !!!\n", "text\n\n— name AAAA\n",
     "text\n\n" + "— name AAAAAAAAAAA=\n" * 65, "text\n\n— name AAAAAAAAAAA="],
)  # fmt: skip
def test_notes(note: str) -> None:
    with pytest.raises(BadNote):
        split_note(note)


def test_a_note_by_strangers_only() -> None:
    with pytest.raises(BadNote, match="known key"):
        open_note(NOTE, [Verifier.parse(FR1)])


@pytest.mark.parametrize(
    "policy",
    ["", f"log {LOG}\n", f"log {FR1}\nquorum none\n", f"witness a {LOG}\nquorum a\n", "quorum nobody\n",
     f"witness a {FR1}\nwitness a {FR1}\nquorum a\n", f"witness none {FR1}\nquorum none\n", "witness a\nquorum none\n",
     f"witness a {FR1}\ngroup g all a b\nquorum g\n", f"witness a {FR1}\ngroup g all a a\nquorum g\n",
     f"witness a {FR1}\ngroup g 2 a\nquorum g\n", f"witness a {FR1}\ngroup g most a\nquorum g\n",
     "quorum none\nquorum none\n", "nonsense\nquorum none\n"],
)  # fmt: skip
def test_policies(policy: str) -> None:
    with pytest.raises(BadNote):
        parse_policy(policy)


def test_a_policy_without_quorum_still_wants_the_log() -> None:
    assert parse_policy(f"# comment\n\nlog {LOG}\nquorum none\n").accept(NOTE).size == 5
    assert parse_policy(f"witness a {FR1} https://witness.example/\nquorum a\n").urls == {
        "a": "https://witness.example/"
    }
    cosigned = NOTE + LEDGER["cosignatures_5"]["fr1"]
    with pytest.raises(BadNote, match="no accepted log"):
        parse_policy(f"witness a {FR1}\nquorum a\n").accept(cosigned)


@pytest.mark.parametrize(
    ("old", "new"),
    [("c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v2"), ("extra ", "extras "), ("index 2", "index 02"),
     ("index 2", "index -2"), ("index 2", "index " + "9" * 5000),
     ("extra YW5k", "extra !W5k"), ("\n\n", "\n", ), ("lWetrMmh", "AAAA\nlWet"),
     ("extra YW5kcm9tZWRlL2V4dHJhL3Yx", "extra YW5kcm9tZWRlL2V4dHJhL3Yy")],
)  # fmt: skip
def test_receipts(old: str, new: str) -> None:
    forged = RECEIPT.replace(old, new, 1)
    assert forged != RECEIPT
    with pytest.raises(BadNote):
        Receipt.parse(forged)


@pytest.mark.parametrize("change", [lambda t: t.replace("index 2", "index 9"), lambda t: _without_path(t)])
def test_receipts_whose_path_does_not_fit(change: Any) -> None:
    with pytest.raises(BadNote, match="does not fit"):
        Receipt.parse(change(RECEIPT)).verify(parse_policy(LEDGER["policy"]))


def _without_path(text: str) -> str:
    head, tail = text.split("\n\n", 1)
    return "\n".join(head.split("\n")[:-1]) + "\n\n" + tail


@pytest.mark.parametrize(
    "body",
    ["", "old 0\n", "old x\n\n" + NOTE, "old " + "9" * 5000 + "\n\n" + NOTE,
     "old 0\n!!\n\n" + NOTE, "old 0\nAAAA\n\n" + NOTE, "old 0\n\nno note",
     "old 0\n" + "AAAA\n" * 64 + "\n" + NOTE],
)  # fmt: skip
def test_witness_requests(body: str) -> None:
    own = signer(LEDGER["keys"]["witnesses"]["fr1"], 4)
    witness = Witness({LEDGER["origin"]: (Verifier.parse(LOG),)}, (own,), Remembered())
    assert witness.add_checkpoint(body, lambda: 1).status == 400


def test_a_witness_that_lost_a_race_says_so() -> None:
    class Racing(Remembered):
        def advance(self, origin: str, old: int, size: int, root: bytes, note: str) -> bool:
            return False

    own = signer(LEDGER["keys"]["witnesses"]["fr1"], 4)
    witness = Witness({LEDGER["origin"]: (Verifier.parse(LOG),)}, (own,), Racing())
    answer = witness.add_checkpoint("old 0\n\n" + NOTE, lambda: 1)
    assert (answer.status, answer.body) == (409, "0\n")


@settings(deadline=None)
@given(st.integers(1, 600), st.data())
def test_any_proof_holds_and_any_other_root_does_not(size: int, data: st.DataObject) -> None:
    leaves = [tree.leaf_hash(n.to_bytes(4, "big")) for n in range(size)]
    read = reader(leaves)
    root = tree.subtree(read, 0, size)
    index = data.draw(st.integers(0, size - 1))
    path = tree.inclusion(read, index, size)
    assert tree.root_from_path(index, size, leaves[index], path) == root
    assert tree.root_from_path(index, size, tree.leaf_hash(b"other"), path) != root
    old = data.draw(st.integers(1, size))
    proof = tree.consistency(read, old, size)
    old_root = tree.subtree(read, 0, old)
    assert tree.check_consistency(old, size, old_root, root, proof)
    assert not tree.check_consistency(old, size, tree.leaf_hash(b"other"), root, proof)
    assert not tree.check_consistency(size + 1, size, old_root, root, proof)
    for bad in (path[:-1], [*path, bytes(32)]):
        if bad != path:
            with pytest.raises(ValueError, match="path"):
                tree.root_from_path(index, size, leaves[index], bad)


def test_numbers_outside_the_tree() -> None:
    read = reader([tree.leaf_hash(b"x")])
    with pytest.raises(ValueError, match="not in a tree"):
        tree.inclusion(read, 1, 1)
    with pytest.raises(ValueError, match="at most"):
        tree.consistency(read, 2, 1)
    with pytest.raises(ValueError, match="outside"):
        tree.root_from_path(1, 1, bytes(32), [])
    assert tree.check_consistency(0, 1, tree.EMPTY_ROOT, bytes(32), [])
    assert not tree.check_consistency(1, 2, bytes(32), bytes(32), [bytes(32)] * 9)
    assert not tree.check_consistency(3, 5, bytes(32), bytes(32), [])


HUGE = "9" * 5000


@pytest.mark.parametrize(
    "text",
    [f"o\n{HUGE}\n" + base64.b64encode(bytes(32)).decode() + "\n",
     f"o\n{2**63}\n" + base64.b64encode(bytes(32)).decode() + "\n",
     "o\n1\n" + "é" * 44 + "\n", "o" * 256 + "\n1\n" + base64.b64encode(bytes(32)).decode() + "\n",
     "o\n1\n" + "A" * 42 + "B=\n"],
)  # fmt: skip
def test_checkpoints_with_numbers_and_texts_that_no_log_writes(text: str) -> None:
    with pytest.raises(BadNote):
        checkpoint_fields(text)


@pytest.mark.parametrize("bad", ["\r", "\x00", "\t", "\ud800", "\x1b[2J"])
def test_notes_hold_no_control_characters(bad: str) -> None:
    with pytest.raises(BadNote, match="control"):
        split_note(NOTE.replace("— ", f"— {bad}", 1))
    with pytest.raises(BadNote):
        parse_policy(f"log {LOG}\n# {bad}\nquorum none\n" if bad != "\t" else "quorum\v none\n")


def test_a_key_of_the_wrong_shape_is_no_crash() -> None:
    for blob in (b"", bytes(7), bytes(8), bytes(72), bytes(3000)):
        for vkey in (LOG, FR1, LEDGER["keys"]["witness_mldsa44"]["vkey"]):
            with pytest.raises(BadNote, match="does not verify"):
                Verifier.parse(vkey).check(NOTE.split("\n\n")[0] + "\n", blob)
    with pytest.raises(BadNote):
        Verifier.parse("n" * 256 + LOG[LOG.index("+") :])


@pytest.mark.parametrize("size", [HUGE, "01", "", "é", "-1", str(2**63)])
def test_a_witness_answers_400_to_numbers_that_are_none(size: str) -> None:
    own = signer(LEDGER["keys"]["witnesses"]["fr1"], 4)
    witness = Witness({LEDGER["origin"]: (Verifier.parse(LOG),)}, (own,), Remembered())
    assert witness.add_checkpoint(f"old {size}\n\n{NOTE}", lambda: 1).status == 400
    assert witness.add_checkpoint(f"old 0\n{'é' * 44}\n\n{NOTE}", lambda: 1).status == 400
    resized = NOTE.replace("\n5\n", f"\n{size}\n")
    assert witness.add_checkpoint(f"old 0\n\n{resized}", lambda: 1).status == 400


def test_one_witness_counts_once() -> None:
    renamed = Verifier(FR1.split("+")[0] + "/again", 4, Verifier.parse(FR1).public)
    with pytest.raises(BadNote, match="one key counts once"):
        parse_policy(f"witness a {FR1}\nwitness b {renamed}\ngroup g 2 a b\nquorum g\n")
    with pytest.raises(BadNote, match="in another group already"):
        parse_policy(f"witness a {FR1}\ngroup g any a\ngroup h any a\ngroup i 2 g h\nquorum i\n")


def test_a_deep_policy_is_judged_in_a_line_of_steps() -> None:
    lines = [f"witness w0 {FR1}", *(f"group w{n} all w{n - 1}" for n in range(1, 450)), "quorum w449", f"log {LOG}"]
    policy = parse_policy("\n".join(lines) + "\n")
    assert policy.met({"w0"})
    assert not policy.met(set())
    with pytest.raises(BadNote, match="more than"):
        parse_policy("\n".join(f"group g{n} any g{n - 1}" if n else f"witness g0 {FR1}" for n in range(600)) + "\n")
