"""Asking a server that may be hostile: bounded in bytes and in time, without redirects, every answer judged."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from andromede.errors import Invalid

SECONDS = 30.0
NOTE_LIMIT = 256 * 1024
PAGE_LIMIT = 16 * 1024 * 1024

Token = Callable[[bool], str]
"""The token to send; True asks for a fresh one, after the server refused the last."""


class Silent(Exception):
    """No answer that could be judged: nobody listens, a time-out, a refusal, or the server's own failure."""


class Absent(Exception):
    """The server answered that there is no such thing (404 or 410)."""


class Garbled(Exception):
    """An answer that is not of the promised form, or larger than it may be."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where to ask. `url` has no trailing slash; `seconds` bounds a whole exchange."""

    url: str
    token: Token | None = None
    cafile: str | None = None
    seconds: float = SECONDS
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            good = False
        if not good:
            raise Invalid(f"{self.url!r} is not an http or https URL", "config")


class Wire:
    """Requests to one site."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._tls = ssl.create_default_context(cafile=site.cafile) if site.url.startswith("https:") else None

    def get(self, path: str, limit: int) -> bytes:
        """The body of a 200 answer of at most `limit` bytes. Raises Silent, Absent or Garbled."""
        status, body = self.ask("GET", path, limit)
        if status == 401 and self.site.token is not None:
            status, body = self.ask("GET", path, limit, fresh=True)
        if status in (404, 410):
            raise Absent(f"{path}: {status}")
        if status != 200:
            said = body[:200].decode("utf-8", "replace")
            raise Silent(f"{self.site.url}{path} answered {status}: {said}")
        return body

    def ask(self, method: str, path: str, limit: int, *, fresh: bool = False) -> tuple[int, bytes]:
        """Status and body of one exchange."""
        token = {"X-Auth-Token": self.site.token(fresh)} if self.site.token is not None else {}
        status, _, body = exchange(self.site, self._tls, Ask(method, path, {**self.site.headers, **token}, None, limit))
        return status, body

    def text(self, path: str) -> str:
        """A small text answer."""
        return utf8(self.get(path, NOTE_LIMIT), path)

    def json(self, path: str, limit: int = PAGE_LIMIT) -> dict[str, Any]:
        """A JSON object."""
        return read_object(self.get(path, limit), path)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None
    limit: int


def exchange(site: Site, tls: ssl.SSLContext | None, ask: Ask) -> tuple[int, Mapping[str, str], bytes]:
    """Status, headers and body. A clock of its own cuts a server that drips. Raises Silent or Garbled."""
    parts = urlsplit(site.url)
    host = str(parts.hostname)
    connection: http.client.HTTPConnection
    if tls is not None:
        connection = http.client.HTTPSConnection(host, parts.port, timeout=site.seconds, context=tls)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=site.seconds)
    cut = threading.Event()
    timer = threading.Timer(site.seconds, _cut, (connection, cut))
    timer.daemon = True
    timer.start()
    try:
        connection.request(ask.method, parts.path + ask.path, ask.body, dict(ask.headers))
        answer = connection.getresponse()
        body = answer.read(ask.limit + 1)
        if answer.length and len(body) <= ask.limit:
            raise http.client.IncompleteRead(body, answer.length)
    except (OSError, http.client.HTTPException, ValueError) as error:
        late = f"no whole answer within {site.seconds:g} s" if cut.is_set() else f"{type(error).__name__}: {error}"
        raise Silent(f"{site.url}{ask.path}: {late}"[:500]) from error
    finally:
        timer.cancel()
        connection.close()
    if cut.is_set():
        raise Silent(f"{site.url}{ask.path}: no whole answer within {site.seconds:g} s")
    if len(body) > ask.limit:
        raise Garbled(f"{site.url}{ask.path}: more than {ask.limit} bytes")
    return answer.status, dict(answer.headers.items()), body


def _cut(connection: http.client.HTTPConnection, cut: threading.Event) -> None:
    cut.set()
    sock = connection.sock
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def utf8(raw: bytes, what: str) -> str:
    """Text, or Garbled."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Garbled(f"{what}: not UTF-8") from error


def read_object(raw: bytes, what: str) -> dict[str, Any]:
    """A JSON object, or Garbled."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Garbled(f"{what}: not JSON") from error
    if not isinstance(found, dict):
        raise Garbled(f"{what}: not a JSON object")
    return found


def whole(found: Mapping[str, Any], key: str, what: str) -> int:
    """A number of 0 to 2**63 - 1."""
    value = found.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise Garbled(f"{what}: {key} is not a number")
    return value


def blob(value: Any, what: str) -> bytes:
    """Bytes in base64."""
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError) as error:
        raise Garbled(f"{what}: not base64") from error


def hashes(values: Any, what: str) -> list[bytes]:
    """A list of at most 64 hashes in base64."""
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) > 64:
        raise Garbled(f"{what}: not a list of hashes")
    found = [blob(value, what) for value in values]
    if any(len(step) != 32 for step in found):
        raise Garbled(f"{what}: a hash of the wrong length")
    return found
