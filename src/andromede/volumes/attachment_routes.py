"""Attachments and transfers (Block Storage API v3, "Attachments", 3.27; "Volume transfers", 3.55)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from andromede.errors import Invalid
from andromede.volumes import connecting, listing, views
from andromede.volumes.action_routes import named
from andromede.volumes.api import (
    BlockCall,
    F,
    Fields,
    VolumeRoutes,
    at_least,
    needs,
    own,
    project_of,
    reach,
    scoped,
)
from andromede.volumes.model import Attachment, Transfer
from andromede.volumes.tables import ATTACHMENTS, TRANSFERS
from andromede.volumes.volume_routes import Body
from andromede.web.call import Reply
from andromede.web.routes import Target

routes = VolumeRoutes()
SHAPE = listing.Shape(
    texts={
        "volume_id": lambda a: a.volume_id,
        "instance_id": lambda a: a.server_id,
        "instance_uuid": lambda a: a.server_id,
        "status": lambda a: a.status,
        "attach_status": lambda a: a.status,
        "id": lambda a: a.id,
    }
)


def find(call: BlockCall) -> Attachment:
    """The attachment of the path, if the caller may know of it."""
    needs(call, 27)
    return connecting.find(call.services.volumes, call.params["attachment_id"], reach(call))


def attachment_target(call: BlockCall, body: Any = None) -> Target:
    """The project of the attachment of the path."""
    scoped(call)
    return Target(project_id=find(call).project_id)


def _connector(fields: Fields) -> dict[str, object] | None:
    value = fields.values.get("connector")
    if value is not None and (not isinstance(value, dict) or len(value) > 64 or len(str(value)) > 16384):
        raise Invalid("connector must be an object of at most 64 members.", "schema")
    return value or None


@routes.on("GET", "/attachments", "list_attachments")
def list_attachments(call: BlockCall) -> Any:
    """Attachments of the project's volumes."""
    return _listed(call, False)


@routes.on("GET", "/attachments/detail", "list_attachments")
def list_attachments_detail(call: BlockCall) -> Any:
    """The same in detail."""
    return _listed(call, True)


def _listed(call: BlockCall, detail: bool) -> Any:
    needs(call, 27)
    rows = ATTACHMENTS.select(call.services.volumes.desk.db, listing.owner(call))
    page = listing.Page(call, rows, SHAPE)
    return page.body(call, "attachments", [views.attachment(row, detail) for row in page.rows])


@routes.on("GET", "/attachments/{attachment_id}", "get_attachment", target=attachment_target)
def show_attachment(call: BlockCall) -> Any:
    """One attachment."""
    return {"attachment": views.attachment(find(call))}


@routes.on("POST", "/attachments", "create_attachment", body=Body)
def create_attachment(call: BlockCall, body: Body) -> Any:
    """Hold a volume for a server; with a connector, begin to attach it."""
    needs(call, 27)
    fields = Fields(call, body, "attachment", ("volume_uuid", "instance_uuid", "connector", "mode"))
    mode = fields.text("mode") or "rw"
    if mode not in ("rw", "ro"):
        raise Invalid(f"Invalid mode {mode[:20]!r}: it must be rw or ro.", "schema")
    volume = call.services.volumes.find(fields.required("volume_uuid"), reach(call))
    server = fields.identifier("instance_uuid")
    made = connecting.create(call.services.volumes, call, volume, server, _connector(fields), mode)
    return {"attachment": views.attachment(made)}


@routes.on("PUT", "/attachments/{attachment_id}", "update_attachment", body=Body, target=attachment_target)
def update_attachment(call: BlockCall, body: Body) -> Any:
    """Tell who attaches."""
    connector = _connector(Fields(call, body, "attachment", ("connector", "mode")))
    if connector is None:
        raise Invalid("'connector' is a required property of attachment.", "schema")
    made = connecting.connect(call.services.volumes, call, find(call), connector)
    return {"attachment": views.attachment(made)}


