"""Objects made of other objects: symlinks, static and dynamic large objects, resolved for both doors.

A static manifest (SLO) is a version whose body is a JSON list of segments as written by `encode`; its
`slo-etag` and `slo-size` stand in the settings. A dynamic manifest (DLO) names `container/prefix` in
`x-object-manifest`; its segments are listed when it is read. A symlink names its target in
`x-symlink-target`. Rights are asked for at every object that is reached, through `may_read`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote

from andromede.errors import Conflict, Denied, Error, Invalid, NotFound
from andromede.objects.model import Container, Kind, Listing, ListQuery, Version

ACCOUNT_PREFIX = "AUTH_"
SYMLOOP_MAX = 2
MAX_DEPTH = 10
MAX_DYNAMIC_SEGMENTS = 100_000
MAX_MANIFEST_BYTES = 8 << 20
SLO_ETAG = "slo-etag"
SLO_SIZE = "slo-size"
SLO_COUNT = "slo-segments"
DLO_TARGET = "x-object-manifest"
LINK_TARGET = "x-symlink-target"
LINK_ACCOUNT = "x-symlink-target-account"
LINK_ETAG = "x-symlink-target-etag"
LINK_BYTES = "x-symlink-target-bytes"

MayRead = Callable[[Container, Version], None]
"""Raises `Denied` or `Unauthenticated` when the caller may not read that version."""
MayKnow = Callable[[str, Container | None, str], None]
"""(project, container if there is one, key or prefix) of what is not there. Raises as `MayRead` when the
caller may not learn that: a link into another project must not tell what exists there."""


class Source(Protocol):
    """What resolution needs of the object service."""

    def container(self, project_id: str, name: str) -> Container: ...
    def head(self, container: Container, key: str, version_id: str | None = None) -> Version: ...
    def list_objects(self, container: Container, q: ListQuery) -> Listing: ...
    def read(
        self, version: Version, start: int = 0, stop: int | None = None, *, customer_key: bytes | None = None
    ) -> Iterator[memoryview]: ...


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a large object: bytes [start, stop) of the object `container/key` with ETag `etag` and
    `size` bytes, or the literal `data`. `nested`: the object is a static manifest itself."""

    container: str = ""
    key: str = ""
    etag: str = ""
    size: int = 0
    start: int = 0
    stop: int = 0
    nested: bool = False
    data: bytes | None = None
    content_type: str = ""
    modified: str = ""
    version: Version | None = None

    @property
    def length(self) -> int:
        """Bytes that this piece contributes."""
        return self.stop - self.start

    @property
    def ranged(self) -> bool:
        """Whether only a part of the object is used."""
        return self.data is None and (self.start, self.stop) != (0, self.size)


def encode(segments: tuple[Segment, ...]) -> bytes:
    """The stored form, which is also what `multipart-manifest=get` shows."""
    return json.dumps([_entry(segment) for segment in segments], ensure_ascii=False).encode()


def _entry(segment: Segment) -> dict[str, Any]:
    if segment.data is not None:
        return {"data": base64.b64encode(segment.data).decode()}
    entry: dict[str, Any] = {
        "name": f"/{segment.container}/{segment.key}",
        "bytes": segment.size,
        "hash": segment.etag,
        "content_type": segment.content_type,
        "last_modified": segment.modified,
    }
    if segment.ranged:
        entry["range"] = f"{segment.start}-{segment.stop - 1}"
    if segment.nested:
        entry["sub_slo"] = True
    return entry


def decode(body: bytes) -> tuple[Segment, ...]:
    """Segments of a stored manifest."""
    return tuple(_segment(entry) for entry in json.loads(body))


def _segment(entry: Mapping[str, Any]) -> Segment:
    if "data" in entry:
        data = base64.b64decode(entry["data"])
        return Segment(size=len(data), stop=len(data), data=data)
    container, _, key = entry["name"].lstrip("/").partition("/")
    size = entry["bytes"]
    first, _, last = entry.get("range", f"0-{size - 1}").partition("-")
    return Segment(
        container=container,
        key=key,
        etag=entry["hash"],
        size=size,
        start=int(first),
        stop=int(last) + 1,
        nested=bool(entry.get("sub_slo")),
        content_type=entry.get("content_type", ""),
        modified=entry.get("last_modified", ""),
    )


