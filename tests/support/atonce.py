"""Requests of many clients at the same moment: every connection is open before the first byte goes out."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, its target as it goes over the wire, and the status that it must get."""

    method: str
    target: str
    wanted: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def at_once(address: str, asks: Sequence[Ask]) -> list[str]:
    """Send all to `host:port`, each over a connection of its own; the requests that failed, in words."""
    with contextlib.ExitStack() as stack:
        lines = [stack.enter_context(contextlib.closing(http.client.HTTPConnection(address, timeout=60))) for _ in asks]
        for line in lines:
            line.connect()
        for line, ask in zip(lines, asks, strict=True):
            line.request(ask.method, ask.target, ask.body, ask.headers)
        return [wrong for line, ask in zip(lines, asks, strict=True) if (wrong := _judged(line, ask))]


def _judged(line: http.client.HTTPConnection, ask: Ask) -> str:
    try:
        answer = line.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        return f"{ask.method} {ask.target}: {error!r}"
    return "" if answer.status == ask.wanted else f"{ask.method} {ask.target}: {answer.status} {body[:300]!r}"
