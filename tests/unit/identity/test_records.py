"""Credentials, application credentials, the catalog, limits and small documents."""

from __future__ import annotations

import json
from typing import Any

import pytest

from andromede.identity import bootstrap
from andromede.identity.catalog_views import expand
from andromede.identity.core import Urls
from andromede.identity.credentials import rotate_keys
from tests.support.cloud import Cloud
from tests.support.world import World, world


@pytest.fixture
def w(cloud: Cloud) -> World:
    return world(cloud)


def test_credentials_are_encrypted_at_rest_and_survive_rotation(w: World) -> None:
    secret = w.cloud.secrets.secret_key.encode()
    rows = w.cloud.db.all("SELECT blob FROM identity_credential")
    assert rows and all(secret not in row[0] for row in rows)
    core = w.cloud.identity.core
    for _ in range(4):
        _, count = rotate_keys(core, "operator:test", "req-rotate")
        assert count == len(rows)
    assert core.authenticator.ec2(w.cloud.secrets.access_key)[0] == w.cloud.secrets.secret_key


def test_credentials(w: World) -> None:
    mine = w.tokens["victim"]
    blob = json.dumps({"access": "AKIDTEST", "secret": "s"})
    body = {"type": "ec2", "blob": blob, "project_id": w.ids["project_id"]}
    made = w.make("credentials", "credential", body, mine)
    assert (made["user_id"], made["blob"]) == (w.ids["user_id"], blob)
    assert w.cloud.identity.core.authenticator.ec2("AKIDTEST")[0] == "s"
    assert w.do("POST", "credentials", {"credential": body}, mine).status == 409
    assert {row["type"] for row in w.get("credentials", mine)["credentials"]} == {"ec2", "totp"}
    assert len(w.get("credentials?type=totp", mine)["credentials"]) == 1
    assert w.get("credentials?user_id=other", mine)["credentials"] == []
    changed = {"blob": {"access": "AKIDTEST", "secret": "t"}}
    assert w.do("PATCH", f"credentials/{made['id']}", {"credential": changed}, mine).status == 200
    assert w.cloud.identity.core.authenticator.ec2("AKIDTEST")[0] == "t"
    stolen = {"user_id": w.ids["trustee"]}
    assert w.do("PATCH", f"credentials/{made['id']}", {"credential": stolen}, mine).status == 403
    assert w.get(f"credentials/{made['id']}", mine)["credential"]["type"] == "ec2"
    assert w.do("DELETE", f"credentials/{made['id']}", token=mine).status == 204
    assert w.do("GET", f"credentials/{made['id']}").status == 404


@pytest.mark.parametrize(
    "body",
    [
        {"type": "ec2", "blob": "{}"},
        {"type": "ec2", "blob": "{}", "project_id": "x"},
        {"type": "ec2", "blob": "[1]", "project_id": "x"},
        {"type": "ec2", "blob": "nonsense", "project_id": "x"},
        {"type": "totp", "blob": "1!"},
        {"type": "x"},
        {"blob": "x"},
        {"type": "x", "blob": 5},
    ],
)
def test_broken_credentials(w: World, body: dict[str, Any]) -> None:
    assert w.do("POST", "credentials", {"credential": body}).status == 400


def test_key_pairs(w: World) -> None:
    path, mine = f"users/{w.ids['user_id']}/credentials/OS-EC2", w.tokens["victim"]
    made = w.do("POST", path, {"tenant_id": w.ids["project_id"]}, mine).json["credential"]
    assert (len(made["access"]), len(made["secret"]), made["trust_id"]) == (20, 40, None)
    assert len(w.get(path, mine)["credentials"]) == 2
    assert w.get(f"{path}/{made['access']}", mine)["credential"] == made
    assert w.do("DELETE", f"{path}/{made['access']}", token=mine).status == 204
    assert w.do("GET", f"{path}/{made['access']}", token=mine).status == 404
    assert w.do("POST", path, {"tenant_id": w.ids["other_project"]}, mine).status == 403