def slo_etag(segments: tuple[Segment, ...]) -> str:
    """MD5 over the segments' ETags (`etag:first-last;` for parts of objects, MD5 of literal data)."""
    digest = hashlib.md5(usedforsecurity=False)
    for segment in segments:
        if segment.data is not None:
            digest.update(hashlib.md5(segment.data, usedforsecurity=False).hexdigest().encode())
        elif segment.ranged:
            digest.update(f"{segment.etag}:{segment.start}-{segment.stop - 1};".encode())
        else:
            digest.update(segment.etag.encode())
    return digest.hexdigest()


def composed(version: Version) -> bool:
    """Whether reading means following or joining other objects: open it with an `Opener`."""
    return version.kind in (Kind.SLO, Kind.SYMLINK) or DLO_TARGET in version.attributes.settings


def shown_size(version: Version) -> int:
    """The size that listings and HEAD show without reading segments (a DLO: its own body)."""
    return int(version.attributes.settings.get(SLO_SIZE, version.size)) if version.kind is Kind.SLO else version.size


def shown_etag(version: Version) -> str:
    """The bare ETag that belongs to `shown_size`."""
    return version.attributes.settings.get(SLO_ETAG, version.etag) if version.kind is Kind.SLO else version.etag


def split_target(value: str) -> tuple[str, str]:
    """(container, rest) of a percent-encoded `container/rest`."""
    container, _, rest = unquote(value).lstrip("/").partition("/")
    return container, rest


@dataclass(frozen=True, slots=True)
class Opened:
    """A readable representation. `etag` is bare; `segments` is None for an object with its own bytes.
    `container` and `version` are what a symlink led to; `linked` says that one did."""

    container: Container
    version: Version
    size: int
    etag: str
    segments: tuple[Segment, ...] | None
    linked: bool
    opener: Opener

    def read(self, start: int, stop: int) -> Iterator[memoryview]:
        """The bytes of [start, stop). The first segment is checked before this returns: Conflict
        (reason="segment") then; later damage is raised while iterating."""
        if self.segments is None:
            return self.opener.objects.read(self.version, start, stop, customer_key=self.opener.customer_key)
        chunks = self.opener.stream(self.container, self.segments, start, stop, depth=1)
        return _started(chunks)


def _started(chunks: Iterator[memoryview]) -> Iterator[memoryview]:
    first = next(chunks, None)

    def whole() -> Iterator[memoryview]:
        if first is not None:
            yield first
            yield from chunks

    return whole()


