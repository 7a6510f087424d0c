"""L3: one row, one salt, one byte of a tile changed behind the program's back, and a whole history written anew with
the true keys: our verifier, the monitor, a witness, Go and aics-tlog all refuse what they are shown."""

from __future__ import annotations

import base64
import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from andromede.ledger import tree
from andromede.ledger.note import COSIGNATURE, Signer, Verifier, checkpoint_fields, split_note
from andromede.ledger.policy import parse_policy
from andromede.ledger.witness import Witness
from tests.support import postgres
from tests.support.clients import CLIENTS
from tests.support.installation import Installation, wait_until
from tests.support.keystone import Keystone
from tests.support.published import Done, Door, fetch, go_check, publish, python_check
from tests.support.swift import SwiftDoor
from tests.support.verifier import Book, run
from tests.unit.ledger.test_vectors import Remembered

pytestmark = pytest.mark.timeout(300)
PUTS = 300


class Victim:
    """An installation with a history, what a tenant and a witness kept of it, and hands inside its database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cloud = Installation.fresh().start()
        self.log_in()
        with SwiftDoor(self.user) as swift:
            swift.expect("PUT", "/kept", 201)
            wait_until("a first checkpoint", self.door.size)
            early = self.door.get("checkpoint").decode()
            for number in range(PUTS):
                swift.expect("PUT", f"/kept/secret-{number:04d}", 201, b"x")
        self.end = self.door.allocated()
        wait_until("a checkpoint over all objects", lambda: self.door.size() >= self.end)
        self.note, self.policy = self.door.get("checkpoint").decode(), self.door.get("policy").decode()
        (folder / "policy").write_text(self.policy)
        (folder / "kept").write_text(self.note)
        self.origin, self.size, _ = checkpoint_fields(split_note(self.note)[0])
        logs: tuple[Verifier, ...] = parse_policy(self.policy).logs
        own = Signer("witness.example/third", COSIGNATURE, bytes(range(32)))
        self.witness = Witness({self.origin: logs}, (own,), Remembered())
        assert self.witness.add_checkpoint(f"old 0\n\n{self.note}", lambda: 1_790_000_000).status == 200
        self.absent = Witness({self.origin: logs}, (own,), Remembered())  # it saw the beginning only
        assert self.absent.add_checkpoint(f"old 0\n\n{early}", lambda: 1_790_000_000).status == 200
        self.early = checkpoint_fields(split_note(early)[0])[1]
        assert self.monitor("follower") in (0, 3)  # 3: nobody witnesses this log

    def log_in(self) -> None:
        self.user = Keystone.log_in(self.cloud, self.cloud.clouds["andromede"]["auth"])
        self.door = Door(f"http://{self.cloud.api}/sovereignty/v1", self.user.token)

    def monitor(self, state: str) -> int:
        words = ("ledger", "monitor", "--cloud", "andromede", "--once", "--state", str(self.folder / state))
        return self.cloud.run(*words, check=False).returncode

    @contextlib.contextmanager
    def stopped(self) -> Iterator[sqlite3.Connection]:
        """The database of the stopped program; it runs again afterwards."""
        self.user.http.close()
        self.cloud.stop()
        with contextlib.closing(sqlite3.connect(self.cloud.data / "andromede.db")) as db, db:
            yield db
        self.cloud.start()
        self.log_in()

    def index_of(self, number: int) -> int:
        """The place of a PUT in the log."""
        with contextlib.closing(sqlite3.connect(self.cloud.data / "andromede.db")) as db:
            sql = "SELECT position FROM audit_event JOIN ledger_log USING (tenant) WHERE origin = ? AND instr(body, ?)"
            row = db.execute(sql, (self.origin, b"secret-%04d" % number)).fetchone()
        return int(row[0])

    def change(self, column: str, position: int, data: bytes) -> None:
        """Another byte string in one row of the tenant's events."""
        with self.stopped() as db:
            sql = f"UPDATE audit_event SET {column} = ? WHERE position = ? AND tenant IN "
            own = "(SELECT tenant FROM ledger_log WHERE origin = ?)"
            assert db.execute(sql + own, (data, position, self.origin)).rowcount == 1

    def stored(self, column: str, position: int) -> bytes:
        with contextlib.closing(sqlite3.connect(self.cloud.data / "andromede.db")) as db:
            sql = f"SELECT {column} FROM audit_event JOIN ledger_log USING (tenant) WHERE origin = ? AND position = ?"
            return bytes(db.execute(sql, (self.origin, position)).fetchone()[0])

    def flip_tile(self) -> None:
        """One bit of the first full tile of entries."""
        with self.stopped() as db:
            where = "WHERE origin = ? AND level = -1 AND number = 0"
            data = bytearray(db.execute(f"SELECT data FROM ledger_tile {where}", (self.origin,)).fetchone()[0])
            data[32 * 9] ^= 1
            db.execute(f"UPDATE ledger_tile SET data = ? {where}", (bytes(data), self.origin))

    def receipt(self, index: int) -> str:
        (self.folder / "receipt").write_bytes(self.door.get(f"receipts/{index}"))
        return str(self.folder / "receipt")


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    if postgres.address("probe"):
        pytest.skip("the hands inside the database are SQLite's")
    made = Victim(tmp_path_factory.mktemp("victim"))
    yield made
    made.user.http.close()
    made.cloud.stop()
    shutil.rmtree(made.cloud.data, ignore_errors=True)


