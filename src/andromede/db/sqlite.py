"""SQLite: write-ahead log, `synchronous=FULL`, one writer at a time by a lock file.

Writers queue on `flock` in the kernel instead of SQLite's sleeping busy handler: without polling, and without
a promise of turns. One SQLite library per process; connections belong to one thread and are opened after a fork.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TypeVar

from andromede.db.base import Reach, Row, Tx
from andromede.db.reserve import Reserve
from andromede.errors import Fatal, NoCapacity, Unavailable

T = TypeVar("T")

_COUNT = 8
_EPOCH, _OBJECTS = _COUNT, 2 * _COUNT
_COUNTS = 3 * _COUNT
"""Bytes of the lock file: the number of writes that reach everything, of those that began a new epoch, and of those
that reach objects."""
_ROWS = 64
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA secure_delete=FAST",
    "PRAGMA busy_timeout=20000",
    "PRAGMA cache_size=-16384",
    "PRAGMA mmap_size=0",
    "PRAGMA wal_autocheckpoint=4000",
    "PRAGMA temp_store=MEMORY",
)
"""The file is not mapped: a connection gives its whole mapping back whenever another one has committed, and would
meet every page as new, at a page fault each; to read the page is a third of that."""


@lru_cache(maxsize=256)
def _insertion(into: str, count: int, width: int, conflict: str) -> str:
    """One statement for `count` rows: the interpreter is let go once, not once a row. Counts are powers of two, so
    that few statements are enough."""
    marks = f"({', '.join('?' * width)})"
    return f"INSERT INTO {into} VALUES {', '.join([marks] * count)} {conflict}"


_UNUSABLE = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)


def _failure(error: sqlite3.Error) -> Exception:
    """What a client may know of a failed statement; programming errors stay what they are."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        text = "the database is damaged: run andromede fsck and restore the newest sound backup"
        return Fatal(text, "database", cause=str(error))
    if code == sqlite3.SQLITE_FULL:
        text = "the storage is full; delete something or ask the operator for room"
        return NoCapacity(text, "disk", cause=str(error))
    if code in _UNUSABLE:
        what = "written" if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY) else "read or written"
        return Unavailable(f"the database cannot be {what}; the call may be repeated", "database", cause=str(error))
    return error


class SqliteTx:
    """Statements on one connection."""

    __slots__ = ("_conn", "durable", "new_epoch")

    def __init__(self, conn: sqlite3.Connection, new_epoch: Callable[[], None]) -> None:
        self._conn = conn
        self.new_epoch = new_epoch
        self.durable: list[Callable[[], None]] = []

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[Row]:
        return self._conn.execute(sql, params).fetchall()

    def one(self, sql: str, params: Sequence[Any] = ()) -> Row | None:
        row: Row | None = self._conn.execute(sql, params).fetchone()
        return row

    def run(self, sql: str, params: Sequence[Any] = ()) -> int:
        return self._conn.execute(sql, params).rowcount

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        return self._conn.executemany(sql, rows).rowcount

    def insert(self, into: str, rows: Sequence[Sequence[Any]], conflict: str = "") -> None:
        at, left = 0, len(rows)
        while left:
            count = min(1 << left.bit_length() - 1, _ROWS)
            values = list(chain.from_iterable(rows[at : at + count]))
            self._conn.execute(_insertion(into, count, len(rows[at]), conflict), values)
            at, left = at + count, left - count

    def guarded(self, work: Callable[[Tx], T]) -> T:
        self._conn.execute("SAVEPOINT guarded")
        try:
            result = work(self)
        except BaseException:
            self._conn.execute("ROLLBACK TO guarded")
            self._conn.execute("RELEASE guarded")
            raise
        self._conn.execute("RELEASE guarded")
        return result

    def take(self, name: str, count: int = 1) -> int:
        rows = self.all(
            "INSERT INTO sequence (name, value) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = sequence.value + ? RETURNING value",
            (name, count, count),
        )
        return int(rows[0][0]) - count + 1

    def after(self, call: Callable[[], None]) -> None:
        self.durable.append(call)


