"""Changes of servers' sizes as Nova lists them under "migrations": read off the history, which has them all. On one
host nothing else moves a server."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from andromede.compute.model import Action, Server
from andromede.compute.tables import ACTIONS, SERVERS
from andromede.db.table import Reader

KIND = "resize"
_ENDS = {"confirmResize": ("confirming", "confirmed"), "revertResize": ("reverting", "reverted")}


@dataclass(frozen=True, slots=True)
class Move:
    """One resize. `number`: unique among all; `status`: migrating, finished (until it is confirmed or reverted),
    confirming, confirmed, reverting, reverted or error."""

    id: str
    number: int
    server: Server
    user_id: str
    status: str
    created_us: int
    updated_us: int


def listed(db: Reader) -> list[Move]:
    """Every resize of a server that is remembered, the newest first."""
    rows = ACTIONS.select(db, {"action": [KIND, *_ENDS]})
    servers = {server.id: server for server in SERVERS.select(db, {"id": {row.server_id for row in rows}})}
    ended: dict[str, Action] = {}
    found = []
    for row in reversed(rows):
        if row.action != KIND:
            ended[row.server_id] = row
            continue
        end = ended.pop(row.server_id, None)
        if (server := servers.get(row.server_id)) is not None:
            found.append(_move(server, row, end))
    return found


def _move(server: Server, begun: Action, end: Action | None) -> Move:
    status, last = "migrating" if not begun.finish_us else "error" if begun.message else "finished", begun
    if end is not None:
        under_way, over = _ENDS[end.action]
        status, last = under_way if not end.finish_us else "error" if end.message else over, end
    name = str(uuid.uuid5(uuid.UUID(server.id), begun.request_id))
    return Move(name, begun.start_us, server, begun.user_id, status, begun.start_us, last.updated_us)
