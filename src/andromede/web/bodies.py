"""Requests into values: query strings and JSON bodies, where garbage is `Invalid` and nothing else."""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from andromede.errors import Invalid
from andromede.web.call import Query

MAX_FIELDS = 1000


def decode(raw: bytes, what: str) -> str:
    """Percent-decoded UTF-8 without NUL."""
    try:
        value = (unquote_to_bytes(raw) if b"%" in raw else raw).decode()
    except UnicodeDecodeError as error:
        raise Invalid(f"{what} is not valid UTF-8", "encoding") from error
    if "\0" in value:
        raise Invalid(f"{what} contains a NUL character", "encoding")
    return value


def path_segments(raw: bytes) -> list[str]:
    """The decoded segments of a raw path, without a trailing slash; `%2F` does not split."""
    parts = raw.lstrip(b"/").split(b"/")
    while parts and not parts[-1]:
        parts.pop()
    return [decode(part, "the path") for part in parts]


def query(raw: bytes) -> Query:
    """The pairs of a query string (application/x-www-form-urlencoded)."""
    parts = [part for part in raw.split(b"&") if part]
    if len(parts) > MAX_FIELDS:
        raise Invalid(f"the query has more than {MAX_FIELDS} parameters", "query")
    pairs = []
    for part in parts:
        name, _, value = part.replace(b"+", b" ").partition(b"=")
        pairs.append((decode(name, "the query"), decode(value, "the query")))
    return Query(tuple(pairs))


def parse(raw: bytes) -> Any:
    """A JSON document (RFC 8259), or None for an empty body."""
    if not raw.strip():
        return None
    try:
        document = msgspec.json.decode(raw)
        _check(document)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Invalid(f"the body is not valid JSON: {error}", "json") from error
    return document


def _check(value: Any) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise Invalid("the body contains a NUL character", "json")
        value.encode()
    elif isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        raise Invalid("the body contains an integer of more than 64 bits", "json")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check(key)
            _check(item)
    elif isinstance(value, list):
        for item in value:
            _check(item)


def learn(kind: Any) -> None:
    """Work out the shape of a route's body type, which `msgspec` otherwise does at its first use: two threads that do
    so at once crash the process, so every type is learnt before there are threads."""
    with contextlib.suppress(msgspec.ValidationError):
        msgspec.convert(None, kind)


def convert(document: Any, kind: Any) -> Any:
    """The document as a value of a route's body type."""
    if document is None:
        raise Invalid("the request needs a JSON body", "schema")
    try:
        return msgspec.convert(document, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise Invalid(f"the body breaks the schema: {error}", "schema") from error
