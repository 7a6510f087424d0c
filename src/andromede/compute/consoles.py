"""The right to open a server's console: a token for one use, ten minutes, one server, one user."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from andromede.clock import US
from andromede.compute.core import Core
from andromede.compute.model import ConsoleToken, Server, State
from andromede.compute.tables import CONSOLES
from andromede.db import Reach
from andromede.errors import Conflict, Denied, Invalid, NotFound
from andromede.web.call import Call

LIFE_SECONDS = 600
KINDS = frozenset({"novnc", "serial"})
SHOWS = frozenset(
    {
        State.ACTIVE, State.PAUSED, State.RESCUED, State.VERIFY_RESIZE, State.STOPPING, State.REBOOTING,
        State.HARD_REBOOTING, State.SPAWNING, State.SNAPSHOTTING, State.ERROR,
    }
)  # fmt: skip


def mark(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class Consoles:
    """Tokens. The relay redeems them."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def open(self, call: Call[Any], server: Server, kind: str) -> str:
        """The URL of a console, good for one use. Raises `Invalid` for kinds that are not offered."""
        if kind not in KINDS:
            raise Invalid(f"Unavailable console type {kind}.", "console")
        if server.state not in SHOWS or not server.host:
            raise Conflict(f"Instance {server.id} is not ready", "state")
        desk = self._core.desk
        token = base64.urlsafe_b64encode(desk.ids.secret(24)).decode()
        with desk.change(call, f"server/{server.id}/console", server.project_id) as change:
            until = change.now_us + LIFE_SECONDS * US
            CONSOLES.insert(
                change.tx,
                ConsoleToken(
                    mark(token), server.id, server.project_id, call.who.user_id, kind, change.now_us, until, False
                ),
            )  # fmt: skip
            change.detail = {"kind": kind}
        base = self._core.console_url(call.base)
        page = "vnc" if kind == "novnc" else "serial"
        return f"{base}/{page}?token={token}"

    def look(self, token: str) -> ConsoleToken:
        """A token that may still be used. Raises `NotFound`."""
        found = CONSOLES.find(self._core.desk.db, token_hash=mark(token))
        if found is None or found.used or found.expires_us <= self._core.desk.clock.now_us():
            raise NotFound("The console token does not exist, was used or has expired; ask for a new one.", "token")
        return found

    def redeem(self, token: str, request_id: str) -> ConsoleToken:
        """Use a token up: the relay may connect. Raises `NotFound`, `Denied` when another was faster."""
        found = self.look(token)
        with self._core.desk.system(
            "compute:console_opened", f"server/{found.server_id}", found.project_id, request_id
        ) as change:
            if CONSOLES.update(change.tx, {"token_hash": found.token_hash, "used": False}, used=True) != 1:
                raise Denied("The console token was used already; ask for a new one.", "token")
            change.detail = {"kind": found.kind, "user": found.user_id}
        return found

    def closed(self, token: ConsoleToken, request_id: str) -> None:
        """Note that a console was left."""
        with self._core.desk.system(
            "compute:console_closed", f"server/{token.server_id}", token.project_id, request_id
        ) as change:
            change.detail = {"kind": token.kind, "user": token.user_id}

    def sweep(self) -> int:
        """Forget tokens that have expired; how many."""
        now, count = self._core.desk.clock.now_us(), 0
        old = [row for row in CONSOLES.select(self._core.desk.db) if row.expires_us <= now]
        if old:
            with self._core.desk.db.write(Reach.EVENTS) as tx:
                for row in old[:1000]:
                    count += CONSOLES.remove(tx, token_hash=row.token_hash)
        return count
