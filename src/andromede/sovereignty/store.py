"""Rows of logs, tiles and checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from andromede.db import Row, Tx
from andromede.ledger.tree import EMPTY_ROOT

KEPT_COSIGNED = 4
"""Cosigned checkpoints that stay of each log, beside the newest one."""
_LOG = "tenant, origin, allocated, size, root"


class Reader(Protocol):
    """A transaction, or a database outside of one."""

    def one(self, sql: str, params: Sequence[Any] = ()) -> Row | None: ...
    def all(self, sql: str, params: Sequence[Any] = ()) -> list[Row]: ...


@dataclass(frozen=True, slots=True)
class LogState:
    """A tenant's log: `allocated` positions were given to events, `size` of them stand in the tree under `root`."""

    tenant: str
    origin: str
    allocated: int
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """A checkpoint's row. `note` is None until it is signed; `cosignatures` are signature lines; `made`: µs."""

    origin: str
    size: int
    root: bytes
    made: int
    note: str | None
    cosignatures: str
    refusal: str

    @property
    def text(self) -> str:
        """The note with the cosignatures gathered for it."""
        return (self.note or "") + self.cosignatures


@dataclass(frozen=True, slots=True)
class Tile:
    """Hashes of one level side by side; level -1 holds entries. `width` counts them."""

    level: int
    number: int
    data: bytes

    @property
    def width(self) -> int:
        return len(self.data) // 32


def _log(row: Row) -> LogState:
    tenant, origin, allocated, size, root = row
    return LogState(tenant, origin, allocated, size, bytes(root) if size else EMPTY_ROOT)


def log(db: Reader, tenant: str) -> LogState | None:
    """The log of one tenant."""
    row = db.one(f"SELECT {_LOG} FROM ledger_log WHERE tenant = ?", (tenant,))
    return _log(row) if row else None


def by_origin(db: Reader, origin: str) -> LogState | None:
    """The log with this origin."""
    row = db.one(f"SELECT {_LOG} FROM ledger_log WHERE origin = ?", (origin,))
    return _log(row) if row else None


def logs(db: Reader) -> list[LogState]:
    """Every log."""
    return [_log(row) for row in db.all(f"SELECT {_LOG} FROM ledger_log ORDER BY tenant")]


def behind(db: Reader, after: str | None, limit: int) -> list[LogState]:
    """Logs with events that are not in their tree yet, in order of tenant."""
    where, params = ("", ()) if after is None else ("AND tenant > ? ", (after,))
    sql = f"SELECT {_LOG} FROM ledger_log WHERE allocated > size {where}ORDER BY tenant LIMIT ?"
    return [_log(row) for row in db.all(sql, (*params, limit))]


def totals(db: Reader) -> tuple[int, int, int]:
    """(logs, entries in trees, events that wait) of the installation."""
    row = db.one("SELECT count(*), coalesce(sum(size), 0), coalesce(sum(allocated - size), 0) FROM ledger_log")
    return (int(row[0]), int(row[1]), int(row[2])) if row else (0, 0, 0)


def events(db: Reader, tenant: str, first: int, to: int, limit: int) -> list[tuple[int, bytes | None, bytes]]:
    """(position, salt, body) of events first <= position < to; the salt is None once an event was pruned."""
    rows = db.all(
        "SELECT position, salt, body FROM audit_event WHERE tenant = ? AND position >= ? AND position < ? "
        "ORDER BY position LIMIT ?",
        (tenant, first, to, limit),
    )
    return [(int(at), None if salt is None else bytes(salt), bytes(body)) for at, salt, body in rows]


def missing(db: Reader, tenant: str, first: int, to: int) -> int:
    """How many of the positions first <= position < to have no event."""
    sql = "SELECT count(*) FROM audit_event WHERE tenant = ? AND position >= ? AND position < ?"
    row = db.one(sql, (tenant, first, to))
    return to - first - (int(row[0]) if row else 0)


@dataclass(frozen=True, slots=True)
class Step:
    """A log's way from the state that was read to a larger one."""

    log: LogState
    size: int
    root: bytes
    tiles: Sequence[Tile]


