"""What the route files share: reading partial bodies, filters of lists, and the customary refusals."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Struct

from andromede.db.table import Like
from andromede.errors import Denied, Invalid, NotFound
from andromede.web.call import Call
from andromede.web.routes import Target

T = TypeVar("T")
COMPARATORS = ("contains", "startswith", "endswith", "icontains", "istartswith", "iendswith")
RESERVED = frozenset({"id", "links"})


def found(value: T | None, kind: str, name: str) -> T:
    """The value, or `NotFound` in Keystone's words."""
    if value is None:
        raise NotFound(f"Could not find {kind}: {name}.", kind)
    return value


def given(fields: Struct) -> dict[str, Any]:
    """The members that the client sent."""
    return {name: getattr(fields, name) for name in fields.__struct_fields__ if getattr(fields, name) is not UNSET}


def required(values: Mapping[str, Any], *names: str) -> None:
    """Raise `Invalid` when a member is missing or null."""
    for name in names:
        if values.get(name) is None:
            raise Invalid(f"'{name}' is a required property", "schema")


def extras(raw: Any, key: str, fields: Struct) -> dict[str, Any]:
    """Members of `raw[key]` that the API keeps without a meaning of its own."""
    known = set(fields.__struct_encode_fields__) | RESERVED
    return {name: value for name, value in raw[key].items() if name not in known}


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Options after a PATCH: null removes a member."""
    return {name: value for name, value in {**old, **new}.items() if value is not None}


def not_immutable(
    kind: str, object_id: str, options: Mapping[str, Any], change: Mapping[str, Any] | None = None
) -> None:
    """Raise `Denied` for a resource that is marked immutable, unless the change lifts just that mark."""
    if not options.get("immutable"):
        return
    lifted = change is not None and change.get("options", {}).get("immutable") in (False, None)
    if change is None or not (lifted and "options" in change and "immutable" in change["options"]):
        verb = "delete" if change is None else "update"
        raise Denied(f"Unable to {verb} immutable {kind} resource: {object_id}.", "immutable")


def check_options(kind: str, options: Mapping[str, Any]) -> None:
    """Raise `Invalid` for options of the wrong type."""
    for name, value in options.items():
        if name in BOOLEAN_OPTIONS and value is not None and not isinstance(value, bool):
            raise Invalid(f"option {name} of a {kind} must be true, false or null", "schema")
        if name == "multi_factor_auth_rules" and value is not None:
            try:
                msgspec.convert(value, list[list[str]])
            except msgspec.ValidationError as error:
                raise Invalid("multi_factor_auth_rules must be a list of lists of method names", "schema") from error


BOOLEAN_OPTIONS = frozenset(
    {
        "immutable",
        "ignore_change_password_upon_first_use",
        "ignore_lockout_failure_attempts",
        "ignore_password_expiry",
        "ignore_user_inactivity",
        "lock_password",
        "multi_factor_auth_enabled",
    }
)


def filters(call: Call[Any], *texts: str, booleans: tuple[str, ...] = ()) -> dict[str, Any]:
    """Conditions from the query: equality, truth values, and `name__contains` and its kin."""
    where: dict[str, Any] = {}
    for name in texts:
        if (value := call.query.get(name)) is not None:
            where[name] = value or None
        for how in COMPARATORS:
            if (value := call.query.get(f"{name}__{how}")) is not None:
                fold = how.startswith("i")
                where[name] = Like(how[1:] if fold else how, value, fold)
    for name in booleans:
        if name in call.query:
            where[name] = call.boolean(name)
    return where


def instant(text: str | None, name: str) -> int | None:
    """Microseconds of an ISO 8601 instant; without a zone it is UTC. Raises `Invalid`."""
    if text is None:
        return None
    try:
        value = dt.datetime.fromisoformat(text)
        if value.tzinfo is None:
            value = value.replace(tzinfo=dt.UTC)
        return int(value.timestamp()) * 1_000_000 + value.microsecond
    except (ValueError, OverflowError) as error:
        raise Invalid(
            f"{name} {text!r} is not an ISO 8601 instant such as 2030-01-01T00:00:00.000000Z", "time"
        ) from error


def future(text: str | None, name: str, now_us: int) -> int | None:
    """The same for an instant that must lie ahead."""
    value = instant(text, name)
    if value is not None and value <= now_us:
        raise Invalid(f"{name} {text!r} lies in the past", "time")
    return value


def default_domain(call: Call[Any]) -> str:
    """The domain of what is created without one: that of the caller's scope."""
    return call.who.domain_id or call.who.project_domain_id or call.who.user_domain_id


def own_scope(call: Call[Any], body: Any) -> Target:
    """The target of lists: the caller's own scope. Their handlers show no more than `AccessTable.reach` allows."""
    return Target(domain_id=call.who.domain_id, project_id=call.who.project_id, user_id=call.who.user_id)