def test_application_credentials_and_rules_are_managed_by_their_user(w: World) -> None:
    mine, user = w.tokens["victim"], f"users/{w.ids['user_id']}"
    path = f"{user}/application_credentials"
    shown = w.get(f"{path}/{w.ids['app_id']}", mine)["application_credential"]
    assert shown["name"] == "robot" and "secret" not in shown
    assert [row["name"] for row in w.get(f"{path}?name=robot", mine)["application_credentials"]] == ["robot"]
    assert w.do("POST", path, {"application_credential": {"name": "robot"}}, mine).status == 409
    for extra in (
        {"roles": [{"name": "admin"}]},
        {"access_rules": [{"service": "identity"}]},
        {"access_rules": [{"service": "identity", "method": "STEAL", "path": "/v3"}]},
        {"access_rules": [{"service": "identity", "method": "GET", "path": "v3"}]},
        {"expires_at": "tomorrow"},
    ):
        assert w.do("POST", path, {"application_credential": {"name": "new", **extra}}, mine).status == 400, extra
    again = {"name": "again", "access_rules": [{"id": w.ids["rule_id"]}], "roles": [{"id": w.roles["reader"]}]}
    made = w.make(path, "application_credential", again, mine)
    assert [role["name"] for role in made["roles"]] == ["reader"]
    rules = w.get(f"{user}/access_rules", mine)["access_rules"]
    assert [rule["id"] for rule in rules] == [w.ids["rule_id"]]
    rule = f"{user}/access_rules/{w.ids['rule_id']}"
    assert w.get(rule, mine)["access_rule"]["method"] == "GET"
    assert w.do("DELETE", rule, token=mine).status == 403
    for app in (made["id"], w.ids["app_id"]):
        assert w.do("DELETE", f"{path}/{app}", token=mine).status == 204
    assert w.do("DELETE", rule, token=mine).status == 204
    assert w.do("GET", rule, token=mine).status == 404
    assert w.do("POST", f"users/{w.ids['trustee']}/application_credentials",
                {"application_credential": {"name": "x"}}).status == 403  # fmt: skip


def test_regions(w: World) -> None:
    made = w.make("regions", "region", {"description": "d", "parent_region_id": "fr1"})
    assert len(made["id"]) == 32
    put = w.do("PUT", "regions/near", {"region": {"parent_region_id": made["id"]}})
    assert put.status == 201 and put.json["region"]["id"] == "near"
    assert [row["id"] for row in w.get("regions?parent_region_id=fr1")["regions"]] == [made["id"]]
    assert w.do("PUT", "regions/near", {"region": {}}).status == 409
    assert w.do("PUT", "regions/a", {"region": {"id": "b"}}).status == 400
    assert w.do("POST", "regions", {"region": {"parent_region_id": "ghost"}}).status == 404
    assert w.do("PATCH", f"regions/{made['id']}", {"region": {"parent_region_id": "near"}}).status == 400
    assert w.do("PATCH", "regions/near", {"region": {"description": "n"}}).json["region"]["description"] == "n"
    assert w.do("DELETE", f"regions/{made['id']}").status == 403
    for region in ("near", made["id"]):
        assert w.do("DELETE", f"regions/{region}").status == 204
    assert w.do("GET", "regions/near").status == 404


def test_services_and_endpoints(w: World) -> None:
    service = w.make("services", "service", {"type": "dns", "name": "n", "colour": "c"})
    assert w.do("POST", "services", {"service": {"name": "n"}}).status == 400
    assert [row["id"] for row in w.get("services?type=dns&name=n")["services"]] == [service["id"]]
    point = {"interface": "public", "url": "http://dns.invalid", "service_id": service["id"], "region": "new"}
    made = w.make("endpoints", "endpoint", point)
    assert (made["region_id"], made["region"]) == ("new", "new")
    assert w.get("regions/new")["region"]["id"] == "new"
    query = f"interface=public&service_id={service['id']}&region_id=new"
    assert [row["id"] for row in w.get(f"endpoints?{query}")["endpoints"]] == [made["id"]]
    assert w.get("endpoints?region=nowhere")["endpoints"] == []
    for bad in (
        {**point, "interface": "secret"},
        {**point, "url": "ftp://x"},
        {**point, "url": "http://["},
        {**point, "service_id": "ghost"},
        {**point, "region": None, "region_id": "ghost"},
        {"url": "http://x"},
    ):
        assert w.do("POST", "endpoints", {"endpoint": bad}).status == 400, bad
    types = {entry["type"] for entry in w.get("auth/catalog")["catalog"]}
    assert "dns" in types
    assert w.do("PATCH", f"endpoints/{made['id']}", {"endpoint": {"url": "http://dns2.invalid"}}).status == 200
    assert w.do("PATCH", f"services/{service['id']}", {"service": {"enabled": False}}).status == 200
    assert "dns" not in {entry["type"] for entry in w.get("auth/catalog")["catalog"]}
    assert w.do("DELETE", f"services/{service['id']}").status == 204
    assert w.do("GET", f"endpoints/{made['id']}").status == 404
    assert w.do("DELETE", f"endpoints/{w.ids['endpoint_id']}").status == 204
    for path in ("services/ghost", "endpoints/ghost"):
        assert w.do("DELETE", path).status == 404


def test_endpoint_urls_follow_the_configuration() -> None:
    urls = Urls("https://api.example", "https://store.example")
    assert expand("{objects}/v1/AUTH_%(project_id)s", urls, "p", "u") == "https://store.example/v1/AUTH_p"
    assert expand("{api}/x/$(tenant_id)s/%(user_id)s", urls, "p", "u") == "https://api.example/x/p/u"
    assert expand("{objects}/v1/AUTH_%(project_id)s", urls, None, "u") is None


