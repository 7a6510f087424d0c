"""Operations that exist for objects in the one, hot storage class only to say so (API reference)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from andromede.errors import Denied, NotFound
from andromede.objects.s3.operations import operation
from andromede.objects.s3.reading import find
from andromede.web.stream.message import Response

if TYPE_CHECKING:
    from andromede.objects.s3.call import S3Call


@operation("RestoreObject", "POST", on="object", query="restore", action="s3:RestoreObject")
def restore_object(call: S3Call) -> Response:
    """Nothing is archived here, so nothing can be restored."""
    find(call, "s3:RestoreObject", "s3:RestoreObject")
    raise Denied("restore is not allowed for the object's current storage class", "object_state")


@operation("GetObjectTorrent", "GET", on="object", query="torrent", action="s3:GetObjectTorrent")
def get_torrent(call: S3Call) -> Response:
    """No torrents are made."""
    find(call, "s3:GetObjectTorrent", "s3:GetObjectVersionTorrent")
    raise NotFound("there is no torrent of this object", "torrent")
