"""Composition root: settings to database to services to roles. The only file that knows everything.

Heavy libraries are imported inside functions: the supervisor imports them once by `preload` and forks.
Every function that opens the database runs in a forked role.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from andromede import __version__
from andromede.audit import Draft, Recorder
from andromede.clock import Clock, SystemClock
from andromede.config import Config
from andromede.db import Database, Migration, Row, open_database, pending
from andromede.errors import Error, Invalid
from andromede.ids import Ids, RandomIds, request_id
from andromede.log import Log
from andromede.ops import clientfiles, listeners, migration
from andromede.ops.clientfiles import AccessKey, Login, Places
from andromede.ops.layout import Layout
from andromede.ops.pulse import Pulse
from andromede.ops.supervise import Ready, Role

if TYPE_CHECKING:
    import ssl

    from andromede.identity.service import Authenticator
    from andromede.keys import KeyRing
    from andromede.objects.blobs import BlobEngine
    from andromede.objects.service import Objects, Tools
    from andromede.web.stream.ports import Answerer
    from andromede.work import Reconciler

PASSPHRASE = "ANDROMEDE_PASSPHRASE"
CUSTODY = "file custody: the operator can decrypt everything stored here"
SEALED = "file custody, sealed by a pass phrase: an operator who knows it can decrypt everything stored here"


def root_key(config: Config) -> Path:
    """The file of the key at the top of the key tree."""
    return Layout(config.data).keys / "root.json"


def custody(config: Config) -> str:
    """Who can decrypt, in plain words."""
    from andromede.keys.custody import needs_passphrase

    try:
        return SEALED if needs_passphrase(root_key(config)) else CUSTODY
    except (OSError, ValueError):
        return f"the root key {root_key(config)} is missing: nothing stored here can be read; restore a backup"


def migrations() -> list[Migration]:
    """Every domain's steps of the schema."""
    from andromede import audit, keys, work
    from andromede.identity import schema as identity
    from andromede.objects import bucketlog_store
    from andromede.objects import schema as objects

    steps = (audit.MIGRATIONS, work.MIGRATIONS, keys.MIGRATIONS, identity.MIGRATIONS, objects.MIGRATIONS)
    return [step for domain in (*steps, bucketlog_store.MIGRATIONS) for step in domain]


def pending_migrations(config: Config) -> list[str]:
    """Names of the steps that the database lacks."""
    db = open_database(config.database_dsn)
    try:
        return [f"{step.domain} {step.version}: {step.name}" for step in pending(db, migrations())]
    finally:
        db.close()


def preload() -> None:
    """Import what the roles need, once, before they are forked."""
    import uvicorn.protocols.http.httptools_impl  # noqa: F401
    import uvloop  # noqa: F401

    from andromede.engines import disk  # noqa: F401
    from andromede.identity import routes, service  # noqa: F401
    from andromede.objects import context, door, lifecycle_worker, worker  # noqa: F401
    from andromede.objects.s3 import door as s3  # noqa: F401
    from andromede.objects.swift import door as swift  # noqa: F401
    from andromede.web import api, asgi  # noqa: F401
    from andromede.web.stream import server  # noqa: F401


@dataclass(frozen=True, slots=True)
class Base:
    """What every role begins with, made after the fork."""

    config: Config
    db: Database
    clock: Clock
    ids: Ids
    log: Log
    recorder: Recorder

    @classmethod
    def open(cls, config: Config, source: str) -> Base:
        """Open the database under the name that `source` has in the audit trail."""
        clock = SystemClock()
        log = Log(level=config.server.log_level, role=source, pid=os.getpid())
        return cls(config, open_database(config.database_dsn), clock, RandomIds(), log, Recorder(source, clock))

    def pulse(self) -> Pulse:
        """The audit marks of this role's life."""
        return Pulse(self.db, self.recorder, self.ids, self.log)


def initialise(config: Config) -> dict[str, Any]:
    """Bring schema, keys, first users, certificates and client files into being, where they are not yet.

    The result says whether the installation is `new`, and who its first administrator is.
    """
    from andromede.identity import bootstrap
    from andromede.identity import service as identity
    from andromede.keys import create_root, open_root

    place, server = Layout(config.data), config.server
    ca = certificates(config)[2]
    applied, _ = migration.upgrade(place, config.database_dsn, migrations(), SystemClock())
    base = Base.open(config, "operator")
    for name in applied:
        base.log.event("schema.migrated", step=name)
    if not root_key(config).exists():
        create_root(root_key(config), base.ids, os.environ.get(PASSPHRASE))
    else:
        open_root(root_key(config), os.environ.get(PASSPHRASE))  # a wrong pass phrase is said before anything runs
    core = identity.build(config, base.db, base.clock, base.ids, base.recorder).core
    secrets = bootstrap.bootstrap(core, server.region, request_id(base.ids))
    base.db.close()
    places = Places(server.public_api_url, server.public_objects_url, server.region, ca)
    if secrets is None:
        return {"new": False, "admin": None, "changed": clientfiles.refresh(place, places)}
    logins = [
        Login("andromede-admin", "admin", "admin", secrets.admin_password),
        Login("andromede", "demo", "demo", secrets.demo_password),
    ]
    clientfiles.write_clouds(place, logins, places)
    clientfiles.write_s3(place, AccessKey(secrets.access_key, secrets.secret_key), places)
    return {"new": True, "admin": {"user": "admin", "password": secrets.admin_password}, "changed": []}


