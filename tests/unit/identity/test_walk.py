"""Every route of the API port: one leaf, the right purpose, and the header that names it; or none where it says so."""

from __future__ import annotations

import json
from typing import Any

import pytest

from andromede.audit import routes as trail_routes
from andromede.identity.routes import UNTOUCHED, routes
from andromede.web.routes import Route
from tests.support.cloud import Answer, Cloud
from tests.support.world import PASSWORD, World, body_of, path_of, world

HEADER = "andromede-ledger"
# What each of these needs besides the bodies that `body_of` makes.
WITHOUT_SUCCESS = {
    ("POST", "/v3/auth/tokens"),  # tested with and without success below
    ("POST", "/v3/users/{user_id}/password"),
}


def leaves(cloud: Cloud, request_id: str) -> list[tuple[str, int, dict[str, Any]]]:
    """(tenant, position, event) of everything that a request left."""
    rows = cloud.db.all("SELECT tenant, position, body FROM audit_event ORDER BY id")
    found = [(str(row[0]), int(row[1]), json.loads(bytes(row[2]))) for row in rows]
    return [leaf for leaf in found if leaf[2]["request_id"] == request_id]


def origin(cloud: Cloud, tenant: str) -> str:
    row = cloud.db.one("SELECT origin FROM ledger_log WHERE tenant = ?", (tenant,))
    assert row is not None
    return str(row[0])


def checked(cloud: Cloud, answer: Answer, where: str) -> tuple[str, dict[str, Any]]:
    """The one leaf of an answer, which its header names: (tenant, event)."""
    found = leaves(cloud, answer.headers["x-openstack-request-id"])
    assert len(found) == 1, f"{where}: {answer.status} left {len(found)} leaves: {found} {answer.raw[:200]!r}"
    tenant, position, event = found[0]
    assert answer.headers.get(HEADER) == f"{origin(cloud, tenant)} {position}", where
    return tenant, event


LATE = {
    "registered_limits/{limit_id}": 1,
    "services/{service_id}": 2,
    "projects/{project_id}": 3,
    "domains/{domain_id}": 4,
}
"""What is removed last, because other things go with it."""


def order(route: Route) -> tuple[int, int, int]:
    """Reads, then what makes things, changes them, and removes them, the deepest first."""
    rank = {"GET": 0, "HEAD": 0, "POST": 1, "PUT": 2, "PATCH": 3, "DELETE": 4}[route.method]
    return rank, LATE.get(route.path.removeprefix("/v3/"), 0), -route.path.count("/")


def path(w: World, route: Route) -> str:
    """The route's path for a call that succeeds."""
    filled = path_of(w, route.path)
    if "/system/" in route.path or "/trusts/" in route.path:  # roles of domains cannot be held there
        filled = filled.replace(w.ids["role_id"], w.roles["member"])
    return (
        filled.replace("/far", "/near") if (route.method, route.action) == ("PUT", "identity:create_region") else filled
    )


def subject(w: World, route: Route) -> dict[str, str]:
    return {"x-subject-token": w.tokens["peer"]} if route.path == "/v3/auth/tokens" else {}


def prepared(w: World, route: Route) -> None:
    """What must be there for the route to succeed, where the routes before it took it away or made it."""
    ids, reached = w.ids, route.path
    if route.method in ("GET", "DELETE"):
        grant = reached.endswith(("/roles/{role_id}", "/inherited_to_projects")) and "{role_id}" in reached
        if (grant and "/trusts/" not in reached) or reached.endswith("/tags/{tag}"):
            w.do("PUT", path(w, route).removeprefix("/v3/"))
    if "/config" in reached and "default" not in reached:
        w.do("PUT", f"domains/{ids['domain_id']}/config", {"config": {"identity": {"driver": "sql"}}})
    if route.method == "DELETE" and reached.startswith("/v3/registered_limits"):
        for limit in w.get("limits")["limits"]:
            w.do("DELETE", f"limits/{limit['id']}")
    if route.method == "DELETE" and reached == "/v3/domains/{domain_id}":
        w.do("PATCH", f"domains/{ids['domain_id']}", {"domain": {"enabled": False}})


def called(w: World, route: Route) -> Answer:
    """The route called by the victim where only the victim may, else by the administrator."""
    own = ("application_credential", "access_rule", "trust")
    victims = any(word in route.action for word in own) and route.action != "identity:list_trusts"
    body = body_of(w, route.body)
    if route.path.endswith("/config/{section}/{option}"):
        body = {"config": {"driver": "sql"}}
    if route.method == "PATCH":
        for part in body.values():
            for name in ("domain_id", "user_id"):
                part.pop(name, None)
            if part.get("name") == "x":
                part["name"] = "y"
    return w.cloud.call(
        route.method, path(w, route), w.tokens["victim"] if victims else w.admin,
        body if route.body is not None else None, subject(w, route),
    )  # fmt: skip


