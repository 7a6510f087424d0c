"""AWS signature version 2 (HMAC-SHA1), for old tools; a setting, off by default.

Developer guide, "Signing and Authenticating REST Requests" and "Query String Request Authentication".
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from andromede.clock import US
from andromede.errors import Denied, Invalid
from andromede.objects.s3.place import Place
from andromede.objects.s3.sigv4 import SKEW_US, instant
from andromede.web.stream.message import Request

_SIGNED_WORDS = (
    "accelerate acl analytics cors delete inventory lifecycle location logging metrics notification partNumber "
    "policy policyStatus replication requestPayment response-cache-control response-content-disposition "
    "response-content-encoding response-content-language response-content-type response-expires restore tagging "
    "torrent uploadId uploads versionId versioning versions website object-lock retention legal-hold encryption "
    "publicAccessBlock ownershipControls select select-type usage"
)
_SIGNED = frozenset(_SIGNED_WORDS.split())


@dataclass(frozen=True, slots=True)
class Claimed:
    """A signature as given. `date`: the line of the string to sign; `expires`: seconds since 1970, presigned."""

    access_key: str
    signature: str
    date: str
    expires: int | None = None


def from_header(request: Request, authorization: str, now_us: int) -> Claimed:
    """Read `Authorization: AWS key:signature`. Raises `Invalid` or `Denied`."""
    access_key, colon, signature = authorization.removeprefix("AWS ").strip().rpartition(":")
    if not colon or not access_key or not signature:
        raise Invalid("the Authorization header must be 'AWS <key>:<signature>'", "invalid_argument")
    headers = request.headers
    amz = headers.get("x-amz-date")
    stamp = amz if amz is not None else headers.get("date")
    when = instant(stamp) if stamp else None
    if when is None:
        raise Denied("AWS authentication requires a valid Date or x-amz-date header", "access")
    if abs(when - now_us) > SKEW_US:
        raise Denied("the difference between the request time and the server's time is too large", "skew")
    return Claimed(access_key, signature, "" if amz is not None else stamp or "")


def from_query(request: Request, query: Mapping[str, str], now_us: int) -> Claimed:
    """Read a presigned request. Raises `Denied`."""
    text = query.get("Expires", "")
    if not text.isdigit() or not text.isascii() or len(text) > 12:
        raise Denied("query-string authentication needs Expires, the second at which it ends", "access")
    if int(text) * US < now_us:
        raise Denied("the presigned request has expired; ask for a new one", "access")
    return Claimed(query["AWSAccessKeyId"], query["Signature"], text, int(text))


def string_to_sign(request: Request, place: Place, claimed: Claimed, tail: bytes = b"") -> bytes:
    """Method, digests, date, canonical amz headers, canonical resource (its path ending in `tail`)."""
    headers = request.headers
    amz: dict[bytes, bytes] = {}
    for name, value in request.headers.raw:
        if name.startswith(b"x-amz-"):
            amz[name] = amz[name] + b"," + value if name in amz else value
    lines = [
        request.method.encode(),
        (headers.get("content-md5") or "").encode("latin-1"),
        (headers.get("content-type") or "").encode("latin-1"),
        claimed.date.encode("latin-1"),
    ]
    lines += [name + b":" + amz[name] for name in sorted(amz)]
    return b"\n".join([*lines, _resource(request, place, tail)])


def _resource(request: Request, place: Place, tail: bytes) -> bytes:
    path = request.path + tail
    if place.host_bucket and place.bucket is not None:
        path = b"/" + place.bucket.encode() + path
    chosen = []
    for pair in request.query.split(b"&") if request.query else ():
        name, equals, value = pair.partition(b"=")
        if name.decode("latin-1") in _SIGNED:
            chosen.append((name, b"=" + unquote_to_bytes(value.replace(b"+", b" ")) if equals and value else b""))
    chosen.sort()
    return path + (b"?" + b"&".join(name + value for name, value in chosen) if chosen else b"")


def verify(request: Request, place: Place, claimed: Claimed, secret: str) -> None:
    """Raises `Denied` (SignatureDoesNotMatch)."""
    text = string_to_sign(request, place, claimed)
    if place.on == "bucket" and b"/" not in request.path[1:]:
        # clients sign the resource of a bucket with a slash at the end, whether the path has one or not
        slashed = string_to_sign(request, place, claimed, b"/")
        if matches(secret, slashed, claimed.signature):
            return
    check(secret, text, claimed.signature, claimed.access_key)


def check(secret: str, text: bytes, signature: str, access_key: str) -> None:
    """Compare the signature of `text` in constant time. Raises `Denied`."""
    if not matches(secret, text, signature):
        raise Denied(
            "the request signature we calculated does not match the signature you provided; check your key and "
            "signing method",
            "signature",
            fields={"AWSAccessKeyId": access_key, "SignatureProvided": signature},
        )


def matches(secret: str, text: bytes, signature: str) -> bool:
    """Whether the signature is that of `text`, in constant time."""
    computed = base64.b64encode(hmac.digest(secret.encode(), text, "sha1"))
    return hmac.compare_digest(computed, signature.encode("latin-1", "replace"))
