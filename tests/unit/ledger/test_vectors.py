"""Every vector of tlog.json, in both directions (test L1 of the ledger's specification)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from andromede.ledger import tree
from andromede.ledger.note import (
    COSIGNATURE,
    ED25519,
    MLDSA44,
    BadNote,
    Signer,
    Verifier,
    checkpoint_text,
    cosigned_message,
    open_note,
    split_note,
    subtree_message,
)
from andromede.ledger.policy import parse_policy
from andromede.ledger.receipt import Receipt, entry_of
from andromede.ledger.witness import Witness, origin_hash

V: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors" / "tlog.json").read_text())
LEDGER = V["ledger"]


def reader(leaves: Sequence[bytes]) -> tree.Reader:
    levels = [list(leaves)]
    while len(levels[-1]) >= 256:
        row = levels[-1]
        levels.append([tree.fold(row[i : i + 256]) for i in range(0, len(row) - 255, 256)])
    return lambda level, first, count: levels[level][first : first + count]


def b64(text: str) -> bytes:
    return base64.b64decode(text)


def events() -> tuple[list[dict[str, Any]], tree.Reader]:
    return LEDGER["events"], reader([bytes.fromhex(e["leaf_hash_hex"]) for e in LEDGER["events"]])


def test_note_of_the_specification_and_its_tamperings() -> None:
    part = V["signed_note"]
    key = Verifier.parse(part["vkey"])
    assert str(key) == part["vkey"]
    text, signatures = open_note(part["note"], [key])
    assert text == "This is an example message.\n"
    assert signatures[0].verifier == key
    for tampered in (
        part["note"].replace("example message", "exemple message"),
        part["note"].replace(".\n\n", ".\n"),
        part["note"].replace("— example.com/foo", "— example.com/fop"),
        part["note"].replace("Uw2QOkn8", "Uw2QOkn9"),
    ):
        with pytest.raises(BadNote):
            open_note(tampered, [key])


def test_cosignature_framing() -> None:
    part = V["cosignature_parse"]
    message = part["signed_message"]
    body = message.split("\n", 2)[2]
    _, lines = split_note(body + "\n" + part["line"] + "\n")
    blob = lines[0][1]
    assert len(blob) == part["blob_bytes"]
    assert blob[:4].hex() == part["key_id_hex"]
    assert int.from_bytes(blob[4:12], "big") == part["timestamp"]
    assert cosigned_message(body, part["timestamp"]).decode() == message
    assert origin_hash(body.split("\n")[0]) == part["origin_hash_for_witness_url"]


@pytest.mark.parametrize("size", range(9))
def test_rfc6962_roots(size: int) -> None:
    part = V["rfc6962"]
    read = reader([tree.leaf_hash(bytes.fromhex(leaf)) for leaf in part["leaves_hex"]])
    expected = part["root_hex_by_size"][str(size)] if size else part["empty_root_hex"]
    assert tree.subtree(read, 0, size).hex() == expected


@pytest.mark.parametrize("size", range(16))
def test_public_log(size: int) -> None:
    part = V["tessera_test_log"]
    leaves = [tree.leaf_hash(entry.encode()) for entry in part["entries_utf8"]]
    root = tree.subtree(reader(leaves), 0, size)
    assert base64.b64encode(root).decode() == part["root_b64_by_size"][str(size)]
    if f"checkpoint_{size}" in part:
        text, _ = open_note(part[f"checkpoint_{size}"], [Verifier.parse(part["vkey"])])
        assert text == checkpoint_text(part["origin"], size, root)


def test_tile_names_and_counts() -> None:
    for number, path in V["tile_paths"].items():
        assert tree.tile_path(0, int(number)) == "tile/0/" + path
    assert tree.tile_path(1, 1234067, 7) == "tile/1/x001/x234/067.p/7"
    for size, rows in V["tile_counts"].items():
        assert tree.tiles(int(size)) == [(r["level"], r["full"], r["partial_width"]) for r in rows]


def test_events_entries_and_roots() -> None:
    found, read = events()
    for event in found:
        raw = event["event"].encode()
        assert len(raw) == event["event_utf8_bytes"]
        entry = entry_of(bytes.fromhex(event["salt_hex"]), raw)
        assert entry.hex() == event["entry_hex"]
        assert tree.leaf_hash(entry).hex() == event["leaf_hash_hex"]
    for size, root in LEDGER["root_hex_by_size"].items():
        assert tree.subtree(read, 0, int(size)).hex() == root


def test_proofs_both_ways() -> None:
    found, read = events()
    roots = {int(k): bytes.fromhex(v) for k, v in LEDGER["root_hex_by_size"].items()}
    for name, expected in LEDGER["consistency_b64"].items():
        old, new = map(int, name.split("-"))
        proof = tree.consistency(read, old, new)
        assert [base64.b64encode(step).decode() for step in proof] == expected
    for name, expected in LEDGER["inclusion_b64"].items():
        index, size = map(int, name.split("-in-"))
        path = tree.inclusion(read, index, size)
        assert [base64.b64encode(step).decode() for step in path] == expected
        assert tree.root_from_path(index, size, bytes.fromhex(found[index]["leaf_hash_hex"]), path) == roots[size]
    for old in range(9):
        for new in range(old, 9):
            proof = tree.consistency(read, old, new)
            assert tree.check_consistency(old, new, roots[old], roots[new], proof)
            if old:
                assert not tree.check_consistency(old, new, roots[old], roots[(new + 1) % 9], proof)
            assert not tree.check_consistency(old, new, roots[old], roots[new], [*proof, bytes(32)])


def test_large_trees_agree_with_the_definition() -> None:
    leaves = [tree.leaf_hash(n.to_bytes(4, "big")) for n in range(70000)]
    read = reader(leaves)

    def naive(part: Sequence[bytes]) -> bytes:
        if len(part) == 1:
            return part[0]
        split = 1 << ((len(part) - 1).bit_length() - 1)
        return tree.node_hash(naive(part[:split]), naive(part[split:]))

    for size in (255, 256, 257, 65535, 65536, 65537, 70000):
        root = tree.subtree(read, 0, size)
        assert root == naive(leaves[:size])
        for index in (0, 1, size // 3, size - 1):
            assert tree.root_from_path(index, size, leaves[index], tree.inclusion(read, index, size)) == root
        for old in (1, 200, 254):
            assert tree.check_consistency(
                old, size, tree.subtree(read, 0, old), root, tree.consistency(read, old, size)
            )


def signer(part: dict[str, str], kind: int) -> Signer:
    made = Signer(Verifier.parse(part["vkey"]).name, kind, bytes.fromhex(part["seed_hex"]))
    assert str(made.verifier) == part["vkey"]
    return made


def test_checkpoints_and_cosignatures_are_made_byte_for_byte() -> None:
    _, read = events()
    log = signer(LEDGER["keys"]["log_ed25519"], ED25519)
    for size, note in LEDGER["checkpoint"].items():
        text = checkpoint_text(LEDGER["origin"], int(size), tree.subtree(read, 0, int(size)))
        assert text + "\n" + log.line(text) == note
    text = checkpoint_text(LEDGER["origin"], 5, tree.subtree(read, 0, 5))
    for name, line in LEDGER["cosignatures_5"].items():
        witness = signer(LEDGER["keys"]["witnesses"][name], COSIGNATURE)
        _, lines = split_note(text + "\n" + line)
        assert witness.line(text, int.from_bytes(lines[0][1][4:12], "big")) == line


def test_post_quantum_signatures() -> None:
    _, read = events()
    part = LEDGER["mldsa44"]
    text = checkpoint_text(LEDGER["origin"], 5, tree.subtree(read, 0, 5))
    log = signer(LEDGER["keys"]["log_mldsa44"], MLDSA44)
    witness = signer(LEDGER["keys"]["witness_mldsa44"], MLDSA44)
    assert subtree_message(log.verifier.name, text, 0).hex() == part["log_signed_message_hex"]
    for key, line in ((log, part["log_signature_line"]), (witness, part["witness_cosignature_line"])):
        note = text + "\n" + line.rstrip("\n") + "\n"
        assert open_note(note, [key.verifier])[1][0].verifier == key.verifier
        assert open_note(text + "\n" + key.line(text, 7), [key.verifier])[1][0].time == 7
        with pytest.raises(BadNote):
            open_note(note.replace("\n5\n", "\n6\n"), [key.verifier])


def test_policy_table() -> None:
    policy = parse_policy(LEDGER["policy"])
    for row in LEDGER["policy_table"]:
        note = LEDGER["checkpoint"]["5"] + "".join(LEDGER["cosignatures_5"][name] for name in row["cosigned_by"])
        if row["accept"]:
            assert policy.accept(note).size == 5
        else:
            with pytest.raises(BadNote, match="quorum"):
                policy.accept(note)


def replaced_cosignature(text: str) -> str:
    de1 = Signer("witness.de1.example/w1", COSIGNATURE, bytes.fromhex(LEDGER["keys"]["witnesses"]["de1"]["seed_hex"]))
    old, _ = split_note(LEDGER["checkpoint"]["3"])
    return text.replace(LEDGER["cosignatures_5"]["de1"], de1.line(old, 1790000000))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("YW5kcm9tZWRlL2V4dHJhL3YxCjnH", "YW5kcm9tZWRlL2V4dHJhL3YxCjnI"),
        lambda text: text.replace("index 2\n", "index 3\n"),
        lambda text: text.replace(LEDGER["cosignatures_5"]["de1"], ""),
        replaced_cosignature,
        lambda text: text.replace(LEDGER["origin"], LEDGER["origin"][:-1] + "9"),
    ],
)
def test_receipt_and_its_forgeries(change: Callable[[str], str]) -> None:
    policy = parse_policy(LEDGER["policy"])
    text = LEDGER["receipt_index2_size5"]
    receipt = Receipt.parse(text)
    assert str(receipt) == text
    assert receipt.verify(policy).size == 5
    assert receipt.event == LEDGER["events"][2]["event"].encode()
    forged = change(text)
    assert forged != text
    with pytest.raises(BadNote):
        Receipt.parse(forged).verify(policy)


class Remembered:
    """A witness's memory in a dictionary."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[int, bytes, str]] = {}

    def latest(self, origin: str) -> tuple[int, bytes, str] | None:
        return self.known.get(origin)

    def advance(self, origin: str, old: int, size: int, root: bytes, note: str) -> bool:
        if (self.known[origin][0] if origin in self.known else 0) != old:
            return False
        self.known[origin] = (size, root, note)
        return True


def test_witness_play() -> None:
    part = V["add_checkpoint"]
    log = Verifier.parse(LEDGER["keys"]["log_ed25519"]["vkey"])
    own = signer(LEDGER["keys"]["witnesses"]["fr1"], COSIGNATURE)
    memory = Remembered()
    witness = Witness({log.name: (log,)}, (own,), memory)
    assert origin_hash(log.name) == part["origin_hash"]
    for step in part["steps"]:
        answer = witness.add_checkpoint(step["body"], lambda: 1790000000)
        assert answer.status == step["expect_status"], step["name"]
        assert memory.known[log.name][0] == step["then_size"], step["name"]
        if "expect_body" in step:
            assert (answer.body, answer.content_type) == (step["expect_body"], step["expect_content_type"])
        if answer.status == 200:
            open_note(memory.known[log.name][2], [log])
            assert own.verifier in [s.verifier for s in open_note(memory.known[log.name][2], [own.verifier])[1]]
