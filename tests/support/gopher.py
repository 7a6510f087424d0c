"""A client with the habits of gophercloud: how it finds services, which answers it takes for a success.

Facts of gophercloud v2 (openstack/utils/choose_version.go, provider_client.go): an unversioned URL of the catalog is
read, must answer 200 or 300 and name a version with the right major number and a known status; a URL with a version in
its path is trusted unread. Each method has its success codes, to which a call may name others.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support.installation import Installation

CODES = {
    "GET": (200,), "HEAD": (200,), "POST": (201, 202), "PUT": (201, 202), "PATCH": (200, 202, 204),
    "DELETE": (202, 204),
}  # fmt: skip
STATUSES = ("CURRENT", "STABLE", "SUPPORTED", "DEPRECATED", "")
SERVICES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "compute": (("compute",), ""),
    "network": (("network",), "v2.0/"),
    "image": (("image",), "v2/"),
    "block-storage": (("block-storage", "volumev3", "volumev2", "volume", "block-store"), ""),
    "key-manager": (("key-manager",), "v1/"),
    "load-balancer": (("load-balancer",), "v2.0/lbaas/"),
    "object-store": (("object-store",), ""),
    "placement": (("placement",), ""),
}
"""Service -> its types in the catalog, the first that stands in it wins; what the client appends to the URL."""
MAJOR = {"network": "2", "image": "2", "key-manager": "1", "load-balancer": "2", "placement": "1"}
READING_SECONDS = 240.0


class Refused(AssertionError):
    """An answer that gophercloud takes for an error."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


@dataclass(slots=True)
class Gopher:
    """A logged in client. `microversions`: of compute and volumes, sent under every name that the library uses."""

    http: httpx.Client
    token: str
    project: str
    catalog: list[dict[str, Any]]
    microversions: dict[str, str] = field(default_factory=dict)
    found: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    @classmethod
    def log_in(cls, installation: Installation, cloud: str = "andromede") -> Gopher:
        """By password, after a look at the unversioned URL of the identity service."""
        auth = installation.clouds[cloud]["auth"]
        http = httpx.Client(timeout=60, trust_env=False, verify=installation.ca or True)
        root = http.get(installation.identity_url)
        assert root.status_code in (200, 300), f"identity: {root.status_code}"
        versions = root.json()["versions"]["values"]
        assert any(version["id"].startswith("v3") and version["status"] == "stable" for version in versions)
        domain = {"name": auth.get("user_domain_name", "Default")}
        user = {"name": auth["username"], "password": auth["password"], "domain": domain}
        body = {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": auth["project_name"], "domain": domain}},
        }
        answer = http.post(f"{installation.identity_url}/v3/auth/tokens", json={"auth": body})
        assert answer.status_code == 201, answer.text
        token = answer.json()["token"]
        return cls(http, answer.headers["x-subject-token"], token["project"]["id"], token["catalog"])

    def url(self, service: str) -> str:
        """The URL that calls of a service begin with, found as the library finds it, once."""
        if service not in self.found:
            self.found[service] = self._discover(service)
        return self.found[service]

    def offered(self, service: str) -> bool:
        return any(entry["type"] in SERVICES[service][0] for entry in self.catalog)

    def _discover(self, service: str) -> str:
        types, appended = SERVICES[service]
        entry = next((entry for entry in self.catalog if entry["type"] in types), None)
        assert entry is not None, f"no {service} in the catalog"
        point = next(point for point in entry["endpoints"] if point["interface"] == "public")
        url = str(point["url"]).rstrip("/") + "/"
        if service == "object-store" or re.search(r"/v\d+(\.\d+)?/", url):
            assert not appended, f"{service}: {url} has a version, and the library would append {appended}"
            return url
        answer = self.http.get(url, headers={"X-Auth-Token": self.token})
        assert answer.status_code in (200, 300), f"{url}: {answer.status_code}"
        versions = answer.json()["versions"]
        good = [v for v in versions if re.match(rf"v?{MAJOR[service]}(\.|$)", v["id"])]
        assert good, f"{url}: no version {MAJOR[service]} among {[v['id'] for v in versions]}"
        for version in versions:
            assert str(version.get("status", "")).upper() in STATUSES, f"{url}: {version}"
        return url + appended

    def call(
        self, method: str, service: str, path: str, body: Any = None, ok: tuple[int, ...] = (), **headers: str
    ) -> Any:
        """The JSON of an answer; `Refused` for a status that is none of the method's or of `ok`."""
        sent = {"X-Auth-Token": self.token, "Accept": "application/json", **headers, **self._versions(service)}
        raw = isinstance(body, bytes)
        content = {"content": body} if raw else {"json": body} if body is not None else {}
        answer = self.http.request(method, self.url(service) + path, headers=sent, **content)
        self.calls.append(f"{method} {service} {path.partition('?')[0]} {answer.status_code}")
        if answer.status_code not in (ok or CODES[method]):
            raise Refused(f"{method} {service} {path}: {answer.status_code} {answer.text[:400]}", answer.status_code)
        if answer.status_code in (204, 205, 304) or method == "HEAD":
            assert not answer.content, f"{method} {path}: {answer.status_code} with a body"
        kind = answer.headers.get("content-type", "")
        return answer.json() if answer.content and kind.startswith("application/json") else answer

    def _versions(self, service: str) -> dict[str, str]:
        wanted = self.microversions.get(service)
        if not wanted:
            return {}
        if service == "compute":
            return {"OpenStack-API-Version": f"compute {wanted}", "X-OpenStack-Nova-API-Version": wanted}
        return {"OpenStack-API-Version": f"volume {wanted}", "X-OpenStack-Volume-API-Version": wanted}

    def gone(self, service: str, path: str) -> bool:
        """Whether a thing is no longer there, which the client believes on 404 alone."""
        try:
            self.call("GET", service, path)
        except Refused as error:
            if error.status == 404:
                return True
            raise
        return False

    def retried(self, method: str, service: str, path: str, seconds: float = 60.0) -> None:
        """A deletion that is tried again while something still uses the thing (409)."""
        end = time.monotonic() + seconds
        while True:
            try:
                self.call(method, service, path)
                return
            except Refused as error:
                if error.status == 404:
                    return
                if error.status != 409 or time.monotonic() > end:
                    raise
            time.sleep(0.5)

    def until(self, what: str, read: Callable[[], str], wanted: tuple[str, ...], pending: tuple[str, ...] = ()) -> str:
        """Poll a status word: one of `pending` waits, one of `wanted` ends it, any other is an error."""
        end = time.monotonic() + READING_SECONDS
        while True:
            word = read()
            if word in wanted:
                return word
            assert not pending or word in pending, f"{what}: {word}, wanted {wanted}"
            assert time.monotonic() < end, f"{what}: still {word}"
            time.sleep(0.3)
