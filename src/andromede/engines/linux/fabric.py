"""The fabric on one Linux host."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakValueDictionary

from pyroute2.netlink.exceptions import NetlinkError

from andromede.engines.linux import daemon, kernel, names, network, outside, router, taps
from andromede.engines.linux.host import Host
from andromede.engines.linux.standing import Standing
from andromede.errors import Unavailable
from andromede.network.engine import OUTSIDE, NetworkChange, NetworkPart, OutsidePart, Part, Wired


class LinuxFabric:
    """Implements `andromede.network.engine.Fabric`. Needs root, or CAP_NET_ADMIN and CAP_SYS_ADMIN, and the programs
    `nft` and `dnsmasq`."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._locks: WeakValueDictionary[str, threading.RLock] = WeakValueDictionary()
        self._guard = threading.Lock()
        self._networks: dict[str, NetworkPart | Standing] = {}
        self._places: dict[str, str] = {}

    @contextmanager
    def _alone(self, part_id: str) -> Iterator[None]:
        """One call at a time for a part; failures of the kernel and of programs as an engine may raise them."""
        with self._guard:
            lock = self._locks.setdefault(part_id, threading.RLock())
        try:
            with lock:
                yield
        except (OSError, NetlinkError) as error:
            raise Unavailable(
                f"the kernel refused a step for {part_id}: {error}", "kernel", cause=repr(error)
            ) from error

    def ensure(self, part: Part) -> None:
        with self._alone(part.id):
            if isinstance(part, NetworkPart):
                self._networks.pop(part.id, None)
                network.ensure(self._host, part)
                self._networks[part.id] = part
                others = {port: place for port, place in self._places.items() if place != part.id}
                self._places = others | dict.fromkeys((port.id for port in part.ports), part.id)
            elif isinstance(part, OutsidePart):
                outside.ensure(self._host, part)
            else:
                router.ensure(self._host, part)

    def change(self, change: NetworkChange) -> bool:
        with self._alone(change.id):
            known = self._networks.pop(change.id, None)
            if known is None:
                return False
            standing = Standing(known) if isinstance(known, NetworkPart) else known
            if not network.change(self._host, standing, change):
                return False
            self._networks[change.id] = standing
            self._places.update(dict.fromkeys((port.id for port in change.ports), change.id))
            for port_id in change.gone:
                self._places.pop(port_id, None)
            return True

    def remove(self, part_id: str) -> None:
        with self._alone(part_id):
            if part_id == OUTSIDE:
                return outside.remove(self._host)
            there = [kind for kind in ("r", "n") if self._is(part_id, kind)]
            for kind in there:
                (router if kind == "r" else network).remove(self._host, part_id)
            if not there:
                daemon.stop(self._host, part_id)
            self._networks.pop(part_id, None)
            self._places = {port: place for port, place in self._places.items() if place != part_id}
            for kind in names.KINDS:
                self._host.forget(names.namespace(self._host.installation, kind, part_id))
            return None

    def _is(self, part_id: str, kind: str) -> bool:
        return (names.NAMESPACES / names.namespace(self._host.installation, kind, part_id)).exists()

    def observe(self, part_id: str) -> Wired | None:
        with self._alone(part_id):
            if part_id == OUTSIDE:
                return outside.observe(self._host)
            if self._is(part_id, "r"):
                return router.observe(self._host, part_id)
            return network.observe(self._host, part_id) if self._is(part_id, "n") else None

    def plug(self, port_id: str) -> int:
        with self._alone(port_id):
            own = self._places.get(port_id)
            return taps.plug(self._host, port_id, network.place(self._host, own) if own is not None else None)

    def listing(self) -> list[str]:
        host = self._host
        spaces = [name for kind in ("n", "r") for name in kernel.names(f"{names.prefix(host.installation)}{kind}-")]
        outward = [OUTSIDE] if outside.observe(host) is not None else []
        return [*outward, *sorted({names.part_id(name) for name in spaces} - {""})]
