"""An object service on the database under test, with the engine's twin or the real disk engine."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from andromede import audit, keys
from andromede.audit import Recorder
from andromede.clock import Clock
from andromede.db import Database, migrate
from andromede.ids import Ids, RandomIds
from andromede.log import Log
from andromede.objects import schema
from andromede.objects.blobs import BlobEngine
from andromede.objects.commit import CommitLimits, Waiter
from andromede.objects.model import (
    NO_CONDITIONS,
    Attributes,
    Conditions,
    Container,
    ContainerChange,
    DeleteOptions,
    DeleteResult,
    ListQuery,
    NewContainer,
    Receive,
    Trace,
    Version,
    Versioning,
)
from andromede.objects.service import Objects, Tools
from andromede.web.actor import Actor
from andromede.web.stream.message import Commit, Response

ACTOR = Actor("user-1", "demo", "default", frozenset({"member"}), project_id="p1", project_name="demo")
READ_SECONDS = 0.01
PLAIN = Attributes()
WHOLE = DeleteOptions()
TRACE = Trace(ACTOR, "s3:PutObject", "req-1")
MIGRATIONS = [*audit.MIGRATIONS, *keys.MIGRATIONS, *schema.MIGRATIONS]


class Bytes:
    """A body in memory."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def readinto(self, view: memoryview, /) -> int:
        return self._file.readinto(view)


@dataclass(frozen=True)
class Vault:
    """The service with short-hands for tests."""

    objects: Objects
    keys: keys.KeyRing
    engine: BlobEngine
    db: Database
    clock: Clock

    def container(self, name: str = "box", versioning: Versioning = Versioning.OFF, **fields: object) -> Container:
        new = NewContainer("p1", name, "p1", versioning=versioning, **fields)  # type: ignore[arg-type]
        return self.objects.run(self.objects.create_container(new, TRACE))[0]

    def change(self, box: Container, **fields: object) -> Container:
        change = ContainerChange(**fields)  # type: ignore[arg-type]
        return self.objects.run(self.objects.change_container(box, change, TRACE))

    def put(
        self,
        box: Container,
        key: str,
        data: bytes = b"",
        attributes: Attributes = PLAIN,
        conditions: Conditions = NO_CONDITIONS,
        want: Receive | None = None,
    ) -> Version:
        stored = self.objects.receive(box, Bytes(data), want or Receive(len(data), encryption=attributes.encryption))
        return self.objects.run(self.objects.put(box, key, stored, attributes, conditions, TRACE))

    def get(
        self, box: Container, key: str, version_id: str | None = None, start: int = 0, stop: int | None = None
    ) -> bytes:
        return self.objects.read_all(self.objects.head(box, key, version_id), start, stop)

    def delete(
        self, box: Container, key: str, version_id: str | None = None, options: DeleteOptions = WHOLE
    ) -> DeleteResult:
        return self.objects.run(self.objects.delete(box, key, version_id, options, TRACE))

    def every(self) -> ListQuery:
        return ListQuery(limit=10_000)

    def events(self) -> Sequence[tuple[object, ...]]:
        return self.db.all("SELECT body FROM audit_event ORDER BY id")


def committed(objects: Objects, commit: Commit[Any]) -> Response:
    """What the committer answers to a handler's promise, as the edge gets it; failures are raised."""
    waiter = Waiter()
    objects.committer.submit(commit, waiter)
    outcome = waiter.wait()
    return outcome if isinstance(outcome, Response) else outcome()


@contextmanager
def vault(
    db: Database, engine: BlobEngine, folder: Path, clock: Clock, ids: Ids | None = None, source: str = "objects-0"
) -> Iterator[Vault]:
    """Schema, root key, service; closed at the end."""
    migrate(db, MIGRATIONS)
    ids = ids or RandomIds()
    path = folder / "keys" / "root.json"
    root = keys.open_root(path) if path.exists() else keys.create_root(path, ids)
    ring = keys.KeyRing(db, root, clock, ids)
    limits = CommitLimits(read_seconds=READ_SECONDS)
    objects = Objects(Tools(db, engine, ring, Recorder(source, clock), clock, ids, Log(level="error"), limits))
    try:
        yield Vault(objects, ring, engine, db, clock)
    finally:
        objects.close()
        engine.close()
