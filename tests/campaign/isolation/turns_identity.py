"""The same for what identity decides: roles, groups, delegations, enabled states, credentials and tokens."""

from __future__ import annotations

from typing import Any

from tests.campaign.isolation.turns import Do, Probe, Scene, Turns, rule, statement
from tests.support.house import REGION, Person
from tests.support.sigv4 import Signer
from tests.support.world import PASSWORD

DAY = 86_400


def _worker_of(s: Scene, name: str = "lone") -> Person:
    """A user with a role of no power on the project of the bucket, a token and an access key there."""
    s.house.world.roles.setdefault("idle", s.house.world.make("roles", "role", {"name": "idle"})["id"])
    return s.house.person(name, s.own, "idle")


def _group(s: Scene) -> str:
    """A new group without members."""
    return str(s.house.world.make("groups", "group", {"name": "crew", "domain_id": "default"})["id"])


def _token(s: Scene, who: Person) -> str:
    """A new token on the project of the bucket."""
    return str(s.house.world.login(who.user_id, {"project": {"id": s.own}}))


def _turns(s: Scene, path: str, who: Person, more: list[Probe] | None = None) -> Turns:
    """A role assignment that is put and deleted."""
    return s.api("PUT", path), s.api("DELETE", path), [*s.both(who), *(more or [])]


@rule
def role_on_the_project(s: Scene) -> Turns:
    who = _worker_of(s)
    path = f"projects/{s.own}/users/{who.user_id}/roles/{s.house.world.roles['reader']}"
    return _turns(s, path, who, [s.s3(who, target="/box"), s.swift(who, path="")])


@rule
def role_that_writes(s: Scene) -> Turns:
    """From member to reader: reading stays, writing ends."""
    who = s.house.person("lone", s.own, "reader")
    path = f"projects/{s.own}/users/{who.user_id}/roles/{s.house.world.roles['member']}"
    give, take, _ = _turns(s, path, who)
    return give, take, [s.s3(who, "PUT", "/box/w"), s.swift(who, "PUT", "/box/w")]


@rule
def role_that_reaches_every_account(s: Scene) -> Turns:
    path = f"projects/{s.far}/users/{s.guest.user_id}/roles/{s.house.world.roles['ResellerAdmin']}"
    return _turns(s, path, s.guest, [s.swift(s.guest, path="")])


@rule
def role_of_a_group(s: Scene) -> Turns:
    who, group = _worker_of(s), _group(s)
    s.identity("PUT", f"groups/{group}/users/{who.user_id}")
    return _turns(s, f"projects/{s.own}/groups/{group}/roles/{s.house.world.roles['member']}", who)


@rule
def member_of_a_group(s: Scene) -> Turns:
    who, group = _worker_of(s), _group(s)
    s.identity("PUT", f"projects/{s.own}/groups/{group}/roles/{s.house.world.roles['member']}")
    return _turns(s, f"groups/{group}/users/{who.user_id}", who)


@rule
def group_itself(s: Scene) -> Turns:
    who, world = _worker_of(s), s.house.world

    def give() -> None:
        s.kept["group"] = _group(s)
        s.identity("PUT", f"projects/{s.own}/groups/{s.kept['group']}/roles/{world.roles['member']}")
        s.identity("PUT", f"groups/{s.kept['group']}/users/{who.user_id}")

    return give, lambda: s.identity("DELETE", f"groups/{s.kept['group']}"), s.both(who)


@rule
def role_inherited_from_the_domain(s: Scene) -> Turns:
    who, role = _worker_of(s), s.house.world.roles["member"]
    return _turns(s, f"OS-INHERIT/domains/default/users/{who.user_id}/roles/{role}/inherited_to_projects", who)


@rule
def role_implied_by_another(s: Scene) -> Turns:
    who, world = _worker_of(s), s.house.world
    return _turns(s, f"roles/{world.roles['idle']}/implies/{world.roles['member']}", who)


@rule
def role_itself(s: Scene) -> Turns:
    who, world = _worker_of(s), s.house.world

    def give() -> None:
        s.kept["role"] = world.make("roles", "role", {"name": "porter"})["id"]
        s.identity("PUT", f"roles/{s.kept['role']}/implies/{world.roles['member']}")
        s.identity("PUT", f"projects/{s.own}/users/{who.user_id}/roles/{s.kept['role']}")

    return give, lambda: s.identity("DELETE", f"roles/{s.kept['role']}"), s.both(who)


# --- enabled states and existence
def _enabled(s: Scene, kind: str, object_id: str, probes: list[Probe]) -> Turns:
    def change(value: bool) -> Do:
        return s.api("PATCH", f"{kind}s/{object_id}", {kind: {"enabled": value}})

    return change(True), change(False), probes


@rule
def user_enabled(s: Scene) -> Turns:
    who = s.house.person("lone", s.own)
    return _enabled(s, "user", who.user_id, [s.s3(who)])