def advance(tx: Tx, steps: Sequence[Step]) -> bool:
    """Move logs from exactly the states that were read; False when one of them moved meanwhile."""
    sql = "UPDATE ledger_log SET size = ?, root = ? WHERE tenant = ? AND size = ? AND (size = 0 OR root = ?)"
    rows = [(step.size, step.root, step.log.tenant, step.log.size, step.log.root) for step in steps]
    return tx.many(sql, rows) == len(rows)


def write_tiles(tx: Tx, origin_tiles: Iterable[tuple[str, Tile]]) -> bool:
    """Store tiles in place of narrower ones; False when one that is stored is as wide or wider."""
    sql = (
        "INSERT INTO ledger_tile (origin, level, number, data) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (origin, level, number) DO UPDATE SET data = excluded.data "
        "WHERE length(ledger_tile.data) < length(excluded.data)"
    )
    rows = [(origin, tile.level, tile.number, tile.data) for origin, tile in origin_tiles]
    return tx.many(sql, rows) == len(rows)


def tile(db: Reader, origin: str, level: int, number: int) -> bytes | None:
    """The hashes of a tile, or of its widest stored part."""
    sql = "SELECT data FROM ledger_tile WHERE origin = ? AND level = ? AND number = ?"
    row = db.one(sql, (origin, level, number))
    return bytes(row[0]) if row else None


def tiles(db: Reader, origin: str, level: int, after: int, limit: int) -> list[Tile]:
    """Tiles of one level with a number above `after`, in order."""
    sql = "SELECT number, data FROM ledger_tile WHERE origin = ? AND level = ? AND number > ? ORDER BY number LIMIT ?"
    return [Tile(level, int(row[0]), bytes(row[1])) for row in db.all(sql, (origin, level, after, limit))]


def rename(tx: Tx, old: str, new: str) -> None:
    """Give a log with its tiles another origin. Signed checkpoints stay under the old one, as what was said of it."""
    tx.run("UPDATE ledger_log SET origin = ? WHERE origin = ?", (new, old))
    tx.run("UPDATE ledger_tile SET origin = ? WHERE origin = ?", (new, old))
    tx.run("DELETE FROM ledger_checkpoint WHERE origin = ? AND note IS NULL", (old,))


_CHECKPOINT = "origin, size, root, made, note, cosignatures, refusal"


def _stored(row: Row) -> Stored:
    origin, size, root, made, note, cosignatures, refusal = row
    return Stored(origin, size, bytes(root), made, note, cosignatures, refusal)


def intend(tx: Tx, steps: Sequence[Step], now_us: int) -> None:
    """Record what will be signed, in place of anything older that was not; why that was refused stays."""
    sql = "UPDATE ledger_checkpoint SET size = ?, root = ?, made = ? WHERE origin = ? AND note IS NULL"
    rows = [(step.size, step.root, now_us, step.log.origin) for step in steps]
    if tx.many(sql, rows) == len(rows):
        return
    sql = (
        f"INSERT INTO ledger_checkpoint ({_CHECKPOINT}) VALUES (?, ?, ?, ?, NULL, '', '') "
        "ON CONFLICT (origin, size) DO NOTHING"  # the ones that were just changed
    )
    tx.many(sql, [(step.log.origin, step.size, step.root, now_us) for step in steps])


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A checkpoint to sign, the log's state as it is now (None: there is no log), and the largest size signed."""

    checkpoint: Stored
    log: tuple[int, bytes] | None
    signed: int


def unsigned(db: Reader, after: str, limit: int) -> list[Unsigned]:
    """Checkpoints to sign, one for each log at most, in order of origin."""
    rows = db.all(
        "SELECT c.origin, c.size, c.root, c.made, c.note, c.cosignatures, c.refusal, l.size, l.root, "
        "(SELECT max(s.size) FROM ledger_checkpoint s WHERE s.origin = c.origin AND s.note IS NOT NULL) "
        "FROM ledger_checkpoint c LEFT JOIN ledger_log l ON l.origin = c.origin "
        "WHERE c.note IS NULL AND c.origin > ? ORDER BY c.origin LIMIT ?",
        (after, limit),
    )
    return [
        Unsigned(_stored(row[:7]), None if row[7] is None else (int(row[7]), bytes(row[8])), row[9] or 0)
        for row in rows
    ]