@routes.on("DELETE", "/attachments/{attachment_id}", "delete_attachment", target=attachment_target)
def delete_attachment(call: BlockCall) -> Any:
    """Let go; what is left."""
    left = connecting.remove(call.services.volumes, call, find(call))
    return {"attachments": [views.attachment(item, False) for item in left]}


@routes.on(
    "POST", "/attachments/{attachment_id}/action", "attachment_action", body=Body, target=attachment_target, status=204
)
def attachment_action(call: BlockCall, body: Body) -> None:
    """os-complete (3.44)."""
    needs(call, 44)
    name, _ = named(body)
    if name != "os-complete":
        raise Invalid(f"There is no such action: {name[:80]}", "action")
    connecting.complete(call.services.volumes, call, find(call))


# --- transfers

TRANSFER_SHAPE = listing.Shape(
    texts={
        "name": lambda t: t.name,
        "id": lambda t: t.id,
        "volume_id": lambda t: t.volume_id,
    },
    sorts={"name": lambda t: t.name or "", "volume_id": lambda t: t.volume_id},
)


def transfer(call: BlockCall) -> Transfer:
    """The transfer of the path, if the caller may know of it."""
    return call.services.transfers.find(call.params["transfer_id"], reach(call))


def transfer_target(call: BlockCall, body: Any = None) -> Target:
    """The project that offers."""
    scoped(call)
    return Target(project_id=transfer(call).project_id)


def _both(method: str, path: str, action: str, **optional: Any) -> Callable[[F], F]:
    """The old path, and that of 3.55."""

    def declare(handler: F) -> F:
        routes.on(method, "/os-volume-transfer" + path, action, **optional)(handler)
        return routes.on(method, "/volume-transfers" + path, action, versions=((3, 55), None), **optional)(handler)

    return declare


@_both("POST", "", "create_transfer", body=Body, status=202)
def create_transfer(call: BlockCall, body: Body) -> Any:
    """Offer a volume; the key is shown this once."""
    fields = Fields(call, body, "transfer", ("volume_id", "name", "no_snapshots"))
    snapshots = not fields.flag("no_snapshots") if at_least(call, 55) else False
    volume_id = fields.required("volume_id")
    made, key = call.services.transfers.create(call, volume_id, reach(call), fields.text("name"), snapshots)
    return {"transfer": {**views.transfer(call, made), "auth_key": key}}


@_both("GET", "", "list_transfers")
def list_transfers(call: BlockCall) -> Any:
    """Offers of the project."""
    return _transfers(call, False)


@_both("GET", "/detail", "list_transfers")
def list_transfers_detail(call: BlockCall) -> Any:
    """The same in detail."""
    return _transfers(call, True)


def _transfers(call: BlockCall, detail: bool) -> Any:
    rows = TRANSFERS.select(call.services.volumes.desk.db, {**listing.owner(call), "accepted": False})
    page = listing.Page(call, rows, TRANSFER_SHAPE)
    return page.body(call, "transfers", [views.transfer(call, row, detail) for row in page.rows])


@_both("GET", "/{transfer_id}", "get_transfer", target=transfer_target)
def show_transfer(call: BlockCall) -> Any:
    """One offer."""
    return {"transfer": views.transfer(call, transfer(call))}


@_both("DELETE", "/{transfer_id}", "delete_transfer", target=transfer_target, status=202)
def delete_transfer(call: BlockCall) -> Reply:
    """Take an offer back."""
    call.services.transfers.delete(call, transfer(call))
    return Reply(None, 202)


@_both("POST", "/{transfer_id}/accept", "accept_transfer", body=Body, target=own, status=202)
def accept_transfer(call: BlockCall, body: Body) -> Any:
    """Take a volume over with the key that the giver told."""
    key = Fields(call, body, "accept", ("auth_key",)).required("auth_key")
    made = call.services.transfers.accept(call, call.params["transfer_id"], key, project_of(call))
    return {"transfer": views.transfer(call, made, False)}
