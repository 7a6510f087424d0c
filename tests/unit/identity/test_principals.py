"""Domains, projects, users, groups and passwords."""

from __future__ import annotations

from pathlib import Path

import pytest

from andromede.db import Database
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud, project
from tests.support.world import PASSWORD, World, world


@pytest.fixture
def w(cloud: Cloud) -> World:
    return world(cloud)


def test_projects_form_a_tree(w: World) -> None:
    top = w.make("projects", "project", {"name": "top", "colour": "blue"})
    assert (top["parent_id"], top["colour"], top["is_domain"]) == ("default", "blue", False)
    middle = w.make("projects", "project", {"name": "middle", "parent_id": top["id"]})
    leaf = w.make("projects", "project", {"name": "leaf", "parent_id": middle["id"]})
    assert w.do("POST", "projects", {"project": {"name": "deep", "parent_id": leaf["id"]}}).status == 201
    deep = w.get("projects?name=deep")["projects"][0]
    assert w.do("POST", "projects", {"project": {"name": "deeper", "parent_id": deep["id"]}}).status == 403
    shown = w.get(f"projects/{leaf['id']}?parents_as_ids&subtree_as_ids")["project"]
    assert shown["parents"] == {middle["id"]: {top["id"]: {"default": None}}}
    assert shown["subtree"] == {deep["id"]: None}
    shown = w.get(f"projects/{top['id']}?subtree_as_list&parents_as_list")["project"]
    assert {row["project"]["name"] for row in shown["subtree"]} == {"middle", "leaf", "deep"}
    assert shown["parents"] == []
    assert w.do("DELETE", f"projects/{top['id']}").status == 403
    assert w.do("PATCH", f"projects/{top['id']}", {"project": {"enabled": False}}).status == 403
    for one in (deep, leaf, middle):
        assert w.do("PATCH", f"projects/{one['id']}", {"project": {"enabled": False}}).status == 200
    assert w.do("PATCH", f"projects/{leaf['id']}", {"project": {"enabled": True}}).status == 403
    assert w.do("POST", "projects", {"project": {"name": "z", "parent_id": leaf["id"]}}).status == 403
    assert w.do("PATCH", f"projects/{leaf['id']}", {"project": {"parent_id": top["id"]}}).status == 403
    assert w.do("DELETE", f"projects/{deep['id']}").status == 204


def test_project_lists_honour_their_filters(w: World) -> None:
    for name, tags, enabled in (("aa", ["x", "y"], True), ("ab", ["x"], False), ("b_", [], True)):
        w.make("projects", "project", {"name": name, "tags": tags, "enabled": enabled, "domain_id": "default"})

    def names(query: str) -> list[str]:
        rows = w.get(f"projects?domain_id=default&{query}")["projects"]
        return [row["name"] for row in rows if row["name"] in ("aa", "ab", "b_")]

    assert names("") == ["aa", "ab", "b_"]
    assert names("enabled=false") == ["ab"]
    assert names("enabled") == ["aa", "b_"]
    assert names("name__startswith=a") == ["aa", "ab"]
    assert names("name__icontains=A") == ["aa", "ab"]
    assert names("name__endswith=_") == ["b_"]
    assert names("tags=x,y") == ["aa"]
    assert names("tags-any=x,y") == ["aa", "ab"]
    assert names("not-tags=x,y") == ["ab", "b_"]
    assert names("not-tags-any=x") == ["b_"]
    first = w.get("projects?domain_id=default&limit=2")
    assert len(first["projects"]) == 2
    second = w.cloud.call("GET", first["links"]["next"].removeprefix("http://cloud.test/identity"), w.admin)
    assert second.status == 200
    assert not {row["id"] for row in second.json["projects"]} & {row["id"] for row in first["projects"]}
    assert w.do("GET", "projects?limit=-1").status == 400
    assert w.do("GET", "projects?marker=ghost").status == 400


def test_tags(w: World) -> None:
    path = f"projects/{w.ids['project_id']}/tags"
    assert w.do("PUT", path, {"tags": ["b", "a", "a"]}).json["tags"] == ["a", "b"]
    assert w.do("PUT", f"{path}/c").status == 201
    assert w.get(path)["tags"] == ["a", "b", "c"]
    assert w.do("GET", f"{path}/c").status == 204
    assert w.do("HEAD", f"{path}/z").status == 404
    assert w.do("DELETE", f"{path}/a").status == 204
    assert w.do("DELETE", f"{path}/a").status == 404
    assert w.do("PUT", f"{path}/a%2Fb").status == 400
    assert w.do("PUT", path, {"tags": ["x" * 256]}).status == 400
    assert w.do("PUT", path, {"tags": [str(n) for n in range(81)]}).status == 400
    assert w.do("DELETE", path).status == 204
    assert w.get(path)["tags"] == []


