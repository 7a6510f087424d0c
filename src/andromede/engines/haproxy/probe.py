"""Checks of members that get datagrams (UDP-CONNECT): one is sent, and the member is down when its host says that
nobody listens. Silence is no fault, as nothing need answer."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from andromede.engines.linux import kernel

MOST_WAIT = 0.5
"""Seconds that one turn waits for refusals, of all members together."""


@dataclass(slots=True)
class _Member:
    up: bool = True
    count: int = 0
    due: float = 0.0


class Probes:
    """What one process has found so far. A member counts as up until it was refused often enough."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], _Member] = {}

    def forget(self, balancer_id: str) -> None:
        """Remember nothing of a load balancer."""
        for key in [key for key in self._known if key[0] == balancer_id]:
            del self._known[key]

    def look(
        self, balancer_id: str, place: str, pools: Sequence[dict[str, object]], now: float
    ) -> dict[str, bool]:  # fmt: skip
        """Member -> whether it is up, after the checks that are due."""
        found: dict[str, bool] = {}
        due: list[tuple[_Member, str, int, int, int]] = []
        for pool in pools:
            members = pool.get("members")
            for member_id, address, port in members if isinstance(members, list) else []:
                known = self._known.setdefault((balancer_id, member_id), _Member())
                if known.due <= now:
                    known.due = now + float(str(pool["delay"]))
                    due.append((known, address, port, int(str(pool["rise"])), int(str(pool["fall"]))))
        if due:
            refused = kernel.inside(place, lambda: ask([(address, port) for _, address, port, _, _ in due]))
            for (known, _, _, rise, fall), bad in zip(due, refused, strict=True):
                _count(known, not bad, rise if not known.up else fall)
        for pool in pools:
            members = pool.get("members")
            for member_id, _, _ in members if isinstance(members, list) else []:
                found[member_id] = self._known[(balancer_id, member_id)].up
        return found


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
