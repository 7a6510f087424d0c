"""Laying rows: how a version takes its place over a key, and how it leaves. Inside a commit."""

from __future__ import annotations

import msgspec

from andromede.objects import garbage_store, rules, version_store
from andromede.objects.batch import Batch
from andromede.objects.blobs import Extent
from andromede.objects.container_store import State
from andromede.objects.model import Attributes, Checksum, Kind, Location, Stored, Version, Versioning
from andromede.objects.version_store import LISTED_INDEXED, LISTED_MARKER, LISTED_SCANNED, NOT_NEWEST


class Draught(msgspec.Struct, frozen=True):
    """A version about to be put: everything but what the commit decides."""

    id: str
    container_id: int
    key: str
    size: int
    etag: str
    checksum: Checksum | None
    parts: int
    owner_id: str
    attributes: Attributes
    body: Location | None


def location(stored: Stored) -> Location:
    """Where received bytes are, now that their record (if any) is in the log."""
    ref = stored.record.extent if stored.record is not None else stored.ref
    return Location(stored.blob_id, ref, stored.kek, stored.wrapped)


def claim_file(batch: Batch, ref: str, small: bool) -> None:
    """A file becomes part of an object."""
    if ref and not small:
        garbage_store.add_file(batch, Extent.parse(ref).name, batch.now_us)


def _rank(state: State, marker: bool) -> int:
    if marker:
        return LISTED_MARKER
    return LISTED_INDEXED if state.indexing else LISTED_SCANNED


def release(batch: Batch, version: Version) -> None:
    """The bytes of a version whose row goes away."""
    if version.body is not None:
        batch.drop(version.body.ref, version.body.blob_id)
    if version.parts:
        rows = version_store.parts(batch, version.id)
        for part in rows:
            if part.body is not None:
                batch.drop(part.body.ref, part.body.blob_id)
        version_store.delete_parts(batch, version.id, [part.number for part in rows])


def counted(found: tuple[Version, int] | None) -> tuple[int, int]:
    """What a row contributes to its container's counters: (objects, bytes)."""
    if found is None or found[1] not in (LISTED_INDEXED, LISTED_SCANNED):
        return 0, 0
    return 1, found[0].size


def _lay(batch: Batch, d: Draught, seq: int, rank: tuple[int, bool], before: tuple[int, int]) -> Version:
    """The row itself; `rank`: its `listed`, and whether it is the null version. `before`: what was counted there."""
    listed, is_null = rank
    version = Version(
        d.id, d.container_id, d.key, seq, is_null, True, d.size, d.etag, d.checksum, d.parts, d.owner_id,
        batch.now_us, d.attributes, d.body,
    )  # fmt: skip
    batch.put_newest(version, listed)
    after = counted((version, listed))
    batch.count(d.container_id, after[0] - before[0], after[1] - before[1])
    return version


def place(batch: Batch, state: State, draught: Draught, newest: tuple[Version, int] | None) -> Version:
    """Lay a version over its key by the rules of the container's versioning, and count it.

    `newest` is the key's newest row, or None when an archive move has just taken it away."""
    versioned = state.container.versioning is Versioning.ENABLED
    rank = _rank(state, draught.attributes.kind is Kind.MARKER), not versioned
    before = counted(newest)
    gone: tuple[Version, int] | None = None
    if not versioned and newest is not None:
        gone = newest if newest[0].is_null else version_store.null(batch, draught.container_id, draught.key)
    if gone is not None:
        rules.check_unlocked(gone[0], batch.lock_us)
        release(batch, gone[0])
        if gone is newest:  # another takes its row, and with it its place in the order
            return _lay(batch, draught, gone[0].seq, rank, before)
        version_store.delete(batch, gone[0])
    if newest is not None and (gone is None or gone[0].seq != newest[0].seq):
        version_store.set_listed(batch, newest[0], NOT_NEWEST)
    return _lay(batch, draught, batch.next_seq(), rank, before)


def remove(batch: Batch, state: State, found: tuple[Version, int]) -> Version:
    """Remove one row; when it was the newest, the one below becomes it."""
    version, listed = found
    before = counted(found)
    version_store.delete(batch, version)
    release(batch, version)
    after = (0, 0)
    if listed != NOT_NEWEST and state.container.versioning is not Versioning.OFF:
        below = version_store.current(batch, version.container_id, version.key)
        if below is not None:
            rank = _rank(state, below[0].is_marker)
            version_store.set_listed(batch, below[0], rank)
            after = counted((below[0], rank))
    batch.count(version.container_id, after[0] - before[0], after[1] - before[1])
    return version


def record_owner(container_id: int, key: str, blob_id: str) -> bytes:
    """The header of a small body in the segment log: which row refers to it."""
    return f"v\0{container_id}\0{blob_id}\0{key}".encode()


def part_owner(owner: str, number: int, blob_id: str) -> bytes:
    """The same for a small part."""
    return f"p\0{owner}\0{blob_id}\0{number}".encode()
