"""No body, query or path makes the identity service stumble: every answer is below 500."""

from __future__ import annotations

import random
from typing import Any

import pytest

from andromede.identity.routes import routes
from andromede.web.routes import Route
from tests.support.cloud import Cloud
from tests.support.world import World, body_of, path_of, world

ODD: tuple[Any, ...] = (
    None, True, 0, -1, 2**63, 2**70, 1.5, "", " ", "x" * 300, "é\U0001f600", "a\x00b", "%", "{api}", "%(project_id)s",
    [], ["x"], [None], {}, {"id": None}, {"x": {"y": []}}, "2030-01-01T00:00:00Z", "9999999999", "default", "../..",
    "0001-01-01T00:00:00", "9999-12-31T23:59:59.999999+14:00", [[["x"]]], {"immutable": 1},
)  # fmt: skip
QUERIES = (
    "name=%00", "limit=9999999999999999999", "marker=x&limit=1", "enabled=perhaps", "name__contains=%25_%5C",
    "password_expires_at=lt:9999-99-99", "parents_as_list&subtree_as_ids", "effective&include_names&include_subtree",
    "scope.system=0", "domain_id=", "tags=,,,&not-tags-any=", "user.id=x&role.id=", "allow_expired=maybe&nocatalog",
)  # fmt: skip


def mangled(body: Any, dice: random.Random) -> Any:
    """The body with one member, at any depth, replaced or added."""
    if isinstance(body, dict) and body and dice.random() < 0.8:
        name = dice.choice([*body, "extra", "options", "roles", "expires_at", "tags", "password"])
        return {**body, name: mangled(body.get(name), dice)}
    if isinstance(body, list) and body and dice.random() < 0.5:
        return [mangled(body[0], dice), *body[1:]]
    return dice.choice(ODD)


def _harmless(route: Route) -> bool:
    """Deleting the world would make the rest of the run pointless."""
    return route.method != "DELETE" and not route.path.endswith("/password")


@pytest.mark.parametrize("seed", range(6))
def test_mangled_bodies_and_queries(cloud: Cloud, seed: int) -> None:
    w: World = world(cloud)
    dice = random.Random(seed)
    statuses = set()
    for route in filter(_harmless, routes):
        for _ in range(3):
            body = mangled(body_of(w, route.body), dice) if route.body is not None else None
            path = f"{path_of(w, route.path)}?{dice.choice(QUERIES)}"
            answer = cloud.call(route.method, path, w.admin, body, {"x-subject-token": w.tokens["victim"]})
            statuses.add(answer.status)
            assert answer.status < 500
    assert {200, 201, 204, 400, 404} <= statuses


def test_odd_names_in_paths(cloud: Cloud) -> None:
    w = world(cloud)
    for route in routes:
        for odd in ("%25", "%2e%2e", "a%2Fb", "%F0%9F%98%80", "x" * 500, "%20", "'--", "default"):
            parts = [odd if part.startswith("{") else part for part in route.path.split("/")]
            if "{" in route.path and _harmless(route):
                answer = cloud.call(route.method, "/".join(parts), w.admin, body_of(w, route.body))
                assert answer.status < 500, parts
