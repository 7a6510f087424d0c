"""GetObject and HeadObject: look up, authorize, conditions, part or range, bytes (API reference)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from andromede.errors import Denied, Invalid, NotFound, Unsupported
from andromede.objects import joined
from andromede.objects.manifests import MayKnow, composed
from andromede.objects.model import Checksum, Container, Version
from andromede.objects.replaced import Replaced
from andromede.objects.s3 import attributes, kinds, preconditions, sse
from andromede.objects.s3.operations import operation
from andromede.web.stream.faults import NotQuick
from andromede.web.stream.message import Response

if TYPE_CHECKING:
    from andromede.objects.s3.call import S3Call

PARTS_MAX = 10_000
SHORT = 64 << 10
"""Bytes up to which a body is sent in one piece."""


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes [start, stop) of a version; `status` 206 unless it is all of it by default."""

    start: int
    stop: int
    status: int = 200
    checksum: Checksum | None = None
    parts: int | None = None


def find(call: S3Call, action: str, version_action: str) -> Version:
    """The version that a read means, with the caller's right to it checked.

    Raises `NotFound` (or `Denied`, when the caller may not list and so may not know), and `Unsupported`
    (405) for a delete marker named by its id."""
    version_id = call.version_id
    wanted = action if version_id is None else version_action
    try:
        version = call.objects.head(call.bucket, call.name, version_id)
    except NotFound as missing:
        may_know(call, missing, wanted)
        raise described(missing) from missing
    call.version = version
    call.require(wanted, version=version)
    if version.is_marker:
        raise Unsupported(
            "the version is a delete marker; it has no content",
            "marker",
            headers=[
                ("x-amz-delete-marker", "true"),
                ("x-amz-version-id", version.shown_id),
                ("Allow", "DELETE"),
                ("Last-Modified", attributes.last_modified(version.created_us // 1_000_000)),
            ],
        )
    if call.request.inline and composed(version):
        raise NotQuick
    version = call.version = joined.present(call.objects, call.bucket, version, may_read(call), may_know_target(call))
    return version


def may_read(call: S3Call) -> Callable[[Container, Version], None]:
    """The right to every object that a symlink or a large object leads to."""

    def check(container: Container, version: Version) -> None:
        if not call.allowed("s3:GetObject", container=container, key=version.key, version=version):
            raise _led_astray()
        call.reached(container, version.key)

    return check


def may_know_target(call: S3Call) -> MayKnow:
    """The right to learn that a symlink leads nowhere."""

    def check(project_id: str, container: Container | None, key: str) -> None:
        if container is not None:
            known = call.allowed("s3:ListBucket", container=container, extra={"s3:prefix": key})
        else:
            known = call.actor is not None and call.actor.project_id == project_id
        if not known:
            raise _led_astray()

    return check


def _led_astray() -> Denied:
    """The same for what is there and what is not."""
    return Denied("access to what the object leads to is denied; ask its owner for the right to read it", "access")


def may_know(call: S3Call, missing: NotFound, action: str) -> None:
    """A caller who may not list the bucket (at this key) does not learn that an object is absent: it reads what
    a refusal of `action` on a present one says."""
    if not call.allowed("s3:ListBucket", container=call.bucket, extra={"s3:prefix": call.key or ""}):
        raise call.refusal(action) from missing


def described(missing: NotFound) -> NotFound:
    """404 with the headers of the delete marker that hides the object, if there is one."""
    marker = missing.detail.get("marker")
    if isinstance(marker, Version):
        headers = [("x-amz-delete-marker", "true"), ("x-amz-version-id", marker.shown_id)]
        return NotFound(missing.public, missing.reason, headers=headers)
    return NotFound(missing.public, missing.reason, headers=[("x-amz-delete-marker", "false")])


@operation("GetObject", "GET", on="object", action="s3:GetObject")
def get_object(call: S3Call) -> Response:
    """The bytes of a version, whole or in part."""
    version = find(call, "s3:GetObject", "s3:GetObjectVersion")
    numbered = _numbered(call, version)
    key = sse.opening_key(call, version)
    if preconditions.unmodified(call, version):
        return not_modified(call, version)
    span = numbered or span_of(call, version)
    pairs = attributes.overridden(call, read_headers(call, version, span))
    size = span.stop - span.start
    if not size:
        return Response(span.status, pairs, b"", length=size)
    pieces = joined.read(call.objects, version, span.start, span.stop, key)
    if size <= SHORT and call.request.inline:  # an answer that waits for its event needs no thread then
        return Response(span.status, pairs, b"".join(pieces), length=size)
    return Response(span.status, pairs, pieces, length=size)


@operation("HeadObject", "HEAD", on="object", action="s3:GetObject")
def head_object(call: S3Call) -> Response:
    """What GET would say, without the bytes."""
    version = find(call, "s3:GetObject", "s3:GetObjectVersion")
    numbered = _numbered(call, version)
    if (key := sse.opening_key(call, version)) is not None:
        call.objects.check_customer_key(version, key)
    if preconditions.unmodified(call, version):
        return not_modified(call, version)
    span = numbered or span_of(call, version)
    pairs = attributes.overridden(call, read_headers(call, version, span))
    return Response(span.status, pairs, b"", length=span.stop - span.start)


def not_modified(call: S3Call, version: Version) -> Response:
    """304 with ETag and date."""
    pairs: attributes.Pairs = [
        *call.identified(),
        ("ETag", attributes.shown_etag(version)),
        ("Last-Modified", attributes.last_modified(version.created_us // 1_000_000)),
        *attributes.version_headers(call.bucket, version),
    ]
    return Response(304, pairs)


def read_headers(call: S3Call, version: Version, span: Span) -> attributes.Pairs:
    """All headers of a read but the length."""
    pairs = attributes.of_version(call, version)
    if span.status == 206:
        last = max(span.stop - 1, span.start)
        pairs.append(("Content-Range", f"bytes {span.start}-{last}/{version.size}"))
    if span.parts is not None:
        pairs.append(("x-amz-mp-parts-count", str(span.parts)))
    if call.kinds & kinds.CHECKSUM and (call.header("x-amz-checksum-mode") or "").upper() == "ENABLED":
        whole = span.stop - span.start == version.size
        checksum = span.checksum or (version.checksum if whole else None)
        pairs += attributes.checksum_headers(checksum, version.checksum.kind if version.checksum else None)
    return pairs


def _numbered(call: S3Call, version: Version) -> Span | None:
    """The part that `?partNumber=` names, known before any key is asked for."""
    number = call.query.get("partNumber")
    if number is None:
        return None
    if "range" in call.headers:
        raise Invalid("cannot specify both Range header and partNumber query parameter", "invalid_request")
    return part_span(call, version, number)


def span_of(call: S3Call, version: Version) -> Span:
    """What part of the object is asked for. Raises `Invalid` (InvalidRange, InvalidPart)."""
    if not call.kinds & kinds.RANGE:
        return Span(0, version.size)
    text = call.header("range")
    found = parse_range(text, version.size) if text is not None else None
    return Span(0, version.size) if found is None else Span(found[0], found[1], 206)


def part_span(call: S3Call, version: Version, text: str) -> Span:
    """One part of a multipart object; a plain object is its own part 1."""
    number = part_number(text)
    if not version.parts:
        if number != 1:
            raise Invalid("the object has no such part", "invalid_part")
        return Span(0, version.size, 206 if version.size else 200, version.checksum)
    try:
        part, start = call.objects.read_part(version, number)
    except Replaced:
        raise
    except NotFound as missing:
        raise Invalid("the object has no such part", "invalid_part") from missing
    return Span(start, start + part.size, 206, part.checksum, version.parts)


def part_number(text: str) -> int:
    """1 to 10,000. Raises `Invalid`."""
    if not text.isdigit() or not text.isascii() or not 1 <= int(text[:9]) <= PARTS_MAX:
        raise Invalid(f"part number must be an integer between 1 and {PARTS_MAX}, inclusive", "invalid_argument")
    return int(text)


def parse_range(text: str, size: int) -> tuple[int, int] | None:
    """[start, stop) of a single byte range; None to send the whole: bad syntax or several ranges.

    RFC 9110 14.2. Raises `Invalid` (416) when it lies behind the end."""
    unit, equals, spec = text.strip().partition("=")
    if unit.strip().lower() != "bytes" or not equals or "," in spec:
        return None
    first, dash, last = (part.strip() for part in spec.partition("-"))
    if not dash or not (first or last) or not (first + last).isdigit() or not spec.isascii() or len(spec) > 40:
        return None
    if not first:
        count = min(int(last), size)
        if not count:
            raise out_of_range(text, size)
        return size - count, size
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise out_of_range(text, size)
    return start, min(int(last) + 1, size) if last else size


def out_of_range(text: str, size: int) -> Invalid:
    """416 InvalidRange."""
    return Invalid(
        "the requested range is not satisfiable",
        "range",
        fields={"RangeRequested": text, "ActualObjectSize": str(size)},
        headers=[("Content-Range", f"bytes */{size}")],
    )
