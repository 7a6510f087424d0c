"""Who somebody is and what they may do: changed on the API port, asked of the workers of the object port."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.support.facts.scene import Fact, Person, Scene, fact
from tests.support.workers import Line, Sign, with_token

TOO_MANY = 429
Change = Callable[[Line], object]


def by_key(person: Person, line: Line) -> int:
    """What a signed listing of one's buckets gets; refusals in great number are braked, and braked ones asked again."""
    for _ in range(200):
        status = line.ask(person.s3, "GET", "/").status
        if status != TOO_MANY:
            return status
        time.sleep(0.05)
    raise AssertionError(f"braked for ten seconds: {person.tenant.user_name}")


def by_token(person: Person, sign: Sign, line: Line) -> int:
    """What a token gets at the project's account."""
    return line.ask(sign, "GET", person.account).status


def asking(scene: Scene, method: str, path: str, body: dict[str, Any] | None = None) -> Change:
    """A change by the administrator."""
    return lambda line: scene.identity(method, path, body)


def granted(scene: Scene, person: Person, path: str) -> Fact:
    """What a PUT of the administrator gives to a person's key and a DELETE takes away."""
    return Fact(partial(by_key, person), [(asking(scene, "PUT", path), 200), (asking(scene, "DELETE", path), 403)])


def switched(scene: Scene, path: str, kind: str) -> tuple[Change, Change]:
    """(off, on) of what has an enabled state."""
    off, on = (asking(scene, "PATCH", path, {kind: {"enabled": value}}) for value in (False, True))
    return off, on


def login(scene: Scene, identity: dict[str, Any], scope: dict[str, Any] | None = None) -> str:
    """A token."""
    body: dict[str, Any] = {"auth": {"identity": identity}}
    if scope is not None:
        body["auth"]["scope"] = scope
    answer = scene.admin.http.post(f"{scene.admin.url}/auth/tokens", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["x-subject-token"])


def revoked(scene: Scene, token: str) -> None:
    """End a token by its own right."""
    headers = {"X-Auth-Token": token, "X-Subject-Token": token}
    answer = scene.admin.http.delete(f"{scene.admin.url}/auth/tokens", headers=headers)
    assert answer.status_code == 204, answer.text


@fact
def a_key_pair(scene: Scene, line: Line) -> Fact:
    person = scene.person("pair")
    access, secret = secrets.token_hex(16), secrets.token_hex(16)
    person.s3 = scene.signer(access, secret)
    blob = json.dumps({"access": access, "secret": secret})
    fields = {"type": "ec2", "blob": blob, "user_id": person.tenant.user_id, "project_id": person.project}
    made: list[str] = []

    def make(line: Line) -> None:
        made.append(scene.identity("POST", "/credentials", {"credential": fields})["credential"]["id"])

    return Fact(partial(by_key, person), [
        (make, 200),
        (lambda line: scene.identity("DELETE", f"/credentials/{made.pop()}"), 403),
    ])  # fmt: skip


@fact
def the_secret_of_a_key_pair(scene: Scene, line: Line) -> Fact:
    person = scene.person("secret")
    access = person.tenant.access
    (found,) = scene.identity("GET", f"/credentials?user_id={person.tenant.user_id}")["credentials"]

    def secret(value: str, line: Line) -> None:
        blob = json.dumps({"access": access, "secret": value})
        scene.identity("PATCH", f"/credentials/{found['id']}", {"credential": {"blob": blob}})

    return Fact(partial(by_key, person), [
        (partial(secret, secrets.token_hex(16)), 403),
        (partial(secret, person.tenant.secret), 200),
    ])  # fmt: skip


@fact
def an_enabled_user(scene: Scene, line: Line) -> Fact:
    person = scene.person("user")
    off, on = switched(scene, f"/users/{person.tenant.user_id}", "user")
    return Fact(partial(by_key, person), [(off, 403), (on, 200)])


@fact
def an_enabled_project(scene: Scene, line: Line) -> Fact:
    person = scene.person("project")
    off, on = switched(scene, f"/projects/{person.project}", "project")
    return Fact(partial(by_key, person), [(off, 403), (on, 200)])


@fact
def an_enabled_domain(scene: Scene, line: Line) -> Fact:
    person = scene.person("domain")
    domain = scene.identity("POST", "/domains", {"domain": {"name": scene.name("domain")}})["domain"]["id"]
    fields = {"name": scene.name("project"), "domain_id": domain}
    project = scene.identity("POST", "/projects", {"project": fields})["project"]["id"]
    user = person.tenant.user_id
    scene.identity("PUT", f"/projects/{project}/users/{user}/roles/{scene.admin.role('member')}")
    pair = scene.identity("POST", f"/users/{user}/credentials/OS-EC2", {"tenant_id": project})["credential"]
    person.s3 = scene.signer(pair["access"], pair["secret"])
    off, on = switched(scene, f"/domains/{domain}", "domain")
    return Fact(partial(by_key, person), [(off, 403), (on, 200)])


def roles(scene: Scene, person: Person) -> str:
    return f"/projects/{person.project}/users/{person.tenant.user_id}/roles"


@fact
def a_role(scene: Scene, line: Line) -> Fact:
    person = scene.person("role")
    path = f"{roles(scene, person)}/{scene.admin.role('member')}"
    return Fact(partial(by_key, person), [(asking(scene, "DELETE", path), 403), (asking(scene, "PUT", path), 200)])


