"""Putting, deleting and changing versions: the works that run inside a commit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import msgspec

from andromede.errors import NotFound
from andromede.objects import archive, codec, rules, trail, version_store
from andromede.objects.batch import Batch
from andromede.objects.container_store import State
from andromede.objects.model import (
    NO_CONDITIONS,
    UNSET,
    Attributes,
    Conditions,
    DeleteOptions,
    DeleteResult,
    Kind,
    Lock,
    ObjectChange,
    Trace,
    Version,
    Versioning,
)
from andromede.objects.placing import Draught, counted, place, remove


def check_room(batch: Batch, state: State, newest: tuple[Version, int] | None, size: int) -> None:
    """Quotas, when there are any."""
    if not state.container.settings and not state.account.settings:
        return
    if any(limit is not None for limit in rules.quotas(state)):
        batch.settle()
        objects, used = counted(newest)
        rules.check_quota(batch, state, 1 - objects, size - used)


def put(batch: Batch, draught: Draught, conditions: Conditions, trace: Trace) -> Version:
    """Put one version: conditions, quota, legacy versioning, row, counters, event."""
    state = batch.state(draught.container_id)
    newest = batch.newest(draught.container_id, draught.key)
    if conditions is not NO_CONDITIONS:
        current = rules.visible(newest[0], batch.now_us) if newest else None
        rules.check_put(current, conditions, draught.key)
    if draught.body is not None:
        batch.check_key(draught.body.kek)
    check_room(batch, state, newest, draught.size)
    if archive.target_name(state.container):
        newest = archive.before_put(batch, state, newest)
    version = place(batch, state, draught, newest)
    batch.drafts.append(trail.version_event(state.container, trace, version, bytes=version.size))
    return version


def marker_draught(container_id: int, key: str, marker_id: str, owner_id: str) -> Draught:
    """A delete marker about to be laid."""
    attributes = Attributes(content_type="", kind=Kind.MARKER)
    return Draught(marker_id, container_id, key, 0, "", None, 0, owner_id, attributes, None)


def delete(
    batch: Batch, container_id: int, key: str, version_id: str | None, options: DeleteOptions, marker_id: str
) -> DeleteResult:
    """Delete a version by its shown id, or (None) the key as a client means it."""
    if version_id is not None:
        return _delete_version(batch, container_id, key, version_id, options)
    state = batch.state(container_id)
    newest = version_store.current(batch, container_id, key)
    target = newest[0] if newest and not rules.expired(newest[0], batch.now_us) else None
    rules.check_delete(target, options.conditions, key)
    if newest is None and (state.container.versioning is Versioning.OFF or options.conditions is not NO_CONDITIONS):
        return DeleteResult(None, None)  # a condition speaks of an object: none, no marker
    if newest is not None and state.container.versioning is Versioning.OFF:
        rules.check_unlocked(newest[0], batch.lock_us, options.bypass_governance)
        if archive.target_name(state.container):
            return archive.delete(batch, state, newest)
        return DeleteResult(remove(batch, state, newest), None)
    draught = marker_draught(container_id, key, marker_id, state.container.owner_id)
    return DeleteResult(None, place(batch, state, draught, newest))


def _delete_version(batch: Batch, container_id: int, key: str, version_id: str, options: DeleteOptions) -> DeleteResult:
    state = batch.state(container_id)
    row = version_store.by_shown_id(batch, container_id, key, version_id)
    if row is None:
        rules.check_delete(None, options.conditions, key)
        return DeleteResult(None, None)
    version = codec.version(row)
    rules.check_delete(version, options.conditions, key)
    if not version.is_marker:
        rules.check_unlocked(version, batch.lock_us, options.bypass_governance)
    return DeleteResult(remove(batch, state, (version, row[5])), None)


Change = ObjectChange | Callable[[Version], ObjectChange]
"""A change of one version; or, for what was asked of a key, the change of whichever version is the newest then."""


def change(batch: Batch, version: Version, new: Change, trace: Trace) -> Version:
    """Change a version's mutable attributes. When it is gone: NotFound reason `version`, or, for a change of whichever
    is the newest, reason `object` if there is none."""
    state = batch.state(version.container_id)
    found = version_store.by_internal_id(batch, version.container_id, version.key, version.id)
    if not isinstance(new, ObjectChange):
        found = found or version_store.current(batch, version.container_id, version.key)
        if found is None or rules.visible(found[0], batch.now_us) is None:
            raise NotFound(f"there is no object {version.key!r}", "object", key=version.key)
        new = new(found[0])
    if found is None:
        raise NotFound(f"the version of {version.key!r} is gone", "version", key=version.key)
    old, listed = found
    attributes = _changed(old.attributes, new, batch.lock_us)
    created = batch.now_us if new.touched else old.created_us
    changed = msgspec.structs.replace(old, attributes=attributes, created_us=created)
    version_store.replace(batch, old, changed, listed)
    batch.drafts.append(trail.version_event(state.container, trace, changed))
    return changed


def _changed(a: Attributes, new: ObjectChange, now_us: int) -> Attributes:
    lock: Lock = a.lock
    if new.lock is not UNSET:
        rules.check_lock_change(a.lock, new.lock, now_us, new.bypass_governance)
        lock = new.lock
    return dataclasses.replace(
        a,
        content_type=a.content_type if new.content_type is UNSET else new.content_type,
        headers=a.headers if new.headers is UNSET else new.headers,
        metadata=a.metadata if new.metadata is UNSET else new.metadata,
        settings=a.settings if new.settings is UNSET else new.settings,
        tags=a.tags if new.tags is UNSET else new.tags,
        acl=a.acl if new.acl is UNSET else new.acl,
        delete_at_us=a.delete_at_us if new.delete_at_us is UNSET else new.delete_at_us,
        lock=lock,
    )
