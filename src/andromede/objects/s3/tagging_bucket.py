"""Tags of a bucket (API reference, "PutBucketTagging")."""

from __future__ import annotations

from typing import Any

from andromede.errors import Invalid
from andromede.objects.s3 import documents
from andromede.objects.s3.call import S3Call
from andromede.objects.s3.operations import operation
from andromede.objects.s3.xml import Node, element, parse
from andromede.web.stream.message import Commit, Response

MAX_TAGS = 50
MAX_KEY, MAX_VALUE = 128, 256


def tag_set(root: Node, limit: int) -> dict[str, str]:
    """The tags of a `<Tagging>` document. Raises Invalid (InvalidTag, BadRequest) beyond the limits."""
    listed = root.only("TagSet").need("TagSet").only("Tag").children
    found: dict[str, str] = {}
    for node in listed:
        node.only("Key", "Value")
        key, value = node.need("Key").text, node.need("Value").text
        if not 1 <= len(key) <= MAX_KEY or len(value) > MAX_VALUE:
            raise Invalid(f"a tag key has 1 to {MAX_KEY} characters, a value at most {MAX_VALUE}", "invalid_tag")
        if key.startswith("aws:"):
            raise Invalid(f"tag keys beginning with aws: are reserved ({key[:64]!r})", "invalid_tag")
        if key in found:
            raise Invalid(f"tag key {key[:64]!r} is given twice", "invalid_tag")
        found[key] = value
    if len(found) > limit:
        raise Invalid(f"there may be at most {limit} tags here, {len(found)} were given", "invalid_tag")
    return found


def tag_xml(tags: dict[str, str]) -> str:
    """`<TagSet>` with the tags in their order."""
    rows = "".join(f"<Tag>{element('Key', key)}{element('Value', value)}</Tag>" for key, value in tags.items())
    return f"<TagSet>{rows}</TagSet>"


@operation("PutBucketTagging", "PUT", on="bucket", query="tagging", action="s3:PutBucketTagging")
def put_bucket_tagging(call: S3Call) -> Commit[Any]:
    """Replace the bucket's tags."""
    call.require()
    data = call.read()
    tag_set(parse(data, "Tagging"), MAX_TAGS)
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
