"""The domain manager of SCS-0302: everything in its own domain, nothing outside, and never more than it may give."""

from __future__ import annotations

import pytest

from tests.support.cloud import Cloud
from tests.support.world import PASSWORD, World, world


@pytest.fixture
def w(cloud: Cloud) -> World:
    made = world(cloud)
    boss = made.person("boss", made.ids["domain_id"])
    made.grant("manager", boss, domain=made.ids["domain_id"])
    made.tokens["boss"] = made.login(boss, {"domain": {"id": made.ids["domain_id"]}})
    return made


def test_it_makes_changes_and_removes_what_is_in_its_domain(w: World) -> None:
    boss, domain_id = w.tokens["boss"], w.ids["domain_id"]
    user = w.make("users", "user", {"name": "new", "password": PASSWORD, "domain_id": domain_id}, boss)["id"]
    project = w.make("projects", "project", {"name": "new", "domain_id": domain_id}, boss)["id"]
    group = w.make("groups", "group", {"name": "new", "domain_id": domain_id}, boss)["id"]
    for method, path, body, status in (
        ("PATCH", f"users/{user}", {"user": {"description": "d"}}, 200),
        ("PATCH", f"projects/{project}", {"project": {"description": "d"}}, 200),
        ("PATCH", f"groups/{group}", {"group": {"description": "d"}}, 200),
        ("PUT", f"groups/{group}/users/{user}", None, 204),
        ("HEAD", f"groups/{group}/users/{user}", None, 204),
        ("PUT", f"projects/{project}/users/{user}/roles/{w.roles['member']}", None, 204),
        ("HEAD", f"projects/{project}/users/{user}/roles/{w.roles['member']}", None, 204),
        ("PUT", f"domains/{domain_id}/groups/{group}/roles/{w.roles['reader']}", None, 204),
        ("GET", f"role_assignments?scope.project.id={project}", None, 200),
        ("DELETE", f"projects/{project}/users/{user}/roles/{w.roles['member']}", None, 204),
        ("DELETE", f"groups/{group}/users/{user}", None, 204),
        ("DELETE", f"groups/{group}", None, 204),
        ("DELETE", f"users/{user}", None, 204),
        ("DELETE", f"projects/{project}", None, 204),
    ):
        assert w.do(method, path, body, boss).status == status, (method, path)


@pytest.mark.parametrize("kind", ["user", "project", "group"])
def test_a_creation_must_name_the_own_domain(w: World, kind: str) -> None:
    for domain in ({}, {"domain_id": "default"}, {"domain_id": w.ids["other_domain"]}):
        assert w.do("POST", f"{kind}s", {kind: {"name": "new", **domain}}, w.tokens["boss"]).status == 403


def test_lists_show_the_own_domain_only(w: World) -> None:
    boss, domain_id = w.tokens["boss"], w.ids["domain_id"]
    for kind in ("users", "groups", "projects"):
        rows = w.get(kind, boss)[kind]
        assert rows and {row["domain_id"] for row in rows} == {domain_id}
        assert w.get(f"{kind}?domain_id=default", boss)[kind] == []
    assert [row["id"] for row in w.get("domains", boss)["domains"]] == [domain_id]
    scopes = [row["scope"] for row in w.get("role_assignments", boss)["role_assignments"]]
    assert {scope.get("project", scope.get("domain"))["id"] for scope in scopes} == {w.ids["project_id"], domain_id}
    assert [role["name"] for role in w.get("roles?name=admin", boss)["roles"]] == ["admin"]


@pytest.mark.parametrize("role", ["admin", "service", "auditor", "operator", "custodian", "ResellerAdmin"])
def test_high_roles_are_neither_given_nor_taken(w: World, role: str) -> None:
    for where in (f"projects/{w.ids['project_id']}", f"domains/{w.ids['domain_id']}"):
        path = f"{where}/users/{w.ids['user_id']}/roles/{w.roles[role]}"
        assert w.do("PUT", path, token=w.tokens["boss"]).status == 403
        assert w.do("PUT", path).status == 204
        assert w.do("DELETE", path, token=w.tokens["boss"]).status == 403


def test_a_role_that_implies_a_high_one_is_high(w: World) -> None:
    sly = w.make("roles", "role", {"name": "sly"})["id"]
    assert w.do("PUT", f"roles/{sly}/implies/{w.roles['admin']}").status == 403
    w.cloud.db.script([f"INSERT INTO identity_implied (prior, implied) VALUES ('{sly}', '{w.roles['admin']}')"])
    path = f"projects/{w.ids['project_id']}/users/{w.ids['user_id']}/roles/{sly}"
    assert w.do("PUT", path, token=w.tokens["boss"]).status == 403


def test_foreign_parties_make_an_assignment_foreign(w: World) -> None:
    boss, member = w.tokens["boss"], w.roles["member"]
    outsider = w.person("outsider", w.ids["other_domain"])
    for path in (
        f"projects/{w.ids['project_id']}/users/{outsider}/roles/{member}",
        f"projects/{w.ids['other_project']}/users/{w.ids['user_id']}/roles/{member}",
        f"domains/{w.ids['other_domain']}/users/{w.ids['user_id']}/roles/{member}",
        f"groups/{w.ids['group_id']}/users/{outsider}",
        f"system/users/{w.ids['user_id']}/roles/{member}",
    ):
        assert w.do("PUT", path, token=boss).status == 403, path


def test_a_domain_administrator_cannot_become_the_clouds(w: World) -> None:
    chief, member = w.tokens["domain admin"], w.ids["other_project"]
    someone = w.person("someone", w.ids["other_domain"])
    assert w.do("PUT", f"projects/{member}/users/{someone}/roles/{w.roles['admin']}", token=chief).status == 403
    assert w.do("PUT", f"projects/{member}/users/{someone}/roles/{w.roles['member']}", token=chief).status == 204


def test_holders_of_high_roles_are_out_of_its_reach(w: World) -> None:
    boss, user, group = w.tokens["boss"], w.ids["user_id"], w.ids["group_id"]
    plain = w.person("plain", w.ids["domain_id"])
    assert w.do("PUT", f"projects/{w.ids['other_project']}/groups/{group}/roles/{w.roles['admin']}").status == 204
    for method, path, body in (
        ("PATCH", f"users/{user}", {"user": {"password": "mine now"}}),
        ("DELETE", f"users/{user}", None),
        ("PATCH", f"groups/{group}", {"group": {"name": "x"}}),
        ("DELETE", f"groups/{group}", None),
        ("PUT", f"groups/{group}/users/{plain}", None),
    ):
        assert w.do(method, path, body, boss).status == 403, path
    assert w.do("GET", f"users/{user}", token=boss).status == 200
    assert w.do("PATCH", f"users/{plain}", {"user": {"password": "new one"}}, boss).status == 200
