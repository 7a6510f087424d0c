"""Connections that the kernel knows in the calling thread's namespace, over netlink (linux/nfnetlink_conntrack.h).

A busy network has tens of thousands of them: messages are taken apart here, by what is asked of them only."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_NETLINK_NETFILTER = 12
_GET, _DELETE = 0x101, 0x102
_REQUEST, _ACK, _DUMP = 1, 4, 0x300
_ERROR, _DONE = 2, 3
_HEAD = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_ORIGINAL, _ANSWER = 1, 2
_BUFFER = 1 << 20
_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Flow:
    """A connection as its first packet had it, and the addresses of what is expected in answer. `low`, `high`: source
    and destination port, or type and code of ICMP."""

    protocol: int
    source: str
    target: str
    low: int | None
    high: int | None
    answer_source: str
    answer_target: str

    @property
    def version(self) -> int:
        return 6 if ":" in self.source else 4


def _attributes(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[at + 4 : at + length]
        at += (length + 3) & ~3
    return found


def _address(raw: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def _ends(raw: bytes) -> tuple[str, str, dict[int, bytes]]:
    parts = _attributes(raw)
    addresses = _attributes(parts[1])
    source, target = (addresses.get(1) or addresses[3]), (addresses.get(2) or addresses[4])
    return _address(source), _address(target), _attributes(parts[2])


def _flow(original: bytes, answer: bytes) -> Flow:
    source, target, protocol = _ends(original)
    answer_source, answer_target, _ = _ends(answer)
    low, high = ((2, 3), (5, 6), (8, 9))[1 if 5 in protocol else 2 if 8 in protocol else 0]
    ends = [int.from_bytes(protocol[word], "big") if word in protocol else None for word in (low, high)]
    return Flow(protocol[1][0], source, target, ends[0], ends[1], answer_source, answer_target)


def _ask(netlink: socket.socket, kind: int, flags: int, family: int, body: bytes = b"") -> Iterator[bytes]:
    """The payloads of the answer. Raises `OSError` with the kernel's number."""
    netlink.send(_HEAD.pack(20 + len(body), kind, flags | _REQUEST, 1, 0) + bytes([family, 0, 0, 0]) + body)
    while True:
        data = netlink.recv(_BUFFER)
        at = 0
        while at < len(data):
            length, found, _, _, _ = _HEAD.unpack_from(data, at)
            if found == _DONE:
                return
            if found == _ERROR:
                number = -struct.unpack_from("=i", data, at + 16)[0]
                if number:
                    raise OSError(number, os.strerror(number))
                return
            yield data[at + 20 : at + length]
            at += (length + 3) & ~3


def drop(unwanted: Callable[[Flow], bool]) -> int:
    """Forget every connection that is unwanted; how many."""
    count = 0
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER) as netlink:
        netlink.settimeout(_SECONDS)
        netlink.bind((0, 0))
        for family in (socket.AF_INET, socket.AF_INET6):
            for payload in list(_ask(netlink, _GET, _DUMP, family)):
                parts = _attributes(payload)
                if not unwanted(_flow(parts[_ORIGINAL], parts[_ANSWER])):
                    continue
                original = parts[_ORIGINAL]
                body = _ATTRIBUTE.pack(4 + len(original), 0x8000 | _ORIGINAL) + original
                try:
                    list(_ask(netlink, _DELETE, _ACK, family, body))
                except OSError as error:
                    if error.errno != errno.ENOENT:
                        raise
                count += 1
    return count
