"""Aggregates, usage, and what other services tell (Compute API, the sections of these names)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from andromede.clock import US, utc
from andromede.compute import moves, server_store
from andromede.compute.checks import Fields, metadata, truth
from andromede.compute.core import fine, version
from andromede.compute.listing import page, with_links
from andromede.compute.model import Aggregate, Server
from andromede.compute.moves import Move
from andromede.compute.server_search import instant
from andromede.compute.service import Compute
from andromede.compute.states import view
from andromede.errors import Conflict, Invalid, NotFound
from andromede.web.call import Call, Reply
from andromede.web.routes import Routes, Target

routes: Routes[Compute] = Routes()
ComputeCall = Call[Compute]
Body = dict[str, Any]

# --- aggregates

AG = "/v2.1/os-aggregates"


def _brief(call: ComputeCall, row: Aggregate) -> Body:
    body = {
        "id": row.id,
        "name": row.name,
        "availability_zone": row.availability_zone or None,
        "created_at": fine(row.created_us),
        "updated_at": fine(row.updated_us),
        "deleted": False,
        "deleted_at": None,
    }
    return {**body, "uuid": row.uuid} if version(call) >= (2, 41) else body


def _aggregate(call: ComputeCall, row: Aggregate) -> Body:
    return {"aggregate": {**_brief(call, row), "hosts": row.hosts, "metadata": row.metadata}}


@routes.add("GET", AG, "compute:list_aggregates")
def list_aggregates(call: ComputeCall) -> Body:
    """Every aggregate."""
    return {"aggregates": [_aggregate(call, row)["aggregate"] for row in call.services.hosts.aggregates()]}


@routes.add("POST", AG, "compute:change_aggregate", body=Body)
def create_aggregate(call: ComputeCall, body: Body) -> Body:
    """Make one, perhaps as a zone."""
    fields = Fields.of(body, "aggregate")
    fields.only("name", "availability_zone")
    fields.need("name")
    zone = fields.text("availability_zone", 1, 255, null=True) or ""
    return {"aggregate": _brief(call, call.services.hosts.add_aggregate(call, fields.name("name") or "", zone))}


def _found(call: ComputeCall) -> Aggregate:
    return call.services.hosts.aggregate(call.params["aggregate"])


@routes.add("GET", AG + "/{aggregate}", "compute:show_aggregate")
def show_aggregate(call: ComputeCall) -> Body:
    """One."""
    return _aggregate(call, _found(call))


@routes.add("PUT", AG + "/{aggregate}", "compute:change_aggregate", body=Body)
def update_aggregate(call: ComputeCall, body: Body) -> Body:
    """Change its name or zone."""
    fields, row = Fields.of(body, "aggregate"), None
    fields.only("name", "availability_zone")
    changes: Body = {}
    if "name" in fields:
        changes["name"] = fields.name("name")
    if not fields.raw:
        raise Invalid("Invalid input for aggregate: name or availability_zone is needed.", "schema")
    row = _found(call)
    if "availability_zone" in fields:
        zone = fields.text("availability_zone", 1, 255, null=True) or ""
        changes |= {"availability_zone": zone, "metadata": {**row.metadata, "availability_zone": zone}}
    return _aggregate(call, call.services.hosts.change_aggregate(call, row, **changes))


@routes.add("DELETE", AG + "/{aggregate}", "compute:change_aggregate")
def delete_aggregate(call: ComputeCall) -> None:
    """Delete one that has no hosts."""
    call.services.hosts.remove_aggregate(call, _found(call))


@routes.add("POST", AG + "/{aggregate}/action", "compute:change_aggregate", body=Body)
def act_on_aggregate(call: ComputeCall, body: Body) -> Body:
    """Add or remove a host, or set metadata."""
    word = next(iter(body), "")
    if len(body) != 1 or word not in ("add_host", "remove_host", "set_metadata"):
        raise Invalid(f"There is no such action: {word[:80]}", "action")
    fields = Fields(body[word], word)
    if word == "set_metadata":
        fields.only("metadata")
        fields.need("metadata")
        given = Fields(fields.get("metadata"), "metadata").raw
        kept = metadata({key: value for key, value in given.items() if value is not None})
        row = _found(call)
        merged = {**row.metadata, **kept}
        for key in given:
            if given[key] is None:
                merged.pop(key, None)
        zone = merged.get("availability_zone", "")
        return _aggregate(
            call, call.services.hosts.change_aggregate(call, row, metadata=merged, availability_zone=zone)
        )
    fields.only("host")
    fields.need("host")
    name = fields.text("host", 1, 255) or ""
    row = _found(call)
    return _aggregate(call, call.services.hosts.change_aggregate(call, row, hosts=_hosts(call, row, word, name)))


def _hosts(call: ComputeCall, row: Aggregate, word: str, name: str) -> list[Any]:
    if word == "remove_host":
        if name not in row.hosts:
            raise NotFound(f"Cannot remove host {name} in aggregate {row.id}: it is not there.", "host")
        return [host for host in row.hosts if host != name]
    call.services.hosts.named(name)
    if name in row.hosts:
        raise Conflict(f"Cannot add host {name} in aggregate {row.id}: host exists", "aggregate")
    for other in call.services.hosts.aggregates():
        elsewhere = other.availability_zone and other.availability_zone != row.availability_zone
        if row.availability_zone and name in other.hosts and elsewhere:
            raise Conflict(
                f"Cannot add host to aggregate {row.id}. Reason: One or more hosts already in availability zone(s) "
                f"['{other.availability_zone}'].",
                "aggregate",
            )
    return [*row.hosts, name]


# --- usage

TU = "/v2.1/os-simple-tenant-usage"
FORMS = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d")


def _instant(text: str) -> int:
    for form in FORMS:
        try:
            return int(dt.datetime.strptime(text, form).replace(tzinfo=dt.UTC).timestamp() * US)
        except (ValueError, OverflowError):
            continue
    raise Invalid(f"Invalid date format {text[:80]}", "query")


def _span(call: ComputeCall) -> tuple[int, int]:
    now = call.services.core.desk.clock.now_us()
    start, end = call.query.get("start"), call.query.get("end")
    last = _instant(end) if end else now
    first = _instant(start) if start else last - 28 * 86_400 * US
    if first > last:
        raise Invalid("Invalid start time. The start time cannot occur after the end time.", "query")
    return first, last


def _plain(us: int) -> str:
    return utc(us).strftime("%Y-%m-%dT%H:%M:%S.%f")


def _one(server: Server, span: tuple[int, int], now: int) -> Body:
    begun, ended = max(server.launched_us, span[0]), min(server.terminated_us or now, span[1], now)
    hours = max(0, ended - begun) / (3600 * US)
    flavor = server.flavor
    return {
        "instance_id": server.id,
        "name": server.name,
        "hours": hours,
        "flavor": flavor.get("name"),
        "tenant_id": server.project_id,
        "vcpus": int(flavor.get("vcpus", 0)),
        "memory_mb": int(flavor.get("ram", 0)),
        "local_gb": int(flavor.get("disk", 0)) + int(flavor.get("ephemeral", 0)),
        "started_at": _plain(server.launched_us),
        "ended_at": _plain(server.terminated_us) if server.terminated_us else None,
        "state": "terminated" if server.terminated_us else view(server).vm_state,
        "uptime": max(0, (server.terminated_us or now) - server.launched_us) // US,
    }


def _sums(project: str, servers: Sequence[Server], span: tuple[int, int], now: int, detailed: bool) -> Body:
    rows = [_one(server, span, now) for server in servers]
    body: Body = {
        "tenant_id": project,
        "start": _plain(span[0]),
        "stop": _plain(span[1]),
        "total_hours": sum(row["hours"] for row in rows),
        "total_vcpus_usage": sum(row["hours"] * row["vcpus"] for row in rows),
        "total_memory_mb_usage": sum(row["hours"] * row["memory_mb"] for row in rows),
        "total_local_gb_usage": sum(row["hours"] * row["local_gb"] for row in rows),
    }
    return {**body, "server_usages": rows} if detailed else body


def _used(call: ComputeCall, project: str | None, span: tuple[int, int]) -> tuple[list[Server], list[Any]]:
    rows = server_store.used_between(call.services.core.desk.db, project, span)
    if version(call) < (2, 40):
        return rows, []
    return page(call, rows, ("tenant_usages", "server"))


@routes.add("GET", TU, "compute:list_usages")
def list_usages(call: ComputeCall) -> Body:
    """What every project used."""
    span, now = _span(call), call.services.core.desk.clock.now_us()
    rows, more = _used(call, None, span)
    detailed = call.query.get("detailed") == "1"
    projects: dict[str, list[Server]] = {}
    for row in rows:
        projects.setdefault(row.project_id, []).append(row)
    usages = [_sums(project, listed, span, now, detailed) for project, listed in projects.items()]
    return with_links({"tenant_usages": usages}, "tenant_usages_links", more)


def whose(call: ComputeCall, body: Any) -> Target:
    """The project of the path."""
    return Target(project_id=call.params["project_id"])


@routes.add("GET", TU + "/{project_id}", "compute:show_usage", target=whose)
def show_usage(call: ComputeCall) -> Body:
    """What one project used."""
    span, now, project = _span(call), call.services.core.desk.clock.now_us(), call.params["project_id"]
    rows, more = _used(call, project, span)
    usage = _sums(project, rows, span, now, True) if rows else {}
    return with_links({"tenant_usage": usage}, "tenant_usage_links", more)


def _audit(call: ComputeCall, end: dt.datetime) -> Body:
    """No host keeps such a log here: the audit ledger is the record."""
    names = [host.name for host in call.services.hosts.listed()]
    begin = (end.replace(day=1) - dt.timedelta(days=1)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return {
        "period_beginning": begin.strftime("%Y-%m-%d %H:%M:%S"),
        "period_ending": end.replace(day=1, hour=0, minute=0, second=0).strftime("%Y-%m-%d %H:%M:%S"),
        "num_hosts": len(names),
        "num_hosts_done": 0,
        "num_hosts_running": 0,
        "num_hosts_not_run": len(names),
        "hosts_not_run": names,
        "total_instances": 0,
        "total_errors": 0,
        "overall_status": f"0 of {len(names)} hosts done. 0 errors.",
        "log": {},
    }


@routes.add("GET", "/v2.1/os-instance_usage_audit_log", "compute:audit_log")
def list_audit_log(call: ComputeCall) -> Body:
    """The usage audit of the last period."""
    return {"instance_usage_audit_logs": _audit(call, utc(call.services.core.desk.clock.now_us()))}


@routes.add("GET", "/v2.1/os-instance_usage_audit_log/{before}", "compute:audit_log")
def show_audit_log(call: ComputeCall) -> Body:
    """The same before an instant."""
    text = call.params["before"]
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f"):
        try:
            end = dt.datetime.strptime(text, form).replace(tzinfo=dt.UTC)
            return {"instance_usage_audit_log": _audit(call, end)}
        except (ValueError, OverflowError):
            continue
    raise Invalid(f"Invalid timestamp for date {text[:80]}", "query")


@routes.add("GET", "/v2.1/os-migrations", "compute:list_migrations")
def list_migrations(call: ComputeCall) -> Body:
    """Changes of size, the newest first: on one host there are no other migrations."""
    asked, rows = version(call), moves.listed(call.services.core.desk.db)
    more: list[Any] = []
    if asked >= (2, 59) and (since := call.query.get("changes-since")) is not None:
        rows = [row for row in rows if row.updated_us >= instant(since, "changes-since")]
    rows = [row for row in rows if _fits(call, row)]
    if asked >= (2, 59):
        rows, more = page(call, rows, ("migrations", "migration"))
    return with_links({"migrations": [_migration(row, asked) for row in rows]}, "migrations_links", more)


def _fits(call: ComputeCall, row: Move) -> bool:
    query, hosts = call.query, ("host", "source_compute", "source_node", "dest_compute", "dest_node")
    shown = {"status": row.status, "instance_uuid": row.server.id, "migration_type": moves.KIND}
    shown |= dict.fromkeys(hosts, row.server.host)
    if "hidden" in query and truth("hidden", query.get("hidden")):
        return False
    return all(query.get(name) in (None, value) for name, value in shown.items())


def _migration(row: Move, asked: tuple[int, int]) -> Body:
    host = row.server.host or None
    body: Body = {
        "id": row.number,
        "status": row.status,
        "instance_uuid": row.server.id,
        "source_node": host,
        "source_compute": host,
        "dest_node": host,
        "dest_compute": host,
        "dest_host": None,
        "old_instance_type_id": None,
        "new_instance_type_id": None,
        "created_at": fine(row.created_us),
        "updated_at": fine(row.updated_us),
    }
    if asked >= (2, 23):
        body["migration_type"] = moves.KIND
    return {**body, "uuid": row.id} if asked >= (2, 59) else body


EVENTS = ("network-changed", "network-vif-plugged", "network-vif-unplugged", "network-vif-deleted")


@routes.add("POST", "/v2.1/os-server-external-events", "compute:external_events", body=Body)
def external_events(call: ComputeCall, body: Body) -> Reply:
    """What other services tell of a server. Here they share its rows, so there is nothing left to do."""
    fields = Fields(body, "body")
    fields.only("events")
    fields.need("events")
    known = EVENTS + (("volume-extended",) if version(call) >= (2, 51) else ())
    answers, worst = [], 200
    for item in fields.objects("events"):
        item.only("name", "server_uuid", "status", "tag")
        item.need("name", "server_uuid")
        item.choice("name", *known)
        item.uuid("server_uuid")
        status = item.choice("status", "failed", "completed", "in-progress") or "completed"
        code = 200
        try:
            call.services.servers.find(item.text("server_uuid") or "", None)
        except NotFound:
            code, worst, status = 404, 207, "failed"
        answers.append({**item.raw, "status": status, "code": code})
    if not answers:
        raise Invalid("Invalid input for events: at least one is needed.", "schema")
    if all(answer["code"] == 404 for answer in answers):
        raise NotFound("No instances found for any event", "server")
    return Reply({"events": answers}, worst)