class Opener:
    """Resolves versions for one request. `may_read` is asked for every object beyond the first, `may_know`
    for link targets that are absent."""

    def __init__(
        self, objects: Source, may_read: MayRead, may_know: MayKnow, customer_key: bytes | None = None
    ) -> None:
        self.objects = objects
        self.customer_key = customer_key
        self._may_read = may_read
        self._may_know = may_know
        self._containers: dict[tuple[str, str], Container] = {}

    def open(self, container: Container, version: Version) -> Opened:
        """What a GET of this version means. Raises Conflict for broken links and manifests, NotFound for
        a missing link target."""
        place, found, linked = self.follow(container, version)
        segments = self.segments(place, found)
        if segments is None:
            return Opened(place, found, found.size, found.etag, None, linked, self)
        size = sum(segment.length for segment in segments)
        etag = found.attributes.settings.get(SLO_ETAG) or _concatenated(segments)
        return Opened(place, found, size, etag, segments, linked, self)

    def follow(self, container: Container, version: Version) -> tuple[Container, Version, bool]:
        """The end of a chain of symlinks, whether there was one, rights checked at each step."""
        linked = version.kind is Kind.SYMLINK
        for _ in range(SYMLOOP_MAX):
            if version.kind is not Kind.SYMLINK:
                break
            container, version = self._target(container, version)
        if version.kind is Kind.SYMLINK:
            raise Conflict(f"more than {SYMLOOP_MAX} symlinks in a row lead to this object", "symloop")
        return container, version, linked

    def _target(self, container: Container, link: Version) -> tuple[Container, Version]:
        settings = link.attributes.settings
        name, key = split_target(settings[LINK_TARGET])
        account = unquote(settings.get(LINK_ACCOUNT, "")).removeprefix(ACCOUNT_PREFIX) or container.project_id
        place: Container | None = None
        try:
            place = self._container(account, name)
            found = self.objects.head(place, key)
        except NotFound:
            self._may_know(account, place, key)
            raise
        self._may_read(place, found)
        wanted = settings.get(LINK_ETAG)
        if wanted and found.kind is not Kind.SYMLINK and shown_etag(found) != wanted:
            raise Conflict(f"the symlink's target {name}/{key} has changed since the link was made", "link_etag")
        return place, found

    def _container(self, project_id: str, name: str) -> Container:
        known = self._containers.get((project_id, name))
        if known is None:
            known = self._containers[project_id, name] = self.objects.container(project_id, name)
        return known

    def segments(self, container: Container, version: Version) -> tuple[Segment, ...] | None:
        """The segments of a manifest; None for an object with its own bytes."""
        if version.kind is Kind.SLO:
            return decode(self.manifest(version))
        if DLO_TARGET in version.attributes.settings:
            return tuple(self._listed(container, version))
        return None

    def manifest(self, version: Version) -> bytes:
        """The stored body of a manifest."""
        if version.size > MAX_MANIFEST_BYTES * 2:
            raise Invalid("the manifest is too large to read", "manifest")
        return b"".join(bytes(chunk) for chunk in self.objects.read(version, customer_key=self.customer_key))

    def _listed(self, container: Container, version: Version) -> Iterator[Segment]:
        name, prefix = split_target(version.attributes.settings[DLO_TARGET])
        try:
            place = self._container(container.project_id, name)
        except NotFound:
            self._may_know(container.project_id, None, prefix)
            return
        after, count = "", 0
        while True:
            page = self.objects.list_objects(place, ListQuery(prefix=prefix, after=after, limit=1000))
            for entry in page.entries:
                assert isinstance(entry, Version)
                if entry.id != version.id:
                    self._may_read(place, entry)
                size, nested = shown_size(entry), entry.kind is Kind.SLO
                yield Segment(name, entry.key, shown_etag(entry), size, 0, size, nested, version=entry)
            count += len(page.entries)
            if not count:
                self._may_know(container.project_id, place, prefix)
            if not page.truncated:
                return
            if count >= MAX_DYNAMIC_SEGMENTS:
                raise Conflict(f"the prefix of this object matches more than {count} segments", "segments")
            after = page.last

    def stream(
        self, container: Container, segments: tuple[Segment, ...], start: int, stop: int, *, depth: int
    ) -> Iterator[memoryview]:
        """Bytes [start, stop) of the concatenation; segments of `container`'s account."""
        if depth > MAX_DEPTH:
            raise Conflict(f"manifests are nested more than {MAX_DEPTH} deep", "depth")
        at = 0
        for segment in segments:
            first, last = max(start - at, 0), min(stop - at, segment.length)
            at += segment.length
            if first < last:
                yield from self._piece(container, segment, (segment.start + first, segment.start + last), depth)

    def _piece(self, container: Container, segment: Segment, span: tuple[int, int], depth: int) -> Iterator[memoryview]:
        if segment.data is not None:
            yield memoryview(segment.data)[span[0] : span[1]]
            return
        place, version = self._checked(container, segment)
        if version.kind is Kind.SLO:
            yield from self.stream(place, decode(self.manifest(version)), *span, depth=depth + 1)
        else:
            yield from self.objects.read(version, *span, customer_key=self.customer_key)

    def _checked(self, container: Container, segment: Segment) -> tuple[Container, Version]:
        label = f"{segment.container}/{segment.key}"
        try:
            place = self._container(container.project_id, segment.container)
            if segment.version is not None and segment.version.kind is not Kind.SYMLINK:
                return place, segment.version
            version = self.objects.head(place, segment.key)
            self._may_read(place, version)
            place, version, _ = self.follow(place, version)
        except (NotFound, Denied) as error:
            raise Conflict(f"segment {label} of this object cannot be read", "segment", cause=str(error)) from error
        except Error as error:
            if error.kind != "unauthenticated":
                raise
            raise Conflict(f"segment {label} of this object cannot be read", "segment", cause=str(error)) from error
        if segment.version is None and (shown_etag(version), shown_size(version)) != (segment.etag, segment.size):
            raise Conflict(f"segment {label} has changed since the manifest was made", "segment")
        return place, version


def _concatenated(segments: tuple[Segment, ...]) -> str:
    return hashlib.md5("".join(s.etag for s in segments).encode(), usedforsecurity=False).hexdigest()
