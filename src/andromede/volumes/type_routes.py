"""Types of volumes (Block Storage API v3, "Volume types", "Volume type access", "Default volume types")."""

from __future__ import annotations

from typing import Any

from andromede.errors import Invalid, NotFound
from andromede.volumes import listing, store, types
from andromede.volumes.action_routes import named
from andromede.volumes.api import BlockCall, Fields, VolumeRoutes, adding, dropping, needs, pairs, reach, stamp, truth
from andromede.volumes.model import VolumeType
from andromede.volumes.tables import VOLUMES
from andromede.volumes.volume_routes import Body, member_of
from andromede.web.call import Reply

routes = VolumeRoutes()
SHOWN = frozenset(("RESKEY:availability_zones", "multiattach", "replication_enabled"))
"""Extra specs that everybody may see."""
SHAPE = listing.Shape(
    texts={"name": lambda t: t.name, "id": lambda t: t.id, "description": lambda t: t.description},
    dicts={"extra_specs": lambda t: t.specs},
    sorts={"name": lambda t: t.name, "updated_at": lambda t: t.updated_us},
    others=("is_public",),
)


def view(call: BlockCall, row: VolumeType, changed: bool = False) -> dict[str, Any]:
    """A type; administrators see all of it, but not in the answer to a change."""
    admin = reach(call) is None
    body: dict[str, Any] = {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "is_public": row.is_public,
        "os-volume-type-access:is_public": row.is_public,
        "extra_specs": dict(row.specs) if admin else {k: v for k, v in row.specs.items() if k in SHOWN},
    }
    if admin and not changed:
        body["qos_specs_id"] = row.qos_id or None
    return body


def find(call: BlockCall) -> VolumeType:
    """The type of the path, by id or name, if the caller may use it."""
    return call.services.kinds.find(call.params["type_id"], reach(call))


@routes.on("GET", "/types", "list_types")
def list_types(call: BlockCall) -> Any:
    """Types that the project may use; `is_public`: also or only private ones, for administrators."""
    rows = types.visible(call.services.volumes.desk.db, reach(call))
    asked = call.query.get("is_public")
    if reach(call) is None and (asked is None or asked.lower() != "none"):
        wanted = truth(asked or "true", "is_public")
        rows = [row for row in rows if row.is_public == wanted]
    page = listing.Page(call, rows, SHAPE)
    return page.body(call, "volume_types", [view(call, row) for row in page.rows])


@routes.on("GET", "/types/{type_id}", "get_type")
def show_type(call: BlockCall) -> Any:
    """One type; `default` is the one of volumes that name none."""
    if call.params["type_id"] == "default":
        row = types.default(call.services.volumes.desk.db, call.who.project_id or "")
        return {"volume_type": view(call, row)}
    return {"volume_type": view(call, find(call))}


def _specs(value: Any) -> dict[str, str]:
    found = pairs(value, "extra_specs")
    if any(not all(c.isalnum() or c in " :_.-" for c in key) for key in found):
        raise Invalid("A key of extra_specs has letters, digits, blanks and the signs : _ . - only.", "schema")
    return found


@routes.on("POST", "/types", "create_type", body=Body)
def create_type(call: BlockCall, body: Body) -> Any:
    """A new type."""
    known = ("name", "description", "extra_specs", "os-volume-type-access:is_public")
    fields = Fields(call, body, "volume_type", known)
    wish = VolumeType(
        "", fields.required("name").strip(), fields.text("description"), fields.flag(known[3], True),
        _specs(fields.values.get("extra_specs") or {}), "", {}, 0, None,
    )  # fmt: skip
    return {"volume_type": view(call, call.services.kinds.create(call, wish), True)}


@routes.on("PUT", "/types/{type_id}", "update_type", body=Body)
def update_type(call: BlockCall, body: Body) -> Any:
    """Change name, description or who may use it."""
    fields = Fields(call, body, "volume_type", ("name", "description", "is_public"))
    changes: dict[str, Any] = {}
    if fields.values.get("name") is not None:
        changes["name"] = fields.required("name").strip()
    if fields.values.get("description") is not None:
        changes["description"] = fields.text("description")
    if fields.values.get("is_public") is not None:
        changes["is_public"] = fields.flag("is_public")
    if not changes:
        raise Invalid("Specify volume type name, description, is_public or a combination thereof.", "schema")
    body_out = view(call, call.services.kinds.update(call, find(call), **changes), True)
    del body_out["os-volume-type-access:is_public"]
    return {"volume_type": body_out}


