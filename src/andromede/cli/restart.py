"""restart: the processes replaced one by one, and what the new program does on its side."""

from __future__ import annotations

import argparse
import os
import socket

from andromede.cli import common, starting, table
from andromede.cli.output import Output
from andromede.cli.starting import Start
from andromede.clock import SystemClock
from andromede.errors import Conflict, Invalid, Unavailable
from andromede.ops import logfile, rolling, running
from andromede.ops.rolling import Check, Handover, Roll
from andromede.ops.supervise import RETIRE


def restart(args: argparse.Namespace, out: Output) -> int:
    """`andromede restart`: ask the supervisor, and wait until it says how it went."""
    place, clock = common.layout(args), SystemClock()
    place.require()
    state = running.read(place)
    if not running.is_locked(place) or state is None:
        out.say(f"nothing runs on {place.data} that can be restarted; start it with: andromede up --data {place.data}")
        out.result({"restarted": False})
        return table.NOT_RUNNING
    if not state.restarts:
        raise Conflict(
            "the program that runs is of a release that cannot do this: andromede down, andromede up", "restart"
        )
    began, before = clock.monotonic(), running.read_restart(place)
    if before.ended:
        os.kill(state.pid, RETIRE)
    while (now := running.read_restart(place)) == before or not now.ended:
        if clock.monotonic() > began + args.timeout or not running.is_locked(place):
            raise Unavailable(f"no word from the supervisor (pid {state.pid}); see {place.log}", "restart")
        clock.sleep(0.05)
    if now.state != "done":
        rest = "nothing was changed" if now.state == "refused" else "see andromede status"
        raise Conflict(f"the restart was {now.state}: {now.text}; {rest}. To stop and start instead: "
                       f"andromede down --data {place.data}, andromede up", "restart")  # fmt: skip
    seconds = clock.monotonic() - began
    out.say(f"every role was replaced in {seconds:.1f} s; former processes end when their clients have their answers")
    out.result({"restarted": True, "seconds": round(seconds, 3)})
    return table.OK


def check_start(args: argparse.Namespace, given: Handover) -> int:
    """Whether this program, with the settings as they are now, can take the place of the one that runs."""

    def check() -> None:
        from andromede import app

        config = common.installed(args)[1]
        api, objects = _sockets(given)
        wished = (config.server.listen, config.server.objects)
        now = starting.fixed(config, wished, max(1, config.server.object_workers))
        if changed := [text for text, before in zip(now, given.fixed, strict=True) if text != before]:
            what = ", ".join(text.partition(" ")[0] if text.startswith("storage ") else text for text in changed)
            raise Invalid(f"the settings changed what only a new start can change ({what})", "restart")
        if missing := app.pending_migrations(config):
            raise Invalid(f"this release changes the database ({len(missing)} steps, andromede migrate --check "
                          "lists them), which nothing may use meanwhile", "restart")  # fmt: skip
        app.preload()
        app.tls_context(config)
        app.initialise(starting.resolved(config, api, objects))

    return rolling.answer_check(check)


def _sockets(given: Handover) -> tuple[list[socket.socket], list[socket.socket]]:
    """The listening sockets that the former program left open."""
    for fd in (given.lock, *given.api, *given.objects):
        os.set_inheritable(fd, False)
    return [socket.socket(fileno=fd) for fd in given.api], [socket.socket(fileno=fd) for fd in given.objects]


def go_on(args: argparse.Namespace, out: Output, given: Handover) -> int:
    """Take the place of the program that this process was, and replace its roles."""
    from andromede import app

    os.umask(0o077)
    clock, place, config = SystemClock(), common.layout(args), common.load(args)
    api, objects = _sockets(given)
    log_fd = logfile.open_log(place)
    start = Start(
        place, starting.resolved(config, api, objects), api, objects, log_fd, out, clock, given.began,
        os.fstat(log_fd).st_size, given.lock, (config.server.listen, config.server.objects), given.number,
    )  # fmt: skip
    app.preload()
    supervisor, log, notice = starting.supervise(start)
    supervisor.adopt(*given.adopted(supervisor.roles))
    start.publish([*supervisor.children, *supervisor.others])

    def say(state: str, text: str) -> None:
        start.say_restart(state, text, log)
        notice(f"restart: {state} {text}".rstrip())

    say("rolling", "")
    check = supervisor.hooks.duty
    assert isinstance(check, Check)
    supervisor.hooks.duty = Roll(supervisor, say, check)
    return starting.run(start, supervisor, log, notice)
