"""PUT, POST and DELETE of objects; copies are in `copying`, manifests in `slo`, links in `symlink`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from andromede.errors import Invalid, NotFound, TooLarge
from andromede.objects.manifests import DLO_TARGET, LINK_ACCOUNT, LINK_TARGET
from andromede.objects.model import (
    NO_CONDITIONS,
    UNSET,
    Attributes,
    Conditions,
    Container,
    CopySource,
    DeleteOptions,
    DeleteResult,
    Kind,
    ObjectChange,
    Receive,
    Stored,
    Version,
    Versioning,
)
from andromede.objects.swift import attributes
from andromede.objects.swift.answers import Pairs, empty, worded
from andromede.objects.swift.call import Call
from andromede.objects.swift.entries import own_account
from andromede.objects.swift.info import MAX_FILE
from andromede.objects.swift.place import MAX_KEY
from andromede.objects.swift.times import last_modified
from andromede.web.stream.message import Commit, Response

if TYPE_CHECKING:
    from andromede.objects.service import Step


def check_key(key: str) -> None:
    """Raises `Invalid` for a name that is too long."""
    size = len(key.encode())
    if size > MAX_KEY:
        raise Invalid(f"Object name length of {size} longer than {MAX_KEY}", "name")


def conditions(call: Call) -> Conditions:
    """`If-None-Match: *`, the only condition of a Swift PUT."""
    value = call.header("if-none-match")
    if value is None:
        return NO_CONDITIONS
    if value.strip() != "*":
        raise Invalid("If-None-Match only supports *", "condition")
    return Conditions(if_none_match="*")


def declared_length(call: Call) -> int | None:
    """Content-Length, None for a chunked body. Raises `Invalid` (411) when neither is there, `TooLarge`."""
    if call.header("content-length") is None and call.header("transfer-encoding") is None:
        raise Invalid("Missing Content-Length header.", "length")
    length = call.request.body.length
    if length is not None and length > MAX_FILE:
        raise TooLarge(f"Your request is too large: at most {MAX_FILE} bytes; use a large object", "body")
    return length


def expected_md5(call: Call) -> str | None:
    """The bare `ETag` that the client sends along."""
    value = call.header("etag")
    return value.strip().strip('"').lower() if value else None


def receive(call: Call, container: Container, length: int | None) -> Stored:
    """Take the body. Raises `Invalid` (422) when it is not what the ETag header says."""
    wanted = expected_md5(call)

    def verify(stored: Stored) -> None:
        if wanted is not None and stored.md5 != wanted:
            raise Invalid(f"the ETag header says {wanted}, the bytes received have {stored.md5}", "etag")

    return call.objects.receive(
        container, call.request.body, Receive(length=length, max_length=MAX_FILE, verify=verify)
    )


def put(call: Call) -> Response | Commit[Version]:
    """PUT of an object from the request's body."""
    container = call.open("s3:PutObject", key=call.key)
    check_key(call.key)
    wish = attributes.wanted(call, call.key)
    when = conditions(call)
    length = declared_length(call)
    call.objects.precheck(container, call.key, when, length)
    return store(call, container, receive(call, container, length), wish, when)


def store(
    call: Call, container: Container, stored: Stored, wish: Attributes, when: Conditions = NO_CONDITIONS
) -> Commit[Version]:
    """Make received bytes the object of the path."""
    step = call.objects.put(container, call.key, stored, wish, when, call.trace("swift:PutObject"))
    return step.then(lambda version: created(container, version))


def created(container: Container, version: Version, etag: str | None = None, extra: Pairs | None = None) -> Response:
    """201 with ETag and date."""
    headers: Pairs = [("Etag", etag or version.etag), ("Last-Modified", last_modified(version.created_us))]
    return empty(201, [*headers, *version_headers(container, version), *(extra or ())])


def version_headers(container: Container, version: Version) -> Pairs:
    """The version's id in a container that keeps versions."""
    if container.versioning is Versioning.OFF or version.is_null:
        return []
    return [("X-Object-Version-Id", version.shown_id)]


