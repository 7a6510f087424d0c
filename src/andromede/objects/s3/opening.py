"""Opening the bucket that a request names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from andromede.errors import Denied

if TYPE_CHECKING:
    from andromede.objects.model import Container
    from andromede.objects.s3.call import S3Call


def find_bucket(call: S3Call, name: str, project: str | None) -> Container:
    """The caller's own bucket of that name first, then the installation's; `project` names another's.

    `project` "" means the installation's table only. Raises `NotFound`."""
    if project:
        return call.objects.container(project, name)
    own = call.actor.project_id if call.actor is not None and project is None else None
    return call.objects.bucket(name, own)


def open_bucket(call: S3Call) -> None:
    """Set `call.container`. Raises `NotFound`, and `Denied` when the expected owner is another."""
    where = call.place
    assert where.bucket is not None
    call.container = find_bucket(call, where.bucket, where.project)
    expected = call.header("x-amz-expected-bucket-owner")
    if expected is not None and expected != call.container.project_id:
        raise Denied("the bucket belongs to another account than x-amz-expected-bucket-owner says", "access")