def inspect(config: Config) -> dict[str, Any]:
    """What the database and the key files tell about the installation, for `status`."""
    from andromede.audit import store
    from andromede.objects import garbage_store

    sources: list[Row] = []
    db = open_database(config.database_dsn)
    try:
        missing = [f"{step.domain} {step.version}: {step.name}" for step in pending(db, migrations())]
        found: dict[str, Any] = {
            "database": db.dialect,
            "pending_migrations": missing,
            "custody": custody(config),
            "queues": {},
        }
        if not missing:
            found["queues"] = garbage_store.depths(db)
            with db.read() as tx:
                sources = store.sources(tx)
    finally:
        db.close()
    gaps = [{"source": row[0], "missing": row[2] - row[1] + 1 - row[3]} for row in sources]
    found["audit"] = {
        "events": sum(row[3] for row in sources),
        "sources": len(sources),
        "gaps": [gap for gap in gaps if gap["missing"]],
    }
    return found


def access_table() -> list[tuple[str, str]]:
    """(action, who) of every action of the API port."""
    from andromede.identity.policy import TABLE

    return TABLE.table()


def explain_access(config: Config, user: str, action: str, resource: str) -> dict[str, Any]:
    """Whether a user may do something, by which rule and in which scope; `s3:` actions are judged by the
    documents of the bucket (`BUCKET` or `BUCKET/KEY`) as the object port does."""
    if action.lower().startswith("s3:"):
        return _explain_object(config, user, action, resource)
    from andromede.identity import scopes
    from andromede.identity.policy import TABLE
    from andromede.ops import access

    db = open_database(config.database_dsn)
    try:
        with db.read() as tx:
            found = scopes.find_user(tx, user)
            return access.explain(TABLE, found.name, scopes.actors(tx, found), action, resource)
    finally:
        db.close()


def _explain_object(config: Config, user: str, action: str, resource: str) -> dict[str, Any]:
    from andromede.errors import NotFound
    from andromede.identity import scopes
    from andromede.objects.access import explain
    from andromede.objects.service import Objects

    base = Base.open(config, "operator")
    tools = object_tools(base)
    objects = Objects(tools)
    try:
        name, slash, key = resource.partition("/")
        project, _, bucket = name.rpartition(":")
        container = objects.container(project, bucket) if project else objects.bucket(name)
        version = None
        if slash:
            with contextlib.suppress(NotFound):
                version = objects.head(container, key)
        about = (container, key if slash else None, version)
        if user == "anonymous":
            return explain.answer(user, [("no credential", None)], action, about)
        with base.db.read() as tx:
            found = scopes.find_user(tx, user)
            return explain.answer(found.name, scopes.actors(tx, found), action, about)
    finally:
        objects.close()
        tools.engine.close()
        base.db.close()


def certificates(config: Config) -> tuple[str, str, str | None]:
    """(certificate, key, CA that clients need) of the listeners, made if the settings name none; empty without TLS."""
    server = config.server
    if not server.tls:
        return "", "", None
    if server.tls_certificate:
        return server.tls_certificate, server.tls_key, None
    from andromede.ops import tls

    hosts = [listeners.parse(text).host for text in (server.listen, server.objects)]
    made = tls.ensure(Layout(config.data), hosts, SystemClock(), RandomIds())
    return str(made.certificate), str(made.key), str(made.ca)


def api_role(config: Config, listener: socket.socket) -> Role:
    """The API port."""
    return Role("api", lambda ready: _api(config, listener, ready))


