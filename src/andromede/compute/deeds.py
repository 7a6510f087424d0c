"""The actions of servers: from which states each may begin, what it is called in errors, and what it begins."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from andromede.compute import actions, capacity
from andromede.compute.core import Core
from andromede.compute.model import Device, DeviceState, Flavor, Server, State
from andromede.compute.neighbours import ImageFacts
from andromede.compute.planning import check_bytes, image_root_gb
from andromede.compute.quotas import Quotas
from andromede.compute.servers import Servers
from andromede.compute.states import SHOWN, view
from andromede.compute.tables import DEVICES
from andromede.errors import Conflict, Invalid
from andromede.web.call import Call


class Deed(NamedTuple):
    """`word` as Nova calls it in errors; `sources`: states it may begin from; `state`: the working state."""

    word: str
    sources: frozenset[str]
    state: str


def _deed(word: str, state: str, *sources: str) -> Deed:
    return Deed(word, frozenset(sources), state)


DEEDS: dict[str, Deed] = {
    "start": _deed("start", State.STARTING, State.STOPPED),
    "stop": _deed("stop", State.STOPPING, State.ACTIVE, State.ERROR),
    "soft_reboot": _deed("reboot", State.REBOOTING, State.ACTIVE),
    "hard_reboot": _deed(
        "reboot", State.HARD_REBOOTING, State.ACTIVE, State.STOPPED, State.PAUSED, State.SUSPENDED, State.ERROR
    ),
    "pause": _deed("pause", State.PAUSING, State.ACTIVE),
    "unpause": _deed("unpause", State.UNPAUSING, State.PAUSED),
    "suspend": _deed("suspend", State.SUSPENDING, State.ACTIVE),
    "resume": _deed("resume", State.RESUMING, State.SUSPENDED),
    "rescue": _deed("rescue", State.RESCUING, State.ACTIVE, State.STOPPED, State.ERROR),
    "unrescue": _deed("unrescue", State.UNRESCUING, State.RESCUED),
    "resize": _deed("resize", State.RESIZING, State.ACTIVE, State.STOPPED),
    "confirm_resize": _deed("confirm_resize", State.CONFIRMING, State.VERIFY_RESIZE),
    "revert_resize": _deed("revert_resize", State.REVERTING, State.VERIFY_RESIZE),
    "rebuild": _deed("rebuild", State.REBUILDING, State.ACTIVE, State.STOPPED, State.ERROR),
    "shelve": _deed("shelve", State.SHELVING, State.ACTIVE, State.STOPPED, State.PAUSED, State.SUSPENDED),
    "shelve_offload": _deed("shelve_offload", State.OFFLOADING, State.SHELVED),
    "unshelve": _deed("unshelve", State.UNSHELVING, State.SHELVED, State.OFFLOADED),
    "trigger_crash_dump": _deed("trigger_crash_dump", State.CRASHING, State.ACTIVE, State.PAUSED, State.RESCUED),
    "snapshot": _deed("snapshot", State.SNAPSHOTTING, State.ACTIVE, State.STOPPED, State.PAUSED, State.SUSPENDED),
    "backup": _deed("backup", State.SNAPSHOTTING, State.ACTIVE, State.STOPPED, State.PAUSED, State.SUSPENDED),
}


def check(server: Server, word: str, sources: frozenset[str]) -> None:
    """Raise `Conflict` for a server that is in none of these states, or on its way out."""
    shown = view(server)
    if server.state in sources and shown.task_state is None:
        return
    vm_fits = any(view_of == shown.vm_state for view_of in (_vm_state(state) for state in sources))
    if shown.task_state is not None and vm_fits:
        raise Conflict(f"Cannot '{word}' instance {server.id} while it is in task_state {shown.task_state}", "state")
    raise Conflict(f"Cannot '{word}' instance {server.id} while it is in vm_state {shown.vm_state}", "state")


def _vm_state(state: str) -> str:
    return SHOWN[state].vm_state


def _mapping(row: Device, snapshot_id: str) -> dict[str, Any]:
    """A disk of an image that names snapshots, in the words of Nova's block device mapping v2."""
    return {
        "source_type": "snapshot", "destination_type": "volume", "snapshot_id": snapshot_id, "volume_id": None,
        "image_id": None, "volume_size": row.size_gb, "volume_type": None, "no_device": None,
        "boot_index": row.boot_index if row.boot_index >= 0 else None, "device_name": row.device_name or None,
        "device_type": "disk", "disk_bus": "virtio", "guest_format": None, "tag": None,
        "delete_on_termination": row.delete_on_termination,
    }  # fmt: skip