@pytest.mark.parametrize(
    ("path", "key", "body", "change"),
    [
        ("policies", "policy", {"blob": "b", "type": "t"}, {"type": "u"}),
        ("OS-EP-FILTER/endpoint_groups", "endpoint_group", {"name": "n", "filters": {"a": "b"}}, {"name": "m"}),
        ("OS-OAUTH1/consumers", "consumer", {"description": "d"}, {"description": "e"}),
    ],
)
def test_documents(w: World, path: str, key: str, body: dict[str, Any], change: dict[str, Any]) -> None:
    made = w.make(path, key, body)
    assert (key == "consumer") == ("secret" in made)
    assert w.do("PATCH", f"{path}/{made['id']}", {key: change}).status == 200
    shown = w.get(f"{path}/{made['id']}")[key]
    assert shown == {**made, **change} if key != "consumer" else "secret" not in shown
    assert made["id"] in {row["id"] for row in w.get(path)[path.rpartition("/")[2]]}
    assert w.do("DELETE", f"{path}/{made['id']}").status == 204
    assert w.do("DELETE", f"{path}/{made['id']}").status == 404


def test_limits(w: World) -> None:
    service = w.ids["service_id"]
    assert w.get("limits/model")["model"]["name"] == "flat"
    default = {"service_id": service, "resource_name": "ram", "default_limit": 10, "region_id": "fr1"}
    made = w.do("POST", "registered_limits", {"registered_limits": [default]}).json["registered_limits"][0]
    assert w.do("POST", "registered_limits", {"registered_limits": [default]}).status == 409
    for bad in ({**default, "service_id": "ghost"}, {**default, "region_id": "ghost"}, {"resource_name": "x"}):
        assert w.do("POST", "registered_limits", {"registered_limits": [bad]}).status == 400
    exception = {"service_id": service, "resource_name": "ram", "region_id": "fr1", "resource_limit": 20}
    own = {**exception, "project_id": w.ids["project_id"]}
    limit = w.do("POST", "limits", {"limits": [own]}).json["limits"][0]
    assert w.do("POST", "limits", {"limits": [own]}).status == 409
    assert w.do("POST", "limits", {"limits": [exception]}).status == 400
    assert w.do("POST", "limits", {"limits": [{**own, "resource_name": "none"}]}).status == 403
    assert (
        w.do("PATCH", f"limits/{limit['id']}", {"limit": {"resource_limit": 30}}).json["limit"]["resource_limit"] == 30
    )
    path = f"registered_limits/{made['id']}"
    assert w.do("PATCH", path, {"registered_limit": {"resource_name": "cpu"}}).status == 403
    assert (
        w.do("PATCH", path, {"registered_limit": {"default_limit": 11}}).json["registered_limit"]["default_limit"] == 11
    )
    assert w.do("DELETE", path).status == 403
    assert len(w.get("registered_limits?resource_name=ram")["registered_limits"]) == 1
    assert {row["resource_limit"] for row in w.get("limits", w.tokens["victim"])["limits"]} == {7, 30}
    assert w.get("limits", w.tokens["stranger"])["limits"] == []
    assert w.get("limits", w.tokens["manager"])["limits"] == []
    assert w.get(f"limits/{limit['id']}", w.tokens["victim"])["limit"]["resource_limit"] == 30
    assert w.do("DELETE", f"limits/{limit['id']}").status == 204
    assert w.do("DELETE", path).status == 204
    assert w.do("DELETE", f"limits/{limit['id']}").status == 404


def test_an_older_installation_gets_new_services_into_its_catalog_once(cloud: Cloud) -> None:
    w = world(cloud)
    core = cloud.identity.core

    def types() -> list[str]:
        return [entry["type"] for entry in w.get("auth/catalog")["catalog"]]

    def remove() -> None:
        found = w.get("services?type=sovereignty")["services"]
        assert w.do("DELETE", f"services/{found[0]['id']}").status == 204

    assert types().count("sovereignty") == 1
    remove()  # as an installation that an older program made
    assert bootstrap.complete(core, "fr1", "req-start") == ["sovereignty"]
    w.admin = cloud.admin()
    entry = next(entry for entry in w.get("auth/catalog")["catalog"] if entry["type"] == "sovereignty")
    assert {point["interface"] for point in entry["endpoints"]} == {"public", "internal", "admin"}
    assert entry["endpoints"][0]["url"].endswith("/sovereignty/v1")
    assert bootstrap.complete(core, "fr1", "req-again") == []
    remove()  # as an administrator who does not want it
    assert bootstrap.complete(core, "fr1", "req-later") == []
    w.admin = cloud.admin()
    assert "sovereignty" not in types()
