"""Range scans for listings."""

from __future__ import annotations

from dataclasses import dataclass

from andromede.db import Row
from andromede.objects.codec import VERSION_COLUMNS
from andromede.objects.container_store import Reader

KEY = "key"
_SHOWN = "key, created, etag, checksum, size, CASE WHEN wide = '{}' THEN NULL ELSE kind || ' ' || wide END"
SHOWN = {True: f"{_SHOWN}, owner_id", False: f"{_SHOWN}, NULL"}
"""What a listing of S3 shows of an object, with or without its owner: few columns, since a page reads them a thousand
times. The sixth is NULL for an object without anything special, else its kind and the attributes that are JSON."""


@dataclass(frozen=True, slots=True)
class Span:
    """Keys in [low, high) of one container, ascending or descending, at most `limit` rows."""

    container_id: int
    low: str
    high: str | None
    limit: int
    reverse: bool


def current(reader: Reader, span: Span, indexed: bool, now_us: int, columns: str) -> list[Row]:
    """Columns of visible objects. `indexed`: by the index of visible versions; else every row of the
    container is the newest of its key and the primary key is scanned."""
    listed = " AND listed = 1" if indexed else ""
    below = " AND key < ?" if span.high is not None else ""
    order = "DESC" if span.reverse else "ASC"
    return reader.all(
        f"SELECT {columns} FROM version WHERE container_id = ? AND key >= ?{below}{listed} "
        f"AND (delete_at IS NULL OR delete_at > ?) ORDER BY key {order} LIMIT ?",
        (span.container_id, span.low, *((span.high,) if span.high is not None else ()), now_us, span.limit),
    )


def versions(reader: Reader, span: Span, below: tuple[str, int] | None, now_us: int) -> list[Row]:
    """VERSION_COLUMNS of all versions, newest first within a key; `below`: inside the key `span.low`
    only those with a smaller sequence number."""
    rows: list[Row] = []
    low, op = span.low, ">="
    if below is not None and below[0] == span.low:
        rows = reader.all(
            f"SELECT {VERSION_COLUMNS} FROM version WHERE container_id = ? AND key = ? AND seq < ? "
            "AND (delete_at IS NULL OR delete_at > ?) ORDER BY seq DESC LIMIT ?",
            (span.container_id, low, below[1], now_us, span.limit),
        )
        op = ">"
    if len(rows) < span.limit:
        upto = " AND key < ?" if span.high is not None else ""
        rows += reader.all(
            f"SELECT {VERSION_COLUMNS} FROM version WHERE container_id = ? AND key {op} ?{upto} "
            "AND (delete_at IS NULL OR delete_at > ?) ORDER BY key, seq DESC LIMIT ?",
            (
                span.container_id, low, *((span.high,) if span.high is not None else ()), now_us,
                span.limit - len(rows),
            ),
        )  # fmt: skip
    return rows


def seq_of(reader: Reader, container_id: int, key: str, shown: str) -> int | None:
    """The sequence number of a version by its shown id."""
    where, params = ("is_null = 1", ()) if shown == "null" else ("is_null = 0 AND id = ?", (shown,))
    row = reader.one(
        f"SELECT seq FROM version WHERE container_id = ? AND key = ? AND {where}", (container_id, key, *params)
    )
    return int(row[0]) if row else None