def test_immutable_things_stay(w: World) -> None:
    for kind in ("project", "domain", "role"):
        made = w.make(f"{kind}s", kind, {"name": "rock", "options": {"immutable": True}})
        path = f"{kind}s/{made['id']}"
        assert w.do("PATCH", path, {kind: {"name": "sand"}}).status == 403
        assert w.do("DELETE", path).status == 403
        assert w.do("PATCH", path, {kind: {"options": {"immutable": False}}}).status == 200
        assert w.do("PATCH", path, {kind: {"name": "sand"}}).status == 200
    assert w.do("POST", "roles", {"role": {"name": "x", "options": {"immutable": "yes"}}}).status == 400


def test_names_are_unique_in_their_place(w: World) -> None:
    domain_id = w.ids["domain_id"]
    for kind, name in (("project", "vault"), ("user", "victim"), ("group", "crew")):
        assert w.do("POST", f"{kind}s", {kind: {"name": name, "domain_id": domain_id}}).status == 409
        made = w.make(f"{kind}s", kind, {"name": name, "domain_id": w.ids["other_domain"]})
        other = w.make(f"{kind}s", kind, {"name": "free", "domain_id": w.ids["other_domain"]})
        assert w.do("PATCH", f"{kind}s/{other['id']}", {kind: {"name": name}}).status == 409
        assert w.get(f"{kind}s/{other['id']}")[kind]["name"] == "free"
        assert w.do("PATCH", f"{kind}s/{made['id']}", {kind: {"domain_id": "default"}}).status == 400
    assert w.do("POST", "domains", {"domain": {"name": "victim"}}).status == 409
    assert w.do("POST", "roles", {"role": {"name": "admin"}}).status == 409


def test_a_disabled_domain_stops_everything_in_it_and_can_be_deleted(w: World) -> None:
    path = f"domains/{w.ids['domain_id']}"
    assert w.do("DELETE", path).status == 403
    assert w.do("PATCH", path, {"domain": {"enabled": False}}).status == 200
    assert w.do("GET", "auth/projects", token=w.tokens["victim"]).status == 401
    assert w.do("DELETE", path).status == 204
    for kind in ("user", "project", "group", "role"):
        assert w.do("GET", f"{kind}s/{w.ids[f'{kind}_id']}").status == 404
    assert w.do("GET", path).status == 404


def test_a_domain_is_a_project_too(w: World) -> None:
    made = w.make("projects", "project", {"name": "realm", "is_domain": True})
    assert made["domain_id"] is None and made["is_domain"] is True
    assert w.get(f"domains/{made['id']}")["domain"]["name"] == "realm"
    assert [row["id"] for row in w.get("projects?is_domain=true&name=realm")["projects"]] == [made["id"]]
    assert w.do("DELETE", f"projects/{made['id']}").status == 403
    assert w.do("PATCH", f"projects/{made['id']}", {"project": {"enabled": False}}).status == 200
    assert w.do("DELETE", f"projects/{made['id']}").status == 204


def test_domain_configuration(w: World) -> None:
    path = f"domains/{w.ids['domain_id']}/config"
    assert w.do("GET", path).status == 404
    assert w.do("PATCH", path, {"config": {"identity": {"driver": "ldap"}}}).status == 404
    config = {"identity": {"driver": "ldap"}, "ldap": {"url": "ldap://a.invalid"}}
    assert w.do("PUT", path, {"config": config}).status == 201
    assert w.do("PUT", path, {"config": config}).status == 200
    assert w.do("PATCH", f"{path}/ldap", {"config": {"ldap": {"user": "u"}}}).json["config"]["ldap"]["user"] == "u"
    assert w.do("PATCH", f"{path}/ldap/url", {"config": {"url": "ldap://b.invalid"}}).status == 200
    assert w.get(f"{path}/ldap/url")["config"] == {"url": "ldap://b.invalid"}
    assert w.do("PATCH", f"{path}/ldap/url", {"config": {"user": "x"}}).status == 400
    assert w.do("PATCH", f"{path}/ldap", {"config": {"identity": {}}}).status == 400
    assert w.do("PUT", path, {"config": {"secrets": {"a": 1}}}).status == 403
    assert w.do("PUT", path, {"config": {"ldap": {"colour": 1}}}).status == 403
    assert w.do("PUT", path, {"config": {"ldap": {"url": []}}}).status == 400
    assert w.do("PUT", path, {"config": {}}).status == 400
    assert w.do("GET", f"{path}/secrets").status == 403
    assert w.do("DELETE", f"{path}/ldap/user").status == 204
    assert w.do("GET", f"{path}/ldap/user").status == 404
    assert w.do("DELETE", f"{path}/ldap").status == 204
    assert w.do("GET", f"{path}/ldap").status == 404
    assert w.do("DELETE", path).status == 204
    assert "driver" in w.get("domains/config/default")["config"]["identity"]
    assert w.get("domains/config/identity/driver/default")["config"] == {"driver": "sql"}
    assert "url" in w.get("domains/config/ldap/default")["config"]["ldap"]


