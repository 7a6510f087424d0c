"""Flavors, their extra specs and who may use them (Compute API, "Flavors")."""

from __future__ import annotations

import re
from typing import Any

from andromede.compute.checks import Fields, refuse
from andromede.compute.core import is_admin, version
from andromede.compute.listing import page, refs, with_links
from andromede.compute.model import Flavor
from andromede.compute.service import Compute
from andromede.errors import Invalid, NotFound
from andromede.web.call import Call
from andromede.web.routes import Routes

routes: Routes[Compute] = Routes()
ComputeCall = Call[Compute]
Body = dict[str, Any]
_ID = re.compile(r"(?! )[a-zA-Z0-9. _-]{1,255}(?<! )")
_SPEC = re.compile(r"[a-zA-Z0-9\-_:. ]{1,255}")
SORTS = {
    "flavorid": "id",
    "id": "id",
    "name": "name",
    "memory_mb": "ram",
    "vcpus": "vcpus",
    "root_gb": "disk",
    "ephemeral_gb": "ephemeral",
    "swap": "swap",
    "rxtx_factor": "rxtx_factor",
    "is_public": "public",
    "disabled": "disabled",
    "created_at": "created_us",
}


def brief(call: ComputeCall, flavor: Flavor) -> Body:
    """A flavor in the short list."""
    body = {"id": flavor.id, "name": flavor.name, "links": refs(call, f"flavors/{flavor.id}")}
    return {**body, "description": flavor.description} if version(call) >= (2, 55) else body


def view(call: ComputeCall, flavor: Flavor) -> Body:
    """A flavor wholly."""
    asked = version(call)
    body = brief(call, flavor) | {
        "ram": flavor.ram,
        "disk": flavor.disk,
        "vcpus": flavor.vcpus,
        "swap": flavor.swap or ("" if asked < (2, 75) else 0),
        "rxtx_factor": float(flavor.rxtx_factor),
        "OS-FLV-EXT-DATA:ephemeral": flavor.ephemeral,
        "OS-FLV-DISABLED:disabled": flavor.disabled,
        "os-flavor-access:is_public": flavor.public,
    }
    return {**body, "extra_specs": flavor.extra_specs} if asked >= (2, 61) else body


def _public(call: ComputeCall) -> bool | None:
    word = call.query.get("is_public")
    if not is_admin(call) or word is None:
        return True
    if word.lower() == "none":
        return None
    if word.lower() in ("t", "true", "yes", "1", "on", "y"):
        return True
    if word.lower() in ("f", "false", "no", "0", "off", "n"):
        return False
    raise Invalid(f"Invalid is_public filter [{word}]", "query")


def _least(call: ComputeCall, name: str) -> int:
    value = call.query.get(name)
    if value is None:
        return 0
    if not re.fullmatch(r"[0-9]{1,10}", value):
        raise Invalid(f"Invalid {name} filter [{value}]", "query")
    return int(value)


def _listed(call: ComputeCall) -> tuple[list[Flavor], list[Any]]:
    disk, ram = _least(call, "minDisk"), _least(call, "minRam")
    key, way = call.query.get("sort_key") or "flavorid", call.query.get("sort_dir") or "asc"
    if key not in SORTS or way not in ("asc", "desc"):
        raise Invalid(f"flavors cannot be sorted by {key!r} {way!r}", "query")
    found = [f for f in call.services.flavors.listed(_public(call), call.who.project_id) if f.disk >= disk]
    rows = [flavor for flavor in found if flavor.ram >= ram]
    rows.sort(key=lambda flavor: (getattr(flavor, SORTS[key]), flavor.id), reverse=way == "desc")
    return page(call, rows, ("flavors", "flavor"))


def _found(call: ComputeCall) -> Flavor:
    return call.services.flavors.find(call.params["flavor_id"], call.who.project_id, is_admin(call))


@routes.add("GET", "/v2.1/flavors", "compute:list_flavors")
def list_flavors(call: ComputeCall) -> Body:
    """Flavors that the caller may use."""
    rows, links = _listed(call)
    return with_links({"flavors": [brief(call, flavor) for flavor in rows]}, "flavors_links", links)


@routes.add("GET", "/v2.1/flavors/detail", "compute:list_flavors")
def list_flavors_detail(call: ComputeCall) -> Body:
    """The same, wholly."""
    rows, links = _listed(call)
    return with_links({"flavors": [view(call, flavor) for flavor in rows]}, "flavors_links", links)


@routes.add("GET", "/v2.1/flavors/{flavor_id}", "compute:show_flavor")
def show_flavor(call: ComputeCall) -> Body:
    """One flavor."""
    return {"flavor": view(call, _found(call))}


def _wanted(call: ComputeCall, body: Body) -> Flavor:
    fields = Fields.of(body, "flavor")
    described = ("description",) if version(call) >= (2, 55) else ()
    fields.only(
        "name", "ram", "vcpus", "disk", "id", "swap", "rxtx_factor", "os-flavor-access:is_public",
        "OS-FLV-EXT-DATA:ephemeral", *described,
    )  # fmt: skip
    fields.need("name", "ram", "vcpus", "disk")
    flavor_id = fields.get("id")
    flavor_id = call.services.core.desk.ids.dashed() if flavor_id in (None, "auto") else str(flavor_id)
    if not _ID.fullmatch(flavor_id):
        raise refuse("id", flavor_id, "It must be letters, digits, blanks, dots, dashes and underscores.")
    factor = fields.get("rxtx_factor") if "rxtx_factor" in fields else 1.0
    try:
        ratio = float(factor)
    except (TypeError, ValueError) as error:
        raise refuse("rxtx_factor", factor, "It is not a number.") from error
    if not 0 < ratio <= 3.4e38:
        raise refuse("rxtx_factor", factor, "It must be greater than 0.")
    return Flavor(
        flavor_id, fields.name("name") or "", fields.integer("vcpus", 1) or 1, fields.integer("ram", 1) or 1,
        fields.integer("disk") or 0, fields.integer("OS-FLV-EXT-DATA:ephemeral") or 0, fields.integer("swap") or 0,
        repr(ratio), fields.flag("os-flavor-access:is_public", True), False,
        fields.text("description", 0, 65535, null=True), {}, call.services.core.desk.clock.now_us(),
    )  # fmt: skip


