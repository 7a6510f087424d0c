"""Calls of the API port as a user of `clouds.yaml`, the way that `up` writes it."""

from __future__ import annotations

import json
import re
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from andromede.errors import Denied, NotFound, Unavailable


def read_cloud(path: Path, name: str) -> dict[str, str]:
    """The plain `key: value` lines of one cloud, however deep they stand. Raises `NotFound`."""
    try:
        text = path.read_text()
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}; see: andromede recover-admin", "clouds") from error
    block = re.search(rf"(?m)^  {re.escape(name)}:\n((?:    .*\n?)+)", text)
    if block is None:
        raise NotFound(f"there is no cloud {name!r} in {path}", "clouds")
    return {key: value.strip("\"'") for key, value in re.findall(r"(?m)^\s+([a-z_]+): (.+)$", block[1])}


@dataclass(frozen=True, slots=True)
class Fetched:
    """Status, body and the seconds to wait that an answer asks for."""

    status: int
    body: bytes
    retry_after: int = 0


def _message(said: str) -> str:
    """The words of an error's body."""
    try:
        return str(json.loads(said)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return said[:2000]


class Remote:
    """A session: logs in once."""

    def __init__(self, clouds: Path, name: str) -> None:
        self._cloud = read_cloud(clouds, name)
        self._url = self._cloud["auth_url"].removesuffix("/identity/v3")
        ca = self._cloud.get("cacert")
        self._tls = ssl.create_default_context(cafile=ca) if self._url.startswith("https:") else None
        self._token = self._log_in()

    def _log_in(self) -> str:
        cloud = self._cloud
        user = {
            "name": cloud["username"],
            "domain": {"id": cloud.get("user_domain_id", "default")},
            "password": cloud["password"],
        }
        project = {"name": cloud["project_name"], "domain": {"id": cloud.get("project_domain_id", "default")}}
        identity = {"methods": ["password"], "password": {"user": user}}
        body = json.dumps({"auth": {"identity": identity, "scope": {"project": project}}}).encode()
        headers = {"Content-Type": "application/json"}
        with self._open(urllib.request.Request(f"{cloud['auth_url']}/auth/tokens", body, headers)) as answer:  # noqa: S310
            return str(answer.headers["X-Subject-Token"])

    def _open(self, request: urllib.request.Request) -> Any:
        try:
            return urllib.request.urlopen(request, timeout=30, context=self._tls)  # noqa: S310
        except urllib.error.HTTPError as error:
            said = _message(error.read(20_000).decode("utf-8", "replace"))
            kind = NotFound if error.code in (404, 410) else Denied
            raise kind(f"{request.full_url} answered {error.code}: {said}", "remote") from error
        except OSError as error:
            raise Unavailable(f"{self._url} does not answer ({error}); start it with: andromede up", "start") from error

    def get(self, path: str) -> dict[str, Any]:
        """The JSON answer of a path below the API port."""
        found: dict[str, Any] = json.loads(self.fetch(path).body)
        return found

    def fetch(self, path: str, method: str = "GET") -> Fetched:
        """The whole answer of a path below the API port. Raises `NotFound` (404, 410), `Denied`, `Unavailable`."""
        headers = {"X-Auth-Token": self._token}
        request = urllib.request.Request(self._url + path, headers=headers, method=method)  # noqa: S310
        with self._open(request) as answer:
            return Fetched(int(answer.status), answer.read(), int(answer.headers.get("Retry-After", "0")))
