"""What Nova passed on to the image service: images until 2.35, their metadata until 2.38."""

from __future__ import annotations

import re
from typing import Any

from andromede.compute.checks import item, items
from andromede.compute.core import own_project
from andromede.compute.listing import limit, links, refs, with_links
from andromede.compute.server_search import instant
from andromede.compute.service import Compute
from andromede.errors import Conflict, Denied, Invalid, NotFound
from andromede.web.call import Call
from andromede.web.routes import Routes

routes: Routes[Compute] = Routes()
ComputeCall = Call[Compute]
Body = dict[str, Any]
TO35 = (None, (2, 35))
TO38 = (None, (2, 38))
IMAGES = "/v2.1/images"
STATUSES = {
    "queued": "SAVING", "saving": "SAVING", "uploading": "SAVING", "importing": "SAVING", "active": "ACTIVE",
    "killed": "ERROR", "deleted": "DELETED", "deactivated": "ACTIVE", "pending_delete": "DELETED",
}  # fmt: skip
PROGRESS = {"queued": 25, "saving": 50, "uploading": 50, "importing": 50, "active": 100, "deactivated": 100}
OWN = frozenset(
    {
        "id", "name", "status", "visibility", "size", "virtual_size", "disk_format", "container_format", "created_at",
        "updated_at", "min_disk", "min_ram", "protected", "checksum", "owner", "tags", "self", "file", "schema",
        "os_hidden", "os_hash_algo", "os_hash_value", "locations", "direct_url", "stores",
    }
)  # fmt: skip
MOST_METADATA = 128


def _ask(call: ComputeCall, method: str, path: str, body: Any = None, *query: tuple[str, str]) -> Any:
    return call.services.core.image(call, method, f"/v2/images{path}", body, query)


def _properties(row: Body) -> dict[str, str]:
    return {key: str(value) for key, value in row.items() if key not in OWN and value is not None}


def _brief(call: ComputeCall, row: Body) -> Body:
    alternate = {
        "rel": "alternate", "type": "application/vnd.openstack.image", "href": f"{_glance(call)}/images/{row['id']}",
    }  # fmt: skip
    return {"id": row["id"], "name": row["name"] or "", "links": [*refs(call, f"images/{row['id']}"), alternate]}


def _glance(call: ComputeCall) -> str:
    return call.base.removesuffix("/compute") + "/image"


def _whole(call: ComputeCall, row: Body) -> Body:
    properties = _properties(row)
    body = {
        **_brief(call, row),
        "status": STATUSES.get(row["status"], "UNKNOWN"),
        "progress": PROGRESS.get(row["status"], 0),
        "minDisk": int(row["min_disk"] or 0),
        "minRam": int(row["min_ram"] or 0),
        "created": row["created_at"],
        "updated": row["updated_at"],
        "metadata": properties,
        "OS-EXT-IMG-SIZE:size": int(row["size"] or 0),
    }
    if properties.get("instance_uuid"):
        server = properties["instance_uuid"]
        body["server"] = {"id": server, "links": refs(call, f"servers/{server}")}
    if "auto_disk_config" in properties:
        on = properties["auto_disk_config"].lower() == "true"
        body["OS-DCF:diskConfig"] = "AUTO" if on else "MANUAL"
    return body


def _number(call: ComputeCall, name: str) -> int:
    value = call.query.get(name)
    if value is None:
        return 0
    if not re.fullmatch(r"[0-9]{1,12}", value):
        raise Invalid(f"{name}={value[:80]} is not a whole number.", "query")
    return int(value)


def _fits(call: ComputeCall, row: Body, since: int | None) -> bool:
    query, properties = call.query, _properties(row)
    server = (query.get("server") or "").rstrip("/").rpartition("/")[2]
    tests = (
        ("name", row["name"] == query.get("name")),
        ("status", STATUSES.get(row["status"]) == (query.get("status") or "").upper()),
        ("server", properties.get("instance_uuid") == server),
        ("type", (properties.get("image_type") or "base") == query.get("type")),
        ("minDisk", int(row["min_disk"] or 0) >= _number(call, "minDisk")),
        ("minRam", int(row["min_ram"] or 0) >= _number(call, "minRam")),
    )
    if not all(fits for name, fits in tests if name in query):
        return False
    for name, value in query:
        if name.startswith("property-") and properties.get(name.removeprefix("property-")) != value:
            return False
    return since is None or instant(row["updated_at"], "updated_at") >= since


def _listed(call: ComputeCall) -> tuple[list[Body], list[Any]]:
    size, marker = limit(call.query), call.query.get("marker")
    since = call.query.get("changes-since")
    after = instant(since, "changes-since") if since is not None else None
    found: list[Body] = []
    last = marker
    while True:
        query = [("limit", "1000"), *([("marker", last)] if last else [])]
        answer = _ask(call, "GET", "", None, *query)
        for row in answer["images"]:
            if _fits(call, row, after):
                found.append(row)
        if len(found) > size or "next" not in answer:
            break
        last = answer["images"][-1]["id"]
    chosen = found[:size]
    return chosen, links(call, chosen[-1]["id"]) if chosen and len(found) > size else []


