"""The manifest that a client puts: parsing and the form of each entry, before any segment is looked at."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass

from andromede.errors import Invalid, TooLarge
from andromede.objects.swift.info import MAX_MANIFEST_SEGMENTS, MAX_MANIFEST_SIZE
from andromede.objects.swift.place import storable

_KEYS = frozenset({"path", "etag", "size_bytes", "range"})
_RANGE = re.compile(r"(\d*)-(\d*)\Z", re.ASCII)
MAX_ENTRIES = 5000


@dataclass(frozen=True, slots=True)
class Wanted:
    """An entry as given: literal `data`, or an object with what is expected of it."""

    container: str = ""
    key: str = ""
    etag: str | None = None
    size: int | None = None
    span: tuple[int | None, int | None] | None = None
    data: bytes | None = None

    @property
    def path(self) -> str:
        """The object's name as errors show it."""
        return f"/{self.container}/{self.key}"


def parse(body: bytes) -> list[Wanted]:
    """Raises `Invalid` naming every entry that is wrong, `TooLarge` for too many segments."""
    if len(body) > MAX_MANIFEST_SIZE:
        raise TooLarge(f"Manifest File > {MAX_MANIFEST_SIZE} bytes", "manifest")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Invalid("Manifest must be valid JSON.", "manifest") from None
    if not isinstance(document, list):
        raise Invalid("Manifest must be a list.", "manifest")
    if len(document) > MAX_ENTRIES:
        raise TooLarge(f"at most {MAX_ENTRIES} entries", "manifest")
    problems: list[str] = []
    found = [wanted for n, entry in enumerate(document) if (wanted := _entry(n, entry, problems)) is not None]
    if problems:
        raise Invalid("\n".join(problems[:50]), "manifest")
    objects = sum(1 for wanted in found if wanted.data is None)
    if found and not objects:
        raise Invalid("Inline data segments require at least one object-backed segment.", "manifest")
    if objects > MAX_MANIFEST_SEGMENTS:
        raise TooLarge(f"Number of object-backed segments must be <= {MAX_MANIFEST_SEGMENTS}", "manifest")
    return found


def _entry(number: int, entry: object, problems: list[str]) -> Wanted | None:
    try:
        if not isinstance(entry, dict):
            raise ValueError("not a JSON object")
        if "data" in entry:
            return _literal(entry)
        return _reference(entry)
    except ValueError as error:
        problems.append(f"Index {number}: {error}")
        return None


def _literal(entry: dict[str, object]) -> Wanted:
    if set(entry) != {"data"}:
        raise ValueError("extraneous keys beside 'data'")
    text = entry["data"]
    try:
        data = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        raise ValueError("data must be valid base64 of at least one byte")
    return Wanted(data=data)


def _reference(entry: dict[str, object]) -> Wanted:
    if extraneous := set(entry) - _KEYS:
        raise ValueError(f"extraneous keys {', '.join(sorted(extraneous))[:100]}")
    path = entry.get("path")
    if not isinstance(path, str):
        raise ValueError("path must be a string")
    container, slash, key = path.lstrip("/").partition("/")
    if not slash or not container or not key or not storable(path):
        raise ValueError("path does not refer to an object. Path must be of the form /container/object.")
    etag = entry.get("etag")
    if etag is not None and not isinstance(etag, str):
        raise ValueError("etag must be a string or null")
    span = entry.get("range")
    return Wanted(container, key, etag.strip('"') if etag else None, _size(entry), _span(span))


def _size(entry: dict[str, object]) -> int | None:
    size = entry.get("size_bytes")
    if size is None:
        return None
    if isinstance(size, str) and size.isascii() and size.isdigit() and len(size) < 19:
        size = int(size)
    if not isinstance(size, int) or isinstance(size, bool):
        raise ValueError("invalid size_bytes")
    if size < 1:
        raise ValueError("too small; each segment must be at least 1 byte.")
    return size


def _span(value: object) -> tuple[int | None, int | None] | None:
    if value is None:
        return None
    match = _RANGE.match(value) if isinstance(value, str) and len(value) < 60 else None
    if match is None or not any(match.groups()):
        raise ValueError("invalid range")
    first, last = (int(digits) if digits else None for digits in match.groups())
    if first is not None and last is not None and last < first:
        raise ValueError("invalid range")
    return first, last
