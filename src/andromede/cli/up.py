"""up and down."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from andromede.cli import board, common, starting, table
from andromede.cli.output import Output
from andromede.cli.starting import Start
from andromede.clock import SystemClock
from andromede.errors import Conflict, Error, Unavailable
from andromede.ids import RandomIds
from andromede.ops import child, layout, listeners, logfile, running
from andromede.ops.layout import Layout
from andromede.ops.rolling import Handover

ENDING_SECONDS = 10.0
"""How long a detached start that failed may take to end."""

KILLED_SECONDS = 2.0
"""How long the kernel may take to close the files of a cloud that was killed."""


def up(args: argparse.Namespace, out: Output) -> int:
    """`andromede up`: returns after the stop, or with --detach when ready."""
    given = Handover.receive()
    if given is not None:
        from andromede.cli import restart

        return restart.check_start(args, given) if given.checking else restart.go_on(args, out, given)
    clock = SystemClock()
    began = clock.monotonic()
    place, config = common.layout(args), common.load(args)
    layout.prepare(place, clock, RandomIds())
    running.wait_killed(place, clock, KILLED_SECONDS)
    try:
        lock = running.acquire(place)
    except Conflict as error:
        return _already(place, out, error, args.detach)
    os.umask(0o077)
    api = listeners.bind(config.server.listen)
    objects = listeners.bind(config.server.objects, max(1, config.server.object_workers))
    log_fd = logfile.open_log(place)
    start = Start(
        place, starting.resolved(config, api, objects), api, objects, log_fd, out, clock, began,
        os.fstat(log_fd).st_size, lock, (config.server.listen, config.server.objects),
        running.read_restart(place).number,
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
    if not detach or state is None or not running.is_ours(state.pid):
        raise error  # in the foreground, on its way, or the roles of one that was killed: it does not run
    out.note(f"andromede: {error.public}")
    out.result(board.document(place, state, {}, 0.0))
    return table.OK


def _detached(start: Start, pipe: int) -> int:
    """The life of the detached supervisor: report once, then serve."""
    sys.argv[0] = os.path.abspath(sys.argv[0])  # the commands that the board shows name it
    os.chdir("/")

    def report(ready: Mapping[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):  # who asked for the start has gone; the cloud runs all the same
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

    app.refuse_second_host(start.config)
    initialised = child.start(lambda: app.initialise(start.config), start.log_fd)
    app.preload()  # meanwhile
    first = initialised.result()
    supervisor, log, notice = starting.supervise(start)
    try:
        supervisor.start()
    except Unavailable as error:
        if error.reason == "stopped":
            return table.INTERRUPTED
        raise _with_log(start, error) from error
    seconds = start.clock.monotonic() - start.began
    state = start.publish(supervisor.children)
    log.event("up.ready", api=state.api_url, objects=state.objects_url, seconds=seconds)
    report(board.document(start.place, state, first, seconds))
    return starting.run(start, supervisor, log, notice)


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
    with contextlib.suppress(Error):  # settings that cannot be read keep nobody from a stop
        left = starting.servers_left(common.load(args))
        if left:
            out.say(left)
    out.result({"stopped": stopped})
    return table.OK
