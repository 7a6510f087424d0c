"""Logging in, validating, revoking."""

from __future__ import annotations

import json
from typing import Any

import pytest

from andromede.audit import store as audit_store
from andromede.errors import Unauthenticated
from andromede.identity import authenticator as authenticating
from andromede.identity import credentials_store
from andromede.identity.core import token_keys
from tests.support.cloud import Cloud, project


def test_a_password_gives_a_project_token_with_roles_and_catalog(cloud: Cloud) -> None:
    answer = cloud.login("demo", cloud.secrets.demo_password, project("demo"))
    assert answer.status == 201
    body = answer.json["token"]
    assert [role["name"] for role in body["roles"]] == ["member", "reader"]
    assert body["project"]["name"] == "demo"
    assert body["project"]["domain"] == {"id": "default", "name": "Default"}
    assert body["methods"] == ["password"]
    assert body["issued_at"] == "2026-01-01T00:00:00.000000Z"
    assert body["expires_at"] == "2026-01-01T04:00:00.000000Z"
    store = next(entry for entry in body["catalog"] if entry["type"] == "object-store")
    assert {point["interface"] for point in store["endpoints"]} == {"public", "internal", "admin"}
    assert store["endpoints"][0]["url"] == f"http://127.0.0.1:8701/v1/AUTH_{body['project']['id']}"
    assert answer.headers["x-openstack-request-id"].startswith("req-")


def test_the_actor_of_a_token(cloud: Cloud) -> None:
    actor = cloud.identity.core.authenticator.token(cloud.demo())
    assert (actor.user_name, actor.project_name, actor.via) == ("demo", "demo", "password")
    assert actor.roles == {"member", "reader"}
    assert cloud.identity.core.authenticator.project(actor.project_id or "") is not None
    found = cloud.identity.core.authenticator.project_by_name("demo")
    assert found is not None and found.id == actor.project_id


@pytest.mark.parametrize("scope", [None, "unscoped", {"domain": {"id": "default"}}, {"system": {"all": True}}])
def test_scopes_of_an_administrator(cloud: Cloud, scope: object) -> None:
    body = cloud.login("admin", cloud.secrets.admin_password, scope).json["token"]
    assert ("roles" in body) == isinstance(scope, dict)
    assert "project" not in body
    if isinstance(scope, dict) and "system" in scope:
        assert body["system"] == {"all": True}
        assert "object-store" in {entry["type"] for entry in body["catalog"]}
    if isinstance(scope, dict) and "domain" in scope:
        assert body["domain"] == {"id": "default", "name": "Default"}


@pytest.mark.parametrize(
    ("name", "password", "scope"),
    [
        ("demo", "wrong", None),
        ("nobody", "wrong", None),
        ("demo", None, project("admin")),
        ("demo", None, project("nothing")),
        ("demo", None, {"domain": {"id": "default"}}),
        ("demo", None, {"system": {"all": True}}),
    ],
)
def test_refusals_look_alike(cloud: Cloud, name: str, password: str | None, scope: object) -> None:
    answer = cloud.login(name, password or cloud.secrets.demo_password, scope)
    assert answer.status == 401
    assert answer.json == {
        "error": {
            "code": 401,
            "title": "Unauthorized",
            "message": "The request you have made requires authentication.",
        }
    }
    assert answer.headers["www-authenticate"] == 'Keystone uri="http://cloud.test/identity/v3"'


def test_a_revoked_token_is_refused_at_once(cloud: Cloud) -> None:
    admin, demo = cloud.admin(), cloud.demo()
    headers = {"x-subject-token": demo}
    shown = cloud.call("GET", "/v3/auth/tokens", admin, headers=headers)
    assert shown.status == 200 and shown.json["token"]["user"]["name"] == "demo"
    assert "catalog" in shown.json["token"]
    assert "catalog" not in cloud.call("GET", "/v3/auth/tokens?nocatalog", admin, headers=headers).json["token"]
    assert cloud.call("HEAD", "/v3/auth/tokens", admin, headers=headers).status == 200
    assert cloud.call("DELETE", "/v3/auth/tokens", demo, headers=headers).status == 204
    assert cloud.call("GET", "/v3/auth/tokens", admin, headers=headers).status == 404
    assert cloud.call("GET", "/v3/auth/projects", demo).status == 401
    with pytest.raises(Unauthenticated):
        cloud.identity.core.authenticator.token(demo)


