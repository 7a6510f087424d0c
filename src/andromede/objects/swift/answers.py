"""What every Swift answer carries, and the pieces of answers that several handlers share."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from andromede.objects.model import Container
from andromede.objects.swift import cors, errors
from andromede.web.stream.message import Request, Response

Pairs = list[tuple[str, "str | bytes"]]
PLAIN = "text/plain; charset=utf-8"


def transaction_id(request: Request, now_us: int) -> str:
    """`X-Trans-Id`: 21 hex digits of the request's id and the second of the answer."""
    digits = request.request_id.replace("-", "")[-21:]
    return f"tx{digits}-{now_us // 1_000_000:010x}"


def dressed(request: Request, response: Response, container: Container | None, now_us: int) -> Response:
    """Add the transaction id, the request id and CORS headers."""
    cors.decorate(request, response, container)
    response.headers.append(("X-Trans-Id", transaction_id(request, now_us)))
    response.headers.append(("X-Openstack-Request-Id", request.request_id))
    return response


def empty(status: int, headers: Pairs | None = None) -> Response:
    """An answer without a body."""
    return Response(status, [("Content-Type", errors.PAGE), *(headers or ())])


def worded(status: int, text: str, headers: Pairs | None = None) -> Response:
    """An answer of one sentence."""
    return Response(status, [("Content-Type", errors.PAGE), *(headers or ())], errors.page(status, text))


def begun(pieces: Iterator[bytes], count: int = 1) -> Iterator[bytes]:
    """The pieces of a long answer, the first ones made now: what they commit is known before the head leaves."""
    first = list(itertools.islice(pieces, count))

    def rest() -> Iterator[bytes]:
        yield from first
        yield from pieces

    return rest()


def listed(method: str, body: bytes, kind: str, headers: Pairs) -> Response:
    """A listing; 204 when it is plain and empty."""
    whole: Pairs = [("Content-Type", f"{kind}; charset=utf-8"), *headers]
    if not body:
        return Response(204, whole)
    return Response(200, whole, b"" if method == "HEAD" else body, length=len(body))
