"""Errors as Swift clients read them: (kind, reason) to a status, and a short HTML page."""

from __future__ import annotations

import html
import http.client

from andromede import errors
from andromede.web.stream.message import Response

_KINDS = {
    "not_found": 404,
    "conflict": 409,
    "invalid": 400,
    "unauthenticated": 401,
    "denied": 403,
    "over_quota": 413,
    "no_capacity": 507,
    "too_large": 413,
    "precondition": 412,
    "unavailable": 503,
    "unsupported": 501,
    "fatal": 500,
}
_REASONS = {
    ("invalid", "utf8"): 412,
    ("invalid", "bad_url"): 412,
    ("invalid", "limit"): 412,
    ("invalid", "header_form"): 412,
    ("invalid", "archive_container"): 412,
    ("invalid", "accept"): 406,
    ("invalid", "length"): 411,
    ("invalid", "etag"): 422,
    ("invalid", "range"): 416,
    ("unsupported", "method"): 405,
    ("unsupported", "length"): 501,
    ("not_found", "slo_segments"): 400,
}
_DAMAGED = "the stored object is damaged and was not sent; the operator has been alerted"
_CONFLICT = "There was a conflict when trying to complete your request."
_UNKNOWN = "an internal error occurred; try again, and give the operator the transaction id if it stays"
PAGE = "text/html; charset=UTF-8"


def status_of(error: BaseException) -> int:
    """The HTTP status of any failure."""
    if not isinstance(error, errors.Error):
        return 500
    own = getattr(error, "status", None)
    if isinstance(own, int):
        return own
    return _REASONS.get((error.kind, error.reason)) or _KINDS.get(error.kind, 500)


def message_of(error: BaseException) -> str:
    """What a client may read about it."""
    if isinstance(error, errors.Fatal):
        return _DAMAGED
    if isinstance(error, errors.Conflict):
        return f"{_CONFLICT} {error.public}"
    return error.public if isinstance(error, errors.Error) else _UNKNOWN


def phrase(status: int) -> str:
    """`404 Not Found`."""
    return f"{status} {http.client.responses.get(status, 'Error')}"


def page(status: int, text: str) -> bytes:
    """A page of one heading and one sentence."""
    heading = phrase(status).partition(" ")[2]
    return f"<html><h1>{heading}</h1><p>{html.escape(text)}</p></html>".encode()


def render(error: BaseException, method: str, account: str) -> Response:
    """The answer to a failure; without a body for HEAD, with a challenge for 401."""
    status = status_of(error)
    detail = error.detail if isinstance(error, errors.Error) else {}
    headers: list[tuple[str, str | bytes]] = [*detail.get("headers", ())]
    if status == 401:
        headers.append(("Www-Authenticate", f'Swift realm="{account or "unknown"}"'.encode("ascii", "replace")))
    if status == 416 and "size" in detail:
        headers.append(("Content-Range", f"bytes */{detail['size']}"))
    if "retry_after" in detail or status == 503:
        headers.append(("Retry-After", str(detail.get("retry_after", errors.RETRY_SECONDS))))
    if status in (204, 304):
        return Response(status, headers)
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", PAGE))
    if method == "HEAD":
        return Response(status, headers, b"", length=0)
    return Response(status, headers, page(status, message_of(error)))
