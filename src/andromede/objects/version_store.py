"""Rows of versions and parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from andromede.db import Row, Tx
from andromede.objects import codec
from andromede.objects.codec import PART_COLUMNS, VERSION_COLUMNS
from andromede.objects.container_store import Reader
from andromede.objects.model import Location, Part, Version

Name = tuple[int, str]
Newest = tuple[Version, int]
LISTED_INDEXED, LISTED_MARKER, LISTED_SCANNED, NOT_NEWEST = 1, 2, 3, 0

_MARKS = ", ".join("?" * 20)
_INSERT = f"INSERT INTO version ({VERSION_COLUMNS}) VALUES ({_MARKS})"
_CURRENT = f"SELECT {VERSION_COLUMNS} FROM version WHERE container_id = ? AND key = ? ORDER BY seq DESC LIMIT 1"
_HEAD = (
    f"SELECT {VERSION_COLUMNS}, (SELECT value FROM sequence WHERE name = 'keys') "
    "FROM version WHERE container_id = ? AND key = ?"
)
_NEWEST = f"{_HEAD} ORDER BY seq DESC LIMIT 1"
_BY_ID = f"{_HEAD} AND is_null = 0 AND id = ?"
_NULL = f"{_HEAD} AND is_null = 1 ORDER BY seq DESC LIMIT 1"


def newest(reader: Reader, container_id: int, key: str) -> Row | None:
    """VERSION_COLUMNS of a key's newest version, then the change counter of the keys."""
    return reader.one(_NEWEST, (container_id, key))


def by_shown_id(reader: Reader, container_id: int, key: str, shown: str) -> Row | None:
    """The same of one version by the id that clients see."""
    if shown == "null":
        return reader.one(_NULL, (container_id, key))
    if not (shown.isascii() and shown.isprintable()):  # no id of ours, and nothing that a database can be asked for
        return None
    return reader.one(_BY_ID, (container_id, key, shown))


def current(tx: Tx, container_id: int, key: str) -> tuple[Version, int] | None:
    """A key's newest version and its `listed`, for a write."""
    row = tx.one(_CURRENT, (container_id, key))
    return (codec.version(row), row[5]) if row else None


def current_of(tx: Tx, container_id: int, keys: Sequence[str]) -> dict[str, Newest]:
    """The same of the keys that there are, of up to 64; for a container without versioning, whose keys have one row
    each: of others, every version would be looked at."""
    marks = 1 << (len(keys) - 1).bit_length()  # few statements serve every count: the last key is asked for again
    rows = tx.all(_current_of(marks), (container_id, *keys, *[keys[-1]] * (marks - len(keys))))
    return {row[1]: (codec.version(row), row[5]) for row in rows}


@cache
def _current_of(marks: int) -> str:
    names = ", ".join("?" * marks)
    return f"SELECT {VERSION_COLUMNS} FROM version WHERE container_id = ? AND key IN ({names}) AND listed > 0"


def by_internal_id(reader: Reader, container_id: int, key: str, version_id: str) -> tuple[Version, int] | None:
    """A version by its own id, null or not, and its `listed`."""
    row = reader.one(
        f"SELECT {VERSION_COLUMNS} FROM version WHERE container_id = ? AND key = ? AND id = ?",
        (container_id, key, version_id),
    )
    return (codec.version(row), row[5]) if row else None


def null(tx: Tx, container_id: int, key: str) -> tuple[Version, int] | None:
    """A key's null version and its `listed`."""
    row = tx.one(f"{_NULL}", (container_id, key))
    return (codec.version(row), row[5]) if row else None


def insert(tx: Tx, version: Version, listed: int) -> None:
    """Add a row."""
    tx.run(_INSERT, codec.version_row(version, listed))


def delete(tx: Tx, version: Version) -> None:
    """Remove a row, and with it its wrapped key."""
    tx.run(
        "DELETE FROM version WHERE container_id = ? AND key = ? AND seq = ?",
        (version.container_id, version.key, version.seq),
    )


