"""DeleteObject and DeleteObjects (API reference)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from andromede.errors import Error, NotFound
from andromede.objects.model import DeleteOptions, DeleteResult, Version
from andromede.objects.s3 import attributes, errors, locks, preconditions
from andromede.objects.s3.operations import operation
from andromede.objects.s3.xml import Node, element, elements, malformed
from andromede.web.stream.message import Commit, Response

if TYPE_CHECKING:
    from andromede.objects.s3.call import S3Call

BATCH_MAX = 1000
BATCH_BYTES = 4 << 20


@operation("DeleteObject", "DELETE", on="object", action="s3:DeleteObject")
def delete_object(call: S3Call) -> Commit[DeleteResult]:
    """Lay a marker over the key, or remove it or one version for good. Absent keys count as deleted."""
    version_id = call.version_id
    action = "s3:DeleteObject" if version_id is None else "s3:DeleteObjectVersion"
    if "policy" in call.bucket.documents:
        call.version = present(call, call.name, version_id)
    call.require(action, version=call.version)
    options = DeleteOptions(preconditions.of_delete(call), locks.bypasses(call))
    step = call.objects.delete(call.bucket, call.name, version_id, options, call.trace(action))
    return step.then(lambda result: call.empty(204, result_headers(call, version_id, result)))


def present(call: S3Call, key: str, version_id: str | None) -> Version | None:
    """The version concerned, for policies that look at its tags."""
    try:
        return call.objects.head(call.bucket, key, version_id)
    except NotFound:
        return None


def result_headers(call: S3Call, version_id: str | None, result: DeleteResult) -> attributes.Pairs:
    """Marker and version id of a delete."""
    if result.marker is not None:
        return [("x-amz-delete-marker", "true"), ("x-amz-version-id", result.marker.shown_id)]
    pairs: attributes.Pairs = []
    if version_id is not None:
        pairs.append(("x-amz-version-id", version_id))
        if result.version is not None and result.version.is_marker:
            pairs.append(("x-amz-delete-marker", "true"))
    return pairs


@operation("DeleteObjects", "POST", on="bucket", query="delete", action="s3:DeleteObject")
def delete_objects(call: S3Call) -> Response:
    """Delete up to 1000 keys or versions; each has its own outcome in the answer."""
    root = call.read_xml("Delete", BATCH_BYTES, digest_needed=True).only("Object", "Quiet")
    entries = root.all("Object")
    if not 0 < len(entries) <= BATCH_MAX:
        raise malformed(f"Delete takes 1 to {BATCH_MAX} objects")
    quiet = (root.value("Quiet") or "").lower() == "true"
    bypass = locks.bypasses(call)
    parts = [_delete_entry(call, entry, bypass, quiet) for entry in entries]
    return call.xml("DeleteResult", "".join(parts))


def _delete_entry(call: S3Call, entry: Node, bypass: bool, quiet: bool) -> str:
    entry.only("Key", "VersionId", "ETag", "LastModifiedTime", "Size")
    key = entry.need("Key").text
    version_id = entry.value("VersionId") or None
    action = "s3:DeleteObject" if version_id is None else "s3:DeleteObjectVersion"
    try:
        conditions = preconditions.delete_conditions(
            entry.value("ETag"), entry.value("LastModifiedTime"), entry.value("Size")
        )
        seen = present(call, key, version_id) if key and "policy" in call.bucket.documents else None
        call.require(action, key=key, version=seen)
        options = DeleteOptions(conditions, bypass)
        result = call.run(call.objects.delete(call.bucket, key, version_id, options, call.trace(action)))
    except Error as refused:
        if isinstance(refused, NotFound) and refused.reason in ("object", "version"):
            return "" if quiet else _deleted(key, version_id, DeleteResult(None, None))
        _, code = errors.status_and_code(refused)
        inner = elements((("Key", key), ("VersionId", version_id), ("Code", code), ("Message", refused.public)))
        return f"<Error>{inner}</Error>"
    return "" if quiet else _deleted(key, version_id, result)


def _deleted(key: str, version_id: str | None, result: DeleteResult) -> str:
    inner = element("Key", key) + element("VersionId", version_id)
    if result.marker is not None:
        inner += element("DeleteMarker", "true") + element("DeleteMarkerVersionId", result.marker.shown_id)
    elif result.version is not None and result.version.is_marker:
        inner += element("DeleteMarker", "true") + element("DeleteMarkerVersionId", result.version.shown_id)
    return f"<Deleted>{inner}</Deleted>"