def others() -> dict[str, Callable[..., Done]]:
    """Third parties that are installed here; the missing ones are named."""
    found: dict[str, Callable[..., Done]] = {}
    if CLIENTS["go"].path() and CLIENTS["sumdb"].path():
        found["go"] = go_check()
    if CLIENTS["tlog"].path():
        found["aics"] = python_check()
    print("NOT ASKED:", sorted({"go", "aics"} - set(found)))
    return found


def judged(victim: Victim, index: int) -> set[int]:
    """The verdicts of everybody on the receipt of an index: all 0, or all 1."""
    path = victim.receipt(index)
    keys = str(victim.folder / "policy")
    verdicts = {run(["receipt", path, "--policy", keys], victim.folder).returncode}
    for name, ask in others().items():
        done = ask("inclusion", keys, path) if name == "go" else ask("receipt", str(victim.folder))
        verdicts.add(done.returncode)
    return verdicts


@pytest.mark.parametrize("column", ["body", "salt"])
def test_l3_one_row_or_one_salt(victim: Victim, column: str) -> None:
    index, neighbour = victim.index_of(10), victim.index_of(11)
    assert judged(victim, index) == {0}
    original = victim.stored(column, index)
    forged = original.replace(b"secret-0010", b"harmless-01") if column == "body" else bytes(32)
    victim.change(column, index, forged)
    try:
        assert judged(victim, index) == {1}
        assert judged(victim, neighbour) == {0}
        assert victim.monitor(f"fresh-{column}") == 1
        export = victim.folder / f"export-{column}"
        victim.cloud.run("ledger", "export", "--cloud", "andromede", "-o", str(export), check=False)
        done = run(["log", str(export), "--policy", str(victim.folder / "policy")], victim.folder)
        assert done.returncode == 1, done.stdout
        assert f"entry {index}: salt and event do not give its entry" in done.stdout
        assert victim.cloud.run("fsck", check=False).returncode != 0
    finally:
        victim.change(column, index, original)
    assert judged(victim, index) == {0}


def grown(victim: Victim, old: int) -> tuple[str, str]:
    """The newest checkpoint, and the proof that the program gives for its growth from `old`."""
    with SwiftDoor(victim.user) as swift:
        swift.expect("PUT", "/kept/one-more", 201, b"x")
    wait_until("a larger checkpoint", lambda: victim.door.size() > victim.size)
    note = victim.door.get("checkpoint").decode()
    size = checkpoint_fields(split_note(note)[0])[1]
    return note, victim.door.get(f"consistency?old={old}&size={size}").decode()


