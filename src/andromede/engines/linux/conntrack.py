"""Connections that the kernel knows in the calling thread's namespace (conntrack(8))."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from dataclasses import dataclass

from andromede.engines.linux.netfilter import HEAD
from andromede.engines.linux.netlink import ACK, DUMP, NETFILTER, Netlink, attributes, pack

_GET, _DELETE = 0x101, 0x102
_ORIGINAL, _ANSWER = 1, 2
"""linux/netfilter/nfnetlink_conntrack.h."""


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


def _address(raw: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def _ends(raw: bytes) -> tuple[str, str, dict[int, bytes]]:
    parts = attributes(raw)
    addresses = attributes(parts[1])
    source, target = (addresses.get(1) or addresses[3]), (addresses.get(2) or addresses[4])
    return _address(source), _address(target), attributes(parts[2])


def _flow(original: bytes, answer: bytes) -> Flow:
    source, target, protocol = _ends(original)
    answer_source, answer_target, _ = _ends(answer)
    low, high = ((2, 3), (5, 6), (8, 9))[1 if 5 in protocol else 2 if 8 in protocol else 0]
    ends = [int.from_bytes(protocol[word], "big") if word in protocol else None for word in (low, high)]
    return Flow(protocol[1][0], source, target, ends[0], ends[1], answer_source, answer_target)


def drop(unwanted: Callable[[Flow], bool]) -> int:
    """Forget every connection that is unwanted; how many."""
    count = 0
    with Netlink(NETFILTER) as netlink:
        for payload in list(netlink.ask(_GET, DUMP, bytes(HEAD))):
            parts = attributes(payload[HEAD:])
            flow = _flow(parts[_ORIGINAL], parts[_ANSWER])
            if not unwanted(flow):
                continue
            family = socket.AF_INET6 if flow.version == 6 else socket.AF_INET
            try:
                body = bytes([family]) + bytes(HEAD - 1) + pack(_ORIGINAL, parts[_ORIGINAL], nested=True)
                list(netlink.ask(_DELETE, ACK, body))
            except OSError as error:
                if error.errno != errno.ENOENT:
                    raise
            count += 1
    return count
