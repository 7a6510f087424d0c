"""Servers: what is accepted is one transaction of rows, claim, history and event; workers make it true."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from andromede.audit.changes import Change
from andromede.compute import actions, capacity, server_store
from andromede.compute.core import Core, is_admin, project_of
from andromede.compute.model import SERVER, Device, DeviceState, Server, State, Tag
from andromede.compute.planning import Plan
from andromede.compute.quotas import Quotas
from andromede.compute.server_store import Search
from andromede.compute.states import REST, view
from andromede.compute.tables import DEVICES, SERVERS, TAGS
from andromede.errors import Conflict, NoCapacity, NotFound, OverQuota
from andromede.ids import base32, request_id
from andromede.web.call import Call
from andromede.work import lifecycle

LETTERS = re.compile(r"[^a-z0-9-]+")


def hostname_of(name: str, server_id: str) -> str:
    """A name as a DNS label (RFC 1123), of at most 63 characters."""
    plain = re.sub(r"[ _.]+", "-", name.lower())
    plain = LETTERS.sub("", plain).strip("-")[:63].strip("-")
    return plain or f"server-{server_id}"


class Servers:
    """What may be asked of servers, apart from the actions of `deeds`."""

    def __init__(self, core: Core, quotas: Quotas) -> None:
        self.core = core
        self.quotas = quotas

    # --- reading

    def find(self, server_id: str, project_id: str | None, deleted: bool = False) -> Server:
        """A server of the project, of anybody's with None. Raises `NotFound`."""
        found = SERVERS.find(self.core.desk.db, id=server_id)
        stranger = found is not None and project_id is not None and found.project_id != project_id
        if found is None or stranger or (found.state == State.DELETED and not deleted):
            raise NotFound(f"Instance {server_id} could not be found.", "server")
        return found

    def search(self, wanted: Search) -> list[Server]:
        """Servers in order."""
        return server_store.search(self.core.desk.db, wanted)

    def devices(self, server_id: str, kind: str) -> list[Device]:
        """The disks or nics of a server, in order."""
        return DEVICES.select(self.core.desk.db, {"server_id": server_id, "kind": kind})

    # --- creation

    def create(self, call: Call[Any], plan: Plan) -> list[Server]:
        """Accept as many servers as were asked for. Raises `OverQuota`; servers that find no room are in error."""
        desk, project = self.core.desk, project_of(call)
        with desk.change(call, "server", project) as change:
            count = self._count(change, call, plan, project)
            letters = base32(desk.ids.secret(5)).lower()
            made = [self._one(change, call, plan, (f"r-{letters}", number, count)) for number in range(count)]
            change.object = f"server/{made[0].id}"
            change.detail = {"count": count} if count > 1 else {}
        return made

    def _count(self, change: Change, call: Call[Any], plan: Plan, project: str) -> int:
        """How many servers the quota admits, at most the most that was asked for."""
        low, high = plan.wish.counts
        for count in range(high, low - 1, -1):
            wanted = {"instances": count, "cores": count * plan.flavor.vcpus, "ram": count * plan.flavor.ram}
            try:
                self.quotas.check_servers(change.tx, project, call.who.user_id, wanted)
                break
            except OverQuota:
                if count == low:
                    raise
        else:
            raise OverQuota("Quota exceeded for instances", "quota")
        if plan.server_group is not None:
            members = len(SERVERS.select(change.tx, {"group_id": plan.server_group.id}))
            most = self.quotas.of(project, db=change.tx)["server_group_members"]
            if 0 <= most < members + count:
                raise OverQuota("Quota exceeded, too many servers in group", "quota")
        return count

    def _one(self, change: Change, call: Call[Any], plan: Plan, number: tuple[str, int, int]) -> Server:
        server = self._server(change, call, plan, number)
        who = (call.request_id, server.project_id, server.user_id)
        try:
            host = self._claim(change, server, plan)
            server = dataclasses.replace(server, host=host)
        except NoCapacity as error:
            server = dataclasses.replace(server, state=State.ERROR, due_us=None, fault=error.public)
        SERVERS.insert(change.tx, server)
        for device in self._devices(server, plan):
            DEVICES.insert(change.tx, device)
            if device.volume_id and not server.fault:
                self.core.volumes.reserve(
                    device.volume_id, server.project_id, server.id, call.request_id, change.tx
                )  # fmt: skip
        for name in plan.wish.tags:
            TAGS.insert(change.tx, Tag(server.id, name))
        actions.begin(change.tx, server, who, "create", change.now_us)
        if server.fault:
            span = (change.now_us, change.now_us)
            actions.event(
                change.tx, (server.id, call.request_id), "conductor_schedule_and_build_instances", span, server.fault
            )
            actions.finish(change.tx, server.id, call.request_id, change.now_us, True)
        return server

    def _claim(self, change: Change, server: Server, plan: Plan) -> str:
        hosts, avoid = plan.hosts, frozenset[str]()
        if plan.server_group is not None:
            others = SERVERS.select(change.tx, {"group_id": plan.server_group.id})
            theirs = [row.host for row in others if row.host and row.state != State.DELETED]
            most = int(plan.server_group.rules.get("max_server_per_host", 1))
            if plan.server_group.policy == "anti-affinity":
                avoid = frozenset(host for host in theirs if theirs.count(host) >= most)
            elif plan.server_group.policy == "affinity" and theirs:
                hosts = frozenset(theirs) if hosts is None else hosts & frozenset(theirs)
        wanted = capacity.Claim(
            server.id, server.project_id, server.user_id,
            capacity.resources_of(server.flavor, plan.root_gb), hosts, avoid,
        )  # fmt: skip
        return capacity.claim(change.tx, wanted, change.now_us)

    def _server(self, change: Change, call: Call[Any], plan: Plan, number: tuple[str, int, int]) -> Server:
        wish, now = plan.wish, change.now_us
        reservation, index, count = number
        server_id = self.core.desk.ids.dashed()
        name = wish.name if count == 1 else f"{wish.name}-{index + 1}"
        root, image = plan.root, plan.image
        facts: dict[str, Any] = {}
        if image is not None:
            facts = {
                "disk_format": image.disk_format, "container_format": image.container_format,
                "min_disk": image.min_disk, "min_ram": image.min_ram, "name": image.name,
                "properties": dict(image.properties),
            }  # fmt: skip
        return Server(
            id=server_id, project_id=project_of(call), user_id=call.who.user_id, name=name,
            description=wish.description, hostname=wish.hostname or hostname_of(name, server_id),
            state=State.SCHEDULING, since_us=now, due_us=now, request_id=call.request_id,
            flavor=plan.flavor.snapshot(), vcpus=plan.flavor.vcpus, ram_mb=plan.flavor.ram,
            image_id=image.id if image is not None and root.target == "local" else "", image=facts,
            root_gb=plan.root_gb, boot_volume_id=root.source_id if root.source == "volume" else "",
            root_device_name=root.device_name or "/dev/vda",
            key_name=plan.key.name if plan.key else "", public_key=plan.key.public_key if plan.key else "",
            key_type=plan.key.type if plan.key else "", metadata=dict(wish.metadata), user_data=wish.user_data,
            personality=list(wish.personality), config_drive=wish.config_drive, admin_pass=wish.admin_pass,
            availability_zone=plan.zone, networks=plan.networks, security_groups=list(plan.group_ids),
            group_id=plan.server_group.id if plan.server_group else "",
            reservation_id=reservation, launch_index=index, access_ip_v4=wish.access[0], access_ip_v6=wish.access[1],
            disk_config=wish.disk_config, created_us=now, updated_us=now,
        )  # fmt: skip

    def _devices(self, server: Server, plan: Plan) -> list[Device]:
        ids, now, found = self.core.desk.ids, server.created_us, []
        for position, disk in enumerate(plan.disks):
            volume = disk.source_id if disk.source == "volume" else ""
            local = ids.dashed() if disk.target == "local" else ""
            found.append(
                Device(
                    id=ids.dashed(), project_id=server.project_id, server_id=server.id, kind="disk",
                    state=DeviceState.WISHED, since_us=now, position=position, source=disk.source,
                    source_id=disk.source_id, target=disk.target, disk_id=volume or local, volume_id=volume,
                    volume_type=disk.volume_type, size_gb=disk.size, boot_index=disk.boot_index,
                    guest_format=disk.guest_format, made=disk.source != "volume",
                    delete_on_termination=disk.delete_on_termination,
                    device_name=disk.device_name or f"/dev/vd{chr(97 + position)}", tag=disk.tag, created_us=now,
                    request_id=server.request_id,
                )
            )  # fmt: skip
        for position, nic in enumerate(plan.nics):
            found.append(
                Device(
                    id=ids.dashed(), project_id=server.project_id, server_id=server.id, kind="nic",
                    state=DeviceState.WISHED, since_us=now, position=position,
                    source="port" if nic.port_id else "network", network_id=nic.network_id, port_id=nic.port_id,
                    made=not nic.port_id, delete_on_termination=not nic.port_id, tag=nic.tag,
                    wish={"fixed_ip": nic.fixed_ip} if nic.fixed_ip else {}, created_us=now,
                    request_id=server.request_id,
                )
            )  # fmt: skip
        return found

    # --- changes that need no worker

    def change(self, call: Call[Any], server: Server, **changes: Any) -> Server:
        """Change columns that no worker acts upon."""
        with self.core.desk.change(call, f"server/{server.id}", server.project_id) as change:
            changes = {"updated_us": change.now_us, **changes}
            SERVERS.update(change.tx, {"id": server.id}, **changes)
        return dataclasses.replace(server, **changes)

    def keep_password(self, server: Server, text: str) -> bool:
        """Keep a password that the guest sent; whether there was none before."""
        if server.guest_password:
            return False
        desk, name = self.core.desk, f"server/{server.id}"
        with desk.system("compute:keep_password", name, server.project_id, request_id(desk.ids)) as change:
            return SERVERS.update(change.tx, {"id": server.id, "guest_password": ""}, guest_password=text) == 1

    def set_metadata(
        self, call: Call[Any], server: Server, items: Mapping[str, str], replace: bool = False, drop: str = ""
    ) -> dict[str, str]:
        """Merge or replace a server's metadata, or drop one item; what there is then. Raises `NotFound`, `Conflict`
        for a locked server."""
        self.check_unlocked(call, server)
        with self.core.desk.change(call, f"server/{server.id}", server.project_id) as change:
            had = server_store.metadata(change.tx, server.id)
            now = dict(items) if replace else {**had, **items}
            if drop and now.pop(drop, None) is None:
                raise NotFound("Metadata item was not found", "metadata")
            limit = self.quotas.of(server.project_id, db=change.tx)["metadata_items"]
            if 0 <= limit < len(now):
                raise OverQuota(f"Maximum number of metadata items exceeds {limit}", "quota")
            SERVERS.update(change.tx, {"id": server.id}, metadata=now, updated_us=change.now_us)
        return now

    def tags(self, server_ids: Sequence[str]) -> dict[str, list[str]]:
        """The tags of servers."""
        return server_store.tags(self.core.desk.db, server_ids)

    def set_tags(self, call: Call[Any], server: Server, names: Sequence[str]) -> None:
        """Replace a server's tags."""
        with self.core.desk.change(call, f"server/{server.id}", server.project_id) as change:
            TAGS.remove(change.tx, server_id=server.id)
            for name in names:
                TAGS.insert(change.tx, Tag(server.id, name))
            SERVERS.update(change.tx, {"id": server.id}, updated_us=change.now_us)

    # --- the end

    @staticmethod
    def check_unlocked(call: Call[Any], server: Server) -> None:
        """Raise `Conflict` for a locked server, except for admins."""
        if server.locked and not is_admin(call):
            raise Conflict(f"Instance {server.id} is locked", "locked")

    def delete(self, call: Call[Any], server: Server, action: str = "delete") -> None:
        """Wish a server away, whatever it does."""
        with self.core.desk.change(call, f"server/{server.id}", server.project_id) as change:
            if "delete" in server.signals.split():
                return
            changes: dict[str, Any] = {"updated_us": change.now_us}
            if server.state in REST:
                changes |= {"before": server.state, "request_id": call.request_id}
            SERVERS.update(change.tx, {"id": server.id, "state": server.state}, **changes)
            lifecycle.signal(change.tx, SERVER, server.id, "delete", change.now_us)
            who = (call.request_id, project_of(call) if call.who.project_id else "", call.who.user_id)
            actions.begin(change.tx, server, who, action, change.now_us)

    def act(self, call: Call[Any], server: Server, move: tuple[str, str], **changes: Any) -> Server:
        """Begin work on a server that is at rest: `move` is (Nova's word, the working state). Raises `Conflict` when
        it has left its state meanwhile."""
        word, state = move
        with self.core.desk.change(call, f"server/{server.id}", server.project_id) as change:
            self.begin(change, call, server, (word, state), changes)
        return dataclasses.replace(server, state=state)

    def begin(
        self, change: Change, call: Call[Any], server: Server, move: tuple[str, str], changes: Mapping[str, Any]
    ) -> None:
        """The same inside a change."""
        word, state = move
        sets = {"before": server.state, "task": "", "wish": {}, **changes}
        columns = {name: SERVERS.encode(name, value) for name, value in sets.items()}
        columns |= {"request_id": call.request_id, "updated_us": change.now_us}
        if not lifecycle.begin(change.tx, SERVER, server.id, (server.state, state), change.now_us, **columns):
            raise Conflict(
                f"Cannot '{word}' instance {server.id} while it is in vm_state {view(server).vm_state}: it has just "
                "changed; try again.",
                "state",
            )
        who = (call.request_id, call.who.project_id or server.project_id, call.who.user_id)
        actions.begin(change.tx, server, who, ACTION_NAMES.get(word, word), change.now_us)

    def reset(self, change: Change, server: Server, state: str) -> None:
        """Put a server into a state at rest without doing anything to it."""
        fault = server.fault if state == State.ERROR else ""
        SERVERS.update(
            change.tx, {"id": server.id}, state=state, since_us=change.now_us, due_us=None, lease_us=0, holder="",
            task="", fault=fault, updated_us=change.now_us,
        )  # fmt: skip


ACTION_NAMES = {
    "soft_reboot": "reboot",
    "hard_reboot": "reboot",
    "confirm_resize": "confirmResize",
    "revert_resize": "revertResize",
    "snapshot": "createImage",
    "backup": "createBackup",
}
"""Nova's words in os-instance-actions, where they differ from those in errors."""
