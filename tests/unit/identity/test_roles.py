"""Roles, inferences, grants, inheritance and the list of assignments."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.cloud import Cloud
from tests.support.world import World, world


@pytest.fixture
def w(cloud: Cloud) -> World:
    return world(cloud)


def test_roles_of_a_domain_are_apart(w: World) -> None:
    assert "captain" not in {role["name"] for role in w.get("roles")["roles"]}
    rows = w.get(f"roles?domain_id={w.ids['domain_id']}")["roles"]
    assert [row["name"] for row in rows] == ["captain"]
    assert w.do("POST", "roles", {"role": {"name": "x", "domain_id": "ghost"}}).status == 404
    path = f"projects/{w.ids['other_project']}/users/{w.ids['user_id']}/roles/{w.ids['role_id']}"
    assert w.do("PUT", path).status == 403
    assert w.do("PUT", f"system/users/{w.ids['user_id']}/roles/{w.ids['role_id']}").status == 403
    assert w.do("PUT", f"roles/{w.roles['reader']}/implies/{w.ids['role_id']}").status == 403


def test_a_domain_role_shows_only_as_what_it_implies(w: World) -> None:
    user = w.person("sailor", w.ids["domain_id"])
    where = f"projects/{w.ids['project_id']}/users/{user}/roles/{w.ids['role_id']}"
    assert w.do("PUT", where).status == 204
    rows = w.get(f"role_assignments?user.id={user}&effective&include_names")["role_assignments"]
    assert [row["role"]["name"] for row in rows] == ["reader"]
    assert "prior_role" in rows[0]["links"]
    token = w.login(user, {"project": {"id": w.ids["project_id"]}})
    body = w.cloud.call("GET", "/v3/auth/tokens", w.admin, headers={"x-subject-token": token}).json["token"]
    assert [role["name"] for role in body["roles"]] == ["reader"]


def test_inferences(w: World) -> None:
    path = f"roles/{w.roles['auditor']}/implies/{w.roles['reader']}"
    assert w.do("HEAD", path).status == 404
    made = w.do("PUT", path)
    assert made.status == 201
    assert made.json["role_inference"]["implies"]["name"] == "reader"
    assert w.get(path)["role_inference"]["prior_role"]["name"] == "auditor"
    assert w.do("HEAD", path).status == 204
    assert len(w.get(f"roles/{w.roles['auditor']}/implies")["role_inference"]["implies"]) == 1
    priors = {row["prior_role"]["name"] for row in w.get("role_inferences")["role_inferences"]}
    assert priors == {"admin", "manager", "member", "captain", "auditor"}
    assert w.do("DELETE", path).status == 204
    assert w.do("DELETE", path).status == 404
    assert w.do("PUT", f"roles/ghost/implies/{w.roles['reader']}").status == 404


def test_a_deleted_role_is_gone_everywhere(w: World) -> None:
    role = w.make("roles", "role", {"name": "temp", "description": "d"})
    user, project_id = w.ids["user_id"], w.ids["project_id"]
    assert w.do("PUT", f"projects/{project_id}/users/{user}/roles/{role['id']}").status == 204
    changed = w.do("PATCH", f"roles/{role['id']}", {"role": {"name": "tmp", "shade": "x"}}).json["role"]
    assert (changed["name"], changed["shade"], changed["description"]) == ("tmp", "x", "d")
    assert w.do("DELETE", f"roles/{role['id']}").status == 204
    names = [row["name"] for row in w.get(f"projects/{project_id}/users/{user}/roles")["roles"]]
    assert names == ["member"]


@pytest.mark.parametrize("target", ["projects", "domains", "system"])
@pytest.mark.parametrize("actor", ["users", "groups"])
def test_grants_on_every_target(w: World, target: str, actor: str) -> None:
    target_id = {"projects": f"/{w.ids['project_id']}", "domains": f"/{w.ids['domain_id']}", "system": ""}[target]
    actor_id = w.ids["user_id" if actor == "users" else "group_id"]
    path = f"{target}{target_id}/{actor}/{actor_id}/roles"
    one = f"{path}/{w.roles['auditor']}"
    assert w.do("HEAD", one).status == 404
    assert w.do("PUT", one).status == 204
    assert w.do("PUT", one).status == 204
    assert w.do("HEAD", one).status == 204
    assert w.do("GET", one).status == 204
    assert "auditor" in [row["name"] for row in w.get(path)["roles"]]
    assert w.do("DELETE", one).status == 204
    assert w.do("DELETE", one).status == 404
    assert w.do("PUT", f"{path}/ghost").status == 404
    assert w.do("PUT", one.replace(actor_id, "ghost")).status == 404


@pytest.mark.parametrize("target", ["projects", "domains"])
def test_inherited_roles_reach_the_projects_below(w: World, target: str) -> None:
    child = w.make("projects", "project", {"name": "child", "parent_id": w.ids["project_id"]})["id"]
    target_id = w.ids["project_id"] if target == "projects" else w.ids["domain_id"]
    user = w.person("heir", w.ids["domain_id"])
    base = f"OS-INHERIT/{target}/{target_id}/users/{user}/roles"
    one = f"{base}/{w.roles['member']}/inherited_to_projects"
    assert w.do("PUT", one).status == 204
    assert w.do("HEAD", one).status == 204
    assert [row["name"] for row in w.get(f"{base}/inherited_to_projects")["roles"]] == ["member"]
    assert w.login(user, {"project": {"id": child}})
    expected = {child} if target == "projects" else {child, w.ids["project_id"]}
    assert {row["id"] for row in w.get(f"users/{user}/projects")["projects"]} == expected
    rows = w.get(f"role_assignments?user.id={user}&effective&role.id={w.roles['member']}")["role_assignments"]
    assert {row["scope"]["project"]["id"] for row in rows} == expected
    assert all(row["scope"]["OS-INHERIT:inherited_to"] == "projects" for row in rows)
    stored = w.get(f"role_assignments?user.id={user}&scope.OS-INHERIT:inherited_to=projects")["role_assignments"]
    assert len(stored) == 1 and stored[0]["links"]["assignment"].endswith("/inherited_to_projects")
    assert w.do("DELETE", one).status == 204
    assert w.get(f"role_assignments?user.id={user}&effective")["role_assignments"] == []


def assigned(w: World, query: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = w.get(f"role_assignments?{query}")["role_assignments"]
    return rows


def test_assignment_filters(w: World) -> None:
    project_id, group = w.ids["project_id"], w.ids["group_id"]
    child = w.make("projects", "project", {"name": "child", "parent_id": project_id})["id"]
    w.do("PUT", f"projects/{child}/groups/{group}/roles/{w.roles['manager']}")
    assert len(assigned(w, f"scope.project.id={child}")) == 1
    tree = assigned(w, f"scope.project.id={project_id}&include_subtree=true")
    assert {row["scope"]["project"]["id"] for row in tree} == {project_id, child}
    assert [row["group"]["id"] for row in assigned(w, f"group.id={group}")] == [group]
    effective = assigned(w, f"scope.project.id={child}&effective=true&include_names=true")
    assert {row["user"]["name"] for row in effective} == {"victim"}
    assert {row["role"]["name"] for row in effective} == {"manager", "member", "reader"}
    assert effective[0]["user"]["domain"]["name"] == "victim"
    assert "membership" in effective[0]["links"]
    assert {row["scope"]["system"]["all"] for row in assigned(w, "scope.system=all")} == {True}
    assert len(assigned(w, f"scope.domain.id=default&role.id={w.roles['admin']}")) == 1
    named = assigned(w, "scope.domain.id=default&include_names=true")
    assert named[0]["scope"]["domain"] == {"id": "default", "name": "Default"}
    for bad in (
        f"scope.project.id={child}&scope.domain.id=default",
        f"user.id=a&group.id={group}",
        "scope.OS-INHERIT:inherited_to=domains",
        "include_subtree=true",
        f"effective=true&group.id={group}",
    ):
        assert w.do("GET", f"role_assignments?{bad}").status == 400, bad