class SqliteDatabase:
    """A database file beside its lock file."""

    dialect: Literal["sqlite", "postgresql"] = "sqlite"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._gate = threading.Lock()
        self.reserve = Reserve(Path(f"{path}.reserve"))
        self._gate_fd = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._all: list[sqlite3.Connection] = []
        if os.fstat(self._gate_fd).st_size < _COUNTS:
            os.ftruncate(self._gate_fd, _COUNTS)
        self._count = mmap.mmap(self._gate_fd, _COUNTS)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def _conn(self) -> sqlite3.Connection:
        conn: sqlite3.Connection | None = getattr(self._local, "conn", None)
        if conn is None:
            conn = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, cached_statements=512)
            try:
                for pragma in _PRAGMAS:
                    conn.execute(pragma)
            except BaseException:
                conn.close()
                raise
            self._local.conn = conn
            self._all.append(conn)
        return conn

    def _opened(self) -> sqlite3.Connection:
        try:
            return self._conn()
        except sqlite3.DatabaseError as error:
            raise _failure(error) from error

    def _undo(self, conn: sqlite3.Connection) -> None:
        """End a transaction without its changes. A connection that cannot even do that is closed: whoever opens the
        file next undoes them, and its failure must not hide the first one."""
        if not conn.in_transaction:
            return
        try:
            conn.execute("ROLLBACK")
        except sqlite3.DatabaseError:
            self._local.conn = None
            with suppress(ValueError):
                self._all.remove(conn)
            conn.close()

    @contextmanager
    def read(self) -> Iterator[Tx]:
        try:
            conn = self._conn()
            conn.execute("BEGIN")
            try:
                yield SqliteTx(conn, self._new_epoch)
            finally:
                self._undo(conn)
        except sqlite3.DatabaseError as error:
            raise _failure(error) from error

    @contextmanager
    def write(self, reach: Reach = Reach.EVERYTHING) -> Iterator[Tx]:
        conn = self._opened()
        with self._gate:
            fcntl.flock(self._gate_fd, fcntl.LOCK_EX)
            try:
                try:
                    with self._counted(reach):
                        conn.execute("BEGIN IMMEDIATE")
                        tx = SqliteTx(conn, self._new_epoch)
                        yield tx
                        conn.execute("COMMIT")
                except BaseException as error:
                    self._undo(conn)
                    if isinstance(error, sqlite3.DatabaseError):
                        self.reserve.release()
                        raise _failure(error) from error
                    raise
            finally:
                fcntl.flock(self._gate_fd, fcntl.LOCK_UN)
        for call in tx.durable:
            call()

    def one(self, sql: str, params: Sequence[Any] = ()) -> Row | None:
        try:
            row: Row | None = self._conn().execute(sql, params).fetchone()
        except sqlite3.DatabaseError as error:
            raise _failure(error) from error
        return row

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[Row]:
        try:
            return self._conn().execute(sql, params).fetchall()
        except sqlite3.DatabaseError as error:
            raise _failure(error) from error

    def version(self, reach: Reach = Reach.EVERYTHING) -> bytes | None:
        if reach is Reach.EVERYTHING:
            count = self._count[:_COUNT]
            return None if count[0] & 1 else count
        counts = self._count[:_COUNTS]
        return None if (counts[0] | counts[_OBJECTS]) & 1 else counts[:_COUNT] + counts[_OBJECTS:]

    def epoch(self) -> bytes | None:
        count = self._count[_EPOCH:_OBJECTS]
        return None if count[0] & 1 else count

    def _new_epoch(self) -> None:
        """Odd from before the commit, so that nobody trusts the last one beyond it."""
        self._put(_EPOCH, self._get(_EPOCH) | 1)

    @contextmanager
    def _counted(self, reach: Reach) -> Iterator[None]:
        """Count a write in memory that all processes share. The number is odd while one is under way, and stays so
        when its process dies: nobody can tell then whether it was committed, until the next write ends, whatever
        its reach. A write that reaches everything is seen by those who look at both numbers, too."""
        ends = {}
        for place, counted in ((0, reach is Reach.EVERYTHING), (_OBJECTS, reach is Reach.OBJECTS)):
            count = self._get(place)
            if counted or count & 1:
                odd = count + 1 | 1
                self._put(place, odd)
                ends[place] = odd + 1
        try:
            yield
        finally:
            if self._count[_EPOCH] & 1:  # of this write, or of one that died: it is settled now which it was
                self._put(_EPOCH, self._get(_EPOCH) + 1)
            for place, even in ends.items():
                self._put(place, even)

    def _get(self, place: int) -> int:
        return int.from_bytes(self._count[place : place + _COUNT], "little")

    def _put(self, place: int, count: int) -> None:
        self._count[place : place + _COUNT] = count.to_bytes(_COUNT, "little")

    def script(self, statements: Iterable[str]) -> None:
        with self.write() as tx:
            for statement in statements:
                tx.run(statement)

    def backup(self, path: str) -> None:
        target = sqlite3.connect(path)
        try:
            os.chmod(path, 0o600)
            # all pages in one step: between steps, a write by another process would start the copy over
            self._conn().backup(target, pages=-1)
        except sqlite3.OperationalError as error:
            raise _failure(error) from error
        finally:
            target.close()

    def check(self) -> list[str]:
        conn = self._opened()
        try:
            problems = [str(row[0]) for row in conn.execute("PRAGMA integrity_check(20)")]
        except sqlite3.DatabaseError as error:  # too damaged to be looked through
            return [str(error)]
        return [] if problems == ["ok"] else problems

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file, so that deleted bytes leave the disk."""
        row = self.one("PRAGMA wal_checkpoint(TRUNCATE)")
        if row is None:
            raise Fatal("the database did not answer a checkpoint", "database")

    def close(self) -> None:
        for conn in self._all:
            conn.close()
        self._all.clear()
        self._local = threading.local()
        if self._gate_fd >= 0:
            self._count.close()
            os.close(self._gate_fd)
            self._gate_fd = -1
