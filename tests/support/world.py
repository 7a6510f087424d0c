"""A populated identity service: a victim with one of everything, and callers who have no business there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from andromede.identity import bodies
from tests.support.cloud import Answer, Cloud

FUTURE = "2030-01-01T00:00:00.000000Z"
PASSWORD = "correct horse battery staple"


@dataclass
class World:
    """Ids of the victim's things by parameter name, and tokens of callers by name."""

    cloud: Cloud
    admin: str
    ids: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)

    def make(self, path: str, key: str, body: dict[str, Any], token: str = "") -> dict[str, Any]:
        """POST below /v3 as administrator (or with a token); the object."""
        answer = self.cloud.call("POST", f"/v3/{path}", token or self.admin, {key: body})
        assert answer.status == 201, answer.raw
        made: dict[str, Any] = answer.json[key]
        return made

    def get(self, path: str, token: str = "") -> Any:
        """GET below /v3; the parsed answer."""
        answer = self.cloud.call("GET", f"/v3/{path}", token or self.admin)
        assert answer.status == 200, answer.raw
        return answer.json

    def do(self, method: str, path: str, body: Any = None, token: str = "") -> Answer:
        """Any call below /v3."""
        return self.cloud.call(method, f"/v3/{path}", token or self.admin, body)

    def person(self, name: str, domain_id: str = "default", **fields: Any) -> str:
        """A user with the common password; the id."""
        body = {"name": name, "password": PASSWORD, "domain_id": domain_id, **fields}
        return str(self.make("users", "user", body)["id"])

    def grant(self, role: str, user_id: str, **target: str) -> None:
        """`grant("member", user, project=...)`, `domain=...` or `system="all"`."""
        kind, target_id = next(iter(target.items()))
        where = "system" if kind == "system" else f"{kind}s/{target_id}"
        answer = self.do("PUT", f"{where}/users/{user_id}/roles/{self.roles[role]}")
        assert answer.status == 204, answer.raw

    def login(self, user_id: str, scope: Any, password: str = PASSWORD) -> str:
        """A token by user id."""
        auth = {"identity": {"methods": ["password"], "password": {"user": {"id": user_id, "password": password}}}}
        answer = self.cloud.call("POST", "/v3/auth/tokens", body={"auth": {**auth, "scope": scope}})
        assert answer.status == 201, answer.raw
        return answer.headers["x-subject-token"]


def world(cloud: Cloud) -> World:
    """Build it."""
    made = World(cloud, cloud.admin())
    made.roles = {role["name"]: role["id"] for role in made.get("roles")["roles"]}
    _victim(made)
    _callers(made)
    return made


def _victim(w: World) -> None:
    ids = w.ids
    ids["domain_id"] = w.make("domains", "domain", {"name": "victim", "tags": ["red"]})["id"]
    ids["project_id"] = w.make("projects", "project", {"name": "vault", "domain_id": ids["domain_id"]})["id"]
    ids["user_id"] = w.person("victim", ids["domain_id"])
    ids["trustee"] = w.person("trustee", ids["domain_id"])
    w.grant("member", ids["user_id"], project=ids["project_id"])
    own = w.tokens["victim"] = w.login(ids["user_id"], {"project": {"id": ids["project_id"]}})
    ids["group_id"] = w.make("groups", "group", {"name": "crew", "domain_id": ids["domain_id"]})["id"]
    assert w.do("PUT", f"groups/{ids['group_id']}/users/{ids['user_id']}").status == 204
    ids["role_id"] = w.make("roles", "role", {"name": "captain", "domain_id": ids["domain_id"]})["id"]
    ids["implied_id"] = w.roles["reader"]
    assert w.do("PUT", f"roles/{ids['role_id']}/implies/{ids['implied_id']}").status == 201
    body = {"type": "totp", "blob": "JBSWY3DPEHPK3PXP", "user_id": ids["user_id"]}
    ids["credential_id"] = w.make("credentials", "credential", body)["id"]
    answer = w.do("POST", f"users/{ids['user_id']}/credentials/OS-EC2", {"tenant_id": ids["project_id"]}, own)
    ids["access"] = answer.json["credential"]["access"]
    rule = {"service": "identity", "method": "GET", "path": "/v3/auth/projects"}
    app = {"name": "robot", "access_rules": [rule]}
    made = w.make(f"users/{ids['user_id']}/application_credentials", "application_credential", app, own)
    ids["app_id"], ids["app_secret"] = made["id"], made["secret"]
    ids["rule_id"] = made["access_rules"][0]["id"]
    trust = {
        "trustor_user_id": ids["user_id"], "trustee_user_id": ids["trustee"], "impersonation": True,
        "project_id": ids["project_id"], "roles": [{"name": "member"}],
    }  # fmt: skip
    ids["trust_id"] = w.make("OS-TRUST/trusts", "trust", trust, own)["id"]
    ids["region_id"] = w.make("regions", "region", {"id": "far"})["id"]
    ids["service_id"] = w.make("services", "service", {"type": "test"})["id"]
    point = {"interface": "public", "url": "http://test.invalid/%(project_id)s", "service_id": ids["service_id"]}
    ids["endpoint_id"] = w.make("endpoints", "endpoint", point)["id"]
    ids["policy_id"] = w.make("policies", "policy", {"blob": "{}", "type": "application/json"})["id"]
    ids["ep_group_id"] = w.make("OS-EP-FILTER/endpoint_groups", "endpoint_group", {"name": "g", "filters": {}})["id"]
    ids["consumer_id"] = w.make("OS-OAUTH1/consumers", "consumer", {"description": "c"})["id"]
    registered = {"service_id": ids["service_id"], "resource_name": "cores", "default_limit": 5}
    answer = w.do("POST", "registered_limits", {"registered_limits": [registered]})
    ids["registered_id"] = answer.json["registered_limits"][0]["id"]
    limit = {"service_id": ids["service_id"], "resource_name": "cores", "resource_limit": 7}
    answer = w.do("POST", "limits", {"limits": [{**limit, "project_id": ids["project_id"]}]})
    ids["limit_id"] = answer.json["limits"][0]["id"]