@rule
def project_enabled(s: Scene) -> Turns:
    far = s.house.project("farther")
    who = s.house.person("lone", far)
    s.put("/box?policy", statement(Principal={"AWS": far}))()
    return _enabled(s, "project", far, [s.s3(who)])


@rule
def domain_enabled(s: Scene) -> Turns:
    domain = s.house.world.make("domains", "domain", {"name": "away"})["id"]
    far = s.house.project("farther", domain)
    who = s.house.person("lone", far, domain_id=domain)
    s.put("/box?policy", statement(Principal={"AWS": far}))()
    return _enabled(s, "domain", domain, [s.s3(who)])


class Stand:
    """Somebody who is made anew at every turn: probes ask as whoever it is now."""

    def __init__(self, s: Scene) -> None:
        self.s = s
        self.who: Person | None = None
        self.signer: Signer | None = None

    def token(self, method: str = "GET", path: str = "/box/k") -> Probe:
        def ask(worker: int) -> int:
            assert self.who is not None
            return self.s.swift(self.who, method, path)(worker)

        return ask

    def key(self, target: str = "/box/k") -> Probe:
        return lambda worker: self.s.s3(self.signer, "GET", target)(worker)

    def become(self, token: str, user_id: str) -> None:
        """The holder of a delegation's token, with an access key that the token makes."""
        path = f"/identity/v3/users/{user_id}/credentials/OS-EC2"
        made = self.s.done(self.s.house.call("POST", path, token, {"tenant_id": self.s.own}))
        pair = made.json["credential"]
        self.who = Person(user_id, self.s.own, token)
        self.signer = Signer(pair["access"], pair["secret"], REGION)

    def enter(self, user_id: str, project_id: str) -> None:
        self.who = self.s.house.enter(user_id, project_id)
        self.signer = self.who.signer


@rule
def user_itself(s: Scene) -> Turns:
    stand = Stand(s)

    def give() -> None:
        s.turn += 1
        who = s.house.person(f"lone-{s.turn}", s.own)
        stand.who, stand.signer = who, who.signer

    def take() -> None:
        assert stand.who is not None
        s.identity("DELETE", f"users/{stand.who.user_id}")

    return give, take, [stand.token(), stand.key()]


@rule
def project_itself(s: Scene) -> Turns:
    """The caller's project goes away while a policy still names it."""
    stand = Stand(s)

    def give() -> None:
        s.turn += 1
        s.kept["project"] = s.house.project(f"brief-{s.turn}")
        who = s.house.person(f"lone-{s.turn}", s.kept["project"])
        stand.who, stand.signer = who, who.signer
        s.put("/box?policy", statement(Principal={"AWS": s.kept["project"]}))()

    def take() -> None:
        s.identity("DELETE", f"projects/{s.kept['project']}")

    return give, take, [stand.token(), stand.key()]


# --- tokens, passwords, access keys
@rule
def token_of_its_own(s: Scene) -> Turns:
    stand = Stand(s)
    who = s.house.person("lone", s.own)

    def take() -> None:
        assert stand.who is not None
        token = stand.who.token
        headers = {"x-subject-token": token}
        s.done(s.house.call("DELETE", "/identity/v3/auth/tokens", token, headers=headers))

    return lambda: stand.enter(who.user_id, s.own), take, [stand.token(), stand.token("HEAD", "/box")]


@rule
def token_until_it_ends(s: Scene) -> Turns:
    stand = Stand(s)
    who = s.house.person("lone", s.own)

    def take() -> None:
        s.house.clock.advance(DAY)
        s.house.world.admin = s.house.cloud.admin()

    return lambda: stand.enter(who.user_id, s.own), take, [stand.token()]


@rule
def token_of_before_the_password_changed(s: Scene) -> Turns:
    stand = Stand(s)
    who = s.house.person("lone", s.own)

    def give() -> None:
        s.identity("PATCH", f"users/{who.user_id}", {"user": {"password": PASSWORD}})
        s.house.clock.advance(2)
        stand.enter(who.user_id, s.own)

    def take() -> None:
        s.turn += 1
        s.house.clock.advance(2)
        other = {"user": {"password": f"{PASSWORD} {s.turn}"}}
        s.identity("PATCH", f"users/{who.user_id}", other)

    return give, take, [stand.token()]


@rule
def access_key(s: Scene) -> Turns:
    stand = Stand(s)
    who = s.house.person("lone", s.own)

    def give() -> None:
        stand.signer = s.house.key_pair(who.user_id, s.own)

    def take() -> None:
        assert stand.signer is not None
        s.identity("DELETE", f"users/{who.user_id}/credentials/OS-EC2/{stand.signer.access}")

    return give, take, [stand.key(), stand.key("/box"), stand.key("/")]


# --- delegations
def _application(s: Scene, who: Person, token: str, **fields: Any) -> dict[str, Any]:
    s.turn += 1
    body = {"name": f"robot-{s.turn}", **fields}
    path = f"users/{who.user_id}/application_credentials"
    return s.house.world.make(path, "application_credential", body, token)


