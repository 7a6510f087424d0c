"""What the installation offers and how its parts are (Block Storage API v3: versions, extensions, zones, services,
hosts, pools, capabilities, resource filters)."""

from __future__ import annotations

from typing import Any

from andromede.clock import US
from andromede.errors import Invalid, NotFound, Unsupported
from andromede.volumes import backup_routes, snapshot_routes, types, views, volume_routes
from andromede.volumes.api import VERSIONS, BlockCall, Fields, VolumeRoutes, at_least, needs, stamp, truth
from andromede.volumes.engine import GIB
from andromede.volumes.model import Agent
from andromede.volumes.scheduling import CAPABILITIES
from andromede.volumes.tables import AGENTS, SNAPSHOTS, VOLUMES
from andromede.volumes.volume_routes import Body
from andromede.web.call import Reply
from andromede.web.microversions import text

routes = VolumeRoutes()
UPDATED = "2026-11-28T00:00:00Z"
DOWN_SECONDS = 60
"""A part that was not seen for so long is down."""
_TOLD = ("volume_backend_name", "driver_version", "storage_protocol", "vendor_name")
EXTENSIONS = (
    ("os-extended-snapshot-attributes", "ExtendedSnapshotAttributes"),
    ("os-volume-transfer", "VolumeTransfer"),
    ("os-volume-type-access", "VolumeTypeAccess"),
    ("os-types-extra-specs", "TypesExtraSpecs"),
    ("os-types-manage", "TypesManage"),
    ("encryption", "VolumeTypeEncryption"),
    ("qos-specs", "Qos_specs_manage"),
    ("os-quota-sets", "Quotas"),
    ("os-quota-class-sets", "QuotaClasses"),
    ("os-used-limits", "UsedLimits"),
    ("os-services", "Services"),
    ("os-hosts", "Hosts"),
    ("os-admin-actions", "AdminActions"),
    ("os-volume-actions", "VolumeActions"),
    ("os-snapshot-actions", "SnapshotActions"),
    ("os-vol-image-meta", "VolumeImageMetadata"),
    ("os-vol-tenant-attr", "VolumeTenantAttribute"),
    ("os-vol-host-attr", "VolumeHostAttribute"),
    ("os-vol-mig-status-attr", "VolumeMigStatusAttribute"),
    ("os-availability-zone", "AvailabilityZones"),
    ("backups", "Backups"),
    ("capabilities", "Capabilities"),
    ("scheduler-stats", "Scheduler_stats"),
    ("OS-SCH-HNT", "SchedulerHints"),
)


def document(base: str) -> dict[str, Any]:
    """The version that is spoken."""
    return {
        "id": "v3.0",
        "status": "CURRENT",
        "version": text(VERSIONS.high),
        "min_version": text(VERSIONS.low),
        "updated": UPDATED,
        "links": [{"rel": "self", "href": f"{base}/v3/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.volume+json;version=3"}],
    }


@routes.add("GET", "/", "volume:discover", public=True, status=300)
def versions(call: BlockCall) -> Any:
    """The versions of this service."""
    return {"versions": [document(call.base)]}


@routes.add("GET", "/v3", "volume:discover", public=True)
def version(call: BlockCall) -> Any:
    """The same of version 3."""
    return {"versions": [document(call.base)]}


@routes.on("GET", "/extensions", "list_extensions")
def extensions(call: BlockCall) -> Any:
    """What is offered beyond the first core of the API."""
    return {
        "extensions": [
            {"alias": alias, "name": name, "description": f"{name} of the block storage API.", "links": [],
             "updated": "2026-11-28T00:00:00+00:00"}
            for alias, name in EXTENSIONS
        ]
    }  # fmt: skip


@routes.on("GET", "/os-availability-zone", "list_zones")
def zones(call: BlockCall) -> Any:
    """The one zone."""
    zone = call.services.volumes.tools.zone
    return {"availabilityZoneInfo": [{"zoneName": zone, "zoneState": {"available": True}}]}


@routes.on("GET", "/resource_filters", "list_filters")
def resource_filters(call: BlockCall) -> Any:
    """By what lists can be filtered (3.33)."""
    needs(call, 33)
    shapes = {"volume": volume_routes.SHAPE, "snapshot": snapshot_routes.SHAPE, "backup": backup_routes.SHAPE}
    wanted = call.query.get("resource")
    found = [
        {"resource": name, "filters": sorted([*shape.texts, *shape.flags, *shape.dicts])}
        for name, shape in shapes.items()
        if wanted in (None, name)
    ]
    return {"resource_filters": found}


