"""Every route of identity as everybody: who gets in, by a table of its own; and who does not learns nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from andromede.db import Database
from andromede.identity import passwords
from andromede.identity.routes import mount, routes
from andromede.web.api import Api, Parts
from andromede.web.call import Reply
from andromede.web.routes import Route, Routes
from tests.campaign.isolation.callers import SPENT, expired, missing, populated
from tests.campaign.isolation.expected import EVERYONE, IDENTITY
from tests.campaign.isolation.masks import masked
from tests.support.clock import FakeClock
from tests.support.cloud import Answer, Cloud
from tests.support.world import PASSWORD, World, body_of, path_of

CLOSED = [route for route in routes if not route.public]
REACHED = 299
SHARE = 5
WORDS = ("{section}", "{option}", "{tag}", "{region_id}")
"""Parameters whose values are words that answers use anyway."""
PUBLIC = {"identity:discover", "identity:authenticate", "identity:change_password"}
"""Open to everybody by their nature; the last two check what is sent. This list may only shrink."""
SECRET = (
    "user_id", "project_id", "domain_id", "group_id", "app_id", "trust_id", "role_id", "access", "credential_id",
    "limit_id", "rule_id",
)  # fmt: skip


@pytest.fixture
def w(db: Database, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(passwords, "MEMORY_KIB", 64)
    monkeypatch.setattr(passwords, "PASSES", 1)
    yield populated(Cloud(db, tmp_path, clock))


def reaching(cloud: Cloud) -> Api:
    """The port with every handler replaced: what gets as far as the handler answers REACHED and changes nothing."""
    table: Routes[Any] = Routes()
    for route in routes:
        table.include(dataclasses.replace(route, handler=lambda *_: Reply(None, REACHED)))
    own = dataclasses.replace(mount(cloud.identity), routes=table)
    old = cloud.api.parts
    return Api(Parts([own], old.guard, old.clock, old.ids, old.log))


def called(w: World, route: Route, who: str, path: str = "") -> Answer:
    headers = {"x-subject-token": w.tokens["victim"]} if route.path == "/v3/auth/tokens" else {}
    body = body_of(w, route.body) if route.body is not None else None
    return w.cloud.call(route.method, path or path_of(w, route.path), w.tokens.get(who), body, headers)


def ids(route: Route) -> str:
    return f"{route.method} {route.path}"


def test_the_table_names_every_action_and_every_caller(w: World) -> None:
    assert set(IDENTITY) == {route.action for route in CLOSED}
    assert {route.action for route in routes if route.public} == PUBLIC
    assert set(w.tokens) == EVERYONE | {"ruled robot"} | (set(SPENT) - {"nobody", "expired"})


def test_everybody_gets_as_far_as_the_table_says(w: World) -> None:
    w.cloud.api = reaching(w.cloud)
    wrong = []
    for route in CLOSED:
        for who in sorted(EVERYONE):
            status = called(w, route, who).status
            assert status in (REACHED, 403, 404), f"{who}: {ids(route)}: {status}"
            if (status == REACHED) != (who in IDENTITY[route.action]):
                wrong.append(f"{ids(route)} ({route.action}) as {who}: {status}")
    assert wrong == [], "\n".join(wrong)


def test_a_credential_that_is_none_gets_nowhere(w: World) -> None:
    w.cloud.api = reaching(w.cloud)
    for who in SPENT:
        if who == "expired":
            w.tokens["expired"] = expired(w)
        for route in CLOSED:
            assert called(w, route, who).status == 401, f"{who}: {ids(route)}"


def test_access_rules_bind_whatever_the_roles(w: World) -> None:
    """The victim itself, by a credential that covers one path only."""
    w.cloud.api = reaching(w.cloud)
    let_in = {ids(route) for route in CLOSED if called(w, route, "ruled robot").status == REACHED}
    assert let_in == {"GET /v3/auth/projects"}


def test_what_is_not_yours_looks_as_if_it_were_not_there(w: World) -> None:
    different, compared = [], 0
    for number, route in enumerate(CLOSED):
        for who in some_of(EVERYONE - IDENTITY[route.action], number) if "{" in route.path else ():
            there = path_of(w, route.path)
            expected = shown(called(w, route, who), there, route)
            for path in missing(w, route.path):
                compared += 1
                found = shown(called(w, route, who, path), path, route)
                if found != expected:
                    different.append(f"{who}: {ids(route)}: there {expected}, at {path} {found}")
    assert different == [], "\n".join(different)
    assert compared > 1000


def some_of(outsiders: frozenset[str], number: int) -> list[str]:
    """Five of the callers, others at each route; every one gets its turn many times."""
    names = sorted(outsiders)
    return [names[(number * SHARE + at) % len(names)] for at in range(min(SHARE, len(names)))]


def shown(answer: Answer, path: str, route: Route) -> tuple[object, ...]:
    """What is left of an answer without the names that the path brought, where they are not plain words."""
    slots = zip(route.path.split("/"), path.split("/"), strict=True)
    names = [part for slot, part in slots if slot.startswith("{") and slot not in WORDS]
    return masked(answer.status, answer.headers, answer.raw, [path, *names])


def test_lists_show_nothing_of_the_victim_to_strangers(w: World) -> None:
    """Who may list at all sees the own things only: none of the victim's ids stands in any list."""
    strangers = {name for name in EVERYONE if name.startswith(("stranger ", "far domain ")) or name == "unscoped"}
    secret = [
        w.ids[name] for name in ("user_id", "project_id", "domain_id", "group_id", "app_id", "trust_id", "role_id")
    ]
    secret += [w.ids[name] for name in ("access", "credential_id", "limit_id", "rule_id")]
    filters = ["", "?domain_id={domain_id}", "?user_id={user_id}", "?name=victim", "?project_id={project_id}"]
    seen = []
    for route in CLOSED:
        if route.method != "GET" or "{" in route.path or route.path == "/v3/auth/tokens":
            continue
        for who in strangers:
            for query in filters:
                answer = called(w, route, who, route.path + query.format(**w.ids))
                found = [one for one in secret if one.encode() in answer.raw and one not in query.format(**w.ids)]
                if found:
                    seen.append(f"{ids(route)}{query} as {who}: {answer.raw[:300]!r}")
    assert seen == []


