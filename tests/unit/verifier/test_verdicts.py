"""What andromede-verify says of true and of forged statements, and with which exit status."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from andromede.ledger import tree
from andromede.ledger.note import COSIGNATURE, Signer, checkpoint_text
from andromede.ledger.receipt import Receipt, entry_of
from andromede.sovereignty.verifier.command import main
from andromede.sovereignty.verifier.exported import Stack
from tests.support.verifier import VECTORS, Book, run

LEDGER = VECTORS["ledger"]
RECEIPT = LEDGER["receipt_index2_size5"]


@pytest.fixture
def book() -> Book:
    return Book.of(9)


@pytest.fixture
def verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.chdir(tmp_path)

    def call(words: str, **files: str) -> tuple[int, str]:
        for name, text in files.items():
            (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
        status = main(words.split())
        out = capsys.readouterr()
        return status, out.out + out.err

    return call


def test_the_receipt_of_the_vectors(verify: Any) -> None:
    status, said = verify("receipt r --policy p", r=RECEIPT, p=LEDGER["policy"])
    assert status == 0
    assert "PROVEN  r: the event is entry 2 of" in said
    assert "cosigned by 3 of 5 witnesses" in said
    assert "key.decrypt" in said
    status, said = verify("receipt r --policy p --json", r=RECEIPT, p=LEDGER["policy"])
    result = json.loads(said)["results"][0]
    assert (status, result["proven"], result["index"], result["size"]) == (0, True, 2, 5)
    assert result["event"] == LEDGER["events"][2]["event"]
    assert [witness["name"] for witness in result["witnesses"]] == ["fr1", "fr2", "de1"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t.replace("YW5kcm9tZWRlL2V4dHJhL3YxCjnH", "YW5kcm9tZWRlL2V4dHJhL3YxCjnI"), "signed root"),
        (lambda t: t.replace("index 2\n", "index 3\n"), "signed root"),
        (lambda t: t.replace("index 2\n", "index 9\n"), "does not fit"),
        (lambda t: t.replace(LEDGER["cosignatures_5"]["de1"], ""), "quorum FR-and-DE not met"),
        (lambda t: t.replace("\n5\n", "\n6\n"), "does not verify"),
        (lambda t: t.replace(LEDGER["origin"], LEDGER["origin"][:-1] + "9"), "no accepted log|known key|not verify"),
    ],
)
def test_forged_receipts(verify: Any, change: Callable[[str], str], reason: str) -> None:
    status, said = verify("receipt r --policy p", r=change(RECEIPT), p=LEDGER["policy"])
    assert status == 1
    assert said.startswith("NOT PROVEN")
    assert any(word in said for word in reason.split("|"))


def test_checkpoints_with_and_without_witnesses(verify: Any, book: Book) -> None:
    status, said = verify("checkpoint c --policy p", c=book.note(9), p=book.policy())
    assert status == 0
    assert "cosigned by 2 of 2 witnesses of the policy: w1 at 2026-09-21T14:13:20Z" in said
    status, said = verify("checkpoint c --policy p", c=book.note(9, ()), p=book.policy("quorum none"))
    assert status == 0
    assert "unwitnessed: only the operator's own signature" in said
    status, said = verify("checkpoint c --policy p", c=book.note(9, ("w1",)), p=book.policy("quorum none"))
    assert "the policy asks for no witness" in said
    status, said = verify("checkpoint c --policy p", c=book.note(9, ("w1",)), p=book.policy())
    assert status == 1
    assert "quorum both not met" in said


def test_a_log_that_cosigns_itself_is_no_witness(verify: Any, book: Book) -> None:
    book.witnesses = {"friend": Signer("friend.example", COSIGNATURE, b"\x07" * 32)}
    policy = book.policy("quorum friend")
    status, said = verify("checkpoint c --policy p", c=book.note(3, ("friend",)), p=policy)
    assert "unwitnessed" in said
    assert status == 0
    assert "uses the log's own key" in verify("policy p")[1]


@pytest.mark.parametrize(("old", "new"), [(1, 9), (3, 9), (4, 8), (8, 9), (9, 9)])
def test_consistency(verify: Any, book: Book, old: int, new: int) -> None:
    texts = {"a": book.note(old), "b": book.note(new), "proof": book.proof(old, new), "p": book.policy()}
    status, said = verify("consistency a b proof --policy p", **texts)
    assert status == 0
    assert f"the {new} entries of {book.origin} begin with the {old} entries" in said
    other = Book.of(9, e0="another")
    assert verify("consistency a b proof --policy p", **{**texts, "b": other.note(new)})[0] == 1
    if old != new:
        assert verify("consistency b a proof --policy p", **texts)[0] == 1
    if texts["proof"]:
        wrong = base64.b64encode(bytes(32)).decode() + "\n"
        assert verify("consistency a b proof --policy p", **{**texts, "proof": wrong})[0] == 1


def test_two_roots_at_one_size_are_called_a_contradiction(verify: Any, book: Book) -> None:
    other = Book.of(9, e5="secret")
    status, said = verify("consistency a b q --policy p", a=book.note(9), b=other.note(9), q="", p=book.policy())
    assert status == 1
    assert "CONTRADICTION: two signed roots for 9 entries" in said


def test_two_logs_are_not_consistent(verify: Any, book: Book) -> None:
    other = Book.of(9)
    other.origin = "andromede-00112233aabb/t/fedcba9876543210"
    policy = book.policy() + "".join(f"log {signer.verifier}\n" for signer in other.signers)
    status, said = verify("consistency a b q --policy p", a=book.note(3), b=other.note(9), q="", p=policy)
    assert (status, "two logs" in said) == (1, True)
    status, said = verify("contradiction a b --policy p")
    assert (status, "two logs" in said) == (1, True)


def test_a_policy_in_words(verify: Any, book: Book) -> None:
    status, said = verify("policy p", p=LEDGER["policy"])
    assert status == 0
    assert "group FR: at least 2 of fr1, fr2, fr3" in said
    assert "without a common member" not in said
    assert verify("policy p", p=book.policy("group any any w1 w2\nquorum any"))[1].count("without a common member") == 1
    assert "unwitnessed" in verify("policy p", p=book.policy("quorum none"))[1]
    facts = json.loads(verify("policy p --json", p=LEDGER["policy"])[1])["results"][0]
    assert facts["groups"]["FR"] == {"needed": 2, "members": ["fr1", "fr2", "fr3"]}
    assert facts["splits"] is False


def test_contradictions(verify: Any, book: Book) -> None:
    other = Book.of(9, e5="secret")
    policy = book.policy()
    status, said = verify("contradiction a b --policy p", a=book.note(9), b=other.note(9), p=policy)
    assert status == 0
    assert "CONTRADICTION: two roots are signed for size 9" in said
    status, said = verify("contradiction a b --policy p", a=book.receipt(5, 6), b=other.receipt(5, 9))
    assert status == 0
    assert "two different entries 5" in said
    for a, b, word in (
        (book.note(9), book.note(9, ()), "say the same"),
        (book.note(3), other.note(9), "no proof joins them"),
        (book.note(9), other.note(9).replace("\n9\n", "\n8\n"), "not the log's own"),
        (book.note(9), other.receipt(5, 9).replace("index 5", "index 6"), "not the log's own"),
    ):
        status, said = verify("contradiction a b --policy p", a=a, b=b)
        assert status == 1
        assert word in said


def full_proof(book: Book, old: int, new: int) -> str:
    """A consistency proof that starts with the subtree that ends at `old`, also when that is the whole old tree."""
    whole = base64.b64encode(book.root(old)).decode() + "\n" if old & (old - 1) == 0 else ""
    return whole + book.proof(old, new)


@pytest.mark.parametrize("size", [6, 8])
def test_a_contradiction_between_two_sizes(verify: Any, book: Book, size: int) -> None:
    other = Book.of(9, e2="rewritten")
    fork = full_proof(other, size, 9)
    texts = {"a": book.note(size), "b": other.note(9), "f": fork, "p": book.policy()}
    status, said = verify("contradiction a b --proof f --policy p", **texts)
    assert status == 0
    assert "does not begin with the smaller" in said
    honest = full_proof(book, size, 9)
    status, said = verify("contradiction a b --proof f --policy p", **{**texts, "b": book.note(9), "f": honest})
    assert status == 1
    assert "agree" in said
    status, said = verify("contradiction a b --proof f --policy p", **{**texts, "f": honest})
    assert (status, "does not lead to the root" in said) == (1, True)


def test_a_monitors_evidence(verify: Any, book: Book) -> None:
    other = Book.of(9, e2="rewritten")
    evidence: dict[str, Any] = {"format": "andromede/evidence/v1", "policy": book.policy()}
    evidence["notes"] = [{"note": book.note(9), "from": "a", "seen": 1}, {"note": other.note(9)}]
    status, said = verify("contradiction e --policy p", e=json.dumps(evidence), p=book.policy())
    assert (status, "PROVEN" in said) == (0, True)
    keys = {**evidence, "policy": None, "keys": [str(signer.verifier) for signer in book.signers]}
    for alone in (evidence, keys):  # anybody can sign two notes with keys of his own
        status, said = verify("contradiction e", e=json.dumps(alone))
        assert (status, "if the keys in this file are the log's" in said) == (1, True)
        assert f"key in the file: {book.signers[0].verifier}" in said
    evidence |= {"notes": [{"note": book.note(4)}, {"note": other.note(9)}], "proof": full_proof(other, 4, 9).split()}
    assert verify("contradiction e --policy p", e=json.dumps(evidence))[0] == 0
    del evidence["policy"]
    status, said = verify("contradiction e", e=json.dumps(evidence))
    assert (status, "--policy FILE is wanted" in said) == (2, True)
    for part in ({"format": "x"}, {"notes": []}, {"notes": [1, 2]}, {"proof": 7}, {"proof": ["!"]}, {"policy": 7}):
        assert verify("contradiction e", e=json.dumps({**evidence, **part}))[0] == 2
    for bad in ("{}", "[]", "no"):
        assert verify("contradiction e", e=bad)[0] == 2


def test_certificates_are_known_by_their_first_line(verify: Any, book: Book) -> None:
    texts = {"r": book.receipt(2, 9), "c": book.note(9), "p": book.policy()}
    assert verify("certificate r c --policy p", **texts)[0] == 0
    status, said = verify("certificate x --policy p", x="andromede/erasure/v9\nindex 1\n")
    assert status == 2
    assert "no kind that this verifier knows" in said


def test_an_exported_log(verify: Any, book: Book, tmp_path: Path) -> None:
    book.export(tmp_path / "log", pruned=(1, 4))
    (tmp_path / "own").write_text(book.policy())
    status, said = verify("log log --policy own")
    assert status == 0
    assert said.startswith("PROVEN") and f"all 9 entries of {book.origin} lead to the signed root" in said
    assert "7 events, 2 pruned" in said
    assert "source api-1: 2 numbers between 0 and 8 are not here" in said
    status, said = verify("log log --json")
    facts = json.loads(said)["results"][0]
    assert (status, facts["events"], facts["pruned"], facts["policy"]) == (0, 7, 2, "inside the export")
    assert facts["sources"]["api-1"] == {"first": 0, "last": 8, "count": 7, "missing": 2}


def test_an_exported_log_in_one_file(verify: Any, book: Book) -> None:
    head = {"format": "andromede/export/v1", "checkpoint": book.note(9), "policy": book.policy()}
    lines = [json.dumps(head), *(json.dumps(book.line(n)) for n in range(9))]
    status, said = verify("log e", e="\n".join(lines) + "\n")
    assert status == 0
    assert said.startswith("CONSISTENT") and "the operator's word" in said
    for bad in ("", "{}\n", "[]\n", json.dumps({**head, "checkpoint": 7}) + "\n", json.dumps({**head, "format": "x"})):
        assert verify("log e", e=bad)[0] == 2


def altered(**changes: Any) -> Callable[[list[dict[str, Any]]], None]:
    def change(lines: list[dict[str, Any]]) -> None:
        lines[3].update(changes)

    return change


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (altered(event="{}"), "entry 3: salt and event do not give its entry"),
        (altered(salt=base64.b64encode(bytes(32)).decode()), "entry 3: salt and event do not give its entry"),
        (altered(salt=None), "entry 3: salt or event is missing"),
        (altered(salt="AAAA"), "entry 3: salt or event is missing"),
        (altered(salt=5), "entry 3: salt is not text"),
        (altered(event=5), "entry 3: event is not text"),
        (altered(event=None, event64="!"), "entry 3: event64 is not base64"),
        (altered(event="\ud800"), "entry 3: event is not Unicode"),
        (altered(entry=None), "entry 3: entry is missing"),
        (altered(index=4), "entry 3: it says index 4"),
        (altered(index=True), "entry 3: it says index True"),
        (altered(salt=None, event=None, entry=base64.b64encode(bytes(32)).decode()), "the entries give root"),
        (lambda lines: lines.pop(), "only 8 of the 9 entries"),
        (lambda lines: lines.append(lines[8]), "lines beyond the 9 entries"),
        (lambda lines: lines.pop(3), "entry 3: it says index 4"),
        (lambda lines: lines.insert(2, []), "entry 2: not a JSON object"),
    ],
)
def test_an_altered_export(verify: Any, book: Book, tmp_path: Path, change: Any, word: str) -> None:
    folder = book.export(tmp_path / "log")
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    change(lines)
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    status, said = verify("log log")
    assert status == 1
    assert word in said


def test_events_that_are_no_text_and_sources_that_are_none(verify: Any, tmp_path: Path) -> None:
    book = Book.of(4)
    book.events[1] = (book.events[1][0], b"\xff\xfe")
    book.events[2] = (book.events[2][0], b'{"source":7}')
    folder = book.export(tmp_path / "log", pruned=range(4))
    lines = [book.line(n) if n != 1 else {} for n in range(4)]
    salt, event = book.events[1]
    lines[1] = {
        "index": 1, "salt": base64.b64encode(salt).decode(), "event": None, "more": 1,
        "event64": base64.b64encode(event).decode(), "entry": base64.b64encode(book.entries[1]).decode(),
    }  # fmt: skip
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    status, said = verify("log log")
    assert (status, "4 events, 0 pruned" in said) == (0, True)
    (folder / "checkpoint").write_text(book.note(4, ()))
    assert "its checkpoint is not accepted" in verify("log log")[1]
    empty = Book.of(0).export(tmp_path / "empty")
    assert verify("log empty")[0] == 0
    assert (empty / "log.jsonl").read_bytes() == b""


def test_the_stack_is_the_tree() -> None:
    book, stack = Book.of(40), Stack()
    for size in range(1, 41):
        stack.add(tree.leaf_hash(book.entries[size - 1]))
        assert stack.root() == book.root(size)


def test_the_program_as_a_process(tmp_path: Path, book: Book) -> None:
    (tmp_path / "r").write_text(book.receipt(2, 9))
    (tmp_path / "p").write_text(book.policy())
    done = run(["receipt", "r", "--policy", "p"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "object.put, object été-2" in done.stdout
    ascii_only = run(["receipt", "r", "--policy", "p"], tmp_path, env={"LC_ALL": "C", "PYTHONIOENCODING": "ascii"})
    assert (ascii_only.returncode, ascii_only.stderr) == (0, "")
    for words in ([], ["nothing"], ["receipt"], ["receipt", "r"], ["receipt", "none", "--policy", "p"]):
        done = run(words, tmp_path)
        assert done.returncode == 2, done.stdout
        assert "Traceback" not in done.stderr
    assert "--policy FILE is wanted" in run(["receipt", "r"], tmp_path).stderr
    assert json.loads(run(["receipt", "none", "--policy", "p", "--json"], tmp_path).stdout)["proven"] is False
    assert "does not read: line 1" in run(["receipt", "r", "--policy", "r"], tmp_path).stderr
    (tmp_path / "empty").write_text("quorum none\n")
    assert "names no log" in run(["receipt", "r", "--policy", "empty"], tmp_path).stderr


def test_a_receipt_of_a_log_of_ten_million_entries_is_small(verify: Any) -> None:
    """The path is made up from the leaf to a root that is then signed: its length is what a real log would give."""
    size, index, book = 10_000_000, 1_234_567, Book.of(1)
    salt, event = book.events[0]
    path = tuple(tree.leaf_hash(bytes([n])) for n in range(24))
    text = checkpoint_text(
        book.origin, size, tree.root_from_path(index, size, tree.leaf_hash(entry_of(salt, event)), path)
    )
    signers = [*book.signers, *book.witnesses.values()]
    note = text + "\n" + "".join(signer.line(text, 1790000000) for signer in signers)
    receipt = str(Receipt(salt, event, index, path, note))
    assert len(receipt) < 6000  # 3.3 kB of it are the ML-DSA-44 signature
    status, said = verify("receipt r --policy p", r=receipt, p=book.policy())
    assert (status, "its tree of 10000000 entries" in said) == (0, True)