def test_users_keep_extra_members_and_filters_work(w: World) -> None:
    made = w.make("users", "user", {"name": "zoe", "email": "zoe@example.org", "desk": 7, "enabled": False})
    assert (made["email"], made["desk"], made["enabled"], made["domain_id"]) == ("zoe@example.org", 7, False, "default")
    assert "password" not in made
    found = w.cloud.identity.core.authenticator.user_by_email("zoe@example.org")
    assert found is not None and found.id == made["id"]
    assert w.cloud.identity.core.authenticator.user_by_email("zoe@example.%") is None
    assert [row["name"] for row in w.get("users?name=zoe")["users"]] == ["zoe"]
    assert [row["name"] for row in w.get("users?enabled=false")["users"]] == ["zoe"]
    assert w.get("users?name=zo")["users"] == []
    assert w.get("users?idp_id=x")["users"] == []
    assert w.do("GET", "users?password_expires_at=soon:2020").status == 400
    changed = w.do("PATCH", f"users/{made['id']}", {"user": {"desk": 8, "name": "zoé"}}).json["user"]
    assert (changed["desk"], changed["name"], changed["email"]) == (8, "zoé", "zoe@example.org")
    assert w.do("DELETE", f"users/{made['id']}").status == 204
    assert w.do("GET", f"users/{made['id']}").status == 404
    assert w.do("DELETE", f"users/{made['id']}").status == 404


def test_the_default_project_is_the_default_scope(w: World) -> None:
    demo = w.cloud.secrets.demo_project_id
    rows = w.get("users?name=demo")["users"]
    w.do("PATCH", f"users/{rows[0]['id']}", {"user": {"default_project_id": demo}})
    token = w.cloud.login("demo", w.cloud.secrets.demo_password).json["token"]
    assert token["project"]["id"] == demo
    w.do("PATCH", f"projects/{demo}", {"project": {"enabled": False}})
    token = w.cloud.login("demo", w.cloud.secrets.demo_password).json["token"]
    assert "project" not in token
    assert w.do("PATCH", f"users/{rows[0]['id']}", {"user": {"default_project_id": "default"}}).status == 400


def test_groups_give_their_roles_to_members(w: World) -> None:
    user, group = w.ids["trustee"], w.ids["group_id"]
    path = f"projects/{w.ids['project_id']}/groups/{group}/roles/{w.roles['manager']}"
    assert w.do("PUT", path).status == 204
    assert w.do("PUT", f"groups/{group}/users/{user}").status == 204
    assert w.do("GET", f"groups/{group}/users/{user}").status == 204
    token = w.login(user, {"project": {"id": w.ids["project_id"]}})
    assert w.do("GET", "auth/projects", token=token).status == 200
    assert [row["name"] for row in w.get(f"users/{user}/groups")["groups"]] == ["crew"]
    assert w.get(f"users/{user}/groups?name=x")["groups"] == []
    assert {row["name"] for row in w.get(f"groups/{group}/users")["users"]} == {"victim", "trustee"}
    assert [row["name"] for row in w.get(f"groups/{group}/users?name=victim")["users"]] == ["victim"]
    assert [row["name"] for row in w.get(f"users/{user}/projects")["projects"]] == ["vault"]
    assert w.do("DELETE", f"groups/{group}/users/{user}").status == 204
    assert w.do("DELETE", f"groups/{group}/users/{user}").status == 404
    assert w.do("GET", "auth/projects", token=token).status == 401
    assert w.do("PATCH", f"groups/{group}", {"group": {"name": "team", "description": None}}).status == 200
    assert w.do("DELETE", f"groups/{group}").status == 204


def change(w: World, old: str, new: str, user: str = "") -> int:
    body = {"user": {"original_password": old, "password": new}}
    return w.cloud.call("POST", f"/v3/users/{user or w.ids['user_id']}/password", body=body).status


