"""up and down."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from andromede.cli import board, common, table
from andromede.cli.output import Output
from andromede.clock import Clock, SystemClock
from andromede.config import Config
from andromede.errors import Conflict, Error, Unavailable
from andromede.ids import RandomIds
from andromede.log import Log
from andromede.ops import child, layout, listeners, logfile, running
from andromede.ops.layout import Layout
from andromede.ops.running import Running
from andromede.ops.supervise import Child, Hooks, Supervisor, name_process

ENDING_SECONDS = 10.0
"""How long a detached start that failed may take to end."""


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
        )
        running.write(self.place, state)
        return state


def resolved(config: Config, api: Sequence[socket.socket], objects: Sequence[socket.socket]) -> Config:
    """The settings with the addresses that were really taken and the URLs that clients are told."""
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


def up(args: argparse.Namespace, out: Output) -> int:
    """`andromede up`: returns after the stop, or with --detach when ready."""
    clock = SystemClock()
    began = clock.monotonic()
    place, config = common.layout(args), common.load(args)
    layout.prepare(place, clock, RandomIds())
    try:
        lock = running.acquire(place)
    except Conflict as error:
        return _already(place, out, error, args.detach)
    os.umask(0o077)
    api = listeners.bind(config.server.listen)
    objects = listeners.bind(config.server.objects, max(1, config.server.object_workers))
    log_fd = logfile.open_log(place)
    start = Start(
        place, resolved(config, api, objects), api, objects, log_fd, out, clock, began, os.fstat(log_fd).st_size
    )  # fmt: skip
    if not args.detach:
        return _supervise(start, lambda ready: board.show(ready, out, detached=False))
    pipe = child.detach(start.log_fd)
    if pipe > 0:
        for listener in (*api, *objects):
            listener.close()
        os.close(lock)
        try:
            board.show(child.unpack(child.read_answer(pipe)), out, detached=True)
        except Error:
            running.wait_free(place, clock, ENDING_SECONDS)  # what was mended may be tried again at once
            raise
        return table.OK
    return _detached(start, -pipe)


def _already(place: Layout, out: Output, error: Conflict, detach: bool) -> int:
    """A cloud that runs is what `up --detach` wants; in the foreground it is a conflict."""
    state = running.read(place)
    if not detach or state is None:
        raise error
    out.note(f"andromede: {error.public}")
    out.result(board.document(place, state, {}, 0.0))
    return table.OK


def _detached(start: Start, pipe: int) -> int:
    """The life of the detached supervisor: report once, then serve."""
    sys.argv[0] = os.path.abspath(sys.argv[0])  # the commands that the board shows name it
    os.chdir("/")

    def report(ready: Mapping[str, Any]) -> None:
        os.write(pipe, json.dumps(ready).encode() + b"\n")
        os.close(pipe)

    code = 1
    try:
        code = _supervise(start, report)
    except BaseException as error:
        os.write(pipe, child.pack_error(error))
    os._exit(code)


def _supervise(start: Start, report: Any) -> int:
    from andromede import app

    place, config, clock = start.place, start.config, start.clock
    initialised = child.start(lambda: app.initialise(config), start.log_fd)
    app.preload()  # meanwhile
    log = Log(os.fdopen(os.dup(start.log_fd), "a"), config.server.log_level, clock, role="supervisor", pid=os.getpid())
    name_process("up", die_with_parent=False)
    with_terminal = os.isatty(2)
    first = initialised.result()

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
    roles = app.roles(config, start.api[0], start.objects)
    supervisor = Supervisor(roles, clock, log, start.log_fd, hooks)
    try:
        supervisor.start()
    except Unavailable as error:
        if error.reason == "stopped":
            return table.INTERRUPTED
        raise _with_log(start, error) from error
    state = start.publish(supervisor.children)
    log.event("up.ready", api=state.api_url, objects=state.objects_url, seconds=clock.monotonic() - start.began)
    report(board.document(place, state, first, clock.monotonic() - start.began))
    supervisor.run()
    running.clear(place)
    log.event("up.stopped")
    notice("stopped")
    return table.OK


def _with_log(start: Start, error: Unavailable) -> Error:
    told = [line for line in logfile.lines_since(start.place.log, start.log_at) if '"level": "info"' not in line]
    lines = "\n  ".join(told[-12:]) or "(nothing)"
    return Unavailable(f"{error.public}. From {start.place.log}:\n  {lines}", error.reason)


def down(args: argparse.Namespace, out: Output) -> int:
    """`andromede down`: stop and wait. Nothing running is no failure."""
    place = common.layout(args)
    place.require()
    stopped = running.stop(place, SystemClock(), args.timeout)
    out.say("stopped" if stopped else f"nothing runs on {place.data}")
    out.result({"stopped": stopped})
    return table.OK
