"""Inputs made to deceive or to break the verifier: none verifies, none ends in a traceback, all are bounded."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from andromede.ledger.note import BadNote, Verifier, open_note, split_note
from andromede.ledger.policy import parse_policy
from andromede.ledger.receipt import Receipt
from andromede.ledger.witness import parse_request
from andromede.sovereignty.verifier.checks import check_receipt, proof_of
from andromede.sovereignty.verifier.command import main
from andromede.sovereignty.verifier.contradiction import evidence_of
from andromede.sovereignty.verifier.exported import Tally, take
from andromede.sovereignty.verifier.report import Unreadable, instant, plain
from andromede.sovereignty.verifier.trust import trust_of
from tests.support.verifier import VECTORS, Book, run

LEDGER = VECTORS["ledger"]
RECEIPT = LEDGER["receipt_index2_size5"]
TRUST = trust_of(LEDGER["policy"])
BOOK = Book.of(9)
quickly = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def verdict(text: str) -> bool:
    """Whether a receipt verifies; any other exception than the promised ones is a failure of the test."""
    try:
        return check_receipt("r", text, TRUST).proven
    except Unreadable:
        return False


@quickly
@given(st.integers(0, len(RECEIPT) - 1), st.characters(exclude_categories=["Cs"]))
@example(len(RECEIPT) - 1, " ")
@example(RECEIPT.index("MX0=") + 2, "1")
def test_a_receipt_with_one_character_changed_never_verifies(at: int, put: str) -> None:
    forged = RECEIPT[:at] + put + RECEIPT[at + 1 :]
    assert verdict(forged) == (forged == RECEIPT)


@quickly
@given(st.integers(0, len(RECEIPT)), st.integers(0, 60), st.text(max_size=8))
def test_a_receipt_cut_or_stuffed_proves_nothing_else(at: int, drop: int, put: str) -> None:
    forged = RECEIPT[:at] + put + RECEIPT[at + drop :]
    if verdict(forged):  # strange signature lines and nothing else may stand beside the known ones
        receipt = Receipt.parse(forged)
        assert (receipt.index, receipt.event) == (2, LEDGER["events"][2]["event"].encode())
        assert set(RECEIPT.splitlines()) <= set(forged.splitlines())


@quickly
@given(st.data())
def test_receipts_put_together_from_others_never_verify(data: st.DataObject) -> None:
    trust = trust_of(BOOK.policy())
    one, two = data.draw(st.tuples(st.integers(0, 8), st.integers(0, 8)).filter(lambda pair: pair[0] != pair[1]))
    a, b = BOOK.receipt(one, 9).split("\n"), BOOK.receipt(two, 9).split("\n")
    swap = data.draw(st.sampled_from([1, 2]))
    a[swap] = b[swap]
    assert not check_receipt("r", "\n".join(a), trust).proven


PARSERS: list[Any] = [
    Receipt.parse, split_note, parse_policy, parse_request, Verifier.parse,
    lambda text: open_note(text, TRUST.policy.logs), lambda text: proof_of(text, "p"),
    lambda text: evidence_of(text, "e"),
]  # fmt: skip
PIECES = st.sampled_from(
    ["\n", "\n\n", "— ", "c2sp.org/tlog-proof@v1", "extra ", "index ", "old ", "log ", "witness a ", "group g 1 a",
     "quorum ", "none", LEDGER["origin"], "+", "AAAA", "A" * 44, "9" * 30, "9" * 5000, "\ud800", "\x00", "é", "{",
     "[" * 2000, '"notes"', LEDGER["checkpoint"]["5"], LEDGER["policy"], RECEIPT, "-1", "0x1", "٣"]
)  # fmt: skip


@quickly
@given(st.lists(st.one_of(PIECES, st.text(max_size=20)), max_size=12))
def test_no_text_makes_a_parser_crash(pieces: list[str]) -> None:
    text = "".join(pieces)
    for parse in PARSERS:
        try:
            parse(text)
        except (BadNote, Unreadable):
            continue


@quickly
@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["index", "salt", "event", "event64", "entry", "seq"]), inner, max_size=7),
    max_leaves=10,
))  # fmt: skip
def test_no_line_of_an_export_makes_it_crash(line: Any) -> None:
    tally = Tally()
    take(tally, line if isinstance(line, bytes) else json.dumps(line).encode())
    assert (tally.tree.size, tally.wrong, tally.events) == (1, 1, 0)


@pytest.mark.parametrize(
    "event", [b"[" * 100_000, b'{"seq":' + b"9" * 6000 + b"}", b"\xff", b"{}", b'{"source":"s","seq":1e9}']
)
def test_events_that_only_look_like_json(event: bytes) -> None:
    book = Book.of(2)
    book.events[1] = (book.events[1][0], event)
    report = check_receipt("r", book.receipt(1, 2), trust_of(book.policy()))
    assert report.proven
    tally = Tally()
    tally.numbered(event)
    assert (tally.unnumbered, tally.sources) == (1, {})


def test_a_terminal_sees_no_control_characters() -> None:
    book = Book.of(1, e0="\x1b[2J\u202eevil\x07\n")
    book.events[0] = (book.events[0][0], book.events[0][1].replace(b"user:1", b"\x1b]0;owned\x07"))
    said = check_receipt("r\x1b[1m", book.receipt(0, 1), trust_of(book.policy())).text()
    assert all(c.isprintable() or c == "\n" for c in said)
    assert "\\x1b]0;owned\\x07" in said
    assert plain("x" * 5000).endswith("(1000 more characters)")


def test_times_outside_the_calendar() -> None:
    assert instant(2**64 - 1) == f"{2**64 - 1} s"
    assert instant(0) == "1970-01-01T00:00:00Z"


def test_files_that_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p").write_text(BOOK.policy("quorum none"))
    Path("latin").write_bytes(b"\xe9")
    Path("big").write_bytes(b"x" * (9 << 20))
    os.mkfifo("pipe")
    for name, word in (
        ("/dev/zero", "not a regular file"), ("pipe", "not a regular file"), (".", "not a regular file"),
        ("none", "No such file"), ("latin", "not UTF-8"), ("big", "larger than"), ("a\0b", "embedded null"),
    ):  # fmt: skip
        assert main(["receipt", name, "--policy", "p"]) == 2
        assert word in capsys.readouterr().err
    assert main(["log", "big", "--policy", "p"]) == 2
    assert "line longer than" in capsys.readouterr().err
    assert main(["receipt", "p", "--policy", "big"]) == 2


def test_what_nobody_foresaw_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr("andromede.sovereignty.verifier.command.trust_of", broken)
    monkeypatch.setattr("andromede.sovereignty.verifier.command.read_text", lambda *_: "")
    assert main(["policy", "p", "--json"]) == 2
    said = capsys.readouterr()
    assert json.loads(said.out) == {"proven": False, "error": said.err.removeprefix("andromede-verify: ").strip()}
    assert "RuntimeError" in said.err
    monkeypatch.setattr(
        "andromede.sovereignty.verifier.command.read_text", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    assert main(["policy", "p"]) == 2


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400))
def test_the_program_itself_on_noise(tmp_path: Path, noise: bytes) -> None:
    (tmp_path / "noise").write_bytes(noise)
    (tmp_path / "p").write_text(BOOK.policy())
    for words in (
        ["receipt", "noise", "--policy", "p"],
        ["log", "noise"],
        ["contradiction", "noise"],
        ["policy", "noise"],
    ):
        done = run(words, tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith("andromede-verify: ")
        assert "Traceback" not in done.stderr


def test_without_ml_dsa_the_rest_is_checked_and_the_lack_is_said() -> None:
    policy = LEDGER["policy"].replace(
        "quorum FR-and-DE",
        f"witness pq {LEDGER['keys']['witness_mldsa44']['vkey']}\ngroup pq-too any FR-and-DE pq\nquorum pq-too",
    ).replace("\n\n", f"\nlog {LEDGER['keys']['log_mldsa44']['vkey']}\n\n", 1)  # fmt: skip
    part = LEDGER["mldsa44"]
    note = LEDGER["checkpoint_5_cosigned"] + part["log_signature_line"].rstrip("\n") + "\n"
    lacking = trust_of(policy, available=False)
    assert lacking.accept(note).size == 5
    assert "NOT CHECKED: the ML-DSA-44 signature of ledger.andromede.example" in lacking.remarks(note)[0]
    only_pq = LEDGER["checkpoint"]["5"] + part["witness_cosignature_line"].rstrip("\n") + "\n"
    assert trust_of(policy).accept(only_pq).size == 5
    with pytest.raises(BadNote, match="quorum pq-too not met"):
        lacking.accept(only_pq)
    assert trust_of(policy).remarks(note) == []
