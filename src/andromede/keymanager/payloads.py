"""Payloads: which content types and encodings there are, and how bytes come in and go out (Key Manager API v1,
"Secrets"). Inside, a payload is always bytes."""

from __future__ import annotations

import base64
import binascii

from andromede.errors import Invalid, TooLarge

MOST_BYTES = 20_000
"""Of a decoded payload, as in Barbican's default."""
TEXT = "text/plain"
OCTETS = "application/octet-stream"
BINARY = (OCTETS, "application/pkcs8", "application/pkix-cert")


def normal(content_type: str) -> str:
    """A content type without parameters. Invalid reason `media_type` for one that no payload may have."""
    kind, _, rest = content_type.partition(";")
    kind = kind.strip().lower()
    name, _, value = rest.strip().lower().partition("=")
    plain = not rest.strip() or (kind == TEXT and name.strip() == "charset" and value.strip().strip('"') == "utf-8")
    if kind not in (TEXT, *BINARY) or not plain:
        raise Invalid(
            f"payload content type {content_type!r} is not supported; use text/plain or application/octet-stream",
            "content_type",
        )
    return kind


def from_json(payload: str, content_type: str, encoding: str | None) -> tuple[bytes, str]:
    """(bytes, content type) of the payload of a one-step creation."""
    kind = normal(content_type)
    if not payload.strip():
        raise Invalid("the payload is empty; leave it out to send it later", "payload")
    if kind == TEXT:
        if encoding is not None:
            raise Invalid("payload_content_encoding is not possible with text/plain: send the text itself", "payload")
        return bounded(payload.encode()), kind
    if encoding is None:
        raise Invalid(f"payload_content_encoding must be base64 with {kind}", "payload")
    return bounded(decoded(payload.encode())), kind


def from_body(body: bytes, content_type: str, encoding: str | None) -> tuple[bytes, str]:
    """(bytes, content type) of a payload that is a whole request body. Invalid reason `media_type` (415)."""
    try:
        kind = normal(content_type)
    except Invalid as error:
        text = f"Content-Type {content_type!r} is not possible for a payload: use text/plain or {OCTETS}"
        raise Invalid(text, "media_type") from error
    if encoding not in (None, "", "base64", "binary") or (kind == TEXT and encoding == "base64"):
        raise Invalid(f"Content-Encoding {encoding!r} is not possible with {kind}", "payload")
    if not body:
        raise Invalid("the payload is empty", "payload")
    if kind == TEXT:
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise Invalid("the payload is not UTF-8; send it as application/octet-stream", "payload") from error
    return bounded(decoded(body) if encoding == "base64" else body), kind


def decoded(raw: bytes) -> bytes:
    """The bytes of base64 text."""
    try:
        return base64.b64decode(b"".join(raw.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid("the payload is not valid base64", "payload") from error


def bounded(payload: bytes) -> bytes:
    if not payload:
        raise Invalid("the payload is empty", "payload")
    if len(payload) > MOST_BYTES:
        raise TooLarge(f"the payload has {len(payload)} bytes; a secret holds at most {MOST_BYTES}", "payload")
    return payload


def accepted(accept: str | None, kind: str) -> str:
    """The content type to answer with. Invalid reason `accept` (406) when the client takes none that is possible: text
    may be had as bytes, bytes not as text."""
    if accept is None or not accept.strip():
        return kind
    for part in accept.split(","):
        word = part.partition(";")[0].strip().lower()
        if word in ("*/*", kind):
            return kind
        if word == OCTETS:
            return OCTETS
    raise Invalid(f"the payload is {kind}; it cannot be had as {accept!r}", "accept")