def _robot(s: Scene, made: dict[str, Any]) -> str:
    """A token of an application credential."""
    secret = {"id": made["id"], "secret": made["secret"]}
    identity = {"methods": ["application_credential"], "application_credential": secret}
    answer = s.house.call("POST", "/identity/v3/auth/tokens", body={"auth": {"identity": identity}})
    return str(s.done(answer).headers["x-subject-token"])


@rule
def application_credential(s: Scene) -> Turns:
    stand = Stand(s)
    who = s.house.person("lone", s.own)

    def give() -> None:
        s.kept["app"] = _application(s, who, who.token, unrestricted=True)
        stand.become(_robot(s, s.kept["app"]), who.user_id)

    def take() -> None:
        path = f"/identity/v3/users/{who.user_id}/application_credentials/{s.kept['app']['id']}"
        s.done(s.house.call("DELETE", path, who.token))

    return give, take, [stand.token(), stand.key()]


@rule
def application_credential_until_it_ends(s: Scene) -> Turns:
    stand = Stand(s)
    who = s.house.person("lone", s.own)

    def give() -> None:
        ends = f"2026-01-{2 + s.turn:02d}T00:00:00.000000Z"
        made = _application(s, who, _token(s, who), expires_at=ends, unrestricted=True)
        stand.become(_robot(s, made), who.user_id)

    def take() -> None:
        s.house.clock.advance(DAY)
        s.house.world.admin = s.house.cloud.admin()

    return give, take, [stand.token(), stand.key()]


@rule
def access_rules_of_an_application_credential(s: Scene) -> Turns:
    """Rules bind what a token may ask for, whatever its roles."""
    who = s.house.person("lone", s.own)
    path = f"/v1/{who.account}/box/**"
    fits = {"service": "object-store", "method": "GET", "path": path}
    other = {**fits, "path": f"/v1/{who.account}/else/**"}
    stand = Stand(s)

    def become(one: dict[str, str]) -> Do:
        def do() -> None:
            made = _application(s, who, _token(s, who), access_rules=[one])
            stand.who = Person(who.user_id, s.own, _robot(s, made))

        return do

    return become(fits), become(other), [stand.token()]


@rule
def role_behind_a_delegation(s: Scene) -> Turns:
    """An application credential ends when the role that it hands on is taken away."""
    who = _worker_of(s)
    role = s.house.world.roles["member"]
    path = f"projects/{s.own}/users/{who.user_id}/roles/{role}"
    stand = Stand(s)

    def give() -> None:
        s.identity("PUT", path)
        made = _application(s, who, _token(s, who), roles=[{"id": role}])
        stand.who = Person(who.user_id, s.own, _robot(s, made))

    return give, s.api("DELETE", path), [stand.token()]


@rule
def trust_of_another(s: Scene) -> Turns:
    stand = Stand(s)

    def give() -> None:
        trust = {
            "trustor_user_id": s.owner.user_id, "trustee_user_id": s.guest.user_id, "impersonation": False,
            "project_id": s.own, "roles": [{"name": "member"}],
        }  # fmt: skip
        s.kept["trust"] = s.house.world.make("OS-TRUST/trusts", "trust", trust, s.owner.token)["id"]
        scope = {"OS-TRUST:trust": {"id": s.kept["trust"]}}
        stand.who = Person(s.guest.user_id, s.own, s.house.world.login(s.guest.user_id, scope))

    def take() -> None:
        s.done(s.house.call("DELETE", f"/identity/v3/OS-TRUST/trusts/{s.kept['trust']}", s.owner.token))

    return give, take, [stand.token()]


@rule
def role_of_a_trustor(s: Scene) -> Turns:
    who = _worker_of(s)
    role = s.house.world.roles["member"]
    path = f"projects/{s.own}/users/{who.user_id}/roles/{role}"
    stand = Stand(s)

    def give() -> None:
        s.identity("PUT", path)
        token = _token(s, who)
        trust = {
            "trustor_user_id": who.user_id, "trustee_user_id": s.guest.user_id, "impersonation": True,
            "project_id": s.own, "roles": [{"id": role}],
        }  # fmt: skip
        made = s.house.world.make("OS-TRUST/trusts", "trust", trust, token)["id"]
        token = s.house.world.login(s.guest.user_id, {"OS-TRUST:trust": {"id": made}})
        stand.who = Person(s.guest.user_id, s.own, token)

    return give, s.api("DELETE", path), [stand.token()]


# --- keys
@rule
def key_of_the_bucket(s: Scene) -> Turns:
    """A disabled key closes what it protects, in every process."""
    ring = s.house.workers[0].vault.keys
    key = next(key.id for key in ring.list(s.own) if key.level == "container")

    def change(enabled: bool) -> Do:
        def do() -> None:
            with s.house.db.write() as tx:
                ring.set_enabled(tx, key, enabled)

        return do

    return change(True), change(False), s.both(s.owner)
