"""Object attributes in headers: from a writing request into the model, and from the model into an answer."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from andromede.clock import US, http_date, iso_second
from andromede.errors import Invalid, TooLarge
from andromede.objects.model import Attributes, Checksum, Container, Lock, Version, Versioning
from andromede.objects.s3 import digest, kinds, lifecycle, locks, sse, tags
from andromede.objects.s3.locks import UNLOCKED
from andromede.web.stream.message import Headers

if TYPE_CHECKING:
    from andromede.objects.s3.call import S3Call

METADATA_BYTES = 2048
STORED = ("cache-control", "content-disposition", "content-language", "expires")
SHOWN = {
    "cache-control": "Cache-Control",
    "content-disposition": "Content-Disposition",
    "content-encoding": "Content-Encoding",
    "content-language": "Content-Language",
    "expires": "Expires",
    "x-robots-tag": "X-Robots-Tag",
}
OVERRIDES = {
    "response-content-type": "Content-Type",
    "response-content-language": "Content-Language",
    "response-expires": "Expires",
    "response-cache-control": "Cache-Control",
    "response-content-disposition": "Content-Disposition",
    "response-content-encoding": "Content-Encoding",
}
REDIRECT = "x-amz-website-redirect-location"
DEFAULT_TYPE = "binary/octet-stream"

Pairs = list[tuple[str, str | bytes]]


def of_request(call: S3Call, keys: sse.Keys, acl: bytes | None, lock: Lock) -> Attributes:
    """What a put, copy with REPLACE or new upload says of the object. Raises `Invalid`."""
    headers, kind = call.headers, call.kinds
    content_type = headers.get("content-type") or DEFAULT_TYPE
    other = kind & kinds.OTHER
    if not kind & (kinds.STORED | kinds.META | kinds.OTHER) and keys is sse.NOTHING and lock is UNLOCKED and not acl:
        return plain(content_type)
    tagging = headers.get("x-amz-tagging") if other else None
    return Attributes(
        content_type=content_type,
        headers=stored_headers(headers) if kind & kinds.STORED else {},
        metadata=metadata(headers) if kind & kinds.META else {},
        settings=settings(headers) if other else {},
        tags=tags.from_header(tagging) if tagging else {},
        acl=acl,
        lock=lock,
        storage_class=storage_class(headers) if other else "STANDARD",
        encryption=keys.encryption,
    )


@lru_cache(maxsize=256)
def plain(content_type: str) -> Attributes:
    """An object of which nothing but its type is said; shared, since it cannot change."""
    return Attributes(content_type=content_type)


def stored_headers(headers: Headers) -> dict[str, str]:
    """The HTTP headers that come back on a read. `aws-chunked` was the coding of the request alone."""
    found = {name: value for name in STORED if (value := headers.get(name))}
    coding = headers.get("content-encoding")
    if coding:
        rest = [part.strip() for part in ",".join(headers.all("content-encoding")).split(",")]
        kept = ", ".join(part for part in rest if part and part.lower() != "aws-chunked")
        if kept:
            found["content-encoding"] = kept
    return found


def metadata(headers: Headers) -> dict[str, str]:
    """`x-amz-meta-*`. Raises `TooLarge` beyond 2 KiB of names and values."""
    found: dict[str, str] = {}
    size = 0
    for name, value in headers.raw:
        if name[:11] == b"x-amz-meta-":
            key, text = name[11:].decode("latin-1"), value.decode("latin-1")
            found[key] = f"{found[key]},{text}" if key in found else text
            size += len(name) - 11 + len(value)
    if size > METADATA_BYTES:
        raise TooLarge(
            f"your metadata headers hold {size} bytes; at most {METADATA_BYTES} are kept", "metadata_too_large"
        )
    return found


def settings(headers: Headers) -> dict[str, str]:
    """What the S3 door keeps beside metadata: the redirect of a website."""
    target = headers.get(REDIRECT)
    if target is None:
        return {}
    if not target.startswith(("/", "http://", "https://")) or len(target) > 2048:
        raise Invalid(f"{REDIRECT} must begin with '/', http:// or https://", "invalid_request")
    return {REDIRECT: target}


def storage_class(headers: Headers) -> str:
    """The class asked for. Raises `Invalid` for one that does not exist here."""
    name = headers.get("x-amz-storage-class")
    if name is not None and name != "STANDARD":
        raise Invalid(f"the storage class {name[:32]!r} does not exist here; STANDARD does", "storage_class")
    return "STANDARD"


@lru_cache(maxsize=4096)
def last_modified(seconds: int) -> str:
    """The header's text; S3 rounds down to the second."""
    return http_date(seconds)


