"""An S3 client without a network: signs requests and hands them to a door over a real object service."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from andromede.errors import Unauthenticated
from andromede.objects.access.evaluator import Evaluator
from andromede.objects.context import Context
from andromede.objects.s3 import sigv4
from andromede.objects.s3.door import S3Door
from andromede.objects.service import Step
from andromede.web.actor import Actor
from andromede.web.stream.body import BufferedBody
from andromede.web.stream.faults import NotQuick
from andromede.web.stream.message import Commit, Headers, Request, Response

HOST = "127.0.0.1:8701"
SECRET = "secret-of-everyone"


def actor(project: str, *roles: str) -> Actor:
    return Actor(f"user-{project}", project, "default", frozenset(roles or ("member",)), project_id=project, via="ec2")


ACTORS = {
    "KEY1": actor("p1"), "KEY2": actor("p2"), "READER1": actor("p1", "reader"), "AUDITOR1": actor("p1", "auditor"),
    "RESELLER1": actor("p1", "ResellerAdmin"),
}  # fmt: skip


class People:
    """Identity and directory of the tests."""

    def ec2(self, access_key: str) -> tuple[str, Actor]:
        if access_key not in ACTORS:
            raise Unauthenticated("unknown", "access_key")
        return SECRET, ACTORS[access_key]

    def project_name(self, project_id: str) -> str | None:
        return f"name of {project_id}" if project_id in ("p1", "p2") else None

    def project_of_email(self, email: str) -> str | None:
        return "p2" if email == "two@example.org" else None


@dataclass(frozen=True)
class Answer:
    """A rendered answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The code of an error."""
        return self.text("Code")

    def tree(self) -> ElementTree.Element:
        """The body without namespaces."""
        root = ElementTree.fromstring(self.body)
        for node in root.iter():
            node.tag = node.tag.rpartition("}")[2]
        return root

    def text(self, path: str) -> str:
        """The text of an element."""
        found = self.tree().findtext(path)
        assert found is not None, f"no {path} in {self.body!r}"
        return found

    def texts(self, path: str) -> list[str]:
        """The texts of all such elements."""
        return [node.text or "" for node in self.tree().findall(path)]


class Client:
    """Calls the door as one caller; `key` None is anonymous. `quick`: plain requests as on the loop's thread."""

    quick = True

    def __init__(self, context: Context, key: str | None = "KEY1") -> None:
        self.context = context
        self.door = S3Door(context)
        self.key = key
        self.events: Callable[[], Sequence[tuple[object, ...]]] = tuple

    def acting(self, key: str | None) -> Client:
        """The same door, another caller."""
        return Client(self.context, key)

    def __call__(
        self, method: str, target: str, body: bytes | str = b"", headers: dict[str, str] | None = None, **more: Any
    ) -> Answer:
        data = body.encode() if isinstance(body, str) else body
        given = {"host": HOST, "content-length": str(len(data)), **{k.lower(): v for k, v in (headers or {}).items()}}
        return self.send(self.request(method, target, data, given, **more))

    def request(
        self,
        method: str,
        target: str,
        data: bytes,
        given: dict[str, str],
        *,
        payload: str | None = None,
        scheme: str = "http",
        wire: bytes | None = None,
    ) -> Request:
        """A signed request; `wire` is sent in place of the bytes that were signed."""
        pairs = {name: value for name, value in given.items() if value is not None}
        raw = target.encode()
        path, _, query = raw.partition(b"?")
        if self.key is not None:
            stamp = dt.datetime.fromtimestamp(self.context.clock.now_us() // 1_000_000, dt.UTC)
            pairs["x-amz-date"] = stamp.strftime("%Y%m%dT%H%M%SZ")
            pairs["x-amz-content-sha256"] = payload or hashlib.sha256(data).hexdigest()
        body = BufferedBody(data if wire is None else wire)
        request = Request(
            method, raw, path, query, Headers.of(*pairs.items()), scheme, "192.0.2.7", body, "req-" + "1" * 8
        )
        if self.key is not None:
            signed = ";".join(sorted(pairs))
            scope = sigv4.scope_of(f"{self.key}/{pairs['x-amz-date'][:8]}/fr1/s3/aws4_request", signed, "auth_header")
            claimed = sigv4.Claimed(scope, "", pairs["x-amz-date"], pairs["x-amz-content-sha256"])
            text = sigv4.string_to_sign(claimed, sigv4.canonical_request(request, claimed))
            key = sigv4.signing_key(SECRET, scope.date, "fr1", "s3")
            value = f"AWS4-HMAC-SHA256 Credential={self.key}/{scope.text}, SignedHeaders={signed}, "
            pairs["authorization"] = value + f"Signature={sigv4.sign(key, text)}"
            request.headers = Headers.of(*pairs.items())
        return request

    def send(self, request: Request) -> Answer:
        """What the edge would do: handle, commit, render, or render the error."""
        try:
            answer = self.door.express(request) if self.quick else None
            request.inline = answer is None and self.quick and self.door.quick(request)
            try:
                answer = answer or self.door.handle(request)
            except NotQuick:
                request.inline = False
                answer = self.door.handle(request)
            if isinstance(answer, Commit):
                answer = answer.render(self.context.objects.run(Step(answer.work, answer.record, answer.reach)))
            return rendered(answer)
        except Exception as error:
            return rendered(self.door.error(request, error))

    # --- short-hands
    def bucket(self, name: str = "box", **headers: str) -> str:
        answer = self("PUT", f"/{name}", headers={k.replace("_", "-"): v for k, v in headers.items()})
        assert answer.status == 200, answer.body
        return name

    def put(self, key: str, data: bytes | str = b"", bucket: str = "box", **headers: str) -> Answer:
        return self("PUT", f"/{bucket}/{quote(key)}", data, {k.replace("_", "-"): v for k, v in headers.items()})

    def get(self, key: str, query: str = "", bucket: str = "box", **headers: str) -> Answer:
        return self(
            "GET", f"/{bucket}/{quote(key)}{query}", headers={k.replace("_", "-"): v for k, v in headers.items()}
        )


def rendered(answer: Response) -> Answer:
    body = answer.body
    data = body if isinstance(body, bytes) else b"".join(bytes(chunk) for chunk in _chunks(body))
    headers = {
        name.lower(): value.decode("latin-1") if isinstance(value, bytes) else value for name, value in answer.headers
    }
    if answer.length is not None and data:
        assert answer.length == len(data)
    return Answer(answer.status, headers, data)


def _chunks(body: Iterable[bytes | memoryview]) -> Iterable[bytes | memoryview]:
    return body


def context_of(objects: Any, clock: Any, ids: Any, config: Any, log: Any) -> Context:
    """A context around an object service."""
    people: Any = People()
    return Context(objects, people, Evaluator(), config, clock, ids, log, people)
