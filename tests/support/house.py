"""A whole installation in one process: the API port, and workers of the object port with caches of their own.

Identity, trail, ledger and witness answer on the API port; each worker has its own connections, credential cache,
bucket look-up and evaluator, as a process of the object port has, over the same database and the same blobs.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote

from andromede import work
from andromede.audit import routes as trail
from andromede.audit.answers import ApiLedger
from andromede.config import Config, Objects
from andromede.db import Database, migrate
from andromede.engines.disk import DiskEngine
from andromede.identity import passwords
from andromede.identity import service as identity_service
from andromede.identity.routes import mount as identity_mount
from andromede.ids import RandomIds
from andromede.log import Log
from andromede.objects.access import Evaluator
from andromede.objects.context import Context, IdentityDirectory
from andromede.objects.door import Dispatcher
from andromede.objects.s3.door import S3Door
from andromede.objects.swift.door import SwiftDoor
from andromede.sovereignty import routes, schema, witness_keys, witness_routes
from andromede.sovereignty.log import Logs
from andromede.sovereignty.logkeys import LogKeys
from andromede.sovereignty.service import Ledger, Tools
from andromede.sovereignty.witness_server import WitnessServer
from andromede.web.api import Api, Parts
from andromede.web.stream.body import BufferedBody
from andromede.web.stream.message import Commit, Headers, Request, Response
from tests.support.clock import FakeClock
from tests.support.cloud import Answer, Cloud, ask, request_of
from tests.support.leaves import flush
from tests.support.sigv4 import Signer
from tests.support.vault import Vault, committed, vault
from tests.support.world import World

REGION = "fr1"
WEB = "web.test"


@dataclass(frozen=True, slots=True)
class Person:
    """A user in a scope. `signer`: an access key on the project, None where there is none."""

    user_id: str
    project_id: str
    token: str
    signer: Signer | None = None

    @property
    def account(self) -> str:
        return f"AUTH_{self.project_id}"


@dataclass(frozen=True, slots=True)
class Worker:
    """One process of the object port."""

    vault: Vault
    doors: Dispatcher


@dataclass
class House:
    """Short-hands for requests. Any 500 fails the test."""

    cloud: Cloud
    world: World
    api: Api
    workers: Sequence[Worker]
    log: io.StringIO
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def clock(self) -> FakeClock:
        return self.cloud.clock

    @property
    def db(self) -> Database:
        return self.cloud.db

    # --- people
    def project(self, name: str, domain_id: str = "default") -> str:
        return str(self.world.make("projects", "project", {"name": name, "domain_id": domain_id})["id"])

    def person(self, name: str, project_id: str, role: str = "member", domain_id: str = "default") -> Person:
        """A new user with a role on a project, a token for it and an access key."""
        user = self.world.person(name, domain_id)
        self.world.grant(role, user, project=project_id)
        return self.enter(user, project_id)

    def enter(self, user_id: str, project_id: str) -> Person:
        """A token and an access key of a user who has a role on the project."""
        token = self.world.login(user_id, {"project": {"id": project_id}})
        return Person(user_id, project_id, token, self.key_pair(user_id, project_id))

    def key_pair(self, user_id: str, project_id: str) -> Signer:
        made = self.world.do("POST", f"users/{user_id}/credentials/OS-EC2", {"tenant_id": project_id})
        assert made.status == 201, made.raw
        pair = made.json["credential"]
        return Signer(pair["access"], pair["secret"], REGION)

    # --- requests
    def call(
        self, method: str, path: str, token: str | None = None, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """One request to the API port; `path` with the prefix of its service."""
        sent = {**(headers or {}), **({"x-auth-token": token} if token else {})}
        return ask(self.api, request_of(method, path, sent, body), self.log)

    def s3(
        self,
        who: Person | Signer | None,
        method: str,
        target: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        worker: int = 0,
    ) -> Answer:
        """A request to the S3 door, signed unless nobody sends it; `target` escaped, with its query."""
        given = {"host": "s3.test", "content-length": str(len(body)), **(headers or {})}
        signer = who.signer if isinstance(who, Person) else who
        if signer is not None:
            given = signer.headers(method, target, given, now_us=self.clock.now_us())
        return self.send(method, target, given, body, worker)

    def swift(
        self,
        who: Person | str | None,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        worker: int = 0,
    ) -> Answer:
        """A request to the Swift door with a token; `path` is `<account>[/container[/key]]`, not escaped, with its
        query behind `?`."""
        where, mark, query = path.partition("?")
        token = who.token if isinstance(who, Person) else who
        given = {"host": "swift.test", **(headers or {})}
        if body or method in ("PUT", "POST"):
            given.setdefault("content-length", str(len(body)))
        if token is not None:
            given["x-auth-token"] = token
        return self.send(method, f"/v1/{quote(where)}{mark}{query}", given, body, worker)

    def send(self, method: str, target: str, headers: dict[str, str], body: bytes, worker: int = 0) -> Answer:
        """Any request to a worker of the object port."""
        place = self.workers[worker]
        path, _, query = target.partition("?")
        request = Request(
            method, target.encode(), path.encode(), query.encode(), Headers.of(*headers.items()), "http", "192.0.2.1",
            BufferedBody(body), f"req-00000000-0000-4000-8000-{next(self.numbers):012d}",
        )  # fmt: skip
        try:
            found = place.doors.handle(request)
            answer = committed(place.vault.objects, found) if isinstance(found, Commit) else found
        except Exception as error:
            answer = place.doors.error(request, error)
        shown = rendered(answer)
        assert shown.status != 500, f"{method} {target}: {shown.raw!r}"
        return shown

    def flush(self) -> None:
        """Let the events of reads become durable."""
        for worker in self.workers:
            flush(worker.vault.objects)


def rendered(answer: Response) -> Answer:
    """Status, headers by lower-case name, body."""
    body = answer.body
    data = body if isinstance(body, bytes) else b"".join(bytes(chunk) for chunk in body)
    headers = {name.lower(): v if isinstance(v, str) else v.decode("latin-1") for name, v in answer.headers}
    return Answer(answer.status, headers, data)


def _api(cloud: Cloud, data: Path, log: Log) -> Api:
    """Every service of the API port, as the composition root mounts them."""
    db, clock, recorder = cloud.db, cloud.clock, cloud.identity.core.recorder
    migrate(db, [*work.MIGRATIONS, *schema.MIGRATIONS])
    (data / "keys").mkdir(exist_ok=True)
    logs = Logs(db, LogKeys.create(data / "keys" / "ledger.json", cloud.ids))
    keys = witness_keys.ensure(data / "keys" / "witness.json", "house/witness", db, cloud.ids, clock.now_us())
    witness = witness_routes.Served(WitnessServer(db, keys, clock), lambda: witness_routes.NOBODY)
    mounts = [
        identity_mount(cloud.identity), trail.mount(db, recorder),
        routes.mount(Ledger(Tools(db, logs, recorder, clock))), *witness_routes.mounts(witness),
    ]  # fmt: skip
    guard = cloud.identity.guard(routes.TABLE, trail.TABLE)
    return Api(Parts(mounts, guard, clock, cloud.ids, log, ledger=ApiLedger(db, recorder)))


@contextmanager
def house(databases: Sequence[Database], data: Path, **settings: Any) -> Iterator[House]:
    """An installation with one worker per database given; all must lead to the same one. Passwords hash quickly."""
    clock, text = FakeClock(), io.StringIO()
    with ExitStack() as stack:
        stack.enter_context(mock.patch.multiple(passwords, MEMORY_KIB=64, PASSES=1))
        cloud = Cloud(databases[0], data, clock)
        api = _api(cloud, data, Log(text, clock=clock))
        config = Config(data=data, objects=Objects(website_domains=(WEB,), **settings))
        workers = []
        for number, db in enumerate(databases):
            source = f"objects-{number}"
            found = stack.enter_context(vault(db, DiskEngine(data / "blobs", source), data, clock, source=source))
            auth = identity_service.authenticator(db, data, clock)
            context = Context(
                found.objects, auth, Evaluator(), config, clock, RandomIds(), Log(text, clock=clock),
                IdentityDirectory(auth),
            )  # fmt: skip
            doors = Dispatcher(S3Door(context), SwiftDoor(context), config.objects.website_domains)
            workers.append(Worker(found, doors))
        made = World(cloud, cloud.admin())
        made.roles = {role["name"]: role["id"] for role in made.get("roles")["roles"]}
        yield House(cloud, made, api, workers, text)
