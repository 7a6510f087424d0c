"""Errors in Neutron's words: `reason` is the type that clients match on, in the envelope NeutronError."""

from __future__ import annotations

from typing import Any, NoReturn

from andromede.errors import Conflict, Denied, Error, Invalid, NotFound, OverQuota
from andromede.web.dialect import Dialect

_TYPES = {
    "not_found": "HTTPNotFound",
    "conflict": "Conflict",
    "invalid": "HTTPBadRequest",
    "denied": "PolicyNotAuthorized",
    "over_quota": "OverQuota",
    "unauthenticated": "Unauthorized",
    "unavailable": "ServiceUnavailable",
    "unsupported": "HTTPNotImplemented",
    "too_large": "HTTPRequestEntityTooLarge",
}


def _envelope(status: int, message: str, error: Error, request_id: str) -> Any:
    kind = error.reason if error.reason[:1].isupper() else _TYPES.get(error.kind, "HTTPInternalServerError")
    return {"NeutronError": {"type": kind, "message": message, "detail": ""}}


DIALECT = Dialect("neutron", _envelope, {("over_quota", ""): 409})


def bad(text: str, kind: str = "HTTPBadRequest") -> NoReturn:
    """400."""
    raise Invalid(text, kind)


def bad_input(name: str, why: str) -> NoReturn:
    """400 for an attribute."""
    raise Invalid(f"Invalid input for {name}. Reason: {why}.", "HTTPBadRequest")


def missing(kind: str, object_id: str) -> NoReturn:
    """404; `kind` as in SecurityGroup."""
    raise NotFound(f"{spoken(kind)} {object_id} could not be found.", f"{kind}NotFound")


def spoken(kind: str) -> str:
    """`SecurityGroup` as `Security group`."""
    text = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in kind).strip()
    return text[:1].upper() + text[1:]


def clash(text: str, kind: str) -> NoReturn:
    """409."""
    raise Conflict(text, kind)


def forbidden(action: str) -> NoReturn:
    """403."""
    raise Denied(f"(rule:{action}) is disallowed by policy", "PolicyNotAuthorized")


def over(resources: list[str]) -> NoReturn:
    """409 for a quota."""
    raise OverQuota(f"Quota exceeded for resources: {resources}.", "OverQuota")