@fact
def a_role_that_a_token_has(scene: Scene, line: Line) -> Fact:
    person = scene.person("roles")
    member, reader = scene.admin.role("member"), scene.admin.role("reader")
    scene.identity("PUT", f"{roles(scene, person)}/{reader}")

    def writes(line: Line) -> int:
        return line.ask(with_token(scene_token()), "PUT", f"{person.account}/{scene.name()}").status

    def scene_token() -> str:
        return tokens[-1]

    def change(method: str, line: Line) -> None:
        scene.identity(method, f"{roles(scene, person)}/{member}")
        tokens.append(scene.log_in(person.tenant).token)

    tokens = [person.user.token]
    return Fact(writes, [(partial(change, "DELETE"), 403), (partial(change, "PUT"), 201)])


@fact
def a_membership(scene: Scene, line: Line) -> Fact:
    person = scene.person("group")
    group = scene.identity("POST", "/groups", {"group": {"name": scene.name("group")}})["group"]["id"]
    scene.identity("PUT", f"/projects/{person.project}/groups/{group}/roles/{scene.admin.role('member')}")
    scene.identity("DELETE", f"{roles(scene, person)}/{scene.admin.role('member')}")
    path = f"/groups/{group}/users/{person.tenant.user_id}"
    return granted(scene, person, path)


@fact
def an_implied_role(scene: Scene, line: Line) -> Fact:
    person = scene.person("implied")
    mine = scene.admin.role(scene.name("role"))
    scene.identity("PUT", f"{roles(scene, person)}/{mine}")
    scene.identity("DELETE", f"{roles(scene, person)}/{scene.admin.role('member')}")
    path = f"/roles/{mine}/implies/{scene.admin.role('member')}"
    return granted(scene, person, path)


@fact
def a_token(scene: Scene, line: Line) -> Fact:
    person = scene.person("token")
    tokens = ["none"]

    def issue(line: Line) -> None:
        tokens.append(scene.log_in(person.tenant).token)

    return Fact(lambda line: by_token(person, with_token(tokens[-1]), line), [
        (issue, 204),
        (lambda line: revoked(scene, tokens[-1]), 401),
    ])  # fmt: skip


@fact
def tokens_after_a_new_password(scene: Scene, line: Line) -> Fact:
    person = scene.person("password")
    path = f"/users/{person.tenant.user_id}"
    return Fact(partial(by_token, person, person.swift), [
        (lambda line: None, 204),
        (asking(scene, "PATCH", path, {"user": {"password": secrets.token_urlsafe(18)}}), 401),
    ], again=False)  # fmt: skip


@fact
def tokens_of_a_disabled_user(scene: Scene, line: Line) -> Fact:
    person = scene.person("disabled")
    off, on = switched(scene, f"/users/{person.tenant.user_id}", "user")
    return Fact(partial(by_token, person, person.swift), [(lambda line: None, 204), (off, 401), (on, 401)], again=False)


@fact
def tokens_of_a_deleted_user(scene: Scene, line: Line) -> Fact:
    person = scene.person("gone")
    gone = asking(scene, "DELETE", f"/users/{person.tenant.user_id}")
    return Fact(partial(by_token, person, person.swift), [(lambda line: None, 204), (gone, 401)], again=False)


@fact
def keys_of_a_deleted_project(scene: Scene, line: Line) -> Fact:
    person = scene.person("removed")
    gone = asking(scene, "DELETE", f"/projects/{person.project}")
    return Fact(partial(by_key, person), [(lambda line: None, 200), (gone, 403)], again=False)


@fact
def tokens_of_an_application_credential(scene: Scene, line: Line) -> Fact:
    person = scene.person("application")
    path = f"/users/{person.tenant.user_id}/application_credentials"
    made = person.user.call("POST", path, {"application_credential": {"name": scene.name("app")}})
    found = made["application_credential"]
    given = {"id": found["id"], "secret": found["secret"]}
    sign = with_token(login(scene, {"methods": ["application_credential"], "application_credential": given}))
    return Fact(partial(by_token, person, sign), [
        (lambda line: None, 204),
        (lambda line: person.user.call("DELETE", f"{path}/{found['id']}"), 401),
    ], again=False)  # fmt: skip


@fact
def tokens_of_a_trust(scene: Scene, line: Line) -> Fact:
    person, friend = scene.person("trustor"), scene.person("trustee")
    fields = {
        "trustor_user_id": person.tenant.user_id, "trustee_user_id": friend.tenant.user_id, "impersonation": False,
        "project_id": person.project, "roles": [{"name": "member"}],
    }  # fmt: skip
    trust = person.user.call("POST", "/OS-TRUST/trusts", {"trust": fields})["trust"]["id"]
    user = {"id": friend.tenant.user_id, "password": friend.tenant.password}
    scope = {"OS-TRUST:trust": {"id": trust}}
    sign = with_token(login(scene, {"methods": ["password"], "password": {"user": user}}, scope))
    return Fact(partial(by_token, person, sign), [
        (lambda line: None, 204),
        (lambda line: person.user.call("DELETE", f"/OS-TRUST/trusts/{trust}"), 401),
    ], again=False)  # fmt: skip


@fact
def the_name_of_a_project(scene: Scene, line: Line) -> Fact:
    person = scene.person("name")
    path, names = f"/projects/{person.project}", [scene.name("one"), scene.name("two")]

    def shown(line: Line) -> str:
        text = line.ask(person.s3, "GET", "/").body.decode()
        return text.partition("<DisplayName>")[2].partition("</DisplayName>")[0]

    return Fact(shown, [(asking(scene, "PATCH", path, {"project": {"name": name}}), name) for name in names])
