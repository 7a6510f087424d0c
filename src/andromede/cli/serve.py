"""One role at a time, for several machines on one database."""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Sequence
from dataclasses import replace

from andromede.cli import common, table
from andromede.cli.output import Output
from andromede.clock import SystemClock
from andromede.config import Config
from andromede.errors import NotFound
from andromede.log import Log
from andromede.ops import listeners, running
from andromede.ops.supervise import Role, Supervisor


def _named(config: Config) -> Config:
    """Addresses that clients are told, where the settings name none."""
    server = config.server
    api, objects = listeners.parse(server.listen), listeners.parse(server.objects)
    return replace(
        config,
        server=replace(
            server,
            public_api_url=server.public_api_url.rstrip("/") or api.url(server.tls),
            public_objects_url=server.public_objects_url.rstrip("/") or objects.url(server.tls),
        ),
    )


def _run(config: Config, roles: Sequence[Role], out: Output, where: str) -> int:
    clock = SystemClock()
    log = Log(level=config.server.log_level, clock=clock, role="supervisor", pid=os.getpid())
    supervisor = Supervisor(roles, clock, log, 2)
    supervisor.start()
    out.say(f"serving {where}" if where else "working")
    out.result({"serving": where, "pid": os.getpid(), "processes": [child.pid for child in supervisor.children]})
    supervisor.run()
    return table.OK


def _ready_config(args: argparse.Namespace) -> Config:
    """Settings of an installation whose database is at this program's schema; addresses as they were given."""
    place, config = common.installed(args)
    running.acquire(place, shared=True)
    from andromede import app

    if pending := app.pending_migrations(config):
        raise NotFound(
            f"the database lacks {len(pending)} migrations; run: andromede migrate --data {place.data}", "migrate"
        )
    return config


def _taken(listener: socket.socket, text: str) -> str:
    """The address that was asked for, with the port that was really taken."""
    return str(listeners.address_of(listener, text))


def api(args: argparse.Namespace, out: Output) -> int:
    """`andromede serve api`."""
    config = _ready_config(args)
    from andromede import app

    listener = listeners.bind(config.server.listen)[0]
    config = _named(replace(config, server=replace(config.server, listen=_taken(listener, config.server.listen))))
    app.preload()
    return _run(config, [app.api_role(config, listener)], out, config.server.public_api_url)


def objects(args: argparse.Namespace, out: Output) -> int:
    """`andromede serve objects`."""
    config = _ready_config(args)
    from andromede import app

    sockets = listeners.bind(config.server.objects, max(1, config.server.object_workers))
    config = _named(replace(config, server=replace(config.server, objects=_taken(sockets[0], config.server.objects))))
    app.preload()
    return _run(config, app.object_roles(config, sockets), out, config.server.public_objects_url)


def work(args: argparse.Namespace, out: Output) -> int:
    """`andromede work`."""
    config = _named(_ready_config(args))
    from andromede import app

    app.preload()
    return _run(config, [app.work_role(config)], out, "")
