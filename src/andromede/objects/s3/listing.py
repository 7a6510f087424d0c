"""ListObjects (V1), ListObjectsV2 and ListObjectVersions (API reference)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from andromede.clock import iso_milli
from andromede.errors import Invalid
from andromede.objects import joined
from andromede.objects.model import Listing, ListQuery, ShownListing, Version, VersionQuery
from andromede.objects.s3.operations import operation
from andromede.objects.s3.xml import element, elements, escape, pieced, url_encoded
from andromede.web.stream.message import Response

if TYPE_CHECKING:
    from andromede.objects.s3.call import S3Call

PAGE_MAX = 1000
_PLAIN = re.compile(r"[A-Za-z0-9/\-_.~*]*")
"""Keys that stand in a listing as they are, percent-encoded or not."""
Encode = Callable[[str], str]


def page_size(text: str | None, what: str = "max-keys") -> int:
    """The limit asked for; at most 1000 are given. Raises `Invalid` for anything but a number."""
    if text is None or text == "":
        return PAGE_MAX
    if not text.isdigit() or not text.isascii() or len(text) > 10 or int(text) > 2_147_483_647:
        raise Invalid(f"argument {what} must be an integer between 0 and 2147483647", "invalid_argument")
    return int(text)


def encoder(call: S3Call) -> Encode:
    """How keys are written: percent-encoded with `encoding-type=url`. Raises `Invalid` for another type."""
    kind = call.query.get("encoding-type")
    if kind is None or kind == "":
        return plain
    if kind != "url":
        raise Invalid("invalid encoding method specified in request; 'url' is the only one", "invalid_argument")
    return url_encoded


def plain(text: str) -> str:
    """The key as it is, escaped for XML."""
    return escape(text)


def list_page(call: S3Call, query: ListQuery, owned: bool) -> ShownListing:
    """A page; a limit of 0 is an empty, complete one."""
    if not query.limit:
        return ShownListing((), False, "")
    return call.objects.show_objects(call.bucket, query, owned)


@operation("ListObjects", "GET", on="bucket", action="s3:ListBucket")
def list_objects(call: S3Call) -> Response:
    """Version 1: `marker` and `NextMarker`."""
    call.require()
    asked = call.query
    encode = encoder(call)
    limit = page_size(asked.get("max-keys"))
    prefix, delimiter, marker = asked.get("prefix", ""), asked.get("delimiter", ""), asked.get("marker", "")
    page = list_page(call, ListQuery(prefix, delimiter, marker, limit=min(limit, PAGE_MAX)), True)
    head = (
        element("Name", shown_name(call))
        # clients decode all but the prefix in version 1
        + f"<Prefix>{escape(prefix)}</Prefix><Marker>{encode(marker)}</Marker>"
        + (f"<NextMarker>{encode(page.last)}</NextMarker>" if page.truncated and delimiter else "")
        + _common_head(call, limit, delimiter, encode, page.truncated)
    )
    return call.raw_xml(pieced("ListBucketResult", [head, *contents(call, page, encode)]))


@operation("ListObjectsV2", "GET", on="bucket", query="list-type", action="s3:ListBucket")
def list_objects_v2(call: S3Call) -> Response:
    """Version 2: continuation tokens, `start-after`, `fetch-owner`."""
    asked = call.query
    if asked["list-type"] != "2":
        raise Invalid("list-type must be 2; leave it out for version 1", "invalid_argument")
    call.require()
    encode = encoder(call)
    limit = page_size(asked.get("max-keys"))
    prefix, delimiter = asked.get("prefix", ""), asked.get("delimiter", "")
    start, token = asked.get("start-after"), asked.get("continuation-token")
    after = read_token(token) if token else start or ""
    owner = asked.get("fetch-owner", "").lower() == "true"
    page = list_page(call, ListQuery(prefix, delimiter, after, limit=min(limit, PAGE_MAX)), owner)
    head = (
        element("Name", shown_name(call))
        + f"<Prefix>{encode(prefix)}</Prefix>"
        + element("ContinuationToken", token)
        + (element("NextContinuationToken", make_token(page.last)) if page.truncated else "")
        + (f"<StartAfter>{encode(start)}</StartAfter>" if start is not None else "")
        + element("KeyCount", len(page.entries))
        + _common_head(call, limit, delimiter, encode, page.truncated)
    )
    return call.raw_xml(pieced("ListBucketResult", [head, *contents(call, page, encode)]))


def _common_head(call: S3Call, limit: int, delimiter: str, encode: Encode, truncated: bool) -> str:
    kind = call.query.get("encoding-type")
    return (
        element("MaxKeys", limit)
        + (f"<Delimiter>{encode(delimiter)}</Delimiter>" if delimiter else "")
        + element("IsTruncated", "true" if truncated else "false")
        + (element("EncodingType", kind) if kind else "")
    )


def shown_name(call: S3Call) -> str:
    """The bucket's name as the caller wrote it."""
    return call.place.bucket or call.bucket.name


def make_token(last: str) -> str:
    """An opaque continuation token."""
    return base64.urlsafe_b64encode(last.encode()).decode()


def read_token(token: str) -> str:
    """The name that a token continues after. Raises `Invalid`."""
    try:
        if not token:
            raise ValueError
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise Invalid("the continuation token provided is incorrect", "invalid_argument") from error


