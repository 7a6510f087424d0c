"""`POST /servers/{id}/action` (Compute API, "Servers - run an action"): the one key of the body names the action."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from andromede.compute import access
from andromede.compute.checks import Fields, refuse
from andromede.compute.core import Version, is_admin, project_of, version
from andromede.compute.deeds import DEEDS, check
from andromede.compute.engine import RESCUE_BUSES, RESCUE_DEVICES
from andromede.compute.model import Server, State
from andromede.compute.planning import check_bytes
from andromede.compute.server_bodies import files
from andromede.compute.server_bodies import reference as reference_of
from andromede.compute.server_routes import PATH, changes_of, found, password, server_target, shown
from andromede.compute.service import Compute
from andromede.errors import Conflict, Denied, Invalid, NotFound, Unsupported
from andromede.web.call import Call, Reply
from andromede.web.routes import Routes, Target

routes: Routes[Compute] = Routes()
ComputeCall = Call[Compute]
Body = dict[str, Any]
Run = Callable[[ComputeCall, Server, Any], Any]


class Verb(NamedTuple):
    """`action` of the access rules; from and until which microversion; whether a lock keeps members off."""

    action: str
    run: Run
    low: Version = (2, 1)
    high: Version = (9, 0)
    locks: bool = True


def _empty(value: Any, name: str) -> None:
    if value not in (None, {}, "", []):
        raise refuse(name, value, "It must be null.")


def _plain(name: str) -> Run:
    def run(call: ComputeCall, server: Server, value: Any) -> None:
        call.services.deeds.plain(call, server, name)

    return run


def _confirm(call: ComputeCall, server: Server, value: Any) -> Reply:
    call.services.deeds.plain(call, server, "confirm_resize")
    return Reply(None, 204)


def _reboot(call: ComputeCall, server: Server, value: Any) -> None:
    fields = Fields(value, "reboot")
    fields.only("type")
    fields.need("type")
    kind = fields.text("type")
    if (kind or "").upper() not in ("HARD", "SOFT"):
        raise refuse("type", kind, "It is neither HARD nor SOFT.")
    call.services.deeds.plain(call, server, "hard_reboot" if kind and kind.upper() == "HARD" else "soft_reboot")


def _lock(call: ComputeCall, server: Server, value: Any) -> None:
    by = "admin" if is_admin(call) and server.project_id != call.who.project_id else "owner"
    call.services.servers.change(call, server, locked=True, locked_by=by)


def _unlock(call: ComputeCall, server: Server, value: Any) -> None:
    if server.locked_by == "admin" and not is_admin(call):
        raise Denied("Policy doesn't allow os_compute_api:os-lock-server:unlock:unlock_override to be performed.")
    call.services.servers.change(call, server, locked=False, locked_by="")


def _rescue(call: ComputeCall, server: Server, value: Any) -> Reply:
    fields = Fields(value or {}, "rescue")
    fields.only("adminPass", "rescue_image_ref")
    secret = fields.text("adminPass", 0, 255) or password(call)
    image = fields.uuid("rescue_image_ref") if fields.get("rescue_image_ref") is not None else None
    facts = server.image
    if image is not None:
        found_image = call.services.planner.image(image, project_of(call))
        check_bytes(found_image)
        facts = {"properties": dict(found_image.properties)}
    check(server, DEEDS["rescue"].word, DEEDS["rescue"].sources)
    if not server.root_gb:  # from 2.87 on only
        raise Invalid(f"Instance {server.id} cannot be rescued: Cannot rescue a volume-backed instance", "rescue")
    _check_rescue(facts.get("properties") or {})
    wish = {"image_id": image or server.image_id, "image": facts}
    call.services.deeds.plain(call, server, "rescue", wish=wish, admin_pass=secret)
    return Reply({"adminPass": secret}, 200)


def _check_rescue(properties: Mapping[str, Any]) -> None:
    """Refuse a place for the rescue disk that no guest has here."""
    for name, known in (("hw_rescue_bus", RESCUE_BUSES), ("hw_rescue_device", RESCUE_DEVICES)):
        word = str(properties.get(name) or known[0])
        if word not in known:
            raise Invalid(f"{name} of the rescue image is {word[:80]!r}: {', '.join(known)} are known.", "rescue")
    if properties.get("hw_rescue_device") == "cdrom" and properties.get("hw_rescue_bus") in ("virtio", "usb"):
        raise Invalid("a CD of the rescue image stands on sata, ide or scsi; see its hw_rescue_bus", "rescue")


def _resize(call: ComputeCall, server: Server, value: Any) -> None:
    fields = Fields(value, "resize")
    fields.only("flavorRef", "OS-DCF:diskConfig")
    fields.need("flavorRef")
    flavor = call.services.planner.flavor(call, reference_of(fields, "flavorRef"))
    config = fields.choice("OS-DCF:diskConfig", "AUTO", "MANUAL")
    call.services.deeds.resize(call, server, flavor, config or server.disk_config)


def _rebuild(call: ComputeCall, server: Server, value: Any) -> Reply:
    fields, asked = Fields(value, "rebuild"), version(call)
    later = (("description", (2, 19)), ("key_name", (2, 54)), ("user_data", (2, 57)))
    fields.only(
        "imageRef", "adminPass", "name", "metadata", "preserve_ephemeral", "OS-DCF:diskConfig", "accessIPv4",
        "accessIPv6", *(("personality",) if asked < (2, 57) else ()), *(name for name, low in later if asked >= low),
    )  # fmt: skip
    fields.need("imageRef")
    image = call.services.planner.image(reference_of(fields, "imageRef"), server.project_id)
    changes = changes_of(call, fields)
    secret = fields.text("adminPass", 0, 255) or password(call)
    changes["admin_pass"] = secret
    if "personality" in fields:
        changes["personality"] = list(files(fields))
        call.services.planner.check_files(server.project_id, changes["personality"])
    if "metadata" in fields:
        changes["metadata"] = fields.metadata("metadata")
        call.services.quotas.check_items(
            server.project_id, "metadata_items", len(changes["metadata"]), "Metadata item"
        )  # fmt: skip
    if asked >= (2, 54) and "key_name" in fields:
        name = fields.text("key_name", 1, 255, null=True)
        key = None
        if name is not None:
            try:
                key = call.services.keypairs.find(call.who.user_id, name)
            except NotFound as error:
                raise Invalid("Invalid key_name provided.", "keypair") from error
        changes |= {"key_name": key.name if key else "", "public_key": key.public_key if key else ""}
    if asked >= (2, 57) and "user_data" in fields:
        changes["user_data"] = fields.base64("user_data") or ""
    rebuilt = call.services.deeds.rebuild(call, server, image, changes)
    view = {**shown(call, rebuilt, "r"), "adminPass": secret}
    return Reply({"server": view}, headers=(("Location", f"{call.base}/v2.1/servers/{server.id}"),))


def _image_properties(call: ComputeCall, server: Server, kind: str, metadata: dict[str, str]) -> dict[str, Any]:
    kept = {k: v for k, v in dict(server.image.get("properties") or {}).items() if isinstance(v, str)}
    for name in ("block_device_mapping", "bdm_v2", "root_device_name", "instance_uuid"):
        kept.pop(name, None)
    own = {"image_type": kind, "instance_uuid": server.id, "user_id": call.who.user_id}
    if server.image_id:
        own["base_image_ref"] = server.image_id
    least = {
        "min_ram": server.image.get("min_ram") or 0,
        "min_disk": max(server.root_gb, server.image.get("min_disk") or 0),
    }
    own |= {word: str(value) for word, value in least.items() if value}
    return {**kept, **own, **metadata}


def _create_image(call: ComputeCall, server: Server, value: Any) -> Reply:
    fields = Fields(value, "createImage")
    fields.only("name", "metadata")
    fields.need("name")
    name = fields.name("name") or ""
    metadata = fields.metadata("metadata")
    limit = call.services.quotas.of(server.project_id)["metadata_items"]
    if 0 <= limit < len(metadata):
        raise Denied(f"Image metadata limit exceeded: at most {limit} are allowed.", "quota")
    properties = _image_properties(call, server, "snapshot", metadata)
    image_id = call.services.deeds.snapshot(call, server, name, properties, "snapshot")
    if version(call) >= (2, 45):
        return Reply({"image_id": image_id})
    return Reply(None, headers=(("Location", f"{call.base}/images/{image_id}"),))


def _shelve(call: ComputeCall, server: Server, value: Any) -> None:
    call.services.deeds.shelve(call, server, _image_properties(call, server, "snapshot", {}))


def _create_backup(call: ComputeCall, server: Server, value: Any) -> Reply:
    fields = Fields(value, "createBackup")
    fields.only("name", "backup_type", "rotation", "metadata")
    fields.need("name", "backup_type", "rotation")
    kind, rotation = fields.text("backup_type", 0, 255) or "", fields.integer("rotation", 0) or 0
    name = fields.name("name") or ""
    if not server.root_gb:
        raise Invalid("Backup is not supported for volume-backed instances.", "backup")
    properties = _image_properties(call, server, "backup", fields.metadata("metadata"))
    properties["backup_type"] = kind
    wish = {"backup_type": kind, "rotation": rotation}
    image_id = call.services.deeds.snapshot(call, server, name, properties, "backup", wish=wish)
    if version(call) >= (2, 45):
        return Reply({"image_id": image_id})
    return Reply(None, headers=(("Location", f"{call.base}/images/{image_id}"),))


def _password(call: ComputeCall, server: Server, value: Any) -> None:
    fields = Fields(value, "changePassword")
    fields.only("adminPass")
    fields.need("adminPass")
    fields.text("adminPass", 0, 255)
    check(server, "set_admin_password", frozenset({State.ACTIVE}))
    raise Conflict(
        "QEMU guest agent is not enabled: guests of this cloud run none; log in with a key, or rebuild or rescue the "
        "server with a new adminPass.",
        "password",
    )


def _reset_state(call: ComputeCall, server: Server, value: Any) -> None:
    fields = Fields(value, "os-resetState")
    fields.only("state")
    fields.need("state")
    call.services.deeds.reset_state(call, server, fields.choice("state", "active", "error") or "error")


def _console_output(call: ComputeCall, server: Server, value: Any) -> Reply:
    fields = Fields(value if value is not None else {}, "os-getConsoleOutput")
    fields.only("length")
    length = fields.get("length")
    lines = None if length in (None, -1, "-1") else fields.integer("length", 0)
    if server.state in (State.SCHEDULING, State.NETWORKING, State.MAPPING) or not server.host:
        raise Conflict(f"Instance {server.id} is not ready", "state")
    if server.state == State.OFFLOADED:
        raise Conflict(f"Cannot 'get_console_output' instance {server.id} while it is in vm_state shelved_offloaded")
    return Reply({"output": call.services.core.views.console(server.id, lines)}, 200)


def _console(kind: str, *allowed: str) -> Run:
    def run(call: ComputeCall, server: Server, value: Any) -> Reply:
        fields = Fields(value, kind)
        fields.only("type")
        fields.need("type")
        word = fields.choice("type", *allowed) or ""
        url = call.services.consoles.open(call, server, word)
        return Reply({"console": {"type": word, "url": url}}, 200)

    return run


def _group(add: bool) -> Run:
    def run(call: ComputeCall, server: Server, value: Any) -> None:
        fields = Fields(value, "addSecurityGroup" if add else "removeSecurityGroup")
        fields.only("name")
        fields.need("name")
        name = (fields.text("name", 1, 255) or "").strip()
        if not name:
            raise Invalid("Missing parameter dict: the name of a security group", "security_group")
        call.services.attaching.change_group(call, server, name, add)

    return run


def _add_fixed(call: ComputeCall, server: Server, value: Any) -> None:
    fields = Fields(value, "addFixedIp")
    fields.only("networkId")
    fields.need("networkId")
    network = str(fields.text("networkId", 1, 255) or "")
    call.services.attaching.add_fixed_ip(call, server, network)


def _drop_fixed(call: ComputeCall, server: Server, value: Any) -> None:
    fields = Fields(value, "removeFixedIp")
    fields.only("address")
    fields.need("address")
    address = fields.text("address", 1, 64) or ""
    call.services.attaching.remove_fixed_ip(call, server, address)


def _floating(add: bool) -> Run:
    def run(call: ComputeCall, server: Server, value: Any) -> None:
        fields = Fields(value, "addFloatingIp" if add else "removeFloatingIp")
        fields.only("address", *(("fixed_address",) if add else ()))
        fields.need("address")
        address, fixed = fields.text("address", 1, 64) or "", fields.text("fixed_address", 0, 64) or ""
        call.services.attaching.floating_ip(call, server, address, fixed if add else None)

    return run


def _one_host(what: str) -> Run:
    def run(call: ComputeCall, server: Server, value: Any) -> None:
        if what == "evacuate":
            raise Invalid(f"Compute service of {server.host} is still in use.", "host")
        check(server, what, frozenset({State.ACTIVE, State.STOPPED, State.PAUSED}))
        raise Invalid(
            "No valid host was found: this server's host is the only one of this cloud, so there is none to "
            "move it to.",
            "host",
        )

    return run


def _gone(call: ComputeCall, server: Server, value: Any) -> None:
    raise Unsupported("This action was of hypervisors that are gone from OpenStack.", "action")


def _current(call: ComputeCall, server: Server, value: Any) -> None:
    """What a guest may read of its network is always that of now: there is nothing to inject."""


def _delete(call: ComputeCall, server: Server, value: Any) -> None:
    call.services.servers.delete(call, server, "forceDelete")


def _restore(call: ComputeCall, server: Server, value: Any) -> None:
    check(server, "restore", frozenset())


def _unshelve(call: ComputeCall, server: Server, value: Any) -> None:
    call.services.deeds.unshelve(call, server)


def _crash(call: ComputeCall, server: Server, value: Any) -> None:
    _empty(value, "trigger_crash_dump")
    call.services.deeds.plain(call, server, "trigger_crash_dump")


VERBS: dict[str, Verb] = {
    "os-start": Verb("start", _plain("start")),
    "os-stop": Verb("stop", _plain("stop")),
    "reboot": Verb("reboot", _reboot),
    "pause": Verb("pause", _plain("pause")),
    "unpause": Verb("unpause", _plain("unpause")),
    "suspend": Verb("suspend", _plain("suspend")),
    "resume": Verb("resume", _plain("resume")),
    "lock": Verb("lock", _lock, locks=False),
    "unlock": Verb("unlock", _unlock, locks=False),
    "rescue": Verb("rescue", _rescue),
    "unrescue": Verb("unrescue", _plain("unrescue")),
    "resize": Verb("resize", _resize),
    "confirmResize": Verb("confirm_resize", _confirm),
    "revertResize": Verb("revert_resize", _plain("revert_resize")),
    "rebuild": Verb("rebuild", _rebuild),
    "shelve": Verb("shelve", _shelve),
    "shelveOffload": Verb("shelve_offload", _plain("shelve_offload")),
    "unshelve": Verb("unshelve", _unshelve),
    "createImage": Verb("create_image", _create_image, locks=False),
    "createBackup": Verb("create_backup", _create_backup, locks=False),
    "changePassword": Verb("change_password", _password),
    "os-resetState": Verb("reset_state", _reset_state, locks=False),
    "resetNetwork": Verb("reset_network", _gone),
    "injectNetworkInfo": Verb("inject_network_info", _current),
    "os-getConsoleOutput": Verb("console_output", _console_output, locks=False),
    "os-getVNCConsole": Verb("console", _console("os-getVNCConsole", "novnc", "xvpvnc"), high=(2, 5), locks=False),
    "os-getSerialConsole": Verb("console", _console("os-getSerialConsole", "serial"), high=(2, 5), locks=False),
    "os-getSPICEConsole": Verb("console", _console("os-getSPICEConsole", "spice-html5"), high=(2, 5), locks=False),
    "os-getRDPConsole": Verb("console", _console("os-getRDPConsole", "rdp-html5"), high=(2, 5), locks=False),
    "addSecurityGroup": Verb("add_security_group", _group(True), locks=False),
    "removeSecurityGroup": Verb("remove_security_group", _group(False), locks=False),
    "addFixedIp": Verb("add_fixed_ip", _add_fixed, high=(2, 43)),
    "removeFixedIp": Verb("remove_fixed_ip", _drop_fixed, high=(2, 43)),
    "addFloatingIp": Verb("add_floating_ip", _floating(True), high=(2, 43), locks=False),
    "removeFloatingIp": Verb("remove_floating_ip", _floating(False), high=(2, 43), locks=False),
    "migrate": Verb("migrate", _one_host("migrate")),
    "os-migrateLive": Verb("live_migrate", _one_host("live_migrate")),
    "evacuate": Verb("evacuate", _one_host("evacuate")),
    "forceDelete": Verb("force_delete", _delete),
    "restore": Verb("restore", _restore),
    "trigger_crash_dump": Verb("crash_dump", _crash, low=(2, 17)),
}


def action_target(call: ComputeCall, body: Any) -> Target:
    """The server of the path; events and rules name the action itself."""
    return server_target(call, body)


@routes.add("POST", PATH + "/{server_id}/action", "compute:server_action", body=Body, target=action_target, status=202)
def server_action(call: ComputeCall, body: Body) -> Any:
    """Run the action that the body's one key names."""
    server, name = found(call), next(iter(body), "")
    verb = VERBS.get(name)
    if len(body) != 1 or verb is None or not verb.low <= version(call) <= verb.high:
        if verb is not None and len(body) == 1:
            raise NotFound(f"The action {name} does not exist at this microversion.", "action")
        raise Invalid(f"There is no such action: {name[:80]}", "action")
    call.action = f"compute:{verb.action}"
    target = Target(project_id=server.project_id, user_id=server.user_id)
    if not access.ACTIONS.allows(call.who, call.action, target):
        raise Denied(f"Policy doesn't allow {call.action} to be performed.", "policy")
    if verb.locks:
        call.services.servers.check_unlocked(call, server)
    return verb.run(call, server, body[name])
