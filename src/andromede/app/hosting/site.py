"""One process's hosting services, each made when it is first wanted, and what they share."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from andromede.app.base import Base, key_ring, object_tools
from andromede.audit.changes import Desk
from andromede.ops.layout import Layout
from andromede.work.wake import Waker

if TYPE_CHECKING:
    from andromede.compute.service import Compute
    from andromede.engines.qemu.engine import QemuHypervisor
    from andromede.images.bases import Bases
    from andromede.images.service import Images
    from andromede.keymanager.service import KeyManager
    from andromede.keys import KeyRing
    from andromede.network.engine import Fabric
    from andromede.network.service import Networks
    from andromede.objects.service import Objects
    from andromede.volumes.disks import Disks
    from andromede.volumes.service import Volumes
    from andromede.work import Reconciler
    from andromede.work.lifecycle import Lifecycle


@dataclass(frozen=True, slots=True)
class Duties:
    """What the host role does for one domain: `lifecycles` for its runner, `reconcilers` for its loop, `starts` called
    once the process is up (listeners and threads of their own, which must end with the process)."""

    lifecycles: Sequence[Lifecycle[Any]] = ()
    reconcilers: Sequence[Reconciler] = ()
    starts: Sequence[Callable[[], None]] = field(default=())


class Site:
    """The services of one process. Used by threads only after the process has begun to serve."""

    def __init__(self, base: Base) -> None:
        self.base = base
        self.config = base.config
        self.host = base.config.hosting.host or socket.gethostname()
        self.holder = f"{socket.gethostname()}:{os.getpid()}"
        self.place = Layout(base.config.data)

    @cached_property
    def desk(self) -> Desk:
        """How services change rows."""
        base = self.base
        return Desk(base.db, base.clock, base.ids, base.recorder, self._waker)

    @cached_property
    def _waker(self) -> Waker:
        return Waker(self.place.run)

    @cached_property
    def keys(self) -> KeyRing:
        """The key tree."""
        return key_ring(self.base)

    @cached_property
    def objects(self) -> Objects:
        """The object store, for images and backups."""
        from andromede.objects.service import Objects

        return Objects(object_tools(self.base))

    @cached_property
    def images(self) -> Images:
        """Images, for Nova and Cinder."""
        from andromede.app.hosting import images

        return images.service(self)

    @cached_property
    def bases(self) -> Bases:
        """Images as files of this host, for those who make disks of them. Host role."""
        from andromede.app.hosting import images

        return images.bases(self)

    @cached_property
    def keymanager(self) -> KeyManager:
        """Secrets, over the key tree."""
        from andromede.keymanager.service import build

        return build(self.desk, self.keys)

    @cached_property
    def disks(self) -> Disks:
        """Disks of volumes and servers, with their keys."""
        from andromede.app.hosting import volumes

        return volumes.disks(self)

    @cached_property
    def volumes(self) -> Volumes:
        """Block storage, for Nova."""
        from andromede.app.hosting import volumes

        return volumes.service(self)

    @cached_property
    def compute(self) -> Compute:
        """Servers and what belongs to them."""
        from andromede.app.hosting import compute

        return compute.service(self)

    @cached_property
    def networks(self) -> Networks:
        """Networks, routers, security groups."""
        from andromede.app.hosting.network import service

        return service(self)

    @cached_property
    def installation(self) -> str:
        """The id of this installation."""
        return str(self.place.require()["id"])

    @cached_property
    def hypervisor(self) -> QemuHypervisor:
        """This host's guests."""
        from andromede.app.hosting import guests

        return guests.hypervisor(self)

    @cached_property
    def fabric(self) -> Fabric:
        """What carries packets on this host."""
        from andromede.app.hosting.network import fabric

        return fabric(self)

    def close(self) -> None:
        """Give back what was opened."""
        if "_waker" in self.__dict__:
            self._waker.close()
        if "objects" in self.__dict__:
            self.objects.close()
