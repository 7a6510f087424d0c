"""Checksums of the S3 protocol: which one a request gives, computing, comparing, combining.

API reference, "Checking object integrity". Values are base64 of the big-endian digest.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from awscrt import checksums as crt

from andromede.errors import Invalid
from andromede.web.stream.message import Headers

ALGORITHMS = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")
FULL_OBJECT, COMPOSITE = "FULL_OBJECT", "COMPOSITE"
SIZES = {"CRC32": 4, "CRC32C": 4, "CRC64NVME": 8, "SHA1": 20, "SHA256": 32}
HEADER = {name: "x-amz-checksum-" + name.lower() for name in ALGORITHMS}
ELEMENT = {name: "Checksum" + name for name in ALGORITHMS}
_BY_HEADER = {header: name for name, header in HEADER.items()}
_HEADER_SET = frozenset(_BY_HEADER)

_COMPUTE: dict[str, Callable[[bytes], bytes]] = {
    "CRC32": lambda data: int(crt.crc32(data)).to_bytes(4, "big"),
    "CRC32C": lambda data: int(crt.crc32c(data)).to_bytes(4, "big"),
    "CRC64NVME": lambda data: int(crt.crc64nvme(data)).to_bytes(8, "big"),
    "SHA1": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
}


@dataclass(frozen=True, slots=True)
class Claim:
    """What the request says of its checksum. `value` is None when it follows in a trailer, or is to be computed."""

    algorithm: str | None = None
    value: str | None = None
    trailer: bool = False


NOTHING = Claim()


def claimed(headers: Headers) -> Claim:
    """The checksum that a request gives or announces. Raises `Invalid` for two, an unknown or a malformed one."""
    found: list[tuple[str, str]] = []
    for name, raw in headers.raw:
        if name.startswith(b"x-amz-checksum-"):
            text = name.decode("latin-1")
            if text in _BY_HEADER:
                found.append((_BY_HEADER[text], raw.decode("latin-1")))
            elif text not in ("x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type"):
                raise Invalid(f"{text[:64]} is not a known checksum", "invalid_request")
    named = headers.get("x-amz-sdk-checksum-algorithm") or headers.get("x-amz-checksum-algorithm")
    trailer = announced(headers)
    if len(found) + (trailer is not None) > 1:
        raise Invalid(
            "expecting a single x-amz-checksum- header; multiple checksum types are not allowed", "invalid_request"
        )
    if trailer is not None:
        return Claim(trailer, None, True)
    if found:
        algorithm, value = found[0]
        well_formed(algorithm, value)
        if named is not None and known(named) != algorithm:
            raise Invalid("value for x-amz-sdk-checksum-algorithm header is invalid", "invalid_request")
        return Claim(algorithm, value)
    return Claim()


def announced(headers: Headers) -> str | None:
    """The algorithm of the checksum that `x-amz-trailer` announces."""
    names = headers.get("x-amz-trailer")
    if names is None:
        return None
    found = [_BY_HEADER[name] for name in (part.strip().lower() for part in names.split(",")) if name in _BY_HEADER]
    if len(found) > 1:
        raise Invalid("a request may announce one checksum trailer", "invalid_request")
    return found[0] if found else None


def known(name: str) -> str:
    """The algorithm in capital letters. Raises `Invalid` for an unknown one."""
    if name.upper() not in SIZES:
        raise Invalid(f"checksum algorithm {name[:32]!r} is not one of {', '.join(ALGORITHMS)}", "invalid_request")
    return name.upper()


def well_formed(algorithm: str, value: str) -> str:
    """The value again. Raises `Invalid` unless it is base64 of the right size."""
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != SIZES[algorithm]:
        raise Invalid(f"the value of {HEADER[algorithm]} is not the base64 of {SIZES[algorithm]} bytes", "bad_digest")
    return value


def compute(algorithm: str, data: bytes) -> str:
    """The checksum of bytes in memory, base64."""
    return base64.b64encode(_COMPUTE[algorithm](data)).decode()


def compare(algorithm: str, given: str, computed: str) -> None:
    """Raises `Invalid` (BadDigest) unless they agree."""
    if not hmac.compare_digest(given.encode("latin-1"), computed.encode("latin-1")):
        raise Invalid(f"the {algorithm} you specified did not match the calculated checksum", "bad_digest")


def content_md5(headers: Headers) -> str | None:
    """Content-MD5 as hex digits, or None. Raises `Invalid` (InvalidDigest)."""
    value = headers.get("content-md5")
    if value is None:
        return None
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 16:
        raise Invalid("the Content-MD5 you specified is not valid", "invalid_digest")
    return raw.hex()


def compare_md5(given: str | None, computed: str) -> None:
    """Raises `Invalid` (BadDigest) unless they agree; nothing given agrees."""
    if given is not None and given != computed:
        raise Invalid("the Content-MD5 you specified did not match what we received", "bad_digest")


def check_document(headers: Headers, trailers: Mapping[str, str], data: bytes, needed: bool) -> None:
    """Check Content-MD5 and checksum of a body in memory. `needed`: one of them must be there."""
    md5 = content_md5(headers)
    claim = claimed(headers)
    if md5 is not None:
        compare_md5(md5, hashlib.md5(data, usedforsecurity=False).hexdigest())
    value = claim.value
    if claim.trailer and claim.algorithm is not None:
        value = trailers.get(HEADER[claim.algorithm])
    if claim.algorithm is not None and value is not None:
        compare(claim.algorithm, value, compute(claim.algorithm, data))
    elif needed and md5 is None:
        raise Invalid("missing required header for this request: Content-MD5 or x-amz-checksum-*", "invalid_request")
