"""Who sees which audit events over the API."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from andromede.audit import Draft, Recorder
from andromede.audit.routes import LIST, TABLE, mount, routes
from andromede.db import Database
from andromede.identity.routes import mount as identity_mount
from andromede.log import Log
from andromede.web.api import Api, Parts
from andromede.web.call import HttpRequest
from tests.support.clock import FakeClock
from tests.support.cloud import Answer, Cloud, answer_of


class Trail:
    """The API port with the trail mounted, and events of two projects."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.recorder = Recorder("objects-0", cloud.clock)
        parts = Parts(
            [identity_mount(cloud.identity), mount(cloud.db, self.recorder)],
            cloud.identity.guard(TABLE), cloud.clock, cloud.ids, Log(io.StringIO(), clock=cloud.clock),
        )  # fmt: skip
        self.api = Api(parts)
        self.demo = cloud.secrets.demo_project_id
        with cloud.db.write() as tx:
            for n in range(3):
                self.recorder.record(tx, [Draft(self.demo, "user:u", "s3:GetObject", f"ö/{n}", f"req-{n}")])
            self.recorder.record(tx, [Draft("other", "user:v", "s3:PutObject", "secret", "req-9")])

    def get(self, query: str, token: str | None) -> Answer:
        headers = {"host": "h", **({"x-auth-token": token} if token else {})}
        return answer_of(self.api.handle(HttpRequest("GET", b"/ledger/v1/events", query.encode(), headers, b"")))


@pytest.fixture
def trail(db: Database, tmp_path: Path, clock: FakeClock) -> Trail:
    return Trail(Cloud(db, tmp_path, clock))


def scope(name: str) -> dict[str, Any]:
    return {"project": {"name": name, "domain": {"id": "default"}}}


def test_the_table_has_a_rule_and_words_for_every_route() -> None:
    assert [route.action for route in routes] == [LIST]
    assert all(route.doc and TABLE.grants(route.action) for route in routes)


def test_a_tenant_sees_its_own_events_as_they_are_stored(trail: Trail) -> None:
    token = trail.cloud.token("demo", trail.cloud.secrets.demo_password, scope("demo"))
    answer = trail.get("limit=1000", token)
    assert answer.status == 200
    found = answer.json["events"]
    assert {row["tenant"] for row in found} == {trail.demo}
    objects = [json.loads(row["event"])["object"] for row in found]
    assert objects[:3] == ["ö/0", "ö/1", "ö/2"] or "ö/0" in objects
    with trail.cloud.db.read() as tx:
        stored = {int(row[0]): bytes(row[1]) for row in tx.all("SELECT id, body FROM audit_event")}
    assert all(row["event"].encode() == stored[row["id"]] for row in found)
    page = trail.get("newest=1", token).json
    assert json.loads(page["events"][0]["event"])["action"] == LIST  # asking was an access too
    assert trail.get(f"after={page['next']}", token).json["events"] != []


def test_others_events_are_for_auditors_only(trail: Trail) -> None:
    demo = trail.cloud.token("demo", trail.cloud.secrets.demo_password, scope("demo"))
    admin = trail.cloud.token("admin", trail.cloud.secrets.admin_password, scope("admin"))
    assert trail.get("", None).status == 401
    assert trail.get("project_id=other", demo).status == 403
    assert trail.get("", trail.cloud.token("demo", trail.cloud.secrets.demo_password)).status == 403
    assert {row["tenant"] for row in trail.get("limit=1000", admin).json["events"]} >= {trail.demo, "other", ""}
    only = trail.get("project_id=other&limit=10", admin).json["events"]
    assert json.loads(only[0]["event"])["object"] == "secret"


def test_who_sees_every_tenants_events_tells_each_of_them(trail: Trail) -> None:
    admin = trail.cloud.token("admin", trail.cloud.secrets.admin_password, scope("admin"))

    def told(tenant: str) -> list[str]:
        rows = trail.cloud.db.all("SELECT body FROM audit_event WHERE tenant = ? ORDER BY position", (tenant,))
        found = [json.loads(bytes(row[0])) for row in rows]
        return [event["purpose"] for event in found if event["action"] == LIST]

    trail.get("limit=1000", admin)
    assert told("other") == told(trail.demo) == ["OPERATOR_REVIEW"] and len(told("")) == 1
    last = trail.get("newest=1", admin).json["next"]
    for _ in range(3):  # following comes to rest: what tells of reading is not told again
        last = trail.get(f"after={last}", admin).json["next"]
    assert len(told("other")) == len(told(trail.demo)) == 1


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "after=-1", "newest=x", "after=99999999999999999999"])
def test_odd_numbers_are_refused(trail: Trail, query: str) -> None:
    admin = trail.cloud.token("admin", trail.cloud.secrets.admin_password, scope("admin"))
    assert trail.get(query, admin).status == 400
