"""The API port with identity and ledger, a sequencer run by hand, and witnesses that cosign on request."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from andromede import work
from andromede.audit import Draft
from andromede.audit.answers import ApiLedger
from andromede.db import Database, migrate
from andromede.identity.routes import mount as identity_mount
from andromede.ledger.note import COSIGNATURE, Signer, split_note
from andromede.log import Log
from andromede.sovereignty import routes, schema, store
from andromede.sovereignty.log import Logs, LogState
from andromede.sovereignty.logkeys import LogKeys
from andromede.sovereignty.sequencer import Parts as Sequencing
from andromede.sovereignty.sequencer import Sequencer
from andromede.sovereignty.service import Ledger, Tools
from andromede.web.api import Api, Parts
from andromede.work import Leases
from tests.support.clock import FakeClock
from tests.support.cloud import Answer, Cloud, ask, project, request_of

DAY = 86_400


class TenantLog:
    """An installation with two projects: the demo user's, and `other`, whose user is `eve`."""

    def __init__(self, db: Database, folder: Path, clock: FakeClock) -> None:
        self.cloud = cloud = Cloud(db, folder, clock)
        migrate(db, [*work.MIGRATIONS, *schema.MIGRATIONS])
        self.db, self.clock = db, clock
        self.log = cloud.log
        self.recorder = cloud.identity.core.recorder
        (folder / "keys").mkdir(exist_ok=True)
        self.keys = LogKeys.create(folder / "keys" / "ledger.json", cloud.ids)
        self.logs = Logs(db, self.keys)
        self.ledger = Ledger(Tools(db, self.logs, self.recorder, clock))
        mounts = [identity_mount(cloud.identity), routes.mount(self.ledger)]
        guard = cloud.identity.guard(routes.TABLE)
        places = ApiLedger(db, self.recorder)
        self.api = Api(Parts(mounts, guard, clock, cloud.ids, Log(self.log, clock=clock), ledger=places))
        leases = Leases(db, "here:1", clock)
        self.alerts = io.StringIO()
        self.sequencer = Sequencer(Sequencing(db, self.keys, leases, clock, Log(self.alerts, clock=clock)))
        self.demo = cloud.secrets.demo_project_id
        self._people()

    def _people(self) -> None:
        cloud, admin = self.cloud, self.cloud.admin()
        roles = {role["name"]: role["id"] for role in cloud.call("GET", "/v3/roles", admin).json["roles"]}

        def make(kind: str, **fields: Any) -> str:
            answer = cloud.call("POST", f"/v3/{kind}s", admin, {kind: {"domain_id": "default", **fields}})
            assert answer.status == 201, answer.raw
            return str(answer.json[kind]["id"])

        self.other = make("project", name="other")
        people = {name: make("user", name=name, password="correct horse " + name) for name in ("eve", "ivo", "max")}
        for path in (
            f"projects/{self.other}/users/{people['eve']}/roles/{roles['manager']}",
            f"projects/{self.demo}/users/{people['max']}/roles/{roles['manager']}",
            f"system/users/{people['ivo']}/roles/{roles['auditor']}",
        ):
            assert cloud.call("PUT", f"/v3/{path}", admin).status == 204
        self.tokens = {
            "admin": admin,
            "demo": cloud.demo(),
            "eve": cloud.token("eve", "correct horse eve", project("other")),
            "max": cloud.token("max", "correct horse max", project("demo")),
            "ivo": cloud.token("ivo", "correct horse ivo", {"system": {"all": True}}),
        }

    def record(self, count: int = 1, tenant: str | None = None, name: str = "box/secret-plan") -> list[int]:
        """Events on objects of a project (demo's); their indexes."""
        tenant = self.demo if tenant is None else tenant
        drafts = [Draft(tenant, "user:u", "s3:PutObject", f"{name}-{n}", f"req-{tenant[:4]}-{n}") for n in range(count)]
        with self.db.write() as tx:
            return [at.index for at in self.recorder.record(tx, drafts)]

    def sequence(self) -> None:
        """Bring every log to a signed checkpoint."""
        while self.sequencer.turn():
            pass
        assert self.alerts.getvalue() == ""

    def state(self, tenant: str | None = None) -> LogState:
        found = self.logs.log(self.demo if tenant is None else tenant)
        assert found is not None
        return found

    def cosign(self, *witnesses: Signer, tenant: str | None = None) -> None:
        """Add the witnesses' cosignatures to the newest checkpoint."""
        newest = self.logs.newest(self.state(tenant).origin)
        assert newest is not None and newest.note is not None
        text, _ = split_note(newest.note)
        lines = "".join(one.line(text, self.clock.now_us() // 1_000_000) for one in witnesses)
        with self.db.write() as tx:
            store.cosign(tx, newest, lines)

    def call(self, method: str, path: str, who: str | None = "demo", body: Any = None) -> Answer:
        """One request below /sovereignty/v1; any 500 fails the test."""
        headers = {"x-auth-token": self.tokens[who]} if who else {}
        return ask(self.api, request_of(method, f"/sovereignty/v1{path}", headers, body), self.log)

    def get(self, path: str, who: str | None = "demo") -> Answer:
        return self.call("GET", path, who)


def witness(name: str) -> Signer:
    """A witness's key."""
    return Signer(name, COSIGNATURE, name.encode().ljust(32, b"."))
