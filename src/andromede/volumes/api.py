"""How block storage speaks: versions, the form of errors, paths with and without a project, partial bodies."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from andromede.clock import utc
from andromede.errors import Invalid, NotFound
from andromede.volumes.backups import Backups
from andromede.volumes.groups import Groups
from andromede.volumes.kinds import Kinds
from andromede.volumes.service import Volumes
from andromede.volumes.snapshots import Snapshots
from andromede.volumes.transfers import Transfers
from andromede.web.access import is_cloud_admin
from andromede.web.call import Call
from andromede.web.dialect import Dialect, fault
from andromede.web.microversions import Microversions
from andromede.web.routes import Routes, Target

VERSIONS = Microversions("volume", (3, 0), (3, 71), "X-OpenStack-Volume-API-Version")
STRICT = (3, 53)
"""From here on keys of bodies that nobody knows are refused."""
TEXT = 255
"""Characters of a name, a description, a key or a value."""


DIALECT = Dialect("cinder", fault, {("over_quota", ""): 413})


@dataclass(frozen=True, slots=True)
class Block:
    """The services behind the routes."""

    volumes: Volumes
    snapshots: Snapshots
    backups: Backups
    transfers: Transfers
    kinds: Kinds
    groups: Groups


BlockCall = Call[Block]
F = TypeVar("F", bound=Callable[..., Any])
Resolver = Callable[[BlockCall, Any], Target]


def scoped(call: BlockCall) -> None:
    """Raise `Invalid` where the path names another project than the token's."""
    named = call.params.get("project")
    if named is not None and named != call.who.project_id:
        raise Invalid("Malformed request url: its project is not the one of the token.", "url")


def own(call: BlockCall, body: Any = None) -> Target:
    """What concerns the caller's project as a whole."""
    scoped(call)
    return Target(project_id=call.who.project_id)


def reach(call: BlockCall) -> str | None:
    """The project whose things the caller may name; None: everybody's."""
    return None if is_cloud_admin(call.who) or call.who.system else call.who.project_id or ""


def project_of(call: BlockCall) -> str:
    """The caller's project, for what is created. Invalid without one."""
    if not call.who.project_id:
        raise Invalid("This needs a token that is scoped to a project.", "scope")
    return call.who.project_id


class VolumeRoutes(Routes[Block]):
    """Each route twice: below the project's id, and without (3.67)."""

    def on(self, method: str, path: str, needs: str, **optional: Any) -> Callable[[F], F]:
        """As `add`; `target`: the caller's own project unless told otherwise."""
        optional.setdefault("target", own)

        def declare(handler: F) -> F:
            for prefix in ("/v3/{project}", "/v3"):
                self.add(method, prefix + path, f"volume:{needs}", **optional)(handler)
            return handler

        return declare


def at_least(call: BlockCall, minor: int) -> bool:
    """Whether the request speaks 3.`minor` or newer."""
    return call.microversion is not None and call.microversion >= (3, minor)


def needs(call: BlockCall, minor: int) -> None:
    """Raise `NotFound` below a microversion."""
    if not at_least(call, minor):
        raise NotFound("The resource could not be found at this microversion.", "route")


def stamp(us: int | None) -> str | None:
    """`2026-11-28T19:30:00.123456`, Cinder's form of instants in UTC."""
    return None if us is None else utc(us).strftime("%Y-%m-%dT%H:%M:%S.%f")


def instant(text: str, name: str) -> int:
    """Microseconds of an instant in a filter; without a zone it is UTC. Raises `Invalid`."""
    try:
        value = dt.datetime.fromisoformat(text)
        value = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        return int(value.timestamp()) * 1_000_000 + value.microsecond
    except (ValueError, OverflowError) as error:
        raise Invalid(f"{name} {text!r} is not an ISO 8601 instant such as 2026-01-01T00:00:00", "filter") from error


def links(call: BlockCall, path: str) -> list[dict[str, str]]:
    """The links of an object."""
    project = call.who.project_id
    middle = f"/{project}" if project else ""
    return [
        {"rel": "self", "href": f"{call.base}/v3{middle}/{path}"},
        {"rel": "bookmark", "href": f"{call.base}{middle}/{path}"},
    ]