def test_l3_one_byte_of_a_tile(victim: Victim, tmp_path: Path) -> None:
    index = victim.index_of(20)
    victim.flip_tile()
    try:
        note, proof = grown(victim, victim.early)
        assert judged(victim, index) == {1}
        assert victim.absent.add_checkpoint(f"old {victim.early}\n{proof}\n{note}", lambda: 1).status == 422
        fetched = fetch(victim.door, tmp_path / "log", victim.note.encode(), index)
        for name, ask in others().items():
            go = ("tiles", str(fetched / "policy"), str(fetched))
            assert ask(*(go if name == "go" else ("tiles", str(fetched)))).returncode == 1
        assert victim.monitor("fresh-tile") == 1
    finally:
        victim.flip_tile()
    assert judged(victim, index) == {0}


def rewrite(victim: Victim, index: int) -> None:
    """What an operator with the true keys can do: change an event, forget the tree, sign it all again."""
    forged = victim.stored("body", index).replace(b"secret-0030", b"harmless-03")
    victim.change("body", index, forged)
    with victim.stopped() as db:
        for sql in (
            "DELETE FROM ledger_tile WHERE origin = ?",
            "DELETE FROM ledger_checkpoint WHERE origin = ?",
            "UPDATE ledger_log SET size = 0, root = (SELECT x'" + tree.EMPTY_ROOT.hex() + "') WHERE origin = ?",
        ):
            db.execute(sql, (victim.origin,))


def test_l3_a_history_rewritten_with_the_true_keys(victim: Victim) -> None:
    index = victim.index_of(30)
    rewrite(victim, index)
    wait_until("the rewritten log", lambda: victim.door.size() > victim.size)
    note, proof = grown(victim, victim.size)
    assert judged(victim, index) == {0}  # its receipts are in order: only what others kept tells
    assert victim.witness.add_checkpoint(f"old {victim.size}\n{proof}\n{note}", lambda: 1).status == 422
    (victim.folder / "new").write_text(note)
    (victim.folder / "proof").write_text(proof)
    assert run(["consistency", "kept", "new", "proof", "--policy", "policy"], victim.folder).returncode == 1
    ask = others().get("go")
    if ask is not None:
        words = ("policy", "kept", "new", "proof")
        assert ask("growth", *(str(victim.folder / word) for word in words)).returncode == 1
    assert victim.monitor("follower") == 1
    evidence = [path for path in (victim.folder / "follower").rglob("*.json") if '"notes"' in path.read_text()]
    verdicts = [run(["contradiction", str(path), "--policy", "policy"], victim.folder) for path in evidence]
    assert 0 in [done.returncode for done in verdicts], [done.stdout + done.stderr for done in verdicts]
    assert any("CONTRADICTION" in done.stdout for done in verdicts)


def test_l3_on_a_log_of_our_own(tmp_path: Path) -> None:
    """The same of a log that never saw the program: a witness refuses the rewritten one, everybody its receipts."""
    book, other = Book.of(300), Book.of(320, e9="rewritten")
    folder = publish(book, tmp_path / "log", 257, 9)
    own = Signer("witness.example/third", COSIGNATURE, bytes(range(32)))
    witness = Witness({book.origin: tuple(s.verifier for s in book.signers)}, (own,), Remembered())
    assert witness.add_checkpoint(f"old 0\n\n{book.note(300)}", lambda: 1).status == 200
    assert witness.add_checkpoint(f"old 300\n{other.proof(300, 320)}\n{other.note(320)}", lambda: 1).status == 422
    extra = base64.b64encode(b"andromede/extra/v1\n" + other.events[9][0] + other.events[9][1]).decode()
    lines = (folder / "receipt").read_text().split("\n")
    (folder / "receipt").write_text("\n".join([lines[0], f"extra {extra}", *lines[2:]]))
    assert run(["receipt", "receipt", "--policy", "policy"], folder).returncode == 1
    for name, ask in others().items():
        words = (
            ("inclusion", str(folder / "policy"), str(folder / "receipt")) if name == "go" else ("receipt", str(folder))
        )
        assert ask(*words).returncode == 1