def _api(config: Config, listener: socket.socket, ready: Ready) -> None:
    import uvicorn

    from andromede.identity import routes as identity_routes
    from andromede.identity import service as identity_service
    from andromede.web.api import Parts
    from andromede.web.asgi import build_api
    from andromede.web.patience import PatientProtocol

    base = Base.open(config, "api-0")
    identity = identity_service.build(config, base.db, base.clock, base.ids, base.recorder)
    parts = Parts(
        mounts=[identity_routes.mount(identity)],
        guard=identity.guard(),
        clock=base.clock,
        ids=base.ids,
        log=base.log,
        public_url=config.server.public_api_url,
        ready=lambda: _unready(base),
        version=__version__,
    )
    certificate, key, _ = certificates(config)
    serving = uvicorn.Config(
        build_api(parts),
        loop="uvloop",
        http=PatientProtocol,
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
    pulse = base.pulse()
    pulse.start()
    # uvicorn raises the signal again after its orderly end: it must find this handler, not the default
    signal.signal(signal.SIGTERM, lambda number, frame: setattr(server, "should_exit", True))
    _when(lambda: server.started, ready)
    server.run(sockets=[listener])
    pulse.stop()
    base.db.close()


def _unready(base: Base) -> list[str]:
    """Why the API port cannot serve now."""
    try:
        base.db.one("SELECT 1")
    except Error as error:
        return [error.public]
    return []


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

    def role(number: int, listener: socket.socket) -> Role:
        name = f"objects-{number}"
        return Role(name, lambda ready: _objects(config, name, listener, ready))

    return [role(number, listener) for number, listener in enumerate(sockets)]


def key_ring(base: Base) -> KeyRing:
    """The key tree under the installation's root key."""
    from andromede.keys import KeyRing, open_root

    root = open_root(root_key(base.config), os.environ.get(PASSPHRASE))
    return KeyRing(base.db, root, base.clock, base.ids, base.config.objects.key_cache_seconds)


def blob_engine(base: Base) -> BlobEngine:
    """The engine that `storage.engine` names, under the name of this process."""
    source = base.recorder.source
    storage = base.config.storage
    if storage.engine == "disk":
        from andromede.engines.disk import DiskEngine

        return DiskEngine(base.config.data / "blobs", source)
    try:
        from andromede.engines.s3 import S3Engine, S3Target
    except ModuleNotFoundError as error:
        text = "storage.engine = s3 needs a library that is missing; get it with: pip install 'andromede[s3]'"
        raise Invalid(text, "config") from error
    ca = Path(storage.s3_ca) if storage.s3_ca else None
    target = S3Target(storage.s3_endpoint, storage.s3_bucket, storage.s3_region, Path(storage.s3_credentials), ca)
    return S3Engine(target, source, base.ids)


def object_tools(base: Base) -> Tools:
    """What the object service of one process stands on. Only one process may run under the name of its source."""
    from andromede.objects.commit import CommitLimits
    from andromede.objects.service import Tools

    engine, keys = blob_engine(base), key_ring(base)
    limits = CommitLimits(read_seconds=base.config.objects.read_audit_seconds)
    return Tools(base.db, engine, keys, base.recorder, base.clock, base.ids, base.log, limits)


def authenticator(base: Base) -> Authenticator:
    """Tokens and access keys to actors, for a process without identity routes."""
    from andromede.identity import service

    return service.authenticator(base.db, base.config.data, base.clock)


def note_operation(base: Base, actor: str, action: str, what: str, purpose: str) -> None:
    """Leave the audit event of an operator's command."""
    with base.db.write() as tx:
        base.recorder.record(tx, [Draft("", actor, action, what, request_id(base.ids), purpose=purpose)])


def check_store(config: Config, deep: bool, step: Callable[[], None]) -> list[dict[str, Any]]:
    """Findings over the stored data, as `objects.fsck.Finding` has them; no errors when all of it agrees."""
    from andromede.objects.fsck import fsck

    base = Base.open(config, "operator")
    try:
        return [asdict(finding) for finding in fsck(base.db, blob_engine(base), key_ring(base), deep)]
    finally:
        base.db.close()


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

    certificate, key, _ = certificates(config)
    if not certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


def _objects(config: Config, name: str, listener: socket.socket, ready: Ready) -> None:
    from andromede.objects.service import Objects
    from andromede.web.stream.core import Parts
    from andromede.web.stream.server import Edge

    base = Base.open(config, name)
    tools = object_tools(base)
    objects = Objects(tools)
    parts = Parts(object_doors(base, objects), objects.committer, base.clock, base.ids, base.log)
    edge = Edge(parts, listener, tls_context(config))
    pulse = base.pulse()
    pulse.start()
    signal.signal(signal.SIGTERM, lambda number, frame: edge.stop())
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


def _work(config: Config, ready: Ready) -> None:
    from andromede.objects.service import Objects
    from andromede.objects.worker import Rhythm, reconcilers
    from andromede.work import Leases, Loop

    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: ending.set())
    base = Base.open(config, "work-0")
    tools = object_tools(base)
    objects = Objects(tools)
    rhythm = Rhythm(grace=config.objects.garbage_grace_seconds, every=float(config.objects.worker_seconds))
    leases = Leases(base.db, f"{socket.gethostname()}:{os.getpid()}", base.clock)
    more = document_reconcilers(base, objects)
    loop = Loop(reconcilers(tools, objects, rhythm, more), leases, base.clock, base.ids, base.log)
    pulse = base.pulse()
    pulse.start()
    ready()
    loop.run(ending)
    objects.close()
    tools.engine.close()
    pulse.stop()
    base.db.close()


def roles(config: Config, api: socket.socket, objects: Sequence[socket.socket]) -> list[Role]:
    """Everything that `up` runs."""
    return [api_role(config, api), *object_roles(config, objects), work_role(config)]
