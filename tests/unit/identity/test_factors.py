"""Second factors, application credentials with access rules, trusts, and EC2 keys as ways in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from andromede.errors import Unauthenticated
from andromede.identity.login import totp
from tests.support.cloud import Answer, Cloud
from tests.support.world import FUTURE, PASSWORD, World, world


@pytest.fixture
def w(cloud: Cloud) -> World:
    return world(cloud)


def ask(w: World, identity: dict[str, Any], scope: Any = None, headers: dict[str, str] | None = None) -> Answer:
    auth = {"identity": identity, **({"scope": scope} if scope is not None else {})}
    return w.cloud.call("POST", "/v3/auth/tokens", body={"auth": auth}, headers=headers)


def passcode(w: World) -> dict[str, Any]:
    """The victim's second factor at this moment."""
    code = totp(b"Hello!\xde\xad\xbe\xef", w.cloud.clock.now_us() // 30_000_000)
    return {"methods": ["totp"], "totp": {"user": {"id": w.ids["user_id"], "passcode": code}}}


def test_totp_follows_rfc_6238() -> None:
    secret = b"12345678901234567890"
    assert [totp(secret, t // 30) for t in (59, 1111111109, 1234567890)] == ["287082", "081804", "005924"]


def test_a_second_factor_is_asked_for_by_receipt(w: World) -> None:
    user_id = w.ids["user_id"]
    rules = {"multi_factor_auth_enabled": True, "multi_factor_auth_rules": [["password", "totp"]]}
    assert w.do("PATCH", f"users/{user_id}", {"user": {"options": rules}}).status == 200
    first = {"methods": ["password"], "password": {"user": {"id": user_id, "password": PASSWORD}}}
    answer = ask(w, first)
    assert answer.status == 401
    assert answer.json["required_auth_methods"] == [["password", "totp"]]
    assert answer.json["receipt"]["methods"] == ["password"]
    receipt = {"openstack-auth-receipt": answer.headers["openstack-auth-receipt"]}
    assert ask(w, passcode(w)).status == 401  # the second factor alone
    wrong = {"methods": ["totp"], "totp": {"user": {"id": user_id, "passcode": "000000"}}}
    assert ask(w, wrong, headers=receipt).status == 401
    w.cloud.clock.advance(30)
    second = passcode(w)
    done = ask(w, second, headers=receipt)
    assert done.status == 201
    assert set(done.json["token"]["methods"]) == {"password", "totp"}
    both = {"methods": ["password", "totp"], "password": first["password"], "totp": second["totp"]}
    assert ask(w, both).status == 401, "a code is good once"
    w.cloud.clock.advance(30)
    second = passcode(w)
    assert ask(w, {**both, "totp": second["totp"]}).status == 201
    w.cloud.clock.advance(301)
    assert ask(w, second, headers=receipt).status == 401
    assert ask(w, second, headers={"openstack-auth-receipt": "garbage"}).status == 401


def test_a_receipt_is_no_token(w: World) -> None:
    rules = {"multi_factor_auth_enabled": True, "multi_factor_auth_rules": [["password", "totp"]]}
    w.do("PATCH", f"users/{w.ids['user_id']}", {"user": {"options": rules}})
    first = {"methods": ["password"], "password": {"user": {"id": w.ids["user_id"], "password": PASSWORD}}}
    text = ask(w, first).headers["openstack-auth-receipt"]
    assert w.cloud.call("GET", "/v3/auth/projects", text).status == 401


def test_an_application_credential_is_bound_to_its_project_and_rules(w: World) -> None:
    proof = {
        "methods": ["application_credential"],
        "application_credential": {"id": w.ids["app_id"], "secret": w.ids["app_secret"]},
    }
    answer = ask(w, proof)
    assert answer.status == 201
    body = answer.json["token"]
    assert body["project"]["id"] == w.ids["project_id"]
    assert body["application_credential"]["restricted"] is True
    assert body["application_credential"]["access_rules"][0]["path"] == "/v3/auth/projects"
    token = answer.headers["x-subject-token"]
    assert w.do("GET", "auth/projects", token=token).status == 200
    assert w.do("GET", "auth/domains", token=token).status == 403
    assert ask(w, proof, {"project": {"id": w.ids["other_project"]}}).status == 401
    by_name = {"name": "robot", "secret": w.ids["app_secret"], "user": {"id": w.ids["user_id"]}}
    assert ask(w, {"methods": ["application_credential"], "application_credential": by_name}).status == 201
    by_name["secret"] = "wrong"
    assert ask(w, {"methods": ["application_credential"], "application_credential": by_name}).status == 401
    assert ask(w, {"methods": ["token"], "token": {"id": token}}).status == 403


def test_a_restricted_application_credential_makes_no_delegations(w: World) -> None:
    path = f"users/{w.ids['user_id']}/application_credentials"
    made = w.make(path, "application_credential", {"name": "plain"}, w.tokens["victim"])
    proof = {"id": made["id"], "secret": made["secret"]}
    token = ask(w, {"methods": ["application_credential"], "application_credential": proof}).headers["x-subject-token"]
    assert w.do("POST", path, {"application_credential": {"name": "more"}}, token).status == 403
    assert w.do("DELETE", f"{path}/{made['id']}", token=token).status == 403
    ec2 = f"users/{w.ids['user_id']}/credentials/OS-EC2"
    assert w.do("POST", ec2, {"tenant_id": w.ids["project_id"]}, token).status == 403
    free = w.make(path, "application_credential", {"name": "free", "unrestricted": True}, w.tokens["victim"])
    proof = {"id": free["id"], "secret": free["secret"]}
    token = ask(w, {"methods": ["application_credential"], "application_credential": proof}).headers["x-subject-token"]
    assert w.do("POST", path, {"application_credential": {"name": "more"}}, token).status == 201


def test_application_credentials_end(w: World) -> None:
    path = f"users/{w.ids['user_id']}/application_credentials"
    past = {"name": "late", "expires_at": "2020-01-01T00:00:00"}
    assert w.do("POST", path, {"application_credential": past}, w.tokens["victim"]).status == 400
    body = {"name": "short", "expires_at": "2026-01-01T01:00:00.000000", "secret": "s3cret"}
    made = w.make(path, "application_credential", body, w.tokens["victim"])
    assert made["expires_at"] == "2026-01-01T01:00:00.000000"
    proof = {
        "methods": ["application_credential"],
        "application_credential": {"id": made["id"], "secret": "s3cret"},
    }
    assert ask(w, proof).json["token"]["expires_at"] == "2026-01-01T01:00:00.000000Z"
    w.cloud.clock.advance(3600)
    assert ask(w, proof).status == 401


def test_a_lost_role_ends_what_was_delegated(w: World) -> None:
    proof = {"id": w.ids["app_id"], "secret": w.ids["app_secret"]}
    token = ask(w, {"methods": ["application_credential"], "application_credential": proof}).headers["x-subject-token"]
    path = f"projects/{w.ids['project_id']}/users/{w.ids['user_id']}/roles/{w.roles['member']}"
    assert w.do("DELETE", path).status == 204
    assert w.do("GET", "auth/projects", token=token).status == 401
    with pytest.raises(Unauthenticated):
        w.cloud.identity.core.authenticator.ec2(w.ids["access"])


def trustee(w: World, trust_id: str) -> Answer:
    identity = {"methods": ["password"], "password": {"user": {"id": w.ids["trustee"], "password": PASSWORD}}}
    return ask(w, identity, {"OS-TRUST:trust": {"id": trust_id}})


def test_a_trust_lets_the_trustee_act_for_the_trustor(w: World) -> None:
    answer = trustee(w, w.ids["trust_id"])
    body = answer.json["token"]
    assert body["user"]["id"] == w.ids["user_id"]
    assert body["OS-TRUST:trust"]["trustee_user"] == {"id": w.ids["trustee"]}
    assert {role["name"] for role in body["roles"]} == {"member", "reader"}
    token = answer.headers["x-subject-token"]
    assert ask(w, {"methods": ["token"], "token": {"id": token}}).status == 403
    assert w.do("DELETE", f"OS-TRUST/trusts/{w.ids['trust_id']}", token=w.tokens["victim"]).status == 204
    assert w.do("GET", "auth/projects", token=token).status == 401
    assert trustee(w, w.ids["trust_id"]).status == 403
    assert w.do("GET", f"OS-TRUST/trusts/{w.ids['trust_id']}").status == 404


def new_trust(w: World, token: str = "", **fields: Any) -> Answer:
    trust = {
        "trustor_user_id": w.ids["user_id"], "trustee_user_id": w.ids["trustee"], "impersonation": True,
        "project_id": w.ids["project_id"], "roles": [{"name": "member"}], **fields,
    }  # fmt: skip
    return w.do("POST", "OS-TRUST/trusts", {"trust": trust}, token or w.tokens["victim"])


def test_a_delegation_stays_in_its_project(w: World) -> None:
    """A key pair made under a trust or an application credential opens no other project of the delegator."""
    elsewhere = w.make("projects", "project", {"name": "elsewhere", "domain_id": w.ids["domain_id"]})["id"]
    w.grant("member", w.ids["user_id"], project=elsewhere)
    own = f"users/{w.ids['user_id']}/credentials/OS-EC2"
    outside = w.do("POST", own, {"tenant_id": elsewhere}, w.tokens["victim"]).json["credential"]["access"]
    app = {"name": "wide", "unrestricted": True}
    made = w.make(
        f"users/{w.ids['user_id']}/application_credentials", "application_credential", app, w.tokens["victim"]
    )
    proof = {"id": made["id"], "secret": made["secret"]}
    by_app = ask(w, {"methods": ["application_credential"], "application_credential": proof}).headers["x-subject-token"]
    by_trust = trustee(w, w.ids["trust_id"]).headers["x-subject-token"]
    ec2 = w.cloud.identity.core.authenticator.ec2
    for number, token in enumerate((by_app, by_trust)):
        blob = json.dumps({"access": f"AK{number}", "secret": "s"})
        body = {"type": "ec2", "blob": blob, "project_id": elsewhere, "user_id": w.ids["user_id"]}
        w.do("POST", "credentials", {"credential": body}, token)
        w.do("POST", own, {"tenant_id": elsewhere}, token)
        keys = {row["access"] for row in w.get(own)["credentials"] if row["tenant_id"] == elsewhere}
        for access in keys - {outside}:
            with pytest.raises(Unauthenticated):
                ec2(access)
    assert ec2(outside)[1].project_id == elsewhere
    # nor may a trustee look at the delegator's own secrets, or change them
    ids = {row["id"] for row in w.get("credentials", by_trust)["credentials"]}
    assert all(w.get(f"credentials/{one}")["credential"]["blob"] for one in ids)
    mine = [
        row["id"] for row in w.get(f"credentials?user_id={w.ids['user_id']}")["credentials"] if outside in row["blob"]
    ]
    assert mine
    assert not ids & set(mine)
    for method in ("GET", "PATCH", "DELETE"):
        body = {"credential": {"blob": "{}"}} if method == "PATCH" else None
        assert w.do(method, f"credentials/{mine[0]}", body, by_trust).status in (403, 404)
    for method in ("GET", "DELETE"):
        assert w.do(method, f"{own}/{outside}", token=by_trust).status in (403, 404)
    assert outside not in {row["access"] for row in w.get(own, by_trust)["credentials"]}
    assert ec2(outside)[1].project_id == elsewhere


def test_trusts_are_limited_in_uses_time_and_roles(w: World) -> None:
    once = new_trust(w, remaining_uses=1).json["trust"]
    assert trustee(w, once["id"]).status == 201
    assert trustee(w, once["id"]).status == 403
    short = new_trust(w, expires_at="2026-01-01T00:30:00.000000Z").json["trust"]
    assert trustee(w, short["id"]).json["token"]["expires_at"] == "2026-01-01T00:30:00.000000Z"
    w.cloud.clock.advance(1800)
    assert trustee(w, short["id"]).status == 403
    assert new_trust(w, roles=[{"name": "admin"}]).status == 400
    assert new_trust(w, roles=[]).status == 403
    assert new_trust(w, expires_at="2020-01-01T00:00:00Z").status == 400
    assert new_trust(w, expires_at="never").status == 400
    assert new_trust(w, trustee_user_id="ghost").status == 404


def test_trusts_are_passed_on_only_when_allowed(w: World) -> None:
    closed = trustee(w, w.ids["trust_id"]).headers["x-subject-token"]
    assert new_trust(w, closed).status == 403
    open_ = new_trust(w, allow_redelegation=True, redelegation_count=1, expires_at=FUTURE).json["trust"]
    token = trustee(w, open_["id"]).headers["x-subject-token"]
    assert new_trust(w, token).status == 403  # would outlive its parent
    assert new_trust(w, token, expires_at=FUTURE, remaining_uses=1).status == 403
    assert new_trust(w, token, expires_at=FUTURE, allow_redelegation=True, redelegation_count=5).status == 403
    child = new_trust(w, token, expires_at=FUTURE).json["trust"]
    assert (child["redelegated_trust_id"], child["redelegation_count"]) == (open_["id"], 0)
    assert w.do("DELETE", f"OS-TRUST/trusts/{open_['id']}").status == 204
    assert w.do("GET", f"OS-TRUST/trusts/{child['id']}").status == 404


def test_trusts_are_listed_to_their_parties(w: World) -> None:
    me = w.ids["user_id"]
    rows = w.get(f"OS-TRUST/trusts?trustor_user_id={me}", w.tokens["victim"])["trusts"]
    assert [row["id"] for row in rows] == [w.ids["trust_id"]]
    assert w.do("GET", "OS-TRUST/trusts", token=w.tokens["victim"]).status == 403
    assert len(w.get("OS-TRUST/trusts")["trusts"]) == 1
    path = f"OS-TRUST/trusts/{w.ids['trust_id']}/roles"
    assert [role["name"] for role in w.get(path, w.tokens["victim"])["roles"]] == ["member"]
    assert w.get(f"{path}/{w.roles['member']}", w.tokens["victim"])["role"]["name"] == "member"
    assert w.do("GET", f"{path}/{w.roles['admin']}", token=w.tokens["victim"]).status == 404


@pytest.mark.parametrize(
    "identity",
    [
        {"methods": []},
        {"methods": ["password"]},
        {"methods": ["token"]},
        {"methods": ["oauth9"]},
        {"methods": ["password"], "password": {"user": {}}},
        {"methods": ["password"], "password": {"user": {"name": "demo", "password": "x"}}},
        {"methods": ["password"], "password": {"user": {"name": "demo", "domain": {}, "password": "x"}}},
        {"methods": ["totp"], "totp": {"user": {"id": "nobody"}}},
        {"methods": ["application_credential"], "application_credential": {"secret": "x"}},
        {"methods": "password"},
    ],
)
def test_broken_proofs(w: World, identity: dict[str, Any]) -> None:
    assert ask(w, identity).status in (400, 401)


@pytest.mark.parametrize(
    "scope", ["everything", {}, {"system": {}}, {"domain": {}}, {"project": {}}, {"project": {"name": "x"}}, 7]
)
def test_broken_scopes(w: World, scope: Any) -> None:
    proof = {"methods": ["password"], "password": {"user": {"id": w.ids["user_id"], "password": PASSWORD}}}
    assert ask(w, proof, scope).status in (400, 401)


def test_access_rules_cannot_be_shed(w: World) -> None:
    path = f"users/{w.ids['user_id']}"
    rules = [{"service": "identity", "method": "POST", "path": f"/v3/{path}/**"}]
    body = {"name": "bound", "unrestricted": True, "access_rules": rules}
    made = w.make(f"{path}/application_credentials", "application_credential", body, w.tokens["victim"])
    both = {
        "methods": ["password", "application_credential"],
        "password": {"user": {"id": w.ids["user_id"], "password": PASSWORD}},
        "application_credential": {"id": made["id"], "secret": made["secret"]},
    }
    token = ask(w, both).headers["x-subject-token"]
    assert w.do("POST", f"{path}/credentials/OS-EC2", {"tenant_id": w.ids["project_id"]}, token).status == 403
    more = {"application_credential": {"name": "free"}}
    assert w.do("POST", f"{path}/application_credentials", more, token).status == 403
    assert w.do("GET", path, token=token).status == 403
