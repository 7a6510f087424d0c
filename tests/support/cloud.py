"""A whole identity service in one process, without sockets: requests in, answers out."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from andromede import audit
from andromede.audit import Recorder
from andromede.audit.answers import ApiLedger
from andromede.config import Config
from andromede.config import Identity as Settings
from andromede.db import Database, migrate
from andromede.identity import service
from andromede.identity.bootstrap import Secrets, bootstrap
from andromede.identity.routes import mount
from andromede.log import Log
from andromede.web.api import Api, Parts
from andromede.web.call import HttpRequest, HttpResponse
from tests.support.clock import FakeClock, FakeIds


@dataclass(frozen=True)
class Answer:
    """An answer, parsed."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


def answer_of(response: HttpResponse) -> Answer:
    body = response.body if response.pieces is None else b"".join(response.pieces)
    assert response.pieces is None or len(body) == response.length
    return Answer(response.status, {k.lower(): v for k, v in response.headers}, body)


def request_of(
    method: str, path: str, headers: dict[str, str], body: Any = None, peer: str = "192.0.2.1"
) -> HttpRequest:
    """A request to the API port; `path` with its query, `body` as bytes or as what JSON is made of."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    where, _, query = path.partition("?")
    return HttpRequest(method, where.encode(), query.encode(), {"host": "cloud.test", **headers}, raw, peer=peer)


def ask(api: Api, request: HttpRequest, log: io.StringIO) -> Answer:
    """The API port's answer; a 500 fails the test and shows the log."""
    answer = answer_of(api.handle(request))
    assert answer.status != 500, log.getvalue()
    return answer


class Cloud:
    """The API port with the identity service on a database of its own, bootstrapped."""

    def __init__(self, db: Database, data: Path, clock: FakeClock, **settings: Any) -> None:
        migrate(db, [*audit.MIGRATIONS, *service.MIGRATIONS])
        self.db, self.clock, self.ids = db, clock, FakeIds()
        self.config = Config(data=data, identity=Settings(**settings))
        self.identity = service.build(self.config, db, clock, self.ids, Recorder("api-0", clock))
        made = bootstrap(self.identity.core, "fr1", "req-boot")
        assert made is not None
        self.secrets: Secrets = made
        self.log = io.StringIO()
        self.peer = "192.0.2.1"
        guard = self.identity.guard()
        self.api = Api(
            Parts(
                [mount(self.identity)],
                guard,
                clock,
                self.ids,
                Log(self.log, clock=clock),
                ledger=ApiLedger(db, self.identity.core.recorder),
            )
        )

    def call(
        self, method: str, path: str, token: str | None = None, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """One request below /identity; any 500 fails the test."""
        sent = {**(headers or {}), **({"x-auth-token": token} if token else {})}
        return ask(self.api, request_of(method, f"/identity{path}", sent, body, self.peer), self.log)

    def login(self, name: str, password: str, scope: Any = None, domain: str = "default") -> Answer:
        user = {"name": name, "domain": {"id": domain}, "password": password}
        auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": user}}}
        if scope is not None:
            auth["scope"] = scope
        return self.call("POST", "/v3/auth/tokens", body={"auth": auth})

    def token(self, name: str, password: str, scope: Any = None, domain: str = "default") -> str:
        answer = self.login(name, password, scope, domain)
        assert answer.status == 201, answer.raw
        return answer.headers["x-subject-token"]

    def admin(self) -> str:
        return self.token("admin", self.secrets.admin_password, project("admin"))

    def demo(self) -> str:
        return self.token("demo", self.secrets.demo_password, project("demo"))


def project(name: str, domain: str = "default") -> dict[str, Any]:
    """A scope."""
    return {"project": {"name": name, "domain": {"id": domain}}}
