"""Every route of the ledger: what shows or changes events leaves exactly one leaf, what shows hashes none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from andromede.sovereignty.access import ERASE, GET, SET_POLICY
from andromede.sovereignty.routes import routes
from tests.support.tenantlog import TenantLog, witness

LEAVES = {GET["events"], GET["receipt"], SET_POLICY, ERASE}


def body_of(action: str, method: str, path: str) -> Any:
    if action != SET_POLICY or method == "DELETE":
        return None
    if path.endswith("policy"):
        return b"quorum none\n"
    return {"witnesses": [{"name": "one", "key": str(witness("one.example").verifier)}]}


def filled(path: str, log: str) -> str:
    """A path of the route table with values that exist."""
    tile = {"n0": "000.p", "n1": "1"} if path.count("{n") == 2 else {"n0": "000"}
    values = {"log": log, "index": "0", "level": "0", **tile}
    parts = path.removeprefix("/v1").split("/")
    done = "/".join(values.get(part[1:-1], "x000") if part.startswith("{") else part for part in parts)
    return done + ("?old=1" if done.endswith("consistency") else "")


def total(log: TenantLog) -> int:
    return sum(state.allocated for state in log.logs.all())


@pytest.mark.parametrize("route", [r for r in routes if not r.public], ids=lambda r: f"{r.method} {r.path}")
def test_the_walk(tenantlog: TenantLog, route: Any) -> None:
    log = tenantlog
    log.record(300)
    log.sequence()
    own = "{log}" not in route.path
    settles = route.action in (SET_POLICY, ERASE)
    who = "max" if own else "admin" if settles else "ivo"
    path = filled(route.path, log.demo)
    before = total(log)
    answer = log.call(route.method, path, who, body_of(route.action, route.method, route.path))
    deep = route.path.count("{n") > 2 or (route.path.endswith("{n1}"))
    assert answer.status < 300 or (deep and answer.status == 404), answer.raw
    grown = total(log) - before
    assert grown == (1 if route.action in LEAVES else 0)
    if not grown:
        assert "andromede-ledger" not in answer.headers
        return
    state = log.state()
    assert answer.headers["andromede-ledger"] == f"{state.origin} {state.allocated - 1}"
    event = json.loads(log.logs.events(log.demo, state.allocated - 1, state.allocated)[0][2])
    assert event["action"] == route.action and event["outcome"] == "success"
    reviewed = "OPERATOR_SYSTEM" if settles else "OPERATOR_REVIEW"
    assert event["purpose"] == ("ERASURE" if route.action == ERASE else "CUSTOMER_ACCESS" if own else reviewed)


def test_refusals_leave_one_leaf_in_the_callers_own_log(tenantlog: TenantLog) -> None:
    log = tenantlog
    log.record()
    before = log.state().allocated
    assert log.call("PUT", "/policy", "demo", b"quorum none\n").status == 403
    assert log.call("DELETE", "/events/0", "demo").status == 403
    assert log.state().allocated == before + 2
    events = [json.loads(body) for _, _, body in log.logs.events(log.demo, before, before + 2)]
    assert [event["outcome"] for event in events] == ["denied", "denied"]
    assert [event["action"] for event in events] == [SET_POLICY, ERASE]