@routes.on("DELETE", "/types/{type_id}", "delete_type", status=202)
def delete_type(call: BlockCall) -> None:
    """Delete a type that no volume has."""
    call.services.kinds.delete(call, call.services.kinds.exact(call.params["type_id"]))


# --- extra specs


@routes.on("GET", "/types/{type_id}/extra_specs", "list_extra_specs")
def list_specs(call: BlockCall) -> Any:
    """All that the caller may see."""
    return {"extra_specs": view(call, find(call))["extra_specs"]}


@routes.on("POST", "/types/{type_id}/extra_specs", "set_extra_specs", body=Body)
def create_specs(call: BlockCall, body: Body) -> Any:
    """Add to them."""
    row, more = find(call), _specs(member_of(body, "extra_specs"))
    if not more:
        raise Invalid("extra_specs needs at least one pair.", "schema")
    call.services.kinds.update(call, row, specs=adding(more))
    return {"extra_specs": more}


def _spec(row: VolumeType, key: str) -> str:
    if key not in row.specs:
        raise NotFound(f"Volume Type {row.id} has no extra specs with key {key[:60]}.", "spec")
    return row.specs[key]


@routes.on("GET", "/types/{type_id}/extra_specs/{key}", "list_extra_specs")
def show_spec(call: BlockCall) -> Any:
    """One pair."""
    key = call.params["key"]
    row = find(call)
    _spec(row, key)
    if key not in view(call, row)["extra_specs"]:
        raise NotFound(f"Volume Type {row.id} has no extra specs with key {key[:60]}.", "spec")
    return {key: row.specs[key]}


@routes.on("PUT", "/types/{type_id}/extra_specs/{key}", "set_extra_specs", body=Body)
def update_spec(call: BlockCall, body: Body) -> Any:
    """Set one pair."""
    key, row = call.params["key"], find(call)
    if list(body) != [key]:
        raise Invalid("Request body contains too many items, or another than the path names.", "schema")
    more = _specs(body)
    call.services.kinds.update(call, row, specs=adding(more))
    return more


@routes.on("DELETE", "/types/{type_id}/extra_specs/{key}", "delete_extra_spec", status=202)
def delete_spec(call: BlockCall) -> None:
    """Remove one pair."""
    row, key = find(call), call.params["key"]
    _spec(row, key)
    call.services.kinds.update(call, row, specs=dropping(key))


# --- access


@routes.on("GET", "/types/{type_id}/os-volume-type-access", "list_type_access")
def list_access(call: BlockCall) -> Any:
    """The projects that may use a private type."""
    row = find(call)
    if row.is_public:
        raise NotFound(f"Access list not available for public volume type {row.id}.", "type")
    projects = store.type_projects(call.services.volumes.desk.db, row.id)
    return {"volume_type_access": [{"volume_type_id": row.id, "project_id": project} for project in projects]}


@routes.on("POST", "/types/{type_id}/action", "type_action", body=Body, status=202)
def type_action(call: BlockCall, body: Body) -> Reply:
    """addProjectAccess and removeProjectAccess."""
    name, value = named(body)
    if name not in ("addProjectAccess", "removeProjectAccess"):
        raise Invalid(f"There is no such action: {name[:80]}", "action")
    project = Fields(call, {name: value}, name, ("project",)).required("project")
    call.services.kinds.grant(call, find(call), project, name == "addProjectAccess")
    return Reply(None, 202)


# --- encryption: what an administrator notes of a type; every volume is encrypted in any case


def _encryption(row: VolumeType) -> dict[str, Any]:
    shown = ("encryption_id", "provider", "cipher", "key_size", "control_location")
    return {"volume_type_id": row.id, **{name: row.encryption.get(name) for name in shown}}


@routes.on("GET", "/types/{type_id}/encryption", "get_encryption")
def show_encryption(call: BlockCall) -> Any:
    """What was noted."""
    row = find(call)
    if not row.encryption:
        return {}
    return {
        **_encryption(row),
        "created_at": stamp(row.created_us),
        "updated_at": stamp(row.updated_us),
        "deleted": False,
        "deleted_at": None,
    }


@routes.on("GET", "/types/{type_id}/encryption/{key}", "get_encryption")
def show_encryption_item(call: BlockCall) -> Any:
    """One member."""
    row, key = find(call), call.params["key"]
    if not row.encryption or key not in _encryption(row):
        raise NotFound(f"Volume type {row.id} has no encryption item {key[:60]}.", "encryption")
    return {key: _encryption(row)[key]}


