"""Tags of a bucket (API reference, "PutBucketTagging")."""

from __future__ import annotations

from typing import Any

from andromede.errors import Invalid
from andromede.objects.s3 import documents, tags
from andromede.objects.s3.call import S3Call
from andromede.objects.s3.operations import operation
from andromede.objects.s3.xml import parse
from andromede.web.stream.message import Commit, Response

MAX_TAGS = 50


@operation("PutBucketTagging", "PUT", on="bucket", query="tagging", action="s3:PutBucketTagging")
def put_bucket_tagging(call: S3Call) -> Commit[Any]:
    """Replace the bucket's tags."""
    call.require()
    data = call.read()
    reserved = [key for key in tags.from_xml(parse(data, "Tagging"), MAX_TAGS) if key.startswith("aws:")]
    if reserved:
        raise Invalid(f"tag keys beginning with aws: are reserved ({reserved[0][:64]!r})", "invalid_tag")
    return documents.put(call, "tagging", data, 204)


@operation("GetBucketTagging", "GET", on="bucket", query="tagging", action="s3:GetBucketTagging")
def get_bucket_tagging(call: S3Call) -> Response:
    """The bucket's tags."""
    call.require()
    return documents.shown(call, "tagging", "tags", "tag set")


@operation("DeleteBucketTagging", "DELETE", on="bucket", query="tagging", action="s3:PutBucketTagging")
def delete_bucket_tagging(call: S3Call) -> Commit[Any]:
    """Remove the bucket's tags."""
    call.require()
    return documents.remove(call, "tagging")
