"""L1: what test_vectors.py does not cover of tlog.json, written by us byte for byte and read back."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from andromede.errors import NotFound
from andromede.ledger import absence, tree
from andromede.ledger.absence import Neighbour, check_absence, live_key, prove_absence
from andromede.ledger.note import (
    COSIGNATURE,
    ED25519,
    BadNote,
    Signer,
    Verifier,
    open_note,
    split_note,
    subtree_message,
)
from andromede.ledger.policy import parse_policy
from andromede.ledger.receipt import Receipt, entry_of
from andromede.ledger.witness import parse_request
from andromede.sovereignty.routes import _tile_number
from tests.unit.ledger.test_vectors import LEDGER, V, b64, events, signer


def rejoined(note: str) -> str:
    """A note taken apart and put together again."""
    text, lines = split_note(note)
    return text + "\n" + "".join(f"— {name} {base64.b64encode(blob).decode()}\n" for name, blob in lines)


@pytest.mark.parametrize(
    "note",
    [V["signed_note"]["note"], V["tessera_test_log"]["checkpoint_5"], V["tessera_test_log"]["checkpoint_15"],
     LEDGER["checkpoint_5_cosigned"], *LEDGER["checkpoint"].values()],
)  # fmt: skip
def test_l1_notes_survive_reading_and_writing(note: str) -> None:
    assert rejoined(note) == note


def test_l1_every_verifier_key_is_written_as_it_was_read() -> None:
    keys = LEDGER["keys"]
    found = [V["signed_note"]["vkey"], V["tessera_test_log"]["vkey"], *(w["vkey"] for w in keys["witnesses"].values())]
    for vkey in [*found, keys["log_ed25519"]["vkey"], keys["log_mldsa44"]["vkey"], keys["witness_mldsa44"]["vkey"]]:
        assert str(Verifier.parse(vkey)) == vkey


def test_l1_the_cosigned_checkpoint() -> None:
    policy = parse_policy(LEDGER["policy"])
    text, _ = split_note(LEDGER["checkpoint"]["5"])
    log = signer(LEDGER["keys"]["log_ed25519"], ED25519)
    lines = log.line(text)
    _, given_lines = split_note(LEDGER["checkpoint_5_cosigned"])
    names = {Verifier.parse(w["vkey"]).name: w for w in LEDGER["keys"]["witnesses"].values()}
    for name, blob in given_lines[1:]:
        lines += signer(names[name], COSIGNATURE).line(text, int.from_bytes(blob[4:12], "big"))
    assert text + "\n" + lines == LEDGER["checkpoint_5_cosigned"]
    assert policy.accept(LEDGER["checkpoint_5_cosigned"]).size == 5


def test_l1_tiles_and_entries() -> None:
    found, read = events()
    assert b"".join(read(0, 0, 5)).hex() == LEDGER["tile_0_000_p5_hex"]
    entries = [entry_of(bytes.fromhex(e["salt_hex"]), e["event"].encode()) for e in found[:5]]
    bundle = b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)
    assert bundle.hex() == LEDGER["entries_000_p5_hex"]
    raw = bytes.fromhex(LEDGER["entries_000_p5_hex"])
    back = [tree.leaf_hash(raw[at + 2 : at + 34]) for at in range(0, len(raw), 34)]
    assert b"".join(back).hex() == LEDGER["tile_0_000_p5_hex"]


def test_l1_tile_paths_are_read_as_they_are_written() -> None:
    for number, path in V["tile_paths"].items():
        assert _tile_number(path.split("/")) == (int(number), 256)
        assert _tile_number(f"{path}.p/7".split("/")) == (int(number), 7)
        with pytest.raises(NotFound):
            _tile_number(["x000", *path.split("/")])


def test_l1_the_message_that_a_post_quantum_witness_signs() -> None:
    part = LEDGER["mldsa44"]
    name, line = Verifier.parse(LEDGER["keys"]["witness_mldsa44"]["vkey"]).name, part["witness_cosignature_line"]
    text, lines = split_note(LEDGER["checkpoint"]["5"] + line.rstrip("\n") + "\n")
    blob = lines[-1][1]
    assert subtree_message(name, text, int.from_bytes(blob[4:12], "big")).hex() == part["witness_signed_message_hex"]
    sizes = part["sizes"]
    public = Verifier.parse(LEDGER["keys"]["log_mldsa44"]["vkey"]).public
    assert (len(public), len(blob) - 12, len(blob)) == (sizes["public_key"], sizes["signature"], sizes["blob"])


def test_l1_requests_to_witnesses() -> None:
    for step in V["add_checkpoint"]["steps"]:
        old, proof, note = parse_request(step["body"])
        lines = "".join(base64.b64encode(h).decode() + "\n" for h in proof)
        assert f"old {old}\n{lines}\n{note}" == step["body"]


def test_l1_no_byte_of_a_receipts_event_can_change() -> None:
    policy, receipt = parse_policy(LEDGER["policy"]), Receipt.parse(LEDGER["receipt_index2_size5"])
    assert len(LEDGER["receipt_must_fail"]) == 5  # the other four stand in test_receipt_and_its_forgeries
    for at in range(len(receipt.event)):
        event = bytearray(receipt.event)
        event[at] ^= 1
        forged = Receipt(receipt.salt, bytes(event), receipt.index, receipt.path, receipt.checkpoint)
        with pytest.raises(BadNote, match="does not lead"):
            Receipt.parse(str(forged)).verify(policy)


ABSENCE = V["absence"]
KEYS = [bytes.fromhex(key) for key in ABSENCE["sorted_keys_hex"]]
ROOT, SIZE = bytes.fromhex(ABSENCE["root_hex"]), ABSENCE["size"]
ABSENT = bytes.fromhex(ABSENCE["absent"]["key_hex"])


def neighbours() -> list[Neighbour]:
    return [
        Neighbour(part["index"], bytes.fromhex(part["key_hex"]), tuple(map(b64, part["path_b64"])))
        for part in ABSENCE["neighbours"]
    ]


def test_l1_absence_is_proved_as_the_vectors_say() -> None:
    salt = bytes.fromhex(ABSENCE["index_salt_hex"])
    assert sorted(live_key(salt, name) for name in ABSENCE["live_objects"]) == KEYS
    assert tree.subtree(absence.index_reader(KEYS), 0, SIZE) == ROOT
    assert live_key(salt, ABSENCE["absent"]["name"]) == ABSENT
    proof = prove_absence(KEYS, ABSENT)
    assert list(proof) == neighbours()
    assert proof[1].index == ABSENCE["absent"]["insert_position"]
    check_absence(ABSENT, SIZE, ROOT, proof)


def proved(index: int) -> Neighbour:
    return Neighbour(index, KEYS[index], tuple(tree.inclusion(absence.index_reader(KEYS), index, SIZE)))


@pytest.mark.parametrize(
    ("why", "arguments"),
    [
        ("neighbours not consecutive", lambda: (ABSENT, SIZE, ROOT, [proved(2), proved(4)])),
        ("key equal to a neighbour", lambda: (KEYS[2], SIZE, ROOT, [proved(2), proved(3)])),
        ("index claimed as last but size says otherwise", lambda: (ABSENT, SIZE, ROOT, [proved(2)])),
        ("root not equal to the root in the ledger event", lambda: (ABSENT, SIZE, KEYS[0], neighbours())),
        ("the smaller tree that would make it last", lambda: (ABSENT, 3, ROOT, [proved(2)])),
        ("not between its neighbours", lambda: (bytes(32), SIZE, ROOT, neighbours())),
        ("nothing shown", lambda: (ABSENT, SIZE, ROOT, [])),
        ("a key of another length", lambda: (ABSENT[:31], SIZE, ROOT, neighbours())),
        ("three", lambda: (ABSENT, SIZE, ROOT, [proved(1), proved(2), proved(3)])),
    ],
)
def test_l1_absences_that_must_fail(why: str, arguments: Callable[[], tuple[Any, ...]]) -> None:
    with pytest.raises(BadNote):
        check_absence(*arguments())


def test_l1_keys_must_strictly_increase() -> None:
    assert "keys not strictly increasing anywhere in a full audit" in ABSENCE["must_fail"]
    absence.check_sorted(KEYS)
    for at in range(1, SIZE):
        for bad in ([*KEYS[:at], KEYS[at - 1], *KEYS[at:]], [*KEYS[: at - 1], KEYS[at], KEYS[at - 1], *KEYS[at + 1 :]]):
            with pytest.raises(BadNote, match="do not increase"):
                prove_absence(bad, ABSENT)
    with pytest.raises(BadNote, match="in the index"):
        prove_absence(KEYS, KEYS[3])


@given(st.sets(st.integers(0, 2000), max_size=700), st.integers(0, 2000))
def test_any_absence_is_provable_and_no_presence(numbers: set[int], wanted: int) -> None:
    keys = [number.to_bytes(32, "big") for number in sorted(numbers)]
    key, root = wanted.to_bytes(32, "big"), tree.subtree(absence.index_reader(keys), 0, len(keys))
    if wanted in numbers:
        with pytest.raises(BadNote):
            prove_absence(keys, key)
        return
    proof = prove_absence(keys, key)
    check_absence(key, len(keys), root, proof)
    for present in keys[:3] + keys[-3:]:
        with pytest.raises(BadNote):
            check_absence(present, len(keys), root, proof)


def test_l1_signing_is_deterministic_where_the_vectors_are() -> None:
    part = LEDGER["keys"]["log_ed25519"]
    again = Signer(Verifier.parse(part["vkey"]).name, ED25519, bytes.fromhex(part["seed_hex"]))
    for note in LEDGER["checkpoint"].values():
        text, _ = open_note(note, [again.verifier])
        assert text + "\n" + again.line(text) == note
