"""AWS signature version 4: what was signed, by which key, and whether it holds.

Signing reference, "Authenticating Requests (AWS Signature Version 4)". Everything is verified as it was
received: raw header values, the query's own pairs, the path decoded and encoded once, never normalised.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

from andromede.clock import US
from andromede.errors import Denied, Invalid
from andromede.web.stream.message import Request

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW_US = 15 * 60 * US
MAX_EXPIRES = 604_800
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"
SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_PATH_PLAIN = _UNRESERVED + b"/"
_QUERY_PLAIN = _UNRESERVED + b"=&"


@dataclass(frozen=True, slots=True)
class Scope:
    """The credential scope and the signed header names of a signature. `text`: `date/region/service/aws4_request`;
    `lines`: how the canonical line of each header begins, and its name; `tail`: what follows these lines."""

    access_key: str
    date: str
    region: str
    service: str
    signed: tuple[bytes, ...]
    signed_set: frozenset[bytes]
    text: str
    lines: tuple[tuple[bytes, str], ...]
    tail: bytes


class Claimed(msgspec.Struct, frozen=True):
    """A signature as given. `amz_date`: the text that was signed; `expires`: seconds, of presigned requests."""

    scope: Scope
    signature: str
    amz_date: str
    payload: str
    expires: int | None = None


def from_header(request: Request, authorization: str) -> Claimed:
    """Read `Authorization: AWS4-HMAC-SHA256 ...`. Raises `Invalid` or `Denied`."""
    head, comma, signature = authorization.rpartition("Signature=")
    if not comma or "," in signature.strip():
        scope, signature = _in_any_order(authorization)
    else:
        scope, signature = _scope_of_header(head), signature.strip()
    headers = request.headers
    date = headers.first.get("x-amz-date")
    if date is not None:
        stamp = date.decode("latin-1")
    else:
        given = headers.get("date")
        when = instant(given) if given is not None else None
        if when is None:
            raise Denied("a signed request needs a valid Date or x-amz-date header", "access")
        stamp = _basic(when)  # whatever the form of Date, this is what was signed
    payload = headers.first.get("x-amz-content-sha256")
    if payload is None:
        raise Invalid("missing required header for this request: x-amz-content-sha256", "invalid_request")
    return Claimed(scope, signature, stamp, payload.decode("latin-1"))


@lru_cache(maxsize=4096)
def _scope_of_header(head: str) -> Scope:
    fields = _fields(head)
    return scope_of(fields.get("Credential", ""), fields.get("SignedHeaders", ""), "auth_header")


def _in_any_order(authorization: str) -> tuple[Scope, str]:
    fields = _fields(authorization)
    if "Signature" not in fields:
        raise Invalid("the authorization header has no Signature", "auth_header")
    return scope_of(fields.get("Credential", ""), fields.get("SignedHeaders", ""), "auth_header"), fields["Signature"]


def _fields(text: str) -> dict[str, str]:
    found = {}
    for part in text.removeprefix(ALGORITHM).split(","):
        name, _, value = part.strip().partition("=")
        found[name] = value
    return found


def scope_of(credential: str, signed: str, reason: str) -> Scope:
    """Check the form of a scope. Access keys may hold slashes, so it is read from the right."""
    parts = credential.rsplit("/", 4)
    if len(parts) != 5 or parts[4] != "aws4_request" or not parts[0]:
        raise Invalid("the credential is not <key>/YYYYMMDD/REGION/SERVICE/aws4_request", reason)
    names = tuple(name.encode("latin-1", "replace") for name in signed.split(";"))
    if not signed or any(name != name.lower() for name in names):
        raise Invalid("SignedHeaders is empty or not in lower case", reason)
    lines = tuple((name + b":", name.decode("latin-1")) for name in names)
    tail = b"\n" + b";".join(names)
    return Scope(parts[0], parts[1], parts[2], parts[3], names, frozenset(names), "/".join(parts[1:]), lines, tail)


def from_query(request: Request, query: Mapping[str, str]) -> Claimed:
    """Read a presigned request. Raises `Invalid` or `Denied`."""
    given = {name.lower(): value for name, value in query.items() if name[:6].lower() == "x-amz-"}
    missing = [
        name for name in ("credential", "signature", "date", "signedheaders", "expires") if "x-amz-" + name not in given
    ]
    if missing or given.get("x-amz-algorithm") != ALGORITHM:
        raise Invalid(
            "query-string authentication needs X-Amz-Algorithm=AWS4-HMAC-SHA256 and the parameters X-Amz-Credential, "
            "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders and X-Amz-Expires",
            "auth_query",
        )
    scope = scope_of(given["x-amz-credential"], given["x-amz-signedheaders"], "auth_query")
    text = given["x-amz-expires"]
    if not text.lstrip("-").isdigit() or not text.isascii() or len(text) > 12:
        raise Invalid("X-Amz-Expires should be a number of seconds", "auth_query")
    payload = request.headers.get("x-amz-content-sha256") or given.get("x-amz-content-sha256") or UNSIGNED
    return Claimed(scope, given["x-amz-signature"], given["x-amz-date"], payload, int(text))


@lru_cache(maxsize=1024)
def instant(text: str) -> int | None:
    """Microseconds of `YYYYMMDDTHHMMSSZ` or an HTTP date; None when it is neither or before 1970."""
    for form in ("%Y%m%dT%H%M%SZ", "%a, %d %b %Y %H:%M:%S GMT", "%a, %d %b %Y %H:%M:%S %z", "%Y-%m-%dT%H:%M:%S.%fZ"):
        try:
            found = dt.datetime.strptime(text, form)  # noqa: DTZ007  (made aware below)
        except ValueError:
            continue
        when = found if found.tzinfo else found.replace(tzinfo=dt.UTC)
        seconds = int(when.timestamp())
        return seconds * US if seconds >= 0 else None
    return None


def check_time(claimed: Claimed, now_us: int) -> None:
    """Clock window of signed headers; validity of presigned requests. Raises `Denied` or `Invalid`."""
    when = instant(claimed.amz_date)
    if when is None:
        raise Denied("a signed request needs a valid Date or x-amz-date header", "access")
    stamp = claimed.amz_date if len(claimed.amz_date) == 16 else _basic(when)
    if claimed.expires is None:
        if abs(when - now_us) > SKEW_US:
            raise Denied(
                "the difference between the request time and the server's time is too large; set the clock",
                "skew",
                fields={"RequestTime": claimed.amz_date, "ServerTime": _basic(now_us)},
            )
        reason = "auth_header"
    else:
        reason = "auth_query"
        if not 0 < claimed.expires <= MAX_EXPIRES:
            raise Denied(f"X-Amz-Expires must be between 1 and {MAX_EXPIRES} seconds", "access")
        if when - now_us > SKEW_US:
            raise Denied("the presigned request is not valid yet", "access")
        if when + claimed.expires * US < now_us:
            raise Denied("the presigned request has expired; ask for a new one", "access")
    if stamp[:8] != claimed.scope.date:
        raise Invalid("the date of the credential scope is not that of the request", reason)


def _basic(us: int) -> str:
    return dt.datetime.fromtimestamp(us // US, dt.UTC).strftime("%Y%m%dT%H%M%SZ")


def canonical_path(raw: bytes) -> bytes:
    """The path decoded and encoded once; slashes and dots stay."""
    if not raw.translate(None, _PATH_PLAIN):
        return raw
    return quote_from_bytes(unquote_to_bytes(raw), safe="/-._~").encode()


def canonical_query(raw: bytes, presigned: bool) -> bytes:
    """Pairs encoded, then sorted; the signature itself left out of presigned ones."""
    if not raw:
        return b""
    plain = not raw.translate(None, _QUERY_PLAIN)
    pairs = []
    for pair in raw.split(b"&"):
        name, _, value = pair.partition(b"=")
        if not name and not value:
            continue
        if not plain or b"=" in value:
            name, value = _encoded(name), _encoded(value)
        if presigned and name.lower() == b"x-amz-signature":
            continue
        pairs.append((name, value))
    pairs.sort()
    return b"&".join([name + b"=" + value for name, value in pairs])


def _encoded(raw: bytes) -> bytes:
    return quote_from_bytes(unquote_to_bytes(raw.replace(b"+", b" ")), safe="-._~").encode()


def canonical_request(request: Request, claimed: Claimed) -> bytes:
    """What the client hashed. Raises `Denied` when a header that must be signed is not."""
    scope, headers = claimed.scope, request.headers
    if len(headers.first) == len(headers.raw) and _covers(scope.lines, tuple(headers.first)):
        first = headers.first
        text = b"\n".join([
            request.method.encode(), canonical_path(request.path),
            canonical_query(request.query, claimed.expires is not None),
            *[start + first.get(name, b"") for start, name in scope.lines],
            scope.tail, claimed.payload.encode("latin-1", "replace"),
        ])  # fmt: skip
        if b"  " not in text and b"\t" not in text:  # blanks in a row are signed as one
            return text
    return _canonical_of_any(request, claimed)


@lru_cache(maxsize=1024)
def _covers(lines: tuple[tuple[bytes, str], ...], names: tuple[str, ...]) -> bool:
    """Whether the signed lines have the host and every `x-amz-` header of a request with these names."""
    signed = {name for _, name in lines}
    return "host" in signed and all(name in signed for name in names if name.startswith("x-amz-"))


def _canonical_of_any(request: Request, claimed: Claimed) -> bytes:
    """The same with repeated headers, blanks in values, or headers that should be signed and are not."""
    signed = claimed.scope.signed_set
    values: dict[bytes, bytes] = {}
    unsigned: list[bytes] = []
    for name, value in request.headers.raw:
        if name in signed:
            if b"  " in value or b"\t" in value:
                value = b" ".join(value.split())
            values[name] = values[name] + b"," + value if name in values else value
        elif name[:6] == b"x-amz-":
            unsigned.append(name)
    if unsigned or b"host" not in signed:
        if b"host" not in signed:
            unsigned.append(b"host")
        names = ", ".join(sorted({name.decode("latin-1") for name in unsigned}))
        raise Denied(
            f"there were headers present in the request which were not signed: {names}",
            "access",
            fields={"HeadersNotSigned": names},
        )
    lines = [
        request.method.encode(),
        canonical_path(request.path),
        canonical_query(request.query, claimed.expires is not None),
    ]
    lines += [name + b":" + values.get(name, b"") for name in claimed.scope.signed]
    lines += [b"", b";".join(claimed.scope.signed), claimed.payload.encode("latin-1", "replace")]
    return b"\n".join(lines)


def string_to_sign(claimed: Claimed, canonical: bytes) -> bytes:
    """The second of the three steps."""
    digest = hashlib.sha256(canonical).hexdigest()
    return f"{ALGORITHM}\n{claimed.amz_date}\n{claimed.scope.text}\n{digest}".encode("latin-1", "replace")


@lru_cache(maxsize=4096)
def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The key of one day, region and service."""
    key = ("AWS4" + secret).encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode("latin-1", "replace"), "sha256")
    return key


