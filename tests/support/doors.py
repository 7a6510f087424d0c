"""Both doors of the object port in one process: requests go straight to the handlers, commits are awaited."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from andromede.clock import Clock
from andromede.config import Config, Objects
from andromede.db import Database
from andromede.engines.memory import MemoryEngine
from andromede.errors import Unauthenticated
from andromede.ids import RandomIds
from andromede.log import Log
from andromede.objects.access.evaluator import Evaluator
from andromede.objects.context import Context, IdentityDirectory
from andromede.objects.s3.door import S3Door
from andromede.objects.swift.door import SwiftDoor
from andromede.web.actor import Actor
from andromede.web.stream import render
from andromede.web.stream.body import BufferedBody
from andromede.web.stream.message import Commit, Headers, Request
from tests.support.sigv4 import Signer
from tests.support.vault import Vault, committed, vault

ACCOUNT = "AUTH_p1"
SIGNER = Signer("AK", "secret", "fr1")


def person(user: str, project: str, *roles: str, **more: Any) -> Actor:
    """A token's holder."""
    return Actor(user, user, "default", frozenset(roles), project_id=project, project_name=project, **more)


TOKENS = {
    "member": person("u-member", "p1", "member", "reader"),
    "reader": person("u-reader", "p1", "reader"),
    "auditor": person("u-auditor", "p1", "auditor"),
    "stranger": person("u-stranger", "p2", "member", "reader"),
    "reseller": person("u-reseller", "p9", "ResellerAdmin"),
}


class People:
    """Identity as the doors see it: tokens are names."""

    def __init__(self) -> None:
        self.tokens = dict(TOKENS)

    def token(self, token: str) -> Actor:
        if token not in self.tokens:
            raise Unauthenticated("no such token", "token")
        return self.tokens[token]

    def ec2(self, access_key: str) -> tuple[str, Actor]:
        if access_key != SIGNER.access:
            raise Unauthenticated("no such key", "access_key")
        return SIGNER.secret, TOKENS["member"]

    def project(self, project_id: str) -> None:
        return None

    def project_by_name(self, name: str, domain_id: str = "default") -> None:
        return None

    def user_by_email(self, email: str) -> None:
        return None


@dataclass(frozen=True)
class Answer:
    """What came back; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Doors:
    """Short-hands for requests."""

    vault: Vault
    people: People
    swift_door: SwiftDoor
    s3_door: S3Door
    handled: list[Request] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def swift(
        self,
        method: str,
        path: str = "",
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        *,
        token: str | None = "member",
        query: dict[str, str] | str = "",
        account: str = ACCOUNT,
        peer: str = "127.0.0.1",
    ) -> Answer:
        """A Swift request below the account; `path` is `container[/key]`, not escaped."""
        target = f"/v1/{account}" + ("/" + quote(path) if path else "")
        text = query if isinstance(query, str) else urlencode(query)
        given = dict(headers or {})
        if token is not None:
            given["X-Auth-Token"] = token
        if body is not None or method in ("PUT", "POST"):
            given.setdefault("Content-Length", str(len(body or b"")))
        return self.send(self.swift_door, method, target, text, given, body or b"", peer)

    def s3(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        query: str = "",
        signed: bool = True,
    ) -> Answer:
        """A signed S3 request; `path` is `bucket/key`, not escaped."""
        target = "/" + quote(path)
        given = {"host": "localhost", **(headers or {})}
        if body is not None:
            given["content-length"] = str(len(body))
        if signed:
            given = SIGNER.headers(method, target + (f"?{query}" if query else ""), given)
        return self.send(self.s3_door, method, target, query, given, body or b"")

    def send(
        self,
        door: Any,
        method: str,
        path: str,
        query: str,
        headers: dict[str, str],
        body: bytes,
        peer: str = "127.0.0.1",
    ) -> Answer:
        """Any request to one of the doors."""
        target = path + (f"?{query}" if query else "")
        request = Request(
            method, target.encode(), path.encode(), query.encode(), Headers.of(*headers.items()), "http", peer,
            BufferedBody(body), f"req-00000000-0000-4000-8000-{next(self.numbers):012d}",
        )  # fmt: skip
        try:
            found = door.handle(request)
            if isinstance(found, Commit):
                found = committed(self.vault.objects, found)
        except Exception as error:
            found = door.error(request, error)
        render.head(found, render.Dated(self.vault.clock), None, False)
        whole = found.body if isinstance(found.body, bytes) else b"".join(bytes(chunk) for chunk in found.body)
        shown: dict[str, str] = {}
        for name, value in found.headers:
            shown[name.lower()] = value if isinstance(value, str) else value.decode("latin-1")
        if found.length is not None:
            shown["content-length"] = str(found.length)
        return Answer(found.status, shown, whole)


@contextmanager
def doors(db: Database, folder: Path, clock: Clock, **settings: Any) -> Iterator[Doors]:
    """Both doors over a fresh service."""
    with vault(db, MemoryEngine(), folder, clock) as found:
        people = People()
        config = Config(data=folder, objects=Objects(**settings))
        context = Context(
            found.objects, people, Evaluator(), config, clock, RandomIds(), Log(level="error"),
            IdentityDirectory(people),
        )  # fmt: skip
        yield Doors(found, people, SwiftDoor(context), S3Door(context))
