"""The Swift door with one kept-alive connection and a token: quick enough to put ten thousand objects in a test."""

from __future__ import annotations

import http.client
import ssl
from urllib.parse import quote, urlsplit

from tests.support.keystone import Keystone


class SwiftDoor:
    """Requests below the account URL of a logged-in user. Paths are given unquoted."""

    def __init__(self, user: Keystone) -> None:
        url = urlsplit(user.endpoint("object-store"))
        self.base = url.path.rstrip("/")
        self.token = user.token
        port = url.port or (443 if url.scheme == "https" else 80)
        host = url.hostname or "127.0.0.1"
        self.connection: http.client.HTTPConnection
        if url.scheme == "https":
            context = ssl.create_default_context(cafile=user.ca)
            self.connection = http.client.HTTPSConnection(host, port, context=context, timeout=60)
        else:
            self.connection = http.client.HTTPConnection(host, port, timeout=60)

    def __enter__(self) -> SwiftDoor:
        return self

    def __exit__(self, *failure: object) -> None:
        self.connection.close()

    def call(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None, query: str = ""
    ) -> tuple[int, bytes, dict[str, str]]:
        """Status, body, and headers with lower-case names."""
        target = self.base + quote(path) + (f"?{query}" if query else "")
        self.connection.request(method, target, body, {"X-Auth-Token": self.token, **(headers or {})})
        answer = self.connection.getresponse()
        return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}

    def expect(self, method: str, path: str, status: int, body: bytes = b"") -> bytes:
        got, answer, _ = self.call(method, path, body)
        assert got == status, f"{method} {path}: {got} instead of {status}: {answer[:300]!r}"
        return answer
