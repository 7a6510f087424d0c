"""Requests, answers and commits as the handlers of the object port see them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from andromede.db import Reach, Tx
from andromede.web.stream.body import Body

T = TypeVar("T")
Chunk = bytes | memoryview


class _Lower(dict[str, str]):
    """Names in lower case; bounded, as clients may name headers too (in lists of signed ones)."""

    def __missing__(self, name: str) -> str:
        if len(self) >= 2048:
            self.clear()
        lower = self[name] = name.lower()
        return lower


_LOWER = _Lower()


class Headers:
    """Header fields of one request, as received.

    `raw` holds (name in lower case, value without outer whitespace) in order of arrival: what a
    signature covers. `first` holds the first value of each name in lower case. Look-ups by the methods take any case.
    """

    __slots__ = ("first", "raw")

    def __init__(self, raw: tuple[tuple[bytes, bytes], ...], first: dict[str, bytes]) -> None:
        self.raw = raw
        self.first = first

    @classmethod
    def of(cls, *pairs: tuple[str, str | bytes]) -> Headers:
        """Fields made by hand, for tests and internal requests."""
        raw = tuple((n.lower().encode("latin-1"), v if isinstance(v, bytes) else v.encode("latin-1")) for n, v in pairs)
        first: dict[str, bytes] = {}
        for name, value in raw:
            first.setdefault(name.decode("latin-1"), value)
        return cls(raw, first)

    def get(self, name: str) -> str | None:
        """The first value of that name as Latin-1 text, or None."""
        value = self.first.get(_LOWER[name])
        return None if value is None else value.decode("latin-1")

    def only(self, names: frozenset[str]) -> bool:
        """Whether there is no field but of these names (in lower case)."""
        return names.issuperset(self.first)

    def all(self, name: str) -> list[str]:
        """Every value of that name in order."""
        key = name.lower().encode("latin-1")
        return [value.decode("latin-1") for found, value in self.raw if found == key]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _LOWER[name] in self.first

    def __repr__(self) -> str:
        return f"Headers({[name.decode('latin-1') for name, _ in self.raw]})"


@dataclass(slots=True)
class Request:
    """One HTTP/1.1 request whose head passed every check of `head.parse_head`.

    `target` is the request target as received; `path` and `query` are its raw, undecoded parts
    around the first "?" (of an absolute-form target: without scheme and authority). `inline`: the handler
    runs on the loop's thread and may raise `faults.NotQuick` there.
    """

    method: str
    target: bytes
    path: bytes
    query: bytes
    headers: Headers
    scheme: str
    peer: str
    body: Body
    request_id: str
    inline: bool = False


@dataclass(slots=True)
class Response:
    """An answer. The edge adds `Date`, framing and `Connection`; handlers leave those out.

    `body` is bytes or an iterable of chunks, produced in a handler thread. A chunk's memory may be
    reused as soon as the next one is asked for. Successive chunks may be asked for from different
    threads, never at once. `length` is the size in bytes of an iterable (None: chunked coding), and
    for HEAD the length that GET would have. An iterable that ends short or raises cuts the connection.
    """

    status: int
    headers: list[tuple[str, str | bytes]] = field(default_factory=list)
    body: bytes | Iterable[Chunk] = b""
    length: int | None = None


@dataclass(slots=True)
class Commit(Generic[T]):
    """A handler's promise: run `work` inside the next group commit, then `render` its result.

    `record` is what must be durable in the segment log before the transaction; its type belongs to
    the committer. If `work` raises an `errors.Error`, its savepoint is rolled back and the
    answerer renders the error. `reach`: what `work` may change at most.
    """

    work: Callable[[Tx], T]
    render: Callable[[T], Response]
    record: Any = None
    reach: Reach = Reach.EVERYTHING


Outcome = Response | BaseException | Callable[[], Response]
"""What a committer reports: an answer, an error, or a call that renders (made on the loop's thread)."""