class Deeds:
    """Actions that begin work. Each raises `Conflict` in the words of Nova."""

    def __init__(self, core: Core, servers: Servers, quotas: Quotas) -> None:
        self._core = core
        self._servers = servers
        self._quotas = quotas

    def plain(self, call: Call[Any], server: Server, name: str, **changes: Any) -> Server:
        """An action without lookups."""
        deed = DEEDS[name]
        check(server, deed.word, deed.sources)
        if name in ("confirm_resize", "revert_resize"):
            changes = {"before": server.before, "wish": server.wish, **changes}
        if name == "shelve_offload":
            changes = {"wish": server.wish, **changes}  # it names the image that the root lies in
        return self._servers.act(call, server, (name, deed.state), **changes)

    def resize(self, call: Call[Any], server: Server, flavor: Flavor, disk_config: str) -> Server:
        """Claim the new size beside the old one; the worker changes over, the client confirms."""
        deed = DEEDS["resize"]
        if flavor.id == server.flavor.get("id"):
            raise Invalid("When resizing, instances must change flavor!", "flavor")
        if flavor.disabled:
            raise Invalid(f"Flavor {flavor.id} could not be found.", "flavor")
        check(server, deed.word, deed.sources)
        local = not server.boot_volume_id and server.root_gb > 0
        if local and flavor.disk == 0 and int(server.flavor.get("disk", 0)) > 0:
            raise Invalid("Resize to zero disk flavor is not allowed.", "flavor")
        if local and 0 < flavor.disk < int(server.flavor.get("disk", 0)):
            raise Invalid(
                f"Resizing to a smaller disk is not possible: {server.flavor['disk']} GiB to {flavor.disk}.", "flavor"
            )
        if int(server.image.get("min_ram") or 0) > flavor.ram:
            raise Invalid("Flavor's memory is too small for requested image.", "flavor")
        root = max(server.root_gb, flavor.disk) if local else 0
        old, new = capacity.held(self._core.desk.db, server.id), capacity.resources_of(flavor.snapshot(), root)
        with self._core.desk.change(call, f"server/{server.id}", server.project_id) as change:
            more = {"cores": flavor.vcpus - server.vcpus, "ram": flavor.ram - server.ram_mb}
            self._quotas.check_servers(change.tx, server.project_id, server.user_id, more)
            both = {name: old.get(name, 0) + new.get(name, 0) for name in {*old, *new}}
            claim = capacity.Claim(server.id, server.project_id, server.user_id, both)
            capacity.grow(change.tx, claim, server.host, change.now_us)
            wish = {"flavor": flavor.snapshot(), "root_gb": root, "old": old, "new": new}
            sizes = {
                "disk_config": disk_config,
                "vcpus": max(server.vcpus, flavor.vcpus),
                "ram_mb": max(server.ram_mb, flavor.ram),
            }
            self._servers.begin(change, call, server, ("resize", deed.state), {"wish": wish, **sizes})
        return server

    def rebuild(self, call: Call[Any], server: Server, image: ImageFacts, changes: dict[str, Any]) -> Server:
        """A new root of an image; ports, volumes and id stay."""
        deed = DEEDS["rebuild"]
        check(server, deed.word, deed.sources)
        if not server.root_gb:
            raise Invalid("Rebuilding a volume-backed server with another image is not supported.", "image")
        facts = {
            "disk_format": image.disk_format, "container_format": image.container_format, "name": image.name,
            "min_disk": image.min_disk, "min_ram": image.min_ram, "properties": dict(image.properties),
        }  # fmt: skip
        flavor_disk = int(server.flavor.get("disk", 0))
        if image.status != "active":
            raise Invalid(f"Image {image.id} is not active.", "image")
        check_bytes(image)
        if int(server.flavor.get("ram", 0)) < image.min_ram:
            raise Invalid("Flavor's memory is too small for requested image.", "flavor")
        if flavor_disk and flavor_disk < image_root_gb(image):
            raise Invalid("Flavor's disk is too small for requested image.", "flavor")
        root = max(flavor_disk, image_root_gb(image))
        before = server.state if server.state != State.ERROR else State.ACTIVE
        with self._core.desk.change(call, f"server/{server.id}", server.project_id) as change:
            sets = {
                "image_id": image.id, "image": facts, "root_gb": max(root, server.root_gb), "before": before, **changes,
            }  # fmt: skip
            self._servers.begin(change, call, server, ("rebuild", deed.state), sets)
        return self._servers.find(server.id, None)

    def snapshot(
        self, call: Call[Any], server: Server, name: str, properties: dict[str, Any], word: str,
        *, wish: dict[str, Any] | None = None,
    ) -> str:  # fmt: skip
        """Make an image of a server; the id of the image, which a worker fills. Of a server on volumes it names
        snapshots of them, and is there at once."""
        deed = DEEDS[word]
        check(server, deed.word, deed.sources)
        if not server.root_gb:
            return self._map(call, server, name, properties)
        image_id = self._core.images.create(
            server.project_id, call.who.user_id, name, properties, call.request_id
        )  # fmt: skip
        wish = {"image_id": image_id, "name": name, **(wish or {})}
        self._servers.act(call, server, (word, deed.state), wish=wish, task="image_snapshot_pending")
        return image_id

    def _map(self, call: Call[Any], server: Server, name: str, properties: dict[str, Any]) -> str:
        core, who = self._core, (call.who.user_id, call.request_id)
        with core.desk.change(call, f"server/{server.id}", server.project_id) as change:
            wanted = {"server_id": server.id, "kind": "disk", "target": "volume", "state": DeviceState.ATTACHED}
            mapping = [
                _mapping(row, core.volumes.take_snapshot(row.volume_id, who, f"snapshot for {name}", change.tx))
                for row in DEVICES.select(change.tx, wanted)
            ]
            own = {
                "block_device_mapping": json.dumps(mapping), "bdm_v2": "True",
                "root_device_name": server.root_device_name,
            }  # fmt: skip
            owner = (server.project_id, call.who.user_id)
            image_id = core.images.create_mapped(change.tx, owner, name, {**properties, **own}, call.request_id)
            asked = (call.request_id, call.who.project_id or server.project_id, call.who.user_id)
            actions.begin(change.tx, server, asked, "createImage", change.now_us)
            span = (change.now_us, change.now_us)
            actions.event(change.tx, (server.id, call.request_id), actions.NAMES["snapshotting"], span)
            actions.finish(change.tx, server.id, call.request_id, change.now_us)
        return image_id

    def shelve(self, call: Call[Any], server: Server, properties: dict[str, Any]) -> Server:
        """Let a worker make an image of the server's own root, and give its room back."""
        deed = DEEDS["shelve"]
        check(server, deed.word, deed.sources)
        wish: dict[str, Any] = {}
        if server.root_gb and not server.boot_volume_id:
            name = f"{server.name}-shelved"
            image_id = self._core.images.create(
                server.project_id, call.who.user_id, name, properties, call.request_id
            )  # fmt: skip
            wish = {"image_id": image_id, "name": name}
        return self._servers.act(call, server, ("shelve", deed.state), wish=wish)

    def unshelve(self, call: Call[Any], server: Server) -> Server:
        """Claim room again where it was given back."""
        deed = DEEDS["unshelve"]
        check(server, deed.word, deed.sources)
        with self._core.desk.change(call, f"server/{server.id}", server.project_id) as change:
            changes: dict[str, Any] = {"wish": server.wish}
            if server.state == State.OFFLOADED:
                resources = capacity.resources_of(server.flavor, server.root_gb)
                claim = capacity.Claim(server.id, server.project_id, server.user_id, resources)
                changes["host"] = capacity.claim(change.tx, claim, change.now_us)
            self._servers.begin(change, call, server, ("unshelve", deed.state), changes)
        return server

    def reset_state(self, call: Call[Any], server: Server, state: str) -> None:
        """Say that a server is active or in error; nothing is done to it."""
        with self._core.desk.change(call, f"server/{server.id}", server.project_id) as change:
            self._servers.reset(change, server, State.ACTIVE if state == "active" else State.ERROR)
