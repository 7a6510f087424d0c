"""What the steps of servers have in common: phases within a state, reaching a power, letting a guest shut down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from andromede.clock import US
from andromede.compute.crew import Crew
from andromede.compute.engine import Observed, Power, Signal
from andromede.compute.model import Device, Server, State
from andromede.compute.shape import devices, guest_of
from andromede.db import Tx
from andromede.errors import Error, NotFound
from andromede.work.lifecycle import Next

SOON = 0.1
"""Seconds until a guest that was told something is looked at again."""
SHUTDOWN_SECONDS = 60
REPEAT_SECONDS = 5.0
"""How often a guest is asked again to shut down: what it is asked during early boot is lost."""
_SHOWN: dict[str, str] = {"running": "running", "paused": "paused", "suspended": "suspended", "off": "off"}


class Stage:
    """A base of the steps."""

    def __init__(self, crew: Crew) -> None:
        self.crew = crew

    # --- phases: a word in the row that says how far a state has come, valid until the state is left

    @staticmethod
    def phase(server: Server) -> str:
        """How far the present state has come; empty at its beginning."""
        since, word = server.guest.get("phase", (0, ""))
        return str(word) if since == server.since_us else ""

    @staticmethod
    def go(server: Server, word: str, guest: Mapping[str, Any] | None = None, **changes: Any) -> Next:
        """The next phase of the present state; `guest`: what to remember beside."""
        kept = {**server.guest, **(guest or {}), "phase": [server.since_us, word]}
        return Next(server.state, changes={"guest": kept, **changes})

    def rest(
        self, server: Server, state: str, power: str, then: Callable[[Tx], None] | None = None, **changes: Any
    ) -> Next:
        """The work is done. `power` is what the hypervisor is known to say."""
        guest = {name: value for name, value in server.guest.items() if name != "phase"}
        sets = {"guest": guest, "wish": {}, "task": "", "power": power, "updated_us": self.crew.clock.now_us()}
        return Next(state, changes=sets | changes, then=then)

    # --- guests

    def age(self, server: Server) -> float:
        """Seconds in the present state."""
        return (self.crew.clock.now_us() - server.since_us) / US

    def look(self, server: Server) -> Observed:
        """What is true; a guest that the host knows nothing of is off."""
        return self.crew.hypervisor.observe(server.id) or Observed("off")

    def reach(self, server: Server, power: Power) -> bool:
        """Take a step towards a power with the devices that the rows name; whether it is reached. Raises `Error` where
        the guest came to grief instead."""
        guest = guest_of(self.crew, server, power)
        seen = self.look(server)
        if not seen.fits(guest):
            self.crew.hypervisor.ensure(guest)
            seen = self.look(server)
        if power == "running" and seen.power == "panicked":
            raise Error(f"server {server.id}: {seen.reason}", "guest")
        return seen.fits(guest)

    def quiet(self, server: Server) -> Next | None:
        """Let the guest shut down, within the time that its image grants; None once it is off."""
        seen, age = self.look(server), self.age(server)
        if seen.power == "running" and age < self._patience(server):
            asked = self.phase(server) == "asked"
            if not asked or age % REPEAT_SECONDS < 2 * SOON:
                self.crew.hypervisor.signal(server.id, Signal("powerdown"))
            found = Next(server.state, 2 * SOON) if asked else self.go(server, "asked")
            return Next(server.state, 2 * SOON, changes=found.changes)
        return None if self.off(server) else Next(server.state, SOON)

    @staticmethod
    def _patience(server: Server) -> float:
        text = str(server.image.get("properties", {}).get("os_shutdown_timeout", ""))
        return float(text) if text.isdigit() else float(SHUTDOWN_SECONDS)

    def off(self, server: Server) -> bool:
        """End the guest now; whether it has ended."""
        if self.look(server).power != "off":
            self.crew.hypervisor.ensure(guest_of(self.crew, server, "off"))
            if self.look(server).power != "off":
                return False
        self.crew.ports.held(server, False)
        return True

    def run(self, server: Server) -> bool:
        """Start the guest once its ports carry packets; whether it runs."""
        if self.unwired(server) or not self.reach(server, "running"):
            return False
        self.crew.ports.held(server, True)
        return True

    def unwired(self, server: Server) -> list[Device]:
        """Nics whose packets would not be carried yet."""
        nics = [row for row in devices(self.crew, server) if row.kind == "nic" and row.port_id]
        return [nic for nic in nics if not self._wired(nic.port_id)]

    def _wired(self, port_id: str) -> bool:
        try:
            return self.crew.ports.wired(port_id)
        except NotFound:
            return True  # nothing to wait for

    @staticmethod
    def home(server: Server) -> str:
        """The state at rest to which the present work returns."""
        return server.before if server.before in (State.ACTIVE, State.STOPPED) else State.ACTIVE
