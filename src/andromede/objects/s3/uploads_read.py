"""ListParts, ListMultipartUploads and GetObjectAttributes (API reference)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from andromede.clock import US, iso_milli
from andromede.errors import Invalid
from andromede.objects.model import Part, Upload, UploadListing, Version
from andromede.objects.s3 import attributes, digest, lifecycle, listing, sse
from andromede.objects.s3.operations import operation
from andromede.objects.s3.reading import find
from andromede.objects.s3.uploads import opened
from andromede.objects.s3.xml import element, elements
from andromede.web.stream.message import Response

if TYPE_CHECKING:
    from andromede.objects.s3.call import S3Call

PAGE = 1000
_WANTED = ("ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize")


@operation("ListParts", "GET", on="object", query="uploadId", action="s3:ListMultipartUploadParts")
def list_parts(call: S3Call) -> Response:
    """The parts of an upload so far, in order of number."""
    call.require()
    upload = opened(call)
    limit = min(listing.page_size(call.query.get("max-parts"), "max-parts"), PAGE)
    after = _marker(call.query.get("part-number-marker"))
    parts = call.objects.list_parts(upload, after, limit + 1) if limit else []
    page, more = parts[:limit], len(parts) > limit
    owners: dict[str, str] = {}
    inner = (
        elements((("Bucket", call.place.bucket), ("Key", call.name), ("UploadId", upload.id)))
        + listing.owner_xml(call, upload.initiator_id, {}, "Initiator")
        + listing.owner_xml(call, upload.owner_id, owners)
        + elements((("StorageClass", upload.attributes.storage_class), ("PartNumberMarker", after)))
        + element("NextPartNumberMarker", page[-1].number if page else 0)
        + elements((("MaxParts", limit), ("IsTruncated", "true" if more else "false")))
    )
    if upload.checksum_algorithm is not None:
        inner += elements((("ChecksumAlgorithm", upload.checksum_algorithm), ("ChecksumType", upload.checksum_kind)))
    shown = upload.checksum_algorithm is not None
    answer = call.xml("ListPartsResult", inner + "".join(_part(part, shown) for part in page))
    answer.headers += lifecycle.abort_headers(call.bucket, upload, call.context.config)
    return answer


def _marker(text: str | None) -> int:
    if text is None or text == "":
        return 0
    if not text.isdigit() or not text.isascii() or len(text) > 9:
        raise Invalid("part-number-marker must be a number", "invalid_argument")
    return int(text)


def _part(part: Part, checksum: bool) -> str:
    inner = (
        f"<PartNumber>{part.number}</PartNumber><LastModified>{iso_milli(part.created_us)}</LastModified>"
        f"<ETag>&quot;{part.etag}&quot;</ETag><Size>{part.size}</Size>"
    )
    if checksum and part.checksum is not None:
        inner += element(digest.ELEMENT[part.checksum.algorithm], part.checksum.value)
    return f"<Part>{inner}</Part>"


@operation("ListMultipartUploads", "GET", on="bucket", query="uploads", action="s3:ListBucketMultipartUploads")
def list_uploads(call: S3Call) -> Response:
    """Uploads in progress, in order of key, then id."""
    call.require()
    asked = call.query
    encode = listing.encoder(call)
    limit = min(listing.page_size(asked.get("max-uploads"), "max-uploads"), PAGE)
    prefix, delimiter = asked.get("prefix", ""), asked.get("delimiter", "")
    key_marker, id_marker = asked.get("key-marker", ""), asked.get("upload-id-marker", "")
    page = UploadListing((), False, "", "")
    if limit:
        page = call.objects.list_uploads(call.bucket, prefix, delimiter, key_marker, id_marker, limit)
    inner = (
        element("Bucket", call.place.bucket)
        + f"<KeyMarker>{encode(key_marker)}</KeyMarker>{element('UploadIdMarker', id_marker)}"
        + (
            f"<NextKeyMarker>{encode(page.last_key)}</NextKeyMarker>{element('NextUploadIdMarker', page.last_id)}"
            if page.truncated
            else ""
        )
        + (f"<Delimiter>{encode(delimiter)}</Delimiter>" if delimiter else "")
        + f"<Prefix>{encode(prefix)}</Prefix>"
        + elements((("MaxUploads", limit), ("IsTruncated", "true" if page.truncated else "false")))
        + (element("EncodingType", asked["encoding-type"]) if asked.get("encoding-type") else "")
    )
    uploads = [_upload(call, entry, encode) for entry in page.entries if isinstance(entry, Upload)]
    prefixes = [
        f"<CommonPrefixes><Prefix>{encode(entry)}</Prefix></CommonPrefixes>"
        for entry in page.entries
        if isinstance(entry, str)
    ]
    return call.xml("ListMultipartUploadsResult", inner + "".join(uploads) + "".join(prefixes))


def _upload(call: S3Call, upload: Upload, encode: listing.Encode) -> str:
    inner = (
        f"<Key>{encode(upload.key)}</Key><UploadId>{upload.id}</UploadId>"
        + listing.owner_xml(call, upload.initiator_id, {}, "Initiator")
        + listing.owner_xml(call, upload.owner_id, {})
        + elements((("StorageClass", upload.attributes.storage_class), ("Initiated", iso_milli(upload.created_us))))
    )
    if upload.checksum_algorithm is not None:
        inner += elements((("ChecksumAlgorithm", upload.checksum_algorithm), ("ChecksumType", upload.checksum_kind)))
    return f"<Upload>{inner}</Upload>"


@operation("GetObjectAttributes", "GET", on="object", query="attributes", action="s3:GetObjectAttributes")
def get_attributes(call: S3Call) -> Response:
    """The attributes named in `x-amz-object-attributes`, parts paged."""
    version = find(call, "s3:GetObjectAttributes", "s3:GetObjectVersionAttributes")
    sse.opening_key(call, version)
    named = ",".join(call.headers.all("x-amz-object-attributes"))
    wanted = {part.strip() for part in named.split(",") if part.strip()}
    if not wanted or not wanted.issubset(_WANTED):
        raise Invalid("x-amz-object-attributes must name some of " + ", ".join(_WANTED), "invalid_argument")
    inner = ""
    if "ETag" in wanted:
        inner += element("ETag", version.etag)
    if "Checksum" in wanted and version.checksum is not None:
        value = element(digest.ELEMENT[version.checksum.algorithm], version.checksum.value)
        inner += f"<Checksum>{value}{element('ChecksumType', version.checksum.kind)}</Checksum>"
    if "ObjectParts" in wanted and version.parts:
        inner += _object_parts(call, version)
    if "StorageClass" in wanted:
        inner += element("StorageClass", version.attributes.storage_class)
    if "ObjectSize" in wanted:
        inner += element("ObjectSize", version.size)
    answer = call.xml("GetObjectAttributesResponse", inner)
    answer.headers.append(("Last-Modified", attributes.last_modified(version.created_us // US)))
    answer.headers += attributes.version_headers(call.bucket, version)
    return answer


def _object_parts(call: S3Call, version: Version) -> str:
    limit = min(listing.page_size(call.header("x-amz-max-parts"), "x-amz-max-parts"), PAGE)
    after = _marker(call.header("x-amz-part-number-marker"))
    parts = call.objects.parts(version, after, limit + 1) if limit else []
    page, more = parts[:limit], len(parts) > limit
    rows = ""
    for part in page:
        checksum = part.checksum
        value = element(digest.ELEMENT[checksum.algorithm], checksum.value) if checksum is not None else ""
        rows += f"<Part><PartNumber>{part.number}</PartNumber><Size>{part.size}</Size>{value}</Part>"
    return (
        "<ObjectParts>"
        + elements(
            (
                ("PartsCount", version.parts),
                ("PartNumberMarker", after),
                ("NextPartNumberMarker", page[-1].number if page else 0),
                ("MaxParts", limit),
                ("IsTruncated", "true" if more else "false"),
            )
        )
        + rows
        + "</ObjectParts>"
    )
