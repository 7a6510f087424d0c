"""The S3 door over a vault, without sockets and signatures: callers are named, requests are built by hand."""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from andromede.config import Config, Objects
from andromede.log import Log
from andromede.objects.access import Evaluator
from andromede.objects.context import Context
from andromede.objects.s3.door import S3Door
from andromede.objects.s3.proof import Proof
from andromede.objects.s3.xml import Node, parse
from andromede.web.actor import Actor
from andromede.web.stream.body import BufferedBody
from andromede.web.stream.message import Commit, Headers, Request, Response
from tests.support.access import OTHER, OWNER, actor
from tests.support.clock import FakeIds
from tests.support.vault import Vault, committed

PEOPLE: dict[str, Actor | None] = {"owner": actor(), "other": actor(OTHER, "u2"), "nobody": None}
EMAIL = "other@example.org"


class Directory:
    """Two projects, one e-mail address."""

    def project_name(self, project_id: str) -> str | None:
        return {OWNER: "Owner", OTHER: "Other"}.get(project_id)

    def project_of_email(self, email: str) -> str | None:
        return OTHER if email == EMAIL else None


class Admission:
    """Stands for the signature: the caller is whom the test names."""

    def __init__(self) -> None:
        self.caller: Actor | None = None

    def admit(self, call: Any) -> None:
        call.actor = self.caller
        call.proof = Proof()


@dataclass(frozen=True)
class Answer:
    """A rendered answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def xml(self, root: str) -> Node:
        """The body as a tree."""
        return parse(self.body, root)

    @property
    def code(self) -> str:
        """The code of an error answer."""
        return self.xml("Error").need("Code").text if self.body else ""


class Bench:
    """Requests to the door of a vault."""

    def __init__(self, vault: Vault, **settings: Any) -> None:
        config = Config(Path("data"), objects=Objects(**settings))
        context = Context(
            vault.objects, None, Evaluator(), config, vault.clock, FakeIds(), Log(level="error"), Directory(),  # type: ignore[arg-type]
        )  # fmt: skip
        self.objects = vault.objects
        self.door = S3Door(context)
        self._admission = Admission()
        self._numbers = itertools.count(1)
        self.door._authentication = self._admission  # type: ignore[assignment]

    def ask(self, method: str, target: str, body: bytes = b"", who: str = "owner", **headers: str) -> Answer:
        """Send one request; header names with `_` for `-`."""
        self._admission.caller = PEOPLE[who]
        path, _, query = target.partition("?")
        pairs = [("host", "s3.test"), ("content-length", str(len(body)))]
        pairs = [pair for pair in pairs if pair[0] not in headers] + [
            (k.replace("_", "-"), v) for k, v in headers.items()
        ]
        request = Request(
            method, target.encode(), path.encode(), query.encode(), Headers.of(*pairs), "http", "192.0.2.1",
            BufferedBody(body), f"req-{next(self._numbers)}",
        )  # fmt: skip
        try:
            found = self.door.handle(request)
            answer = committed(self.objects, found) if isinstance(found, Commit) else found
        except Exception as error:
            answer = self.door.error(request, error)
        return self._rendered(answer)

    @staticmethod
    def _rendered(answer: Response) -> Answer:
        body = answer.body
        data = body if isinstance(body, bytes) else b"".join(bytes(chunk) for chunk in body)
        headers = {name.lower(): v if isinstance(v, str) else v.decode("latin-1") for name, v in answer.headers}
        return Answer(answer.status, headers, data)


def xml(text: str) -> bytes:
    """A document of tests."""
    return io.BytesIO(text.encode()).getvalue()
