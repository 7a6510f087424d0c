"""The roles that run: API port, object port, background worker."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from andromede import __version__
from andromede.app.base import Base, authenticator, certificates, object_tools
from andromede.app.ledger import start_ledger
from andromede.app.ledger_service import ledger_mounts, ledger_reconcilers
from andromede.app.serving import serve
from andromede.app.witness import witness_mounts
from andromede.config import Config
from andromede.errors import Error
from andromede.ops import running
from andromede.ops.layout import Layout
from andromede.ops.memory import give_back_large
from andromede.ops.supervise import RETIRE, Ready, Role

if TYPE_CHECKING:
    import ssl

    from andromede.objects.service import Objects
    from andromede.web.stream.ports import Answerer
    from andromede.work import Reconciler

LEDGER_STOP_SECONDS = 10.0


def preload() -> None:
    """Import what the roles need, once, before they are forked."""
    import uvicorn.protocols.http.httptools_impl  # noqa: F401
    import uvloop  # noqa: F401

    from andromede.engines import disk  # noqa: F401
    from andromede.identity import routes, service  # noqa: F401
    from andromede.objects import context, door, lifecycle_worker, worker  # noqa: F401
    from andromede.objects.s3 import door as s3  # noqa: F401
    from andromede.objects.swift import door as swift  # noqa: F401
    from andromede.sovereignty import retention, roots, sequencer, witness_routes, witnessing  # noqa: F401
    from andromede.sovereignty import routes as ledger_routes  # noqa: F401
    from andromede.web import api, asgi  # noqa: F401
    from andromede.web.stream import server  # noqa: F401

    import_module("_strptime")  # `datetime` does at its first use, which is the first request of many threads at once


def api_role(config: Config, listener: socket.socket) -> Role:
    """The API port."""
    return Role("api", lambda ready: _api(config, listener, ready), overlaps=True)


def _open(config: Config, role: str) -> Base:
    return Base.open(config, running.take_name(Layout(config.data), role))


def _api(config: Config, listener: socket.socket, ready: Ready) -> None:
    from andromede.app import hosting
    from andromede.app.hosting.site import Site
    from andromede.audit import routes as trail
    from andromede.audit.answers import ApiLedger
    from andromede.identity import routes as identity_routes
    from andromede.identity import service as identity_service
    from andromede.sovereignty import access as ledger_access
    from andromede.web.api import Parts
    from andromede.web.asgi import build_api

    give_back_large()
    base = _open(config, "api-0")
    identity = identity_service.build(config, base.db, base.clock, base.ids, base.recorder)
    pulse = base.pulse()
    pulse.start()
    mounts = [identity_routes.mount(identity), trail.mount(base.db, base.recorder)]
    site = Site(base) if config.hosting.enabled == "on" else None
    hosted = hosting.mounts(site) if site else []
    parts = Parts(
        mounts=[*mounts, *ledger_mounts(base), *witness_mounts(base), *hosted],
        guard=identity.guard(trail.TABLE, ledger_access.TABLE, *hosting.tables()),
        clock=base.clock,
        ids=base.ids,
        log=base.log,
        public_url=config.server.public_api_url,
        version=__version__,
        ready=lambda: _not_ready(base),
        about=identity_routes.about,
        ledger=ApiLedger(base.db, base.recorder),
    )
    certificate, key, _ = certificates(config)
    serve(build_api(parts), listener, (certificate, key), ready)
    if site:
        site.close()
    pulse.stop()
    base.db.close()


def _not_ready(base: Base) -> list[str]:
    """Why this process cannot serve now."""
    try:
        base.db.one("SELECT 1")
    except Exception as error:
        return [error.public if isinstance(error, Error) else f"database: {error!r}"]
    return []


def object_roles(config: Config, sockets: Sequence[socket.socket]) -> list[Role]:
    """One role per worker of the object port, each with its own listening socket."""

    def role(number: int, listener: socket.socket) -> Role:
        name = f"objects-{number}"
        return Role(name, lambda ready: _objects(config, name, listener, ready), overlaps=True)

    return [role(number, listener) for number, listener in enumerate(sockets)]


def object_doors(base: Base, objects: Objects) -> Answerer:
    """S3 and Swift over one object service."""
    from andromede.objects.access.evaluator import Evaluator
    from andromede.objects.context import Context, IdentityDirectory
    from andromede.objects.door import Dispatcher
    from andromede.objects.s3.door import S3Door
    from andromede.objects.swift.door import SwiftDoor

    config = base.config
    auth = authenticator(base)
    context = Context(
        objects, auth, Evaluator(), config, base.clock, base.ids, base.log, IdentityDirectory(auth)
    )  # fmt: skip
    return Dispatcher(
        S3Door(context), SwiftDoor(context), [*config.objects.s3_domains, *config.objects.website_domains]
    )


def tls_context(config: Config) -> ssl.SSLContext | None:
    """What the object port serves TLS with."""
    import ssl

    from andromede.ops.tls import CIPHERS

    certificate, key, _ = certificates(config)
    if not certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    context.set_ciphers(CIPHERS)
    return context


def _objects(config: Config, name: str, listener: socket.socket, ready: Ready) -> None:
    from andromede.objects.service import Objects
    from andromede.web.stream.core import Parts
    from andromede.web.stream.server import Edge

    base = _open(config, name)
    tools = object_tools(base)
    objects = Objects(tools)
    parts = Parts(object_doors(base, objects), objects.committer, base.clock, base.ids, base.log)
    edge = Edge(parts, listener, tls_context(config))
    pulse = base.pulse()
    pulse.start()
    signal.signal(signal.SIGTERM, lambda number, frame: edge.stop())
    signal.signal(RETIRE, lambda number, frame: edge.retire())
    edge.run(ready)
    objects.close()
    tools.engine.close()
    pulse.stop()
    base.db.close()


def work_role(config: Config) -> Role:
    """The background worker."""
    return Role("work", lambda ready: _work(config, ready))


def document_reconcilers(base: Base, objects: Objects) -> list[Reconciler]:
    """What the documents of buckets ask for in the background."""
    from andromede.objects.access import Evaluator
    from andromede.objects.bucketlog import ROLL_SECONDS, LogDelivery, Parts
    from andromede.objects.lifecycle_worker import LifecycleWorker
    from andromede.objects.s3.lifecycle_xml import rules_of
    from andromede.objects.s3.logging import logging_of

    settings = base.config.objects
    parts = Parts(
        objects, base.db, Evaluator(), logging_of, base.clock, base.ids, base.log, base.config.server.region
    )  # fmt: skip
    logs = LogDelivery(parts, settings.worker_seconds if settings.test_mode else ROLL_SECONDS)
    every = float(settings.worker_seconds if settings.day_seconds < 86_400 else max(60, settings.worker_seconds))
    lifecycle = LifecycleWorker(objects, rules_of, base.clock, base.log, settings.day_seconds)
    return [lifecycle.reconciler(every), logs.reconciler(float(settings.worker_seconds))]


def places_reconciler(base: Base) -> Reconciler:
    """Fills the places of logs that processes held which do not run any more."""
    from andromede.audit.leases import recover_silent
    from andromede.work import Reconciler

    def turn() -> bool:
        recover_silent(base.db, base.recorder, base.clock)
        return False

    return Reconciler("audit.places", 30.0, turn)


def ended(holder: str) -> bool:
    """Whether the holder of a lease was a process of this machine that does not run any more."""
    host, _, pid = holder.rpartition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    return int(pid) == os.getpid() or not running.is_ours(int(pid))


def room_reconcilers(base: Base) -> list[Reconciler]:
    """Keeps room for a database that lies on this machine's disk."""
    from andromede.db.sqlite import SqliteDatabase
    from andromede.ops import room
    from andromede.work import Reconciler

    if not isinstance(base.db, SqliteDatabase):
        return []
    watch = room.Room(base.db.reserve, base.config.data, base.log)
    return [Reconciler("storage.room", room.SECONDS, watch.turn)]


