"""A small client of the identity API, enough to prepare users and projects for black-box tests."""

from __future__ import annotations

import secrets
import ssl
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support.installation import Installation


@dataclass(frozen=True, slots=True)
class Tenant:
    """A project, a user with roles in it, and an EC2 credential of theirs."""

    project_id: str
    project_name: str
    user_id: str
    user_name: str
    password: str
    access: str
    secret: str


@dataclass(slots=True)
class Keystone:
    """Calls with one token. Any answer that is no success raises AssertionError with the body."""

    url: str
    http: httpx.Client
    ca: str | None = None
    token: str = ""
    project_id: str = ""
    catalog: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def admin(cls, installation: Installation) -> Keystone:
        return cls.log_in(installation, installation.clouds["andromede-admin"]["auth"])

    @classmethod
    def log_in(cls, installation: Installation, auth: dict[str, str]) -> Keystone:
        """A project-scoped login with the `auth` section of a clouds.yaml."""
        url = f"{installation.identity_url}/v3"
        verify = ssl.create_default_context(cafile=installation.ca)
        client = cls(url, httpx.Client(verify=verify, timeout=60, trust_env=False), installation.ca)
        client._take_token(auth)
        return client

    def _take_token(self, auth: dict[str, str]) -> None:
        domain = {"name": auth.get("user_domain_name", "Default")}
        user = {"name": auth["username"], "password": auth["password"], "domain": domain}
        scope = {
            "project": {
                "name": auth["project_name"],
                "domain": {"name": auth.get("project_domain_name", "Default")},
            }
        }
        identity = {"methods": ["password"], "password": {"user": user}}
        answer = self.http.post(f"{self.url}/auth/tokens", json={"auth": {"identity": identity, "scope": scope}})
        assert answer.status_code == 201, f"login: {answer.status_code} {answer.text[:500]}"
        self.token = answer.headers["x-subject-token"]
        body = answer.json()["token"]
        self.project_id = body["project"]["id"]
        self.catalog = body.get("catalog", [])

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self.http.request(method, f"{self.url}{path}", json=body, headers={"X-Auth-Token": self.token})
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json() if answer.content else {}

    def role(self, name: str) -> str:
        return self._find_or_make("role", name)

    def domain(self, name: str) -> str:
        return self._find_or_make("domain", name)

    def _find_or_make(self, kind: str, name: str) -> str:
        found = self.call("GET", f"/{kind}s?name={name}")[f"{kind}s"]
        return str((found[0] if found else self.call("POST", f"/{kind}s", {kind: {"name": name}})[kind])["id"])

    def endpoint(self, kind: str) -> str:
        """The public URL of the first endpoint of a service type in the catalog."""
        service = next(entry for entry in self.catalog if entry["type"] == kind)
        return str(next(point["url"] for point in service["endpoints"] if point["interface"] == "public"))

    def user(self, name: str, password: str, **fields: str) -> str:
        body = {"name": name, "password": password, "domain_id": "default", **fields}
        return str(self.call("POST", "/users", {"user": body})["user"]["id"])

    def tenant(self, name: str, roles: tuple[str, ...] = ("member",)) -> Tenant:
        """A new project with a new user; the name gets a random end so that it is new every time."""
        unique = f"{name}-{secrets.token_hex(3)}"
        password = secrets.token_urlsafe(18)
        body = {"project": {"name": unique, "domain_id": "default"}}
        project = str(self.call("POST", "/projects", body)["project"]["id"])
        user = self.user(unique, password)
        for role in roles:
            self.call("PUT", f"/projects/{project}/users/{user}/roles/{self.role(role)}")
        pair = self.call("POST", f"/users/{user}/credentials/OS-EC2", {"tenant_id": project})["credential"]
        return Tenant(project, unique, user, unique, password, pair["access"], pair["secret"])
