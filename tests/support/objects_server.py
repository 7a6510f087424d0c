"""A development server of the object port alone: `python -m tests.support.objects_server --port N --data DIR`.

Prints the S3 credentials and a Swift token of the project `demo` as JSON, then serves until SIGTERM.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import Any

from andromede import app, audit, keys
from andromede.audit import Recorder
from andromede.clock import SystemClock
from andromede.config import Config, Server, load
from andromede.db import Database, migrate, open_database
from andromede.engines.disk import DiskEngine
from andromede.identity import bootstrap
from andromede.identity import service as identity
from andromede.ids import RandomIds, request_id
from andromede.log import Log
from andromede.objects import schema
from andromede.objects.access.evaluator import Evaluator
from andromede.objects.context import Context, IdentityDirectory
from andromede.objects.door import Dispatcher
from andromede.objects.s3.door import S3Door
from andromede.objects.service import Objects, Tools
from andromede.web.stream.core import Parts
from andromede.web.stream.server import Edge, listen


def prepare(config: Config, db: Database) -> dict[str, str] | None:
    """Schema and first users; the secrets when they are new."""
    clock, ids = SystemClock(), RandomIds()
    steps = {(m.domain, m.version): m for m in [*app.migrations(), *audit.MIGRATIONS, *keys.MIGRATIONS]}
    steps.update({(m.domain, m.version): m for m in schema.MIGRATIONS})
    migrate(db, list(steps.values()))
    core = identity.build(config, db, clock, ids, Recorder("operator", clock)).core
    secrets = bootstrap.bootstrap(core, config.server.region, request_id(ids))
    if secrets is None:
        return None
    return {
        "access_key": secrets.access_key,
        "secret_key": secrets.secret_key,
        "admin_password": secrets.admin_password,
        "demo_password": secrets.demo_password,
    }


def context(config: Config, db: Database, source: str = "objects-0") -> Context:
    """Everything that the doors need."""
    clock, ids, log = SystemClock(), RandomIds(), Log(level=config.server.log_level)
    path = config.data / "keys" / "root.json"
    root = keys.open_root(path) if path.exists() else keys.create_root(path, ids)
    ring = keys.KeyRing(db, root, clock, ids, config.objects.key_cache_seconds)
    engine = DiskEngine(config.data / "blobs", source)
    objects = Objects(Tools(db, engine, ring, Recorder(source, clock), clock, ids, log))
    auth = identity.authenticator(db, config.data, clock)
    return Context(objects, auth, Evaluator(), config, clock, ids, log, IdentityDirectory(auth))


def doors(found: Context) -> Any:
    """S3, and Swift where it exists."""
    s3 = S3Door(found)
    try:
        from andromede.objects.swift.door import SwiftDoor
    except ImportError:
        return s3
    return Dispatcher(s3, SwiftDoor(found), (*found.config.objects.s3_domains, *found.config.objects.website_domains))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    args = parser.parse_args()
    args.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    overrides: dict[str, dict[str, Any]] = {"server": {"objects": f"127.0.0.1:{args.port}"}}
    for item in args.set:
        name, _, value = item.partition("=")
        section, _, word = name.partition(".")
        overrides.setdefault(section, {})[word] = value
    config = load(args.data, overrides=overrides)
    assert isinstance(config.server, Server)
    db = open_database(config.database_dsn)
    secrets = prepare(config, db)
    saved = args.data / "dev.json"
    if secrets is not None:
        saved.write_text(json.dumps(secrets))
    found = context(config, db)
    parts = Parts(doors(found), found.objects.committer, found.clock, found.ids, found.log)
    edge = Edge(parts, listen("127.0.0.1", args.port))
    signal.signal(signal.SIGTERM, lambda number, frame: edge.stop(2))
    print(saved.read_text(), flush=True)
    edge.run(ready=lambda: print("ready", file=sys.stderr, flush=True))
    found.objects.close()
    db.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