def _work(config: Config, ready: Ready) -> None:
    from andromede.app import hosting
    from andromede.objects.service import Objects
    from andromede.objects.worker import Rhythm, reconcilers
    from andromede.work import Leases, Loop, Watch

    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: ending.set())
    base = _open(config, "work-0")
    tools = object_tools(base)
    objects = Objects(tools)
    rhythm = Rhythm(grace=config.objects.garbage_grace_seconds, every=float(config.objects.worker_seconds))
    leases = Leases(base.db, f"{socket.gethostname()}:{os.getpid()}", base.clock)
    watch = Watch(base.db, base.clock, objects.trusted, base.log)
    leases.free(ended)
    more = [*document_reconcilers(base, objects), places_reconciler(base), *ledger_reconcilers(base)]
    more += [watch.reconciler(), *room_reconcilers(base)]
    loop = Loop(reconcilers(tools, objects, rhythm, more, hosting.rewraps()), leases, base.clock, base.ids, base.log)
    pulse = base.pulse()
    pulse.start()
    ledger = start_ledger(base, leases, ending)
    ready()
    loop.run(ending)
    for thread in ledger:
        thread.join(LEDGER_STOP_SECONDS)
    objects.close()
    tools.engine.close()
    pulse.stop()
    if not any(thread.is_alive() for thread in ledger):  # one that still reads ends with the process
        base.db.close()


def roles(config: Config, api: socket.socket, objects: Sequence[socket.socket]) -> list[Role]:
    """Everything that `up` runs."""
    found = [api_role(config, api), *object_roles(config, objects), work_role(config)]
    if config.hosting.enabled == "on":
        from andromede.app.hosting.role import host_role

        found.append(host_role(config))
    return found
