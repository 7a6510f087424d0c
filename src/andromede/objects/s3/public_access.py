"""The public access block of a bucket (API reference, "PutPublicAccessBlock")."""

from __future__ import annotations

from typing import Any

from andromede.objects.access import public
from andromede.objects.access.public import NAMES, PublicAccessBlock
from andromede.objects.s3 import documents
from andromede.objects.s3.call import S3Call
from andromede.objects.s3.operations import operation
from andromede.objects.s3.xml import element, malformed
from andromede.web.stream.message import Commit, Response

_KIND = "public_access_block"
_BOOLEAN = {"true": True, "false": False}


@operation(
    "PutPublicAccessBlock", "PUT", on="bucket", query="publicAccessBlock", action="s3:PutBucketPublicAccessBlock"
)
def put_public_access_block(call: S3Call) -> Commit[Any]:
    """Set the four switches; one that is left out is off."""
    call.require()
    root = call.read_xml("PublicAccessBlockConfiguration").only(*NAMES)
    values = []
    for name in NAMES:
        text = (root.value(name) or "false").strip().lower()
        if text not in _BOOLEAN:
            raise malformed(f"<{name}> must be true or false")
        values.append(_BOOLEAN[text])
    return documents.put(call, _KIND, PublicAccessBlock(*values).dump())


@operation(
    "GetPublicAccessBlock", "GET", on="bucket", query="publicAccessBlock", action="s3:GetBucketPublicAccessBlock"
)
def get_public_access_block(call: S3Call) -> Response:
    """The four switches."""
    call.require()
    block = public.load(documents.stored(call, _KIND, _KIND, "public access block configuration"))
    body = "".join(element(name, "true" if value else "false") for name, value in block.items())
    return call.xml("PublicAccessBlockConfiguration", body)


@operation(
    "DeletePublicAccessBlock", "DELETE", on="bucket", query="publicAccessBlock", action="s3:PutBucketPublicAccessBlock"
)
def delete_public_access_block(call: S3Call) -> Commit[Any]:
    """Remove the block."""
    call.require()
    return documents.remove(call, _KIND)