@pytest.mark.parametrize("field", ["id", "name", "domain", "application_credential", "token"])
def test_a_login_tells_nobody_who_is_there(w: World, field: str) -> None:
    """The same answers, in the same order, for wrong passwords of a user and of none: lock-out included."""

    def tries(there: bool) -> list[tuple[object, ...]]:
        name = "victim" if there else "nobody"
        user = {"id": w.ids["user_id"] if there else "f" * 32, "password": "wrong"}
        if field == "name":
            user = {"name": name, "domain": {"id": w.ids["domain_id"]}, "password": "wrong"}  # type: ignore[dict-item]
        if field == "domain":
            user = {"name": "victim", "domain": {"name": name}, "password": "wrong"}  # type: ignore[dict-item]
        identity: dict[str, Any] = {"methods": ["password"], "password": {"user": user}}
        if field == "application_credential":
            robot = {"id": w.ids["app_id"] if there else "f" * 32, "secret": "wrong"}
            identity = {"methods": ["application_credential"], "application_credential": robot}
        if field == "token":
            identity = {"methods": ["token"], "token": {"id": w.tokens["revoked"] if there else "made-up token"}}
        found = []
        for _ in range(9):
            answer = w.cloud.call("POST", "/v3/auth/tokens", body={"auth": {"identity": identity}})
            shown_of_it = identity["token"]["id"][:8] if field == "token" else ""
            found.append(masked(answer.status, answer.headers, answer.raw, [shown_of_it]))
        return found

    assert tries(True) == tries(False)


def test_a_password_is_not_changed_for_who_does_not_know_it(w: World) -> None:
    answers = set()
    for user in (w.ids["user_id"], "f" * 32):
        body = {"user": {"password": "another one", "original_password": "wrong"}}
        answer = w.cloud.call("POST", f"/v3/users/{user}/password", body=body)
        answers.add(masked(answer.status, answer.headers, answer.raw, [user]))
    assert len(answers) == 1
    assert w.login(w.ids["user_id"], {"project": {"id": w.ids["project_id"]}}, PASSWORD)
