"""How a request proved who sent it, and how its body is to be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from andromede.errors import Invalid
from andromede.web.stream.message import Request


class BodyReader(Protocol):
    """The payload of a request without its transfer dress."""

    trailers: dict[str, str]

    def readinto(self, view: memoryview) -> int:
        """Fill the view unless the payload ends first; 0 at the end."""

    def finish(self) -> None:
        """Call once all payload was read: the end must be here, hashes and signatures must hold.
        Raises `Invalid` or `Denied`, and then nothing may be stored."""


class PlainBody:
    """A payload that is signed by nothing but its length."""

    __slots__ = ("_request", "trailers")

    def __init__(self, request: Request) -> None:
        self._request = request
        self.trailers: dict[str, str] = {}

    def readinto(self, view: memoryview) -> int:
        return self._request.body.readinto(view)

    def finish(self) -> None:
        if self._request.body.readinto(memoryview(bytearray(1))):
            raise Invalid("the body is longer than announced", "incomplete_body")


class Proof:
    """`kind`: anonymous, header, query or post. `signature_version`, `auth_type`: as policies name them.
    `opener` makes the reader of the body; `decoded_length`: payload size of aws-chunked bodies."""

    __slots__ = ("_reader", "access_key", "decoded_length", "kind", "opener", "signature_version")

    def __init__(
        self,
        kind: str = "anonymous",
        signature_version: str = "",
        access_key: str | None = None,
        opener: Callable[[Request], BodyReader] = PlainBody,
        decoded_length: int | None = None,
    ) -> None:
        self.kind = kind
        self.signature_version = signature_version
        self.access_key = access_key
        self.decoded_length = decoded_length
        self.opener = opener
        self._reader: BodyReader | None = None

    @property
    def auth_type(self) -> str:
        """The value of the condition key `s3:authType`."""
        return {"header": "REST-HEADER", "query": "REST-QUERY-STRING", "post": "POST"}.get(self.kind, "")

    def body(self, request: Request) -> BodyReader:
        """The reader of the payload, the same one each time."""
        if self._reader is None:
            self._reader = self.opener(request)
        return self._reader

    def length(self, request: Request) -> int | None:
        """The payload's size in bytes, None when unknown."""
        return self.decoded_length if self.decoded_length is not None else request.body.length
