"""What commands ask of an installation without its roles."""

from __future__ import annotations

import contextlib
import getpass
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from andromede.app.base import Base, blob_engine, custody, key_ring, migrations, object_tools
from andromede.app.hosting import health
from andromede.app.ledger import ledger_findings, ledger_state
from andromede.app.witness import witness_state
from andromede.audit import Draft
from andromede.clock import SystemClock
from andromede.config import Config
from andromede.db import Row, open_database, pending
from andromede.errors import Invalid, NotFound
from andromede.ids import request_id

if TYPE_CHECKING:
    from andromede.app.hosting.saved import DiskCopies
    from andromede.web.access import AccessTable


def inspect(config: Config) -> dict[str, Any]:
    """What the database and the key files tell about the installation, for `status`."""
    from andromede.audit import store
    from andromede.objects import garbage_store

    sources: list[Row] = []
    db = open_database(config.database_dsn)
    try:
        missing = [f"{step.domain} {step.version}: {step.name}" for step in pending(db, migrations())]
        found: dict[str, Any] = {
            "database": db.dialect,
            "pending_migrations": missing,
            "custody": custody(config),
            "queues": {},
        }
        if not missing:
            found["queues"] = garbage_store.depths(db)
            found["ledger"] = ledger_state(config, db)
            found["witnesses"] = witness_state(config, db)
            found["hosting"] = health.state(db, SystemClock().now_us())
            with db.read() as tx:
                sources = store.sources(tx)
    finally:
        db.close()
    gaps = [{"source": row[0], "missing": row[2] - row[1] + 1 - row[3]} for row in sources]
    found["audit"] = {
        "events": sum(row[3] for row in sources),
        "sources": len(sources),
        "gaps": [gap for gap in gaps if gap["missing"]],
    }
    return found


def access_table() -> list[tuple[str, str]]:
    """(action, who) of every action of the API port."""
    return sorted(_rules().table())


def _rules() -> AccessTable:
    from andromede.app import hosting
    from andromede.audit.routes import TABLE as TRAIL
    from andromede.identity.policy import TABLE
    from andromede.sovereignty.access import TABLE as LEDGER
    from andromede.sovereignty.witness_routes import TABLE as WITNESS
    from andromede.web.access import AccessTable

    every = (TABLE, TRAIL, LEDGER, WITNESS, *hosting.tables())
    return AccessTable({action: grants for table in every for action, grants in table.rules.items()})


def explain_access(config: Config, user: str, action: str, resource: str) -> dict[str, Any]:
    """Whether a user may do something, by which rule and in which scope; `s3:` actions are judged by the
    documents of the bucket (`BUCKET` or `BUCKET/KEY`) as the object port does."""
    if action.lower().startswith("s3:"):
        return _explain_object(config, user, action, resource)
    from andromede.identity import scopes
    from andromede.ops import access

    db = open_database(config.database_dsn)
    try:
        with db.read() as tx:
            found = scopes.find_user(tx, user)
            return access.explain(_rules(), found.name, scopes.actors(tx, found), action, resource)
    finally:
        db.close()


def _explain_object(config: Config, user: str, action: str, resource: str) -> dict[str, Any]:
    from andromede.identity import scopes
    from andromede.objects.access import explain
    from andromede.objects.service import Objects

    if not resource:
        raise Invalid(f"{action} is judged on a bucket; name it: andromede explain access {user} {action} BUCKET[/KEY]")
    base = Base.open(config, "operator")
    tools = object_tools(base)
    objects = Objects(tools)
    try:
        name, slash, key = resource.partition("/")
        project, _, bucket = name.rpartition(":")
        container = objects.container(project, bucket) if project else objects.bucket(name)
        note_operation(base, "operator:explain", resource, "OPERATOR_REVIEW", [container.project_id])
        version = None
        if slash:
            with contextlib.suppress(NotFound):
                version = objects.head(container, key)
        about = (container, key if slash else None, version)
        if user == "anonymous":
            return explain.answer(user, [("no credential", None)], action, about)
        with base.db.read() as tx:
            found = scopes.find_user(tx, user)
            return explain.answer(found.name, scopes.actors(tx, found), action, about)
    finally:
        objects.close()
        tools.engine.close()
        base.db.close()


def operator_name() -> str:
    """Who runs a command, for the audit trail."""
    return f"operator:{getpass.getuser()}"


def note_operation(base: Base, action: str, what: str, purpose: str, tenants: Iterable[str] = ("",)) -> None:
    """Leave the audit event of an operator's command, in the log of the installation or of the projects whose data
    it reads. To be called before the command does anything: what cannot be recorded is not done."""
    named, who = request_id(base.ids), operator_name()
    with base.db.write() as tx:
        base.recorder.record(tx, [Draft(tenant, who, action, what, named, purpose=purpose) for tenant in tenants])


@contextlib.contextmanager
def disk_copies(base: Base, moved: Callable[[int], None]) -> Iterator[DiskCopies]:
    """What a backup takes beside rows and blobs."""
    from andromede.app.hosting.saved import DiskCopies
    from andromede.app.hosting.site import Site

    site = Site(base)
    try:
        yield DiskCopies(site, moved)
    finally:
        site.close()


def settle_disks(base: Base) -> tuple[list[dict[str, Any]], list[str]]:
    """After a restore of disks: (findings as of fsck about what is not there, guests of this installation that run on
    this machine on other disks)."""
    from andromede.app.hosting import leftovers, restored, rival
    from andromede.app.hosting.site import Site

    site = Site(base)
    try:
        restored.settle(site)
        return leftovers.missing(site), rival.guests_elsewhere(base.config)
    finally:
        site.close()


def refuse_second_host(config: Config) -> None:
    """Raise `Conflict` where another copy of this installation hosts on this machine."""
    from andromede.app.hosting import rival

    rival.refuse(config)


def guests_left(config: Config) -> int:
    """How many servers of this installation run on this machine, its program or not."""
    from andromede.app.hosting import rival

    try:
        return rival.guests_left(config)
    except OSError:
        return 0  # of somebody else's, who may look


def check_store(config: Config, deep: bool, step: Callable[[], None], host: bool = False) -> list[dict[str, Any]]:
    """Findings over the stored data, as `objects.fsck.Finding` has them; no errors when all of it agrees. `host`: also
    what hosting has left on this machine."""
    from andromede.app.hosting import leftovers
    from andromede.objects.fsck import fsck

    base = Base.open(config, "operator")
    try:
        found = [asdict(finding) for finding in fsck(base.db, blob_engine(base), key_ring(base), deep, step)]
        left = leftovers.findings(base) if host else []
        return [*found, *ledger_findings(base, step), *left]
    finally:
        base.db.close()
