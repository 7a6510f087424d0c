"""What is done with the disks and the size of a server: each state goes through phases, each phase makes one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from andromede.compute.model import Device, Server, State
from andromede.compute.shape import GIB, derived, devices, is_root
from andromede.compute.stage import SOON, Stage
from andromede.compute.tables import DEVICES
from andromede.db import Tx
from andromede.work.lifecycle import Next, Step


class Reshaping(Stage):
    """Rescue, resize, rebuild, shelve."""

    def steps(self) -> dict[str, Step[Server]]:
        """By state."""
        return {
            State.RESCUING: self.rescuing, State.UNRESCUING: self.unrescuing, State.RESIZING: self.resizing,
            State.CONFIRMING: self.confirming, State.REVERTING: self.reverting, State.REBUILDING: self.rebuilding,
            State.SHELVING: self.shelving, State.OFFLOADING: self.offloading, State.UNSHELVING: self.unshelving,
        }  # fmt: skip

    # --- rescue

    def rescuing(self, server: Server) -> Next:
        """The guest boots from another image, with its own disks beside."""
        image = str(server.wish.get("image_id") or server.image_id)
        phase = self.phase(server)
        if phase in ("", "asked"):
            rescue = {"rescue": derived(server.id, "rescue"), "rescue_properties": self._properties(server)}
            again = bool(server.guest.get("rescue"))  # its host rebooted: the disk is there
            return self.quiet(server) or (self.go(server, "start") if again else self.go(server, "disk", rescue))
        if phase == "disk":
            size = max(self.crew.images.size(image), server.root_gb * GIB)
            self.crew.disks.root(server, str(server.guest["rescue"]), size, image)
            return self.go(server, "start")
        if not self.run(server):
            return Next(server.state, SOON)
        return self.rest(server, State.RESCUED, "running")

    @staticmethod
    def _properties(server: Server) -> dict[str, Any]:
        given = server.wish.get("image")
        facts = given if isinstance(given, dict) else server.image
        return dict(facts.get("properties", {}))

    def unrescuing(self, server: Server) -> Next:
        """The rescue disk goes and the guest boots from its own."""
        phase = self.phase(server)
        if phase == "":
            if not self.off(server):
                return Next(server.state, SOON)
            if server.guest.get("rescue"):
                self.crew.disks.remove(str(server.guest["rescue"]), server)
            return self.go(server, "start", {"rescue": "", "rescue_properties": {}})
        return self._home(server)

    # --- resize

    def resizing(self, server: Server) -> Next:
        """Another flavor: the old root stays until that is confirmed, if it has to grow."""
        phase = self.phase(server)
        if phase in ("", "asked"):
            return self.quiet(server) or self.go(server, "disk", task="resize_migrating")
        if phase == "disk":
            return self._resized(server)
        if self.home(server) == State.STOPPED:
            return self.rest(server, State.VERIFY_RESIZE, "off")
        if not self.run(server):
            return Next(server.state, SOON)
        return self.rest(server, State.VERIFY_RESIZE, "running")

    def _resized(self, server: Server) -> Next:
        flavor = server.wish["flavor"]
        changes: dict[str, Any] = {"flavor": flavor, "old_flavor": server.flavor, "task": "resize_finish"}
        root = self._root(server)
        size = int(server.wish.get("root_gb") or flavor["disk"])
        if root is None or size <= server.root_gb:
            return self.go(server, "start", {"old_root": "", "old_root_gb": server.root_gb}, **changes)
        new = derived(server.id, f"root {server.since_us}")
        self.crew.disks.copy(server, root.disk_id, new, size * GIB)
        kept = {"old_root": root.disk_id, "old_root_gb": server.root_gb}
        found = self.go(server, "start", kept, root_gb=size, root_disk_id=new, **changes)
        return _with(found, root, new)

    def confirming(self, server: Server) -> Next:
        """The old root goes, and the room for it."""
        if server.guest.get("old_root"):
            self.crew.disks.remove(str(server.guest["old_root"]), server)

        def then(tx: Tx) -> None:
            self.crew.books.settle(tx, server, server.flavor, server.root_gb, self.crew.clock.now_us())

        guest = {k: v for k, v in server.guest.items() if k not in ("phase", "old_root", "old_root_gb")}
        home = self.home(server)
        power = "running" if home == State.ACTIVE else "off"
        return self.rest(server, home, power, then, old_flavor={}, guest=guest, **_sizes(server.flavor))

    def reverting(self, server: Server) -> Next:
        """Size and root of before; what was written to a root that had grown is lost."""
        phase = self.phase(server)
        if phase in ("", "asked"):
            return self.quiet(server) or self._swapped(server)
        if phase == "drop":
            if server.guest.get("old_root"):
                self.crew.disks.remove(str(server.guest["old_root"]), server)
            return self.go(server, "start", {"old_root": ""})

        def then(tx: Tx) -> None:
            self.crew.books.settle(tx, server, server.flavor, server.root_gb, self.crew.clock.now_us())

        return self._home(server, then)

    def _swapped(self, server: Server) -> Next:
        old, root = str(server.guest.get("old_root", "")), self._root(server)
        changes: dict[str, Any] = {"flavor": server.old_flavor, "old_flavor": {}, **_sizes(server.old_flavor)}
        if not old or root is None:
            return self.go(server, "drop", {"old_root": ""}, **changes)
        changes |= {"root_disk_id": old, "root_gb": int(server.guest["old_root_gb"])}
        found = self.go(server, "drop", {"old_root": root.disk_id}, **changes)
        return _with(found, root, old)

    # --- rebuild

    def rebuilding(self, server: Server) -> Next:
        """A new root from the image that the row names; everything else stays."""
        phase = self.phase(server)
        root = self._root(server)
        if phase in ("", "asked"):
            return self.quiet(server) or self.go(server, "drop", task="rebuild_block_device_mapping")
        if phase == "drop":
            if root is not None:
                self.crew.disks.remove(root.disk_id, server)
            return self._renamed(server, root, "disk")
        if phase == "disk":
            self._from_image(server, root, server.image_id)
            return self.go(server, "start", task="rebuild_spawning")
        return self._home(server)

    def _renamed(self, server: Server, root: Device | None, phase: str) -> Next:
        """The id of a root that is about to be made, written before it is there."""
        if root is None:
            return self.go(server, phase)
        new = derived(server.id, f"root {server.since_us}")
        found = self.go(server, phase, root_disk_id=new)
        return _with(found, root, new)

    def _from_image(self, server: Server, root: Device | None, image_id: str) -> None:
        if root is not None:
            size = server.root_gb * GIB or self.crew.images.size(image_id)
            self.crew.disks.root(server, root.disk_id, max(size, self.crew.images.size(image_id)), image_id)

    # --- shelve

    def shelving(self, server: Server) -> Next:
        """The root becomes an image."""
        phase = self.phase(server)
        if phase in ("", "asked"):
            return self.quiet(server) or self.go(server, "image", task="shelving_image_uploading")
        root = self._root(server)
        if root is not None and server.wish.get("image_id"):
            self.crew.images.fill(str(server.wish["image_id"]), root.disk_id, server)
        return Next(State.OFFLOADING, changes={"task": "", "power": "off"})

    def offloading(self, server: Server) -> Next:
        """Guest, root and room go; ports and volumes stay the server's."""
        self.crew.hypervisor.remove(server.id)
        for row in devices(self.crew, server):
            if row.kind == "nic" and row.port_id:
                self.crew.ports.park(row.port_id, server)
        root = self._root(server)
        if root is not None and root.disk_id:
            self.crew.disks.remove(root.disk_id, server)

        def then(tx: Tx) -> None:
            self.crew.books.release(tx, server, self.crew.clock.now_us())

        kept = {"wish": server.wish, "host": "", "root_disk_id": ""}
        return self.rest(server, State.OFFLOADED, "off", then, **kept)

    def unshelving(self, server: Server) -> Next:
        """The reverse of both."""
        phase, root = self.phase(server), self._root(server)
        image = str(server.wish.get("image_id", ""))
        if phase == "":
            for row in devices(self.crew, server):
                if row.kind == "nic" and row.port_id:
                    self.crew.ports.bind(row.port_id, server)
            return self._renamed(server, root, "disk")
        if phase == "disk":
            if image:
                self._from_image(server, root, image)
            return self.go(server, "start", host=self.crew.host)
        if phase == "start":
            return self.go(server, "image") if self.run(server) else Next(server.state, SOON)
        if image:
            self.crew.images.delete(image, server)
        return self.rest(server, State.ACTIVE, "running")

    # --- shared

    def _root(self, server: Server) -> Device | None:
        """The root, where it is a disk of the server's own."""
        return next((r for r in devices(self.crew, server) if is_root(r) and r.target != "volume"), None)

    def _home(self, server: Server, then: Callable[[Tx], None] | None = None) -> Next:
        """The last phase: running again if it ran, else at rest."""
        if self.home(server) == State.STOPPED:
            return self.rest(server, State.STOPPED, "off", then)
        if not self.run(server):
            return Next(server.state, SOON)
        return self.rest(server, State.ACTIVE, "running", then)


def _sizes(flavor: Mapping[str, Any]) -> dict[str, int]:
    """The columns that count against quotas."""
    return {"vcpus": int(flavor["vcpus"]), "ram_mb": int(flavor["ram"])}


def _with(found: Next, row: Device, disk_id: str) -> Next:
    """The same, and the device has another disk behind it."""

    def then(tx: Tx) -> None:
        DEVICES.update(tx, {"id": row.id}, disk_id=disk_id)

    return replace(found, then=then)
