"""Ownership controls of a bucket (API reference, "PutBucketOwnershipControls")."""

from __future__ import annotations

from typing import Any

from andromede.errors import Invalid
from andromede.objects.access.acl import effective
from andromede.objects.access.ownership import Ownership, harmless
from andromede.objects.s3 import documents
from andromede.objects.s3.call import S3Call
from andromede.objects.s3.operations import operation
from andromede.objects.s3.xml import element, malformed
from andromede.web.stream.message import Commit, Response

_QUERY = "ownershipControls"


def rule_of(text: str) -> Ownership:
    """The rule of that name. Raises Invalid for an unknown one."""
    try:
        return Ownership(text)
    except ValueError:
        raise Invalid(
            f"object ownership {text[:64]!r} is not one of {', '.join(Ownership)}", "invalid_argument"
        ) from None


@operation("PutBucketOwnershipControls", "PUT", on="bucket", query=_QUERY, action="s3:PutBucketOwnershipControls")
def put_ownership_controls(call: S3Call) -> Commit[Any]:
    """Set the rule. BucketOwnerEnforced needs a bucket ACL that grants nobody else anything."""
    call.require()
    root = call.read_xml("OwnershipControls").only("Rule")
    text = root.need("Rule").only("ObjectOwnership").need("ObjectOwnership").text.strip()
    if text not in set(Ownership):
        raise malformed(f"<ObjectOwnership> must be one of {', '.join(Ownership)}")
    owner = call.bucket.project_id
    if text == Ownership.ENFORCED and not harmless(effective(call.bucket.documents.get("acl"), owner), owner):
        raise Invalid(
            "the bucket's ACL grants rights to others; set it to private before BucketOwnerEnforced", "acl_ownership"
        )
    return documents.put(call, "ownership", text.encode())


@operation("GetBucketOwnershipControls", "GET", on="bucket", query=_QUERY, action="s3:GetBucketOwnershipControls")
def get_ownership_controls(call: S3Call) -> Response:
    """The rule."""
    call.require()
    rule = documents.stored(call, "ownership", "ownership", "ownership controls").decode()
    return call.xml("OwnershipControls", f"<Rule>{element('ObjectOwnership', rule)}</Rule>")


@operation("DeleteBucketOwnershipControls", "DELETE", on="bucket", query=_QUERY, action="s3:PutBucketOwnershipControls")
def delete_ownership_controls(call: S3Call) -> Commit[Any]:
    """Remove the rule; the bucket behaves as ObjectWriter again."""
    call.require()
    return documents.remove(call, "ownership")
