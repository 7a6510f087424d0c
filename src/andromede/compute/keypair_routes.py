"""Keypairs (Compute API, "Keypairs"): of the caller, or for admins of anybody (2.10)."""

from __future__ import annotations

import re
from typing import Any

from andromede.compute.checks import Fields, refuse
from andromede.compute.core import fine, version
from andromede.compute.listing import page, with_links
from andromede.compute.model import Keypair
from andromede.compute.service import Compute
from andromede.web.call import Call, Reply
from andromede.web.routes import Routes, Target

routes: Routes[Compute] = Routes()
ComputeCall = Call[Compute]
Body = dict[str, Any]
_NAME = re.compile(r"[a-zA-Z0-9\-_ ]{1,255}")
PATH = "/v2.1/os-keypairs"


def _user(call: ComputeCall) -> str:
    asked = call.query.get("user_id") if version(call) >= (2, 10) else None
    return asked or call.who.user_id


def whose(call: ComputeCall, body: Any) -> Target:
    """The user whose keys are meant."""
    named = body.get("keypair") if isinstance(body, dict) else None
    if version(call) >= (2, 10) and isinstance(named, dict) and isinstance(named.get("user_id"), str):
        return Target(user_id=named["user_id"])
    return Target(user_id=_user(call))


def _view(call: ComputeCall, key: Keypair) -> Body:
    body = {"name": key.name, "public_key": key.public_key, "fingerprint": key.fingerprint}
    return {**body, "type": key.type} if version(call) >= (2, 2) else body


@routes.add("GET", PATH, "compute:list_keypairs", target=whose)
def list_keypairs(call: ComputeCall) -> Body:
    """A user's keys."""
    rows = call.services.keypairs.listed(_user(call))
    links: list[Any] = []
    if version(call) >= (2, 35):
        rows, links = page(call, rows, ("keypairs", "keypair"), "name")
    return with_links({"keypairs": [{"keypair": _view(call, key)} for key in rows]}, "keypairs_links", links)


@routes.add("GET", PATH + "/{name}", "compute:show_keypair", target=whose)
def show_keypair(call: ComputeCall) -> Body:
    """One key."""
    key = call.services.keypairs.find(_user(call), call.params["name"])
    times = {"created_at": fine(key.created_us), "updated_at": None, "deleted_at": None}
    return {"keypair": {**_view(call, key), "user_id": key.user_id, "id": key.number, "deleted": False, **times}}


@routes.add("POST", PATH, "compute:create_keypair", body=Body, target=whose, slow=True)
def create_keypair(call: ComputeCall, body: Body) -> Reply:
    """Import a key, or generate one; its private part is shown this once."""
    fields, asked = Fields.of(body, "keypair"), version(call)
    fields.only(
        "name", "public_key", *(("type",) if asked >= (2, 2) else ()), *(("user_id",) if asked >= (2, 10) else ())
    )
    fields.need("name")
    name = fields.text("name", 1, 255) or ""
    if not _NAME.fullmatch(name) or name != name.strip():
        raise refuse("name", name, "Keypair name contains unsafe characters; letters, digits, - _ and blanks are.")
    kind = fields.choice("type", "ssh", "x509") or "ssh"
    public_key = fields.text("public_key", 0, 16384, null=True) if fields.get("public_key") is not None else None
    user = fields.text("user_id", 1, 255) or call.who.user_id
    key, private = call.services.keypairs.create(call, user, name, kind, public_key)
    view = {**_view(call, key), "user_id": key.user_id} | ({"private_key": private} if private else {})
    return Reply({"keypair": view}, 200 if asked < (2, 2) else 201)


@routes.add("DELETE", PATH + "/{name}", "compute:delete_keypair", target=whose)
def delete_keypair(call: ComputeCall) -> Reply:
    """Delete a key."""
    call.services.keypairs.remove(call, _user(call), call.params["name"])
    return Reply(None, 202 if version(call) < (2, 2) else 204)
