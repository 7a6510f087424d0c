"""PostgreSQL 15 and later through psycopg 3: the same transactions, the gate as an advisory lock."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Literal, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import ConnectionPool, PoolTimeout

from andromede.clock import SystemClock
from andromede.db.base import Reach, Row, Tx
from andromede.errors import Fatal, NoCapacity, Unavailable

T = TypeVar("T")

_GATE = 0x616E6472  # the advisory lock that stands for the writer gate


WAIT_SECONDS = 4.0
"""How long a call waits for a connection. Reconnecting begins anew as often, so that a database that is back is found
soon."""
REST_SECONDS = 1.0
"""How long calls are refused at once after one has waited in vain: they would queue behind one another."""
_PATIENCE = {
    "connect_timeout": 4,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
}
"""After which time a server that went away without a word counts as gone; what the address says comes first."""


def _failure(error: psycopg.Error) -> Exception:
    """What a client may know of a failed statement; programming errors stay what they are."""
    if isinstance(error, psycopg.errors.DiskFull):
        text = "the storage is full; delete something or ask the operator for room"
        return NoCapacity(text, "disk", cause=str(error))
    if isinstance(error, psycopg.errors.DataCorrupted | psycopg.errors.IndexCorrupted):
        text = "the database is damaged: restore the newest sound backup"
        return Fatal(text, "database", cause=str(error))
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        text = "the database does not answer; the call may be repeated"
        return Unavailable(text, "database", cause=str(error))
    return error


@lru_cache(maxsize=4096)
def _translate(sql: str) -> str:
    return sql.replace("%", "%%").replace("?", "%s")


class PostgresTx:
    """Statements on one connection inside a transaction."""

    __slots__ = ("_conn", "durable")

    def __init__(self, conn: psycopg.Connection[Row]) -> None:
        self._conn = conn
        self.durable: list[Callable[[], None]] = []

    def _execute(self, sql: str, params: Sequence[Any]) -> psycopg.Cursor[Row]:
        return self._conn.execute(_translate(sql), params)

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[Row]:
        return self._execute(sql, params).fetchall()

    def one(self, sql: str, params: Sequence[Any] = ()) -> Row | None:
        return self._execute(sql, params).fetchone()

    def run(self, sql: str, params: Sequence[Any] = ()) -> int:
        return self._execute(sql, params).rowcount

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        with self._conn.cursor() as cursor:
            cursor.executemany(_translate(sql), rows)
            return cursor.rowcount

    def insert(self, into: str, rows: Sequence[Sequence[Any]], conflict: str = "") -> None:
        if rows:
            self.many(f"INSERT INTO {into} VALUES ({', '.join('?' * len(rows[0]))}) {conflict}", rows)

    def guarded(self, work: Callable[[Tx], T]) -> T:
        with self._conn.transaction():
            return work(self)

    def take(self, name: str, count: int = 1) -> int:
        row = self.one(
            "INSERT INTO sequence (name, value) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = sequence.value + ? RETURNING value",
            (name, count, count),
        )
        assert row is not None
        return int(row[0]) - count + 1

    def new_epoch(self) -> None:
        pass

    def after(self, call: Callable[[], None]) -> None:
        self.durable.append(call)


def _configure(conn: psycopg.Connection[Row]) -> None:
    """A statement outside of a transaction is one round trip, and cannot write."""
    conn.execute("SET default_transaction_read_only = on")


class PostgresDatabase:
    """A pool of connections to one database, optionally inside a schema of its own."""

    dialect: Literal["sqlite", "postgresql"] = "postgresql"

    def __init__(self, dsn: str, max_connections: int = 24) -> None:
        self._dsn = dsn
        self._pool: ConnectionPool[psycopg.Connection[Row]] = ConnectionPool(
            dsn, min_size=1, max_size=max_connections, open=True, configure=_configure,
            timeout=WAIT_SECONDS, reconnect_timeout=WAIT_SECONDS,
            kwargs={**_PATIENCE, **conninfo_to_dict(dsn), "prepare_threshold": 2, "autocommit": True},
        )  # fmt: skip
        self._clock = SystemClock()
        self._away_until = 0.0

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Row]]:
        if self._clock.monotonic() < self._away_until:
            raise _failure(psycopg.OperationalError("it did not answer a moment ago"))
        try:
            with self._pool.connection() as conn:
                yield conn
        except PoolTimeout as error:
            self._away_until = self._clock.monotonic() + REST_SECONDS
            raise _failure(error) from error
        except psycopg.Error as error:
            raise _failure(error) from error

    @contextmanager
    def _transaction(self, opening: str) -> Iterator[psycopg.Connection[Row]]:
        with self._connection() as conn, conn.transaction():
            conn.execute(opening)
            yield conn

    @contextmanager
    def read(self) -> Iterator[Tx]:
        with self._transaction("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY") as conn:
            yield PostgresTx(conn)

    @contextmanager
    def write(self, reach: Reach = Reach.EVERYTHING) -> Iterator[Tx]:
        with self._transaction(f"SET TRANSACTION READ WRITE; SELECT pg_advisory_xact_lock({_GATE})") as conn:
            tx = PostgresTx(conn)
            yield tx
        for call in tx.durable:
            call()

    def one(self, sql: str, params: Sequence[Any] = ()) -> Row | None:
        with self._connection() as conn:
            return PostgresTx(conn).one(sql, params)

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[Row]:
        with self._connection() as conn:
            return PostgresTx(conn).all(sql, params)

    def version(self, reach: Reach = Reach.EVERYTHING) -> bytes | None:
        return None

    def epoch(self) -> bytes | None:
        return None

    def script(self, statements: Iterable[str]) -> None:
        with self.write() as tx:
            for statement in statements:
                tx.run(statement)

    def backup(self, path: str) -> None:
        """A custom-format archive by `pg_dump`, which must be on the PATH."""
        _client(["pg_dump", "--format=custom", "--no-owner", f"--file={path}"], self._dsn)

    def check(self) -> list[str]:
        row = self.one("SELECT count(*) FROM pg_index WHERE NOT indisvalid")
        return [f"{row[0]} invalid indexes"] if row and row[0] else []

    def close(self) -> None:
        self._pool.close()


def _client(command: list[str], dsn: str) -> None:
    """Run a PostgreSQL client program; the password goes by the environment, where other users cannot see it.
    Raises `Unavailable` with what the program said, `FileNotFoundError` when it is not installed."""
    parts = {name: str(value) for name, value in conninfo_to_dict(dsn).items() if value is not None}
    password = parts.pop("password", "")
    secret = {"PGPASSWORD": password} if password else {}
    line = [*command, f"--dbname={make_conninfo('', **parts)}"]
    done = subprocess.run(line, env={**os.environ, **secret}, check=False, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise Unavailable(f"{command[0]} failed: {said[0]}", "database", cause=done.stderr.strip())


def load_dump(dsn: str, path: str, replace: bool = False) -> None:
    """Fill a database from an archive of `backup`, all or nothing; `replace` drops what it holds first."""
    drop = ["--clean", "--if-exists"] if replace else []
    _client(["pg_restore", "--no-owner", "--exit-on-error", "--single-transaction", *drop, path], dsn)
