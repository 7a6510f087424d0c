"""CopyObject, and the source of every copy (API reference)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from andromede.clock import iso_milli
from andromede.errors import Denied, Invalid, NotFound
from andromede.objects import joined
from andromede.objects.model import Attributes, Container, CopySource, Version, Versioning
from andromede.objects.s3 import attributes, digest, preconditions, sse, tags
from andromede.objects.s3.opening import find_bucket
from andromede.objects.s3.operations import operation
from andromede.objects.s3.place import parse_query
from andromede.objects.s3.reading import may_know_target, may_read
from andromede.objects.s3.writing import DEFAULT_CHECKSUM, OBJECT_MAX, Wish, wish_of
from andromede.objects.s3.xml import element, elements
from andromede.web.stream.message import Commit, Response

if TYPE_CHECKING:
    from andromede.objects.s3.call import S3Call

HEADER = "x-amz-copy-source"


@dataclass(frozen=True, slots=True)
class Source:
    """What is copied, found and permitted."""

    container: Container
    version: Version
    customer_key: bytes | None


def source_of(call: S3Call) -> Source:
    """Read `x-amz-copy-source`, check rights and conditions. Raises `Invalid`, `NotFound`, `Denied`."""
    bucket, key, version_id = parse_source(call.header(HEADER) or "")
    project, colon, name = bucket.rpartition(":")
    container = find_bucket(call, name, project if colon else None)
    expected = call.header("x-amz-source-expected-bucket-owner")
    if expected is not None and expected != container.project_id:
        raise Denied("the source bucket belongs to another account than the request expects", "access")
    action = "s3:GetObject" if version_id is None else "s3:GetObjectVersion"
    try:
        version = call.objects.head(container, key, version_id)
    except NotFound as missing:
        if not call.allowed("s3:ListBucket", container=container):
            raise call.refusal(action, container=container, key=key) from missing
        raise NotFound(missing.public, missing.reason) from missing
    call.require(action, container=container, key=key, version=version)
    if version.is_marker:
        raise Invalid("the source of a copy request may not be a delete marker", "invalid_request")
    call.reached(container, key)
    version = joined.present(call.objects, container, version, may_read(call), may_know_target(call))
    preconditions.check_source(call, version)
    return Source(container, version, sse.opening_key(call, version, sse.SOURCE_CUSTOMER))


def parse_source(text: str) -> tuple[str, str, str | None]:
    """(bucket, key, version id) of a copy source, which is percent-encoded but for `?versionId=`."""
    path, _, query = text.partition("?")
    version_id = parse_query(query.encode("latin-1")).get("versionId") if query else None
    try:
        plain = unquote_to_bytes(path.encode("latin-1")).decode()
    except UnicodeDecodeError as error:
        raise Invalid("the copy source is not percent-encoded UTF-8", "invalid_argument") from error
    bucket, _, key = plain.removeprefix("/").partition("/")
    if not bucket or not key or "\0" in plain:
        raise Invalid("copy source must mention the source bucket and key: sourcebucket/sourcekey", "invalid_argument")
    return bucket, key, version_id or None


@operation("CopyObject", "PUT", on="object", action="s3:PutObject", form="copy")
def copy_object(call: S3Call) -> Commit[Version]:
    """Make a new object, with a data key of its own, from another's bytes."""
    wish = wish_of(call)
    source = source_of(call)
    if source.version.size > OBJECT_MAX:
        raise Invalid("the source is larger than 5 GiB; copy it in parts with UploadPartCopy", "invalid_request")
    wish = directed(call, wish, source)
    algorithm = call.header("x-amz-checksum-algorithm")
    wanted = digest.known(algorithm) if algorithm else _kept_algorithm(source.version)
    about = CopySource(source.version, source.customer_key, wish.keys.customer_key, (wanted,))
    conditions = preconditions.of_write(call)
    target = joined.Target(call.bucket, call.name, wish.attributes, conditions, call.trace())
    step = joined.copy(call.objects, about, target)
    return step.then(lambda version: _answer(call, source, version))


def _kept_algorithm(version: Version) -> str:
    return version.checksum.algorithm if version.checksum is not None else DEFAULT_CHECKSUM


def directed(call: S3Call, wish: Wish, source: Source) -> Wish:
    """Apply the directives: metadata and tags come from the source unless REPLACE is asked for."""
    directive = call.header("x-amz-metadata-directive") or "COPY"
    tag_directive = call.header("x-amz-tagging-directive") or "COPY"
    for name, value in (("metadata", directive), ("tagging", tag_directive)):
        if value not in ("COPY", "REPLACE"):
            raise Invalid(f"x-amz-{name}-directive must be COPY or REPLACE", "invalid_argument")
    origin, about = source.version.attributes, wish.attributes
    if directive == "COPY":
        _check_change(call, source, about)
        about = replace(
            about,
            content_type=origin.content_type,
            headers=origin.headers,
            metadata=origin.metadata,
        )
    if tag_directive == "COPY":
        about = replace(about, tags=origin.tags)
    else:
        given = call.header("x-amz-tagging")
        about = replace(about, tags=tags.from_header(given) if given else {})
    return replace(wish, attributes=about)


def _check_change(call: S3Call, source: Source, about: Attributes) -> None:
    """A copy onto itself must change something."""
    same = source.container.id == call.bucket.id and source.version.key == call.key and source.version.is_latest
    if not same:
        return
    changed = (
        about.encryption != source.version.attributes.encryption
        or attributes.REDIRECT in call.headers
        or "x-amz-storage-class" in call.headers
        or "x-amz-tagging-directive" in call.headers
        or call.bucket.versioning is not Versioning.OFF
    )
    if not changed:
        raise Invalid(
            "this copy request is illegal because it is trying to copy an object to itself without changing the "
            "object's metadata, storage class, website redirect location or encryption attributes",
            "invalid_request",
        )


def _answer(call: S3Call, source: Source, version: Version) -> Response:
    inner = elements((("LastModified", iso_milli(version.created_us)), ("ETag", f'"{version.etag}"')))
    if version.checksum is not None:
        inner += element(digest.ELEMENT[version.checksum.algorithm], version.checksum.value)
        inner += element("ChecksumType", version.checksum.kind)
    answer = call.xml("CopyObjectResult", inner)
    if call.bucket.versioning is not Versioning.OFF:
        answer.headers.append(("x-amz-version-id", version.shown_id))
    answer.headers += source_headers(source)
    if version.attributes.encryption.mode != "default":
        answer.headers += sse.answer_headers(version.attributes.encryption)
    return answer


def source_headers(source: Source) -> attributes.Pairs:
    """Which version was copied."""
    if source.container.versioning is Versioning.OFF:
        return []
    return [("x-amz-copy-source-version-id", source.version.shown_id)]
