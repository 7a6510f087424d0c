"""A start on its way, and the supervisor that comes of it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from andromede.cli import table
from andromede.cli.output import Output
from andromede.clock import Clock
from andromede.config import Config
from andromede.log import Log
from andromede.ops import hosting, listeners, logfile, rolling, running
from andromede.ops.layout import Layout
from andromede.ops.rolling import Check, Handover
from andromede.ops.running import Restart, Running
from andromede.ops.supervise import Child, Hooks, Supervisor, name_process


def _command() -> list[str]:
    """How this process was started, to start it again from anywhere."""
    words = sys.orig_argv[1:]
    script = next((word for word in words if word == sys.argv[0]), "")
    return [sys.executable, *(os.path.abspath(word) if word == script and script else word for word in words)]


COMMAND = _command()


@dataclass(slots=True)
class Start:
    """A start on its way."""

    place: Layout
    config: Config
    api: list[socket.socket]
    objects: list[socket.socket]
    log_fd: int
    out: Output
    clock: Clock
    began: float
    log_at: int = 0
    lock: int = -1
    wished: tuple[str, str] = ("", "")
    number: int = 0

    def publish(self, children: Sequence[Child]) -> Running:
        """Write who runs where to the state file."""
        server = self.config.server
        now_us, now = self.clock.now_us(), self.clock.monotonic()
        state = Running(
            pid=os.getpid(),
            started_us=now_us - int((now - self.began) * 1_000_000),
            api_url=server.public_api_url,
            objects_url=server.public_objects_url,
            tls=server.tls,
            region=server.region,
            roles=running.roles_of(children, now_us, now),
            restarts=True,
        )
        running.write(self.place, state)
        return state

    def handover(self, checking: bool, supervisor: Supervisor) -> Handover:
        """What the program that takes this one's place is given."""
        return Handover(
            checking, self.number, self.began, fixed(self.config, self.wished, len(self.objects)), self.lock,
            [each.fileno() for each in self.api], [each.fileno() for each in self.objects],
            rolling.told(supervisor.children), rolling.told(supervisor.others),
        )  # fmt: skip

    def say_restart(self, state: str, text: str, log: Log) -> None:
        """Write how a rolling restart goes, for who waits for it."""
        self.number += state == "checking"
        try:
            running.write_restart(self.place, Restart(self.number, state, text))
        except OSError as error:
            log.alert("state.unwritten", error=str(error))
        log.event("restart", "error" if state in ("refused", "failed") else "info", state=state, cause=text)


def fixed(config: Config, wished: tuple[str, str], workers: int) -> list[str]:
    """What a rolling restart cannot change, as text: addresses as the settings name them, the number of object workers,
    TLS or not, and where everything is stored (hashed: it may hold a password)."""
    server = config.server
    stored = hashlib.sha256(repr((config.database_dsn, config.storage)).encode()).hexdigest()
    return [*wished, f"{workers} object workers", f"TLS {'on' if server.tls else 'off'}", f"storage {stored}"]


def resolved(config: Config, api: Sequence[socket.socket], objects: Sequence[socket.socket]) -> Config:
    """The settings with the addresses that were really taken, the URLs that clients are told, and whether we host."""
    config = hosting.decided(config)
    server = config.server
    listen = listeners.address_of(api[0], server.listen)
    port = listeners.address_of(objects[0], server.objects)
    return replace(
        config,
        server=replace(
            server,
            listen=str(listen),
            objects=str(port),
            public_api_url=server.public_api_url.rstrip("/") or listen.url(server.tls),
            public_objects_url=server.public_objects_url.rstrip("/") or port.url(server.tls),
        ),
    )


def supervise(start: Start) -> tuple[Supervisor, Log, Callable[[str], None]]:
    """The supervisor of this process, its log, and what tells a person at the terminal."""
    from andromede import app

    place, config, clock = start.place, start.config, start.clock
    log = Log(os.fdopen(os.dup(start.log_fd), "a"), config.server.log_level, clock, role="supervisor", pid=os.getpid())
    name_process("up", die_with_parent=False)
    with_terminal = os.isatty(2)

    def notice(text: str) -> None:
        if with_terminal:
            start.out.note(f"andromede: {text}")

    def changed(children: Sequence[Child]) -> None:
        try:
            start.publish(children)
        except OSError as error:  # a full disk: the state file is late, the cloud goes on
            log.alert("state.unwritten", error=str(error))

    def tick() -> None:
        with contextlib.suppress(OSError):
            logfile.turn_over(place.log)

    hooks = Hooks(changed, tick, notice)
    named = ["--data", str(place.data)]  # as it may have been relative to a folder that was left
    supervisor = Supervisor(app.roles(config, start.api[0], start.objects), clock, log, start.log_fd, hooks)
    hooks.duty = Check(
        supervisor,
        lambda checking: start.handover(checking, supervisor),
        COMMAND if COMMAND[-2:] == named else [*COMMAND, *named],
        lambda state, text: start.say_restart(state, text, log),
    )
    return supervisor, log, notice


def servers_left(config: Config) -> str:
    """What to say of servers that go on when the program has ended; empty if there are none."""
    from andromede import app

    count = app.guests_left(config)
    if not count:
        return ""
    them = "one server goes on running" if count == 1 else f"{count} servers go on running"
    return f"{them}: the next up finds them again, andromede host clear --data {config.data} ends them"


def run(start: Start, supervisor: Supervisor, log: Log, notice: Callable[[str], None]) -> int:
    supervisor.run()
    running.clear(start.place)
    log.event("up.stopped")
    left = servers_left(start.config)
    notice("stopped" + (f"; {left}" if left else ""))
    return table.OK
