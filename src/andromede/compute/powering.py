"""What is done with the power of a server."""

from __future__ import annotations

from andromede.compute.engine import Power, Signal
from andromede.compute.model import Server, State
from andromede.compute.stage import SOON, Stage
from andromede.work.lifecycle import Next, Step

REBOOT_SECONDS = 120
"""A guest that has not shut down for a soft reboot by then is rebooted hard."""


class Powering(Stage):
    """Steps that change neither disks nor size."""

    def steps(self) -> dict[str, Step[Server]]:
        """By state."""
        return {
            State.STOPPING: self.stopping, State.STARTING: self.starting, State.REBOOTING: self.rebooting,
            State.HARD_REBOOTING: self.hard_rebooting, State.PAUSING: self.pausing, State.UNPAUSING: self.unpausing,
            State.SUSPENDING: self.suspending, State.RESUMING: self.resuming, State.CRASHING: self.crashing,
        }  # fmt: skip

    def stopping(self, server: Server) -> Next:
        """The guest shuts down by itself, or is ended when its time is over."""
        return self.quiet(server) or self.rest(server, State.STOPPED, "off")

    def starting(self, server: Server) -> Next:
        """Also what a restart of the host begins."""
        return self._running(server)

    def _running(self, server: Server) -> Next:
        if not self.run(server):
            return Next(server.state, SOON)
        return self.rest(server, State.ACTIVE, "running")

    def rebooting(self, server: Server) -> Next:
        """The guest shuts down and its process starts it again."""
        seen = self.look(server)
        if self.phase(server) == "reset":
            if seen.power == "shutdown":
                self.crew.hypervisor.signal(server.id, Signal("reset"))
            return self.rest(server, State.ACTIVE, "running")
        if seen.power == "shutdown":
            return self.go(server, "reset")
        if seen.power != "running" or self.age(server) > REBOOT_SECONDS:
            return Next(State.HARD_REBOOTING)
        waiting = self.quiet(server)
        return waiting or Next(State.HARD_REBOOTING)

    def hard_rebooting(self, server: Server) -> Next:
        """The process ends and another one starts, with the command line of now."""
        if self.phase(server) != "on":
            return self.go(server, "on") if self.off(server) else Next(server.state, SOON)
        return self._running(server)

    def pausing(self, server: Server) -> Next:
        """The guest's processors stand still."""
        return self._to(server, "paused", State.PAUSED)

    def unpausing(self, server: Server) -> Next:
        """They go on."""
        return self._to(server, "running", State.ACTIVE)

    def suspending(self, server: Server) -> Next:
        """Its memory lies encrypted on the host's disk and its process is gone."""
        return self._to(server, "suspended", State.SUSPENDED)

    def resuming(self, server: Server) -> Next:
        """Its memory is where it was."""
        return self._running(server)

    def crashing(self, server: Server) -> Next:
        """The guest gets an interrupt that it cannot mask; what its kernel makes of it, a crash dump or nothing, is its
        own affair. A guest that does not run any more is the watch's."""
        if self.look(server).power in ("running", "paused"):
            self.crew.hypervisor.signal(server.id, Signal("nmi"))
        return self.rest(server, server.before, server.power)

    def _to(self, server: Server, power: Power, state: str) -> Next:
        return self.rest(server, state, power) if self.reach(server, power) else Next(server.state, SOON)
