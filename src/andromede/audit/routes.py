"""The audit events over the API port: to the project they concern, and to auditors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from andromede.audit import store
from andromede.audit.answers import LIST, begun, owners, purpose
from andromede.audit.event import Draft
from andromede.audit.service import INSTALLATION, Recorder
from andromede.db import Database, Row
from andromede.web.access import AccessTable, Grant
from andromede.web.api import Mount
from andromede.web.call import Call
from andromede.web.dialect import Dialect
from andromede.web.routes import Routes, Target

TABLE = AccessTable({LIST: (Grant("cloud", "auditor"), Grant("project", "reader"), Grant("project", "auditor"))})
"""Auditors of the system and administrators see every event; others those of their project."""
PAGE = 100
LARGEST_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Trail:
    """The audit trail as the routes see it."""

    db: Database
    recorder: Recorder


routes: Routes[Trail] = Routes()


def _target(call: Call[Trail], _: Any) -> Target:
    return Target(project_id=call.query.get("project_id") or call.who.project_id)


@routes.add("GET", "/v1/events", LIST, target=_target)
def list_events(call: Call[Trail]) -> dict[str, Any]:
    """Events in order of id: `after` an id, at most `limit`; or the `newest` so many. `project_id` narrows what an
    auditor sees; without it every tenant whose events are shown is told in its own log. `event` is the text of exactly
    the bytes that are stored, empty once erased; `index` its place in the log of its tenant. Asking leaves
    an event too."""
    tenant = _tenant(call)
    newest = call.integer("newest", 1, LARGEST_PAGE)
    after = call.integer("after", 0, 10**18 - 1) or 0
    limit = call.integer("limit", 1, LARGEST_PAGE) or PAGE
    trail = call.services
    with trail.db.write() as tx:
        rows = store.newest(tx, tenant, newest) if newest else store.events(tx, tenant, after, limit)
        log = tenant if tenant and begun(tx, tenant) else INSTALLATION
        told = dict.fromkeys([log, *(owners(rows) if tenant is None else ())])
        who, what = call.who.label(), f"events:{tenant or 'all'}"
        drafts = [Draft(to, who, LIST, what, call.request_id, purpose=purpose(call, to)) for to in told]
        trail.recorder.record(tx, drafts)
    return {"events": [_shown(row) for row in rows], "next": rows[-1][0] if rows else after}


def _tenant(call: Call[Trail]) -> str | None:
    """The project whose events are asked for; None: all."""
    wanted = call.query.get("project_id")
    return wanted if TABLE.reach(call.who, LIST).everything else wanted or call.who.project_id


def _shown(row: Row) -> dict[str, Any]:
    event = bytes(row[2]).decode("utf-8", "surrogateescape")
    return {"id": row[0], "tenant": row[1], "index": row[3], "event": event}


def mount(db: Database, recorder: Recorder) -> Mount:
    """The trail under /ledger."""
    return Mount("/ledger", "ledger", routes, Trail(db, recorder), Dialect("ledger"))
