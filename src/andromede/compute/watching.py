"""Every few seconds: what the rows say of guests against what their host finds. A difference becomes work or a
fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from andromede.compute.crew import Crew
from andromede.compute.engine import Observed
from andromede.compute.model import SERVER, Server, State
from andromede.compute.shape import guest_of, resting_power
from andromede.compute.tables import SERVERS
from andromede.db import Reach
from andromede.errors import Error
from andromede.log import Log
from andromede.work import Reconciler
from andromede.work.lifecycle import begin

SECONDS = 5.0
_WATCHED = (State.ACTIVE, State.PAUSED, State.RESCUED, State.VERIFY_RESIZE)
_AGAIN: dict[str, State] = {State.ACTIVE: State.STARTING, State.PAUSED: State.STARTING, State.RESCUED: State.RESCUING}
_FULL = "full"


class Watching:
    """The reconciler of one host's guests. `known`: ids of guests that have something on this host; `wake`: tells the
    runner that a row wants work."""

    def __init__(self, crew: Crew, known: Callable[[], Sequence[str]], wake: Callable[[], None], log: Log) -> None:
        self._crew = crew
        self._known = known
        self._wake = wake
        self._log = log

    def reconciler(self) -> Reconciler:
        """For the loop of the host role."""
        return Reconciler("compute.guests", SECONDS, self.turn, 60)

    def turn(self) -> bool:
        """Look at every guest once."""
        where = {"state": list(_WATCHED), "host": self._crew.host}
        for server in SERVERS.select(self._crew.db, where):
            try:
                self._look(server)
            except Error as error:
                self._log.event("compute.watch", "warning", server=server.id, text=error.public, cause=error.cause)
        self._sweep()
        return False

    def _look(self, server: Server) -> None:
        wished = resting_power(server)
        if wished == "off":
            return
        seen = self._crew.hypervisor.observe(server.id)
        if seen is None or seen.power == "off":
            self._lost(server, "host rebooted" if seen is None else "hypervisor process ended")
        elif seen.power in ("failed", "panicked"):
            self._move(server, State.ERROR, seen.reason, power="crashed")
        elif seen.power == "shutdown":
            self._move(server, State.STOPPING, "", task="powering-off")
        elif seen.power == "io-error":
            self._full(server, seen)
        elif server.guest.get(_FULL) and seen.power == "running":
            self._move(server, State.ACTIVE, "", power="running", guest=_without(server))
        elif not seen.fits(guest_of(self._crew, server, wished)):
            self._mend(server)

    def _mend(self, server: Server) -> None:
        """A step towards what is wished, unless somebody wishes something else by now."""
        now = SERVERS.find(self._crew.db, id=server.id)
        if now is not None and (now.state, now.signals) == (server.state, server.signals):
            self._crew.hypervisor.ensure(guest_of(self._crew, now, resting_power(now)))

    def _lost(self, server: Server, why: str) -> None:
        """A guest that was running and whose host lost it runs again."""
        self._log.event("compute.lost", "warning", server=server.id, text=why)
        if server.state == State.VERIFY_RESIZE:
            self._mend(server)
        else:
            self._move(server, _AGAIN[server.state], why)

    def _full(self, server: Server, seen: Observed) -> None:
        """A guest that waits for room: shown as paused, and told to go on at every turn."""
        if server.state == State.ACTIVE:
            self._move(server, State.PAUSED, seen.reason, power="paused", guest={**server.guest, _FULL: True})
        elif server.guest.get(_FULL):
            self._crew.hypervisor.ensure(guest_of(self._crew, server, "running"))

    def _move(self, server: Server, state: str, fault: str, **changes: Any) -> None:
        now = self._crew.clock.now_us()
        encoded = {name: SERVERS.encode(name, value) for name, value in changes.items()}
        with self._crew.db.write(Reach.EVENTS) as tx:
            if begin(
                tx, SERVER, server.id, (server.state, state), now, before=server.state, **encoded | {"fault": fault}
            ):
                tx.after(self._wake)
        self._log.event("compute.seen", "warning", server=server.id, was=server.state, state=state, text=fault)

    def _sweep(self) -> None:
        """What is on this host and belongs to no server."""
        for guest_id in self._known():
            row = SERVERS.find(self._crew.db, id=guest_id)
            if row is None or row.state == State.DELETED:
                self._log.event("compute.orphan", "warning", server=guest_id, text="its guest is removed")
                self._crew.hypervisor.remove(guest_id)


def _without(server: Server) -> dict[str, Any]:
    return {name: value for name, value in server.guest.items() if name != _FULL}
