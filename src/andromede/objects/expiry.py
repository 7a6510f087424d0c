"""X-Delete-At: readers stop seeing an object at that second; this removes it afterwards."""

from __future__ import annotations

from andromede.clock import US
from andromede.db import Tx
from andromede.ids import request_id
from andromede.objects import placing, rules, trail, version_store
from andromede.objects.batch import Batch
from andromede.objects.commit import Step
from andromede.objects.model import Trace, Version, Versioning
from andromede.objects.service import Objects, Tools
from andromede.objects.versions import marker_draught

_DAY_US = 86_400 * US


def expire_due(objects: Objects, tools: Tools, limit: int) -> int:
    """Remove what is due, at most `limit`; how many were dealt with."""
    found = version_store.due(tools.db, objects.trusted.now_us(), limit)
    trace = Trace(None, "expirer:DeleteObject", request_id(tools.ids), "worker", "OPERATOR_SYSTEM", "worker:expirer")
    objects.run_all([_expiring(objects, version, trace) for version in found])
    return len(found)


def _expiring(objects: Objects, version: Version, trace: Trace) -> Step[None]:
    marker_id = objects.new_id()
    return Step(lambda tx: _expire(tx, version, trace, marker_id))


def _expire(tx: Tx, version: Version, trace: Trace, marker_id: str) -> None:
    """In a versioned container a marker takes the place of a current version. A locked version stays,
    and stays readable, until its lock ends."""
    batch = Batch.of(tx)
    found = version_store.by_internal_id(batch, version.container_id, version.key, version.id)
    if found is None or not rules.expired(found[0], batch.lock_us):
        return
    state = batch.state(version.container_id)
    lock = found[0].attributes.lock
    if rules.locked(lock, batch.lock_us, bypass=False):
        version_store.set_delete_at(batch, found[0], max(lock.until_us or 0, batch.lock_us + _DAY_US))
        return
    if found[1] != version_store.NOT_NEWEST and state.container.versioning is not Versioning.OFF:
        draught = marker_draught(version.container_id, version.key, marker_id, state.container.owner_id)
        placing.place(batch, state, draught, found)
        found = version_store.by_internal_id(batch, version.container_id, version.key, version.id)
    if found is not None:
        placing.remove(batch, state, found)
    batch.drafts.append(trail.version_event(state.container, trace, version))
