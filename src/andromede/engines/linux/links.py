"""Links, addresses and routes of the namespace that the calling thread is in, over one netlink socket."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from andromede.engines.linux.names import NAMESPACES
from andromede.engines.linux.netlink import DUMP, ROUTE, Netlink, attributes, pack

_UP = 1
_PERMANENT, _NODAD = 0x80, 0x02
_GROUP = 97
"""A number for links that go together."""
_BOOT, _STATIC = 3, 4
"""rtnetlink(7): who made a route."""
_GONE = (errno.ENODEV, errno.ESRCH, errno.ENOENT, errno.EADDRNOTAVAIL)


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface."""

    index: int
    name: str
    mac: str
    mtu: int
    up: bool
    master: int | None
    alias: str
    kind: str


_INFO = struct.Struct("=BBHiII")
_GET_LINK = 18
_ADDRESS, _NAME, _MTU, _MASTER, _LINKINFO, _ALIAS, _MASK = 1, 3, 4, 10, 18, 20, 29
_NO_STATISTICS = struct.pack("=I", 1 << 3)
"""linux/if_link.h, linux/rtnetlink.h."""


def _link(payload: bytes) -> Link:
    _, _, _, index, flags, _ = _INFO.unpack_from(payload)
    found = attributes(payload[_INFO.size :])
    kind = attributes(found.get(_LINKINFO, b"")).get(1, b"")
    master = found.get(_MASTER)
    return Link(
        index,
        _text(found[_NAME]),
        found.get(_ADDRESS, b"").hex(":"),
        int.from_bytes(found[_MTU], sys.byteorder),
        bool(flags & _UP),
        int.from_bytes(master, sys.byteorder) if master is not None else None,
        _text(found.get(_ALIAS, b"")),
        _text(kind),
    )


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode()


def _read(name: str | None = None) -> list[Link]:
    """One link, or all of the calling thread's namespace."""
    body = _INFO.pack(0, 0, 0, 0, 0, 0) + pack(_MASK, _NO_STATISTICS)
    if name is not None:
        body += pack(_NAME, name.encode() + b"\0")
    with Netlink(ROUTE) as netlink:
        return [_link(payload) for payload in netlink.ask(_GET_LINK, DUMP if name is None else 0, body)]


def sight(name: str) -> Link | None:
    """One link of the calling thread's namespace, found by its name however many there are."""
    try:
        return _read(name)[0]
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        return None


