"""Errors as each service writes them: one table from (kind, reason) to status, and one envelope."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from andromede.errors import RETRY_SECONDS, Error

STATUSES: Mapping[tuple[str, str], int] = {
    ("not_found", ""): 404,
    ("conflict", ""): 409,
    ("invalid", ""): 400,
    ("invalid", "method"): 405,
    ("invalid", "microversion"): 406,
    ("unauthenticated", ""): 401,
    ("denied", ""): 403,
    ("over_quota", ""): 403,
    ("over_quota", "rate"): 429,
    ("no_capacity", ""): 503,
    ("too_large", ""): 413,
    ("precondition", ""): 412,
    ("unavailable", ""): 503,
    ("unsupported", ""): 501,
    ("fatal", ""): 500,
    ("error", ""): 500,
}
"""What every dialect shares; a dialect's own rows come first."""


def title_of(status: int) -> str:
    """The reason phrase of a status, in its customary spelling."""
    return "Request Entity Too Large" if status == 413 else HTTPStatus(status).phrase


Envelope = Callable[[int, str, Error, str], Any]
"""(status, message, error, request id) -> the body, rendered as JSON unless it is bytes."""


def keystone(status: int, message: str, error: Error, request_id: str) -> Any:
    """`{"error": {"code", "message", "title"}}` (Identity API v3)."""
    return {"error": {"code": status, "message": message, "title": title_of(status)}}


_FAULTS = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}


def fault(status: int, message: str, error: Error, request_id: str) -> Any:
    """`{"itemNotFound": {"code": 404, "message": ...}}` of compute and block storage (Compute API guide, "Faults")."""
    body: dict[str, Any] = {"code": status, "message": message}
    if status in (413, 429):
        body["retryAfter"] = str(error.detail.get("retry_after", 0))
    return {_FAULTS.get(status, "computeFault"): body}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one service shows errors. `challenge` is the value of WWW-Authenticate on a 401, with
    {base} standing for the service's URL."""

    name: str
    envelope: Envelope = keystone
    statuses: Mapping[tuple[str, str], int] = field(default_factory=dict)
    challenge: str = 'Keystone uri="{base}"'

    def status(self, error: Error) -> int:
        """The status of an error: this dialect's row, then the common one, first with the reason."""
        for key in ((error.kind, error.reason), (error.kind, "")):
            for table in (self.statuses, STATUSES):
                if key in table:
                    return table[key]
        return 500

    def render(self, error: Error, base: str, request_id: str) -> tuple[int, list[tuple[str, str]], bytes]:
        """(status, headers, body). Headers that the error itself carries (`detail["headers"]`) come along."""
        status = self.status(error)
        body = error.detail.get("body")
        if body is None:
            body = self.envelope(status, error.public, error, request_id)
        raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=True).encode()
        headers = [("Content-Type", "application/json"), *error.detail.get("headers", ())]
        if status == 401:
            headers.append(("WWW-Authenticate", self.challenge.replace("{base}", base)))
        if (seconds := error.detail.get("retry_after", RETRY_SECONDS if status == 503 else None)) is not None:
            headers.append(("Retry-After", str(seconds)))
        return status, headers, raw
