"""What an attribute may be: each kind takes (name, value as parsed from JSON) and returns the value to store."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from andromede import addresses
from andromede.network.faults import bad_input

Kind = Callable[[str, Any], Any]
LONG = 255
_MAC = re.compile(r"[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")


def text(most: int = LONG) -> Kind:
    """A string of at most so many characters."""

    def check(name: str, value: Any) -> str:
        if not isinstance(value, str):
            bad_input(name, f"'{value}' is not a valid string")
        if len(value) > most:
            bad_input(name, f"'{value[:40]}...' exceeds maximum length of {most}")
        return value

    return check


def or_none(kind: Kind, stored: Any = "") -> Kind:
    """The kind, or null, which is stored as `stored`."""
    return lambda name, value: stored if value is None else kind(name, value)


def boolean(name: str, value: Any) -> bool:
    """A truth value, also as a word."""
    if isinstance(value, bool):
        return value
    words = {"true": True, "1": True, "false": False, "0": False}
    found = words.get(str(value).lower()) if isinstance(value, (str, int)) else None
    if found is None:
        bad_input(name, f"'{value}' cannot be converted to boolean")
    return found


def number(low: int, high: int) -> Kind:
    """A whole number, also as a string."""

    def check(name: str, value: Any) -> int:
        if isinstance(value, bool) or not re.fullmatch(r"-?\d{1,18}", str(value)):
            bad_input(name, f"'{value}' is not an integer")
        if not low <= int(value) <= high:
            bad_input(name, f"'{value}' is not in valid range {low} to {high}")
        return int(value)

    return check


def one_of(*words: str) -> Kind:
    """One of these words."""

    def check(name: str, value: Any) -> str:
        if value not in words:
            bad_input(name, f"'{value}' is not in {list(words)}")
        return str(value)

    return check


def object_id(name: str, value: Any) -> str:
    """An identifier of something; whether it exists is another question."""
    if not isinstance(value, str) or not 1 <= len(value) <= 64 or not value.isascii():
        bad_input(name, f"'{value}' is not a valid UUID")
    return value


def address(name: str, value: Any) -> str:
    """An IP address in its customary form."""
    try:
        return str(addresses.address(value if isinstance(value, str) else "?"))
    except ValueError:
        bad_input(name, f"'{value}' is not a valid IP address")


def prefix(name: str, value: Any) -> str:
    """A range; bits behind the prefix are cleared, an address alone is a range of one."""
    try:
        return str(addresses.network(value if isinstance(value, str) else "?", strict=False))
    except ValueError:
        bad_input(name, f"'{value}' is not a valid IP subnet")


def address_or_prefix(name: str, value: Any) -> str:
    """An address, or a range with a prefix."""
    return prefix(name, value) if isinstance(value, str) and "/" in value else address(name, value)


def mac(name: str, value: Any) -> str:
    """A unicast MAC address in lower case with colons."""
    if not isinstance(value, str) or not _MAC.fullmatch(value):
        bad_input(name, f"'{value}' is not a valid MAC address")
    found = value.lower().replace("-", ":")
    if int(found[:2], 16) & 1 or found == "00:00:00:00:00:00":
        bad_input(name, f"'{value}' is not the address of one device")
    return found


def listing(kind: Kind, most: int, once: bool = True) -> Kind:
    """A list of at most so many values of a kind; null is an empty one."""

    def check(name: str, value: Any) -> list[Any]:
        if value is None:
            return []
        if not isinstance(value, list):
            bad_input(name, f"'{value}' is not a list")
        if len(value) > most:
            bad_input(name, f"it holds {len(value)} items, at most {most} are allowed")
        found = [kind(name, item) for item in value]
        if once and any(item in found[:at] for at, item in enumerate(found)):
            bad_input(name, f"Duplicate items in the list: '{value}'")
        return found

    return check


def record(required: dict[str, Kind], optional: dict[str, Kind] | None = None) -> Kind:
    """An object with these members."""

    def check(name: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            bad_input(name, f"'{value}' is not a dictionary")
        every = required | (optional or {})
        if unknown := sorted(set(value) - set(every)):
            bad_input(name, f"Unexpected keys supplied: {', '.join(unknown)}")
        if lacking := sorted(set(required) - set(value)):
            bad_input(name, f"Validation of dictionary's keys failed. Expected keys: {', '.join(lacking)}")
        return {key: every[key](name, item) for key, item in value.items()}

    return check


def mapping(name: str, value: Any) -> dict[str, Any]:
    """Any object of moderate size."""
    if value is None:
        return {}
    if not isinstance(value, dict) or len(str(value)) > 4095:
        bad_input(name, f"'{str(value)[:40]}' is not a dictionary of at most 4095 characters")
    return value


def domain_name(name: str, value: Any) -> str:
    """A DNS name, also a relative one; empty for none."""
    found: str = text()(name, value)
    labels = found.rstrip(".").split(".") if found else []
    if not all(_LABEL.fullmatch(label) for label in labels):
        bad_input(name, f"'{value}' not a valid PQDN or FQDN")
    return found


def anything(name: str, value: Any) -> Any:
    """What the service checks by itself."""
    return value


NAME = text()
TEXT = or_none(text())
MAYBE_ID = or_none(object_id)
MAYBE_ADDRESS = or_none(address)
HINTS = listing(text(), 10)
NAMESERVERS = listing(address, 5)
ROUTES = listing(record({"destination": prefix, "nexthop": address}), 100)
