"""Symlinks and large objects as the S3 door shows them: plain objects with all the bytes.

`present` turns a version that stands for others into a `JoinedVersion`, whose size and ETag are those of
the whole; the other functions take any version and do the right thing for both kinds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import structs

from andromede.db import Row
from andromede.objects import codec, manifests
from andromede.objects.copying import Joined
from andromede.objects.manifests import SLO_COUNT, SLO_ETAG, SLO_SIZE, MayKnow, MayRead, Opened, Opener
from andromede.objects.model import (
    Attributes,
    Conditions,
    Container,
    CopySource,
    Kind,
    Receive,
    Stored,
    Trace,
    Version,
)

if TYPE_CHECKING:
    from andromede.objects.service import Objects, Step

MAX_COPY = 5 << 30


class JoinedVersion(Version, frozen=True):
    """A version whose bytes are those of others."""

    opened: Opened | None = None


def listed(version: Version) -> Version:
    """What a listing shows of a version, without reading anything: a static large object has the size of
    the whole and the ETag `<etag>-<segments>`."""
    if version.kind is not Kind.SLO:
        return version
    count = version.attributes.settings.get(SLO_COUNT, "1")
    return structs.replace(version, size=manifests.shown_size(version), etag=f"{manifests.shown_etag(version)}-{count}")


def shown(row: Row) -> tuple[int, str, str]:
    """(size, ETag, storage class) of a row of `listing_store.SHOWN` with something special, as `listed` has them."""
    etag, size = row[2], row[4]
    kind, _, wide = row[5].partition(" ")
    attributes = codec.unpack_wide(wide, "", kind, None)
    if kind == Kind.SLO:
        settings = attributes.settings
        size = int(settings.get(SLO_SIZE, size))
        etag = f"{settings.get(SLO_ETAG, etag)}-{settings.get(SLO_COUNT, '1')}"
    return size, etag, attributes.storage_class


def present(objects: Objects, container: Container, version: Version, may_read: MayRead, may_know: MayKnow) -> Version:
    """What a read of this version means. Rights on everything it leads to are asked of `may_read`, on what
    turns out to be absent of `may_know`.

    Raises NotFound and Conflict for links and manifests that lead nowhere."""
    if not manifests.composed(version):
        return version
    opened = Opener(objects, may_read, may_know).open(container, version)
    if opened.segments is None:
        return opened.version
    fields = {name: getattr(opened.version, name) for name in Version.__struct_fields__}
    fields["size"] = opened.size
    fields["etag"] = f"{opened.etag}-{len(opened.segments)}"
    fields["attributes"] = dataclasses.replace(opened.version.attributes, settings={}, kind=Kind.DATA)
    return JoinedVersion(**fields, opened=opened)


def read(objects: Objects, version: Version, start: int, stop: int, customer_key: bytes | None) -> Iterator[memoryview]:
    """Bytes [start, stop) of any version."""
    if isinstance(version, JoinedVersion) and version.opened is not None:
        return version.opened.read(start, stop)
    return objects.read(version, start, stop, customer_key=customer_key)


def copy_range(objects: Objects, source: Version, start: int, stop: int, container: Container, want: Receive) -> Stored:
    """Receive a part of any version."""
    if isinstance(source, JoinedVersion):
        return objects.receive(container, Joined(read(objects, source, start, stop, None)), want)
    return objects.copy_range(source, start, stop, container, want)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a copy goes."""

    container: Container
    key: str
    attributes: Attributes
    conditions: Conditions
    trace: Trace


def copy(objects: Objects, source: CopySource, to: Target) -> Step[Version]:
    """A whole object out of any version."""
    version = source.version
    if not isinstance(version, JoinedVersion):
        return objects.copy(source, to.container, to.key, to.attributes, to.conditions, to.trace)
    want = Receive(
        length=version.size,
        max_length=MAX_COPY,
        algorithms=source.algorithms,
        encryption=to.attributes.encryption,
        customer_key=source.new_customer_key,
    )
    stored = copy_range(objects, version, 0, version.size, to.container, want)
    return objects.put(to.container, to.key, stored, to.attributes, to.conditions, to.trace)
