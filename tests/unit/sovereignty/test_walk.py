"""Every route of the ledger and of the trail: what shows events leaves one leaf, what shows hashes leaves none."""

from __future__ import annotations

import pytest

from andromede.audit import routes as trail
from andromede.audit.answers import ApiLedger
from andromede.sovereignty import routes as ledger
from andromede.sovereignty.access import GET, LIST_LOGS, VERIFIER
from andromede.web.call import HttpRequest
from andromede.web.routes import Route
from tests.support.cloud import Answer, answer_of
from tests.support.leaves import HEADER, leaves, named, only
from tests.support.tenantlog import TenantLog

LEAVING = {GET["events"], GET["receipt"], "sovereignty:set_policy", "sovereignty:erase_event"}
QUIET = (set(GET.values()) - LEAVING) | {LIST_LOGS, VERIFIER}
WITNESSES = b'{"witnesses": [], "quorum": "none"}'


def walked(log: TenantLog) -> TenantLog:
    log.api.parts.ledger = ApiLedger(log.db, log.recorder)
    log.record(3)
    log.sequence()
    return log


def asked(log: TenantLog, route: Route, prefix: str, who: str) -> Answer:
    """A call of a route; numbers of tiles are those of the log's only tile."""
    path = route.path.replace("{log}", log.demo).replace("{level}", "entries").replace("{index}", "0")
    if "{n" in path:
        path = f"{path.partition('/{n0}')[0]}/000.p/{log.state().size}"
    query = b"old=0" if route.action == GET["consistency"] else b""
    body = log.get("/policy").raw if (route.method, route.path[-6:]) == ("PUT", "policy") else WITNESSES
    headers = {"host": "h", "x-auth-token": log.tokens[who]}
    sent = HttpRequest(route.method, (prefix + path).encode(), query, headers, body if route.method == "PUT" else b"")
    return answer_of(log.api.handle(sent))


def test_every_action_is_one_or_the_other() -> None:
    assert {route.action for route in ledger.routes} == LEAVING | QUIET


@pytest.mark.parametrize("route", list(ledger.routes), ids=lambda route: f"{route.method} {route.path}")
def test_every_route_leaves_what_it_should(tenantlog: TenantLog, route: Route) -> None:
    log = walked(tenantlog)
    if route.action == GET["tile"] and "{n1}" in route.path and "{n2}" not in route.path:
        return  # the spelling of the one tile has two parts: asked for by the route of two
    answer = asked(log, route, "/sovereignty", "max")
    request_id = answer.headers["x-openstack-request-id"]
    if route.action in QUIET:
        assert answer.status in (200, 404), answer.raw
        assert leaves(log.db, request_id) == []
        assert HEADER not in answer.headers
        return
    assert answer.status < 300, answer.raw
    tenant, _, event = only(log.db, request_id, answer.headers.get(HEADER), route.path)
    assert tenant == log.demo
    assert event["action"] == route.action
    assert event["purpose"] == ("ERASURE" if route.action == "sovereignty:erase_event" else "CUSTOMER_ACCESS")


def test_who_audits_is_told_apart(tenantlog: TenantLog) -> None:
    log = walked(tenantlog)
    route = next(route for route in ledger.routes if route.path == "/v1/logs/{log}/events")
    answer = asked(log, route, "/sovereignty", "ivo")
    assert answer.status == 200
    tenant, _, event = only(log.db, answer.headers["x-openstack-request-id"], answer.headers.get(HEADER), "events")
    assert (tenant, event["purpose"]) == (log.demo, "OPERATOR_REVIEW")


def test_the_trail_leaves_one_leaf_with_each_whose_events_it_shows(tenantlog: TenantLog) -> None:
    log = walked(tenantlog)
    log.api = type(log.api)(log.api.parts)
    parts = log.api.parts
    parts.mounts = [*parts.mounts, trail.mount(log.db, log.recorder)]
    parts.guard = log.cloud.identity.guard(ledger.TABLE, trail.TABLE)
    log.api = type(log.api)(parts)
    (route,) = trail.routes
    answer = asked(log, route, "/ledger", "max")
    assert answer.status == 200, answer.raw
    found = only(log.db, answer.headers["x-openstack-request-id"], answer.headers.get(HEADER), "trail")
    assert (found[0], found[2]["purpose"]) == (log.demo, "CUSTOMER_ACCESS")
    answer = asked(log, route, "/ledger", "ivo")
    shown = {row["tenant"] for row in answer.json["events"]}
    left = leaves(log.db, answer.headers["x-openstack-request-id"])
    assert log.demo in shown and sorted(leaf[0] for leaf in left) == sorted({"", *shown})
    assert [leaf[2]["purpose"] for leaf in left] == ["CUSTOMER_ACCESS", *["OPERATOR_REVIEW"] * (len(left) - 1)]
    assert answer.headers[HEADER] == named(log.db, left[0])
