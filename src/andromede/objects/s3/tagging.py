"""Object tagging (API reference, "PutObjectTagging", "GetObjectTagging", "DeleteObjectTagging")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from andromede.errors import NotFound
from andromede.objects.access import keys as access_keys
from andromede.objects.model import ObjectChange, Version
from andromede.objects.s3 import attributes, tags
from andromede.objects.s3.conditions import Value
from andromede.objects.s3.operations import operation
from andromede.objects.s3.reading import described, may_know
from andromede.web.stream.message import Commit, Response

if TYPE_CHECKING:
    from andromede.objects.s3.call import S3Call


def _version(call: S3Call, extra: Mapping[str, Value] | None = None) -> Version:
    """The version meant, with the caller's right to the operation."""
    action = call.operation.action
    if call.version_id is not None:
        action = action.replace("Tagging", "VersionTagging")
    try:
        version = call.version = call.objects.head(call.bucket, call.name, call.version_id)
    except NotFound as missing:
        may_know(call, missing, action)
        raise described(missing) from missing
    call.require(action, version=version, extra=extra)
    return version


def _change(call: S3Call, version: Version, new: dict[str, str], status: int) -> Commit[Version]:
    change = ObjectChange(tags=new)

    def of_newest(newest: Version) -> ObjectChange:
        if newest.id != version.id:  # replaced meanwhile, and others may have rights to what is there now
            call.require(version=newest, extra=access_keys.tag_keys(new.items()))
        return change

    step = call.objects.change_object(version, change if call.version_id is not None else of_newest, call.trace())
    return step.then(lambda _: call.empty(status, attributes.version_headers(call.bucket, version)))


@operation("PutObjectTagging", "PUT", on="object", query="tagging", action="s3:PutObjectTagging")
def put_tagging(call: S3Call) -> Commit[Version]:
    """Replace the tag set of a version."""
    new = tags.from_xml(call.read_xml("Tagging"))
    return _change(call, _version(call, access_keys.tag_keys(new.items())), new, 200)


@operation("GetObjectTagging", "GET", on="object", query="tagging", action="s3:GetObjectTagging")
def get_tagging(call: S3Call) -> Response:
    """The tag set of a version; an empty one is an answer too."""
    version = _version(call)
    answer = call.xml("Tagging", tags.to_xml(version.attributes.tags))
    answer.headers += attributes.version_headers(call.bucket, version)
    return answer


@operation("DeleteObjectTagging", "DELETE", on="object", query="tagging", action="s3:DeleteObjectTagging")
def delete_tagging(call: S3Call) -> Commit[Version]:
    """Empty the tag set of a version."""
    return _change(call, _version(call), {}, 204)