def _noted(call: BlockCall, body: Body, row: VolumeType, partial: bool) -> dict[str, object]:
    known = ("provider", "cipher", "key_size", "control_location", "encryption_id")
    fields = Fields(call, body, "encryption", known)
    location = fields.text("control_location") or str(row.encryption.get("control_location") or "front-end")
    if location not in ("front-end", "back-end"):
        raise Invalid("control_location must be front-end or back-end.", "schema")
    provider = fields.text("provider") if partial else fields.required("provider")
    found: dict[str, object] = {"control_location": location}
    for name, value in (("provider", provider), ("cipher", fields.text("cipher")),
                        ("key_size", fields.integer("key_size", 0, 1 << 31))):  # fmt: skip
        if value is not None or not partial:
            found[name] = value
    return found


def _unused(call: BlockCall, row: VolumeType) -> None:
    if VOLUMES.find(call.services.volumes.desk.db, type_id=row.id) is not None:
        raise Invalid(f"Volume type {row.id} is in use: its encryption cannot change.", "encryption")


@routes.on("POST", "/types/{type_id}/encryption", "set_encryption", body=Body)
def create_encryption(call: BlockCall, body: Body) -> Any:
    """Note the encryption of a type."""
    row = find(call)
    noted = _noted(call, body, row, False)
    _unused(call, row)
    if row.encryption:
        raise Invalid(f"Volume type encryption for type {row.id} already exists.", "encryption")
    noted["encryption_id"] = call.services.kinds.desk.ids.dashed()
    return {"encryption": _encryption(call.services.kinds.update(call, row, encryption=noted))}


@routes.on("PUT", "/types/{type_id}/encryption/{encryption_id}", "set_encryption", body=Body)
def update_encryption(call: BlockCall, body: Body) -> Any:
    """Change what is noted."""
    row = find(call)
    if row.encryption.get("encryption_id") != call.params["encryption_id"]:
        raise NotFound(f"Volume type {row.id} has no encryption {call.params['encryption_id'][:60]}.", "encryption")
    noted = _noted(call, body, row, True)
    _unused(call, row)
    made = call.services.kinds.update(call, row, encryption=lambda old: {**old, **noted})
    return {"encryption": {name: made.encryption.get(name) for name in noted}}


@routes.on("DELETE", "/types/{type_id}/encryption/{encryption_id}", "delete_encryption", status=202)
def delete_encryption(call: BlockCall) -> None:
    """Forget what is noted."""
    row = find(call)
    if not row.encryption:
        raise NotFound(f"Volume type {row.id} has no encryption.", "encryption")
    _unused(call, row)
    call.services.kinds.update(call, row, encryption={})


# --- default types of projects (3.62)


@routes.on("GET", "/default-types", "default_types")
def list_defaults(call: BlockCall) -> Any:
    """Projects with a default of their own."""
    needs(call, 62)
    rows = store.default_types(call.services.volumes.desk.db)
    return {"default_types": [{"project_id": project, "volume_type_id": type_id} for project, type_id in rows]}


@routes.on("GET", "/default-types/{project_id}", "default_types")
def show_default(call: BlockCall) -> Any:
    """The default of a project."""
    needs(call, 62)
    project = call.params["project_id"]
    found = dict(store.default_types(call.services.volumes.desk.db)).get(project)
    if found is None:
        raise NotFound(f"Default type for project {project[:60]} not found.", "type")
    return {"default_type": {"project_id": project, "volume_type_id": found}}


@routes.on("PUT", "/default-types/{project_id}", "default_types", body=Body)
def set_default(call: BlockCall, body: Body) -> Any:
    """Set the default of a project."""
    needs(call, 62)
    name = Fields(call, body, "default_type", ("volume_type",)).required("volume_type")
    row = call.services.kinds.find(name, None)
    call.services.kinds.set_default(call, call.params["project_id"], row.id)
    return {"default_type": {"project_id": call.params["project_id"], "volume_type_id": row.id}}


@routes.on("DELETE", "/default-types/{project_id}", "default_types", status=204)
def unset_default(call: BlockCall) -> None:
    """Back to the default of the installation."""
    needs(call, 62)
    call.services.kinds.set_default(call, call.params["project_id"], None)
