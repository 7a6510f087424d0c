"""Everybody who might ask: each default role in each kind of scope, near the victim and far from it, delegations,
and credentials that are no longer any."""

from __future__ import annotations

from typing import Any

from tests.support.cloud import Cloud
from tests.support.world import World, path_of, world

SPENT = ("nobody", "garbage", "expired", "revoked", "disabled", "ended robot")
"""Callers whose credential is none: they get nowhere."""


def populated(cloud: Cloud) -> World:
    """The victim's world with all of them; `tokens` holds theirs by name."""
    if cloud.db.dialect == "sqlite":
        cloud.db.one("PRAGMA synchronous = OFF")  # thousands of refusals leave an event each
    w = world(cloud)
    w.tokens = {name: w.tokens[name] for name in ("victim", "unscoped")}
    near, far = w.ids["domain_id"], w.ids["other_domain"]
    beside = w.make("projects", "project", {"name": "beside", "domain_id": near})["id"]
    w.tokens["admin"] = w.admin
    for role in ("admin", "reader", "member", "auditor"):
        _enter(w, f"system {role}", role, "default", {"system": "all"})
    for role in ("admin", "manager", "member", "reader"):
        _enter(w, f"domain {role}", role, near, {"domain": near})
        _enter(w, f"far domain {role}", role, far, {"domain": far})
    for role in ("manager", "member", "reader", "auditor", "service"):
        _enter(w, f"project {role}", role, near, {"project": w.ids["project_id"]})
        _enter(w, f"neighbour {role}", role, near, {"project": beside})
        _enter(w, f"stranger {role}", role, far, {"project": w.ids["other_project"]})
    _enter(w, "far project admin", "admin", far, {"project": w.ids["other_project"]})
    w.tokens["victim unscoped"] = w.login(w.ids["user_id"], "unscoped")
    w.tokens["trustee"] = w.login(w.ids["trustee"], {"OS-TRUST:trust": {"id": w.ids["trust_id"]}})
    w.tokens["robot"] = robot(w, {})
    answer = w.cloud.call("POST", "/v3/auth/tokens", body=_robot_login(w.ids["app_id"], w.ids["app_secret"]))
    w.tokens["ruled robot"] = answer.headers["x-subject-token"]
    _spent(w)
    return w


def _enter(w: World, name: str, role: str, domain_id: str, target: dict[str, str]) -> None:
    user = w.person(name, domain_id)
    w.grant(role, user, **target)
    kind, where = next(iter(target.items()))
    scope: Any = {"system": {"all": True}} if kind == "system" else {kind: {"id": where}}
    w.tokens[name] = w.login(user, scope)


def _robot_login(app_id: str, secret: str) -> dict[str, Any]:
    identity = {"methods": ["application_credential"], "application_credential": {"id": app_id, "secret": secret}}
    return {"auth": {"identity": identity}}


def robot(w: World, fields: dict[str, Any]) -> str:
    """The token of a new application credential of the victim."""
    own = {"name": f"robot-{len(w.tokens)}", **fields}
    path = f"users/{w.ids['user_id']}/application_credentials"
    made = w.make(path, "application_credential", own, w.tokens["victim"])
    answer = w.cloud.call("POST", "/v3/auth/tokens", body=_robot_login(made["id"], made["secret"]))
    assert answer.status == 201, answer.raw
    w.ids["last_robot"] = made["id"]
    return answer.headers["x-subject-token"]


def _spent(w: World) -> None:
    """Credentials that were good once. The victim's own token and its right ones stay good."""
    gone = w.person("gone", w.ids["domain_id"])
    w.grant("member", gone, project=w.ids["project_id"])
    scope = {"project": {"id": w.ids["project_id"]}}
    w.tokens["revoked"] = w.login(gone, scope)
    answer = w.cloud.call("DELETE", "/v3/auth/tokens", w.admin, headers={"x-subject-token": w.tokens["revoked"]})
    assert answer.status == 204
    w.tokens["disabled"] = w.login(gone, scope)
    assert w.do("PATCH", f"users/{gone}", {"user": {"enabled": False}}).status == 200
    w.tokens["ended robot"] = robot(w, {})
    path = f"users/{w.ids['user_id']}/application_credentials/{w.ids['last_robot']}"
    assert w.do("DELETE", path, token=w.tokens["victim"]).status == 204
    w.tokens["garbage"] = "garbage"


def expired(w: World) -> str:
    """A token whose time is over; the clock goes on, so the others of before are over too."""
    token = w.tokens["stranger member"]
    w.cloud.clock.advance(86_400)
    return token


def missing(w: World, path: str) -> list[str]:
    """The route's paths with ids that are nobody's: each parameter alone, all of them, and a near miss."""
    there = path_of(w, path).split("/")
    slots = [at for at, part in enumerate(path.split("/")) if part.startswith("{")]
    found = []
    for chosen in [[at] for at in slots] + ([slots] if len(slots) > 1 else []):
        for wrong in (_other, _near):
            parts = list(there)
            for at in chosen:
                parts[at] = wrong(parts[at])
            found.append("/".join(parts))
    return found


def _other(name: str) -> str:
    """Another name of the same length and alphabet."""
    if not any(char.isdigit() for char in name):
        return "q" * len(name)
    return "".join(str((int(char) + 3) % 10) if char.isdigit() else char for char in reversed(name))


def _near(name: str) -> str:
    """A name that differs in its last character only."""
    return name[:-1] + ("0" if name[-1] != "0" else "1")
