"""User metadata and stored headers of the three levels, within the limits that `/info` publishes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from andromede.errors import Invalid

MAX_NAME = 128
MAX_VALUE = 256
MAX_COUNT = 90
MAX_OVERALL = 4096
STORED_HEADERS = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
    "x-robots-tag",
)
"""Headers of an object that come back as they were given."""


def title(name: str) -> str:
    """`foo-bar` as `Foo-Bar`, the form that Swift shows."""
    return "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))


def given(pairs: Iterable[tuple[str, str]], level: str) -> dict[str, str | None]:
    """Metadata among lower-case headers: name to value, None for what is to be removed (an empty value or
    `X-Remove-…`; a value given beside it wins). `level`: account, container or object."""
    found: dict[str, str | None] = {}
    removed = f"x-remove-{level}-meta-"
    prefix = f"x-{level}-meta-"
    for name, value in pairs:
        if name.startswith(removed) and len(name) > len(removed):
            found.setdefault(name[len(removed) :], None)
        elif name.startswith(prefix):
            found[name[len(prefix) :]] = value or None
    return found


def check(metadata: Mapping[str, str | None], level: str) -> None:
    """Raises `Invalid` for names and values that are empty, too long or not UTF-8."""
    count = size = 0
    for name, value in metadata.items():
        if not name:
            raise Invalid("Metadata name cannot be empty", "metadata")
        if len(name) > MAX_NAME:
            raise Invalid(f"Metadata name too long: x-{level}-meta-{name}", "metadata")
        if value is None:
            continue
        if len(value) > MAX_VALUE:
            raise Invalid(f"Metadata value longer than {MAX_VALUE}: x-{level}-meta-{name}", "metadata")
        line(name, "Metadata")
        line(value, "Metadata")
        if any(char in ' \t:"' for char in name):
            raise Invalid("Metadata name contains a character that a header name cannot have", "metadata")
        count += 1
        size += len(name) + len(value)
    _totals(count, size)


def check_total(metadata: Mapping[str, str]) -> None:
    """Raises `Invalid` when merged metadata is too much."""
    _totals(len(metadata), sum(len(name) + len(value) for name, value in metadata.items()))


def _totals(count: int, size: int) -> None:
    if count > MAX_COUNT:
        raise Invalid(f"Too many metadata items; max {MAX_COUNT}", "metadata")
    if size > MAX_OVERALL:
        raise Invalid(f"Total metadata too large; max {MAX_OVERALL}", "metadata")


def merged(old: Mapping[str, str], change: Mapping[str, str | None]) -> dict[str, str]:
    """Old metadata with a change applied."""
    return {name: value for name, value in {**old, **change}.items() if value is not None}


def line(value: str, what: str) -> str:
    """A value that can stand in a header: Latin-1 text of UTF-8 bytes without control characters.

    Headers of a request are so already; fields of forms and archives need not be. Raises `Invalid`."""
    if value.isascii() and value.isprintable():
        return value
    try:
        value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise Invalid(f"{what} must be valid UTF-8", "metadata") from None
    if any((char < " " and char != "\t") or char == "\x7f" for char in value):
        raise Invalid(f"{what} must not contain control characters", "metadata")
    return value


def shown(metadata: Mapping[str, str], level: str) -> list[tuple[str, str | bytes]]:
    """The headers of stored metadata."""
    prefix = f"X-{level.capitalize()}-Meta-"
    return [(prefix + title(name), value.encode("latin-1", "replace")) for name, value in sorted(metadata.items())]
