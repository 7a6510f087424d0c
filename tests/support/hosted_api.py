"""The API port with every hosting service in one process, without sockets, engines or a worker."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from andromede.app import hosting
from andromede.app.base import Base, migrations, root_key
from andromede.app.hosting.site import Site
from andromede.audit import Recorder
from andromede.audit.answers import ApiLedger
from andromede.config import Config, Hosting, Server
from andromede.db import Database, migrate
from andromede.identity import routes as identity_routes
from andromede.identity import service
from andromede.identity.bootstrap import bootstrap, complete
from andromede.keys import create_root
from andromede.log import Log
from andromede.ops.layout import Layout, prepare
from andromede.web.api import Api, Mount, Parts
from tests.support.clock import FakeClock, FakeIds
from tests.support.cloud import Answer, ask, project, request_of


class Hosted:
    """An installation that hosts, as its API port shows it. `member` and `other` are tokens of two tenants, `reader`
    one of the first tenant who may only read, `nobody` a token without any role there."""

    def __init__(self, db: Database, data: Path, clock: FakeClock) -> None:
        migrate(db, migrations())
        ids = FakeIds()
        prepare(Layout(data), clock, ids)
        self.db, self.clock = db, clock
        self.log = io.StringIO()
        self.config = Config(
            data=data, server=Server(public_api_url="http://cloud.test"), hosting=Hosting(enabled="on", images=())
        )
        log = Log(self.log, clock=clock)
        recorder = Recorder("api-0", clock, ids)
        create_root(root_key(self.config), ids)
        self.base = Base(self.config, db, clock, ids, log, recorder)
        self.identity = service.build(self.config, db, clock, ids, recorder)
        made = bootstrap(self.identity.core, "fr1", "req-boot")
        assert made is not None
        complete(self.identity.core, "fr1", "req-boot", True)
        self.secrets = made
        self.site = Site(self.base)
        self.mounts: list[Mount] = hosting.mounts(self.site)
        self.api = Api(
            Parts(
                [identity_routes.mount(self.identity), *self.mounts], self.identity.guard(*hosting.tables()), clock,
                ids, log, public_url="http://cloud.test", ledger=ApiLedger(db, recorder),
            )
        )  # fmt: skip
        self.admin = self.login("admin", made.admin_password, "admin")
        self.member = self.login("demo", made.demo_password, "demo")
        self.project_id = made.demo_project_id
        self.other_project = self._project("other")
        self.other = self._user("eve", "other", self.other_project, "member")
        self.reader = self._user("rita", "demo", self.project_id, "reader")

    def login(self, name: str, password: str, scope: str) -> str:
        user = {"name": name, "domain": {"id": "default"}, "password": password}
        auth = {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": project(scope)}
        answer = self.call("POST", "/identity/v3/auth/tokens", None, {"auth": auth})
        assert answer.status == 201, answer.raw
        return answer.headers["x-subject-token"]

    def _project(self, name: str) -> str:
        body = {"project": {"name": name, "domain_id": "default"}}
        return str(self.call("POST", "/identity/v3/projects", self.admin, body).json["project"]["id"])

    def _user(self, name: str, where: str, project_id: str, role: str) -> str:
        user = {"name": name, "password": "a-long-password-for-tests", "domain_id": "default"}
        made = self.call("POST", "/identity/v3/users", self.admin, {"user": user}).json["user"]
        roles = self.call("GET", f"/identity/v3/roles?name={role}", self.admin).json["roles"]
        path = f"/identity/v3/projects/{project_id}/users/{made['id']}/roles/{roles[0]['id']}"
        assert self.call("PUT", path, self.admin).status == 204
        return self.login(name, "a-long-password-for-tests", where)

    def call(
        self, method: str, path: str, token: str | None, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """One request; any 500 fails the test and shows the log."""
        sent = {"content-type": "application/json", **(headers or {})}
        if token:
            sent["x-auth-token"] = token
        return ask(self.api, request_of(method, path, sent, body), self.log)