def test_every_identity_route_leaves_one_leaf_and_names_it(cloud: Cloud) -> None:
    w = world(cloud)
    failures = []
    for route in sorted(routes, key=order):
        where = f"{route.method} {route.path}"
        if (route.method, route.path) in WITHOUT_SUCCESS:
            continue
        prepared(w, route)
        answer = called(w, route)
        if answer.status >= 300 and not route.public:
            failures.append(f"{where}: {answer.status} {answer.raw[:160]!r}")
            continue
        if route.public or route.action in UNTOUCHED:
            assert leaves(cloud, answer.headers["x-openstack-request-id"]) == [], where
            assert HEADER not in answer.headers, where
            continue
        tenant, event = checked(cloud, answer, where)
        assert event["action"] == route.action, where
        assert event["outcome"] == "success", where
        own = tenant in ("", _project(cloud, "admin"))
        reading = route.method in ("GET", "HEAD")
        by_victim = event["actor"] == f"user:{w.ids['user_id']}"
        expected = "CUSTOMER_ACCESS" if own or by_victim else "OPERATOR_REVIEW" if reading else "OPERATOR_SYSTEM"
        assert event["purpose"] == expected, f"{where}: {event}"
    assert failures == [], "\n".join(failures)


def _project(cloud: Cloud, name: str) -> str:
    row = cloud.db.one("SELECT id FROM identity_project WHERE name = ?", (name,))
    assert row is not None
    return str(row[0])


def test_the_routes_that_touch_nothing_are_reads_and_are_there() -> None:
    actions = {route.action: route.method for route in routes if route.action in UNTOUCHED}
    assert set(actions) == UNTOUCHED
    assert set(actions.values()) <= {"GET", "HEAD"}


@pytest.mark.parametrize("caller", ["stranger", "unscoped"])
def test_every_refusal_leaves_one_leaf_and_names_it(cloud: Cloud, caller: str) -> None:
    w = world(cloud)
    count = 0
    for route in routes:
        if route.public:
            continue
        where = f"{route.method} {route.path}"
        answer = w.cloud.call(route.method, path(w, route), w.tokens[caller], body_of(w, route.body), subject(w, route))
        if answer.status != 403:
            continue
        count += 1
        tenant, event = checked(cloud, answer, where)
        assert event["outcome"] == "denied", where
        assert tenant == ("" if caller == "unscoped" else w.ids["other_project"]), where
    assert count > 100


def test_logins_leave_one_leaf_whether_they_succeed_or_not(cloud: Cloud) -> None:
    w = world(cloud)
    scope = {"project": {"id": w.ids["project_id"]}}
    good = _login(w, w.ids["user_id"], PASSWORD, scope)
    assert good.status == 201
    tenant, event = checked(cloud, good, "login")
    assert (tenant, event["outcome"], event["purpose"]) == (w.ids["project_id"], "success", "CUSTOMER_ACCESS")
    for answer in (
        _login(w, w.ids["user_id"], "wrong", scope),
        _login(w, "nobody", PASSWORD, scope),
        _login(w, w.ids["user_id"], PASSWORD, {"project": {"id": "unknown"}}),
        _login(w, w.ids["user_id"], PASSWORD, {"system": {"all": True}}),
    ):
        assert answer.status == 401
        tenant, event = checked(cloud, answer, "login")
        assert (tenant, event["outcome"]) == ("", "failure")


def _login(w: World, user_id: str, password: str, scope: Any) -> Answer:
    auth = {"identity": {"methods": ["password"], "password": {"user": {"id": user_id, "password": password}}}}
    return w.cloud.call("POST", "/v3/auth/tokens", body={"auth": {**auth, "scope": scope}})


def test_a_password_changed_by_its_owner_leaves_one_leaf(cloud: Cloud) -> None:
    w = world(cloud)
    where = f"/v3/users/{w.ids['user_id']}/password"
    wrong = w.cloud.call("POST", where, body={"user": {"password": "another one", "original_password": "wrong"}})
    assert wrong.status == 401
    assert checked(cloud, wrong, "password")[1]["outcome"] == "failure"
    right = w.cloud.call("POST", where, body={"user": {"password": "another one", "original_password": PASSWORD}})
    assert right.status == 204
    assert checked(cloud, right, "password")[1]["action"] == "identity:change_password"


def test_looking_at_ones_own_token_leaves_nothing(cloud: Cloud) -> None:
    w = world(cloud)
    own = w.tokens["victim"]
    answer = w.cloud.call("GET", "/v3/auth/tokens", own, headers={"x-subject-token": own})
    assert answer.status == 200
    assert leaves(cloud, answer.headers["x-openstack-request-id"]) == []
    assert HEADER not in answer.headers
    other = w.cloud.call("GET", "/v3/auth/tokens", w.admin, headers={"x-subject-token": own})
    assert other.status == 200
    checked(cloud, other, "token")


def test_a_name_that_a_client_gives_begins_no_log(cloud: Cloud) -> None:
    w = world(cloud)
    before = cloud.db.one("SELECT count(*) FROM ledger_log")
    assert w.do("GET", "role_assignments?scope.project.id=made-up").status == 200
    body = {"credential": {"type": "cert", "blob": "x", "user_id": w.ids["user_id"], "project_id": "made-up"}}
    assert w.do("POST", "credentials", body).status == 201
    assert cloud.db.one("SELECT count(*) FROM ledger_log") == before


def test_the_trail_is_covered_by_its_own_test() -> None:
    assert [(route.method, route.path) for route in trail_routes.routes] == [("GET", "/v1/events")]
