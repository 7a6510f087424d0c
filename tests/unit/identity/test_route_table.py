"""Every route: what it declares, and that it refuses whoever has no business there."""

from __future__ import annotations

import pytest

from andromede.identity.policy import TABLE
from andromede.identity.routes import routes
from tests.support.cloud import Cloud
from tests.support.world import World, body_of, path_of, world

OPEN = {"public", "any"}
# Routes whose rule lets the victim's project mates look. This list may only shrink.
PEERS_MAY_READ = {"identity:get_project", "identity:list_project_tags", "identity:get_project_tag"}


def _scopes(action: str) -> set[str]:
    return {grant.scope for grant in TABLE.grants(action)}


def test_every_route_declares_action_documentation_and_schema() -> None:
    assert len(routes) > 150
    for route in routes:
        where = f"{route.method} {route.path}"
        assert TABLE.grants(route.action), f"{where}: no rule for {route.action}"
        assert route.doc, f"{where}: no documentation"
        assert route.body is not None or route.method in ("GET", "HEAD", "DELETE", "PUT"), f"{where}: no body type"
        assert route.public == ("public" in _scopes(route.action)), where
        needs_target = _scopes(route.action) & {"domain", "project", "self"}
        assert not needs_target or route.target or route.public, f"{where}: its rule needs a target"


def test_every_rule_is_used() -> None:
    assert set(TABLE.rules) == {route.action for route in routes}


def test_nobody_is_let_in_without_a_credential(cloud: Cloud) -> None:
    w = world(cloud)
    for route in routes:
        if not route.public:
            for token in (None, "garbage"):
                answer = cloud.call(route.method, path_of(w, route.path), token, body_of(w, route.body))
                assert answer.status == 401, f"{route.method} {route.path}: {answer.status}"


def _offences(w: World, token: str, reads_allowed: set[str]) -> list[str]:
    found = []
    for route in routes:
        if _scopes(route.action) & OPEN or route.action in reads_allowed:
            continue
        path = path_of(w, route.path)
        headers = {"x-subject-token": w.tokens["victim"]}
        answer = w.cloud.call(route.method, path, token, body_of(w, route.body), headers)
        secret = any(w.ids[name].encode() in answer.raw for name in ("user_id", "project_id", "app_id", "trust_id"))
        if (answer.status < 300 and (route.method != "GET" or secret or "{" in route.path)) or (
            answer.status >= 300 and answer.status not in (403, 404)
        ):
            found.append(f"{route.method} {path}: {answer.status} {answer.raw[:200]!r}")
    return found


@pytest.mark.parametrize("caller", ["stranger", "manager", "domain admin", "unscoped", "auditor"])
def test_strangers_are_refused_everywhere(cloud: Cloud, caller: str) -> None:
    w = world(cloud)
    allowed = {"identity:get_domain"} if caller == "auditor" else set()
    assert _offences(w, w.tokens[caller], allowed) == []


def test_a_project_mate_may_read_the_project_and_no_more(cloud: Cloud) -> None:
    w = world(cloud)
    own = {"identity:get_domain", "identity:get_limit", *PEERS_MAY_READ}
    assert _offences(w, w.tokens["peer"], own) == []


def test_refused_changes_leave_an_event(cloud: Cloud) -> None:
    w = world(cloud)
    assert w.do("DELETE", f"users/{w.ids['user_id']}", token=w.tokens["stranger"]).status == 403
    row = cloud.db.one("SELECT body FROM audit_event ORDER BY id DESC LIMIT 1")
    assert row is not None and b'"action":"identity:delete_user"' in row[0] and b'"outcome":"denied"' in row[0]


def test_the_table_can_be_printed() -> None:
    rows = dict(TABLE.table())
    assert (
        rows["identity:create_user"] == "admin on the system (or admin on a project); or manager on the target's domain"
    )
    assert rows["identity:authenticate"] == "anyone, unauthenticated"