def shown_etag(version: Version) -> str:
    """The ETag with its quotes."""
    return f'"{version.etag}"'


def version_headers(container: Container, version: Version) -> Pairs:
    """The version id, once the bucket has known versioning."""
    if container.versioning is Versioning.OFF:
        return []
    return [("x-amz-version-id", version.shown_id)]


def checksum_headers(checksum: Checksum | None, kind: str | None = None) -> Pairs:
    """A checksum and its kind; a part's answer names the kind of the whole object."""
    if checksum is None:
        return []
    return [(digest.HEADER[checksum.algorithm], checksum.value), ("x-amz-checksum-type", kind or checksum.kind)]


def described(request_id: str, container: Container, version: Version) -> Pairs:
    """The headers of a read of any version that say what it is, whoever asks."""
    about = version.attributes
    pairs: Pairs = [
        ("x-amz-request-id", request_id),
        ("x-amz-id-2", request_id),
        ("ETag", shown_etag(version)),
        ("Last-Modified", last_modified(version.created_us // US)),
        ("Content-Type", about.content_type),
        ("Accept-Ranges", "bytes"),
    ]
    if container.versioning is not Versioning.OFF:
        pairs.append(("x-amz-version-id", version.shown_id))
    if about.headers:
        pairs += [(SHOWN[name], value) for name, value in about.headers.items() if name in SHOWN]
    if about.metadata:
        pairs += [("x-amz-meta-" + name, value) for name, value in about.metadata.items()]
    if about.tags:
        pairs.append(("x-amz-tagging-count", str(len(about.tags))))
    return pairs


def of_version(call: S3Call, version: Version) -> Pairs:
    """The headers of a read: everything but length, range and status."""
    about = version.attributes
    pairs = described(call.request.request_id, call.bucket, version)
    if about.encryption.mode != "default":
        pairs += sse.answer_headers(about.encryption)
    if about.lock.mode is not None or about.lock.legal_hold:
        pairs += lock_headers(call, about.lock)
    if REDIRECT in about.settings:
        pairs.append((REDIRECT, about.settings[REDIRECT]))
    if about.storage_class != "STANDARD":
        pairs.append(("x-amz-storage-class", about.storage_class))
    if "lifecycle" in call.bucket.documents:
        expires = lifecycle.expiration_header(call.bucket, version, call.context.config)
        if expires is not None:
            pairs.append(("x-amz-expiration", expires))
    return pairs


def lock_headers(call: S3Call, lock: Lock) -> Pairs:
    """Retention and hold, for those who may read them."""
    pairs: Pairs = []
    if lock.mode is not None and lock.until_us is not None and call.allowed("s3:GetObjectRetention"):
        pairs.append((locks.MODE, lock.mode))
        pairs.append((locks.UNTIL, iso_second(lock.until_us)))
    if lock.legal_hold and call.allowed("s3:GetObjectLegalHold"):
        pairs.append((locks.HOLD, "ON"))
    return pairs


def overridden(call: S3Call, pairs: Pairs) -> Pairs:
    """Apply `response-*` parameters. Raises `Invalid` for anonymous requests."""
    if not call.query:
        return pairs
    new = {OVERRIDES[name]: value for name, value in call.query.items() if name in OVERRIDES}
    if not new:
        return pairs
    if call.actor is None:
        raise Invalid("request-specific response headers cannot be used for anonymous GET requests", "invalid_request")
    for value in new.values():
        if "\r" in value or "\n" in value or not value.isprintable():
            raise Invalid("a response-* parameter holds characters that no header may", "invalid_argument")
    kept = [pair for pair in pairs if pair[0] not in new]
    return [*kept, *((name, value.encode()) for name, value in new.items())]