class Fields:
    """One object of a body, read key by key. Everything that is malformed is `Invalid` reason `schema`."""

    def __init__(self, call: BlockCall, body: Any, key: str, known: Iterable[str] = (), strict: bool = False) -> None:
        """`known`: the keys that mean something; others are refused from 3.53 on, or always if `strict`."""
        found = body.get(key) if isinstance(body, dict) else None
        if not isinstance(found, dict):
            raise Invalid(f"Invalid input: the body needs an object '{key}'.", "schema")
        self.key = key
        self.values: Mapping[str, Any] = found
        unknown = sorted(set(found) - set(known))
        if known and unknown and (strict or (call.microversion or (3, 0)) >= STRICT):
            raise Invalid(
                f"Additional properties are not allowed in {key}: {', '.join(unknown)[:200]} is unknown.", "schema"
            )

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def text(self, name: str, most: int = TEXT, least: int = 0) -> str | None:
        """A text, None when it is absent or null."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not least <= len(value) <= most:
            raise Invalid(
                f"Invalid input for {self.key}.{name}: it must be a text of {least} to {most} characters.", "schema"
            )
        return value

    def required(self, name: str, most: int = TEXT) -> str:
        """A text that must be there and not empty."""
        value = self.text(name, most, 1)
        if value is None or not value.strip():
            raise Invalid(f"'{name}' is a required property of {self.key}.", "schema")
        return value

    def identifier(self, name: str) -> str:
        """The text of an id, or ""."""
        return self.text(name) or ""

    def flag(self, name: str, default: bool = False) -> bool:
        """A truth value, as JSON or as a word."""
        value = self.values.get(name)
        return default if value is None else truth(value, f"{self.key}.{name}")

    def integer(self, name: str, low: int, high: int) -> int | None:
        """A whole number, as JSON or in digits; None when it is absent or null."""
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, str) and value.strip().lstrip("+-").isdigit() and len(value) < 20 and value.isascii():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise Invalid(
                f"Invalid input for {self.key}.{name}: it must be a whole number from {low} to {high}.", "schema"
            )
        return value

    def pairs(self, name: str) -> dict[str, str]:
        """Metadata; empty when it is absent or null."""
        value = self.values.get(name)
        return {} if value is None else pairs(value, f"{self.key}.{name}")


def truth(value: Any, name: str) -> bool:
    """A truth value. Raises `Invalid`."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if isinstance(value, (str, int)) and word in ("1", "t", "true", "on", "y", "yes"):
        return True
    if isinstance(value, (str, int)) and word in ("0", "f", "false", "off", "n", "no"):
        return False
    raise Invalid(f"Invalid input for {name}: {str(value)[:60]!r} is neither true nor false.", "schema")


def pairs(value: Any, name: str, most: int = 128) -> dict[str, str]:
    """Names and values of metadata: keys of 1 to 255 characters, values up to 255. Raises `Invalid`."""
    if not isinstance(value, dict) or len(value) > most:
        raise Invalid(f"Invalid input for {name}: it must be an object of at most {most} pairs.", "schema")
    for key, item in value.items():
        if not 1 <= len(key) <= TEXT or not key.strip():
            raise Invalid(f"Invalid input for {name}: a key has 1 to {TEXT} characters.", "schema")
        if not isinstance(item, str) or len(item) > TEXT:
            raise Invalid(
                f"Invalid input for {name}.{key[:60]}: a value is a text of up to {TEXT} characters.", "schema"
            )
    return dict(value)


def adding(more: Mapping[str, str], name: str = "") -> Callable[[dict[str, str]], dict[str, str]]:
    """A change that adds pairs to those that are there; with a `name`, no more than `pairs` allows."""
    return lambda old: pairs({**old, **more}, name) if name else {**old, **more}


def dropping(*keys: str) -> Callable[[dict[str, str]], dict[str, str]]:
    """A change that removes pairs."""
    return lambda old: {key: value for key, value in old.items() if key not in keys}
