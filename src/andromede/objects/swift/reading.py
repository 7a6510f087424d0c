"""GET and HEAD of objects."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from andromede.errors import Invalid, NotFound
from andromede.objects import manifests
from andromede.objects.manifests import DLO_TARGET, LINK_ACCOUNT, LINK_BYTES, LINK_ETAG, LINK_TARGET, Opened, Segment
from andromede.objects.model import Container, Kind, Version, Versioning
from andromede.objects.swift import conditions, metadata, ranges
from andromede.objects.swift.answers import Pairs
from andromede.objects.swift.call import Call
from andromede.objects.swift.conditions import Verdict
from andromede.objects.swift.entries import DELETED_TYPE, EMPTY_MD5, own_account
from andromede.objects.swift.errors import page
from andromede.objects.swift.place import PARTS_CONTAINER
from andromede.objects.swift.times import last_modified, listed, shown_second, timestamp
from andromede.web.stream.faults import NotQuick
from andromede.web.stream.message import Chunk, Response

US = 1_000_000


def find(call: Call, container: Container) -> Version:
    """The version that the path and `?version-id=` mean, if the caller may read it."""
    try:
        version = call.objects.head(container, call.key, call.version_id)
    except NotFound as error:
        call.require("s3:GetObject", container, call.key)
        marker = error.detail.get("marker")
        if isinstance(marker, Version) and call.version_id:
            raise _deleted(marker) from None
        raise
    call.require("s3:GetObjectVersion" if call.version_id else "s3:GetObject", container, call.key, version)
    if version.is_marker:
        raise _deleted(version)
    return version


def _deleted(marker: Version) -> NotFound:
    headers = [("Content-Type", DELETED_TYPE), ("X-Object-Version-Id", marker.shown_id)]
    return NotFound("this version is a delete marker", "marker", headers=headers)


def base_headers(version: Version, *, manifest: bool = False) -> Pairs:
    """What any view of a version shows: type, metadata, stored headers, times."""
    attributes = version.attributes
    kind = "application/json; charset=utf-8" if manifest else attributes.content_type
    found: Pairs = [("Content-Type", kind.encode("latin-1", "replace")), ("Accept-Ranges", "bytes")]
    found += metadata.shown(attributes.metadata, "object")
    found += [(metadata.title(name), value.encode("latin-1", "replace")) for name, value in attributes.headers.items()]
    if attributes.delete_at_us is not None:
        found.append(("X-Delete-At", str(attributes.delete_at_us // US)))
    found.append(("Last-Modified", last_modified(version.created_us)))
    found.append(("X-Timestamp", timestamp(version.created_us)))
    if version.kind is Kind.SLO or version.parts:
        found.append(("X-Static-Large-Object", "True"))
    if DLO_TARGET in attributes.settings:
        found.append(("X-Object-Manifest", attributes.settings[DLO_TARGET].encode("latin-1", "replace")))
    return found


def read(call: Call) -> Response:
    """GET and HEAD: the object, a part of it, its manifest or the symlink itself."""
    container = call.container = call.locate(call.place.project_id, call.name, "s3:GetObject")
    version = find(call, container)
    extra: Pairs = []
    if container.versioning is not Versioning.OFF:
        extra.append(("X-Object-Version-Id", version.shown_id))
        if call.version_id is None and not version.is_null:
            named = quote(f"{own_account(container.project_id)}/{container.name}/{version.key}")
            extra.append(("Content-Location", f"/v1/{named}?version-id={version.shown_id}"))
    if call.params.get("symlink") == "get" and version.kind is Kind.SYMLINK:
        return _link(call, version, extra)
    if call.params.get("multipart-manifest") == "get":
        place, target, _ = call.opener().follow(container, version)
        if target.kind is Kind.SLO or target.parts:
            return _manifest(call, place, target, extra)
        if DLO_TARGET in target.attributes.settings:
            return _whole(call, Opened(place, target, target.size, target.etag, None, False, call.opener()), extra)
    if call.request.inline and manifests.composed(version):
        raise NotQuick
    opened = call.opener().open(container, version)
    if opened.linked:
        location = quote(f"{own_account(opened.container.project_id)}/{opened.container.name}/{opened.version.key}")
        extra.append(("Content-Location", f"/v1/{location}"))
    return _whole(call, opened, extra)


def _link(call: Call, version: Version, extra: Pairs) -> Response:
    headers: Pairs = [*base_headers(version), ("Etag", version.etag or EMPTY_MD5), *extra]
    for setting in (LINK_TARGET, LINK_ACCOUNT, LINK_ETAG, LINK_BYTES):
        if setting in version.attributes.settings:
            headers.append((metadata.title(setting), version.attributes.settings[setting]))
    return Response(200, headers)


def segments_of(call: Call, container: Container, version: Version) -> tuple[Segment, ...]:
    """The segments of a static manifest, or the parts of an S3 multipart object as if they were."""
    if version.kind is Kind.SLO:
        return manifests.decode(call.opener().manifest(version))
    parts = call.objects.parts(version, limit=10_000)
    kind = version.attributes.content_type
    return tuple(
        Segment(
            PARTS_CONTAINER, f"{version.id}/{part.number:05d}", part.etag, part.size, 0, part.size,
            content_type=kind, modified=listed(part.created_us),
        )
        for part in parts
    )  # fmt: skip


def _manifest(call: Call, container: Container, version: Version, extra: Pairs) -> Response:
    """`multipart-manifest=get`, with `format=raw` as it would be put again."""
    segments = segments_of(call, container, version)
    raw = call.params.get("format") == "raw"
    body = json.dumps([_put_form(s) for s in segments]).encode() if raw else manifests.encode(segments)
    etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
    headers = [*base_headers(version, manifest=not raw), ("Etag", etag), *extra]
    return Response(200, headers, b"" if call.method == "HEAD" else body, length=len(body))


def _put_form(segment: Segment) -> dict[str, object]:
    if segment.data is not None:
        return {"data": json.loads(manifests.encode((segment,)))[0]["data"]}
    entry: dict[str, object] = {
        "path": f"/{segment.container}/{segment.key}",
        "etag": segment.etag,
        "size_bytes": segment.size,
    }
    if segment.ranged:
        entry["range"] = f"{segment.start}-{segment.stop - 1}"
    return entry


def _whole(call: Call, opened: Opened, extra: Pairs) -> Response:
    version = opened.version
    large = opened.segments is not None or version.parts
    headers = [*base_headers(version), ("Etag", f'"{opened.etag}"' if large else opened.etag), *extra]
    if version.kind is Kind.SLO:
        headers.append(("X-Manifest-Etag", version.etag))
    verdict = conditions.judge(call.header, opened.etag, shown_second(version.created_us))
    if verdict is Verdict.NOT_MODIFIED:
        return Response(304, headers)
    if verdict is Verdict.FAILED:
        return Response(412, _retyped(headers))
    if "part-number" in call.params and (version.kind is Kind.SLO or version.parts):
        return _part(call, opened, headers)
    spans = None
    asked = call.header("range")
    if (
        asked
        and call.method == "GET"
        and conditions.range_applies(call.header, opened.etag, shown_second(version.created_us))
    ):
        try:
            spans = ranges.parse(asked, opened.size)
        except Invalid as error:
            body = page(416, error.public)
            return Response(416, [*_retyped(headers), ("Content-Range", f"bytes */{opened.size}")], body)
    if call.method == "HEAD":
        return Response(200, headers, b"", length=opened.size)
    if spans is None:
        return Response(200, headers, opened.read(0, opened.size), length=opened.size)
    return _ranged(call, opened, spans, headers)


def _retyped(headers: Pairs) -> Pairs:
    return [("Content-Type", "text/html; charset=UTF-8"), *(h for h in headers if h[0] != "Content-Type")]


def _ranged(call: Call, opened: Opened, spans: list[ranges.Span], headers: Pairs) -> Response:
    if len(spans) == 1:
        start, stop = spans[0]
        headers.append(("Content-Range", f"bytes {start}-{stop - 1}/{opened.size}"))
        return Response(206, headers, opened.read(start, stop), length=stop - start)
    boundary = call.context.ids.hex()
    kind = opened.version.attributes.content_type
    length, chunks = ranges.multipart(spans, opened.size, kind, boundary, opened.read)
    shown: Pairs = [h for h in headers if h[0] != "Content-Type"]
    shown.append(("Content-Type", f"multipart/byteranges;boundary={boundary}"))
    return Response(206, shown, _started(chunks), length=length)


def _started(chunks: Iterator[Chunk]) -> Iterable[Chunk]:
    first = next(chunks, b"")

    def whole() -> Iterator[Chunk]:
        yield first
        yield from chunks

    return whole()


def _part(call: Call, opened: Opened, headers: Pairs) -> Response:
    """`?part-number=`: one segment of a static large object; plain objects have no parts."""
    wanted = call.params["part-number"]
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) < 7 and int(wanted) > 0):
        raise Invalid("Part number must be an integer greater than 0", "part_number")
    lengths = [segment.length for segment in segments_of(call, opened.container, opened.version)]
    headers.append(("X-Parts-Count", str(len(lengths))))
    number = int(wanted)
    if number > len(lengths):
        body = page(416, "The requested part number is not satisfiable")
        return Response(416, [*_retyped(headers), ("Content-Range", f"bytes */{opened.size}")], body)
    start = sum(lengths[: number - 1])
    stop = start + lengths[number - 1]
    if start == stop:
        return Response(200, headers, b"", length=0)
    headers.append(("Content-Range", f"bytes {start}-{stop - 1}/{opened.size}"))
    if call.method == "HEAD":
        return Response(206, headers, b"", length=stop - start)
    return Response(206, headers, opened.read(start, stop), length=stop - start)