@lru_cache(maxsize=4096)
def _begun(key: bytes) -> tuple[Any, Any]:
    """The two hashes of HMAC with their padded keys in (RFC 2104), to be copied: a third of the time of a new one."""
    block = key.ljust(64, b"\0")
    return hashlib.sha256(bytes(x ^ 0x36 for x in block)), hashlib.sha256(bytes(x ^ 0x5C for x in block))


def sign(key: bytes, text: bytes) -> str:
    """HMAC-SHA256 in hex, under a key of 32 bytes."""
    begun = _begun(key)
    inner, outer = begun[0].copy(), begun[1].copy()
    inner.update(text)
    outer.update(inner.digest())
    found: str = outer.hexdigest()
    return found


def verify(request: Request, claimed: Claimed, secret: str) -> bytes:
    """The signing key, when the signature holds. Raises `Denied` (SignatureDoesNotMatch)."""
    canonical = canonical_request(request, claimed)
    text = string_to_sign(claimed, canonical)
    scope = claimed.scope
    key = signing_key(secret, scope.date, scope.region, scope.service)
    if not hmac.compare_digest(sign(key, text).encode(), claimed.signature.encode("latin-1", "replace")):
        raise Denied(
            "the request signature we calculated does not match the signature you provided; check your key and "
            "signing method",
            "signature",
            fields={
                "AWSAccessKeyId": scope.access_key,
                "StringToSign": text.decode("latin-1"),
                "SignatureProvided": claimed.signature,
                "CanonicalRequest": canonical.decode("latin-1"),
            },
        )
    return key