def post(call: Call) -> Response | Commit[Version]:
    """POST: replaces all metadata and the stored headers; the type stays unless given."""
    if call.version_id is not None:
        raise Invalid("POST to a specific version is not allowed", "version_id")
    container = call.open("s3:PutObject", key=call.key)
    delete_at = attributes.delete_at_us(call)
    metadata = attributes.user_metadata(call)
    target = attributes.manifest_target(call)
    version = call.objects.head(container, call.key)
    given_type = call.header("content-type")
    content_type = attributes.checked_type(given_type) if given_type else UNSET
    headers = attributes.stored_headers(call)

    def change(newest: Version) -> ObjectChange:
        settings = {name: value for name, value in newest.attributes.settings.items() if name != DLO_TARGET}
        if target is not None and newest.kind in (Kind.DATA, Kind.DLO):
            settings[DLO_TARGET] = target
        return ObjectChange(
            metadata=metadata, headers=headers, settings=settings, content_type=content_type, delete_at_us=delete_at,
            touched=True,
        )  # fmt: skip

    step = call.objects.change_object(version, change, call.trace("swift:PostObject"))
    if version.kind is Kind.SYMLINK:
        return step.then(lambda _: _redirected(container, version))
    return step.then(lambda _: worded(202, "The request is accepted for processing."))


def _redirected(container: Container, link: Version) -> Response:
    settings = link.attributes.settings
    account = settings.get(LINK_ACCOUNT) or own_account(container.project_id)
    text = "The requested POST was applied to a symlink. POST directly to the target to apply requested metadata."
    return worded(307, text, [("Location", f"/v1/{account}/{settings[LINK_TARGET]}")])


def delete(call: Call) -> Commit[DeleteResult]:
    """DELETE: 204, 404 for an object that is not there."""
    container = call.open("s3:DeleteObjectVersion" if call.version_id else "s3:DeleteObject", key=call.key)
    return remove(call, container, call.key, call.version_id).then(lambda result: deleted(call, container, result))


def remove(call: Call, container: Container, key: str, version_id: str | None) -> Step[DeleteResult]:
    """The deletion of what is there. Raises `NotFound`."""
    try:
        call.objects.head(container, key, version_id)
    except NotFound as error:
        if not isinstance(error.detail.get("marker"), Version):
            raise
    return call.objects.delete(container, key, version_id, DeleteOptions(), call.trace("swift:DeleteObject"))


def deleted(call: Call, container: Container, result: DeleteResult) -> Response:
    """204, naming the version that went and the one that is current now."""
    if result.version is None and result.marker is None:
        if container.versioning is Versioning.OFF:
            return worded(404, f"{container.name}/{call.key} does not exist")
        return empty(204)
    headers: Pairs = []
    gone = result.marker or result.version
    if container.versioning is not Versioning.OFF and gone is not None:
        headers.append(("X-Object-Version-Id", gone.shown_id))
        if call.version_id is not None:
            headers.append(("X-Object-Current-Version-Id", current_id(call, container)))
    return empty(204, headers)


def current_id(call: Call, container: Container) -> str:
    """The id of the version that is current after a change."""
    try:
        return call.objects.head(container, call.key).shown_id
    except NotFound as error:
        marker = error.detail.get("marker")
        return marker.shown_id if isinstance(marker, Version) else "null"


def restore(call: Call) -> Commit[Version]:
    """PUT `?version-id=` without a body: an older version becomes the current one, as a copy."""
    container = call.open("s3:PutObject", key=call.key)
    if call.request.body.length != 0:
        raise Invalid("PUT version-id requests require a zero byte body", "version_id")
    if call.version_id in ("", "null", None) or container.versioning is Versioning.OFF:
        raise Invalid("Invalid version parameter", "version_id")
    version = call.objects.head(container, call.key, call.version_id)
    if version.is_marker:
        raise Invalid("this version is a delete marker: delete it to bring back the one below", "version_id")
    call.require("s3:GetObjectVersion", container, call.key, version)
    source = CopySource(version)
    trace = call.trace("swift:RestoreVersion")
    step = call.objects.copy(source, container, call.key, version.attributes, NO_CONDITIONS, trace)
    return step.then(lambda made: created(container, made))