def test_another_token_of_a_known_user_needs_one_statement(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = cloud.demo(), cloud.demo()
    authenticator = cloud.identity.core.authenticator
    known = authenticator.session(first)
    cloud.clock.advance(60)
    third = cloud.demo()
    opened: list[object] = []
    monkeypatch.setattr(authenticating, "open_session", lambda tx, claims: opened.append(claims))
    for text in (second, third):
        found = authenticator.session(text)
        assert found.claims != known.claims
        assert found.actor.expires_us == found.claims.expires_us
        assert (found.user, found.roles, found.project) == (known.user, known.roles, known.project)
    assert authenticator.session(third).actor.expires_us != known.actor.expires_us
    assert not opened


def test_what_is_known_of_a_user_does_not_outlive_a_change(cloud: Cloud) -> None:
    admin, texts = cloud.admin(), [cloud.demo() for _ in range(4)]
    authenticator = cloud.identity.core.authenticator
    user = authenticator.session(texts[0]).user
    assert cloud.call("DELETE", "/v3/auth/tokens", admin, headers={"x-subject-token": texts[1]}).status == 204
    assert authenticator.session(texts[2])  # known again from here on
    with pytest.raises(Unauthenticated) as caught:
        authenticator.session(texts[1])
    assert caught.value.cause == "revoked"
    assert cloud.call("PATCH", f"/v3/users/{user.id}", admin, {"user": {"enabled": False}}).status == 200
    with pytest.raises(Unauthenticated):
        authenticator.session(texts[3])


def test_a_revocation_between_two_reads_is_seen(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    admin, texts = cloud.admin(), [cloud.demo() for _ in range(2)]
    authenticator = cloud.identity.core.authenticator
    authenticator.session(texts[0])
    look = credentials_store.is_revoked
    turns = iter([True])

    def late(*given: Any) -> bool:
        found = look(*given)
        if next(turns, False):  # the first look is over when the token is revoked
            gone = cloud.call("DELETE", "/v3/auth/tokens", admin, headers={"x-subject-token": texts[1]})
            assert gone.status == 204
        return found

    authenticator.session(admin)
    monkeypatch.setattr(credentials_store, "is_revoked", late)
    with pytest.raises(Unauthenticated) as caught:
        authenticator.session(texts[1])
    assert caught.value.cause == "revoked"


def test_tokens_of_one_user_differ_by_scope_and_proof(cloud: Cloud) -> None:
    authenticator = cloud.identity.core.authenticator
    scoped = authenticator.session(cloud.demo())
    unscoped_text = cloud.token("demo", cloud.secrets.demo_password, "unscoped")
    unscoped = authenticator.session(unscoped_text)
    assert scoped.project is not None and unscoped.project is None and not unscoped.roles
    auth = {"identity": {"methods": ["token"], "token": {"id": unscoped_text}}, "scope": project("demo")}
    exchanged = cloud.call("POST", "/v3/auth/tokens", body={"auth": auth}).headers["x-subject-token"]
    found = authenticator.session(exchanged)
    assert (found.actor.via, found.project) == ("token", scoped.project)


def test_tokens_end(cloud: Cloud) -> None:
    admin, demo = cloud.admin(), cloud.demo()
    cloud.clock.advance(4 * 3600)
    assert cloud.call("GET", "/v3/auth/projects", demo).status == 401
    admin = cloud.admin()
    headers = {"x-subject-token": demo}
    assert cloud.call("GET", "/v3/auth/tokens", admin, headers=headers).status == 404
    assert cloud.call("GET", "/v3/auth/tokens?allow_expired=1", admin, headers=headers).status == 200
    cloud.clock.advance(48 * 3600)
    admin = cloud.admin()
    assert cloud.call("GET", "/v3/auth/tokens?allow_expired=1", admin, headers=headers).status == 404


def test_an_exchanged_token_keeps_its_end_and_chain(cloud: Cloud) -> None:
    first = cloud.token("demo", cloud.secrets.demo_password, "unscoped")
    cloud.clock.advance(60)
    auth = {"identity": {"methods": ["token"], "token": {"id": first}}, "scope": project("demo")}
    body = cloud.call("POST", "/v3/auth/tokens", body={"auth": auth}).json["token"]
    assert body["expires_at"] == "2026-01-01T04:00:00.000000Z"
    assert set(body["methods"]) == {"token", "password"}
    assert len(body["audit_ids"]) == 2


@pytest.mark.parametrize("text", ["", "x", "gAAAAA", "é", "a" * 5000])
def test_garbage_is_no_token(cloud: Cloud, text: str) -> None:
    assert cloud.call("GET", "/v3/auth/projects", text).status == 401
    answer = cloud.call("GET", "/v3/auth/tokens", cloud.admin(), headers={"x-subject-token": text})
    assert answer.status == 404


def test_an_access_key_acts_on_its_project(cloud: Cloud) -> None:
    secret, actor = cloud.identity.core.authenticator.ec2(cloud.secrets.access_key)
    assert secret == cloud.secrets.secret_key
    assert (actor.project_id, actor.via) == (cloud.secrets.demo_project_id, "ec2")
    with pytest.raises(Unauthenticated) as caught:
        cloud.identity.core.authenticator.ec2("AKIAUNKNOWN")
    assert caught.value.reason == "access_key"


def test_logins_leave_audit_events(cloud: Cloud) -> None:
    cloud.demo()
    cloud.login("demo", "wrong")
    with cloud.db.read() as tx:
        events = [json.loads(row[2]) for row in audit_store.newest(tx, None, 2)]
        assert audit_store.gaps(tx) == []
    assert [event["outcome"] for event in events] == ["success", "failure"]
    assert {event["action"] for event in events} == {"identity:authenticate"}


def test_too_many_wrong_passwords_lock_out_for_a_while(cloud: Cloud) -> None:
    for _ in range(6):
        assert cloud.login("demo", "wrong").status == 401
    assert cloud.login("demo", cloud.secrets.demo_password).status == 401
    cloud.clock.advance(1800)
    assert cloud.login("demo", cloud.secrets.demo_password).status == 201


def test_version_documents(cloud: Cloud) -> None:
    root = cloud.call("GET", "")
    assert root.status == 300
    assert root.json["versions"]["values"][0]["id"] == "v3.14"
    for path in ("/v3", "/v3/"):
        version = cloud.call("GET", path)
        assert version.status == 200
        assert version.json["version"]["links"] == [{"rel": "self", "href": "http://cloud.test/identity/v3/"}]


def test_keys_rotate_without_losing_tokens(cloud: Cloud) -> None:
    token = cloud.demo()
    ring = token_keys(cloud.config.data)  # another process
    assert ring.decrypt(token.encode() + b"=" * (-len(token) % 4))
    assert ring.rotate(cloud.ids) == 2
    assert cloud.call("GET", "/v3/auth/projects", token).status == 200
    newer = cloud.demo()
    for _ in range(3):
        ring.rotate(cloud.ids)
    assert ring.decrypt(newer.encode() + b"=" * (-len(newer) % 4))
    folder = cloud.config.data / "keys" / "fernet"
    assert sorted(path.name for path in folder.iterdir()) == ["0", "4", "5"]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())


def test_what_a_token_shows_is_of_now(cloud: Cloud) -> None:
    admin, token = cloud.admin(), cloud.demo()

    def shown(query: str = "") -> tuple[set[str], list[str]]:
        headers = {"x-auth-token": token, "x-subject-token": token}
        body = cloud.call("GET", f"/v3/auth/tokens{query}", headers=headers).json["token"]
        return {entry["type"] for entry in body.get("catalog", ())}, [role["name"] for role in body["roles"]]

    before = shown()
    assert shown() == before
    assert shown("?nocatalog") == (set(), before[1])
    made = cloud.call("POST", "/v3/services", admin, {"service": {"type": "dns", "name": "names"}})
    assert made.status == 201
    assert shown() == (before[0] | {"dns"}, before[1])
    assert cloud.call("DELETE", f"/v3/services/{made.json['service']['id']}", admin).status == 204
    assert shown() == before
