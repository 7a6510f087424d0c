"""Images made of servers: a copy of the root at one instant while the guest goes on, then the image of the copy."""

from __future__ import annotations

from andromede.compute.engine import Copy
from andromede.compute.model import Server, State
from andromede.compute.shape import derived, devices, is_root
from andromede.compute.stage import SOON, Stage
from andromede.errors import Error, Unavailable
from andromede.work.lifecycle import Next, Step, public

IMAGE_SECONDS = 3600.0


class Imaging(Stage):
    """Whatever becomes of the image, the server comes back to where it was."""

    def steps(self) -> dict[str, Step[Server]]:
        """By state."""
        return {State.SNAPSHOTTING: self.snapshotting}

    def snapshotting(self, server: Server) -> Next:
        """copy -> let go -> upload -> rotate (backups) -> tidy."""
        try:
            if self.age(server) > IMAGE_SECONDS:
                raise Error(f"the image of server {server.id} took more than {IMAGE_SECONDS:.0f} seconds", "image")
            return self._phase(server)
        except Unavailable:
            raise
        except Error as error:
            self.crew.images.fail(str(server.wish["image_id"]), public(error))
            return self._tidy(server)

    def _phase(self, server: Server) -> Next:
        image, phase = str(server.wish["image_id"]), self.phase(server)
        root = next(row.disk_id for row in devices(self.crew, server) if is_root(row))
        copy = derived(server.id, f"image {image}")
        if phase == "":
            if server.before not in (State.ACTIVE, State.PAUSED):
                return self.go(server, "upload", task="image_uploading")
            return self.go(server, "copy", {"copy": copy}, task="image_pending_upload")
        if phase == "copy":
            return self._copied(server, Copy(image, ((root, copy),)))
        if phase == "let go":
            self._let_go(server, image, copy)
            return self.go(server, "upload", task="image_uploading")
        if phase == "upload":
            self.crew.images.fill(image, str(server.guest.get("copy") or root), server)
            return self.go(server, "rotate" if "rotation" in server.wish else "tidy")
        if phase == "rotate":
            self.crew.images.rotate(server, str(server.wish["backup_type"]), int(server.wish["rotation"]))
            return self.go(server, "tidy")
        return self._tidy(server)

    def _copied(self, server: Server, copy: Copy) -> Next:
        seen = self.look(server)
        job = next((job for job in seen.jobs if job.id == copy.id), None)
        if job is None:
            source, target = copy.pairs[0]
            self.crew.disks.blank(server, target, self.crew.disks.size(source))
            self.crew.hypervisor.copy(server.id, copy)
            return Next(server.state, SOON)
        if not job.concluded:
            return Next(server.state, 2 * SOON)
        if job.error:
            raise Error(f"the disk of server {server.id} could not be copied: {job.error}", "copy")
        return self.go(server, "let go")

    def _let_go(self, server: Server, image: str, copy: str) -> None:
        """The guest's process has the copy open no more."""
        if self.look(server).power in ("running", "paused", "io-error", "shutdown", "panicked"):
            self.crew.hypervisor.copy(server.id, Copy(image, (("", copy),), dismiss=True))

    def _tidy(self, server: Server) -> Next:
        copy = str(server.guest.get("copy", ""))
        if copy:
            self._let_go(server, str(server.wish["image_id"]), copy)
            self.crew.disks.remove(copy, server)
        guest = {name: value for name, value in server.guest.items() if name not in ("phase", "copy")}
        return self.rest(server, server.before or State.ACTIVE, server.power, guest=guest)
