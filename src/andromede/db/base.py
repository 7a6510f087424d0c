"""What both databases offer to the stores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal, Protocol, TypeVar

Row = tuple[Any, ...]
T = TypeVar("T")


class Reach(IntEnum):
    """What a transaction may change at most, for those who remember what they read (`Database.version`).

    EVENTS: rows that nobody remembers (audit events, tiles, marks). OBJECTS: versions and parts of objects, and
    counters, beside these. EVERYTHING: identity, containers, accounts and keys too."""

    EVENTS = 0
    OBJECTS = 1
    EVERYTHING = 2


class Tx(Protocol):
    """An open transaction. Statements use `?`; rows are plain tuples."""

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[Row]:
        """Every row of a query."""

    def one(self, sql: str, params: Sequence[Any] = ()) -> Row | None:
        """The first row, or None."""

    def run(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Execute; the count of rows touched."""

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """Execute once per row; the count of rows touched by all of them."""

    def insert(self, into: str, rows: Sequence[Sequence[Any]], conflict: str = "") -> None:
        """Insert rows in as few statements as the database likes best. `into` is `table (columns)`; `conflict` an
        `ON CONFLICT` clause, with which no row may come twice."""

    def guarded(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in a savepoint: when it raises, its statements are undone and the error goes on."""

    def take(self, name: str, count: int = 1) -> int:
        """Reserve `count` numbers of the named sequence and return the first. Gap-free with commits."""

    def new_epoch(self) -> None:
        """With this transaction ends what `Database.epoch` vouched for."""

    def after(self, call: Callable[[], None]) -> None:
        """Call this once the transaction is durable; never when it is undone."""


class Database(Protocol):
    """One logical database. Safe to use from many threads; open it after a fork, never before."""

    dialect: Literal["sqlite", "postgresql"]

    def read(self) -> AbstractContextManager[Tx]:
        """A consistent snapshot; writes in it are refused."""

    def write(self, reach: Reach = Reach.EVERYTHING) -> AbstractContextManager[Tx]:
        """The writer gate and a transaction: durable when the block ends, undone when it raises.
        Must not be nested on one thread. It must change nothing beyond its `reach`."""

    def one(self, sql: str, params: Sequence[Any] = ()) -> Row | None:
        """One statement outside any transaction: the first row."""

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[Row]:
        """One statement outside any transaction: all rows."""

    def version(self, reach: Reach = Reach.EVERYTHING) -> bytes | None:
        """A value that differs after every commit of anybody with this reach or a wider one; None while somebody
        writes so, and where it cannot be had without a statement. What was read after it was taken is still true
        while it stays the same: with OBJECTS, everything but events; with EVERYTHING, all but objects too."""

    def epoch(self) -> bytes | None:
        """The same for the transactions that called `new_epoch` alone: other commits leave it as it is."""

    def script(self, statements: Iterable[str]) -> None:
        """Run DDL under the writer gate, in one transaction."""

    def backup(self, path: str) -> None:
        """Write a consistent copy of the database to `path` while others go on writing."""

    def check(self) -> list[str]:
        """Problems that the database finds in itself; empty when sound."""

    def close(self) -> None:
        """Close this process's connections."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of a domain's schema. `sql` holds statements separated by `;` at line ends, in the
    portable subset with the words {blob} {int} {text} for column types ({text} orders by bytes),
    {serial} for a generated integer primary key and {norowid} after the closing parenthesis."""

    domain: str
    version: int
    name: str
    sql: str

    def statements(self, types: dict[str, str]) -> list[str]:
        """The statements for one database."""
        text = self.sql
        for word, kind in types.items():
            text = text.replace("{" + word + "}", kind)
        return [part.strip() for part in text.split(";\n") if part.strip()]


TYPES: dict[str, dict[str, str]] = {
    "sqlite": {
        "blob": "BLOB",
        "int": "INTEGER",
        "text": "TEXT",
        "serial": "INTEGER PRIMARY KEY",
        "norowid": "WITHOUT ROWID",
    },
    "postgresql": {
        "blob": "BYTEA",
        "int": "BIGINT",
        "text": 'TEXT COLLATE "C"',
        "serial": "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
        "norowid": "",
    },
}

_BASE = Migration(
    "db",
    1,
    "named sequences",
    "CREATE TABLE sequence (name {text} PRIMARY KEY, value {int} NOT NULL) {norowid};\n",
)


def pending(db: Database, migrations: Sequence[Migration]) -> list[Migration]:
    """The steps that the database lacks, in the order in which they would run."""
    db.script(
        (
            "CREATE TABLE IF NOT EXISTS schema_version "
            "(domain TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (domain, version))",
        )
    )
    done = {(domain, version) for domain, version in db.all("SELECT domain, version FROM schema_version")}
    steps = sorted((_BASE, *migrations), key=lambda m: (m.domain != "db", m.domain, m.version))
    return [step for step in steps if (step.domain, step.version) not in done]


def ahead(db: Database, migrations: Sequence[Migration]) -> list[str]:
    """The steps that the database has and this program does not know, as "domain version"."""
    pending(db, ())  # the table of versions is there then
    known = {(step.domain, step.version) for step in (_BASE, *migrations)}
    done = db.all("SELECT domain, version FROM schema_version ORDER BY domain, version")
    return [f"{domain} {version}" for domain, version in done if (domain, version) not in known]


def migrate(db: Database, migrations: Sequence[Migration]) -> list[str]:
    """Bring the schema to the newest version, each domain in order of version and all of it in one transaction; the
    names applied."""
    missing = pending(db, migrations)
    statements: list[str] = []
    for step in missing:
        statements += step.statements(TYPES[db.dialect])
        statements.append(f"INSERT INTO schema_version (domain, version) VALUES ('{step.domain}', {int(step.version)})")
    if statements:
        db.script(statements)
    return [f"{step.domain} {step.version}: {step.name}" for step in missing]