# --- services


def _state(call: BlockCall, agent: Agent) -> str:
    age = call.services.volumes.desk.clock.now_us() - agent.seen_us
    return "up" if age < DOWN_SECONDS * US else "down"


def _agents(call: BlockCall) -> list[Agent]:
    rows = AGENTS.select(call.services.volumes.desk.db)
    host, binary = call.query.get("host"), call.query.get("binary")
    return [
        row
        for row in rows
        if host in (None, row.host, row.host.partition("@")[0]) and binary in (None, row.binary_name)
    ]


@routes.on("GET", "/os-services", "list_services")
def services(call: BlockCall) -> Any:
    """The parts of the service, and when each was last seen."""
    found = []
    for row in _agents(call):
        view: dict[str, Any] = {
            "binary": row.binary_name,
            "host": row.host,
            "zone": call.services.volumes.tools.zone,
            "status": "disabled" if row.disabled else "enabled",
            "state": _state(call, row),
            "updated_at": stamp(row.seen_us),
            "disabled_reason": row.reason,
        }
        if row.binary_name == "cinder-volume":
            view |= {"replication_status": "disabled", "active_backend_id": None, "frozen": False}
            if at_least(call, 49):
                view["backend_state"] = _state(call, row)
        if at_least(call, 7):
            view["cluster"] = None
        found.append(view)
    return {"services": found}


_CHANGES = ("enable", "disable", "disable-log-reason", "freeze", "thaw", "failover_host", "failover", "set-log",
            "get-log")  # fmt: skip


@routes.on("PUT", "/os-services/{what}", "change_service", body=Body)
def change_service(call: BlockCall, body: Body) -> Any:
    """Enable and disable a part: what is disabled takes no new volumes."""
    what = call.params["what"]
    if what not in _CHANGES:
        raise NotFound(f"There is no such change of a service: {what[:60]}.", "action")
    fields = Fields(call, {"service": body}, "service")
    host, binary = fields.text("host") or "", fields.text("binary") or fields.text("service") or ""
    known = [row for row in AGENTS.select(call.services.volumes.desk.db) if row.host == host]
    if what in ("freeze", "thaw", "failover_host", "failover"):
        if not known:
            raise Invalid(f"Service {host[:80]} could not be found.", "service")
        raise Invalid(f"Service {host[:80]} replicates to nowhere: there is nothing to {what}.", "service")
    if what in ("set-log", "get-log"):
        raise Unsupported("Levels of logging are settings of this installation.", "service")
    row = next((row for row in known if row.binary_name == binary), None)
    if row is None:
        raise NotFound(f"Service {binary[:60]} could not be found on host {host[:80]}.", "service")
    reason = fields.required("disabled_reason") if what == "disable-log-reason" else None
    disabled = what != "enable"
    with call.services.volumes.desk.change(call, f"service/{binary}@{host}") as change:
        AGENTS.update(change.tx, {"binary_name": binary, "host": host}, disabled=disabled, reason=reason)
    body_out = {
        "host": host,
        "service": binary,
        "binary": binary,
        "disabled": disabled,
        "status": "disabled" if disabled else "enabled",
    }
    return body_out if what == "disable" else {**body_out, "disabled_reason": reason}


@routes.on("GET", "/clusters", "list_clusters")
def clusters(call: BlockCall) -> Any:
    """None: every host stands alone (3.7)."""
    needs(call, 7)
    return {"clusters": []}


@routes.on("GET", "/clusters/detail", "list_clusters")
def clusters_detail(call: BlockCall) -> Any:
    """None."""
    needs(call, 7)
    return {"clusters": []}


# --- hosts and pools


@routes.on("GET", "/os-hosts", "list_hosts")
def hosts(call: BlockCall) -> Any:
    """The parts again, as older clients ask for them."""
    return {
        "hosts": [
            {
                "host_name": row.host,
                "service": row.binary_name,
                "zone": call.services.volumes.tools.zone,
                "service-status": "available" if _state(call, row) == "up" else "unavailable",
                "service-state": "disabled" if row.disabled else "enabled",
                "last-update": stamp(row.seen_us),
            }
            for row in _agents(call)
        ]
    }


