"""Hostile input to the API port: every route of its four services, with bodies made valid and spoilt."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from andromede.audit.routes import routes as trail_routes
from andromede.identity.routes import routes as identity_routes
from andromede.sovereignty.routes import routes as ledger_routes
from andromede.sovereignty.witness_routes import ABOUT, PREFIX, about_routes, witness_routes
from andromede.web.routes import Route
from tests.campaign.fuzz_ask import Ask, Target
from tests.campaign.fuzz_wire import Reply
from tests.campaign.fuzz_words import Chance, escaped, jsons, value
from tests.support.cloud import Answer
from tests.support.installation import Installation
from tests.support.keystone import Keystone
from tests.support.world import World, body_of, world

TABLES: tuple[tuple[str, Any], ...] = (
    ("/identity", identity_routes), ("/ledger", trail_routes), ("/sovereignty", ledger_routes),
    (PREFIX, witness_routes), (ABOUT, about_routes),
)  # fmt: skip
_PARAMETERS = (
    "name", "limit", "marker", "enabled", "name__contains", "password_expires_at", "parents_as_list", "subtree_as_ids",
    "effective", "include_names", "include_subtree", "scope.system", "domain_id", "tags", "not-tags-any", "user.id",
    "role.id", "allow_expired", "nocatalog", "sort_key", "from", "to", "size", "old", "after", "index", "witnessed",
    "purpose",
    "user_id", "type", "project_id", "service_id", "region_id", "interface", "resource_name", "start", "end",
    "tree_size",
)  # fmt: skip
_HOLDERS = (*("admin",) * 20, "victim", "stranger", "manager", "domain admin", "peer", "auditor", "unscoped")
_ID = re.compile(rb'"id": ?"([\w.\-]{3,64})"')
_KINDS = (
    "domain",
    "project",
    "user",
    "group",
    "role",
    "region",
    "service",
    "endpoint",
    "credential",
    "trust",
    "policy",
)


@dataclass(slots=True)
class RemoteCloud:
    """`tests.support.cloud.Cloud` over HTTP: enough of it to build a world in."""

    keystone: Keystone

    def admin(self) -> str:
        return self.keystone.token

    def call(
        self, method: str, path: str, token: str | None = None, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        sent = {**(headers or {}), **({"x-auth-token": token} if token else {})}
        url = self.keystone.url.removesuffix("/v3") + path
        answer = self.keystone.http.request(method, url, json=body, headers=sent)
        assert answer.status_code < 500, answer.text
        return Answer(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, answer.content)


@dataclass(frozen=True, slots=True)
class Site:
    """A route under its prefix, with an example of a valid body. `creates`: the kind of what it makes."""

    route: Route
    prefix: str
    example: str
    creates: str


def sites(made: World) -> list[Site]:
    """Every route of the port."""
    found = []
    for prefix, table in TABLES:
        for route in table:
            example = ""
            if route.body is not None:
                try:
                    example = json.dumps(body_of(made, route.body))
                except KeyError:
                    example = json.dumps({"witnesses": []})
            last = route.path.rstrip("/").rpartition("/")[2]
            kind = last.removesuffix("s") if last != "policies" else "policy"
            found.append(Site(route, prefix, example, kind if route.method == "POST" and kind in _KINDS else ""))
    return found


def populate(installation: Installation) -> tuple[World, Keystone]:
    """A world on a running installation."""
    admin = Keystone.admin(installation)
    return world(RemoteCloud(admin)), admin  # type: ignore[arg-type]


def _part(chance: Chance, site: Site, name: str, ids: dict[str, str]) -> str:
    """The value of one parameter of a path."""
    kind = name.removesuffix("_id")
    destructive = site.route.method in ("DELETE", "PATCH", "POST")
    own = chance.learned.get(kind)
    if own and chance.maybe(0.6):
        return str(chance.one(own))
    if chance.maybe(0.1):
        odd = escaped(chance.odd())[:600] or "x"
        return "x" if odd == "default" else odd  # without its domain nobody could log in any more
    if destructive:
        return str(chance.one(own)) if own else "0" * 32
    fixed = {"tag": "red", "section": "identity", "option": "driver", "log": ids.get("project_id", "x"), "index": "0"}
    if "application_credentials" in site.route.path and name == "credential_id":
        name = "app_id"
    return fixed.get(name) or ids.get(name, "x")


def ask(chance: Chance, to: Target, table: list[Site]) -> Ask:
    """A request to the API port."""
    site = chance.one(table)
    route = site.route
    if route.slow and chance.maybe(0.97):
        return ask(chance, to, table)
    if site.creates and len(chance.learned.get(site.creates, ())) >= 24 and chance.maybe(0.9):
        return ask(chance, to, table)
    parts = [
        _part(chance, site, part[1:-1], to.ids) if part.startswith("{") else part for part in route.path.split("/")
    ]
    target = site.prefix + "/".join(parts)
    if chance.maybe(0.02):
        target += chance.one(("/", "//", "/..", "/x", "%00", "%2F"))
    query = []
    while chance.maybe(0.3):
        text = chance.one(("1", "0", "x", "true")) if chance.maybe(0.3) else chance.odd()
        query.append(f"{chance.one(_PARAMETERS)}={escaped(text)[:1500]}")
    headers: list[tuple[str, str]] = []
    body = b""
    if site.example:
        document = json.loads(site.example)
        body = jsons(chance, _renamed(chance, document))
        headers.append(("content-type", "application/json" if chance.maybe(0.9) else value(chance.odd())))
    elif route.path.endswith("add-checkpoint") or (route.method in ("PUT", "POST") and chance.maybe(0.5)):
        body = _note(chance)
    elif chance.maybe(0.03):
        body = b"{}"
    if "auth/tokens" in route.path and route.method != "POST":
        holder = chance.one(("peer", "auditor")) if route.method == "DELETE" else chance.one(_HOLDERS)
        subject = "gAAAAAB" + "x" * 80 if route.method == "DELETE" else to.tokens.get(holder, "x")
        headers.append(("x-subject-token", subject if chance.maybe(0.8) else value(chance.odd())))
    while chance.maybe(0.1):
        headers.append((chance.one(_HEADERS), value(chance.odd())))
    method = route.method if chance.maybe(0.97) else chance.one(("GET", "HEAD", "PUT", "POST", "PATCH", "OPTIONS"))
    if method != route.method and route.method != "GET":
        method = route.method
    auth = (
        f"token:{chance.one(_HOLDERS)}"
        if chance.maybe(0.95)
        else chance.one(("", "token:" + (value(chance.odd())[:3000] or "x")))
    )
    return Ask(
        "api", method, target + ("?" + "&".join(query) if query else ""), headers, body, auth,
        chance.one((1, 9, 500)) if body and len(body) < 2000 and chance.maybe(0.05) else 0, site.creates,
        f"{route.method} {site.prefix}{route.path}",
    )  # fmt: skip


_HEADERS = (
    "accept", "accept-language", "openstack-api-version", "x-openstack-nova-api-version",
    "openstack-identity-access-rules",
    "x-service-token", "openstack-auth-receipt", "if-match", "if-none-match", "range", "x-forwarded-for", "forwarded",
    "content-encoding", "x-openstack-request-id", "andromede-purpose", "expect", "origin", "cookie",
)  # fmt: skip


def _renamed(chance: Chance, document: Any) -> Any:
    """New names, so that what is created does not collide all the time."""
    inner = next(iter(document.values()), None) if isinstance(document, dict) else None
    if isinstance(inner, dict) and "name" in inner and chance.maybe(0.8):
        inner["name"] = f"fz-{chance.dice.randrange(1 << 40):x}"
    return document


def _note(chance: Chance) -> bytes:
    """Something like a signed checkpoint with proof lines, or a policy."""
    lines = ["old 0", "AAAA", "", "example.com/log", "1", "A" * 43 + "=", "", "\u2014 example.com/log AAAAAAAA"]
    for _ in range(chance.one((0, 1, 2))):
        lines[chance.dice.randrange(len(lines))] = chance.odd().encode("latin-1").decode("utf-8", "replace")
    return ("\n".join(lines) + chance.one(("", "\n"))).encode()


def learn(chance: Chance, sent: Ask, reply: Reply) -> None:
    """The id of what a request has made."""
    if reply.status == 201 and sent.make and (found := _ID.search(reply.body)):
        chance.learn(sent.make, quote(found[1].decode("latin-1")))
    elif reply.status == 204 and sent.method == "DELETE":
        gone = sent.target.partition("?")[0].rpartition("/")[2]
        for kept in chance.learned.values():
            if gone in kept:
                kept.remove(gone)


__all__ = ["Site", "ask", "httpx", "learn", "populate", "sites"]
