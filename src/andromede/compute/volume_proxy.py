"""What Nova passed on to block storage until 2.35: volumes and snapshots."""

from __future__ import annotations

from typing import Any

from andromede.compute.checks import Fields
from andromede.compute.core import own_project, project_of
from andromede.compute.service import Compute
from andromede.web.call import Call
from andromede.web.routes import Routes

routes: Routes[Compute] = Routes()
ComputeCall = Call[Compute]
Body = dict[str, Any]
TO35 = (None, (2, 35))
VOLUMES = "/v2.1/os-volumes"
SNAPSHOTS = "/v2.1/os-snapshots"


def _ask(call: ComputeCall, method: str, path: str, body: Any = None, *query: tuple[str, str]) -> Any:
    return call.services.core.volume(call, method, f"/v3/{project_of(call)}/{path}", body, query)


def _page(call: ComputeCall) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in call.query if name in ("limit", "offset"))


def _volume(row: Body) -> Body:
    held = [
        {
            "id": item["volume_id"], "volumeId": item["volume_id"], "serverId": item["server_id"],
            "device": item["device"] or "",
        }
        for item in row["attachments"]
    ]  # fmt: skip
    return {
        "id": row["id"],
        "status": row["status"],
        "size": row["size"],
        "availabilityZone": row["availability_zone"],
        "createdAt": row["created_at"],
        "displayName": row["name"],
        "displayDescription": row["description"],
        "volumeType": row["volume_type"],
        "snapshotId": row["snapshot_id"],
        "metadata": row["metadata"],
        "attachments": held or [{}],
    }


def _snapshot(row: Body) -> Body:
    return {
        "id": row["id"],
        "status": row["status"],
        "size": row["size"],
        "createdAt": row["created_at"],
        "displayName": row["name"],
        "displayDescription": row["description"],
        "volumeId": row["volume_id"],
    }


@routes.add("GET", VOLUMES, "compute:proxy_read", target=own_project, versions=TO35)
def list_volumes(call: ComputeCall) -> Body:
    """The project's volumes."""
    return {"volumes": [_volume(row) for row in _ask(call, "GET", "volumes/detail", None, *_page(call))["volumes"]]}


@routes.add("GET", VOLUMES + "/detail", "compute:proxy_read", target=own_project, versions=TO35)
def list_volumes_detail(call: ComputeCall) -> Body:
    """The same."""
    return list_volumes(call)


@routes.add("GET", VOLUMES + "/{volume_id}", "compute:proxy_read", target=own_project, versions=TO35)
def show_volume(call: ComputeCall) -> Body:
    """One of them."""
    return {"volume": _volume(_ask(call, "GET", f"volumes/{call.params['volume_id']}")["volume"])}


@routes.add("POST", VOLUMES, "compute:proxy_write", body=Body, target=own_project, versions=TO35)
def create_volume(call: ComputeCall, body: Body) -> Body:
    """Make one."""
    fields = Fields.of(body, "volume")
    fields.only(
        "size", "display_name", "display_description", "volume_type", "metadata", "snapshot_id", "availability_zone"
    )
    fields.need("size")
    wanted = {"size": fields.integer("size", 1), "name": fields.text("display_name", 0, 255, null=True)}
    wanted |= {"description": fields.text("display_description", 0, 255, null=True)}
    for name in ("volume_type", "metadata", "snapshot_id", "availability_zone"):
        if fields.get(name) is not None:
            wanted[name] = fields.get(name)
    made = _ask(call, "POST", "volumes", {"volume": wanted})["volume"]
    return {"volume": _volume(made)}


@routes.add(
    "DELETE", VOLUMES + "/{volume_id}", "compute:proxy_write", target=own_project, status=202, versions=TO35
)  # fmt: skip
def delete_volume(call: ComputeCall) -> None:
    """Delete one."""
    _ask(call, "DELETE", f"volumes/{call.params['volume_id']}")


@routes.add("GET", SNAPSHOTS, "compute:proxy_read", target=own_project, versions=TO35)
def list_snapshots(call: ComputeCall) -> Body:
    """The project's snapshots."""
    rows = _ask(call, "GET", "snapshots/detail", None, *_page(call))["snapshots"]
    return {"snapshots": [_snapshot(row) for row in rows]}


@routes.add("GET", SNAPSHOTS + "/detail", "compute:proxy_read", target=own_project, versions=TO35)
def list_snapshots_detail(call: ComputeCall) -> Body:
    """The same."""
    return list_snapshots(call)


@routes.add("GET", SNAPSHOTS + "/{snapshot_id}", "compute:proxy_read", target=own_project, versions=TO35)
def show_snapshot(call: ComputeCall) -> Body:
    """One of them."""
    return {"snapshot": _snapshot(_ask(call, "GET", f"snapshots/{call.params['snapshot_id']}")["snapshot"])}


@routes.add("POST", SNAPSHOTS, "compute:proxy_write", body=Body, target=own_project, versions=TO35)
def create_snapshot(call: ComputeCall, body: Body) -> Body:
    """Make one."""
    fields = Fields.of(body, "snapshot")
    fields.only("volume_id", "display_name", "display_description", "force")
    fields.need("volume_id")
    wanted = {
        "volume_id": fields.text("volume_id", 1, 64), "name": fields.text("display_name", 0, 255, null=True),
        "description": fields.text("display_description", 0, 255, null=True),
    }  # fmt: skip
    return {"snapshot": _snapshot(_ask(call, "POST", "snapshots", {"snapshot": wanted})["snapshot"])}


@routes.add(
    "DELETE", SNAPSHOTS + "/{snapshot_id}", "compute:proxy_write", target=own_project, status=202, versions=TO35
)
def delete_snapshot(call: ComputeCall) -> None:
    """Delete one."""
    _ask(call, "DELETE", f"snapshots/{call.params['snapshot_id']}")
