"""What every role and command begins with: the database, keys, engine and certificates of an installation."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from andromede.audit import Recorder
from andromede.clock import Clock, SystemClock
from andromede.config import Config
from andromede.db import Database, Migration, open_database, pending
from andromede.errors import Invalid
from andromede.ids import Ids, RandomIds
from andromede.log import Log
from andromede.ops import listeners
from andromede.ops.layout import Layout
from andromede.ops.pulse import Pulse

if TYPE_CHECKING:
    from andromede.identity.service import Authenticator
    from andromede.keys import KeyRing
    from andromede.objects.blobs import BlobEngine
    from andromede.objects.service import Tools

PASSPHRASE = "ANDROMEDE_PASSPHRASE"
CUSTODY = "file custody: the operator can decrypt everything stored here"
SEALED = "file custody, sealed by a pass phrase: an operator who knows it can decrypt everything stored here"


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
        ids = RandomIds()
        return cls(config, open_database(config.database_dsn), clock, ids, log, Recorder(source, clock, ids))

    def pulse(self) -> Pulse:
        """The audit marks of this role's life."""
        return Pulse(self.db, self.recorder, self.ids, self.log)


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
    from andromede.app import hosting
    from andromede.identity import schema as identity
    from andromede.objects import bucketlog_store
    from andromede.objects import schema as objects
    from andromede.sovereignty import schema as sovereignty

    steps = (
        audit.MIGRATIONS,
        work.MIGRATIONS,
        keys.MIGRATIONS,
        identity.MIGRATIONS,
        objects.MIGRATIONS,
        sovereignty.MIGRATIONS,
    )
    return [step for domain in (*steps, bucketlog_store.MIGRATIONS, hosting.migrations()) for step in domain]


def pending_migrations(config: Config) -> list[str]:
    """Names of the steps that the database lacks. Raises `Invalid` for a database of a newer release."""
    from andromede.ops.migration import refuse_newer

    db = open_database(config.database_dsn)
    try:
        refuse_newer(db, migrations())
        return [f"{step.domain} {step.version}: {step.name}" for step in pending(db, migrations())]
    finally:
        db.close()


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
    from andromede.work import open_trusted

    engine, keys = blob_engine(base), key_ring(base)
    limits = CommitLimits(read_seconds=base.config.objects.read_audit_seconds)
    trusted = open_trusted(base.db, base.clock)
    return Tools(base.db, engine, keys, base.recorder, base.clock, base.ids, base.log, limits, trusted)


def authenticator(base: Base) -> Authenticator:
    """Tokens and access keys to actors, for a process without identity routes."""
    from andromede.identity import service

    return service.authenticator(base.db, base.config.data, base.clock)