def contents(call: S3Call, page: ShownListing, encode: Encode) -> list[str]:
    """Objects, with the owners that the page has, then common prefixes. One template per object: this is the hot
    loop of a listing, so it calls as little as it can."""
    plain_keys = _PLAIN.fullmatch("".join([entry if isinstance(entry, str) else entry[0] for entry in page.entries]))
    owners: dict[str, str] = {}
    objects: list[str] = []
    prefixes: list[str] = []
    # neighbours are alike: what was written of the last instant and kind of checksum is often good again
    instant, when = None, ""
    algorithm, form, kind_xml = "\0", "", ""
    for entry in page.entries:
        if isinstance(entry, str):
            prefixes.append(f"<CommonPrefixes><Prefix>{encode(entry)}</Prefix></CommonPrefixes>")
            continue
        key, created, etag, checksum, size, special, owner_id = entry
        if not plain_keys:
            key = encode(key)
        storage = "STANDARD"
        if special is not None:
            size, etag, storage = joined.shown(entry)
        owner = sums = ""
        if owner_id is not None:
            owner = owners.get(owner_id) or owner_xml(call, owner_id, owners)
        if checksum is not None:
            if not (checksum.startswith(algorithm) and checksum.endswith(form)):
                name, _, kind = checksum.split(" ")
                algorithm, form = f"{name} ", f" {kind}"
                kind_xml = f"<ChecksumAlgorithm>{name}</ChecksumAlgorithm><ChecksumType>{kind}</ChecksumType>"
            sums = kind_xml
        if created != instant:
            instant, when = created, iso_milli(created)
        objects.append(
            f"<Contents><Key>{key}</Key><LastModified>{when}</LastModified>"
            f"<ETag>&quot;{etag}&quot;</ETag>{sums}<Size>{size}</Size>{owner}"
            f"<StorageClass>{storage}</StorageClass></Contents>"
        )
    return objects + prefixes


def checksum_xml(version: Version) -> str:
    """Which checksum an object has."""
    if version.checksum is None:
        return ""
    return (
        f"<ChecksumAlgorithm>{version.checksum.algorithm}</ChecksumAlgorithm>"
        f"<ChecksumType>{version.checksum.kind}</ChecksumType>"
    )


def owner_xml(call: S3Call, owner_id: str, seen: dict[str, str], tag: str = "Owner") -> str:
    """`<Owner>`: id and display name, made once per page."""
    found = seen.get(owner_id)
    if found is None:
        name = call.context.directory.project_name(owner_id) or owner_id
        found = f"<{tag}><ID>{escape(owner_id)}</ID><DisplayName>{escape(name)}</DisplayName></{tag}>"
        seen[owner_id] = found
    return found


@operation("ListObjectVersions", "GET", on="bucket", query="versions", action="s3:ListBucketVersions")
def list_versions(call: S3Call) -> Response:
    """All versions and delete markers, newest first within a key; pages may cut inside one key."""
    call.require()
    asked = call.query
    encode = encoder(call)
    limit = page_size(asked.get("max-keys"))
    prefix, delimiter = asked.get("prefix", ""), asked.get("delimiter", "")
    key_marker, id_marker = asked.get("key-marker", ""), asked.get("version-id-marker", "")
    if id_marker and not key_marker:
        raise Invalid("a version-id marker cannot be specified without a key marker", "invalid_argument")
    query = VersionQuery(prefix, delimiter, key_marker, id_marker, min(limit, PAGE_MAX))
    page = call.objects.list_versions(call.bucket, query) if limit else Listing((), False, "")
    head = (
        element("Name", shown_name(call))
        + f"<Prefix>{encode(prefix)}</Prefix><KeyMarker>{encode(key_marker)}</KeyMarker>"
        + element("VersionIdMarker", id_marker)
        + (_next_markers(page, encode) if page.truncated else "")
        + _common_head(call, limit, delimiter, encode, page.truncated)
    )
    return call.xml("ListVersionsResult", head + _version_entries(call, page, encode))


def _next_markers(page: Listing, encode: Encode) -> str:
    last = page.entries[-1]
    if isinstance(last, str):
        return f"<NextKeyMarker>{encode(last)}</NextKeyMarker>"
    return f"<NextKeyMarker>{encode(last.key)}</NextKeyMarker>{element('NextVersionIdMarker', last.shown_id)}"


def _version_entries(call: S3Call, page: Listing, encode: Encode) -> str:
    owners: dict[str, str] = {}
    rows: list[str] = []
    prefixes: list[str] = []
    for entry in page.entries:
        if isinstance(entry, str):
            prefixes.append(f"<CommonPrefixes><Prefix>{encode(entry)}</Prefix></CommonPrefixes>")
            continue
        common = (
            f"<Key>{encode(entry.key)}</Key><VersionId>{entry.shown_id}</VersionId>"
            f"<IsLatest>{'true' if entry.is_latest else 'false'}</IsLatest>"
            f"<LastModified>{iso_milli(entry.created_us)}</LastModified>"
        )
        who = owner_xml(call, entry.owner_id, owners)
        if entry.is_marker:
            rows.append(f"<DeleteMarker>{common}{who}</DeleteMarker>")
            continue
        entry = joined.listed(entry)
        rows.append(
            f"<Version>{common}<ETag>&quot;{entry.etag}&quot;</ETag>{checksum_xml(entry)}<Size>{entry.size}</Size>"
            f"{elements((('StorageClass', entry.attributes.storage_class),))}{who}</Version>"
        )
    return "".join(rows) + "".join(prefixes)
