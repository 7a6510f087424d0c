"""What the headers of PUT, POST and COPY say of an object."""

from __future__ import annotations

import dataclasses
import mimetypes

from andromede.errors import Invalid
from andromede.objects.manifests import DLO_TARGET
from andromede.objects.model import Attributes, Kind
from andromede.objects.swift import metadata
from andromede.objects.swift.call import Call
from andromede.objects.swift.listing import truth
from andromede.objects.swift.place import decode
from andromede.objects.swift.times import representable

_TYPES = mimetypes.MimeTypes()
DEFAULT_TYPE = "application/octet-stream"
US = 1_000_000


def user_metadata(call: Call) -> dict[str, str]:
    """`X-Object-Meta-*` of the request, checked. An object keeps empty values: each POST replaces them all."""
    given = metadata.given(call.headers.items(), "object")
    metadata.check(given, "object")
    return {name: value or "" for name, value in given.items()}


def stored_headers(call: Call) -> dict[str, str]:
    """The headers that come back as they were given."""
    return {name: metadata.line(call.headers[name], name) for name in metadata.STORED_HEADERS if call.headers.get(name)}


def delete_at_us(call: Call) -> int | None:
    """The instant of expiry that `X-Delete-At` or `X-Delete-After` names. Raises `Invalid` for the past."""
    now = call.now_us // US
    after = call.header("x-delete-after")
    at = call.header("x-delete-at")
    if after is not None:
        seconds = _integer(after, "X-Delete-After")
        if seconds <= 0:
            raise Invalid("X-Delete-After in past", "delete_at")
        moment = now + seconds
    elif at is not None:
        moment = _integer(at, "X-Delete-At")
        if moment <= now:
            raise Invalid("X-Delete-At in past", "delete_at")
    else:
        return None
    if not representable(moment):
        raise Invalid("X-Delete-At lies too far ahead", "delete_at")
    return moment * US


def _integer(value: str, name: str) -> int:
    text = value.strip()
    digits = text[1:] if text[:1] in "+-" else text
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        raise Invalid(f"Non-integer {name}", "delete_at")
    return int(text)


def content_type(call: Call, key: str) -> str:
    """The given type, or one guessed from the name. Bytes are kept as received."""
    given = call.header("content-type")
    if not given or truth(call.header("x-detect-content-type")):
        return guessed_type(key)
    return checked_type(given)


def guessed_type(key: str) -> str:
    """The type that a name's ending suggests."""
    return _TYPES.guess_type(key, strict=False)[0] or DEFAULT_TYPE


def checked_type(given: str) -> str:
    """A content type that can be stored. Raises `Invalid` when it is not UTF-8 or much too long."""
    if len(given) > 1024:
        raise Invalid("Content-Type is longer than 1024 bytes", "content_type")
    return metadata.line(given, "Content-Type")


def manifest_target(call: Call) -> str | None:
    """`X-Object-Manifest`, checked for its form `container/prefix`."""
    value = call.header(DLO_TARGET)
    if value is None or (not value and call.method == "POST"):
        return None
    container, slash, prefix = decode(value.encode("latin-1")).partition("/")
    if not slash or not container or not prefix or "?" in value or "&" in value:
        raise Invalid("X-Object-Manifest must be in the format container/prefix", "manifest")
    return value


def wanted(call: Call, key: str) -> Attributes:
    """The attributes of a new object."""
    found = Attributes(
        content_type=content_type(call, key),
        headers=stored_headers(call),
        metadata=user_metadata(call),
        delete_at_us=delete_at_us(call),
    )
    target = manifest_target(call)
    if target is None:
        return found
    return dataclasses.replace(found, settings={DLO_TARGET: target}, kind=Kind.DLO)
