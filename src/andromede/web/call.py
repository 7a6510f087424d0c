"""What a handler receives and what it may return."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from andromede.errors import Invalid, Unauthenticated
from andromede.web.actor import Actor

S = TypeVar("S")


class Query:
    """The decoded query string: order kept, names may repeat."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: tuple[tuple[str, str], ...] = ()) -> None:
        self.pairs = pairs

    def get(self, name: str) -> str | None:
        """The first value of the name."""
        return next((value for key, value in self.pairs if key == name), None)

    def all(self, name: str) -> list[str]:
        """Every value of the name."""
        return [value for key, value in self.pairs if key == name]

    def flag(self, name: str) -> bool:
        """True when the name is there and its value is not a word for no (Keystone: `?nocatalog`)."""
        value = self.get(name)
        return value is not None and value.lower() not in ("0", "false", "no", "off")

    def __contains__(self, name: object) -> bool:
        return any(key == name for key, _ in self.pairs)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.pairs)


class Incoming(Protocol):
    """The body of a streamed request: fills the view unless the body ends; 0 at the end. Raises `Unavailable` reason
    `client` when the client has gone or keeps still for too long."""

    def readinto(self, view: memoryview, /) -> int: ...


@dataclass(slots=True)
class Call(Generic[S]):
    """One authenticated, routed request. `base` is the service's URL without its version
    (`http://host/identity`), `url` the whole URL as the client called it, `json` the body as
    parsed (before it was converted to the route's type), `services` the domain's service object."""

    method: str
    path: str
    params: Mapping[str, str]
    query: Query
    headers: Mapping[str, str]
    body: bytes
    request_id: str
    base: str
    url: str
    peer: str
    services: S
    action: str
    actor: Actor | None = None
    json: Any = None
    microversion: tuple[int, int] | None = None
    stream: Incoming | None = None

    @property
    def who(self) -> Actor:
        """The caller of a route that is not public."""
        if self.actor is None:
            raise Unauthenticated("The request you have made requires authentication.", "token")
        return self.actor

    def integer(self, name: str, low: int, high: int) -> int | None:
        """A whole number in the query, or None when it is absent. Raises `Invalid` outside [low, high]."""
        value = self.query.get(name)
        if value is None:
            return None
        if not value.isascii() or not value.isdigit() or len(value) > 18 or not low <= int(value) <= high:
            raise Invalid(f"query parameter {name}={value!r} is not a whole number from {low} to {high}", "query")
        return int(value)

    def boolean(self, name: str) -> bool | None:
        """A truth value in the query, or None when it is absent; `?enabled` alone means true, as in Keystone."""
        return self.query.flag(name) if name in self.query else None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that differs from the route's plain success: another status, headers, or raw bytes."""

    body: Any = None
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    media_type: str = "application/json"
    pieces: Iterator[bytes] | None = None
    """The body of a streamed answer, of `length` bytes, in the place of `body`."""
    length: int = 0


def rendered(body: Any) -> bytes:
    """A body as JSON."""
    return jsonlib.dumps(body, ensure_ascii=True).encode()


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A whole request as the server hands it over: `path` and `query` raw, header names in lower case."""

    method: str
    path: bytes
    query: bytes
    headers: Mapping[str, str]
    body: bytes
    scheme: str = "http"
    peer: str = ""
    oversized: bool = False
    stream: Incoming | None = None


@dataclass(slots=True)
class HttpResponse:
    """A whole answer."""

    status: int
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)
    pieces: Iterator[bytes] | None = None
    length: int = 0

    @property
    def size(self) -> int:
        """How long the body is."""
        return len(self.body) if self.pieces is None else self.length
