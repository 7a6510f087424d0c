"""Both doors for one load worker: what is no answer is `Lost`, what may never be answered is a violation."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from tests.campaign.crash_model import Version, Violations
from tests.support.installation import Installation
from tests.support.keystone import Keystone
from tests.support.load import S3Door
from tests.support.sigv4 import Signer
from tests.support.swift import SwiftDoor

BROKEN = (OSError, http.client.HTTPException)  # a TimeoutError is an OSError


class Lost(Exception):
    """No answer, or one that says that nobody knows. `late`: the request may still be at work."""

    def __init__(self, text: str, late: bool = False) -> None:
        super().__init__(text)
        self.late = late


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names are in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def done(self) -> bool:
        return self.status < 300


@dataclass(frozen=True, slots=True)
class Promise:
    """A place in the ledger that an answer named. A read's event may be lost with its process; then a pad has its
    place."""

    place: str
    request_id: str
    read: bool
    position: int


@dataclass(slots=True)
class Doors:
    """One connection for each door, made again after each failure."""

    installation: Installation
    user: Keystone
    violations: Violations
    promises: list[Promise] = field(default_factory=list)
    signer: Signer | None = None
    _s3: S3Door = field(init=False)
    _swift: SwiftDoor = field(init=False)

    def __post_init__(self) -> None:
        self._s3 = S3Door(self.installation)
        if self.signer is not None:
            self._s3.signer = self.signer
        self._swift = SwiftDoor(self.user)

    def s3(
        self, method: str, path: str, body: bytes = b"", query: str = "", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """`path` is `bucket/key`, unescaped; `query` is escaped, in the form `a=b&c=`."""
        target = f"/{quote(path)}" + (f"?{query}" if query else "")
        try:
            found = Answer(*self._s3.call(method, target, body, headers))
        except ConnectionError as failure:
            text = str(failure)
            if text.startswith("5"):
                self._bad(method, target, int(text[:3]), text)
            raise Lost(text, isinstance(failure.__cause__, TimeoutError)) from failure
        self._promised(method, found, "x-amz-request-id")
        return found

    def swift(
        self, method: str, path: str, body: bytes = b"", query: str = "", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """`path` is `container/object`, unescaped."""
        try:
            found = Answer(*self._swift.call(method, f"/{path}", body, dict(headers or {}), query))
        except BROKEN as failure:
            self._swift.connection.close()
            raise Lost(repr(failure), isinstance(failure, TimeoutError)) from failure
        if found.status >= 500:
            self._bad(method, path, found.status, repr(found.body[:200]))
            raise Lost(f"{found.status} {found.body[:200]!r}")
        self._promised(method, found, "x-openstack-request-id")
        return found

    def anonymous(self, path: str) -> bool:
        """Whether a stranger may read the object."""
        url = urlsplit(self.installation.objects_url)
        connection = http.client.HTTPConnection(url.netloc, timeout=20)
        try:
            connection.request("HEAD", f"/{quote(path)}")
            status = connection.getresponse().status
        except BROKEN as failure:
            raise Lost(repr(failure)) from failure
        finally:
            connection.close()
        if status >= 500:
            raise Lost(str(status))
        return status == 200

    def close(self) -> None:
        self._s3.close()
        self._swift.connection.close()

    def _bad(self, method: str, target: str, status: int, text: str) -> None:
        if status != 503:  # "repeat the call later" is an honest answer while a role restarts
            self.violations.add("status", target, f"{method} was answered {text}")

    def _promised(self, method: str, answer: Answer, header: str) -> None:
        if place := answer.headers.get("andromede-ledger"):
            request = answer.headers.get(header) or answer.headers.get("x-trans-id", "")
            read = method in ("GET", "HEAD") or not answer.done
            self.promises.append(Promise(place, request, read, self.violations.journal.position()))


@dataclass(slots=True)
class Api:
    """The API port, with one token."""

    installation: Installation
    token: str
    violations: Violations
    promises: list[Promise] = field(default_factory=list)

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        """One request, on a connection of its own."""
        connection = http.client.HTTPConnection(self.installation.api, timeout=30)
        raw = b"" if body is None else json.dumps(body).encode()
        sent = {"X-Auth-Token": self.token, "Content-Type": "application/json"}
        try:
            connection.request(method, path, raw, sent)
            answer = connection.getresponse()
            found = Answer(answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()})
        except BROKEN as failure:
            raise Lost(repr(failure), isinstance(failure, TimeoutError)) from failure
        finally:
            connection.close()
        if found.status >= 500:
            if found.status != 503:
                self.violations.add("status", path, f"{method} was answered {found.status} {found.body[:200]!r}")
            raise Lost(f"{found.status} {found.body[:200]!r}")
        if place := found.headers.get("andromede-ledger"):
            request = found.headers["x-openstack-request-id"]
            self.promises.append(Promise(place, request, False, self.violations.journal.position()))
        return found


def seen_s3(answer: Answer, tags: tuple[tuple[str, str], ...], public: bool | None) -> Version:
    """A version as a GET through the S3 door shows it."""
    found = answer.headers
    meta = {name.removeprefix("x-amz-meta-"): value for name, value in found.items() if name.startswith("x-amz-meta-")}
    etag, vid = found["etag"].strip('"'), found.get("x-amz-version-id", "")
    return Version(
        hashlib.sha256(answer.body).hexdigest(), len(answer.body), etag, found.get("content-type", ""),
        tuple(sorted(meta.items())), tags, public, "" if vid == "null" else vid,
    )  # fmt: skip


def seen_swift(answer: Answer, about: Version) -> Version:
    """What a GET or HEAD through the Swift door shows; what it cannot show is taken from `about`."""
    found = answer.headers
    start = "x-object-meta-"
    meta = {name.removeprefix(start): value for name, value in found.items() if name.startswith(start)}
    sha = hashlib.sha256(answer.body).hexdigest() if answer.body else about.sha
    size = int(found["content-length"])
    etag = found["etag"].strip('"')
    return Version(sha, size, etag, found["content-type"], tuple(sorted(meta.items())), about.tags, None, about.vid)


def text_of(answer: Answer) -> str:
    """Status and the beginning of an answer, for messages."""
    with contextlib.suppress(UnicodeDecodeError):
        return f"{answer.status} {answer.body[:300].decode()}"
    return f"{answer.status}, {len(answer.body)} bytes"