def replace(tx: Tx, old: Version, new: Version, listed: int) -> None:
    """Write every column of a row anew (same container and key; sequence and id may differ)."""
    delete(tx, old)
    insert(tx, new, listed)


_REST = VERSION_COLUMNS.split(", ")[3:]
_IN_PLACE = (
    f"ON CONFLICT (container_id, key, seq) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _REST)}"
)


def lay(tx: Tx, rows: Sequence[Row]) -> None:
    """Write rows of VERSION_COLUMNS, each in place of the one with its container, key and sequence number."""
    tx.insert(f"version ({VERSION_COLUMNS})", rows, _IN_PLACE)


def set_listed(tx: Tx, version: Version, listed: int) -> None:
    """Change a row's place in listings."""
    tx.run(
        "UPDATE version SET listed = ? WHERE container_id = ? AND key = ? AND seq = ?",
        (listed, version.container_id, version.key, version.seq),
    )


def index_rows(tx: Tx, container_id: int, after: str, limit: int) -> str | None:
    """Put the next rows of a scanned container into the index; the last key done, None at the end."""
    rows = tx.all(
        "SELECT key FROM version WHERE container_id = ? AND key > ? ORDER BY key LIMIT ?", (container_id, after, limit)
    )
    if not rows:
        return None
    last: str = rows[-1][0]
    tx.run(
        "UPDATE version SET listed = 1 WHERE container_id = ? AND key > ? AND key <= ? AND listed = 3",
        (container_id, after, last),
    )
    return last


def any_row(reader: Reader, container_id: int) -> bool:
    """Whether the container holds any version or marker."""
    return reader.one("SELECT 1 FROM version WHERE container_id = ? LIMIT 1", (container_id,)) is not None


def count_rows(reader: Reader, container_id: int, most: int) -> int:
    """How many rows the container holds, counted no further than `most`."""
    row = reader.one(
        "SELECT count(*) FROM (SELECT 1 FROM version WHERE container_id = ? LIMIT ?) AS few", (container_id, most)
    )
    return int(row[0]) if row else 0


def due(reader: Reader, now_us: int, limit: int) -> list[Version]:
    """Versions whose X-Delete-At has come, oldest first."""
    rows = reader.all(
        f"SELECT {VERSION_COLUMNS} FROM version WHERE delete_at IS NOT NULL AND delete_at <= ? "
        "ORDER BY delete_at, container_id, key LIMIT ?",
        (now_us, limit),
    )
    return [codec.version(row) for row in rows]


def move_bytes(tx: Tx, version_id: str, old_ref: str, new_ref: str, place: tuple[int, str]) -> None:
    """The same sealed bytes of a version at (container, key) now lie elsewhere."""
    tx.run(
        "UPDATE version SET ref = ? WHERE container_id = ? AND key = ? AND id = ? AND ref = ?",
        (new_ref, *place, version_id, old_ref),
    )


def move_part(tx: Tx, owner: str, number: int, new_ref: str) -> None:
    """The same of a part."""
    tx.run("UPDATE part SET ref = ? WHERE owner = ? AND number = ?", (new_ref, owner, number))


def set_delete_at(tx: Tx, version: Version, delete_at_us: int) -> None:
    """Put an expiry off."""
    tx.run(
        "UPDATE version SET delete_at = ? WHERE container_id = ? AND key = ? AND seq = ?",
        (delete_at_us, version.container_id, version.key, version.seq),
    )


# --- parts


def put_part(tx: Tx, owner: str, part: Part) -> None:
    """Add a part; the caller removed an earlier one of that number."""
    body = part.body
    assert body is not None
    tx.run(
        f"INSERT INTO part (owner, {PART_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            owner, part.number, part.size, part.etag, codec.pack_checksum(part.checksum), part.created_us,
            body.blob_id, body.ref, body.kek, body.wrapped,
        ),
    )  # fmt: skip