def publish(tx: Tx, notes: Sequence[tuple[str, int, str]]) -> None:
    """Store signed notes (origin, size, note) and drop those they stand for, except a few cosigned ones."""
    tx.many(
        "UPDATE ledger_checkpoint SET note = ?, refusal = '' WHERE origin = ? AND size = ? AND note IS NULL",
        [(note, origin, size) for origin, size, note in notes],
    )
    _thin(tx, [origin for origin, _, _ in notes])


def refuse(tx: Tx, origin: str, size: int, reason: str) -> None:
    """Say why a checkpoint is not signed."""
    tx.run("UPDATE ledger_checkpoint SET refusal = ? WHERE origin = ? AND size = ?", (reason, origin, size))


def cosign(tx: Tx, checkpoint: Stored, lines: str) -> None:
    """Add cosignature lines (each ends in a newline) to a checkpoint, also to one that was dropped meanwhile."""
    tx.run(
        f"INSERT INTO ledger_checkpoint ({_CHECKPOINT}) VALUES (?, ?, ?, ?, ?, ?, '') "
        "ON CONFLICT (origin, size) DO UPDATE SET "
        "cosignatures = ledger_checkpoint.cosignatures || excluded.cosignatures",
        (checkpoint.origin, checkpoint.size, checkpoint.root, checkpoint.made, checkpoint.note, lines),
    )
    _thin(tx, [checkpoint.origin])


def _thin(tx: Tx, origins: Sequence[str]) -> None:
    tx.many(
        "DELETE FROM ledger_checkpoint WHERE origin = ? AND note IS NOT NULL "
        "AND size < (SELECT max(size) FROM ledger_checkpoint WHERE origin = ? AND note IS NOT NULL) "
        "AND size NOT IN (SELECT size FROM ledger_checkpoint WHERE origin = ? AND cosignatures <> '' "
        "ORDER BY size DESC LIMIT ?)",
        [(origin, origin, origin, KEPT_COSIGNED) for origin in origins],
    )


def newest(db: Reader, origin: str) -> Stored | None:
    """The newest signed checkpoint."""
    sql = (
        f"SELECT {_CHECKPOINT} FROM ledger_checkpoint WHERE origin = ? AND note IS NOT NULL ORDER BY size DESC LIMIT 1"
    )
    row = db.one(sql, (origin,))
    return _stored(row) if row else None


def cosigned(db: Reader, origin: str) -> list[Stored]:
    """Signed checkpoints with cosignatures, newest first."""
    sql = f"SELECT {_CHECKPOINT} FROM ledger_checkpoint WHERE origin = ? AND cosignatures <> '' ORDER BY size DESC"
    return [_stored(row) for row in db.all(sql, (origin,))]


def checkpoints(db: Reader, origin: str) -> list[Stored]:
    """Every stored checkpoint of a log, oldest first."""
    sql = f"SELECT {_CHECKPOINT} FROM ledger_checkpoint WHERE origin = ? ORDER BY size"
    return [_stored(row) for row in db.all(sql, (origin,))]


def any_signed(db: Reader) -> bool:
    """Whether anything was ever signed here."""
    return db.one("SELECT 1 FROM ledger_checkpoint WHERE note IS NOT NULL LIMIT 1") is not None


def refusals(db: Reader) -> list[tuple[str, int, str]]:
    """(origin, size, reason) of checkpoints that may not be signed."""
    sql = "SELECT origin, size, refusal FROM ledger_checkpoint WHERE note IS NULL AND refusal <> '' ORDER BY origin"
    return [(str(row[0]), int(row[1]), str(row[2])) for row in db.all(sql)]
