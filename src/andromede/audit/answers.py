"""The events of calls at the API port, and the header that names their places.

Which log an event goes into:
1. the log of the project that the call concerns, where it concerns one: its data, its tags and roles, its
   credentials, tokens scoped to it;
2. else the log of the project that the caller's token is scoped to, who can thus always ask for the receipt;
3. else (a domain's or the system's token, none, a failed login) the log of the installation.
A refused call goes by 2 and 3: it reached nothing of the other's.

Its purpose is CUSTOMER_ACCESS, but for those who administer or audit the whole installation and act on a project
that is not their own: OPERATOR_REVIEW when they read, OPERATOR_SYSTEM when they change something.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from andromede.audit import store
from andromede.audit.event import Draft
from andromede.audit.places import HEADER, Places
from andromede.audit.service import INSTALLATION, Recorder
from andromede.audit.together import Together
from andromede.db import Database, Row, Tx
from andromede.web.access import is_cloud_admin
from andromede.web.actor import ANONYMOUS_LABEL
from andromede.web.call import Call
from andromede.web.routes import Target

LIST, TAIL = "ledger:list_events", "operator:tail"
"""Actions that show the events of every tenant at once."""
_READING = tuple(f'"action":"{action}"'.encode() for action in (LIST, TAIL))


def begun(tx: Tx, tenant: str) -> bool:
    """Whether a tenant has a log. A name that a client gave must not begin one."""
    return store.origin(tx, tenant) is not None


def own_log(call: Call[Any]) -> str:
    """The log of what concerns no project in particular."""
    return (call.actor.project_id if call.actor else None) or INSTALLATION


def purpose(call: Call[Any], tenant: str) -> str:
    """The purpose of a call whose event goes into this log."""
    who = call.actor
    if who is None or tenant in (INSTALLATION, who.project_id) or not (who.system or is_cloud_admin(who)):
        return "CUSTOMER_ACCESS"
    return "OPERATOR_REVIEW" if call.method in ("GET", "HEAD") else "OPERATOR_SYSTEM"


def draft(
    call: Call[Any], object: str, tenant: str = "", outcome: str = "success", detail: dict[str, str | int] | None = None
) -> Draft:
    """The audit event of a call."""
    return Draft(
        tenant=tenant,
        actor=call.actor.label() if call.actor else ANONYMOUS_LABEL,
        action=call.action,
        object=object,
        request_id=call.request_id,
        outcome=outcome,
        purpose=purpose(call, tenant),
        detail=detail or None,
    )


def owners(rows: Iterable[Row]) -> list[str]:
    """The tenants whose events stand in (id, tenant, body, ...) rows. Events that tell of such a reading do not
    count: else two who read would keep each other busy."""
    return list(dict.fromkeys(str(row[1]) for row in rows if not any(mark in bytes(row[2]) for mark in _READING)))


class ApiLedger:
    """The `Ledger` of the API port. The event of a read is durable before its answer leaves; reads that come together
    share a commit."""

    def __init__(self, db: Database, recorder: Recorder) -> None:
        self._together = Together(db, recorder)
        self._places = recorder.places = recorder.places or Places()

    def settle(self, call: Call[Any], target: Target) -> None:
        if not self._places.known(call.request_id):
            self._leave(call, target.project_id, "success")

    def refused(self, call: Call[Any]) -> None:
        if not self._places.known(call.request_id):
            self._leave(call, None, "denied" if call.actor else "failure")

    def place(self, request_id: str) -> tuple[str, str] | None:
        position = self._places.take(request_id)
        return None if position is None else (HEADER, str(position))

    def _leave(self, call: Call[Any], project_id: str | None, outcome: str) -> None:
        actor = call.actor.label() if call.actor else ANONYMOUS_LABEL

        def event(tx: Tx) -> Draft:
            tenant = project_id if project_id and begun(tx, project_id) else own_log(call)
            why = purpose(call, tenant)
            return Draft(tenant, actor, call.action, call.path, call.request_id, outcome, why)

        self._together.leave(event)