def _callers(w: World) -> None:
    other = w.make("domains", "domain", {"name": "elsewhere"})["id"]
    project = w.make("projects", "project", {"name": "field", "domain_id": other})["id"]
    w.ids["other_domain"], w.ids["other_project"] = other, project
    stranger = w.person("stranger", other)
    w.grant("member", stranger, project=project)
    w.tokens["stranger"] = w.login(stranger, {"project": {"id": project}})
    manager = w.person("manager", other)
    w.grant("manager", manager, domain=other)
    w.tokens["manager"] = w.login(manager, {"domain": {"id": other}})
    chief = w.person("chief", other)
    w.grant("admin", chief, domain=other)
    w.tokens["domain admin"] = w.login(chief, {"domain": {"id": other}})
    peer = w.person("peer", w.ids["domain_id"])
    w.grant("reader", peer, project=w.ids["project_id"])
    w.tokens["peer"] = w.login(peer, {"project": {"id": w.ids["project_id"]}})
    auditor = w.person("auditor", w.ids["domain_id"])
    w.grant("auditor", auditor, project=w.ids["project_id"])
    w.tokens["auditor"] = w.login(auditor, {"project": {"id": w.ids["project_id"]}})
    unscoped = w.person("unscoped", other)
    w.tokens["unscoped"] = w.login(unscoped, "unscoped")


def body_of(w: World, kind: Any) -> Any:
    """A valid body of a route's type that concerns the victim."""
    ids = w.ids
    examples: dict[Any, Any] = {
        bodies.CreateProject: {"project": {"name": "x", "domain_id": ids["domain_id"]}},
        bodies.UpdateProject: {"project": {"description": "x"}},
        bodies.CreateDomain: {"domain": {"name": "x"}},
        bodies.UpdateDomain: {"domain": {"description": "x"}},
        bodies.Tags: {"tags": ["x"]},
        bodies.ConfigRequest: {"config": {"identity": {"driver": "sql"}}},
        bodies.UserRequest: {"user": {"name": "x", "domain_id": ids["domain_id"]}},
        bodies.GroupRequest: {"group": {"name": "x", "domain_id": ids["domain_id"]}},
        bodies.RoleRequest: {"role": {"name": "x"}},
        bodies.AppCredentialRequest: {"application_credential": {"name": "x"}},
        bodies.CredentialRequest: {"credential": {"type": "x", "blob": "x", "user_id": ids["user_id"]}},
        bodies.Ec2Request: {"tenant_id": ids["project_id"]},
        bodies.TrustRequest: {
            "trust": {
                "trustor_user_id": ids["user_id"], "trustee_user_id": ids["trustee"], "impersonation": False,
                "project_id": ids["project_id"], "roles": [{"name": "member"}],
            }
        },
        bodies.RegionRequest: {"region": {"description": "x"}},
        bodies.ServiceRequest: {"service": {"type": "x"}},
        bodies.EndpointRequest: {
            "endpoint": {"interface": "public", "url": "http://x.invalid", "service_id": ids["service_id"]}
        },
        bodies.PolicyRequest: {"policy": {"blob": "x", "type": "x"}},
        bodies.EndpointGroupRequest: {"endpoint_group": {"name": "x", "filters": {}}},
        bodies.ConsumerRequest: {"consumer": {"description": "x"}},
        bodies.RegisteredLimitsRequest: {
            "registered_limits": [{"service_id": ids["service_id"], "resource_name": "ram", "default_limit": 1}]
        },
        bodies.RegisteredLimitRequest: {"registered_limit": {"default_limit": 1}},
        bodies.LimitsRequest: {
            "limits": [{
                "service_id": ids["service_id"], "resource_name": "cores", "resource_limit": 1,
                "domain_id": ids["domain_id"],
            }]
        },
        bodies.LimitRequest: {"limit": {"resource_limit": 1}},
        bodies.ChangePasswordRequest: {"user": {"password": "x", "original_password": "wrong"}},
        bodies.AuthRequest: {"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": "x"}}}}},
    }  # fmt: skip
    return None if kind is None else examples[kind]


def path_of(w: World, path: str) -> str:
    """The path of a route with the victim's ids in it."""
    special = {"credential_id": "app_id"} if "application_credentials" in path else {}
    if path.startswith("/v3/registered_limits"):
        special = {"limit_id": "registered_id"}
    if path.startswith("/v3/OS-EP-FILTER"):
        special = {"group_id": "ep_group_id"}
    fixed = {"tag": "red", "section": "identity", "option": "driver"}
    parts = []
    for part in path.split("/"):
        name = part[1:-1] if part.startswith("{") else ""
        parts.append(fixed.get(name) or w.ids[special.get(name, name)] if name else part)
    return "/".join(parts)
