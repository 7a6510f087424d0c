"""Temporary URLs: a signature in the query stands for a token, for one method and one path or prefix.

Object Storage API, "Temporary URL middleware".
"""

from __future__ import annotations

import base64
import binascii
import calendar
import dataclasses
import ipaddress
import re
import time as calendar_time
from urllib.parse import quote

from andromede.clock import http_date
from andromede.errors import Invalid, Unauthenticated
from andromede.objects.swift import info
from andromede.objects.swift.access import as_signer, matches, signing_keys
from andromede.objects.swift.answers import Pairs
from andromede.objects.swift.call import Call
from andromede.objects.swift.times import representable
from andromede.web.stream.message import Response

_HEX_DIGESTS = {40: "sha1", 64: "sha256", 128: "sha512"}
_SIZES = {"sha1": 20, "sha256": 32, "sha512": 64}
_ISO = ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S+0000", "%Y-%m-%dT%H:%M:%S+00:00")
_READS = frozenset({"s3:GetObject", "s3:GetObjectVersion"})
_ACTIONS = {
    "GET": _READS,
    "HEAD": _READS,
    "PUT": frozenset({"s3:PutObject"}),
    "POST": frozenset({"s3:PutObject"}),
    "DELETE": frozenset({"s3:DeleteObject", "s3:DeleteObjectVersion"}),
}
_HIDING = re.compile(r"x-object-meta-(?!public-)", re.IGNORECASE)
REMOVED = frozenset({"x-timestamp", "x-auth-token", "x-storage-token", "x-copy-from", "x-copy-from-account"})
"""Request headers that a signed URL does not let through."""


@dataclasses.dataclass(frozen=True, slots=True)
class Signed:
    """The signature of a query, its form checked."""

    digest: str
    signature: bytes
    expires: int


def present(call: Call) -> bool:
    """Whether the query carries a signature at all."""
    return "temp_url_sig" in call.params or "temp_url_expires" in call.params


def _refused(why: str) -> Unauthenticated:
    return Unauthenticated(f"Temp URL invalid: {why}", "tempurl")


def admit(call: Call) -> Signed:
    """Check the signature and let the request act within it. Raises `Unauthenticated` when it does not hold,
    `Invalid` for headers that would reach beyond its path."""
    signed = _parsed(call)
    if call.method not in info.TEMPURL_METHODS or call.place.key is None:
        raise _refused("it covers GET, HEAD, PUT, POST and DELETE of objects")
    if signed.expires * 1_000_000 <= call.now_us:
        raise _refused("it has expired")
    _check_address(call)
    scope = _scope(call, signed)
    if call.method in ("PUT", "POST"):
        for name in ("x-object-manifest", "x-symlink-target", "x-copy-from"):
            if call.header(name) is not None:
                raise Invalid(f"The header '{name}' is not allowed in this tempurl", "tempurl_header")
    if call.params.get("multipart-manifest") or "extract-archive" in call.params or "bulk-delete" in call.params:
        raise _refused("it covers plain reads and writes only")
    as_signer(call, "tempurl", scope, _ACTIONS[call.method])
    call.without_headers(REMOVED)
    return signed


def _parsed(call: Call) -> Signed:
    digest, signature = parse_signature(call.params.get("temp_url_sig", ""))
    if digest not in info.digests(call.context.config):
        raise _refused("its digest is not one of those in /info")
    expires = parse_expires(call.params.get("temp_url_expires", ""))
    if expires is None:
        raise _refused("temp_url_expires is neither a number of seconds nor an ISO 8601 time")
    return Signed(digest, signature, expires)


def parse_signature(text: str) -> tuple[str, bytes]:
    """(digest name, raw signature) of hexadecimal digits, or of `<digest>:<base64>` in either alphabet.
    ("", b"") for anything else."""
    name, colon, encoded = text.partition(":")
    try:
        if not colon:
            return _HEX_DIGESTS.get(len(text), ""), bytes.fromhex(text) if text.isascii() else b""
        raw = base64.b64decode(encoded.replace("-", "+").replace("_", "/") + "=" * (-len(encoded) % 4), validate=True)
    except (ValueError, binascii.Error):
        return "", b""
    return (name, raw) if _SIZES.get(name) == len(raw) else ("", b"")


def parse_expires(text: str) -> int | None:
    """Seconds since 1970, None when the text is no such time."""
    if text.isascii() and text.isdigit() and len(text) < 16:
        seconds = int(text)
        return seconds if representable(seconds) else None
    for form in _ISO:
        try:
            return calendar.timegm(calendar_time.strptime(text, form))
        except ValueError:
            continue
    return None


def _check_address(call: Call) -> None:
    wanted = call.params.get("temp_url_ip_range")
    if wanted is None:
        return
    try:
        inside = ipaddress.ip_address(call.request.peer) in ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        inside = False
    if not inside:
        raise _refused("it is not for this address")


def message(method: str, expires: str, path: str, address_range: str | None = None) -> bytes:
    """What is signed."""
    head = f"ip={address_range}\n" if address_range is not None else ""
    return f"{head}{method}\n{expires}\n{path}".encode("utf-8", "surrogateescape")


def _scope(call: Call, signed: Signed) -> str | None:
    place = call.place
    key = place.key or ""
    path = place.path
    prefix = call.params.get("temp_url_prefix")
    if prefix is not None:
        if not key.startswith(prefix):
            raise _refused("the object's name does not begin with its prefix")
        path = f"prefix:/{place.version}/{place.account}/{place.container}/{prefix}"
    # a URL for reading or writing an object may look at it too
    methods = ("HEAD", "GET", "PUT", "POST") if call.method == "HEAD" else (call.method,)
    address_range = call.params.get("temp_url_ip_range")
    valid: list[str | None] = []
    for secret, scope in signing_keys(call):
        for method in methods:
            text = message(method, str(signed.expires), path, address_range)
            if matches(secret, text, signed.digest, signed.signature):
                valid.append(scope)
    if not valid:
        raise _refused("the signature does not match")
    return None if None in valid else valid[0]


def dress(call: Call, signed: Signed, response: Response) -> Response:
    """What a signed download adds and leaves out: a file name, the time of expiry, no private metadata."""
    headers: Pairs = [(name, value) for name, value in response.headers if not _HIDING.match(name)]
    if call.method in ("GET", "HEAD") and response.status in (200, 206, 304):
        given = next((value for name, value in headers if name.lower() == "content-disposition"), None)
        headers = [item for item in headers if item[0].lower() not in ("content-disposition", "expires")]
        headers.append(("Content-Disposition", _disposition(call, given)))
        headers.append(("Expires", http_date(signed.expires)))
    response.headers = headers
    return response


def _disposition(call: Call, given: str | bytes | None) -> str | bytes:
    name = call.params.get("filename")
    inline = "inline" in call.params
    if inline and not name:
        return given if given else "inline"
    if not name and given:
        return given
    kind = "inline" if inline else "attachment"
    name = name or call.key.rstrip("/").rpartition("/")[2]
    plain = quote(name, safe=" /", errors="replace")
    encoded = quote(name, safe="/", errors="replace")
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{encoded}"