@contextlib.contextmanager
def peer_namespace(name: str) -> Iterator[int]:
    """A descriptor of a namespace, for the other end of a pair."""
    fd = os.open(NAMESPACES / name, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


class Links:
    """One namespace's links; a context manager. What it lists is read once and kept true by its own changes. `only`:
    names besides which it knows none."""

    def __init__(self, only: Sequence[str] | None = None) -> None:
        self._ip: Any = IPRoute()
        self._known: dict[str, Link] | None = None
        if only is not None:
            self._known = {name: link for name in only if (link := sight(name)) is not None}

    def __enter__(self) -> Links:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ip.close()

    def all(self) -> dict[str, Link]:
        """By name."""
        if self._known is None:
            self._known = {link.name: link for link in _read()}
        return self._known

    def find(self, name: str) -> Link | None:
        return self.all().get(name)

    def _look(self, name: str) -> Link:
        """Read one link anew."""
        link = _read(name)[0]
        self.all()[name] = link
        return link

    def add(self, name: str, **attributes: Any) -> Link:
        """A new link that is not there; attributes as pyroute2's. Answers what the kernel made of it."""
        self._ip.link("add", ifname=name, **attributes)
        return self._look(name)

    def set(self, link: Link, **attributes: Any) -> Link:
        """Change what a link has: `state`, `master`, `address`, `mtu`, `ifalias`. Answers what it has now."""
        self._ip.link("set", index=link.index, **attributes)
        return self._look(link.name)

    def remove(self, name: str) -> None:
        """Harmless when it is not there."""
        link = self.find(name)
        if link is not None:
            with _forgiven():
                self._ip.link("del", index=link.index)
            del self.all()[name]

    def remove_all(self, found: Sequence[Link]) -> None:
        """Remove several in one go: the kernel waits for all processors once for each request. Only within a namespace
        that is ours alone."""
        for link in found:
            with _forgiven():
                self._ip.link("set", index=link.index, group=_GROUP)
        if found:
            with _forgiven():
                self._ip.link("del", group=_GROUP)
        self._known = None

    def settle(self, link: Link, wanted: Mapping[str, Any]) -> None:
        """Bring `up`, `master`, `mac`, `mtu`, `alias` to what is wanted, in one message, if any differs."""
        words = {"mac": "address", "mtu": "mtu", "master": "master", "alias": "ifalias"}
        sets = {words[key]: value for key, value in wanted.items() if key != "up" and getattr(link, key) != value}
        if "up" in wanted and link.up != wanted["up"]:
            sets["state"] = "up" if wanted["up"] else "down"
        if sets:
            self.set(link, **sets)

    def addresses(self, link: Link, wanted: Sequence[str], keep_local: bool = True) -> list[str]:
        """Bring the addresses of a link (with prefix) to those wanted; the ones that were added. IPv6 link-local ones
        that the kernel made stay."""
        found = {
            f"{message.get_attr('IFA_LOCAL') or message.get_attr('IFA_ADDRESS')}/{message['prefixlen']}"
            for message in self._ip.get_addr(index=link.index)
        }
        aim = {str(ipaddress.ip_interface(text)) for text in wanted}
        for text in sorted(found - aim):
            if not (keep_local and text.startswith("fe80:")):
                with _forgiven():
                    address, _, length = text.partition("/")
                    self._ip.addr("del", index=link.index, address=address, prefixlen=int(length))
        fresh = [text for text in wanted if str(ipaddress.ip_interface(text)) not in found]
        for text in fresh:
            own = ipaddress.ip_interface(text)
            more = {"flags": _PERMANENT | _NODAD} if own.version == 6 else {}  # the rows say that it is ours
            self._ip.addr("add", index=link.index, address=str(own.ip), prefixlen=own.network.prefixlen, **more)
        return fresh

    def routes(self, wanted: Mapping[str, tuple[str, int | None]]) -> None:
        """Bring the routes that are not the kernel's own to `wanted`: range -> (next hop or nothing, link index)."""
        found: dict[str, str] = {}
        for family in (2, 10):
            for message in self._ip.get_routes(family=family, table=254):
                if message["proto"] not in (_BOOT, _STATIC):
                    continue
                address = message.get_attr("RTA_DST") or ("::" if family == 10 else "0.0.0.0")  # noqa: S104
                found[f"{address}/{message['dst_len']}"] = message.get_attr("RTA_GATEWAY") or ""
        for destination, hop in found.items():
            if destination not in wanted:
                with _forgiven():
                    self._ip.route("del", dst=destination, **({"gateway": hop} if hop else {}))
        for destination, (hop, index) in wanted.items():
            if found.get(destination) == hop:
                continue
            more: dict[str, Any] = {"gateway": hop} if hop else {}
            if index is not None:
                more["oif"] = index
            family = 10 if ":" in destination else 2
            self._ip.route("replace", dst=destination, family=family, proto=_STATIC, **more)

    def ways_out(self) -> list[str]:
        """Names of the links that default routes leave through."""
        named = {link.index: link.name for link in self.all().values()}
        found = {message.get_attr("RTA_OIF") for message in self._ip.get_default_routes(family=2)}
        return sorted(named[index] for index in found if index in named)


@contextlib.contextmanager
def _forgiven() -> Iterator[None]:
    """What is gone already need not be taken away."""
    try:
        yield
    except NetlinkError as error:
        if error.code not in _GONE:
            raise