@routes.on("GET", "/os-hosts/{host}", "get_host")
def host(call: BlockCall) -> Any:
    """What a host holds, in all and by project."""
    name, db = call.params["host"], call.services.volumes.desk.db
    if not any(row.host == name for row in AGENTS.select(db)):
        raise NotFound(f"Host {name[:80]} could not be found.", "host")
    counts: dict[str, list[int]] = {"(total)": [0, 0, 0, 0]}
    holds = name == _backend(call)
    rows = [(row, 0) for row in VOLUMES.select(db)] + [(row, 2) for row in SNAPSHOTS.select(db)] if holds else []
    for row, at in rows:
        for key in ("(total)", row.project_id):
            found = counts.setdefault(key, [0, 0, 0, 0])
            found[at] += 1
            found[at + 1] += row.size
    return {
        "host": [
            {
                "resource": {
                    "host": name,
                    "project": project,
                    "volume_count": str(found[0]),
                    "total_volume_gb": str(found[1]),
                    "snapshot_count": str(found[2]),
                    "total_snapshot_gb": str(found[3]),
                }
            }
            for project, found in counts.items()
        ]
    }


def _backend(call: BlockCall) -> str:
    return views.host_name(call.services.volumes.tools.host).partition("#")[0]


@routes.on("GET", "/scheduler-stats/get_pools", "list_pools")
def pools(call: BlockCall) -> Any:
    """Where volumes lie, and what room there is."""
    detail = truth(call.query.get("detail") or "false", "detail")
    name = views.host_name(call.services.volumes.tools.host)
    found = []
    for row in AGENTS.select(call.services.volumes.desk.db, {"binary_name": "cinder-volume"}):
        body: dict[str, Any] = {"name": name}
        if detail:
            body["capabilities"] = {
                **{name: CAPABILITIES[name] for name in _TOLD},
                "total_capacity_gb": round(row.total_bytes / GIB, 2),
                "free_capacity_gb": round(row.free_bytes / GIB, 2),
                "reserved_percentage": 10,
                "QoS_support": False,
                "multiattach": True,
                "thin_provisioning_support": True,
                "backend_state": _state(call, row),
                "timestamp": stamp(row.seen_us),
                "updated": stamp(row.seen_us),
            }
        found.append(body)
    wanted = {name: value for name, value in call.query if name not in ("detail", "limit", "marker")}
    if "name" in wanted:
        found = [body for body in found if body["name"] == wanted["name"]]
    if kind := wanted.get("volume_type"):
        types.find(call.services.volumes.desk.db, kind, None)
    return {"pools": found}


@routes.on("GET", "/capabilities/{host}", "get_capabilities")
def capabilities(call: BlockCall) -> Any:
    """What a backend can do."""
    name = call.params["host"]
    if name not in (_backend(call), views.host_name(call.services.volumes.tools.host)):
        raise NotFound(f"Backend {name[:80]} could not be found.", "host")
    return {
        "namespace": f"OS::Storage::Capabilities::{_backend(call)}",
        "pool_name": None,
        **{name: CAPABILITIES[name] for name in _TOLD},
        "display_name": "Encrypted files",
        "description": "qcow2 files with LUKS, each under a key of its project",
        "visibility": None,
        "replication_targets": [],
        "properties": {},
    }


# --- manage: there is nothing that could be taken in


@routes.on("GET", "/os-volume-manage", "list_manageable")
def manageable_volumes(call: BlockCall) -> Any:
    """None: every disk here was made here."""
    return {"manageable-volumes": []}


@routes.on("GET", "/os-snapshot-manage", "list_manageable")
def manageable_snapshots(call: BlockCall) -> Any:
    """None."""
    return {"manageable-snapshots": []}


@routes.on("POST", "/os-volume-manage", "manage", body=Body, status=202)
def manage_volume(call: BlockCall, body: Body) -> Reply:
    """Says why not."""
    raise Unsupported(
        "Disks that were made elsewhere are imported as images; this backend takes in no files.", "manage"
    )


@routes.on("POST", "/os-snapshot-manage", "manage", body=Body, status=202)
def manage_snapshot(call: BlockCall, body: Body) -> Reply:
    """Says why not."""
    raise Unsupported("Snapshots that were made elsewhere cannot be taken in.", "manage")
