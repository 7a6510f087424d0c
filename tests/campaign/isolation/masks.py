"""What an outsider may see of two answers must be the same: one about a thing that is there, one about none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

IDS = frozenset({"x-openstack-request-id", "x-amz-request-id", "x-amz-id-2", "x-trans-id", "date", "andromede-ledger"})
"""Headers whose value is new in every answer, or names a place in the caller's own log."""
_REQUEST_ID = re.compile(rb"(req-[0-9a-f-]{36}|tx[0-9a-f]{21}-[0-9a-f]{10}|req-\d+)")


def masked(status: int, headers: Mapping[str, str], body: bytes, names: Iterable[str]) -> tuple[object, ...]:
    """(status, headers, body) without what differs for a reason: ids of the request, and the names asked for."""
    parts = sorted({name for name in names if name}, key=len, reverse=True)
    text = _REQUEST_ID.sub(b"<id>", body)
    for name in parts:
        text = text.replace(name.encode(), b"<name>")
    shown = {}
    for name, value in headers.items():
        if name == "content-length":
            continue  # follows from the body, which holds the name asked for
        for part in parts:
            value = value.replace(part, "<name>")
        shown[name] = "" if name in IDS else value
    return status, tuple(sorted(shown.items())), text