def one_part(reader: Reader, owner: str, number: int) -> Part | None:
    """One part by number."""
    row = reader.one(f"SELECT {PART_COLUMNS} FROM part WHERE owner = ? AND number = ?", (owner, number))
    return codec.part(row) if row else None


def parts(reader: Reader, owner: str, after: int = 0, limit: int = 10_000) -> list[Part]:
    """Parts in order of number."""
    rows = reader.all(
        f"SELECT {PART_COLUMNS} FROM part WHERE owner = ? AND number > ? ORDER BY number LIMIT ?",
        (owner, after, limit),
    )
    return [codec.part(row) for row in rows]


def part_start(reader: Reader, owner: str, number: int) -> int:
    """The offset of a part's first byte in the whole."""
    row = reader.one("SELECT coalesce(sum(size), 0) FROM part WHERE owner = ? AND number < ?", (owner, number))
    return int(row[0]) if row else 0


def delete_parts(tx: Tx, owner: str, numbers: Sequence[int]) -> None:
    """Remove some parts."""
    tx.many("DELETE FROM part WHERE owner = ? AND number = ?", [(owner, number) for number in numbers])


def set_part_body(tx: Tx, owner: str, number: int, body: Location) -> None:
    """A part's bytes lie elsewhere, or its data key is wrapped anew."""
    tx.run(
        "UPDATE part SET ref = ?, kek = ?, wrapped = ? WHERE owner = ? AND number = ?",
        (body.ref, body.kek, body.wrapped, owner, number),
    )


def last_between(tx: Tx, container_id: int, low: str, high: str | None) -> tuple[Version, int] | None:
    """The visible version with the greatest key of a range."""
    below = " AND key < ?" if high is not None else ""
    row = tx.one(
        f"SELECT {VERSION_COLUMNS} FROM version WHERE container_id = ? AND key >= ?{below} AND listed IN (1, 3) "
        "ORDER BY key DESC, seq DESC LIMIT 1",
        (container_id, low, *((high,) if high is not None else ())),
    )
    return (codec.version(row), row[5]) if row else None


# --- wrapping anew


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a walk over all wrapped data keys came: first versions, then parts."""

    version: tuple[int, str, int] = (0, "", 0)
    part: tuple[str, int] | None = None
    done: bool = False


Spot = tuple[int, str, int] | tuple[str, int]


def wrapped_under(tx: Tx, key_id: str, cursor: Cursor, limit: int) -> tuple[list[tuple[Spot, Location]], Cursor]:
    """Of the next `limit` rows, those whose data key is wrapped under this key; and where to go on."""
    if cursor.part is None:
        rows = tx.all(
            "SELECT container_id, key, seq, blob_id, ref, kek, wrapped FROM version "
            "WHERE (container_id, key, seq) > (?, ?, ?) ORDER BY container_id, key, seq LIMIT ?",
            (*cursor.version, limit),
        )
        found: list[tuple[Spot, Location]] = [(row[:3], Location(*row[3:])) for row in rows if row[5] == key_id]
        return found, Cursor(rows[-1][:3]) if rows else Cursor(part=("", 0))
    rows = tx.all(
        "SELECT owner, number, blob_id, ref, kek, wrapped FROM part WHERE (owner, number) > (?, ?) "
        "ORDER BY owner, number LIMIT ?",
        (*cursor.part, limit),
    )
    found = [(row[:2], Location(*row[2:])) for row in rows if row[4] == key_id]
    return found, Cursor(part=rows[-1][:2]) if rows else Cursor(part=("", 0), done=True)


def set_wrapped(tx: Tx, spot: Spot, body: Location) -> None:
    """A data key is wrapped anew."""
    where = "version WHERE container_id = ? AND key = ? AND seq = ?"
    if len(spot) == 2:
        where = "part WHERE owner = ? AND number = ?"
    table, condition = where.split(" WHERE ")
    tx.run(f"UPDATE {table} SET wrapped = ? WHERE {condition}", (body.wrapped, *spot))
