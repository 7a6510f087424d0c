"""`POST volumes/{id}/action` (Block Storage API v3, "Volume actions"): the one key of the body names the action."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from andromede.errors import Denied, Invalid, NotFound, Unsupported
from andromede.volumes import access, connecting, editing, views
from andromede.volumes.api import BlockCall, Fields, VolumeRoutes, adding, at_least, dropping, pairs, reach, stamp
from andromede.volumes.creation import LARGEST
from andromede.volumes.model import Volume
from andromede.volumes.ports import NewPicture
from andromede.volumes.tables import TYPES
from andromede.volumes.volume_routes import Body, find, volume_target
from andromede.web.call import Reply
from andromede.web.routes import Target

routes = VolumeRoutes()
Run = Callable[[BlockCall, Volume, Any], Any]


@dataclass(frozen=True, slots=True)
class Verb:
    """An action: the rule that it needs, its success code, and from which microversion it is there."""

    needs: str
    run: Run
    status: int = 202
    since: int = 0


def _fields(call: BlockCall, value: Any, key: str, *known: str) -> Fields:
    return Fields(call, {key: value if value is not None else {}}, key, known)


def _extend(call: BlockCall, volume: Volume, value: Any) -> None:
    size = _fields(call, value, "os-extend", "new_size").integer("new_size", 1, LARGEST)
    if size is None:
        raise Invalid("'new_size' is a required property of os-extend.", "schema")
    editing.extend(call.services.volumes, call, volume, size, at_least(call, 42))


def _attach(call: BlockCall, volume: Volume, value: Any) -> None:
    fields = _fields(call, value, "os-attach", "instance_uuid", "host_name", "mountpoint", "mode")
    server, host = fields.identifier("instance_uuid"), fields.identifier("host_name")
    mode = fields.text("mode") or "rw"
    if bool(server) == bool(host):
        raise Invalid("Invalid request to attach volume: name a server or a host, and one of them.", "schema")
    if mode not in ("rw", "ro"):
        raise Invalid(f"Invalid request to attach volume with mode {mode[:20]!r}: it must be rw or ro.", "schema")
    device = fields.required("mountpoint")
    connecting.attach(call.services.volumes, call, volume, (server, host), device, mode)


def _detach(call: BlockCall, volume: Volume, value: Any) -> None:
    fields = _fields(call, value, "os-detach", "attachment_id")
    connecting.detach(call.services.volumes, call, volume, fields.identifier("attachment_id"))


def _force_detach(call: BlockCall, volume: Volume, value: Any) -> None:
    fields = _fields(call, value, "os-force_detach", "attachment_id", "connector")
    connecting.detach(call.services.volumes, call, volume, fields.identifier("attachment_id"), True)


def _connection(call: BlockCall, volume: Volume, value: Any) -> Any:
    _connector(call, value, "os-initialize_connection")
    if volume.state not in ("attaching", "reserved", "in-use"):
        raise Invalid(f"Invalid volume: volume {volume.id} is {volume.state}; reserve it first.", "state")
    # a disk of this engine can be reached by the hypervisor of its own host alone: there is nothing to connect to
    data = {"volume_id": volume.id, "encrypted": True, "access_mode": "ro" if volume.readonly else "rw"}
    return {"connection_info": {"driver_volume_type": "qcow2", "data": data}}


def _connector(call: BlockCall, value: Any, key: str) -> None:
    if not isinstance(_fields(call, value, key, "connector", "force").values.get("connector"), dict):
        raise Invalid(f"'connector' is a required property of {key}: an object.", "schema")


def _terminate(call: BlockCall, volume: Volume, value: Any) -> None:
    _connector(call, value, "os-terminate_connection")
    editing.update(call.services.volumes, call, volume, {})


def _bootable(call: BlockCall, volume: Volume, value: Any) -> None:
    fields = _fields(call, value, "os-set_bootable", "bootable")
    if "bootable" not in fields:
        raise Invalid("'bootable' is a required property of os-set_bootable.", "schema")
    editing.update(call.services.volumes, call, volume, {"bootable": fields.flag("bootable")})


def _readonly(call: BlockCall, volume: Volume, value: Any) -> None:
    fields = _fields(call, value, "os-update_readonly_flag", "readonly")
    if "readonly" not in fields:
        raise Invalid("'readonly' is a required property of os-update_readonly_flag.", "schema")
    if volume.state != "available":
        raise Invalid(f"Invalid volume: volume {volume.id} is {volume.state}; it must be available.", "state")
    editing.update(call.services.volumes, call, volume, {"readonly": int(fields.flag("readonly"))})


def _retype(call: BlockCall, volume: Volume, value: Any) -> None:
    fields = _fields(call, value, "os-retype", "new_type", "migration_policy")
    if (fields.text("migration_policy") or "never") not in ("never", "on-demand"):
        raise Invalid("migration_policy must be 'on-demand' or 'never'.", "schema")
    editing.retype(call.services.volumes, call, volume, fields.required("new_type"))


def _reset(call: BlockCall, volume: Volume, value: Any) -> None:
    fields = _fields(call, value, "os-reset_status", "status", "attach_status", "migration_status")
    status, attach, migration = (fields.text(name) for name in ("status", "attach_status", "migration_status"))
    if status is None and attach is None and migration is None:
        raise Invalid("Must specify 'status', 'attach_status' or 'migration_status' to reset.", "schema")
    if attach is not None and attach not in ("attached", "detached"):
        raise Invalid(f"Invalid attach status {attach[:40]!r}.", "schema")
    if migration is not None and migration not in ("migrating", "error", "success", "completing", "none", "starting"):
        raise Invalid(f"Invalid migration status {migration[:40]!r}.", "schema")
    editing.reset(call.services.volumes, call, volume, status.lower() if status else None, migration)


def _force_delete(call: BlockCall, volume: Volume, value: Any) -> None:
    editing.delete(call.services.volumes, call, volume, False, True)


def _revert(call: BlockCall, volume: Volume, value: Any) -> None:
    snapshot_id = _fields(call, value, "revert", "snapshot_id").required("snapshot_id")
    editing.revert(call.services.volumes, call, volume, snapshot_id)


def _reimage(call: BlockCall, volume: Volume, value: Any) -> None:
    fields = _fields(call, value, "os-reimage", "image_id", "reimage_reserved")
    picture = call.services.volumes.tools.pictures.find(fields.required("image_id"), volume.project_id)
    editing.reimage(call.services.volumes, call, volume, picture, fields.flag("reimage_reserved"))


def _image_metadata(call: BlockCall, volume: Volume, value: Any) -> Any:
    given = pairs(_fields(call, value, "os-set_image_metadata", "metadata").values.get("metadata"), "metadata")
    made = editing.update(
        call.services.volumes, call, volume, {"image_metadata": adding(given)}
    )  # fmt: skip
    return {"metadata": dict(made.image_metadata)}


def _unset_image_metadata(call: BlockCall, volume: Volume, value: Any) -> None:
    key = _fields(call, value, "os-unset_image_metadata", "key").required("key")
    if key not in volume.image_metadata:
        raise NotFound(f"Volume {volume.id} has no image metadata key {key[:60]!r}.", "metadata")
    editing.update(call.services.volumes, call, volume, {"image_metadata": dropping(key)})


def _show_image_metadata(call: BlockCall, volume: Volume, value: Any) -> Any:
    return {"metadata": dict(volume.image_metadata)}


def _upload(call: BlockCall, volume: Volume, value: Any) -> Any:
    key = "os-volume_upload_image"
    known = ("image_name", "force", "disk_format", "container_format", "visibility", "protected")
    fields = _fields(call, value, key, *known)
    form, box = fields.text("disk_format") or "raw", fields.text("container_format") or "bare"
    if form not in ("raw", "qcow2") or box != "bare":
        raise Invalid("A volume becomes an image of disk_format raw or qcow2 and container_format bare.", "schema")
    visibility = fields.text("visibility") or "private"
    if visibility not in ("private", "public", "shared", "community"):
        raise Invalid(f"Invalid visibility {visibility[:40]!r}.", "schema")
    if visibility == "public" and reach(call) is not None:
        raise Denied("Only administrators make public images.", "policy")
    name, protected = fields.required("image_name"), fields.flag("protected")
    wish = NewPicture(name, form, box, visibility, protected, volume.size, dict(_properties(volume)))
    row, picture = editing.upload(call.services.volumes, call, volume, wish, fields.flag("force"))
    kind = TYPES.find(call.services.volumes.desk.db, id=row.type_id)
    body: dict[str, Any] = {
        "id": row.id,
        "updated_at": stamp(row.updated_us),
        "status": row.state,
        "display_description": row.description,
        "size": row.size,
        "volume_type": None if kind is None else {"id": kind.id, "name": kind.name, "is_public": kind.is_public,
                                                  "description": kind.description, "extra_specs": kind.specs,
                                                  "created_at": stamp(kind.created_us), "updated_at": None,
                                                  "deleted": False, "deleted_at": None, "qos_specs_id": None},
        "image_id": picture.id,
        "container_format": box,
        "disk_format": form,
        "image_name": name,
    }  # fmt: skip
    if at_least(call, 1):
        body |= {"visibility": visibility, "protected": protected}
    return {key: body}


def _properties(volume: Volume) -> dict[str, str]:
    known = {"image_id", "image_name", "checksum", "container_format", "disk_format", "min_disk", "min_ram", "size"}
    return {name: value for name, value in volume.image_metadata.items() if name not in known}


def _one_host(call: BlockCall, volume: Volume, value: Any) -> None:
    raise Invalid(
        f"Volume {volume.id} cannot move: this installation keeps volumes on one host, "
        f"{views.host_name(call.services.volumes.tools.host)}.",
        "host",
    )


def _unmanage(call: BlockCall, volume: Volume, value: Any) -> None:
    raise Unsupported(
        "A volume cannot be given away unmanaged: without its key, which this installation keeps, it is unreadable.",
        "manage",
    )


def _plain(work: Callable[..., Any]) -> Run:
    return lambda call, volume, value: work(call.services.volumes, call, volume)


VERBS: dict[str, Verb] = {
    "os-extend": Verb("extend", _extend),
    "os-attach": Verb("attach", _attach),
    "os-detach": Verb("detach", _detach),
    "os-force_detach": Verb("force_detach", _force_detach),
    "os-reserve": Verb("reserve", _plain(connecting.reserve)),
    "os-unreserve": Verb("reserve", _plain(connecting.unreserve)),
    "os-begin_detaching": Verb("begin_detaching", _plain(connecting.begin_detaching)),
    "os-roll_detaching": Verb("begin_detaching", _plain(connecting.roll_detaching)),
    "os-initialize_connection": Verb("connect", _connection, 200),
    "os-terminate_connection": Verb("connect", _terminate),
    "os-set_bootable": Verb("set_bootable", _bootable, 200),
    "os-update_readonly_flag": Verb("set_readonly", _readonly),
    "os-retype": Verb("retype", _retype),
    "os-reset_status": Verb("reset_status", _reset),
    "os-force_delete": Verb("force_delete", _force_delete),
    "revert": Verb("revert", _revert, 202, 40),
    "os-reimage": Verb("reimage", _reimage, 202, 68),
    "os-set_image_metadata": Verb("set_image_metadata", _image_metadata, 200),
    "os-unset_image_metadata": Verb("set_image_metadata", _unset_image_metadata, 200),
    "os-show_image_metadata": Verb("get_image_metadata", _show_image_metadata, 200),
    "os-volume_upload_image": Verb("upload_image", _upload),
    "os-migrate_volume": Verb("migrate", _one_host),
    "os-migrate_volume_completion": Verb("migrate", _one_host),
    "os-unmanage": Verb("unmanage", _unmanage),
}


def allow(call: BlockCall, action: str, project_id: str) -> None:
    """Raise `Denied` unless the caller may do this to something of the project; events name the action from then on."""
    call.action = f"volume:{action}"
    if not access.ACTIONS.allows(call.who, call.action, Target(project_id=project_id)):
        raise Denied(f"Policy doesn't allow {call.action} to be performed.", "policy")


def named(body: Body) -> tuple[str, Any]:
    """The action of a body and its value."""
    if len(body) != 1:
        raise Invalid("The body of an action has exactly one key, its name.", "schema")
    return next(iter(body.items()))


@routes.on("POST", "/volumes/{volume_id}/action", "action", body=Body, target=volume_target, status=202)
def volume_action(call: BlockCall, body: Body) -> Reply:
    """Run the action that the body's one key names."""
    name, value = named(body)
    verb = VERBS.get(name)
    if verb is None or not at_least(call, verb.since):
        raise Invalid(f"There is no such action: {name[:80]}", "action")
    volume = find(call)
    allow(call, verb.needs, volume.project_id)
    return Reply(verb.run(call, volume, value), verb.status)
