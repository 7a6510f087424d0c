"""Swift's older versioning: the row of a replaced object moves to an archive container.

`X-Versions-Location` (a delete brings the previous one back) and `X-History-Location` (a delete archives
the object and leaves a marker). No bytes are copied: the data keys are wrapped anew and the row gets the
key `<length of the name, 3 hex digits><name>/<time>`, all in the transaction of the write.
"""

from __future__ import annotations

import msgspec

from andromede.errors import Precondition
from andromede.objects import container_store, garbage_store, placing, version_store
from andromede.objects.batch import Batch
from andromede.objects.container_store import State
from andromede.objects.model import Attributes, Container, DeleteResult, Location, Version, Versioning
from andromede.objects.placing import Draught
from andromede.objects.ranges import upper_bound

MARKER_TYPE = "application/x-deleted;swift_versions_deleted=1"


def target_name(container: Container) -> str | None:
    """The archive container's name, if the older versioning is on."""
    if not container.settings or container.versioning is not Versioning.OFF:
        return None
    return container.settings.get("x-versions-location") or container.settings.get("x-history-location") or None


def prefix(key: str) -> str:
    """What the names of a key's archived versions begin with."""
    return f"{len(key.encode()):03x}{key}/"


def _target(batch: Batch, state: State) -> State:
    name = target_name(state.container) or ""
    found = container_store.named(batch, state.container.project_id, name)
    if found is None:
        raise Precondition(f"the container {name!r} for former versions does not exist: create it", "versions_location")
    return batch.state(found.container.id)


def _archive_key(batch: Batch, target: State, key: str, us: int) -> str:
    while True:
        name = f"{prefix(key)}{us // 1_000_000:010d}.{us % 1_000_000 // 10:05d}"
        if version_store.current(batch, target.container.id, name) is None:
            return name
        us += 10


def _rewrapped(batch: Batch, body: Location, target: State) -> Location:
    kek_id, tenant = target.kek, target.container.project_id
    if body.kek == kek_id or not body.wrapped:
        return body
    plain = batch.keys.open_data_key(body.kek, body.blob_id, body.wrapped, batch, tenant)
    wrapped = batch.keys.seal_data_key(batch.keys.newest(kek_id, batch), body.blob_id, plain)
    return msgspec.structs.replace(body, kek=kek_id, wrapped=wrapped)


def move(batch: Batch, found: tuple[Version, int], source: State, target: State, key: str) -> Version:
    """Move the only row of a key to a free key of another container."""
    version = found[0]
    objects, size = placing.counted(found)
    version_store.delete(batch, version)
    batch.count(version.container_id, -objects, -size)
    body = version.body
    owned = version.attributes.encryption.mode != "aws:kms"  # a key that the tenant named is not the container's
    if body is not None and owned:
        body = _rewrapped(batch, body, target)
    if body is not None:
        garbage_store.moved(batch, body.blob_id, target.container.id, key)
    if version.parts and owned:
        for part in version_store.parts(batch, version.id):
            if part.body is not None:
                version_store.set_part_body(batch, version.id, part.number, _rewrapped(batch, part.body, target))
    draught = Draught(
        version.id, target.container.id, key, version.size, version.etag, version.checksum, version.parts,
        version.owner_id, version.attributes, body,
    )  # fmt: skip
    return placing.place(batch, target, draught, version_store.current(batch, target.container.id, key))


def before_put(batch: Batch, state: State, newest: tuple[Version, int] | None) -> tuple[Version, int] | None:
    """Archive what a put replaces. Precondition reason `versions_location` when there is no archive."""
    if newest is None:
        return None
    target = _target(batch, state)
    move(batch, newest, state, target, _archive_key(batch, target, newest[0].key, newest[0].created_us))
    return None


def delete(batch: Batch, state: State, newest: tuple[Version, int]) -> DeleteResult:
    """Delete under either mode. Nothing can be brought back from an archive that is not there."""
    key = newest[0].key
    restores = state.container.settings.get("x-versions-location")
    if restores and container_store.named(batch, state.container.project_id, restores) is None:
        return DeleteResult(placing.remove(batch, state, newest), None)
    target = _target(batch, state)
    if not restores:
        move(batch, newest, state, target, _archive_key(batch, target, key, newest[0].created_us))
        attributes = Attributes(content_type=MARKER_TYPE)
        name = _archive_key(batch, target, key, batch.now_us)
        marker_id = f"{newest[0].id}-deleted"
        empty = "d41d8cd98f00b204e9800998ecf8427e"
        draught = Draught(marker_id, target.container.id, name, 0, empty, None, 0, newest[0].owner_id, attributes, None)
        placing.place(batch, target, draught, None)
        return DeleteResult(newest[0], None)
    removed = placing.remove(batch, state, newest)
    low = prefix(key)
    row = version_store.last_between(batch, target.container.id, low, upper_bound(low))
    if row is not None and row[0].attributes.content_type == MARKER_TYPE:
        placing.remove(batch, target, row)
    elif row is not None:
        move(batch, row, target, state, key)
    return DeleteResult(removed, None)
