"""How the compute API speaks: its versions and the form of its errors (Compute API guide, "Faults")."""

from __future__ import annotations

from typing import Any

from andromede.errors import Error
from andromede.web.dialect import Dialect
from andromede.web.microversions import Microversions

VERSIONS = Microversions("compute", (2, 1), (2, 61), "X-OpenStack-Nova-API-Version")

NAMES = {
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


def envelope(status: int, message: str, error: Error, request_id: str) -> Any:
    """`{"itemNotFound": {"code": 404, "message": ...}}`"""
    body: dict[str, Any] = {"code": status, "message": message}
    if status in (413, 429):
        body["retryAfter"] = str(error.detail.get("retry_after", 0))
    return {NAMES.get(status, "computeFault"): body}


DIALECT = Dialect("nova", envelope, {("too_large", "body"): 413, ("no_capacity", ""): 400})
