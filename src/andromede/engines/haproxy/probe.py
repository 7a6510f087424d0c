"""Checks that HAProxy does not make. UDP-CONNECT: a datagram is sent, and the member is down when its host says that
nobody listens; silence is no fault, as nothing need answer. PING: an echo request (RFC 792, RFC 4443) that must be
answered."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from andromede.clock import Clock
from andromede.engines.linux import kernel

MOST_WAIT = 0.5
"""Seconds that one turn waits for refusals or echoes, of all members together."""
_ECHO = {4: (8, 0), 6: (128, 129)}
"""Version -> ICMP types of request and reply."""


@dataclass(slots=True)
class _Member:
    up: bool = True
    count: int = 0
    due: float = 0.0


@dataclass(frozen=True, slots=True)
class _Due:
    member: _Member
    ping: bool
    address: str
    port: int
    rise: int
    fall: int


class Probes:
    """What one process has found so far. A member counts as up until it failed often enough."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[tuple[str, str], _Member] = {}

    def forget(self, balancer_id: str) -> None:
        """Remember nothing of a load balancer."""
        for key in [key for key in self._known if key[0] == balancer_id]:
            del self._known[key]

    def look(self, balancer_id: str, place: str, pools: Sequence[dict[str, object]]) -> dict[str, bool]:
        """Member -> whether it is up, after the checks that are due."""
        now = self._clock.monotonic()
        found: dict[str, _Member] = {}
        due: list[_Due] = []
        for pool in pools:
            members = pool.get("members")
            for member_id, address, port in members if isinstance(members, list) else []:
                known = self._known.setdefault((balancer_id, member_id), _Member())
                found[member_id] = known
                if known.due <= now:
                    known.due = now + float(str(pool["delay"]))
                    ping, rise, fall = pool.get("type") == "PING", int(str(pool["rise"])), int(str(pool["fall"]))
                    due.append(_Due(known, ping, address, port, rise, fall))
        if due:
            for one, well in zip(due, kernel.inside(place, lambda: self._ask(due)), strict=True):
                _count(one.member, well, one.rise if not one.member.up else one.fall)
        return {member_id: known.up for member_id, known in found.items()}

    def _ask(self, due: Sequence[_Due]) -> list[bool]:
        refused = iter(ask([(one.address, one.port) for one in due if not one.ping]))
        silent = iter(self.ping([one.address for one in due if one.ping]))
        return [not next(silent) if one.ping else not next(refused) for one in due]

    def ping(self, addresses: Sequence[str]) -> list[bool]:
        """Whether each did not answer an echo request."""
        waiting: dict[int, socket.socket] = {}
        answered: set[int] = set()
        try:
            for number, address in enumerate(addresses):
                with contextlib.suppress(OSError):
                    waiting[number] = _request(address, number)
            poll = select.poll()
            for one in waiting.values():
                poll.register(one, select.POLLIN)
            end = self._clock.monotonic() + MOST_WAIT
            while len(answered) < len(waiting) and (left := end - self._clock.monotonic()) > 0:
                ready = {fd for fd, _ in poll.poll(left * 1000)}
                for number, one in waiting.items():
                    if one.fileno() in ready and _reply(one, addresses[number], number):
                        answered.add(number)
                        poll.unregister(one)
        finally:
            for one in waiting.values():
                one.close()
        return [number not in answered for number in range(len(addresses))]


def _request(address: str, number: int) -> socket.socket:
    version = 6 if ":" in address else 4
    family, protocol = (
        (socket.AF_INET6, socket.IPPROTO_ICMPV6) if version == 6 else (socket.AF_INET, socket.IPPROTO_ICMP)
    )
    one = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
    try:
        one.connect((address, 0))
        head = struct.pack("!BBHHH", _ECHO[version][0], 0, 0, 0xA9D5, number)
        if version == 4:  # the kernel sums up ICMPv6 itself (RFC 3542, 3.1)
            head = struct.pack("!BBHHH", 8, 0, _sum(head), 0xA9D5, number)
        one.send(head)
    except OSError:
        one.close()
        raise
    return one


def _reply(one: socket.socket, address: str, number: int) -> bool:
    with contextlib.suppress(OSError):
        raw = one.recv(2048)
        body = raw if ":" in address else raw[(raw[0] & 15) * 4 :]  # IPv4 raw sockets show the header (raw(7))
        if len(body) >= 8:
            kind, _, _, mark, sequence = struct.unpack("!BBHHH", body[:8])
            return (kind, mark, sequence) == (_ECHO[6 if ":" in address else 4][1], 0xA9D5, number)
    return False


def _sum(raw: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(raw) // 2}H", raw))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def _count(member: _Member, well: bool, enough: int) -> None:
    member.count = member.count + 1 if well != member.up else 0
    if member.count >= enough:
        member.up, member.count = well, 0


def ask(places: Sequence[tuple[str, int]]) -> list[bool]:
    """Whether each refused a datagram, told by ICMP (udp(7), connected sockets)."""
    sockets: list[socket.socket] = []
    try:
        for address, port in places:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            one = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            sockets.append(one)
            with contextlib.suppress(OSError):
                one.connect((address, port))
                one.send(b"\n")
        poll = select.poll()
        for one in sockets:
            poll.register(one, select.POLLERR)
        poll.poll(MOST_WAIT * 1000)
        return [one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0 for one in sockets]
    finally:
        for one in sockets:
            one.close()