def test_a_user_changes_its_own_password(w: World) -> None:
    assert change(w, "wrong", "next") == 401
    assert change(w, PASSWORD, PASSWORD) == 400
    assert change(w, PASSWORD, "next") == 204
    assert w.do("GET", "auth/projects", token=w.tokens["victim"]).status == 401
    assert w.login(w.ids["user_id"], "unscoped", "next")
    assert change(w, "x", "y", "nobody") == 401
    w.do("PATCH", f"users/{w.ids['user_id']}", {"user": {"options": {"lock_password": True}}})
    assert change(w, "next", "other") == 400
    w.do("PATCH", f"users/{w.ids['user_id']}", {"user": {"options": {"lock_password": None}, "enabled": False}})
    assert change(w, "next", "other") == 401


def test_password_rules(db: Database, tmp_path: Path, clock: FakeClock) -> None:
    cloud = Cloud(
        db, tmp_path, clock, password_expires_days=10, password_history=2, password_minimum_age_days=1,
        password_regex=r".{4,}", password_regex_text="four characters at least",
    )  # fmt: skip
    w = World(cloud, cloud.admin())
    refused = w.do("POST", "users", {"user": {"name": "u", "password": "abc"}})
    assert refused.status == 400 and "four characters" in refused.json["error"]["message"]
    made = w.make("users", "user", {"name": "u", "password": "first"})
    assert made["password_expires_at"] == "2026-01-11T00:00:00.000000"
    assert change(w, "first", "second", made["id"]) == 204
    assert change(w, "second", "third", made["id"]) == 400  # too young
    clock.advance(86400)
    assert change(w, "second", "first", made["id"]) == 400  # used before
    assert change(w, "second", "abc", made["id"]) == 400
    assert change(w, "second", "third", made["id"]) == 204
    clock.advance(86400)
    assert change(w, "third", "first", made["id"]) == 204
    w.admin = cloud.admin()
    query = "password_expires_at=lt:2026-01-20T00:00:00Z&name=u"
    assert [row["name"] for row in w.get(f"users?{query}")["users"]] == ["u"]
    assert w.get("users?name=u&password_expires_at=gt:2026-01-20T00:00:00Z")["users"] == []
    clock.advance(10 * 86400)
    expired = cloud.login("u", "first")
    assert expired.status == 401 and "expired" in expired.json["error"]["message"]
    assert change(w, "first", "fresh", made["id"]) == 204
    assert cloud.login("u", "fresh").status == 201


def test_a_password_set_by_an_administrator_ends_tokens(w: World) -> None:
    body = {"user": {"password": "given"}}
    assert w.do("PATCH", f"users/{w.ids['user_id']}", body).status == 200
    assert w.do("GET", "auth/projects", token=w.tokens["victim"]).status == 401
    assert w.login(w.ids["user_id"], "unscoped", "given")


def test_a_reenabled_user_needs_a_new_token(w: World) -> None:
    for enabled in (False, True):
        w.do("PATCH", f"users/{w.ids['user_id']}", {"user": {"enabled": enabled}})
        assert w.do("GET", "auth/projects", token=w.tokens["victim"]).status == 401
    assert w.login(w.ids["user_id"], "unscoped")


def test_what_a_caller_may_scope_to(w: World) -> None:
    token = w.tokens["victim"]
    assert [row["name"] for row in w.get("auth/projects", token)["projects"]] == ["vault"]
    assert w.get("auth/domains", token)["domains"] == []
    assert w.get("auth/system", token)["system"] == []
    assert w.get("auth/system")["system"] == [{"all": True}]
    assert {entry["type"] for entry in w.get("auth/catalog", token)["catalog"]} >= {"identity", "object-store"}
    admin = w.cloud.token("admin", w.cloud.secrets.admin_password, project("admin"))
    assert [row["id"] for row in w.get("auth/domains", admin)["domains"]] == ["default"]


def test_the_default_domain_stays(w: World) -> None:
    assert w.do("PATCH", "domains/default", {"domain": {"enabled": False}}).status == 403
    assert w.do("DELETE", "domains/default").status == 403
    assert w.do("PATCH", "domains/default", {"domain": {"description": "ours"}}).status == 200


def test_long_lists_of_ids_are_asked_for_in_parts(w: World) -> None:
    from andromede.identity import principals_store

    ids = [*(f"x{n}" for n in range(12_000)), w.ids["project_id"], w.ids["other_project"]]
    found = principals_store.PROJECTS.select(w.cloud.db, {"id": ids, "is_domain": False})
    assert [project.name for project in found] == ["field", "vault"]
