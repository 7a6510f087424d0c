"""Composition root: settings to database to services to roles. The only file that knows everything.

Heavy libraries are imported inside functions: the supervisor imports them once by `preload` and forks.
Every function that opens the database runs in a forked role.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

from andromede import __version__
from andromede.clock import SystemClock
from andromede.config import Config
from andromede.db import Migration, migrate, open_database, pending
from andromede.ids import RandomIds
from andromede.log import Log
from andromede.ops import clientfiles, listeners, tls
from andromede.ops.clientfiles import Places
from andromede.ops.layout import Layout
from andromede.ops.supervise import Ready, Role


def migrations() -> list[Migration]:
    """Every domain's steps of the schema."""
    from andromede import audit

    return [*audit.MIGRATIONS]


def pending_migrations(config: Config) -> list[str]:
    """Names of the steps that the database lacks."""
    db = open_database(config.database_dsn)
    try:
        return [f"{step.domain} {step.version}: {step.name}" for step in pending(db, migrations())]
    finally:
        db.close()


def preload() -> None:
    """Import what the roles need, once, before they are forked."""
    import ssl  # noqa: F401

    import uvloop  # noqa: F401

    from andromede.web import api, asgi  # noqa: F401


def initialise(config: Config) -> dict[str, Any]:
    """Bring schema, keys, first users, certificates and client files into being, where they are not yet."""
    place = Layout(config.data)
    db = open_database(config.database_dsn)
    try:
        migrate(db, migrations())
    finally:
        db.close()
    places = Places(
        config.server.public_api_url, config.server.public_objects_url, config.server.region, certificates(config)[2]
    )
    return {"new": False, "admin": None, "changed": clientfiles.refresh(place, places)}


def certificates(config: Config) -> tuple[str, str, str | None]:
    """(certificate, key, CA that clients need) of the listeners, made if the settings name none; empty without TLS."""
    server = config.server
    if not server.tls:
        return "", "", None
    if server.tls_certificate:
        return server.tls_certificate, server.tls_key, None
    hosts = [listeners.parse(text).host for text in (server.listen, server.objects)]
    made = tls.ensure(Layout(config.data), hosts, SystemClock(), RandomIds())
    return str(made.certificate), str(made.key), str(made.ca)


def _log(config: Config, role: str) -> Log:
    return Log(level=config.server.log_level, role=role, pid=os.getpid())


def api_role(config: Config, listener: socket.socket) -> Role:
    """The API port."""
    return Role("api", lambda ready: _api(config, listener, ready))


def _api(config: Config, listener: socket.socket, ready: Ready) -> None:
    import uvicorn

    from andromede.web.api import Parts
    from andromede.web.asgi import build_api

    parts = Parts(
        mounts=[],
        guard=None,  # type: ignore[arg-type]
        clock=SystemClock(),
        ids=RandomIds(),
        log=_log(config, "api"),
        public_url=config.server.public_api_url,
        version=__version__,
    )
    certificate, key, _ = certificates(config)
    serving = uvicorn.Config(
        build_api(parts),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        ssl_certfile=certificate or None,
        ssl_keyfile=key or None,
        timeout_graceful_shutdown=10,
        backlog=listeners.BACKLOG,
    )
    server = uvicorn.Server(serving)
    _when(lambda: server.started, ready)
    server.run(sockets=[listener])


def _when(condition: Callable[[], bool], then: Callable[[], None]) -> None:
    """Call `then` from a thread once the condition holds."""
    clock = SystemClock()

    def wait() -> None:
        while not condition():
            clock.sleep(0.01)
        then()

    threading.Thread(target=wait, daemon=True).start()


def object_roles(config: Config, sockets: Sequence[socket.socket]) -> list[Role]:
    """One role per worker of the object port, each with its own listening socket."""
    return []


def work_role(config: Config) -> Role:
    """The background worker."""
    return Role("work", lambda ready: _work(config, ready))


def _work(config: Config, ready: Ready) -> None:
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: ending.set())
    ready()
    ending.wait()


def roles(config: Config, api: socket.socket, objects: Sequence[socket.socket]) -> list[Role]:
    """Everything that `up` runs."""
    return [api_role(config, api), *object_roles(config, objects), work_role(config)]