@routes.add("GET", IMAGES, "compute:proxy_read", target=own_project, versions=TO35)
def list_images(call: ComputeCall) -> Body:
    """Images by id and name."""
    rows, more = _listed(call)
    return with_links({"images": [_brief(call, row) for row in rows]}, "images_links", more)


@routes.add("GET", IMAGES + "/detail", "compute:proxy_read", target=own_project, versions=TO35)
def list_images_detail(call: ComputeCall) -> Body:
    """Images wholly."""
    rows, more = _listed(call)
    return with_links({"images": [_whole(call, row) for row in rows]}, "images_links", more)


def _found(call: ComputeCall) -> Body:
    try:
        return dict(_ask(call, "GET", f"/{call.params['image_id']}"))
    except NotFound as error:
        raise NotFound(f"Image {call.params['image_id']} could not be found.", "image") from error


@routes.add("GET", IMAGES + "/{image_id}", "compute:proxy_read", target=own_project, versions=TO35)
def show_image(call: ComputeCall) -> Body:
    """One image."""
    return {"image": _whole(call, _found(call))}


@routes.add("DELETE", IMAGES + "/{image_id}", "compute:proxy_write", target=own_project, status=204, versions=TO35)
def delete_image(call: ComputeCall) -> None:
    """Delete an image."""
    _found(call)
    _ask(call, "DELETE", f"/{call.params['image_id']}")


# --- metadata


def _write(call: ComputeCall, row: Body, wanted: dict[str, str], drop: frozenset[str] = frozenset()) -> dict[str, str]:
    had = _properties(row)
    if len({*had, *wanted} - drop) > MOST_METADATA:
        raise Denied(f"Image metadata limit exceeded: at most {MOST_METADATA} are allowed.", "quota")

    def pointer(key: str) -> str:
        return "/" + key.replace("~", "~0").replace("/", "~1")

    steps: list[Body] = [{"op": "remove", "path": pointer(key)} for key in sorted(drop)]
    steps += [
        {"op": "replace" if key in had else "add", "path": pointer(key), "value": value}
        for key, value in wanted.items()
        if had.get(key) != value
    ]
    if not steps:
        return had
    try:
        return _properties(_ask(call, "PATCH", f"/{row['id']}", steps))
    except Conflict as error:
        raise Invalid(error.public, "metadata") from error


@routes.add("GET", IMAGES + "/{image_id}/metadata", "compute:proxy_read", target=own_project, versions=TO38)
def list_metadata(call: ComputeCall) -> Body:
    """An image's properties."""
    return {"metadata": _properties(_found(call))}


@routes.add(
    "POST", IMAGES + "/{image_id}/metadata", "compute:proxy_write", body=Body, target=own_project, versions=TO38
)
def merge_metadata(call: ComputeCall, body: Body) -> Body:
    """Add or change properties."""
    wanted = items(body)
    return {"metadata": _write(call, _found(call), wanted)}


@routes.add("PUT", IMAGES + "/{image_id}/metadata", "compute:proxy_write", body=Body, target=own_project, versions=TO38)
def replace_metadata(call: ComputeCall, body: Body) -> Body:
    """Replace all properties."""
    wanted, row = items(body), _found(call)
    return {"metadata": _write(call, row, wanted, frozenset(_properties(row)) - frozenset(wanted))}


@routes.add("GET", IMAGES + "/{image_id}/metadata/{key}", "compute:proxy_read", target=own_project, versions=TO38)
def show_metadata(call: ComputeCall) -> Body:
    """One property."""
    had, key = _properties(_found(call)), call.params["key"]
    if key not in had:
        raise NotFound("Metadata item was not found", "metadata")
    return {"meta": {key: had[key]}}


@routes.add(
    "PUT", IMAGES + "/{image_id}/metadata/{key}", "compute:proxy_write", body=Body, target=own_project, versions=TO38
)
def set_metadata(call: ComputeCall, body: Body) -> Body:
    """Set one property."""
    found_ = item(body, call.params["key"])
    _write(call, _found(call), found_)
    return {"meta": found_}


@routes.add(
    "DELETE", IMAGES + "/{image_id}/metadata/{key}", "compute:proxy_write", target=own_project, status=204,
    versions=TO38,
)  # fmt: skip
def delete_metadata(call: ComputeCall) -> None:
    """Drop one property."""
    row, key = _found(call), call.params["key"]
    if key not in _properties(row):
        raise NotFound("Metadata item was not found", "metadata")
    _write(call, row, {}, frozenset({key}))
