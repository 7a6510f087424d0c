"""Listings: range scans in key order that seek past common prefixes, never through them.

`key + "\\x01"` is the least key behind `key`, since keys hold no NUL. The cost of a page depends on what
it holds. Expired objects are skipped and pages filled up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from andromede.db import Row
from andromede.objects import codec, listing_store
from andromede.objects.container_store import Reader
from andromede.objects.model import (
    Listing,
    ListQuery,
    ShownListing,
    Upload,
    UploadListing,
    Version,
    VersionQuery,
)
from andromede.objects.ranges import upper_bound

CHUNK_LEAST, CHUNK_MOST = 32, 2000


class Scan(Protocol):
    """Rows with keys in [low, high) (None: no bound), ascending or descending, at most `limit`."""

    def __call__(self, low: str, high: str | None, limit: int) -> list[Row]: ...


@dataclass(slots=True)
class Window:
    """What is left of the range of a listing: keys in [low, high)."""

    low: str
    high: str | None

    @property
    def empty(self) -> bool:
        """No key can be in it."""
        return self.high is not None and self.low >= self.high


def window(q: ListQuery) -> Window:
    """The range that prefix and markers leave."""
    low, high = q.prefix, upper_bound(q.prefix)
    after, before = (q.before, q.after) if q.reverse else (q.after, q.before)
    if after:
        low = max(low, after + "\x01")
    if before:
        high = before if high is None else min(high, before)
    return Window(low, high)


def folded(key: str, prefix: str, delimiter: str) -> str | None:
    """The common prefix that a key falls under, if any."""
    at = key.find(delimiter, len(prefix)) if delimiter else -1
    return key[: at + len(delimiter)] if at >= 0 else None


def entries(scan: Scan, q: ListQuery, key_column: int, probe: Scan | None = None) -> Iterator[Row | str]:
    """Rows and common prefixes in order, without limit; each common prefix once. `probe` is a cheaper scan
    of the same range whose rows hold the key alone: after one common prefix another is likely."""
    left = window(q)
    if q.delimiter and q.after:
        _past_marker(left, q)
    most = min(max(q.limit + 1, CHUNK_LEAST), CHUNK_MOST)
    chunk = CHUNK_LEAST if q.delimiter else most
    probing = False
    while not left.empty:
        if probing and probe is not None:
            fold = _first_fold(probe(left.low, left.high, 1), q)
            if fold is not None:
                yield fold
                _skip(left, fold, q.reverse)
                continue
            probing = False
        rows = scan(left.low, left.high, chunk)
        fold = None
        for row in rows:
            fold = folded(row[key_column], q.prefix, q.delimiter)
            if fold is not None:
                yield fold
                _skip(left, fold, q.reverse)
                break
            yield row
        if fold is not None:
            chunk, probing = 2, True
            continue
        if len(rows) < chunk:
            return
        chunk = min(chunk * 8, most)
        last = rows[-1][key_column]
        if q.reverse:
            left.high = last
        else:
            left.low = last + "\x01"


def _first_fold(rows: list[Row], q: ListQuery) -> str | None:
    return folded(rows[0][0], q.prefix, q.delimiter) if rows else None


def _skip(left: Window, fold: str, reverse: bool) -> None:
    if reverse:
        left.high = fold
    else:
        bound = upper_bound(fold)
        if bound is None:
            left.high = left.low
        else:
            left.low = bound


def _past_marker(left: Window, q: ListQuery) -> None:
    """A marker at or under a common prefix: that prefix was shown on an earlier page. Not so in descending order:
    there the prefix comes behind all names under it, and the window ends at the marker already."""
    fold = folded(q.after, q.prefix, q.delimiter) if q.after.startswith(q.prefix) else None
    if fold is None or q.reverse or (q.inside and fold != q.after):
        return
    bound = upper_bound(fold)
    if bound is None:
        left.high = left.low
    else:
        left.low = max(left.low, bound)


@dataclass(frozen=True, slots=True)
class Source:
    """Where the current objects of one container are read. `indexed` as in `listing_store.current`."""

    reader: Reader
    container_id: int
    indexed: bool
    now_us: int

    def rows(self, q: ListQuery, columns: str) -> Scan:
        """A scan whose rows have these columns."""

        def scan(low: str, high: str | None, limit: int) -> list[Row]:
            span = listing_store.Span(self.container_id, low, high, limit, q.reverse)
            return listing_store.current(self.reader, span, self.indexed, self.now_us, columns)

        return scan


def page(source: Source, q: ListQuery, columns: str, key_column: int) -> tuple[list[Row | str], bool]:
    """A page of current, unexpired objects as rows, with common prefixes; and whether anything follows."""
    if q.limit <= 0:
        return [], False
    scan = source.rows(q, columns)
    found: list[Row | str] = []
    if not q.delimiter and q.limit < CHUNK_MOST:
        left = window(q)
        found += [] if left.empty else scan(left.low, left.high, q.limit + 1)
        return found[: q.limit], len(found) > q.limit
    for entry in entries(scan, q, key_column, source.rows(q, listing_store.KEY)):
        if len(found) == q.limit:
            return found, True
        found.append(entry)
    return found, False


def objects(source: Source, q: ListQuery) -> Listing:
    """A page of current, unexpired objects."""
    found, more = page(source, q, codec.VERSION_COLUMNS, 1)
    whole = tuple(entry if isinstance(entry, str) else codec.version(entry) for entry in found)
    return Listing(whole, more, _name(whole[-1]) if whole else q.after if q.limit <= 0 else "")


def shown(source: Source, q: ListQuery, owned: bool) -> ShownListing:
    """The same with what a listing shows of an object, of its owner only when `owned`."""
    found, more = page(source, q, listing_store.SHOWN[owned], 0)
    last = found[-1] if found else ""
    return ShownListing(found, more, last if isinstance(last, str) else last[0])


def _name(entry: Version | str) -> str:
    return entry if isinstance(entry, str) else entry.key


def versions(reader: Reader, container_id: int, q: VersionQuery, now_us: int) -> Listing:
    """A page of all versions and markers, newest first within a key."""
    if q.limit <= 0:
        return Listing((), False, q.after_key)
    found: list[Version | str] = []
    low, high = q.prefix, upper_bound(q.prefix)
    position = _version_start(reader, container_id, q)
    if q.after_key:
        low = max(low, q.after_key if position is not None else q.after_key + "\x01")
        fold = folded(q.after_key, q.prefix, q.delimiter) if q.after_key.startswith(q.prefix) else None
        if fold is not None:
            low = max(low, upper_bound(fold) or "")
            if upper_bound(fold) is None:
                return Listing((), False, "")
            position = None
    below = (q.after_key, position) if position is not None else None
    chunk = CHUNK_LEAST if q.delimiter else CHUNK_MOST
    while high is None or low < high:
        chunk = min(q.limit + 1 - len(found), chunk) or 1
        rows = listing_store.versions(reader, listing_store.Span(container_id, low, high, chunk, False), below, now_us)
        skipped = False
        for row in rows:
            fold = folded(row[1], q.prefix, q.delimiter)
            if len(found) == q.limit:
                return Listing(tuple(found), True, _name(found[-1]))
            found.append(codec.version(row) if fold is None else fold)
            if fold is not None:
                bound = upper_bound(fold)
                if bound is None:
                    return Listing(tuple(found), False, fold)
                low, below, skipped = bound, None, True
                break
        if skipped:
            chunk = 2
            continue
        if len(rows) < chunk:
            break
        chunk = min(chunk * 8, CHUNK_MOST)
        low, below = rows[-1][1], (rows[-1][1], rows[-1][2])
    return Listing(tuple(found), False, _name(found[-1]) if found else "")


def _version_start(reader: Reader, container_id: int, q: VersionQuery) -> int | None:
    """The sequence number of the version to continue behind, None when the key itself is done."""
    if not q.after_key or not q.after_id:
        return None
    return listing_store.seq_of(reader, container_id, q.after_key, q.after_id)


def uploads(reader: Reader, container_id: int, q: ListQuery, id_marker: str) -> UploadListing:
    """A page of unfinished uploads. `q.after` with `id_marker` continues inside that key."""
    from andromede.objects import upload_store

    if q.limit <= 0:
        return UploadListing((), False, q.after, id_marker)
    found: list[Upload | str] = []
    high = upper_bound(q.prefix)
    low = (q.prefix, "")
    if q.after >= q.prefix:
        low = (q.after, id_marker or "\U0010ffff") if q.after else low
        fold = folded(q.after, q.prefix, q.delimiter) if q.after.startswith(q.prefix) else None
        if fold is not None:
            low = (upper_bound(fold) or fold, "")
    while True:
        rows = upload_store.page(reader, container_id, low, high, q.limit + 1)
        skipped = False
        for row in rows:
            fold = folded(row[1], q.prefix, q.delimiter)
            if len(found) == q.limit:
                return _upload_page(found, True)
            found.append(codec.upload(row) if fold is None else fold)
            low = (row[1], row[2])
            if fold is not None:
                bound = upper_bound(fold)
                if bound is None:
                    return _upload_page(found, False)
                low, skipped = (bound, ""), True
                break
        if not skipped and len(rows) <= q.limit:
            return _upload_page(found, False)


def _upload_page(found: list[Upload | str], truncated: bool) -> UploadListing:
    last = found[-1] if found else ""
    if isinstance(last, str):
        return UploadListing(tuple(found), truncated, last, "")
    return UploadListing(tuple(found), truncated, last.key, last.id)
