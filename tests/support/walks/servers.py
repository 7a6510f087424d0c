"""Walks of servers and of their devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from andromede.compute import device_lifecycle, lifecycle
from andromede.compute.model import Device, DeviceState, Server, State
from andromede.compute.shape import guest_of
from andromede.compute.tables import DEVICES, SERVERS
from tests.support.crew import GIB, Hands
from tests.support.lifecycles import Scene, Stage, Walk

SERVER = "00000000-0000-4000-8000-00000000000a"
PROJECT = "p" * 32
SMALL = {"id": "1", "name": "small", "vcpus": 1, "ram": 128, "disk": 1, "ephemeral": 0, "swap": 0}
LARGE = SMALL | {"id": "2", "name": "large", "ram": 256, "disk": 2}
_PASSING = frozenset({"guest", "updated_us", "launched_us", "terminated_us", "since_us"})
"""Instants, and how far a state has come."""


def server(now_us: int, state: str, **changes: Any) -> Server:
    base: dict[str, Any] = {
        "id": SERVER, "project_id": PROJECT, "user_id": "u", "name": "web", "state": state, "since_us": now_us,
        "due_us": now_us, "request_id": "req-1", "flavor": SMALL, "image_id": "img", "root_gb": 1, "host": "here",
        "image": {"properties": {"os_shutdown_timeout": "10"}}, "created_us": now_us,
    }  # fmt: skip
    return Server(**base | changes)


def disk(now_us: int, name: str, state: str = DeviceState.WISHED, **changes: Any) -> Device:
    base: dict[str, Any] = {
        "id": name, "project_id": PROJECT, "server_id": SERVER, "kind": "disk", "source": "image", "target": "local",
        "source_id": "img", "state": state, "since_us": now_us, "size_gb": 1, "request_id": "req-1",
    }  # fmt: skip
    return Device(**base | changes)


def nic(now_us: int, name: str, state: str = DeviceState.WISHED, **changes: Any) -> Device:
    base: dict[str, Any] = {
        "id": name, "project_id": PROJECT, "server_id": SERVER, "kind": "nic", "state": state, "since_us": now_us,
        "network_id": "net", "request_id": "req-1",
    }  # fmt: skip
    return Device(**base | changes)


def wished(scene: Scene, hands: Hands) -> None:
    """A server that is to be made: root, a blank disk, a volume that is there, one that is to be made, two nics."""
    now = scene.clock.now_us()
    hands.volumes.add("vol")
    hands.ports.ports["given"] = ("", "")
    with scene.db.write() as tx:
        SERVERS.insert(tx, server(now, State.SCHEDULING))
        DEVICES.insert(tx, disk(now, "d-root", boot_index=0))
        DEVICES.insert(tx, disk(now, "d-blank", source="blank", position=1))
        DEVICES.insert(tx, disk(now, "d-swap", source="blank", guest_format="swap", position=5))
        DEVICES.insert(tx, disk(now, "d-vol", source="volume", target="volume", volume_id="vol", position=2))
        DEVICES.insert(tx, disk(now, "d-new", source="blank", target="volume", position=3,
                                delete_on_termination=True))  # fmt: skip
        DEVICES.insert(tx, nic(now, "n-made", position=0))
        DEVICES.insert(tx, nic(now, "n-given", position=1, port_id="given"))
    hands.books.held[SERVER] = 128


def standing(state: str, found: Any, **changes: Any) -> Callable[[Scene, Hands], None]:
    """A server with a root and a nic whose guest is in a power, about to work in a state."""

    def prepare(scene: Scene, hands: Hands) -> None:
        now = scene.clock.now_us()
        hands.ports.ports["port"] = (SERVER, "here")
        if found != "none":
            hands.disks.disks["root"] = (GIB, "image img")
        hands.books.held[SERVER] = 128
        hands.images.images |= {"former": "active 1", "new": "queued"}
        row = server(now, state, root_disk_id="root", **changes)
        with scene.db.write() as tx:
            SERVERS.insert(tx, row)
            DEVICES.insert(tx, disk(now, "d-root", DeviceState.ATTACHED, boot_index=0, slot="0", disk_id="root"))
            DEVICES.insert(tx, nic(now, "n", DeviceState.ATTACHED, slot="1", port_id="port", made=True))
        crew = hands.crew()
        if found in ("running", "paused", "suspended"):
            hands.guests.ensure(guest_of(crew, row, "running"))
        if found in ("paused", "suspended"):
            hands.guests.ensure(guest_of(crew, row, found))
        extra = changes.get("guest", {})
        for name in ("rescue", "old_root"):
            if extra.get(name):
                hands.disks.disks[extra[name]] = (GIB, name)

    return prepare


def _stage(prepare: Callable[[Scene, Hands], None]) -> Callable[[Scene], Stage]:
    def stage(scene: Scene) -> Stage:
        hands = Hands(scene.db, scene.clock)
        prepare(scene, hands)

        def looks() -> Any:
            power = {name: (guest.power, sorted(guest.nics)) for name, guest in hands.guests.guests.items()}
            disks = sorted(hands.disks.disks.values())
            return power, disks, hands.ports.ports, hands.volumes.volumes, hands.images.images, hands.books.held

        return Stage(
            lifecycle.lifecycle(hands.crew(scene)), SERVER, looks, lambda: hands.left(SERVER), hands.guests.work
        )

    return stage


def _walk(name: str, ends: str, prepare: Callable[[Scene, Hands], None]) -> Walk:
    return Walk("server", name, ends, _stage(prepare), _PASSING | {"root_disk_id"})


def _device(kind: str, state: str, at: str, power: Any) -> Callable[[Scene], Stage]:
    """A device that is plugged into, or out of, a server at rest."""

    def stage(scene: Scene) -> Stage:
        hands = Hands(scene.db, scene.clock)
        standing(at, power)(scene, hands)
        now = scene.clock.now_us()
        there: dict[str, Any] = {"slot": "2"} if state == DeviceState.DETACHING else {}
        if kind == "disk":
            hands.volumes.add("vol")
            row = disk(now, "dev", state, target="volume", source="volume", volume_id="vol", disk_id="vol", due_us=now,
                       **there)  # fmt: skip
            hands.volumes.volumes["vol"] = (SERVER if there else "", "")
        else:
            there |= {"port_id": "second", "made": True} if there else {}
            if there:
                hands.ports.ports["second"] = (SERVER, "here")
            row = nic(now, "dev", state, due_us=now, **there)
        with scene.db.write() as tx:
            SERVERS.update(tx, {"id": SERVER}, due_us=None)
            DEVICES.insert(tx, row)
            if there and power != "off":
                DEVICES.update(tx, {"id": "dev"}, state=DeviceState.ATTACHED)
        if there and power != "off":
            crew = hands.crew()
            made = SERVERS.find(scene.db, id=SERVER)
            assert made is not None
            hands.guests.ensure(guest_of(crew, made, power))
            with scene.db.write() as tx:
                DEVICES.update(tx, {"id": "dev"}, state=DeviceState.DETACHING)

        def looks() -> Any:
            guest = hands.guests.guests.get(SERVER)
            return guest and (sorted(guest.disks), len(guest.nics)), hands.volumes.volumes, len(hands.ports.ports)

        def leaks() -> Any:
            return [name for name, (owner, _) in hands.volumes.volumes.items() if owner == SERVER]

        return Stage(device_lifecycle.lifecycle(hands.crew(scene)), "dev", looks, leaks)

    return stage


_KEPT = {"name": "new", "image_id": "new"}
_ACTIVE, _STOPPED = {"before": State.ACTIVE}, {"before": State.STOPPED}
_RESIZED = {"flavor": LARGE, "old_flavor": SMALL, "guest": {"old_root": "old", "old_root_gb": 1}}
WALKS = [
    _walk("create", State.ACTIVE, wished),
    _walk("delete", "", standing(State.DELETING, "running")),
    _walk("delete of a shelved server", "", standing(State.DELETING, "none", wish=_KEPT, before=State.OFFLOADED)),
    _walk("stop", State.STOPPED, standing(State.STOPPING, "running", **_ACTIVE)),
    _walk("start", State.ACTIVE, standing(State.STARTING, "off", **_STOPPED)),
    _walk("reboot", State.ACTIVE, standing(State.REBOOTING, "running", **_ACTIVE)),
    _walk("reboot of a crashed guest", State.ACTIVE, standing(State.REBOOTING, "off", **_ACTIVE)),
    _walk("hard reboot", State.ACTIVE, standing(State.HARD_REBOOTING, "running", **_ACTIVE)),
    _walk("pause", State.PAUSED, standing(State.PAUSING, "running", **_ACTIVE)),
    _walk("unpause", State.ACTIVE, standing(State.UNPAUSING, "paused")),
    _walk("suspend", State.SUSPENDED, standing(State.SUSPENDING, "running", **_ACTIVE)),
    _walk("resume", State.ACTIVE, standing(State.RESUMING, "suspended")),
    _walk("crash dump", State.ACTIVE, standing(State.CRASHING, "running", power="running", **_ACTIVE)),
    _walk("crash dump of a crashed guest", State.ACTIVE,
          standing(State.CRASHING, "off", power="running", **_ACTIVE)),
    _walk("rescue", State.RESCUED, standing(State.RESCUING, "running", **_ACTIVE)),
    _walk("unrescue", State.ACTIVE, standing(State.UNRESCUING, "running", guest={"rescue": "resc"}, **_ACTIVE)),
    _walk("resize", State.VERIFY_RESIZE, standing(State.RESIZING, "running", wish={"flavor": LARGE}, **_ACTIVE)),
    _walk("resize, stopped", State.VERIFY_RESIZE, standing(State.RESIZING, "off", wish={"flavor": LARGE}, **_STOPPED)),
    _walk("confirm", State.ACTIVE, standing(State.CONFIRMING, "running", **_RESIZED, **_ACTIVE)),
    _walk("revert", State.ACTIVE, standing(State.REVERTING, "running", **_RESIZED, **_ACTIVE)),
    _walk("revert, stopped", State.STOPPED, standing(State.REVERTING, "off", **_RESIZED, **_STOPPED)),
    _walk("rebuild", State.ACTIVE, standing(State.REBUILDING, "running", **_ACTIVE)),
    _walk("shelve", State.OFFLOADED, standing(State.SHELVING, "running", wish=_KEPT, **_ACTIVE)),
    _walk("unshelve", State.ACTIVE, standing(State.UNSHELVING, "none", wish=_KEPT)),
    _walk("image of a running guest", State.ACTIVE,
          standing(State.SNAPSHOTTING, "running", wish=_KEPT, power="running", **_ACTIVE)),
    _walk("backup of a running guest", State.ACTIVE,
          standing(State.SNAPSHOTTING, "running", wish=_KEPT | {"backup_type": "daily", "rotation": 1}, power="running",
                   **_ACTIVE)),
    _walk("image of a stopped guest", State.STOPPED,
          standing(State.SNAPSHOTTING, "off", wish=_KEPT, power="off", **_STOPPED)),
    Walk("server_device", "plug a volume in", DeviceState.ATTACHED,
         _device("disk", DeviceState.ATTACHING, State.ACTIVE, "running"), _PASSING),
    Walk("server_device", "plug a volume in, stopped", DeviceState.ATTACHED,
         _device("disk", DeviceState.ATTACHING, State.STOPPED, "off"), _PASSING),
    Walk("server_device", "plug a port in", DeviceState.ATTACHED,
         _device("nic", DeviceState.ATTACHING, State.ACTIVE, "running"), _PASSING),
    Walk("server_device", "pull a volume out", "",
         _device("disk", DeviceState.DETACHING, State.ACTIVE, "running"), _PASSING),
    Walk("server_device", "pull a port out", "",
         _device("nic", DeviceState.DETACHING, State.ACTIVE, "running"), _PASSING),
    Walk("server_device", "pull a volume out, stopped", "",
         _device("disk", DeviceState.DETACHING, State.STOPPED, "off"), _PASSING),
]  # fmt: skip