@routes.add("POST", "/v2.1/flavors", "compute:create_flavor", body=Body)
def create_flavor(call: ComputeCall, body: Body) -> Body:
    """Add a flavor."""
    return {"flavor": view(call, call.services.flavors.create(call, _wanted(call, body)))}


@routes.add("PUT", "/v2.1/flavors/{flavor_id}", "compute:update_flavor", body=Body, versions=((2, 55), None))
def update_flavor(call: ComputeCall, body: Body) -> Body:
    """Change its description."""
    fields = Fields.of(body, "flavor")
    fields.only("description")
    fields.need("description")
    text = fields.text("description", 0, 65535, null=True)
    return {"flavor": view(call, call.services.flavors.describe(call, call.params["flavor_id"], text))}


@routes.add("DELETE", "/v2.1/flavors/{flavor_id}", "compute:delete_flavor", status=202)
def delete_flavor(call: ComputeCall) -> None:
    """Delete a flavor."""
    call.services.flavors.remove(call, call.params["flavor_id"])


def _access(found: list[Any]) -> Body:
    return {"flavor_access": [{"flavor_id": row.flavor_id, "tenant_id": row.project_id} for row in found]}


@routes.add("GET", "/v2.1/flavors/{flavor_id}/os-flavor-access", "compute:list_access")
def list_access(call: ComputeCall) -> Body:
    """Projects that may use a flavor that is not public."""
    return _access(call.services.flavors.access(call.params["flavor_id"]))


@routes.add("POST", "/v2.1/flavors/{flavor_id}/action", "compute:change_access", body=Body)
def change_access(call: ComputeCall, body: Body) -> Body:
    """Let a project use a flavor, or no longer."""
    word = next(iter(body), "")
    if len(body) != 1 or word not in ("addTenantAccess", "removeTenantAccess"):
        raise Invalid("There is no such action; addTenantAccess and removeTenantAccess are known.", "action")
    fields = Fields(body[word], word)
    fields.only("tenant")
    fields.need("tenant")
    tenant = fields.text("tenant", 1, 255) or ""
    allowed = word == "addTenantAccess"
    return _access(call.services.flavors.allow(call, call.params["flavor_id"], tenant, allowed))


@routes.add("GET", "/v2.1/flavors/{flavor_id}/os-extra_specs", "compute:list_extra_specs")
def list_extra_specs(call: ComputeCall) -> Body:
    """A flavor's extra specs."""
    return {"extra_specs": _found(call).extra_specs}


def _specs(raw: Any) -> dict[str, str]:
    if not isinstance(raw, dict):
        raise refuse("extra_specs", raw, "It is not of type 'object'.")
    for key, value in raw.items():
        plain = isinstance(value, (str, int, float)) and not isinstance(value, bool)
        if not _SPEC.fullmatch(str(key)) or not plain or len(str(value)) > 255 or (value != value):
            raise refuse("extra_specs", f"{key}={value}", "Names and values have at most 255 plain characters.")
    return {key: str(value) for key, value in raw.items()}


@routes.add("POST", "/v2.1/flavors/{flavor_id}/os-extra_specs", "compute:create_extra_specs", body=Body)
def create_extra_specs(call: ComputeCall, body: Body) -> Body:
    """Add or change extra specs."""
    fields = Fields(body, "body")
    fields.only("extra_specs")
    fields.need("extra_specs")
    specs = _specs(body["extra_specs"])
    call.services.flavors.specs(call, call.params["flavor_id"], specs)
    return {"extra_specs": specs}


@routes.add("GET", "/v2.1/flavors/{flavor_id}/os-extra_specs/{key}", "compute:show_extra_spec")
def show_extra_spec(call: ComputeCall) -> Body:
    """One extra spec."""
    flavor, key = _found(call), call.params["key"]
    if key not in flavor.extra_specs:
        raise NotFound(f"Flavor {flavor.id} has no extra specs with key {key}.", "extra_spec")
    return {key: flavor.extra_specs[key]}


@routes.add("PUT", "/v2.1/flavors/{flavor_id}/os-extra_specs/{key}", "compute:update_extra_spec", body=Body)
def update_extra_spec(call: ComputeCall, body: Body) -> Body:
    """Set one extra spec."""
    specs, key = _specs(body), call.params["key"]
    if list(specs) != [key]:
        raise Invalid("Request body and URI mismatch", "extra_spec")
    call.services.flavors.specs(call, call.params["flavor_id"], specs)
    return dict(specs)


@routes.add("DELETE", "/v2.1/flavors/{flavor_id}/os-extra_specs/{key}", "compute:delete_extra_spec")
def delete_extra_spec(call: ComputeCall) -> None:
    """Drop one extra spec."""
    call.services.flavors.specs(call, call.params["flavor_id"], {}, call.params["key"])
